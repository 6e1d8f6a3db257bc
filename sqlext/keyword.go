package sqlext

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// keywordOptions are options whose names are keywords of TiDB's parser, which
// takes no keyword for the name of an option and so refuses every text with one.
// In quotes they are names.
var keywordOptions = []string{"ON_DUPLICATE", "CSV_HEADER"}

// quoteKeywords puts the bare names of such options, where a text that begins
// with [EXPLAIN] IMPORT INTO has them, into backquotes. ok tells whether there was one.
func quoteKeywords(sql string, mode mysql.SQLMode) (quoted string, ok bool) {
	s := clauseScanner{rest: []byte(sql), ansiQuotes: mode.HasANSIQuotesMode()}
	if !s.importInto() {
		return "", false
	}
	var b strings.Builder
	done := 0 // bytes of sql that are in b
	starts := false
	for s.blanks(); len(s.rest) > 0; s.blanks() {
		at := len(sql) - len(s.rest)
		word, rest := cutWord(s.rest)
		if len(word) == 0 {
			starts = s.rest[0] == ','
			s.skipSymbol(mode.HasNoBackslashEscapesMode())
			continue
		}
		s.rest = rest
		keyword := slices.ContainsFunc(keywordOptions, func(name string) bool { return foldEqual(word, name) })
		if starts && keyword && s.symbol('=') {
			b.WriteString(sql[done:at] + "`" + string(word) + "`")
			done = at + len(word)
		}
		starts = foldEqual(word, "WITH")
	}
	return b.String() + sql[done:], done > 0
}

// skipSymbol drops one byte, or a whole text or name in quotes.
func (s *clauseScanner) skipSymbol(noEscapes bool) {
	quote := s.rest[0]
	s.rest = s.rest[1:]
	if quote != '\'' && quote != '"' && quote != '`' {
		return
	}
	escapes := !noEscapes && quote != '`' && (quote != '"' || !s.ansiQuotes)
	for len(s.rest) > 0 {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case c == '\\' && escapes && len(s.rest) > 0:
			s.rest = s.rest[1:]
		case c == quote && len(s.rest) > 0 && s.rest[0] == quote:
			s.rest = s.rest[1:]
		case c == quote:
			return
		}
	}
}

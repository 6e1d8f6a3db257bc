package sqlext

import (
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// TiDB's IMPORT INTO can't name partitions. Sluice's can, where INSERT has them:
//
//	IMPORT INTO table [PARTITION (name, ...)] [(fields)] [SET ...] FROM ...
//
// PARTITION is a reserved word, so TiDB's parser refuses every such text and
// nothing that it accepts changes its meaning. The clause is cut out, TiDB's
// parser reads the rest.

// cutPartitions finds the clause in a text that begins with [EXPLAIN] IMPORT INTO. It
// returns the text with blanks in the clause's place, and the names.
func cutPartitions(sql string, mode mysql.SQLMode) (rest string, names []string, ok bool) {
	s := clauseScanner{rest: []byte(sql), ansiQuotes: mode.HasANSIQuotesMode()}
	if !s.importInto() {
		return "", nil, false
	}
	if _, ok := s.name(); !ok {
		return "", nil, false
	}
	if s.symbol('.') {
		if _, ok := s.name(); !ok {
			return "", nil, false
		}
	}
	s.blanks()
	start := len(sql) - len(s.rest)
	if !s.word("PARTITION") || !s.symbol('(') {
		return "", nil, false
	}
	for {
		name, ok := s.name()
		if !ok {
			return "", nil, false
		}
		names = append(names, name)
		if s.symbol(')') {
			break
		}
		if !s.symbol(',') {
			return "", nil, false
		}
	}
	end := len(sql) - len(s.rest)
	return sql[:start] + strings.Repeat(" ", end-start) + sql[end:], names, true
}

// parsePartitioned is Parse for a text whose PARTITION clause has been cut out.
func parsePartitioned(rest string, names []string, mode mysql.SQLMode) (Statement, error) {
	st, err := Parse(rest, mode)
	into, ok := st.(*ImportInto)
	if err != nil || !ok || into.Partitions != nil { // a second clause is a syntax error
		return nil, err
	}
	into.Partitions = names
	quoted := make([]string, len(names))
	for i, name := range names {
		if !utf8.ValidString(name) {
			return nil, plainError("the text of IMPORT INTO is not valid UTF-8")
		}
		quoted[i] = quoteName(name)
	}
	table := quoteName(into.Table)
	if into.DB != "" {
		table = quoteName(into.DB) + "." + table
	}
	head := "IMPORT INTO " + table
	into.redacted = head + " PARTITION (" + strings.Join(quoted, ", ") + ")" + strings.TrimPrefix(into.redacted, head)
	return into, nil
}

func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// clauseScanner takes words, names and symbols from the front of a text. A text
// in which it can't tell what is a comment (see skipBlank) has none of them.
type clauseScanner struct {
	rest       []byte
	ansiQuotes bool
}

func (s *clauseScanner) blanks() {
	rest, certain := skipBlank(s.rest)
	if !certain {
		rest = nil
	}
	s.rest = rest
}

// word takes a word that is upper, in any case.
func (s *clauseScanner) word(upper string) bool {
	s.blanks()
	word, rest := cutWord(s.rest)
	if len(word) == 0 || !foldEqual(word, upper) {
		return false
	}
	s.rest = rest
	return true
}

func (s *clauseScanner) symbol(c byte) bool {
	s.blanks()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// name takes a name, quoted or not. A quote inside of quotes is doubled.
func (s *clauseScanner) name() (string, bool) {
	s.blanks()
	if len(s.rest) == 0 {
		return "", false
	}
	quote := s.rest[0]
	if quote != '`' && (quote != '"' || !s.ansiQuotes) {
		word, rest := cutWord(s.rest)
		s.rest = rest
		return string(word), len(word) > 0
	}
	var name []byte
	for i := 1; i < len(s.rest); i++ {
		switch {
		case s.rest[i] != quote:
			name = append(name, s.rest[i])
		case i+1 < len(s.rest) && s.rest[i+1] == quote:
			name = append(name, quote)
			i++
		default:
			s.rest = s.rest[i+1:]
			return string(name), len(name) > 0
		}
	}
	return "", false
}

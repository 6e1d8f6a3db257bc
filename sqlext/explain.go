package sqlext

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// convertExplain converts EXPLAIN [FORMAT = ...] IMPORT INTO ... FROM 'location'. The
// formats that are tables have the result that there is; EXPLAIN ANALYZE would run the
// statement, and IMPORT INTO itself shows what it did.
func convertExplain(n *ast.ExplainStmt, mode mysql.SQLMode) (Statement, error) {
	into, ok := n.Stmt.(*ast.ImportIntoStmt)
	switch {
	case !ok:
		return nil, notSupportedYet(kindOf(n))
	case n.Analyze:
		return nil, notSupportedYet("EXPLAIN ANALYZE IMPORT INTO")
	case !strings.EqualFold(n.Format, "row") && !strings.EqualFold(n.Format, "brief"):
		return nil, notSupportedYet("EXPLAIN FORMAT = '" + n.Format + "' IMPORT INTO")
	}
	st, err := convertImportInto(into, mode)
	if err != nil {
		return nil, err
	}
	st.Explain = true
	return st, nil
}

// importInto takes the words IMPORT INTO, and EXPLAIN with what may stand behind it before them.
func (s *clauseScanner) importInto() bool {
	s.explain()
	return s.word("IMPORT") && s.word("INTO")
}

// explain takes EXPLAIN, if it is there, with what may stand behind it: ANALYZE, FORMAT = name. format is "" without one.
func (s *clauseScanner) explain() (is, analyze bool, format string) {
	if !s.word("EXPLAIN") && !s.word("DESC") && !s.word("DESCRIBE") {
		return false, false, ""
	}
	analyze = s.word("ANALYZE")
	if s.word("FORMAT") && s.symbol('=') {
		s.blanks()
		before := s.rest
		if word, rest := cutWord(s.rest); len(word) > 0 {
			s.rest = rest
		} else if len(s.rest) > 0 {
			s.skipSymbol(false)
		}
		format = strings.Trim(string(before[:len(before)-len(s.rest)]), `'"`)
	}
	return true, analyze, format
}

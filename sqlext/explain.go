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
	if s.word("EXPLAIN") || s.word("DESC") || s.word("DESCRIBE") {
		s.word("ANALYZE")
		if s.word("FORMAT") && s.symbol('=') {
			s.blanks()
			if word, rest := cutWord(s.rest); len(word) > 0 {
				s.rest = rest
			} else if len(s.rest) > 0 {
				s.skipSymbol(false)
			}
		}
	}
	return s.word("IMPORT") && s.word("INTO")
}

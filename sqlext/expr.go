package sqlext

import (
	"errors"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// ParseExpr parses an expression in the form of Assignment.Text.
func ParseExpr(text string) (ast.ExprNode, error) {
	nodes, err := parseText("SELECT "+text, mysql.ModeNone)
	if err != nil {
		return nil, err
	}
	if len(nodes) == 1 {
		if s, ok := nodes[0].(*ast.SelectStmt); ok && s.Fields != nil && len(s.Fields.Fields) == 1 && s.Fields.Fields[0].Expr != nil {
			return s.Fields.Fields[0].Expr, nil
		}
	}
	return nil, errors.New("not an expression: " + text)
}

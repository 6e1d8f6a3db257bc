package sqlext

import (
	"sort"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	driver "github.com/pingcap/tidb/pkg/types/parser_driver"
)

// convertAssignments checks the SET clause by TiDB's rules: constants,
// functions of them and of variables of the field list, nothing else.
func convertAssignments(list []*ast.Assignment, fields []Field) ([]Assignment, *Error) {
	checker := &assignmentChecker{vars: map[string]int{}}
	assignments := make([]Assignment, 0, len(list))
	for i, a := range list {
		checker.index = i
		a.Expr.Accept(checker)
		if checker.err != nil {
			return nil, checker.err
		}
		assignments = append(assignments, Assignment{
			Column: a.Column.Name.O, Expr: a.Expr, Text: exprText(a.Expr),
		})
	}
	for _, f := range fields {
		delete(checker.vars, strings.ToLower(f.Var))
	}
	if len(checker.vars) == 0 {
		return assignments, nil
	}
	indexes := make([]int, 0, len(checker.vars))
	for _, i := range checker.vars {
		indexes = append(indexes, i)
	}
	sort.Ints(indexes)
	texts := make([]string, len(indexes))
	for i, n := range indexes {
		texts[i] = strconv.Itoa(n)
	}
	return nil, plainError("column assignment cannot use variables set outside IMPORT INTO statement, index %s",
		strings.Join(texts, ","))
}

// assignmentChecker is an ast.Visitor that keeps the first fault and the user
// variables (lower case) with the index of the assignment that uses them.
type assignmentChecker struct {
	index int
	err   *Error
	vars  map[string]int
}

// Enter implements ast.Visitor.
func (c *assignmentChecker) Enter(node ast.Node) (ast.Node, bool) {
	// A subquery's inside doesn't matter: the subquery itself is the fault.
	if _, ok := node.(*ast.SubqueryExpr); ok {
		c.refuse("subquery")
		return node, true
	}
	return node, c.err != nil
}

// Leave implements ast.Visitor.
func (c *assignmentChecker) Leave(node ast.Node) (ast.Node, bool) {
	if c.err != nil {
		return node, false
	}
	switch n := node.(type) {
	case *ast.ColumnNameExpr:
		c.refuse("COLUMN reference")
	case *ast.VariableExpr:
		switch {
		case n.IsSystem:
			c.refuse("system variable")
		case n.Value != nil:
			c.refuse("setting a variable")
		default:
			c.vars[strings.ToLower(n.Name)] = c.index
		}
	case *ast.DefaultExpr:
		c.refuse("FUNCTION default")
	case *ast.WindowFuncExpr:
		c.refuse("window FUNCTION " + n.Name)
	case *ast.AggregateFuncExpr:
		c.refuse("aggregate FUNCTION " + n.F)
	case *ast.FuncCallExpr:
		c.checkFunc(n)
	case *ast.ValuesExpr:
		c.refuse("VALUES")
	}
	return node, c.err == nil
}

func (c *assignmentChecker) checkFunc(n *ast.FuncCallExpr) {
	switch n.FnName.L {
	case ast.Grouping:
		c.refuse("FUNCTION " + n.FnName.O)
	case ast.SetVar:
		c.refuse("setting a variable")
	case ast.GetVar:
		if len(n.Args) == 0 {
			return
		}
		name, ok := n.Args[0].(*driver.ValueExpr)
		if !ok {
			c.err = plainError("the argument of getvar should be a constant string in IMPORT INTO column assignment, index %d", c.index)
			return
		}
		c.vars[strings.ToLower(name.GetString())] = c.index
	}
}

func (c *assignmentChecker) refuse(what string) {
	if c.err == nil {
		c.err = plainError("%s is not supported in IMPORT INTO column assignment, index %d", what, c.index)
	}
}

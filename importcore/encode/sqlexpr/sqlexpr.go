// Package sqlexpr turns the syntax tree of an SQL expression into an
// expression of TiDB's evaluator, for the places where the values of a row are
// computed: generated columns, CHECK constraints, expression defaults and the
// SET clause.
//
// TiDB's own builder lives in its planner, which can't be linked without
// TiDB's server. What it does for expressions without subqueries, aggregates
// and session state is small, and is done here: types and functions come from
// TiDB's pkg/expression, so that every value, warning and error is TiDB's.
//
//	sqlexpr.go    what an expression may name, entry points, literals, columns
//	operators.go  unary and binary operators, rows, BETWEEN, IN, LIKE, IS
//	functions.go  calls, CAST, CASE, COLLATE
//
// Whatever isn't known is refused, never approximated. tests/exprs holds the
// expressions that come out to those of TiDB's planner.
package sqlexpr

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/expression"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	driver "github.com/pingcap/tidb/pkg/types/parser_driver"
	"github.com/pingcap/tidb/pkg/util/generatedexpr"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Options say what an expression may name.
type Options struct {
	// Table gives the columns, by their names; nil: no column can be named. An
	// expression reads column i of the table from column i of a row.
	Table *model.TableInfo
	// CastArray allows CAST(... AS ... ARRAY), as in a multi-valued index.
	CastArray bool
	// Variables allows user variables, which are read from the context's
	// UserVarsReader as strings.
	Variables bool
}

// Parse reads an expression as TiDB stores it in a schema. The error is a
// *fault.Error.
func Parse(text string) (ast.ExprNode, error) {
	node, err := generatedexpr.ParseExpression(text)
	if err != nil {
		return nil, fault.Wrap(err, fault.Cluster, 0, "the expression %q of the schema can't be parsed", text)
	}
	return node, nil
}

// Build returns the expression of a syntax tree, which it doesn't change. The
// expression belongs to the caller and serves one goroutine at a time. Errors
// are TiDB's, or a *fault.Error for what isn't known here.
func Build(ctx expression.BuildContext, node ast.ExprNode, opts Options) (expression.Expression, error) {
	b := &builder{ctx: ctx, opts: opts}
	return b.build(node)
}

// builder builds one expression.
type builder struct {
	ctx  expression.BuildContext
	opts Options

	// Inside of some functions constants must not be folded, inside of others
	// only if that gives neither error nor warning: these count how many of
	// them are around the node.
	noFold, tryFold int
}

// build dispatches on the kind of node.
func (b *builder) build(node ast.Node) (expression.Expression, error) {
	switch n := node.(type) {
	case *ast.ParenthesesExpr:
		return b.build(n.Expr)
	case *driver.ValueExpr:
		return b.literal(n), nil
	case *ast.ColumnNameExpr:
		return b.column(n.Name)
	case *ast.VariableExpr:
		return b.variable(n)
	case *ast.UnaryOperationExpr:
		return b.unary(n)
	case *ast.BinaryOperationExpr:
		return b.binary(n)
	case *ast.RowExpr:
		return b.row(n)
	case *ast.BetweenExpr:
		return b.between(n)
	case *ast.PatternInExpr:
		return b.in(n)
	case *ast.PatternLikeOrIlikeExpr:
		return b.like(n)
	case *ast.PatternRegexpExpr:
		return b.regexp(n)
	case *ast.IsNullExpr:
		return b.isNull(n)
	case *ast.IsTruthExpr:
		return b.isTruth(n)
	case *ast.FuncCallExpr:
		return b.call(n)
	case *ast.FuncCastExpr:
		return b.cast(n)
	case *ast.CaseExpr:
		return b.caseWhen(n)
	case *ast.SetCollationExpr:
		return b.collate(n)
	case *ast.TrimDirectionExpr:
		return constant(types.NewIntDatum(int64(n.Direction)), mysql.TypeTiny), nil
	case *ast.TimeUnitExpr:
		return constant(types.NewStringDatum(n.Unit.String()), mysql.TypeVarchar), nil
	case *ast.GetFormatSelectorExpr:
		return constant(types.NewStringDatum(n.Selector.String()), mysql.TypeVarchar), nil
	default:
		return nil, unknown(fmt.Sprintf("%T", node))
	}
}

// all builds a list.
func (b *builder) all(nodes []ast.ExprNode) ([]expression.Expression, error) {
	out := make([]expression.Expression, len(nodes))
	for i, n := range nodes {
		var err error
		if out[i], err = b.build(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// function makes a function of an operator or name, with its constants folded
// as far as the surroundings allow.
func (b *builder) function(name string, tp *types.FieldType, args ...expression.Expression) (expression.Expression, error) {
	switch {
	case b.noFold > 0:
		return expression.NewFunctionBase(b.ctx, name, tp, args...)
	case b.tryFold > 0:
		return expression.NewFunctionTryFold(b.ctx, name, tp, args...)
	default:
		return expression.NewFunction(b.ctx, name, tp, args...)
	}
}

// typeOf is the type of an expression; not to be changed.
func (b *builder) typeOf(e expression.Expression) *types.FieldType {
	return e.GetType(b.ctx.GetEvalCtx())
}

// literal makes a constant of a value in the text.
func (b *builder) literal(n *driver.ValueExpr) expression.Expression {
	tp, d := n.Type.Clone(), n.Datum
	if d.IsNull() {
		tp.DelFlag(mysql.NotNullFlag)
	} else {
		tp.AddFlag(mysql.NotNullFlag)
	}
	d.SetValue(d.GetValue(), tp)
	c := &expression.Constant{Value: d, RetType: tp}
	c.SetRepertoire(expression.ASCII)
	if tp.EvalType() == types.ETString && !isASCII(d.GetBytes()) {
		c.SetRepertoire(expression.UNICODE)
	}
	if tp.GetFlag()&mysql.UnderScoreCharsetFlag > 0 && tp.GetCharset() == charset.CharsetUTF8MB4 {
		tp.SetCollate(b.ctx.GetDefaultCollationForUTF8MB4())
	}
	return c
}

func isASCII(text []byte) bool {
	for _, ch := range text {
		if ch >= 0x80 {
			return false
		}
	}
	return true
}

// constant makes a constant whose type says no more than its kind.
func constant(d types.Datum, tp byte) expression.Expression {
	return &expression.Constant{Value: d, RetType: types.NewFieldType(tp)}
}

// column finds a column of the table.
func (b *builder) column(name *ast.ColumnName) (expression.Expression, error) {
	table := b.opts.Table
	if table == nil || name.Table.L != "" && name.Table.L != table.Name.L {
		return nil, unknown("column " + name.String())
	}
	for _, col := range table.Columns {
		if col.Name.L == name.Name.L && col.State == model.StatePublic && !col.Hidden {
			return &expression.Column{
				RetType: col.FieldType.Clone(), ID: col.ID, UniqueID: b.ctx.AllocPlanColumnID(), Index: col.Offset,
				OrigName: table.Name.L + "." + col.Name.L,
			}, nil
		}
	}
	return nil, unknown("column " + name.String())
}

// variable reads a user variable. It has no type yet when the statement is
// built, so it is a string.
func (b *builder) variable(n *ast.VariableExpr) (expression.Expression, error) {
	if !b.opts.Variables || n.IsSystem || n.Value != nil {
		return nil, unknown("variable " + n.Name)
	}
	name := types.NewStringDatum(strings.ToLower(n.Name))
	tp := types.NewFieldType(mysql.TypeVarString)
	tp.SetFlen(mysql.MaxFieldVarCharLength)
	f, err := b.function(ast.GetVar, tp, expression.DatumToConstant(name, mysql.TypeString, 0))
	if err != nil {
		return nil, err
	}
	f.SetCoercibility(expression.CoercibilityImplicit)
	return f, nil
}

func unknown(what string) error {
	return fault.New(fault.User, mysql.ErrNotSupportedYet, "Sluice can't evaluate %s in an expression", what)
}

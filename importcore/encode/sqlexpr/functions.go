package sqlexpr

import (
	"github.com/pingcap/tidb/pkg/expression"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/collate"
	"github.com/pingcap/tidb/pkg/util/dbterror/plannererrors"
)

// call builds a function call.
func (b *builder) call(n *ast.FuncCallExpr) (expression.Expression, error) {
	name := n.FnName.L
	switch name {
	case ast.Grouping, ast.NextVal, ast.LastVal, ast.SetVal, ast.SetVar:
		return nil, unknown("function " + n.FnName.O)
	case ast.GetVar:
		if !b.opts.Variables {
			return nil, unknown("function " + n.FnName.O)
		}
	}
	_, noFold := expression.DisableFoldFunctions[name]
	_, tryFold := expression.TryFoldFunctions[name]
	b.enter(noFold, tryFold, 1)
	args, err := b.scalars(n.Args...)
	b.enter(false, tryFold, -1)
	defer b.enter(noFold, false, -1)
	if err != nil {
		return nil, err
	}
	switch {
	case name == ast.Ifnull && len(args) == 2 && b.neverNull(args[0]):
		return b.ifNullOfColumn(args)
	case name == ast.Nullif && len(args) == 2:
		return b.nullIf(n, args)
	case name == ast.Nullif:
		return nil, expression.ErrIncorrectParameterCount.GenWithStackByArgs(n.FnName.O)
	}
	return b.function(name, n.Type.Clone(), args...)
}

// enter counts the scopes in which folding is restricted.
func (b *builder) enter(noFold, tryFold bool, by int) {
	if noFold {
		b.noFold += by
	}
	if tryFold {
		b.tryFold += by
	}
}

// neverNull reports whether e is a NOT NULL column whose value IFNULL returns as it is.
func (b *builder) neverNull(e expression.Expression) bool {
	col, ok := e.(*expression.Column)
	if !ok || !mysql.HasNotNullFlag(col.RetType.GetFlag()) {
		return false
	}
	tp := col.RetType.GetType()
	return tp != mysql.TypeEnum && tp != mysql.TypeSet
}

// ifNullOfColumn is IFNULL of a NOT NULL column: the column, in IFNULL's type.
func (b *builder) ifNullOfColumn(args []expression.Expression) (expression.Expression, error) {
	tp, err := expression.InferType4ControlFuncs(b.ctx, ast.Ifnull, args...)
	if err != nil {
		return nil, err
	}
	tp.AddFlag((b.typeOf(args[0]).GetFlag() | b.typeOf(args[1]).GetFlag()) & mysql.NotNullFlag)
	return expression.BuildCastFunction(b.ctx, args[0], tp), nil
}

// nullIf is IF(a = b, NULL, a).
func (b *builder) nullIf(n *ast.FuncCallExpr, args []expression.Expression) (expression.Expression, error) {
	equal, err := b.compare(ast.EQ, args[0], args[1])
	if err != nil {
		return nil, err
	}
	tp := types.NewFieldType(mysql.TypeNull)
	flen, decimal := mysql.GetDefaultFieldLengthAndDecimal(mysql.TypeNull)
	tp.SetFlen(flen)
	tp.SetDecimal(decimal)
	null := &expression.Constant{Value: types.NewDatum(nil), RetType: tp}
	return b.function(ast.If, n.Type.Clone(), equal, null, args[0])
}

func (b *builder) cast(n *ast.FuncCastExpr) (expression.Expression, error) {
	if n.Tp.IsArray() && !b.opts.CastArray {
		return nil, expression.ErrNotSupportedYet.GenWithStackByArgs("CAST( .. AS .. ARRAY) outside of an index")
	}
	arg, err := b.scalar(n.Expr)
	if err != nil {
		return nil, err
	}
	if n.Tp.EvalType() == types.ETDuration && n.Tp.GetDecimal() > types.MaxFsp {
		return nil, plannererrors.ErrTooBigPrecision.GenWithStackByArgs(n.Tp.GetDecimal(), "CAST", types.MaxFsp)
	}
	f, err := expression.BuildCastFunctionWithCheck(b.ctx, arg, n.Tp.Clone(), false, n.ExplicitCharSet)
	if err != nil {
		return nil, err
	}
	coercibility, repertoire := expression.CoercibilityNumeric, expression.ASCII
	if n.Tp.EvalType() == types.ETString {
		coercibility = expression.CoercibilityImplicit
		if n.Tp.GetCharset() != charset.CharsetASCII {
			repertoire = expression.UNICODE
		}
	}
	f.SetCoercibility(coercibility)
	f.SetRepertoire(repertoire)
	return f, nil
}

// caseWhen builds CASE; with a value in front, its conditions are comparisons with it.
func (b *builder) caseWhen(n *ast.CaseExpr) (expression.Expression, error) {
	_, noFold := expression.DisableFoldFunctions[ast.Case]
	_, tryFold := expression.TryFoldFunctions[ast.Case]
	b.enter(noFold, tryFold, 1)
	value, args, err := b.caseArgs(n)
	b.enter(false, tryFold, -1)
	defer b.enter(noFold, false, -1)
	if err != nil {
		return nil, err
	}
	if value != nil {
		for i := 0; i+1 < len(args); i += 2 {
			if args[i], err = b.function(ast.EQ, types.NewFieldType(mysql.TypeTiny), value, args[i]); err != nil {
				return nil, err
			}
		}
	}
	return b.function(ast.Case, n.Type.Clone(), args...)
}

// caseArgs builds value (may be nil), conditions with their results, and the ELSE.
func (b *builder) caseArgs(n *ast.CaseExpr) (value expression.Expression, args []expression.Expression, err error) {
	if n.Value != nil {
		if value, err = b.build(n.Value); err != nil {
			return nil, nil, err
		}
	}
	var nodes []ast.ExprNode
	for _, when := range n.WhenClauses {
		nodes = append(nodes, when.Expr, when.Result)
	}
	if n.ElseClause != nil {
		nodes = append(nodes, n.ElseClause)
	}
	args, err = b.scalars(nodes...)
	return value, args, err
}

// collate gives an expression a collation explicitly.
func (b *builder) collate(n *ast.SetCollationExpr) (expression.Expression, error) {
	arg, err := b.build(n.Expr)
	if err != nil {
		return nil, err
	}
	tp := b.typeOf(arg)
	if collate.NewCollationEnabled() {
		info, err := collate.GetCollationByName(n.Collate)
		if err != nil {
			return nil, err
		}
		cs := tp.GetCharset()
		if tp.GetType() == mysql.TypeJSON {
			cs = mysql.UTF8MB4Charset
		}
		if cs != "" && info.CharsetName != cs {
			return nil, charset.ErrCollationCharsetMismatch.GenWithStackByArgs(info.Name, cs)
		}
	}
	if _, isColumn := arg.(*expression.Column); isColumn || tp.GetType() == mysql.TypeJSON {
		if arg, err = b.collateColumn(arg, n.Collate); err != nil {
			return nil, err
		}
	} else {
		tp.SetCollate(n.Collate)
	}
	tp = b.typeOf(arg)
	arg.SetCoercibility(expression.CoercibilityExplicit)
	arg.SetCharsetAndCollation(tp.GetCharset(), tp.GetCollate())
	return arg, nil
}

// collateColumn casts, because the type of a column must not be changed.
func (b *builder) collateColumn(arg expression.Expression, collation string) (expression.Expression, error) {
	to := b.typeOf(arg).Clone()
	switch to.GetType() {
	case mysql.TypeEnum, mysql.TypeSet:
		return nil, plannererrors.ErrNotSupportedYet.GenWithStackByArgs("use collate clause for enum or set")
	case mysql.TypeJSON:
		to = types.NewFieldType(mysql.TypeLongBlob)
		to.SetCharset(mysql.UTF8MB4Charset)
	}
	to.SetCollate(collation)
	return expression.BuildCastFunction(b.ctx, arg, to), nil
}

package sqlexpr

import (
	"github.com/pingcap/tidb/pkg/expression"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/chunk"
	"github.com/pingcap/tidb/pkg/util/collate"
	"github.com/pingcap/tidb/pkg/util/stringutil"
)

func (b *builder) unary(n *ast.UnaryOperationExpr) (expression.Expression, error) {
	arg, err := b.scalar(n.V)
	if err != nil {
		return nil, err
	}
	switch n.Op {
	case opcode.Plus:
		return arg, nil
	case opcode.Minus:
		return b.function(ast.UnaryMinus, n.Type.Clone(), arg)
	case opcode.BitNeg:
		return b.function(ast.BitNeg, n.Type.Clone(), arg)
	case opcode.Not, opcode.Not2:
		return b.function(ast.UnaryNot, n.Type.Clone(), arg)
	default:
		return nil, unknown("operator " + n.Op.String())
	}
}

// scalar builds an operand that must not be a row.
func (b *builder) scalar(node ast.Node) (expression.Expression, error) {
	e, err := b.build(node)
	if err == nil {
		err = expression.CheckArgsNotMultiColumnRow(e)
	}
	return e, err
}

func (b *builder) binary(n *ast.BinaryOperationExpr) (expression.Expression, error) {
	logic := n.Op == opcode.LogicAnd || n.Op == opcode.LogicOr
	if logic {
		b.tryFold++
	}
	l, err := b.build(n.L)
	if err != nil {
		return nil, err
	}
	r, err := b.build(n.R)
	if err != nil {
		return nil, err
	}
	if logic {
		b.tryFold--
	}
	switch n.Op {
	case opcode.EQ, opcode.NE, opcode.NullEQ, opcode.GT, opcode.GE, opcode.LT, opcode.LE:
		return b.compare(n.Op.String(), l, r)
	}
	if err := expression.CheckArgsNotMultiColumnRow(l, r); err != nil {
		return nil, err
	}
	return b.function(n.Op.String(), types.NewFieldType(mysql.TypeUnspecified), l, r)
}

// compare compares two values or two rows of the same length, member by member:
//
//	(a, b) = (x, y)   a = x AND b = y
//	(a, b) <> (x, y)  a <> x OR b <> y
//	(a, b) >= (x, y)  a > x OR (a = x AND b >= y)
func (b *builder) compare(op string, l, r expression.Expression) (expression.Expression, error) {
	n := expression.GetRowLen(l)
	if n != expression.GetRowLen(r) {
		return nil, expression.ErrOperandColumns.GenWithStackByArgs(n)
	}
	if n == 1 {
		return b.function(op, types.NewFieldType(mysql.TypeTiny), l, r)
	}
	member := func(op string, i int) (expression.Expression, error) {
		return b.compare(op, expression.GetFuncArg(l, i), expression.GetFuncArg(r, i))
	}
	alternatives := make([]expression.Expression, 0, n)
	switch op {
	case ast.EQ, ast.NullEQ, ast.NE:
		for i := range n {
			e, err := member(op, i)
			if err != nil {
				return nil, err
			}
			alternatives = append(alternatives, e)
		}
		if op != ast.NE {
			return expression.ComposeCNFCondition(b.ctx, alternatives...), nil
		}
	default:
		for i := range n {
			e, err := b.ordered(op, i, n, member)
			if err != nil {
				return nil, err
			}
			alternatives = append(alternatives, e)
		}
	}
	return expression.ComposeDNFCondition(b.ctx, alternatives...), nil
}

// ordered says that the first i members of two rows of n are equal and the next one decides.
func (b *builder) ordered(op string, i, n int, member func(string, int) (expression.Expression, error)) (expression.Expression, error) {
	if i < n-1 {
		switch op {
		case ast.GE:
			op = ast.GT
		case ast.LE:
			op = ast.LT
		}
	}
	all := make([]expression.Expression, 0, i+1)
	for j := range i {
		e, err := member(ast.EQ, j)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	e, err := member(op, i)
	if err != nil {
		return nil, err
	}
	return expression.ComposeCNFCondition(b.ctx, append(all, e)...), nil
}

func (b *builder) row(n *ast.RowExpr) (expression.Expression, error) {
	members, err := b.all(n.Values)
	if err != nil {
		return nil, err
	}
	return b.function(ast.RowFunc, b.typeOf(members[0]), members...)
}

// negatable makes a function, negated if not is set.
func (b *builder) negatable(not bool, name string, tp *types.FieldType, args ...expression.Expression) (expression.Expression, error) {
	f, err := b.function(name, tp, args...)
	if err != nil || !not {
		return f, err
	}
	return b.function(ast.UnaryNot, tp, f)
}

func (b *builder) isNull(n *ast.IsNullExpr) (expression.Expression, error) {
	arg, err := b.scalar(n.Expr)
	if err != nil {
		return nil, err
	}
	return b.negatable(n.Not, ast.IsNull, n.Type.Clone(), arg)
}

func (b *builder) isTruth(n *ast.IsTruthExpr) (expression.Expression, error) {
	arg, err := b.scalar(n.Expr)
	if err != nil {
		return nil, err
	}
	op := ast.IsTruthWithoutNull
	if n.True == 0 {
		op = ast.IsFalsity
	}
	return b.negatable(n.Not, op, n.Type.Clone(), arg)
}

func (b *builder) regexp(n *ast.PatternRegexpExpr) (expression.Expression, error) {
	args, err := b.scalars(n.Expr, n.Pattern)
	if err != nil {
		return nil, err
	}
	return b.negatable(n.Not, ast.Regexp, n.Type.Clone(), args...)
}

func (b *builder) scalars(nodes ...ast.ExprNode) ([]expression.Expression, error) {
	args, err := b.all(nodes)
	if err == nil {
		err = expression.CheckArgsNotMultiColumnRow(args...)
	}
	return args, err
}

func (b *builder) like(n *ast.PatternLikeOrIlikeExpr) (expression.Expression, error) {
	args, err := b.scalars(n.Expr, n.Pattern)
	if err != nil {
		return nil, err
	}
	cs, collation := b.ctx.GetCharsetInfo()
	if text, ok, err := b.exactPattern(n, args); err != nil || ok {
		if err != nil {
			return nil, err
		}
		tp, op := &types.FieldType{}, ast.EQ
		if n.Not {
			op = ast.NE
		}
		types.DefaultTypeForValue(text, tp, cs, collation)
		return b.compare(op, args[0], &expression.Constant{Value: types.NewStringDatum(text), RetType: tp})
	}
	name := ast.Like
	if !n.IsLike {
		name = ast.Ilike
	}
	tp := &types.FieldType{}
	types.DefaultTypeForValue(int(n.Escape), tp, cs, collation)
	escape := &expression.Constant{Value: types.NewIntDatum(int64(n.Escape)), RetType: tp}
	return b.negatable(n.Not, name, n.Type.Clone(), args[0], args[1], escape)
}

// exactPattern returns the text that a pattern without wildcards stands for:
// with the old collations LIKE is then an equality.
func (b *builder) exactPattern(n *ast.PatternLikeOrIlikeExpr, args []expression.Expression) (string, bool, error) {
	pattern, ok := args[1].(*expression.Constant)
	if !ok || collate.NewCollationEnabled() {
		return "", false, nil
	}
	text, null, err := pattern.EvalString(b.ctx.GetEvalCtx(), chunk.Row{})
	if err != nil || null {
		return "", false, err
	}
	value, kinds := stringutil.CompilePattern(text, n.Escape)
	exact := stringutil.IsExactMatch(kinds) && b.typeOf(args[0]).EvalType() == types.ETString
	return string(value), exact, nil
}

// between is e >= low AND e <= high, all three brought to one type and collation.
func (b *builder) between(n *ast.BetweenExpr) (expression.Expression, error) {
	args, err := b.scalars(n.Expr, n.Left, n.Right)
	if err != nil {
		return nil, err
	}
	common := expression.ResolveType4Between(b.ctx.GetEvalCtx(), [3]expression.Expression(args))
	for i := range args {
		args[i] = b.castTo(common, args[i])
	}
	coll, err := expression.CheckAndDeriveCollationFromExprs(b.ctx, "BETWEEN", types.ETInt, args...)
	if err != nil {
		return nil, err
	}
	low := expression.GetAccurateCmpType(b.ctx.GetEvalCtx(), args[0], args[1])
	high := expression.GetAccurateCmpType(b.ctx.GetEvalCtx(), args[0], args[2])
	for i := range args {
		args[i] = expression.BuildCastCollationFunction(b.ctx, args[i], coll, low != types.ETInt && high != types.ETInt)
	}
	tp := n.Type.Clone()
	ge, err := expression.NewFunction(b.ctx, ast.GE, tp, args[0], args[1])
	if err != nil {
		return nil, err
	}
	le, err := expression.NewFunction(b.ctx, ast.LE, tp, args[0], args[2])
	if err != nil {
		return nil, err
	}
	return b.negatable(n.Not, ast.LogicAnd, tp, ge, le)
}

// castTo brings an operand of BETWEEN to the type in which they are compared.
func (b *builder) castTo(tp types.EvalType, e expression.Expression) expression.Expression {
	switch tp {
	case types.ETInt:
		return expression.WrapWithCastAsInt(b.ctx, e)
	case types.ETReal:
		return expression.WrapWithCastAsReal(b.ctx, e)
	case types.ETDecimal:
		return expression.WrapWithCastAsDecimal(b.ctx, e)
	case types.ETString:
		if b.typeOf(e).EvalType().IsStringKind() {
			return e
		}
		return expression.WrapWithCastAsString(b.ctx, e)
	case types.ETDuration:
		return expression.WrapWithCastAsTime(b.ctx, e, types.NewFieldType(mysql.TypeDuration))
	case types.ETDatetime:
		return expression.WrapWithCastAsTime(b.ctx, e, types.NewFieldType(mysql.TypeDatetime))
	default:
		return e
	}
}

// in is the IN function if all members have the type of the value, and a
// chain of comparisons otherwise.
func (b *builder) in(n *ast.PatternInExpr) (expression.Expression, error) {
	if n.Sel != nil {
		return nil, unknown("a subquery")
	}
	args, err := b.all(append([]ast.ExprNode{n.Expr}, n.List...))
	if err != nil {
		return nil, err
	}
	width := expression.GetRowLen(args[0])
	for _, e := range args[1:] {
		if expression.GetRowLen(e) != width {
			return nil, expression.ErrOperandColumns.GenWithStackByArgs(width)
		}
	}
	left := b.typeOf(args[0])
	if left.GetType() == mysql.TypeNull {
		return expression.NewNull(), nil
	}
	kind := left.EvalType()
	if kind == types.ETInt {
		b.refine(left, args[1:])
	}
	same := true
	for _, e := range args[1:] {
		same = same && (b.typeOf(e).GetType() == mysql.TypeNull || expression.GetAccurateCmpType(b.ctx.GetEvalCtx(), args[0], e) == kind)
	}
	if same && width == 1 && len(args) > 2 {
		return b.negatable(n.Not, ast.In, n.Type.Clone(), args...)
	}
	return b.anyEqual(n, args, width)
}

// refine turns constants that an integer is looked for among into integers where that changes nothing.
func (b *builder) refine(left *types.FieldType, members []expression.Expression) {
	for i, e := range members {
		if c, ok := e.(*expression.Constant); ok {
			if refined, exceptional := expression.RefineComparedConstant(b.ctx, *left, c, opcode.EQ); !exceptional {
				members[i] = refined
			}
		}
	}
}

// anyEqual writes IN as comparisons.
func (b *builder) anyEqual(n *ast.PatternInExpr, args []expression.Expression, width int) (expression.Expression, error) {
	if width == 1 {
		coll, err := expression.CheckAndDeriveCollationFromExprs(b.ctx, "IN", types.ETInt, args...)
		if err != nil {
			return nil, err
		}
		if collate.NewCollationEnabled() {
			for i := range args[1:] {
				args[i+1] = b.collated(args[0], args[i+1], coll)
			}
		}
	}
	equal := make([]expression.Expression, 0, len(args)-1)
	for _, e := range args[1:] {
		eq, err := b.compare(ast.EQ, args[0], e)
		if err != nil {
			return nil, err
		}
		equal = append(equal, eq)
	}
	f := expression.ComposeDNFCondition(b.ctx, equal...)
	if !n.Not {
		return f, nil
	}
	return b.function(ast.UnaryNot, n.Type.Clone(), f)
}

// collated gives a string member of IN the collation of the whole.
func (b *builder) collated(left, e expression.Expression, coll *expression.ExprCollation) expression.Expression {
	tp := b.typeOf(e)
	if tp.EvalType() != types.ETString || tp.GetCollate() == coll.Collation {
		return e
	}
	if f, ok := e.(*expression.ScalarFunction); ok && f.FuncName.L == ast.RowFunc {
		return e
	}
	to := tp.Clone()
	switch {
	case tp.Hybrid():
		if expression.GetAccurateCmpType(b.ctx.GetEvalCtx(), left, e) != types.ETString {
			return e
		}
		to = types.NewFieldType(mysql.TypeVarString)
	case coll.Charset == charset.CharsetBin:
		to.SetType(mysql.TypeVarString) // a fixed length would be filled up with zero bytes
	}
	to.SetCharset(coll.Charset)
	to.SetCollate(coll.Collation)
	e = expression.BuildCastFunction(b.ctx, e, to)
	e.SetCoercibility(expression.CoercibilityExplicit)
	return e
}

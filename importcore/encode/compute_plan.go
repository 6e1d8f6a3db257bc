package encode

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/expression"
	"github.com/pingcap/tidb/pkg/expression/exprstatic"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/ast"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/importcore/encode/sqlexpr"
	"github.com/sluicedb/sluice/importcore/fault"
)

// computePlan is what of a row is computed rather than read: in the order in
// which an INSERT does it,
//
//	SET clause, expression defaults → auto ids → generated columns → CHECK constraints
//
// Each works on the few columns that it names; all others stay cells.
type computePlan struct {
	sets      []computedColumn
	defaults  []computedColumn
	generated []computedColumn // in table order: one may read those before it
	checks    []check

	inputs    []int    // offsets of columns, generated ones not among them, that the last two read
	variables []string // of the field list, in lower case
	sequences []SequenceUse
}

// computedColumn is a column that gets the value of an expression.
type computedColumn struct {
	offset int
	expr   ast.ExprNode
	opts   sqlexpr.Options

	perRow   bool // built anew for every row: RAND(n) starts again
	read     bool // generated: a later expression reads it
	sequence int  // default NEXTVAL: index into sequences, else -1
	slot     int  // which of the row's values of the sequence
}

// check is a CHECK constraint that is enforced.
type check struct {
	name string
	expr ast.ExprNode
	opts sqlexpr.Options
}

// SequenceUse is a sequence that rows take values from.
type SequenceUse struct {
	DB, Name string
	PerRow   int // values that one row takes
}

// Sequences returns the sequences whose values rows need; see
// Encoder.UseSequences. Not to be changed.
func (p *Plan) Sequences() []SequenceUse {
	if p.compute == nil {
		return nil
	}
	return p.compute.sequences
}

// compileCompute finds out what is to be computed; plan.compute stays nil if
// nothing is. The columns are compiled.
func (p *Plan) compileCompute() error {
	c := &computePlan{}
	for _, a := range p.cfg.Mapping.Assigned() {
		c.sets = append(c.sets, computedColumn{offset: a.Column, expr: a.Expr, opts: sqlexpr.Options{Variables: true}, sequence: -1})
	}
	for _, info := range p.cfg.Target.Columns() {
		var err error
		switch {
		case info.IsGenerated():
			err = c.addGenerated(p.cfg.Target.Info, info)
		case info.DefaultIsExpr && !p.columns[info.Offset].hasValue && !p.generates(info):
			err = c.addDefault(p.cfg.Target.DB, info)
		}
		if err != nil {
			return err
		}
	}
	if err := c.addChecks(p.cfg.Target.Info); err != nil {
		return err
	}
	if len(c.sets)+len(c.defaults)+len(c.generated)+len(c.checks) == 0 {
		return nil
	}
	if len(c.sets) > 0 {
		c.nameVariables(p)
	}
	p.compute = c
	return p.tryCompute()
}

// nameVariables numbers the variables of the field list. The last field of one name counts.
func (c *computePlan) nameVariables(p *Plan) {
	for i := range p.fields {
		name := p.cfg.Mapping.Var(i)
		if name == "" {
			continue
		}
		at := slices.Index(c.variables, name)
		if at < 0 {
			at = len(c.variables)
			c.variables = append(c.variables, name)
		}
		p.fields[i].variable = at + 1
	}
}

func (c *computePlan) addGenerated(table *model.TableInfo, info *model.ColumnInfo) error {
	node, err := sqlexpr.Parse(info.GeneratedExprString)
	if err != nil {
		return err
	}
	c.generated = append(c.generated, computedColumn{
		offset: info.Offset, expr: node, opts: sqlexpr.Options{Table: table, CastArray: true}, sequence: -1,
	})
	return nil
}

func (c *computePlan) addDefault(db string, info *model.ColumnInfo) error {
	text, ok := info.GetDefaultValue().(string)
	if !ok {
		return fault.New(fault.Cluster, 0, "the default of column %s is an expression without text", info.Name.O)
	}
	node, err := sqlexpr.Parse(text)
	if err != nil {
		return err
	}
	col := computedColumn{offset: info.Offset, expr: node, perRow: drawsFromSeed(node), sequence: -1}
	if seq := sequenceOf(node); seq != nil {
		use := SequenceUse{DB: seq.Schema.O, Name: seq.Name.O}
		if use.DB == "" {
			use.DB = db
		}
		col.sequence, col.slot = c.useSequence(use)
	}
	c.defaults = append(c.defaults, col)
	return nil
}

// sequenceOf returns the sequence of NEXTVAL(sequence), which TiDB allows as a
// default by itself only.
func sequenceOf(node ast.ExprNode) *ast.TableName {
	f, ok := node.(*ast.FuncCallExpr)
	if !ok || f.FnName.L != ast.NextVal || len(f.Args) != 1 {
		return nil
	}
	if arg, ok := f.Args[0].(*ast.TableNameExpr); ok {
		return arg.Name
	}
	return nil
}

// useSequence counts one more value per row of a sequence.
func (c *computePlan) useSequence(use SequenceUse) (index, slot int) {
	at := slices.IndexFunc(c.sequences, func(u SequenceUse) bool {
		return strings.EqualFold(u.DB, use.DB) && strings.EqualFold(u.Name, use.Name)
	})
	if at < 0 {
		at = len(c.sequences)
		c.sequences = append(c.sequences, use)
	}
	c.sequences[at].PerRow++
	return at, c.sequences[at].PerRow - 1
}

// drawsFromSeed reports whether RAND(n) is in the expression. TiDB builds a
// default anew for every row, so that each gets the first number of the seed.
func drawsFromSeed(node ast.ExprNode) bool {
	v := &seedFinder{}
	node.Accept(v)
	return v.found
}

type seedFinder struct{ found bool }

// Enter implements ast.Visitor.
func (v *seedFinder) Enter(node ast.Node) (ast.Node, bool) {
	if f, ok := node.(*ast.FuncCallExpr); ok && f.FnName.L == ast.Rand && len(f.Args) > 0 {
		v.found = true
	}
	return node, v.found
}

// Leave implements ast.Visitor.
func (v *seedFinder) Leave(node ast.Node) (ast.Node, bool) { return node, true }

// addChecks takes the constraints that TiDB checks: those that are enforced
// and whose columns are all there. The variable tidb_enable_check_constraint
// doesn't matter: it decides about the making of constraints.
func (c *computePlan) addChecks(table *model.TableInfo) error {
	for _, con := range table.Constraints {
		gone := slices.ContainsFunc(con.ConstraintCols, func(name pmodel.CIStr) bool { return table.FindPublicColumnByName(name.L) == nil })
		if !con.Enforced || gone || con.State == model.StateDeleteOnly || con.State == model.StateDeleteReorganization {
			continue
		}
		node, err := sqlexpr.Parse(con.ExprString)
		if err != nil {
			return err
		}
		c.checks = append(c.checks, check{name: con.Name.O, expr: node, opts: sqlexpr.Options{Table: table}})
	}
	return nil
}

// tryCompute builds everything once: what can't be built is refused before a
// job starts. It also finds which columns the expressions read.
func (p *Plan) tryCompute() error {
	e, err := p.newComputed(newConverter(&p.cfg))
	if err != nil {
		return err
	}
	c := p.compute
	for _, built := range [][]expression.Expression{e.generated, e.checks} {
		for _, expr := range built {
			for _, col := range expression.ExtractColumns(expr) {
				c.addInput(p, col.Index)
			}
		}
	}
	return nil
}

func (c *computePlan) addInput(p *Plan, offset int) {
	if i := slices.IndexFunc(c.generated, func(g computedColumn) bool { return g.offset == offset }); i >= 0 {
		c.generated[i].read = true
		return
	}
	if slices.Contains(c.inputs, offset) {
		return
	}
	c.inputs = append(c.inputs, offset)
	if col := &p.columns[offset]; col.parse != nil && col.mayBeOdd() {
		col.parse = readable(col.parse)
	}
}

// readable is a parser for columns that expressions read: it leaves what is odd
// to the general conversion.
func readable(parse parser) parser {
	return func(e *Encoder, col *column, field []byte, c *cell) bool {
		c.odd = false
		if !parse(e, col, field, c) {
			return false
		}
		switch col.class {
		case classFloat:
			return c.u != floatBits(0) || field[0] != '-'
		case classDecimal: // TiDB's decimals have no room for all zeros of a number with too many digits
			return words(len(field))+words(col.scale) <= maxWords
		default:
			return true
		}
	}
}

// checkConstraintContext is what TiDB builds CHECK constraints with, whatever the session.
func checkConstraintContext() expression.BuildContext { return exprstatic.NewExprContext() }

// buildError gives an expression that can't be built a code and a name.
func buildError(what string, err error) error {
	if fault.As(err) != nil {
		return err
	}
	code, message := codeOf(err)
	if code == 0 {
		code = errno.ErrUnknown
	}
	return fault.New(fault.User, code, "%s: %s", what, message)
}

// needsSession refuses an expression that asks for a part of a session that
// a job doesn't have.
func (cv *converter) needsSession(what string, e expression.Expression) error {
	missing := expression.GetOptionalEvalPropsForExpr(e) &^ cv.ctx.GetEvalCtx().GetOptionalPropSet()
	if missing == 0 {
		return nil
	}
	return fault.New(fault.User, mysql.ErrNotSupportedYet,
		"Sluice can't evaluate %s: it depends on the state of a session", what)
}

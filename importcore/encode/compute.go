package encode

import (
	"errors"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/expression"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/terror"
	tidbtable "github.com/pingcap/tidb/pkg/table"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/chunk"

	"github.com/sluicedb/sluice/importcore/encode/sqlexpr"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// computed is an encoder's own copy of the expressions of a plan: some keep
// state while they are evaluated.
type computed struct {
	plan      *computePlan
	sets      []expression.Expression
	defaults  []expression.Expression // nil where a sequence gives the value
	generated []expression.Expression
	checks    []expression.Expression

	row       chunk.MutRow // the row that expressions read; only inputs are set
	reads     *converter   // of computeAsRead; nil until it is needed
	sequences sequenceValues
}

// newComputed builds the expressions; nil if the plan has none.
func (p *Plan) newComputed(cv *converter) (*computed, error) {
	c := p.compute
	if c == nil {
		return nil, nil
	}
	if err := cv.loadSysVars(p.cfg.SysVars); err != nil {
		return nil, err
	}
	e := &computed{plan: c}
	if cv.vars.names = c.variables; len(c.variables) > 0 {
		cv.vars.values = make([]types.Datum, len(c.variables))
	}
	for _, part := range []struct {
		columns []computedColumn
		to      *[]expression.Expression
		what    string
	}{
		{c.sets, &e.sets, "the assignment of column "},
		{c.defaults, &e.defaults, "the default of column "},
		{c.generated, &e.generated, "generated column "},
	} {
		for i := range part.columns {
			expr, err := cv.buildColumn(p, &part.columns[i], part.what)
			if err != nil {
				return nil, err
			}
			*part.to = append(*part.to, expr)
		}
	}
	for _, ch := range c.checks {
		expr, err := sqlexpr.Build(checkConstraintContext(), ch.expr, ch.opts)
		if err != nil {
			return nil, buildError("CHECK constraint "+ch.name, err)
		}
		e.checks = append(e.checks, expr)
	}
	if len(e.generated)+len(e.checks) > 0 {
		var tps []*types.FieldType
		for i := range p.columns {
			tps = append(tps, &p.cfg.Target.Info.Columns[i].FieldType)
		}
		e.row = chunk.MutRowFromTypes(tps)
	}
	cv.sink.pending = cv.sink.pending[:0] // what folding warned of comes again with every row
	return e, nil
}

func (cv *converter) buildColumn(p *Plan, col *computedColumn, what string) (expression.Expression, error) {
	if col.sequence >= 0 {
		return nil, nil
	}
	what += p.columns[col.offset].info.Name.O
	expr, err := sqlexpr.Build(cv.ctx, col.expr, col.opts)
	if err != nil {
		return nil, buildError(what, err)
	}
	return expr, cv.needsSession(what, expr)
}

// setVariable keeps a field for the SET clause.
func (e *Encoder) setVariable(i int, field *format.Field) error {
	d := &e.conv.vars.values[i]
	if field.Null {
		d.SetNull()
		return nil
	}
	if field.Kind != format.Text {
		v, err := literal(field)
		if err != nil {
			return err
		}
		*d = v
		return nil
	}
	// A copy: warnings keep parts of it after the field is gone.
	*d = types.NewStringDatum(string(field.Bytes))
	return nil
}

// computeValues sets the cells of the SET clause and of expression defaults.
func (e *Encoder) computeValues(rowID int64) error {
	if e.broken != nil {
		return e.broken
	}
	c := e.computed
	for i := range c.plan.sets {
		if err := e.compute(c.plan.sets[i].offset, c.sets[i]); err != nil {
			return err
		}
	}
	for i := range c.plan.defaults {
		if err := e.computeDefault(&c.plan.defaults[i], c.defaults[i], rowID); err != nil {
			return err
		}
	}
	return nil
}

func (e *Encoder) computeDefault(to *computedColumn, expr expression.Expression, rowID int64) error {
	if to.sequence >= 0 {
		v, err := e.computed.sequences.value(e.plan, to, rowID)
		if err != nil {
			return err
		}
		return e.store(to.offset, types.NewIntDatum(v))
	}
	if to.perRow {
		var err error
		if expr, err = e.conv.buildColumn(e.plan, to, "the default of column "); err != nil {
			return err
		}
	}
	return e.compute(to.offset, expr)
}

// compute sets a cell to the value of an expression.
func (e *Encoder) compute(offset int, expr expression.Expression) error {
	var row chunk.Row
	if e.computed.row != (chunk.MutRow{}) {
		row = e.computed.row.ToRow()
	}
	ctx := e.conv.ctx.GetEvalCtx()
	d, err := expr.Eval(ctx, row)
	if tc := ctx.TypeCtx(); err != nil && !e.plan.columns[offset].info.FieldType.IsArray() {
		err = tc.HandleTruncate(err) // under a lax SQL mode a warning
	}
	if err != nil {
		return e.evalError(offset, err)
	}
	return e.store(offset, d)
}

// store sets a cell to a computed value, converted to the column's type.
func (e *Encoder) store(offset int, d types.Datum) error {
	col, c := &e.plan.columns[offset], &e.cells[offset]
	if err := e.conv.store(col, d, c); err != nil {
		return e.indexError(col, err)
	}
	if c.null {
		return e.setNull(offset, col, c)
	}
	return nil
}

// computeGenerated sets the cells of generated columns and checks the
// constraints. All other cells are complete.
func (e *Encoder) computeGenerated() error {
	c, odd := e.computed, false
	for _, offset := range c.plan.inputs {
		if err := e.show(offset, (*converter).inserted); err != nil {
			return err
		}
		odd = odd || e.cells[offset].odd
	}
	for i := range c.plan.generated {
		to := &c.plan.generated[i]
		if err := e.compute(to.offset, c.generated[i]); err != nil {
			return err
		}
		if to.read {
			if err := e.show(to.offset, (*converter).inserted); err != nil {
				return err
			}
			odd = odd || e.cells[to.offset].odd
		}
	}
	for i, expr := range c.checks {
		ok, null, err := expr.EvalInt(e.conv.ctx.GetEvalCtx(), c.row.ToRow())
		if err != nil {
			code, message := codeOf(err)
			return fault.New(fault.Source, code, "%s", message)
		}
		if ok == 0 && !null {
			return fault.New(fault.Source, errno.ErrCheckConstraintViolated, "Check constraint '%s' is violated.", c.plan.checks[i].name)
		}
	}
	e.conv.sink.pending = e.conv.sink.pending[:0] // a check's result counts, not its warnings
	if odd {
		if err := e.computeAsRead(); err != nil {
			return err
		}
	}
	if e.plan.multi > 0 {
		return e.findMembers()
	}
	return nil
}

// computeAsRead computes the virtual columns of a row with odd cells once more,
// from what the row's columns hold. An INSERT doesn't, and then its index
// entries for them are not those by which reads look for the row, and ADMIN
// CHECK TABLE calls the table inconsistent.
func (e *Encoder) computeAsRead() error {
	c := e.computed
	for _, offset := range c.plan.inputs {
		if err := e.show(offset, (*converter).stored); err != nil {
			return err
		}
	}
	if c.reads == nil {
		var err error
		if c.reads, err = newReads(e.plan.cfg); err != nil {
			return err
		}
	}
	for i := range c.plan.generated {
		to, as := &c.plan.generated[i], (*converter).stored
		col := &e.plan.columns[to.offset]
		if col.info.IsVirtualGenerated() {
			as = (*converter).inserted // nothing of it is stored
			if err := c.reads.compute(c.generated[i], c.row.ToRow(), col, &e.cells[to.offset]); err != nil {
				return err
			}
		}
		if to.read {
			if err := e.show(to.offset, as); err != nil {
				return err
			}
		}
	}
	return nil
}

// newReads is a converter as reads have it: lax.
func newReads(cfg Config) (*converter, error) {
	cfg.SQLMode &^= mysql.ModeStrictTransTables | mysql.ModeStrictAllTables
	cv := newConverter(&cfg)
	return cv, cv.loadSysVars(cfg.SysVars)
}

// compute sets the cell of a virtual column to what a read gives. If that is an
// error it stays what it is; so it does for the members of an array.
func (cv *converter) compute(expr expression.Expression, row chunk.Row, col *column, c *cell) error {
	if col.info.FieldType.IsArray() {
		return nil
	}
	d, err := expr.Eval(cv.ctx.GetEvalCtx(), row)
	if err == nil {
		d, err = tidbtable.CastColumnValue(cv.ctx, d, col.info, false, true)
	}
	clear(cv.sink.pending)
	cv.sink.pending = cv.sink.pending[:0]
	if err != nil {
		return nil
	}
	if d.IsNull() && col.notNull {
		d = tidbtable.GetZeroValue(col.info)
	}
	if err = cv.setCell(&d, c); err != nil {
		return cv.fail(col, nil, err)
	}
	return nil
}

// show makes a cell readable for expressions.
func (e *Encoder) show(offset int, as func(*converter, *column, *cell) (types.Datum, error)) error {
	col := &e.plan.columns[offset]
	d, err := as(e.conv, col, &e.cells[offset])
	if err != nil {
		return fault.Wrap(err, fault.Sluice, 0, "column %s can't be read back", col.info.Name.O)
	}
	e.computed.row.SetDatum(offset, d)
	return nil
}

// evalError is the error of an expression, which has TiDB's code whatever the column's type.
func (e *Encoder) evalError(offset int, err error) error {
	col := &e.plan.columns[offset]
	e.conv.sink.pending = e.conv.sink.pending[:0]
	code, message := codeOf(err)
	return e.indexError(col, fault.New(fault.Source, code, "%s", message).Place(fault.Position{Column: col.info.Name.O}))
}

// indexError gives errors of a multi-valued index's hidden column the codes
// that INSERT gives them, which name the index.
func (e *Encoder) indexError(col *column, err error) error {
	f := fault.As(err)
	if f == nil || !col.info.FieldType.IsArray() {
		return err
	}
	name := "expression_index"
	for _, idx := range e.plan.cfg.Target.Info.Indices {
		for _, ic := range idx.Columns {
			if ic.Offset == col.info.Offset {
				name = idx.Name.O
			}
		}
	}
	switch f.Code {
	case errno.ErrInvalidJSONValueForFuncIndex:
		f.Message = "Invalid JSON value for CAST for expression index '" + name + "'"
	case errno.ErrDataOutOfRange, errno.ErrWarnDataOutOfRange:
		f.Code = errno.ErrDataOutOfRangeFunctionalIndex
		f.Message = "Value is out of range for expression index '" + name + "'"
	case errno.ErrDataTooLong:
		f.Code = errno.ErrFunctionalIndexDataIsTooLong
		f.Message = "Data too long for expression index '" + name + "'"
	}
	return err
}

// codeOf returns the code and text of an error of TiDB's libraries.
func codeOf(err error) (code uint16, message string) {
	var known *terror.Error
	if !errors.As(innermost(err), &known) {
		return errno.ErrUnknown, err.Error()
	}
	return uint16(known.Code()), known.GetMsg()
}

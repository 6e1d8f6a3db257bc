package encode

import (
	"github.com/pingcap/tidb/pkg/expression"
	"github.com/pingcap/tidb/pkg/types"
)

// numberOf is the number by which RANGE, LIST and HASH place a row: that of an
// integer column, or of TiDB's expression over the partition columns.
type numberOf struct {
	column int      // its cell is the number, if there is no expression
	expr   exprPlan // see there
	memo   bool     // one column with a number in its cell: results are remembered
}

// exprPlan is an expression over columns. It is empty for none.
type exprPlan struct {
	expr  expression.Expression
	args  []int // offsets of its columns, by their index in the row that it reads
	types []*types.FieldType
}

// memoEntry is what the expression gave for a cell that was met before. Days
// and other dates repeat all the time, and evaluating costs far more than
// looking.
type memoEntry struct {
	u     uint64
	v     int64
	known bool
	null  bool
}

const (
	memoBits    = 10
	memoEntries = 1 << memoBits
)

// of returns the row's number.
func (n *numberOf) of(e *Encoder) (v int64, null bool, err error) {
	if n.expr.expr == nil {
		c := &e.cells[n.column]
		return int64(c.u), c.null, nil
	}
	c := &e.cells[n.column]
	if !n.memo || c.null {
		return n.expr.eval(e)
	}
	entry := &e.part.memo[c.u*0x9E3779B97F4A7C15>>(64-memoBits)]
	if entry.known && entry.u == c.u {
		return entry.v, entry.null, nil
	}
	if v, null, err = n.expr.eval(e); err == nil {
		*entry = memoEntry{u: c.u, v: v, known: true, null: null}
	}
	return v, null, err
}

// eval evaluates the expression as an INSERT does.
func (x *exprPlan) eval(e *Encoder) (v int64, null bool, err error) {
	for i, offset := range x.args {
		if e.part.args[i], err = e.conv.stored(&e.plan.columns[offset], &e.cells[offset]); err != nil {
			return 0, false, err
		}
	}
	e.part.row.SetDatums(e.part.args...)
	v, null, err = e.part.expr.EvalInt(e.conv.ctx.GetEvalCtx(), e.part.row.ToRow())
	// What it warned of is no value of the table.
	clear(e.conv.sink.pending)
	e.conv.sink.pending = e.conv.sink.pending[:0]
	return v, null, err
}

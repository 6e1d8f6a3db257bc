package importcore

import (
	"bytes"
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/table"
)

// badRows is what becomes of rows that are wrong, for the splitter and the
// workers of one job. By default the job ends with the first one in the order
// of the files; with MaxErrors, rows are left out and recorded.
type badRows struct {
	// collector is nil by default.
	collector *badrows.Collector

	// The default: the error of the earliest block that has one.
	seq atomic.Int64 // of the block with err; MaxInt64 while there is none
	mu  sync.Mutex
	err error
}

func (r *run) newBadRows() *badRows {
	b := &badRows{}
	b.seq.Store(math.MaxInt64)
	if r.plan.Task.MaxErrors > 0 {
		b.collector = r.bad
	}
	return b
}

// errorLimit is how many bad rows the import may have, or all that it has the limit in common with.
func (t *ImportTask) errorLimit() *badrows.Limit {
	if t.ErrorLimit != nil {
		return t.ErrorLimit
	}
	return badrows.NewLimit(t.MaxErrors)
}

// found reports whether there is no need to split the files any further.
func (b *badRows) found() bool { return b.seq.Load() != math.MaxInt64 }

// before reports whether a block need not be looked at, because one before it
// ends the job.
func (b *badRows) before(seq int64) bool { return seq > b.seq.Load() }

// block returns where to record a block's rows, nil if the first one ends the
// job. A worker is idle while it waits for blocks before its own, which may need the
// memory of its arena.
func (b *badRows) block(seq int64, idle func(context.Context) error) *badrows.Block {
	if b.collector == nil {
		return nil
	}
	block := b.collector.Block(seq)
	block.Idle = idle
	return block
}

// ended takes the outcome of a block. It returns the error that has to end the
// worker.
func (b *badRows) ended(ctx context.Context, seq int64, left *badrows.Block, err error) error {
	if left != nil {
		if err == nil {
			err = left.Done(ctx)
		}
		return err
	}
	if isRowFault(err) {
		b.report(seq, err)
		return nil
	}
	return err
}

// lost takes an error of the data that the splitter has met behind the last
// block, which has the number before seq.
func (b *badRows) lost(ctx context.Context, seq int64, err error) error {
	if b.collector != nil {
		return b.collector.Block(seq).Fail(ctx, err)
	}
	b.report(seq, err)
	return nil
}

func (b *badRows) report(seq int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seq < b.seq.Load() {
		b.seq.Store(seq)
		b.err = err
	}
}

// end takes what the workers and the splitter, which are all done, have ended
// with, and returns the error of the whole. What was recorded is kept, however
// it went.
func (b *badRows) end(ctx context.Context, err error) error {
	if b.err != nil {
		return b.err
	}
	if b.collector == nil {
		return err
	}
	flushErr := b.flush(ctx)
	if err == nil {
		err = flushErr
	}
	return err
}

// flushGrace is how long a job that has been stopped may take to keep what it has recorded.
const flushGrace = 10 * time.Second

// flush keeps what was recorded, also of a job that has been stopped, as by too many bad rows of another table: they are counted there. One that
// is another's by now doesn't write any more.
func (b *badRows) flush(ctx context.Context) error {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrNotOwner) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
		defer cancel()
	}
	return b.collector.Flush(ctx)
}

// rowFault marks an error as one of the data, to be ordered by place.
type rowFault struct{ error }

func (e *rowFault) Unwrap() error { return e.error }

func isRowFault(err error) bool {
	var f *rowFault
	return errors.As(err, &f)
}

// unreadable takes a reader's error. It returns nil if reading can go on.
func (w *worker) unreadable(ctx context.Context, left *badrows.Block, err error) error {
	if left == nil {
		return &rowFault{err}
	}
	f := fault.As(err)
	if f == nil || f.Whose != fault.Source {
		return err
	}
	row := (*format.BadRow)(nil)
	if !errors.As(err, &row) {
		return left.Fail(ctx, err)
	}
	if row.Value != nil {
		return left.Add(ctx, badrows.New(badrows.Charset, f, row.Value))
	}
	return left.Add(ctx, badrows.New(badrows.Syntax, f, w.rowText()))
}

// unfit takes the error, with its place, of a row that can't be encoded. It
// returns nil if the row is left out.
func (w *worker) unfit(ctx context.Context, left *badrows.Block, err error, fields []format.Field) error {
	if left == nil {
		return &rowFault{err}
	}
	f := fault.As(err)
	if f == nil || f.Whose != fault.Source {
		return err
	}
	class, value := badrows.Type, w.rowText()
	switch f.Code {
	case errno.ErrWarnTooFewRecords, errno.ErrWarnTooManyRecords:
		class = badrows.Syntax
	case errno.ErrTruncatedWrongValueForField:
		if w.plan.isText(f.At.Column) {
			class = badrows.Charset
		}
	}
	if f.At.Column != "" {
		value = w.layout.fieldValue(w.plan.target, f.At.Column, fields)
	}
	return left.Add(ctx, badrows.New(class, f, value))
}

// rowText returns the present row as it stands in the file, without its line end.
func (w *worker) rowText() []byte { return bytes.TrimRight(w.reader.Row(), "\r\n") }

// isText reports whether a column holds text in a character set.
func (p *Plan) isText(column string) bool {
	for _, col := range p.target.Columns() {
		if col.Name.O == column {
			return types.IsString(col.GetType()) && col.GetCharset() != charset.CharsetBin
		}
	}
	return false
}

// fieldValue returns the field that a column gets its value from, or nil if
// there is none or it is NULL.
func (l *layout) fieldValue(target *table.Target, column string, fields []format.Field) []byte {
	for _, col := range target.Columns() {
		if col.Name.O != column {
			continue
		}
		if i := l.mapping.Field(col.Offset); i >= 0 && i < len(fields) && !fields[i].Null {
			return append([]byte{}, fields[i].Bytes...)
		}
	}
	return nil
}

package logical

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// lane takes blocks and brings their rows in, a batch at a time. It is one goroutine's.
type lane struct {
	*run
	feeder *feeder
	row    laneRow // as its last transaction has left it
	reader format.RowReader
	forms  map[*Layout]*form
	batch  batch
	// counted are the rows that the present batch leaves out, as far as the task's limit knows of them.
	counted []reject
	// again finds rows of the present block once more; nil until one is looked for.
	again format.RowReader
}

// work ends when there are no blocks any more.
func (l *lane) work(ctx context.Context) error {
	for {
		select {
		case block, ok := <-l.feeder.out:
			if !ok {
				return nil
			}
			err := l.take(ctx, block)
			block.Release()
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take brings a block in.
func (l *lane) take(ctx context.Context, block fedBlock) error {
	if l.bad.before(block.seq) {
		return nil
	}
	err := l.block(ctx, block)
	if f := (*rowFault)(nil); errors.As(err, &f) {
		l.bad.report(block.seq, f.error)
		return nil
	}
	if err == nil {
		l.feeder.ended(block.seq)
	}
	return err
}

// rowFault marks an error as one of the data, to be ordered by place.
type rowFault struct{ error }

// Unwrap returns the error.
func (e *rowFault) Unwrap() error { return e.error }

// formFor returns what a block's rows become.
func (l *lane) formFor(block *format.Block) (*form, error) {
	layout, err := l.task.Source.Layout(block)
	if err != nil {
		return nil, err
	}
	f := l.forms[layout]
	if f == nil {
		if f, err = l.task.Table.compile(layout, l.task.OnDuplicate); err != nil {
			return nil, err
		}
		l.forms[layout] = f
	}
	return f, nil
}

// block reads a block's rows and commits them.
func (l *lane) block(ctx context.Context, block fedBlock) error {
	f, err := l.formFor(block.Block)
	if err != nil {
		return err
	}
	l.reader.Reset(block.Block)
	l.batch.reset(f, 0)
	row := int32(0)
	for ; ; row++ {
		fields, err := l.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			err = f.usable(err, l.reader, block.File.Path)
		}
		if holds(block.done, block.FirstRow+int64(row)) {
			if err != nil && !readsOn(err) {
				return err
			}
			continue
		}
		if err == nil {
			err = l.add(ctx, block, fields, row)
		}
		if err != nil {
			if err = l.unreadable(block, row, err); err != nil {
				return err
			}
			if len(l.batch.rejects) >= maxRejects {
				if err := l.flush(ctx, block, row+1); err != nil {
					return err
				}
			}
		}
	}
	if int64(row) != block.Rows {
		return fault.New(fault.Sluice, 0, "a block of %s at offset %d was counted to hold %d rows, but %d were read",
			block.File.Path, block.Offset, block.Rows, row)
	}
	return l.flush(ctx, block, row)
}

// add puts a row into the batch, which is committed before where it has no more room.
func (l *lane) add(ctx context.Context, block fedBlock, fields []format.Field, row int32) error {
	f := l.batch.form
	if err := l.batch.add(fields, row); err != nil {
		return l.place(err, block, l.reader.Place())
	}
	size := l.batch.size()
	if limit := l.target.maxPacket - len(f.head) - len(f.tail) - packetRest; size > limit {
		l.batch.drop()
		return l.place(fault.New(fault.Source, codePacketTooLarge,
			"the row takes %d bytes of a statement, the server's max_allowed_packet (%d) allows %d", size, l.target.maxPacket, max(limit, 0)), block, l.reader.Place())
	}
	if n := len(l.batch.ends); n == 1 || len(l.batch.text) <= l.task.BatchBytes && n <= l.task.BatchRows {
		return nil
	}
	l.batch.drop()
	if err := l.flush(ctx, block, row); err != nil {
		return &fatal{err}
	}
	return l.batch.add(fields, row)
}

// maxRejects is how many rows that can't be read wait for a batch's end.
const maxRejects = 1000

// packetRest is what a packet has beside the statement: its command, and room for what a server counts with.
const packetRest = 64

// fatal marks an error of add that isn't the row's.
type fatal struct{ error }

// Unwrap returns the error.
func (e *fatal) Unwrap() error { return e.error }

// unreadable takes the error of a row that can't be read, or can't be put into a statement. It returns nil if that is left out.
func (l *lane) unreadable(block fedBlock, row int32, err error) error {
	if f := (*fatal)(nil); errors.As(err, &f) {
		return f.error
	}
	f := fault.As(err)
	if f == nil || f.Whose != fault.Source {
		return err
	}
	bad := (*format.BadRow)(nil)
	isBad := errors.As(err, &bad)
	if !l.task.leavesOut() || !isBad && !readsOn(err) {
		return &rowFault{err}
	}
	record := badrows.New((*column)(nil).badClass(f.Code), f, bytes.TrimRight(l.reader.Row(), "\r\n"))
	if isBad && bad.Value != nil {
		record = badrows.New(badrows.Charset, f, bad.Value)
	} else if isBad {
		record.Class = badrows.Syntax
	}
	l.batch.rejects = append(l.batch.rejects, reject{file: block.FileIndex, row: block.FirstRow + int64(row), record: record})
	return nil
}

// readsOn tells whether a reader goes on behind an error.
func readsOn(err error) bool {
	var row *format.BadRow
	if errors.As(err, &row) {
		return true
	}
	f := fault.As(err)
	return f != nil && (f.Code == codePacketTooLarge || f.Code == codeTooFewFields || f.Code == codeTooManyFields)
}

// usable takes a reader's error about the present row. It returns nil if nothing gets the fields that are no text.
func (f *form) usable(err error, r format.RowReader, file string) error {
	var foreign *format.ForeignText
	if !errors.As(err, &foreign) {
		return err
	}
	for i, field := range foreign.Fields {
		if field >= len(f.names) || f.names[field] == "" {
			continue
		}
		at, text := r.Place(), foreign.Texts[i]
		return &format.BadRow{Value: text, Cause: fault.Wrap(foreign, fault.Source, codeWrongString,
			"Incorrect string value for column '%s'", f.names[field]).Place(fault.Position{
			File: file, Line: at.Line, Offset: at.Offset, Column: f.names[field], Value: fault.ShortValue(text)})}
	}
	return nil
}

// place completes an error with a row's place.
func (l *lane) place(err error, block fedBlock, at format.RowPlace) error {
	if f := fault.As(err); f != nil {
		f.At.File, f.At.Line, f.At.Offset = block.File.Path, at.Line, at.Offset
	}
	return err
}

// find reads a row of the present block again: where it stands, its fields, which are the caller's, and its text.
func (l *lane) find(block fedBlock, row int32) (at format.RowPlace, fields []format.Field, text []byte, err error) {
	if l.again == nil {
		l.again = l.task.Source.Reader()
	}
	l.again.Reset(block.Block)
	for i := int32(0); ; i++ {
		found, err := l.again.Next()
		if i == row && !errors.Is(err, io.EOF) {
			for _, f := range found {
				fields = append(fields, format.Field{Bytes: slices.Clone(f.Bytes), Null: f.Null})
			}
			return l.again.Place(), fields, bytes.TrimRight(l.again.Row(), "\r\n"), nil
		}
		if err != nil && (errors.Is(err, io.EOF) || !readsOn(err)) {
			var foreign *format.ForeignText
			if !errors.As(err, &foreign) {
				return at, nil, nil, fault.New(fault.Sluice, 0, "row %d of a block of %s at offset %d isn't found again", row, block.File.Path, block.Offset)
			}
		}
	}
}

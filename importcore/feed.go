package importcore

import (
	"context"
	"errors"
	"io"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/source"
)

// numberedBlock is a block with its place in the job, or a rest.
type numberedBlock struct {
	*format.Block
	layout *layout   // of its rows
	seq    int64     // blocks given out before it
	rowID  int64     // of its first row
	drawn  [][]int64 // values of sequences for its rows
	rest   *rest     // instead of all of these
}

// rest is a moment in which no worker has anything in hand. Each worker takes one
// from the channel of blocks, says so and waits until it is over.
type rest struct {
	begun chan struct{} // gets a value from each worker
	over  chan struct{} // closed at the end
}

// feeder cuts the files into blocks, in order, numbers the rows, and makes the
// checkpoints between two blocks.
type feeder struct {
	*run
	pool  *format.BlockPool
	ahead int64 // bytes in which files are read ahead
	out   chan<- numberedBlock
	bad   *badRows
	saver *encodedSaver
	feeds map[*layout]*sequenceFeed
	seq   int64
	next  checkpoint.Place // of the block that comes next
	// until, if set, is a place between two rows that is not passed. over tells that the disk quota is
	// reached: what comes at next is for another round.
	until *checkpoint.Place
	over  bool
	due   due
}

// feed gives out all blocks, from where the job goes on.
func (f *feeder) feed(ctx context.Context) error {
	ahead, stop := source.NewAhead(ctx, f.plan.store, f.plan.Files, f.ahead)
	defer stop()
	store := f.plan.texts(ahead)
	from := f.next
	for i := from.File; i < len(f.plan.Files); i++ {
		if f.ended(i) {
			return nil
		}
		if f.plan.layouts[i] == nil {
			if f.saver != nil {
				f.plan.progress.filesRead.Add(1)
			}
			continue
		}
		splitter, err := f.plan.newSplitter(ctx, store, i, from, f.pool)
		if err != nil {
			return err
		}
		if err := errors.Join(f.feedFile(ctx, splitter, i), splitter.Close()); err != nil {
			return err
		}
	}
	if !f.over && f.until == nil {
		f.next.File, f.next.At = len(f.plan.Files), format.RowPlace{}
	}
	return nil
}

// feedFile gives out the blocks of one file.
func (f *feeder) feedFile(ctx context.Context, splitter format.Splitter, file int) error {
	for !f.bad.found() {
		block, err := splitter.Next(ctx)
		if errors.Is(err, io.EOF) {
			if f.saver != nil {
				f.plan.progress.filesRead.Add(1)
			}
			return nil
		}
		if fault.As(err) != nil && ctx.Err() == nil {
			// A fault of the data: rows before it may be bad as well and come first.
			return f.bad.lost(ctx, f.seq, err)
		}
		if err != nil {
			return err
		}
		f.next.File, f.next.At = file, format.RowPlace{Offset: block.Offset, Line: block.FirstLine, Row: block.FirstRow, Back: block.Back}
		if !f.cut(block) {
			block.Release()
			return nil
		}
		if f.over, err = f.full(ctx, len(block.Data)); err != nil || f.over {
			block.Release()
			return err
		}
		if err := f.give(ctx, block); err != nil {
			block.Release()
			return err
		}
	}
	return nil
}

// give sends a block to the workers, behind a checkpoint if one is due.
func (f *feeder) give(ctx context.Context, block *format.Block) (err error) {
	layout, err := f.plan.layoutOf(block)
	if err != nil {
		return err
	}
	if f.due.before(int(block.Size()), f.pausing) {
		if err := f.checkpoint(ctx); err != nil {
			return err
		}
	}
	if err := f.run.blocks.add(block, f.next.Row); err != nil {
		return err
	}
	n := numberedBlock{Block: block, layout: layout, seq: f.seq, rowID: f.firstRowID + f.next.Row}
	if n.drawn, err = f.sequences(layout).take(ctx, block.Rows); err != nil {
		return err
	}
	f.seq++
	f.meter.give(len(block.Data))
	f.next.Row += block.Rows
	f.due.bytes += block.Size()
	select {
	case f.out <- n:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sequences returns what draws for the rows of a layout.
func (f *feeder) sequences(l *layout) *sequenceFeed {
	if f.feeds[l] == nil {
		f.feeds[l] = newSequenceFeed(f.core.cluster, l.encoding.Sequences())
	}
	return f.feeds[l]
}

// rest returns when no worker has anything in hand; over, which is never nil, lets them go on.
func (f *feeder) rest(ctx context.Context) (over func(), err error) {
	rest := &rest{begun: make(chan struct{}, f.plan.Task.Threads), over: make(chan struct{})}
	over = func() { close(rest.over) }
	for range f.plan.Task.Threads {
		select {
		case f.out <- numberedBlock{rest: rest}:
		case <-ctx.Done():
			return over, context.Cause(ctx)
		}
	}
	for range f.plan.Task.Threads {
		select {
		case <-rest.begun:
		case <-ctx.Done():
			return over, context.Cause(ctx)
		}
	}
	return over, nil
}

// checkpoint makes all workers rest and notes what is done. A pause ends the job here.
func (f *feeder) checkpoint(ctx context.Context) error {
	if err := f.saver.wait(); err != nil { // while the workers still have something to do
		return err
	}
	over, err := f.rest(ctx)
	defer over()
	if err != nil {
		return err
	}
	if f.bad.found() {
		return nil // the job ends here, and not with a checkpoint
	}
	if err := f.saver.begin(ctx, f.next); err != nil {
		return err
	}
	if closed(f.pausing) {
		return errors.Join(f.saver.wait(), ErrPaused)
	}
	f.due.reset()
	return nil
}

package logical

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// window is how many blocks may be between the earliest one that isn't in and the latest one that is: a lane's state has
// about so many ranges at most.
const window = 64

// noBlock is behind all blocks.
const noBlock = math.MaxInt64

// firstBad is the error of the earliest block that has one; the blocks before it are still brought in.
type firstBad struct {
	sync.Mutex
	seq int64
	err error
}

func (b *firstBad) report(seq int64, err error) {
	b.Lock()
	defer b.Unlock()
	if seq < b.seq {
		b.seq, b.err = seq, err
	}
}

// before tells whether there is no use in a block, because one before it ends the import.
func (b *firstBad) before(seq int64) bool {
	b.Lock()
	defer b.Unlock()
	return seq > b.seq
}

// fedBlock is a block with its number and those of its rows that are in the table already.
type fedBlock struct {
	*format.Block
	seq  int64
	done []span
}

// feeder cuts the files into blocks, in order, from the floor on, and knows which of them are in.
type feeder struct {
	run  *run
	out  chan fedBlock
	done []span // beyond the floor, from earlier runs
	next place  // of the block that comes next; the feeding goroutine's, until it has ended
	seq  int64  // of the next block; as next

	mu struct {
		sync.Mutex
		first  int64   // seq of places[0]
		places []place // of blocks that aren't in, or that come behind such ones
		in     []bool  // which of them are
		floor  place
		moved  chan struct{} // closed when first moves
	}
}

func newFeeder(r *run, done progress) *feeder {
	f := &feeder{run: r, out: make(chan fedBlock), done: done.done, next: done.floor}
	f.mu.floor, f.mu.moved = done.floor, make(chan struct{})
	return f
}

// floor is a place before which all rows are in the table.
func (f *feeder) floor() place {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.floor
}

// begin notes that a block is given out, when it may be.
func (f *feeder) begin(ctx context.Context, at place) error {
	for {
		f.mu.Lock()
		if len(f.mu.places) < window {
			f.mu.places, f.mu.in = append(f.mu.places, at), append(f.mu.in, false)
			f.mu.Unlock()
			return nil
		}
		moved := f.mu.moved
		f.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ended notes that all rows of a block are in.
func (f *feeder) ended(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.in[seq-f.mu.first] = true
	n := 0
	for n < len(f.mu.in) && f.mu.in[n] {
		n++
	}
	if n == 0 {
		return
	}
	if n < len(f.mu.places) {
		f.mu.floor = f.mu.places[n]
	}
	f.mu.first += int64(n)
	f.mu.places, f.mu.in = append([]place{}, f.mu.places[n:]...), append([]bool{}, f.mu.in[n:]...)
	close(f.mu.moved)
	f.mu.moved = make(chan struct{})
}

// feed gives out all blocks with rows that aren't in.
func (f *feeder) feed(ctx context.Context) error {
	defer close(f.out)
	source := f.run.task.Source
	from := f.next
	for i := from.File; i < source.Files(); i++ {
		at := place{File: i}
		if i == from.File {
			at = from
		}
		f.next = at
		splitter, err := source.Open(ctx, i, at.At, f.run.pool)
		if err != nil {
			return err
		}
		if err := errors.Join(f.feedFile(ctx, splitter, i), splitter.Close()); err != nil {
			return err
		}
		if f.run.bad.before(f.seq) {
			return nil
		}
	}
	f.next = place{File: source.Files()}
	return nil
}

func (f *feeder) feedFile(ctx context.Context, splitter format.Splitter, file int) error {
	for !f.run.bad.before(f.seq) {
		block, err := splitter.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if fault.As(err) != nil && ctx.Err() == nil {
			// A fault of the data: rows before it may be bad as well and come first.
			f.run.bad.report(f.seq, err)
			return nil
		}
		if err != nil {
			return err
		}
		f.next = place{File: file, At: format.RowPlace{Offset: block.Offset, Line: block.FirstLine, Row: block.FirstRow, Back: block.Back}}
		if err := f.give(ctx, block, file); err != nil {
			block.Release()
			return err
		}
	}
	return nil
}

// give hands a block to a lane, unless all of its rows are in.
func (f *feeder) give(ctx context.Context, block *format.Block, file int) error {
	b := fedBlock{Block: block, seq: f.seq, done: within(f.done, file, block.FirstRow, block.FirstRow+block.Rows)}
	if err := f.begin(ctx, f.next); err != nil {
		return err
	}
	f.seq++
	if covered(b.done, block.FirstRow, block.FirstRow+block.Rows) {
		block.Release()
		f.ended(b.seq)
		return nil
	}
	select {
	case f.out <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

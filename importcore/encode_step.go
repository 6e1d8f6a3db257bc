package importcore

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// encode reads every file, encodes every row and returns the sorted pairs,
// which hold no key twice. Of several bad rows the first one in the order of
// the files is reported, whichever worker met its own first; with MaxErrors they
// are left out (see badRows). Two equal keys are reported when there is no such row.
func (r *run) encode(ctx context.Context, memory memorySplit) (*sortkv.Sorted, error) {
	saver := &encodedSaver{run: r, ctx: ctx, tally: r.newTally()}
	err := r.encodeAll(ctx, memory, saver)
	if waitErr := saver.wait(); err == nil {
		err = waitErr
	}
	if err != nil {
		return nil, err
	}
	r.tallied(saver.tally)
	r.plan.progress.spilled.Store(r.spilledBefore() + r.sorter.Spilled())
	if !r.numbered && r.sorter.Spilled() > 0 {
		r.enter(StepSort)
	}
	sorted, err := r.sorter.Finish(ctx)
	if err != nil {
		return nil, r.describeDuplicate(err)
	}
	r.plan.progress.sorted.Store(sorted)
	if err := sorted.FindDuplicate(ctx); err != nil {
		return nil, r.describeDuplicate(err)
	}
	return sorted, nil
}

// encodeAll encodes what is left of the source.
func (r *run) encodeAll(ctx context.Context, memory memorySplit, saver *encodedSaver) error {
	bad := r.newBadRows()
	blocks := make(chan numberedBlock, r.plan.Task.Threads)
	wide := r.newWideRows(memory)
	defer wide.close()
	feeder := &feeder{run: r, pool: format.NewBlockPool(memory.blockBytes, memory.blocks, wide), ahead: memory.ahead, out: blocks, bad: bad, saver: saver,
		feeds: map[*layout]*sequenceFeed{}, next: r.saved.Encoded.Next, until: r.end, due: r.newDue()}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(fault.Contain(func() error {
		defer close(blocks)
		return feeder.feed(groupCtx)
	}))
	for range r.plan.Task.Threads {
		group.Go(fault.Contain(func() error { return r.encodeBlocks(groupCtx, blocks, bad, saver.tally, wide) }))
	}
	if err := bad.end(ctx, group.Wait()); err != nil {
		return err
	}
	if err := r.reached(feeder); err != nil {
		return err
	}
	if feeder.next.File == len(r.plan.Files) && r.plan.estimatesBytes() {
		r.plan.progress.sourceBytes.Store(r.plan.SourceBytes)
	}
	if !r.mustSaveEncoded() {
		return nil
	}
	return saver.begin(ctx, feeder.next)
}

// encodeBlocks is one worker.
func (r *run) encodeBlocks(ctx context.Context, blocks <-chan numberedBlock, bad *badRows, tally *tally, wide *wideRows) error {
	w := &worker{run: r, wide: wide, readers: r.plan.newReaders(), single: r.newSingle()}
	w.onMade = tally.watch
	err := w.consume(ctx, blocks, bad)
	if err == nil {
		err = w.handOver(ctx)
	} else if w.arena != nil && w.arena != w.unsorted {
		r.sorter.Discard(w.arena)
	}
	return err
}

type worker struct {
	*run
	encoders
	wide    *wideRows
	holds   bool // the sorter may hold memory because of this worker, see wideRows.receive
	readers rowReaders
	reader  format.RowReader // of the present block
	arena   *kv.Arena
	single  *kv.Arena // see encodeRow
	// unsorted takes the place of the sorter's arenas once that has met a key
	// twice: the job has failed, but bad rows, wherever they are, come first.
	unsorted *kv.Arena
	full     int // bytes at which arena is handed over
	// counted of the arena's pairs and bytes are in the job's progress.
	counted struct{ pairs, bytes int }
	weighed int // bytes of arena that the meter knows of
}

// count adds what has come into the arena to the job's progress.
func (w *worker) count() {
	if w.arena == nil {
		return
	}
	pairs, bytes := len(w.arena.Refs), len(w.arena.Buf)
	if w.numbered {
		bytes -= pairs * kv.NumberBytes
	}
	w.plan.progress.madePairs.Add(int64(pairs - w.counted.pairs))
	w.plan.progress.madeBytes.Add(int64(bytes - w.counted.bytes))
	w.counted.pairs, w.counted.bytes = pairs, bytes
}

// next returns the next block; false is the end. Meanwhile it makes room for those who need memory.
func (w *worker) next(ctx context.Context, blocks <-chan numberedBlock) (block numberedBlock, ok bool, err error) {
	select {
	case block, ok = <-blocks:
		return block, ok, nil
	default:
	}
	began := time.Now()
	block, ok, err = w.wide.receive(blocks, &w.holds, func() error { return w.relieve(ctx) })
	w.plan.progress.sourceWait.Add(int64(time.Since(began)))
	return block, ok, err
}

// lend gets the worker an arena.
func (w *worker) lend(ctx context.Context) (err error) {
	if w.unsorted == nil {
		w.holds = true
		w.full = w.sorter.ArenaBytes()
		w.arena, err = w.sorter.Arena(ctx)
		if !isDuplicateKey(err) {
			return err
		}
		w.unsorted, w.full = &kv.Arena{}, 0
	}
	w.unsorted.Reset()
	w.arena = w.unsorted
	return nil
}

// handOver gives the worker's arena, if it has one, to the sorter. The key that
// it may find twice is its lasting state, which Finish returns.
func (w *worker) handOver(ctx context.Context) error {
	w.count()
	w.counted.pairs, w.counted.bytes = 0, 0
	if w.meter != nil {
		w.weighArena()
		defer w.weighOff()
	}
	a := w.arena
	w.arena = nil
	if a == nil || a == w.unsorted {
		return nil
	}
	if err := w.sorter.Add(ctx, a); !isDuplicateKey(err) {
		return err
	}
	return nil
}

func (w *worker) consume(ctx context.Context, blocks <-chan numberedBlock, bad *badRows) error {
	for {
		block, ok, err := w.next(ctx, blocks)
		if !ok || err != nil {
			return err
		}
		if block.rest != nil {
			if err := w.takeRest(ctx, block.rest); err != nil {
				return err
			}
			continue
		}
		if ctx.Err() != nil || bad.before(block.seq) {
			block.Release()
			if err := context.Cause(ctx); err != nil {
				return err
			}
			continue
		}
		left := bad.block(block.seq, w.handOver)
		rows, err := w.encodeBlock(ctx, block, left)
		w.plan.progress.rows.Add(rows)
		w.plan.progress.sourceBytes.Add(block.Size())
		w.count()
		if w.plan.Task.Observer != nil {
			w.plan.Task.Observer.Encoded(block.Size())
		}
		w.weigh(len(block.Data))
		w.trim(block)
		block.Release()
		if err = bad.ended(ctx, block.seq, left, err); err != nil {
			return err
		}
	}
}

// relieve gives back what the sorter holds because of the worker.
func (w *worker) relieve(ctx context.Context) error {
	if err := w.handOver(ctx); err != nil {
		return err
	}
	return w.relieveSorter(ctx)
}

// longBlock is the length in bytes from which on blocks leave buffers that are not kept.
const longBlock = 2 << 20

// trim gives up what the present block has made large, or is still referred to of it.
func (w *worker) trim(block numberedBlock) {
	if len(block.Data) <= longBlock {
		return
	}
	w.readers.trim(block.File)
	if w.single != nil {
		w.single = &kv.Arena{}
	}
	if w.unsorted != nil && w.unsorted != w.arena {
		w.unsorted = &kv.Arena{}
	}
	w.encoder.Trim()
}

// takeRest leaves nothing in the worker's hands until the rest is over.
func (w *worker) takeRest(ctx context.Context, rest *rest) error {
	if err := w.handOver(ctx); err != nil {
		return err
	}
	began := time.Now()
	defer func() { w.plan.progress.restWait.Add(int64(time.Since(began))) }()
	rest.begun <- struct{}{} // has room for all workers
	select {
	case <-rest.over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// encodeBlock encodes the rows of a block and returns how many it did. Rows that
// are wrong go to left; without it, the first one is the error, a *rowFault.
func (w *worker) encodeBlock(ctx context.Context, block numberedBlock, left *badrows.Block) (rows int64, err error) {
	w.reader = w.readers.of(block.Block)
	w.reader.Reset(block.Block)
	w.use(block.layout)
	w.encoder.UseSequences(block.rowID, block.drawn)
	skipped := int64(0)
	var before encode.Mark
	for rowID := block.rowID; ; rowID++ {
		fields, err := w.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			err = w.layout.usable(err, w.reader, block.File)
		}
		if err != nil {
			if err = w.unreadable(ctx, left, err); err != nil {
				return rows, err
			}
			skipped++
			continue
		}
		if w.arena == nil {
			if err = w.lend(ctx); err != nil {
				return rows, err
			}
		}
		if left != nil {
			before = w.encoder.Mark()
		}
		if err := w.encodeRow(fields, rowID); err != nil {
			if err = w.unfit(ctx, left, w.place(err, block), fields); err != nil {
				return rows, err
			}
			w.encoder.Rewind(before)
			skipped++
			continue
		}
		rows++
		if w.arena.Bytes() >= w.full {
			if err := w.handOver(ctx); err != nil {
				return rows, err
			}
		}
	}
	if rows+skipped != block.Rows {
		return rows, fault.New(fault.Sluice, 0, "a block of %s at offset %d was counted to hold %d rows, but %d were read",
			block.File.Path, block.Offset, block.Rows, rows+skipped)
	}
	return rows, nil
}

// place completes an encoder's error with the row's place in the source.
func (w *worker) place(err error, block numberedBlock) error {
	f := fault.As(err)
	if f == nil {
		return err
	}
	at := w.reader.Place()
	f.At.File, f.At.Line, f.At.Offset = block.File.Path, at.Line, at.Offset
	return err
}

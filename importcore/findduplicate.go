package importcore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/pingcap/tidb/pkg/meta/model"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/conflict"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// duplicateFound says that the pairs, which carry no row numbers, hold a key
// twice. Which of several such keys was met depends on the workers.
type duplicateFound struct {
	key  []byte
	told *fault.Error
}

// Error returns what can be said without another look at the source.
func (e *duplicateFound) Error() string { return e.told.Error() }

// Unwrap returns the fault.
func (e *duplicateFound) Unwrap() error { return e.told }

// locateDuplicate completes the error for two equal keys with the place of both
// rows. It reads the source again, up to the second row with the key that was met, and
// sorts the unique keys of these rows alone, with row numbers: the first row
// that shares a key with one before it is what a row-by-row INSERT would have refused,
// and does not depend on the number of workers. Keys with values that are drawn anew
// are left out, since they are others now. Other errors are returned as they are.
func (r *run) locateDuplicate(ctx context.Context, err error, memory memorySplit) error {
	var dup *duplicateFound
	if !errors.As(err, &dup) || ctx.Err() != nil {
		return err
	}
	keys := r.repeatableKeys()
	if len(keys) == 0 {
		return dup.drawn()
	}
	r.log.Info("two rows share a key: looking for their places")
	if closeErr := r.sorter.Close(); closeErr != nil {
		return errors.Join(err, closeErr)
	}
	r.numbered, r.meter = true, nil
	memory = memory.withConflicts()
	r.blocks = &blockIndex{dir: r.dir.path}
	var lookErr error
	if r.sorter, lookErr = sortkv.New(r.sortOptions(memory)); lookErr != nil {
		return errors.Join(err, lookErr)
	}
	f := &duplicateFinder{run: r, wanted: dup.key, keys: keys}
	found, lookErr := f.find(ctx, memory)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case lookErr != nil:
		r.warn("the places of the rows with the same key could not be found", lookErr)
		return err
	case found == nil && !f.unique(dup.key):
		return dup.drawn()
	case found == nil:
		r.warn("the rows with the same key were not found again: the source has changed", nil)
		return err
	}
	return r.duplicateError(ctx, *found)
}

// drawn completes the error for a key that another look at the source would not find.
func (e *duplicateFound) drawn() error {
	e.told.Message += "; its value is drawn anew each time the source is read, so the places of these rows are not to be had"
	return e
}

// repeatableKeys are the unique keys without drawn values.
func (r *run) repeatableKeys() []conflict.KeyRange {
	drawn := r.plan.drawnColumns()
	target := r.plan.target
	return slices.DeleteFunc(r.uniqueKeys(), func(k conflict.KeyRange) bool {
		if col := target.HandleColumn(); k.Index == 0 && col != nil {
			return drawn[col.Offset]
		}
		idx := target.PrimaryIndex()
		if k.Index > 0 {
			idx = target.Indexes()[k.Index-1]
		}
		return idx != nil && slices.ContainsFunc(idx.Columns, func(ic *model.IndexColumn) bool { return drawn[ic.Offset] })
	})
}

// duplicateFinder reads rows again and keeps their unique keys.
type duplicateFinder struct {
	*run
	wanted []byte // a key that two rows have
	keys   []conflict.KeyRange

	mu struct {
		sync.Mutex
		first, second int64 // lowest rows with the wanted key so far; MaxInt64 is none
	}
}

func (f *duplicateFinder) find(ctx context.Context, memory memorySplit) (*conflict.Collision, error) {
	f.mu.first, f.mu.second = math.MaxInt64, math.MaxInt64
	bad := &badRows{}
	bad.seq.Store(math.MaxInt64)
	blocks := make(chan numberedBlock, f.plan.Task.Threads)
	wide := f.newWideRows(memory)
	feeder := &feeder{run: f.run, pool: format.NewBlockPool(memory.blockBytes, memory.blocks, wide), out: blocks, bad: bad,
		feeds: map[*layout]*sequenceFeed{}, next: f.saved.Begin().Next, until: f.end, due: due{never: true}}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(fault.Contain(func() error {
		defer close(blocks)
		return feeder.feed(groupCtx)
	}))
	for range f.plan.Task.Threads {
		group.Go(fault.Contain(func() error { return f.work(groupCtx, blocks, bad, wide) }))
	}
	err := group.Wait()
	wide.close()
	if err != nil {
		return nil, err
	}
	sorted, err := f.sorter.Finish(ctx)
	if err != nil {
		return nil, err
	}
	cfg := f.decision(sorted, memory)
	cfg.Strategy = conflict.Find
	result, err := conflict.Decide(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := result.Close(); err != nil || len(result.First) == 0 {
		return nil, err
	}
	return &result.First[0], nil
}

// work is one worker.
func (f *duplicateFinder) work(ctx context.Context, blocks <-chan numberedBlock, bad *badRows, wide *wideRows) (err error) {
	w := &duplicateWorker{duplicateFinder: f, readers: f.plan.newReaders()}
	for {
		block, ok, relieveErr := wide.receive(blocks, &w.holds, func() error { return w.relieve(ctx) })
		if relieveErr != nil {
			return relieveErr
		}
		if !ok {
			break
		}
		if err == nil && block.rowID-f.firstRowID <= f.limit() {
			err = w.block(ctx, block)
		}
		if len(block.Data) > longBlock {
			w.readers.trim(block.File)
			w.one = kv.Arena{}
			if w.encoder != nil {
				w.encoder.Trim()
			}
		}
		block.Release()
		if f.limit() != math.MaxInt64 {
			bad.report(block.seq, errEnough)
		}
	}
	if w.arena == nil {
		return err
	}
	if err != nil {
		f.sorter.Discard(w.arena)
		return err
	}
	return f.sorter.Add(ctx, w.arena)
}

// errEnough stops the splitter: no row behind matters.
var errEnough = errors.New("the second row with the key was found")

// limit returns the row behind which no row matters.
func (f *duplicateFinder) limit() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.second
}

// note takes a row with the wanted key.
func (f *duplicateFinder) note(row int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case row < f.mu.first:
		f.mu.first, f.mu.second = row, f.mu.first
	case row > f.mu.first && row < f.mu.second:
		f.mu.second = row
	}
}

type duplicateWorker struct {
	*duplicateFinder
	encoders
	readers rowReaders
	one     kv.Arena // pairs of one row
	arena   *kv.Arena
	holds   bool // see wideRows.receive
}

// relieve gives back what the sorter holds because of the worker.
func (w *duplicateWorker) relieve(ctx context.Context) error {
	if a := w.arena; a != nil {
		w.arena = nil
		if err := w.sorter.Add(ctx, a); err != nil {
			return err
		}
	}
	return w.relieveSorter(ctx)
}

// block keeps the unique keys of a block's rows, with their numbers. Bad rows are
// known to be no more than the job may leave out.
func (w *duplicateWorker) block(ctx context.Context, block numberedBlock) error {
	reader := w.readers.of(block.Block)
	reader.Reset(block.Block)
	w.use(block.layout)
	w.encoder.UseSequences(block.rowID, block.drawn)
	for n := int64(0); ; n++ {
		fields, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			err = w.layout.usable(err, reader, block.File)
		}
		if broken := (*format.BadRow)(nil); errors.As(err, &broken) {
			continue
		}
		if err != nil {
			return err
		}
		w.one.Reset()
		if w.encoder.EncodeRow(fields, block.rowID+n, &w.one) != nil {
			continue
		}
		if err := w.keep(ctx, block.rowID+n-w.firstRowID); err != nil {
			return err
		}
	}
}

// keep adds the unique keys of the present row to the sort.
func (w *duplicateWorker) keep(ctx context.Context, row int64) (err error) {
	for _, ref := range w.one.Refs {
		key := w.one.Key(ref)
		if !w.unique(key) {
			continue
		}
		if bytes.Equal(key, w.wanted) {
			w.note(row)
		}
		if w.arena == nil {
			w.holds = true
			if w.arena, err = w.sorter.Arena(ctx); err != nil {
				return err
			}
		}
		a := w.arena
		a.Buf = append(a.Buf, key...)
		a.Buf = binary.BigEndian.AppendUint64(a.Buf, uint64(row))
		a.EndKey()
		a.EndPair()
	}
	if w.arena == nil || w.arena.Bytes() < w.sorter.ArenaBytes() {
		return nil
	}
	a := w.arena
	w.arena = nil
	return w.sorter.Add(ctx, a)
}

// unique reports whether the key is one of those that are looked at.
func (f *duplicateFinder) unique(key []byte) bool {
	for i := range f.keys {
		if bytes.Compare(key, f.keys[i].Start) >= 0 && bytes.Compare(key, f.keys[i].End) < 0 {
			return true
		}
	}
	return false
}

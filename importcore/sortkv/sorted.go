package sortkv

import (
	"bytes"
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/cockroachdb/pebble/v2/sstable/block"

	"github.com/sluicedb/sluice/importcore/kv"
)

// Sorted is the frozen content of a Sorter, valid until that is closed. All
// methods may be called concurrently.
type Sorted struct {
	s        *Sorter
	arenas   []*kv.Arena // sorted, not empty, read-only
	runs     []*run
	checksum kv.Checksum
	written  int64
	min, max []byte // smallest and largest key, nil if there are no pairs
	samples  []sample
	unique   atomic.Bool // FindDuplicate has found none
}

// Checksum returns the sum of everything that was added.
func (r *Sorted) Checksum() kv.Checksum { return r.checksum }

// Spilled returns the bytes of all runs written to disk; 0 if everything fitted into memory.
func (r *Sorted) Spilled() int64 { return r.written }

// Runs returns the number of runs on disk.
func (r *Sorted) Runs() int { return len(r.runs) }

// FindDuplicate reports one key that occurs twice as a *DuplicateKeyError, or
// nil. It is a merge of all keys on all processors: runs are read
// and unpacked once more (about what an iteration without its consumer
// costs). After a pass without a find it returns at once; Finish has made that
// pass if nothing was spilled.
func (r *Sorted) FindDuplicate(ctx context.Context) error {
	if r.unique.Load() || len(r.arenas)+len(r.runs) < 2 {
		return nil // within one source sorting has made sure
	}
	workers := runtime.GOMAXPROCS(0)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, part := range r.Ranges(int64(r.checksum.Bytes)/int64(2*workers)+1, 0) {
		group.Go(func() error { return r.mergeKeys(ctx, part.Start, part.End) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.unique.Store(true)
	return nil
}

func (r *Sorted) mergeKeys(ctx context.Context, start, end []byte) (err error) {
	it, err := r.Iter(ctx, start, end)
	if err != nil {
		return err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	for it.advance() {
	}
	return it.Err()
}

// Iterator is a merged view of a range of pairs in key order. It is used by one goroutine.
type Iterator struct {
	ctx     context.Context
	r       *Sorted
	m       merger
	pool    block.BufferPool // of run blocks; initialised if there are runs
	charge  int64
	started bool
	closed  bool
	steps   uint
	value   []byte
}

// Iter returns an iterator on [start, end), nil meaning unbounded, which the
// caller closes. Several may run in parallel. An iterator needs 128 KiB for
// each run, taken from the budget: past the first one, Iter waits until others
// are closed or memory is free, so one goroutine should not hold several. The bounds are not kept
// changed while the iterator lives. Errors: the context's, those of the sort directory.
func (r *Sorted) Iter(ctx context.Context, start, end []byte) (*Iterator, error) {
	it := &Iterator{ctx: ctx, r: r}
	if err := it.admit(); err != nil {
		return nil, err
	}
	if err := it.open(start, end); err != nil {
		_ = it.Close()
		return nil, err
	}
	return it, nil
}

// admit waits for the memory that the iterator needs.
func (it *Iterator) admit() error {
	s := it.r.s
	need := int64(len(it.r.runs)) * iterBytesPerRun
	for {
		freed := s.budget.freed()
		s.mu.Lock()
		if s.mu.closed {
			s.mu.Unlock()
			return errClosed
		}
		ok := s.budget.tryAcquire(need)
		if !ok && s.mu.iterators == 0 {
			s.budget.force(need)
			ok = true
		}
		if ok {
			s.mu.iterators++
			it.charge = need
		}
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-freed:
		case <-it.ctx.Done():
			return context.Cause(it.ctx)
		}
	}
}

// open positions cursors on all sources that have pairs in the range.
func (it *Iterator) open(start, end []byte) error {
	r := it.r
	it.m.skip = r.sharedBy(start, end)
	for _, a := range r.arenas {
		if refs := part(a, start, end); len(refs) > 0 {
			it.m.cursors = append(it.m.cursors, cursor{arena: a, refs: refs})
		}
	}
	if len(r.runs) > 0 {
		it.pool.Init(2 * len(r.runs))
	}
	for _, run := range r.runs {
		c, err := run.cursor(it.ctx, start, end, &it.pool)
		if err != nil {
			return readError(r.s.opts.Dir, err)
		}
		c.dir = r.s.opts.Dir
		it.m.cursors = append(it.m.cursors, cursor{run: c})
	}
	it.m.init()
	return nil
}

// sharedBy returns how many leading bytes all keys in [start, end) share: those
// that the two outermost possible keys share.
func (r *Sorted) sharedBy(start, end []byte) int {
	low, high := r.min, r.max
	if start != nil && bytes.Compare(start, low) > 0 {
		low = start
	}
	if end != nil && bytes.Compare(end, high) < 0 {
		high = end
	}
	return commonPrefix(low, high)
}

// Next moves to the next pair, at first to the first one. It returns false at
// the end of the range and after an error, which Err tells.
func (it *Iterator) Next() bool {
	if !it.advance() {
		return false
	}
	value, err := it.m.value()
	if err != nil {
		it.m.err = err
		return false
	}
	it.value = value
	return true
}

// ctxEvery is how many steps pass between looks at the context; a power of two.
const ctxEvery = 1 << 12

// advance is Next without the value.
func (it *Iterator) advance() bool {
	if it.started && it.m.valid() {
		it.m.next()
	}
	it.started = true
	if it.steps++; it.steps%ctxEvery == 0 && it.m.err == nil {
		it.m.err = context.Cause(it.ctx)
	}
	return !it.closed && it.m.valid()
}

// Key returns the present key: valid until Next or Close, not to be changed.
func (it *Iterator) Key() []byte { return it.m.key() }

// Value returns the present value: valid until Next or Close, not to be changed.
func (it *Iterator) Value() []byte { return it.value }

// Err returns what ended the iteration early: a *DuplicateKeyError, a read
// error of the sort directory, the context's error; nil at the end of the range.
// A caller must ask it after Next has returned false.
func (it *Iterator) Err() error { return it.m.err }

// Close frees the iterator's memory. It may be called twice.
func (it *Iterator) Close() error {
	if it.closed {
		return nil
	}
	it.closed = true
	var err error
	for i := range it.m.cursors {
		if c := it.m.cursors[i].run; c != nil {
			if e := c.close(); err == nil {
				err = e
			}
		}
	}
	if len(it.r.runs) > 0 {
		it.pool.Release()
	}
	s := it.r.s
	s.mu.Lock()
	s.mu.iterators--
	s.mu.Unlock()
	s.budget.release(it.charge)
	return err
}

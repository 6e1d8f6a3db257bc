package sortkv

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/kv"
)

// Sorted is the frozen content of a Sorter, valid until that is closed. All
// methods may be called concurrently.
type Sorted struct {
	s        *Sorter
	chunks   []*chunk
	runs     []*run
	checksum kv.Checksum
	written  int64
	max      []byte // the largest key without suffix, nil if there are no pairs
	suffix   int    // bytes
	samples  []sample
	// sampleBytes is the memory of samples.
	sampleBytes int64
	// iterBytes is the memory that an iterator takes, userBytes what the user of one
	// with values holds of them.
	iterBytes, userBytes int64
	unique               atomic.Bool // FindDuplicate has found none
	compared             atomic.Int64
}

// Checksum returns the sum of everything that was added, suffixes left out.
func (r *Sorted) Checksum() kv.Checksum { return r.checksum }

// Spilled returns the bytes of all runs written to disk; 0 if everything fitted into memory.
func (r *Sorted) Spilled() int64 { return r.written }

// Runs returns the number of runs on disk.
func (r *Sorted) Runs() int { return len(r.runs) }

// FindDuplicate reports one key that occurs twice as a *DuplicateKeyError, or
// nil. It is a merge of all keys on all processors; of runs, only the files with keys are
// read. After a pass without a find it returns at once; Finish has made that
// pass if nothing was spilled. Of keys with a suffix it finds none: use Keys.
func (r *Sorted) FindDuplicate(ctx context.Context) error {
	if r.unique.Load() || len(r.chunks)+len(r.runs) < 2 {
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

// Compared returns how many pairs FindDuplicate has seen so far. It may be called at any time.
func (r *Sorted) Compared() int64 { return r.compared.Load() }

func (r *Sorted) mergeKeys(ctx context.Context, start, end []byte) (err error) {
	it, err := r.iter(ctx, start, end, false)
	if err != nil {
		return err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	for it.advance() {
		if it.steps%ctxEvery == 0 {
			r.compared.Add(ctxEvery)
		}
	}
	return it.Err()
}

// Iterator is a merged view of a range of pairs in key order. It is used by one goroutine.
type Iterator struct {
	ctx     context.Context
	r       *Sorted
	m       merger
	pages   []*page     // lent, one for each run
	buffers readBuffers // shared by runs
	charge  int64
	started bool
	closed  bool
	steps   uint
	suffix  int
	value   []byte
}

// Iter returns an iterator on [start, end), nil meaning unbounded, which the
// caller closes. Several may run in parallel. An iterator needs a page (64 KiB or less) and a little of the
// index for each run, and memory for the largest value and two copies of it, taken from the budget: past the first one, Iter waits until others
// are closed or memory is free, so one goroutine should not hold several. The bounds must not be
// changed while the iterator lives. They are keys without suffix: pairs with one key lie
// on the same side of any bound. Errors: the context's, those of the sort directory.
func (r *Sorted) Iter(ctx context.Context, start, end []byte) (*Iterator, error) {
	return r.iter(ctx, start, end, true)
}

// Keys is Iter for the keys, with few values or none: NextKey reads the keys'
// part of a run alone, until LoadValue is called.
func (r *Sorted) Keys(ctx context.Context, start, end []byte) (*Iterator, error) {
	return r.iter(ctx, start, end, false)
}

// cut returns a key without its suffix.
func (r *Sorted) cut(key []byte) []byte { return key[:len(key)-r.suffix] }

func (r *Sorted) iter(ctx context.Context, start, end []byte, values bool) (*Iterator, error) {
	it := &Iterator{ctx: ctx, r: r, suffix: r.suffix}
	it.m.values = values
	need := r.iterBytes
	if values {
		need += r.userBytes
	}
	if err := it.admit(need); err != nil {
		return nil, err
	}
	if err := it.open(start, end); err != nil {
		_ = it.Close()
		return nil, err
	}
	return it, nil
}

// admit waits for the memory that the iterator needs and borrows it.
func (it *Iterator) admit(need int64) error {
	s := it.r.s
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
			for _, run := range it.r.runs {
				it.pages = append(it.pages, s.mu.pages.get(int(run.foot.pageBytes)))
			}
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

// iterNeeds returns the memory that an iterator over runs takes, in bytes.
func (s *Sorter) iterNeeds(runs []runInfo) int64 {
	var sum, giant int64
	for _, r := range runs {
		sum += r.needs(s.opts.pageBytes())
		giant = max(giant, int64(r.giant))
	}
	sum += giant
	if s.codec != nil && len(runs) > 0 {
		sum += max(giant, int64(s.opts.pageBytes()))
	}
	return sum
}

// userCopies is how often the user of an iterator holds a value that has a page of its own: in the
// message that it is put into, and in the one before, which is still on its way.
const userCopies = 2

// userNeeds returns the memory for what users of iterators hold, in bytes.
func (s *Sorter) userNeeds() int64 { return userCopies * s.mu.giant }

// open opens runs, which make up the content with the chunks.
func (r *Sorted) open(runs []runInfo) error {
	r.iterBytes = r.s.iterNeeds(runs)
	for _, info := range runs {
		run, err := openRun(r.s.opts.FS, r.s.runPath(info.number))
		if err == nil && run.foot.info(info.number) != info {
			err = errors.Join(fmt.Errorf("%s%s is not what was written: %w", run.name, keysSuffix, errDamaged), run.close())
		}
		if err != nil {
			return readError(r.s.opts.Dir, err)
		}
		r.runs = append(r.runs, run)
	}
	return nil
}

// close closes the runs.
func (r *Sorted) close() error {
	var errs []error
	for _, run := range r.runs {
		errs = append(errs, run.close())
	}
	if err := errors.Join(errs...); err != nil {
		return readError(r.s.opts.Dir, err)
	}
	return nil
}

// open puts cursors on all sources.
func (it *Iterator) open(start, end []byte) error {
	r := it.r
	n := len(r.chunks) + len(r.runs)
	it.m.cursors = make([]cursor, n)
	keyBufs := newKeyBufs(n)
	var indexes int64
	for _, run := range r.runs {
		indexes += run.indexBytes()
	}
	memory := make([]byte, indexes)
	for i := range it.m.cursors {
		var src source
		if j := i - len(r.chunks); j < 0 {
			src = &chunkSource{chunk: r.chunks[i]}
		} else {
			run := r.runs[j]
			src = &runSource{
				run: run, ctx: it.ctx, dir: r.s.opts.Dir, index: newIndexCursor(run, memory), page: it.pages[j],
				codec: r.s.codec, shared: &it.buffers,
			}
			memory = memory[run.indexBytes():]
		}
		it.m.cursors[i].suffix = r.suffix
		if err := it.m.cursors[i].open(src, start, end, keyBufs(i)); err != nil {
			return err
		}
	}
	it.m.init()
	return nil
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

// NextKey is Next without the value, which LoadValue then may fetch.
func (it *Iterator) NextKey() bool { return it.advance() }

// LoadValue returns the value of the pair that NextKey moved to: valid until
// the next move or Close, not to be changed. An error ends the iteration.
func (it *Iterator) LoadValue() ([]byte, error) {
	value, err := it.m.value()
	if err != nil {
		it.m.err = err
	}
	return value, err
}

// Key returns the present key without its suffix: valid until Next or Close, not to be changed.
func (it *Iterator) Key() []byte {
	key := it.m.key()
	return key[:len(key)-it.suffix]
}

// Suffix returns the suffix of the present key: valid as Key is.
func (it *Iterator) Suffix() []byte {
	key := it.m.key()
	return key[len(key)-it.suffix:]
}

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
	s := it.r.s
	s.mu.Lock()
	s.mu.iterators--
	for _, p := range it.pages {
		s.mu.pages.put(p)
	}
	s.mu.Unlock()
	it.pages = nil
	s.budget.release(it.charge)
	return nil
}

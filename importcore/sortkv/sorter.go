package sortkv

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
)

// Sorter takes arenas of pairs from many encoders and sorts them within its
// memory budget. Arena, Discard and Add may be called concurrently, Finish
// once after all of them, Close at any time when no iterator is open. The
// sorter runs no goroutines of its own: the callers of Add sort and spill.
type Sorter struct {
	opts   Options
	budget *budget
	codec  codec // of runs; nil is none
	synced int32 // runs up to this number are known to be on the disk; Sync's
	// memoryWait and diskTime are what Waits returns, in nanoseconds.
	memoryWait, diskTime atomic.Int64

	mu struct {
		sync.Mutex
		dir       string              // made on the first spill
		made      int32               // runs named so far
		named     int32               // the last manifest names the runs up to this number
		parts     map[int32]bool      // runs merged since from those that it names, by number
		charge    map[*kv.Arena]int64 // size of each living arena, bytes
		free      []*kv.Arena
		pages     pagePool
		resident  []*chunk
		bytes     int64 // size of resident
		giant     int64 // size of the largest value that had a page of its own
		reserved  int64 // bytes of the budget that Reserve has taken
		hurrying  int   // who wait for memory with hurry closed
		hurry     chan struct{}
		spilling  int64 // size of chunks that are being written
		runs      []runInfo
		written   int64
		sorted    *Sorted // after Finish
		checksum  kv.Checksum
		maxKey    []byte
		spills    int // running
		calls     int // running Add and Arena calls
		iterators int // open
		finished  bool
		closed    bool
		err       error // first failure, sticky
	}
}

var errClosed = errors.New("sortkv: the sorter is closed")

// New returns a sorter. Nothing is written before the first spill.
func New(opts Options) (*Sorter, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Sorter{opts: opts, budget: newBudget(counted(opts.MemoryBudget))}
	if s.codec, err = opts.Compression.codec(); err != nil {
		return nil, err
	}
	s.mu.charge = make(map[*kv.Arena]int64)
	s.mu.hurry = make(chan struct{})
	s.mu.pages.size = opts.pageBytes()
	return s, nil
}

// ArenaBytes returns the kv.Arena.Bytes at which an arena is full: an encoder
// that finds its arena at or above it after a row gives it to Add.
func (s *Sorter) ArenaBytes() int { return s.opts.ArenaBytes }

// Arena returns an empty arena, the caller's until Add or Discard. It waits
// while the budget is used up; if nobody else is about to free memory it spills
// what is resident. Errors: the context's, a former failure of the sorter, those of a spill.
func (s *Sorter) Arena(ctx context.Context) (*kv.Arena, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	for {
		freed := s.budget.freed()
		a, spill, reserved, err := s.tryArena()
		switch {
		case err != nil:
			return nil, err
		case a != nil:
			return a, nil
		case spill != nil:
			if err := s.spill(ctx, spill); err != nil {
				return nil, err
			}
			continue
		}
		began := time.Now()
		if err := s.await(ctx, freed, reserved); err != nil {
			return nil, err
		}
		s.memoryWait.Add(int64(time.Since(began)))
	}
}

// Waits returns for how long callers have waited for memory in Arena, and for how long
// they wrote runs, both added up over goroutines. It may be called at any time.
func (s *Sorter) Waits() (memory, disk time.Duration) {
	return time.Duration(s.memoryWait.Load()), time.Duration(s.diskTime.Load())
}

// Spilled returns the bytes of all runs written so far. It may be called at any time.
func (s *Sorter) Spilled() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.written
}

// tryArena returns an arena, or chunks that the caller has to spill, or nothing if it has to
// wait; reserved tells that Reserve has taken memory.
func (s *Sorter) tryArena() (a *kv.Arena, spill []*chunk, reserved bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reserved = s.mu.reserved > 0
	if s.mu.err != nil {
		return nil, nil, reserved, s.mu.err
	}
	if a := s.lendArenaLocked(); a != nil {
		return a, nil, reserved, nil
	}
	if s.mu.spills == 0 && len(s.mu.resident) > 0 {
		return nil, s.takeSpillLocked(), reserved, nil
	}
	if s.mu.spills == 0 && len(s.mu.free) == len(s.mu.charge) {
		// Only unused arenas are left to give memory back.
		s.dropFreeLocked()
		return s.lendArenaLocked(), nil, reserved, nil
	}
	return nil, nil, reserved, nil
}

// Discard gives an arena back without its pairs, for encoders that stop early.
func (s *Sorter) Discard(a *kv.Arena) { s.recycle(a) }

// Add takes ownership of an arena: it counts the pairs, sorts them in the
// caller's goroutine and rewrites them into pages; if those fill their part of the budget
// it also writes what is resident as a run. Errors: *DuplicateKeyError, those of
// the sort directory (*fault.Error), the context's, or a former failure. After
// an error the sorter is of no use but to be closed.
func (s *Sorter) Add(ctx context.Context, a *kv.Arena) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if len(a.Refs) == 0 {
		s.Discard(a)
		return nil
	}
	suffix := s.opts.SuffixBytes
	if err := checkArena(a, suffix); err != nil {
		return s.fail(err)
	}
	var sum kv.Checksum
	if suffix == 0 {
		sum.AddArena(a)
	} else {
		sum.AddArenaCut(a, suffix)
	}
	if err := sortArena(a); err != nil {
		return s.fail(err)
	}
	c, err := newChunk(a, s.opts.pageBytes(), s.borrowPage)
	if err != nil {
		return s.fail(err)
	}
	last := a.Key(a.Refs[len(a.Refs)-1])
	spill := s.keep(c, last, sum)
	s.recycle(a)
	if spill != nil {
		return s.spill(ctx, spill)
	}
	return context.Cause(ctx)
}

// checkArena refuses what references and pages can't count, and keys without the suffix.
func checkArena(a *kv.Arena, suffix int) error {
	if len(a.Buf) > kv.MaxArenaBytes {
		return fault.New(fault.Sluice, 0, "an arena of %d bytes is larger than references can address", len(a.Buf))
	}
	for i := range a.Refs {
		if n := a.Refs[i].KeyLen; n > maxKeyBytes {
			return fault.New(fault.Source, 0, "a key of %d bytes is longer than the %d that can be sorted", n, maxKeyBytes)
		} else if int(n) < suffix {
			return fault.New(fault.Sluice, 0, "sortkv: a key of %d bytes can't end in a suffix of %d", n, suffix)
		}
	}
	return nil
}

// keep makes a chunk resident and returns what is to be spilled, if anything.
func (s *Sorter) keep(c *chunk, last []byte, sum kv.Checksum) (spill []*chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.checksum.Merge(sum)
	if s.mu.maxKey == nil || bytes.Compare(last, s.mu.maxKey) > 0 {
		s.mu.maxKey = append([]byte{}, last...)
	}
	s.mu.resident = append(s.mu.resident, c)
	s.mu.bytes += c.size
	s.mu.giant = max(s.mu.giant, c.giant)
	switch {
	case s.mu.bytes < (s.budget.total-s.mu.reserved)/4*3:
		return nil
	case s.mu.reserved > 0: // there is no room for what a part would leave
		return s.takeResidentLocked()
	}
	return s.takeSpillLocked()
}

// spillParts are in how many parts the resident chunks are divided for the
// first spills, of which one is written; all of them are from then on. So a
// sorter that is not much too small writes little more than what does not fit,
// and one that is far too small gets no more than a few runs more.
var spillParts = [...]int{4, 4, 4, 4, 2, 2}

// takeSpillLocked hands resident chunks, at least one, over to the caller, who must call spill.
func (s *Sorter) takeSpillLocked() []*chunk {
	parts := 1
	if spills := len(s.mu.runs) + s.mu.spills; spills < len(spillParts) {
		parts = spillParts[spills]
	}
	n := (len(s.mu.resident) + parts - 1) / parts
	chunks := s.mu.resident[:n:n]
	s.mu.resident = s.mu.resident[n:]
	for _, c := range chunks {
		s.mu.bytes -= c.size
		s.mu.spilling += c.size
	}
	s.mu.spills++
	return chunks
}

// takeResidentLocked hands all resident chunks over to the caller, who must call spill.
func (s *Sorter) takeResidentLocked() []*chunk {
	chunks := s.mu.resident
	s.mu.spilling += s.mu.bytes
	s.mu.resident, s.mu.bytes = nil, 0
	s.mu.spills++
	return chunks
}

// enter counts a call that Close has to wait for.
func (s *Sorter) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.closed:
		return errClosed
	case s.mu.err != nil:
		return s.mu.err
	case s.mu.finished:
		return errors.New("sortkv: pairs after Finish")
	}
	s.mu.calls++
	return nil
}

func (s *Sorter) leave() {
	s.mu.Lock()
	s.mu.calls--
	s.mu.Unlock()
	s.budget.wake()
}

// fail makes err the sorter's lasting state, wakes those who wait, and returns it.
func (s *Sorter) fail(err error) error {
	s.mu.Lock()
	if s.mu.err == nil {
		s.mu.err = err
	}
	s.mu.resident, s.mu.bytes = nil, 0 // nobody reads them any more, and whoever goes on may need the memory
	s.mu.Unlock()
	s.budget.wake()
	return err
}

// Finish freezes the sorter: no more arenas. If everything fitted into memory
// and keys have no suffix, it looks for duplicates between arenas (*DuplicateKeyError);
// if not, ask Sorted.FindDuplicate. If there are so many runs that iterators would lack
// memory it writes the rest as well, and merges runs, which may meet a duplicate too. The
// result is valid until Close.
func (s *Sorter) Finish(ctx context.Context) (*Sorted, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.mu.Lock()
	s.mu.finished = true
	busy := s.mu.calls - 1
	s.dropFreeLocked()
	s.mu.Unlock()
	if busy > 0 {
		return nil, s.fail(fault.New(fault.Sluice, 0, "sortkv: Finish during %d other calls", busy))
	}
	if chunks := s.crowding(); chunks != nil {
		if err := s.spill(ctx, chunks); err != nil {
			return nil, err
		}
	}
	if err := s.compact(ctx); err != nil {
		return nil, s.fail(err)
	}
	r, err := s.freeze()
	if err != nil {
		return nil, s.fail(err)
	}
	if len(r.runs) > 0 {
		return r, nil
	}
	if err := r.FindDuplicate(ctx); err != nil {
		return nil, s.fail(err)
	}
	return r, nil
}

// wantedIterators is how many iterators the memory should suffice for.
const wantedIterators = 8

// crowding takes the resident chunks if they take memory that iterators need.
func (s *Sorter) crowding() []*chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	need := max(wantedIterators*s.iterNeeds(s.mu.runs), s.iterNeeds(s.mu.runs)+s.userNeeds())
	if len(s.mu.resident) == 0 || need <= s.budget.left() {
		return nil
	}
	return s.takeResidentLocked()
}

// freeze makes the result.
func (s *Sorter) freeze() (*Sorted, error) {
	s.mu.Lock()
	r := &Sorted{
		s: s, chunks: s.mu.resident, checksum: s.mu.checksum, written: s.mu.written, suffix: s.opts.SuffixBytes,
	}
	if s.mu.maxKey != nil {
		r.max = r.cut(s.mu.maxKey)
	}
	runs := s.mu.runs
	r.userBytes = s.userNeeds()
	s.mu.sorted = r // so that Close closes what is open
	s.mu.Unlock()
	r.unique.Store(r.suffix > 0)
	if err := r.open(runs); err != nil {
		return nil, err
	}
	if err := r.sample(); err != nil {
		return nil, err
	}
	s.budget.force(r.sampleBytes)
	return r, nil
}

// Close waits for running calls, which fail, and removes the files. It must
// be called, also after an error; closing twice is harmless. Open iterators
// are an error: their files stay open, but are removed all the same.
func (s *Sorter) Close() error { return s.close(false) }

func (s *Sorter) close(keep bool) error {
	s.mu.Lock()
	if s.mu.closed {
		s.mu.Unlock()
		return nil
	}
	s.mu.closed = true
	s.mu.Unlock()
	_ = s.fail(errClosed)
	s.waitForCalls()

	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.mu.iterators > 0 {
		err = fault.New(fault.Sluice, 0, "sortkv: closed with %d open iterators", s.mu.iterators)
	} else if s.mu.sorted != nil {
		err = s.mu.sorted.close()
	}
	// The memory goes even if somebody still refers to the sorter.
	s.mu.free, s.mu.pages.free, s.mu.resident, s.mu.runs = nil, nil, nil, nil
	if clear(s.mu.charge); s.mu.sorted != nil && s.mu.iterators == 0 {
		s.mu.sorted.chunks, s.mu.sorted.samples = nil, nil
	}
	if s.mu.dir != "" && !keep {
		if e := s.opts.FS.RemoveAll(s.mu.dir); e != nil {
			err = errors.Join(err, writeError(s.opts.Dir, e))
		}
	}
	return err
}

func (s *Sorter) waitForCalls() {
	for {
		freed := s.budget.freed()
		s.mu.Lock()
		calls := s.mu.calls
		s.mu.Unlock()
		if calls == 0 {
			return
		}
		<-freed
	}
}

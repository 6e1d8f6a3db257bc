package sortkv

import (
	"context"

	"github.com/sluicedb/sluice/importcore/kv"
)

// keyBufBytes is what a cursor has for its key at first; the memory of keys is
// not accounted for.
const keyBufBytes = 128

// newKeyBufs allocates key memory for n cursors at once.
func newKeyBufs(n int) func(i int) []byte {
	all := make([]byte, n*keyBufBytes)
	return func(i int) []byte { return all[i*keyBufBytes:][:0:keyBufBytes] }
}

// borrowPage lends a page for a pair of need bytes (see spaceOf), whether or
// not the budget has it: callers have made sure before, or can't wait.
func (s *Sorter) borrowPage(need int) *page {
	s.mu.Lock()
	p := s.mu.pages.get(need)
	s.mu.Unlock()
	s.budget.force(int64(len(p.buf)))
	return p
}

// returnPage takes a page back.
func (s *Sorter) returnPage(p *page) {
	s.mu.Lock()
	s.mu.pages.put(p)
	s.mu.Unlock()
	s.budget.release(int64(len(p.buf)))
}

// returnPages takes pages back, those that are not nil.
func (s *Sorter) returnPages(pages []*page) {
	for _, p := range pages {
		if p != nil {
			s.returnPage(p)
		}
	}
}

const refBytes = 24 // size of kv.Ref

// footprint returns the memory that an arena holds in bytes.
func footprint(a *kv.Arena) int64 { return int64(cap(a.Buf)) + int64(cap(a.Refs))*refBytes }

// newArena divides ArenaBytes between pairs and references as it suits pairs
// of 72 bytes; others make one of the two grow, which recycle charges.
func newArena(o Options) *kv.Arena {
	refs := o.ArenaBytes / 4 / refBytes
	return &kv.Arena{
		Buf:        make([]byte, 0, o.ArenaBytes-refs*refBytes),
		Refs:       make([]kv.Ref, 0, refs),
		PrefixSkip: o.PrefixSkip,
	}
}

// lendArena returns an arena if the budget has memory for it and for the pages
// that its pairs will need, so that Add never has to wait.
func (s *Sorter) lendArenaLocked() *kv.Arena {
	size := int64(s.opts.ArenaBytes)
	if n := len(s.mu.free); n > 0 {
		if !s.budget.tryAcquire(size) {
			return nil
		}
		a := s.mu.free[n-1]
		s.mu.free = s.mu.free[:n-1]
		return a
	}
	if !s.budget.tryAcquire(2 * size) {
		return nil
	}
	a := newArena(s.opts)
	s.mu.charge[a] = size
	return a
}

// recycle takes an arena back with the memory that was set aside for its
// pages, empties it and keeps it for Arena, except if it has grown far.
func (s *Sorter) recycle(a *kv.Arena) {
	released := int64(s.opts.ArenaBytes)
	s.mu.Lock()
	released += s.mu.charge[a]
	if size := footprint(a); size <= 2*int64(s.opts.ArenaBytes) && !s.mu.finished {
		a.Reset()
		s.mu.free = append(s.mu.free, a)
		s.mu.charge[a] = size
		released -= size
	} else {
		delete(s.mu.charge, a)
	}
	s.mu.Unlock()
	s.budget.release(released)
}

// Reserve takes n bytes of the budget for something else, until Unreserve gives them back. It waits until
// they are there, which may need those who have arenas, see Hurry. At most Reservable can be had in
// all, and as long as some of it is there may be too little for an arena for everybody. Errors: the context's,
// a former failure.
func (s *Sorter) Reserve(ctx context.Context, n int64) error {
	for {
		freed := s.budget.freed()
		s.mu.Lock()
		err := s.mu.err
		if err == nil && s.budget.tryAcquire(n) {
			s.mu.reserved += n
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		if err != nil {
			return err
		}
		if err := s.await(ctx, freed, true); err != nil {
			return err
		}
	}
}

// await waits for memory. If hurry is set those who have some to spare are told.
func (s *Sorter) await(ctx context.Context, freed <-chan struct{}, hurry bool) error {
	if hurry {
		s.mu.Lock()
		if s.mu.hurrying++; s.mu.hurrying == 1 {
			close(s.mu.hurry)
		}
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			if s.mu.hurrying--; s.mu.hurrying == 0 {
				s.mu.hurry = make(chan struct{})
			}
			s.mu.Unlock()
		}()
	}
	select {
	case <-freed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Hurry returns a channel that is closed while somebody waits for memory and Reserve has taken a part of
// it. Whoever has been lent an arena since it called Relieve last, and has nothing to do, is to
// give its arena to Add, if it has one still, and call Relieve.
func (s *Sorter) Hurry() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.hurry
}

// Reservable returns how many bytes Reserve can take in all of a sorter with a memory budget and arenas of
// this size: they leave two arenas with their pages, without which nobody could go on.
func Reservable(memoryBudget int64, arenaBytes int) int64 {
	return counted(memoryBudget) - 4*int64(arenaBytes)
}

// counted is the part of a memory budget that is accounted for.
func counted(memoryBudget int64) int64 { return memoryBudget - memoryBudget/16 }

// Unreserve gives back n bytes that Reserve has taken.
func (s *Sorter) Unreserve(n int64) {
	s.mu.Lock()
	s.mu.reserved -= n
	s.mu.Unlock()
	s.budget.release(n)
}

// Relieve makes room for those who wait: it writes what is resident as a run, and gives up the
// memory of unused arenas. It may be called where Add may. Errors are those of Add.
func (s *Sorter) Relieve(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.mu.Lock()
	s.dropFreeLocked()
	var chunks []*chunk
	if len(s.mu.resident) > 0 {
		chunks = s.takeResidentLocked()
	}
	s.mu.Unlock()
	if chunks == nil {
		return nil
	}
	return s.spill(ctx, chunks)
}

// dropFreeLocked gives up the memory of unused arenas.
func (s *Sorter) dropFreeLocked() {
	var released int64
	for _, a := range s.mu.free {
		released += s.mu.charge[a]
		delete(s.mu.charge, a)
	}
	s.mu.free = nil
	s.budget.release(released)
}

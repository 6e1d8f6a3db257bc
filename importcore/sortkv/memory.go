package sortkv

import "github.com/sluicedb/sluice/importcore/kv"

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

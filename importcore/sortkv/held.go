package sortkv

import (
	"cmp"
	"slices"

	"github.com/sluicedb/sluice/importcore/kv"
)

// Held returns how many bytes the sorter's directory would hold at most, up to the end of Finish, if
// nothing more came: its runs, what is in memory and may be written yet, and once more the runs that
// Finish would merge, since they go after the run that takes their place. It may be called at any time.
func (s *Sorter) Held() (bytes int64) {
	s.mu.Lock()
	runs := slices.Clone(s.mu.runs)
	// What is in memory makes runs too, one at least and one for each call that is about it.
	more := s.mu.spills + 1
	unwritten := runInfo{bytes: (s.mu.bytes + s.mu.spilling + int64(more) - 1) / int64(more)}
	s.mu.Unlock()
	for _, r := range runs {
		unwritten.index = max(unwritten.index, r.index)
	}
	for range more {
		runs = append(runs, unwritten)
	}
	for _, r := range runs {
		bytes += r.bytes
	}
	// Each merge makes one run of two or more, whichever they are.
	slices.SortFunc(runs, func(x, y runInfo) int { return cmp.Compare(y.bytes, x.bytes) })
	for _, r := range runs[:min(2*s.excess(runs), len(runs))] {
		bytes += r.bytes
	}
	return bytes
}

// Checksum returns the sum of everything that was added so far, suffixes left out. It may be called at any time.
func (s *Sorter) Checksum() kv.Checksum {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.checksum
}

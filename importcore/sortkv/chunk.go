package sortkv

import (
	"sort"

	"github.com/sluicedb/sluice/importcore/kv"
)

// chunk is the content of one arena, sorted and rewritten into pages. It is
// immutable, and owned by the Sorter, which lends its pages.
type chunk struct {
	pages []*page
	size  int64 // of the pages, bytes
	giant int64 // size of the largest value that has a page of its own, bytes
}

// prefetchAhead is how many pairs before its turn a pair is fetched into the
// cache. Their order in the arena is random, and a copy takes less time than fetching.
const prefetchAhead = 8

// newChunk rewrites a sorted, non-empty arena into pages. Equal keys end it
// with *DuplicateKeyError; the pages stay lent then, as the sorter has failed.
func newChunk(a *kv.Arena, pageBytes int, get func(need int) *page) (*chunk, error) {
	c := &chunk{pages: make([]*page, 0, (len(a.Buf)+shortHeader*len(a.Refs))/pageBytes+1)}
	p := c.grow(a.Refs[0], pageBytes, get)
	var last []byte
	for i, r := range a.Refs {
		if i+prefetchAhead < len(a.Refs) {
			at := &a.Buf[a.Refs[i+prefetchAhead].Off]
			prefetchPair(at, at)
		}
		key, value := a.Buf[r.Off:r.Off+r.KeyLen], a.Value(r)
		shared := commonPrefix(last, key)
		if shared == len(key) && shared == len(last) && i > 0 {
			return nil, duplicateKey(key, a.Value(a.Refs[i-1]), value)
		}
		if !p.add(shared, key, value) {
			p = c.grow(r, pageBytes, get)
			p.add(0, key, value)
		}
		last = key
	}
	return c, nil
}

func (c *chunk) grow(r kv.Ref, pageBytes int, get func(need int) *page) *page {
	need := spaceOf(int(r.KeyLen), int(r.ValLen))
	p := get(need)
	c.pages = append(c.pages, p)
	c.size += int64(len(p.buf))
	if need > pageBytes {
		c.giant = max(c.giant, int64(r.ValLen))
	}
	return p
}

// chunkSource gives the pages of a chunk to a cursor.
type chunkSource struct {
	*chunk
	at int // of the page that follows
	// done, if set, takes each page that the cursor has left, the last one excepted.
	done func(*page)
}

func (s *chunkSource) len() int                    { return len(s.pages) }
func (s *chunkSource) loadValues() ([]byte, error) { return nil, nil }

func (s *chunkSource) seek(before func(first []byte) bool) error {
	if before != nil {
		s.at = max(0, sort.Search(len(s.pages), func(i int) bool { return !before(s.pages[i].firstKey()) })-1)
	}
	return nil
}

func (s *chunkSource) following() ([]byte, bool) {
	if s.at == len(s.pages) {
		return nil, false
	}
	return s.pages[s.at].firstKey(), true
}

func (s *chunkSource) load() (*page, bool, error) {
	if s.done != nil && s.at > 0 {
		s.done(s.pages[s.at-1])
		s.pages[s.at-1] = nil
	}
	s.at++
	return s.pages[s.at-1], true, nil
}

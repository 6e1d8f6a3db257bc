package sortkv

import (
	"encoding/binary"
	"slices"
)

// A page holds sorted pairs, in memory and on disk in the same form: what the
// keys need from its front on, the values from its back on, the first value
// last.
//
//	entry entry entry ... -> (free) <- ... value value value (slack)
//
// An entry is a header and the bytes of the key behind those that it shares
// with the key before it in the page. The short header is 4 bytes: shared (1),
// rest of the key (1), value (2), lengths in bytes, little-endian. If one of them
// is too large, the first byte is 255 and shared (2), rest (2), value (4) follow.
// The first key of a page shares nothing.
type page struct {
	buf   []byte
	keys  int   // end of the entries
	vals  int   // start of the values
	pairs int   // number of pairs
	bytes int64 // of keys and values, unshortened
}

const (
	shortHeader = 4
	longHeader  = 9
	escape      = 255
	// pageSlack bytes behind the values may be read, so that the keys' bytes can be loaded in words.
	pageSlack = 16
	// maxKeyBytes is what headers and offset-value codes can count; TiKV takes keys of a few KiB.
	maxKeyBytes = 1<<16 - 2
)

func (p *page) reset() {
	p.keys, p.vals, p.pairs, p.bytes = 0, len(p.buf)-pageSlack, 0, 0
}

// spaceOf returns the size of a page that holds one pair whatever its form.
func spaceOf(key, value int) int { return longHeader + key + value + pageSlack }

// add appends a pair that shares (at least) the first shared bytes of its key
// with the one added last, or returns false if the page has no room. Bytes
// behind the key may be read as far as its capacity goes.
func (p *page) add(shared int, key, value []byte) bool {
	if p.pairs == 0 {
		shared = 0
	}
	rest := key[shared:]
	if p.keys+longHeader+len(rest)+len(value) > p.vals {
		return false
	}
	b := p.buf[p.keys:p.vals]
	if shared < escape && len(rest) <= 0xff && len(value) <= 0xffff {
		binary.LittleEndian.PutUint32(b, uint32(shared)|uint32(len(rest))<<8|uint32(len(value))<<16)
		p.keys += shortHeader + len(rest)
		b = b[shortHeader:]
	} else {
		b[0] = escape
		binary.LittleEndian.PutUint16(b[1:], uint16(shared))
		binary.LittleEndian.PutUint16(b[3:], uint16(len(rest)))
		binary.LittleEndian.PutUint32(b[5:], uint32(len(value)))
		p.keys += longHeader + len(rest)
		b = b[longHeader:]
	}
	if len(rest) <= pageSlack && cap(rest) >= pageSlack && len(b) >= pageSlack { // two words are faster than copy
		from, to := rest[:pageSlack], b[:pageSlack]
		binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
		binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
	} else {
		copy(b, rest)
	}
	p.vals -= len(value)
	copy(p.buf[p.vals:], value)
	p.pairs++
	p.bytes += int64(len(key) + len(value))
	return true
}

// appendLoneEntry appends the entry of a pair that has a page of its own.
func appendLoneEntry(b, key, value []byte) []byte {
	b = append(b, escape, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(key)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(b, key...)
}

// firstKey returns the first key: a part of the page.
func (p *page) firstKey() []byte {
	if p.buf[0] != escape {
		return p.buf[shortHeader:][:p.buf[1]]
	}
	return p.buf[longHeader:][:binary.LittleEndian.Uint16(p.buf[3:])]
}

// pagePool lends pages of one size. Its owner accounts for what is lent: pages
// that come back are kept for the next loan and never given up, so the pool
// holds as much as was lent at the same time at most, rounded up to a slab.
type pagePool struct {
	size int // bytes of a page's buf
	free []*page
}

// slabPages is how many pages are allocated at once.
const slabPages = 16

// get returns a page with room for one pair of at least need bytes (see
// spaceOf): an oversized one if need be.
func (p *pagePool) get(need int) *page {
	if need > p.size {
		g := &page{buf: make([]byte, need)}
		g.reset()
		return g
	}
	if len(p.free) == 0 {
		p.free = slices.Grow(p.free, slabPages)
		slab, pages := make([]byte, slabPages*p.size), make([]page, slabPages)
		for i := range pages {
			pages[i].buf = slab[i*p.size:][:p.size:p.size]
			p.free = append(p.free, &pages[i])
		}
	}
	g := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	g.reset()
	return g
}

// put takes a page back. An oversized one is left to the garbage collector.
func (p *pagePool) put(g *page) {
	if len(g.buf) == p.size {
		p.free = append(p.free, g)
	}
}

package sortkv

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// An offset-value code tells where and how a key leaves a smaller one, its
// base: the number of leading bytes they share (the fewer, the larger the
// code) and the six bytes that follow in the key, padded with zeros. Of two keys with
// the same base the one with the smaller code is the smaller key, so that long
// equal heads, which keys of a table have, are not compared again and again. Equal codes
// say that the keys agree in those bytes, or end there, and have to be compared.
const (
	codeBytes = 6
	codeShift = 8 * codeBytes
	noKey     = ^uint64(0) // the code of a source that has ended: larger than all others
	// sameHead: two codes that differ by less share the offset and the first byte behind it.
	sameHead = 1 << (codeShift - 8)
)

// codeOf returns the code of a key that shares off bytes with its base.
func codeOf(key []byte, off int) uint64 {
	code := uint64(maxKeyBytes-off) << codeShift
	if rest := key[off:]; len(rest) >= 8 {
		code |= binary.BigEndian.Uint64(rest) >> 16
	} else {
		for i := range min(len(rest), codeBytes) {
			code |= uint64(rest[i]) << (codeShift - 8 - 8*i)
		}
	}
	return code
}

// sharedBytes returns the offset of a code.
func sharedBytes(code uint64) int { return maxKeyBytes - int(code>>codeShift) }

// cursor walks one sorted source, a chunk or a run, up to the end of a range.
type cursor struct {
	code uint64 // of key, against the key before it; noKey at the end
	key  []byte // the present key, rebuilt here

	buf   []byte // of the present page
	pos   int    // behind the present pair's entry
	left  int    // pairs that follow in the page
	value int    // start of the present value
	size  int    // bytes of the present value

	suffix  int    // bytes at the end of keys that bounds don't have
	end     []byte // exclusive; nil is unbounded
	ending  bool   // end may lie in this page: compare
	loaded  bool   // the page's values are in buf
	present *page  // the present page
	src     source
}

// source is where a cursor gets its pages: a chunk or a reader of a run.
type source interface {
	// len returns the number of pages, none of them empty.
	len() int
	// seek comes first. It makes the last page following whose first key before holds
	// for, which it does up to some page, and without such a page, or if before is nil, the first one.
	seek(before func(first []byte) bool) error
	// following returns the first key of the page that load is to load; false if there
	// are no more. The key is valid until then.
	following() (first []byte, ok bool)
	// load makes the following page, of which the values may be missing, present until the next load.
	load() (p *page, loaded bool, err error)
	// loadValues completes the present page. If that has one pair that is larger than a page, it
	// returns its value instead, which is valid until the next call for any source of an iterator.
	loadValues() (giant []byte, err error)
}

// open moves to the first pair in [start, end); nil is unbounded. keyBuf is memory for keys.
func (c *cursor) open(src source, start, end, keyBuf []byte) error {
	c.src, c.end, c.key, c.code = src, end, keyBuf[:0], noKey
	var before func(first []byte) bool
	if start != nil { // the last page that starts before start, where keys may be equal, or at it
		before = func(first []byte) bool { return c.compare(first, start) <= c.last() }
	}
	if err := src.seek(before); err != nil {
		return err
	}
	if _, ok := src.following(); !ok {
		return nil
	}
	if err := c.loadPage(); err != nil {
		return err
	}
	c.step()
	for c.code != noKey && c.compare(c.key, start) < 0 {
		if err := c.next(); err != nil {
			return err
		}
	}
	if c.code != noKey {
		c.code = codeOf(c.key, 0)
	}
	return nil
}

// compare orders a key with a suffix and a bound, which has none.
func (c *cursor) compare(key, bound []byte) int {
	return bytes.Compare(key[:len(key)-c.suffix], bound)
}

// last is how a page's first key must compare at most with a bound so that all
// that is before the bound, and nothing else, comes before the page's end: with suffixes
// pairs of the bound's key may be in the page before as well.
func (c *cursor) last() int {
	if c.suffix > 0 {
		return -1
	}
	return 0
}

// loadPage makes the following page the present one, before its first pair.
func (c *cursor) loadPage() error {
	p, loaded, err := c.src.load()
	if err != nil {
		return err
	}
	c.present, c.loaded = p, loaded
	c.buf, c.pos, c.left, c.value = p.buf, 0, p.pairs, len(p.buf)-pageSlack
	if c.ending = c.end != nil; c.ending {
		first, ok := c.src.following()
		c.ending = !ok || c.compare(first, c.end) > c.last()
	}
	return nil
}

// next moves to the following pair.
func (c *cursor) next() error {
	if c.left > 0 {
		c.step()
		return nil
	}
	first, ok := c.src.following()
	if !ok || c.end != nil && c.compare(first, c.end) >= 0 {
		c.code = noKey
		return nil
	}
	shared := commonPrefix(c.key, first)
	if err := c.loadPage(); err != nil {
		return err
	}
	if c.step(); c.code != noKey {
		c.code = codeOf(c.key, shared)
	}
	return nil
}

// step decodes the next entry of the page.
func (c *cursor) step() {
	c.left--
	b := c.buf[c.pos:]
	header := binary.LittleEndian.Uint32(b)
	shared, rest, size := int(header&0xff), int(header>>8&0xff), int(header>>16)
	if shared != escape {
		b = b[shortHeader:]
		c.pos += shortHeader + rest
	} else {
		shared, rest = int(binary.LittleEndian.Uint16(b[1:])), int(binary.LittleEndian.Uint16(b[3:]))
		size = int(binary.LittleEndian.Uint32(b[5:]))
		b = b[longHeader:]
		c.pos += longHeader + rest
	}
	c.size = size
	c.value -= size
	value := binary.BigEndian.Uint64(b) >> 16
	if rest < codeBytes {
		value &= ^uint64(0) << (codeShift - 8*rest)
	}
	c.code = uint64(maxKeyBytes-shared)<<codeShift | value
	n := shared + rest
	if n+pageSlack > cap(c.key) {
		c.key = append(make([]byte, 0, 2*n+pageSlack), c.key...)
	}
	key := c.key[:n+pageSlack]
	if rest <= pageSlack { // two words are faster than copy
		to := key[shared:][:pageSlack]
		from := b[:pageSlack]
		binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
		binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
	} else {
		copy(key[shared:], b[:rest])
	}
	c.key = key[:n]
	if c.ending && bytes.Compare(c.key[:n-c.suffix], c.end) >= 0 {
		c.code = noKey
	}
}

// val returns the present value, valid until next.
func (c *cursor) val() ([]byte, error) {
	if !c.loaded {
		if giant, err := c.src.loadValues(); err != nil || giant != nil {
			return giant, err
		}
		c.loaded = true
	}
	return c.buf[c.value : c.value+c.size : c.value+c.size], nil
}

// commonPrefix returns how many leading bytes x and y share.
func commonPrefix(x, y []byte) int {
	n := min(len(x), len(y))
	i := 0
	for ; i+8 <= n; i += 8 {
		if d := binary.LittleEndian.Uint64(x[i:]) ^ binary.LittleEndian.Uint64(y[i:]); d != 0 {
			return i + bits.TrailingZeros64(d)/8
		}
	}
	for i < n && x[i] == y[i] {
		i++
	}
	return i
}

package kv

import (
	"encoding/binary"
	"hash/crc64"
)

// Checksum is the order-independent sum that TiDB's ADMIN CHECKSUM TABLE
// reports: the XOR over all pairs of the CRC-64 (ECMA) of key and value,
// the number of pairs and the bytes of their keys and values. Sums of parts
// merge into the sum of the whole. The zero value is the sum of nothing.
type Checksum struct {
	Sum   uint64 // XOR of the pairs' CRCs
	Pairs uint64
	Bytes uint64
}

// Add counts one pair.
func (c *Checksum) Add(key, value []byte) {
	c.Sum ^= ^update(update(^uint64(0), key), value)
	c.Pairs++
	c.Bytes += uint64(len(key) + len(value))
}

// AddArena counts every pair of an arena.
//
// A CRC that starts at zero is linear and blind to leading zeros. So the
// pairs are XORed over each other, aligned at their ends, and the CRC is taken
// once, of the result: the work per byte is that of a XOR. The CRC's real
// start value is the same as inverting the first eight bytes.
func (c *Checksum) AddArena(a *Arena) {
	var o overlay
	for _, r := range a.Refs {
		n := int(r.KeyLen + r.ValLen)
		c.Bytes += uint64(n)
		if pair := a.Buf[r.Off:][:n]; n >= 8 && n <= overlayMax {
			o.add(pair)
		} else {
			c.Sum ^= ^update(^uint64(0), pair)
		}
	}
	c.Sum ^= o.sum()
	c.Pairs += uint64(len(a.Refs))
}

// overlayMax is the length of the longest pair that an overlay takes, bytes.
const overlayMax = 64 << 10

// overlay is many byte strings XORed over each other, aligned at their ends.
type overlay struct {
	words [overlayMax/8 + 1]uint64 // from the last eight bytes to the first
	used  int
	odd   uint64 // all ones after an odd number of strings
}

// add takes a string of 8 to overlayMax bytes.
func (o *overlay) add(p []byte) {
	full := len(p) / 8
	words := o.words[:full+1]
	rest := uint(len(p)%8) * 8 // bits in front of the full words
	end := p
	for j := range words[:full] {
		words[j] ^= binary.LittleEndian.Uint64(end[len(end)-8:])
		end = end[:len(end)-8]
	}
	words[full] ^= ^binary.LittleEndian.Uint64(p) << (64 - rest)
	words[full-1] ^= ^uint64(0) >> rest
	o.used = max(o.used, full+1)
	o.odd = ^o.odd
}

// sum returns the XOR of the strings' CRCs.
func (o *overlay) sum() uint64 {
	crc := uint64(0)
	for j := o.used - 1; j >= 0; j-- {
		crc = step(crc ^ o.words[j])
	}
	return crc ^ o.odd
}

// Merge adds the sum of another, disjoint set of pairs.
func (c *Checksum) Merge(o Checksum) {
	c.Sum ^= o.Sum
	c.Pairs += o.Pairs
	c.Bytes += o.Bytes
}

// slicing[k][b] is the CRC of byte b followed by k zero bytes: it lets update
// take eight bytes at a time. The standard library does so for 64 bytes and
// more only, and pairs are shorter than that as a rule.
var slicing = makeSlicing()

func makeSlicing() *[8][256]uint64 {
	var t [8][256]uint64
	t[0] = *crc64.MakeTable(crc64.ECMA)
	for b := range 256 {
		crc := t[0][b]
		for k := 1; k < 8; k++ {
			crc = t[0][byte(crc)] ^ crc>>8
			t[k][b] = crc
		}
	}
	return &t
}

// update feeds p to a CRC that is held inverted, as the algorithm does inside.
func update(crc uint64, p []byte) uint64 {
	for len(p) >= 8 {
		crc = step(crc ^ binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	for _, b := range p {
		crc = slicing[0][byte(crc)^b] ^ crc>>8
	}
	return crc
}

// step takes eight bytes, XORed into crc, at once.
func step(crc uint64) uint64 {
	return slicing[7][byte(crc)] ^ slicing[6][byte(crc>>8)] ^
		slicing[5][byte(crc>>16)] ^ slicing[4][byte(crc>>24)] ^
		slicing[3][byte(crc>>32)] ^ slicing[2][byte(crc>>40)] ^
		slicing[1][byte(crc>>48)] ^ slicing[0][byte(crc>>56)]
}

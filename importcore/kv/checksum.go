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

// AddArena counts every pair of an arena. Key and value lie side by side, so
// each pair is one pass over contiguous bytes.
func (c *Checksum) AddArena(a *Arena) {
	for _, r := range a.Refs {
		n := r.KeyLen + r.ValLen
		c.Sum ^= ^update(^uint64(0), a.Buf[r.Off:][:n])
		c.Bytes += uint64(n)
	}
	c.Pairs += uint64(len(a.Refs))
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
		crc ^= binary.LittleEndian.Uint64(p)
		crc = slicing[7][byte(crc)] ^ slicing[6][byte(crc>>8)] ^
			slicing[5][byte(crc>>16)] ^ slicing[4][byte(crc>>24)] ^
			slicing[3][byte(crc>>32)] ^ slicing[2][byte(crc>>40)] ^
			slicing[1][byte(crc>>48)] ^ slicing[0][byte(crc>>56)]
		p = p[8:]
	}
	for _, b := range p {
		crc = slicing[0][byte(crc)^b] ^ crc>>8
	}
	return crc
}

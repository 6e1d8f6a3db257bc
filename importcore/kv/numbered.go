package kv

import "encoding/binary"

// NumberBytes is the length of what AddNumbered puts behind a key.
const NumberBytes = 8

// AddNumbered copies every pair of from and puts n behind each key, 8 bytes
// big-endian, so that pairs with one key stand together, ordered by n, once they
// are sorted.
func (a *Arena) AddNumbered(from *Arena, n uint64) {
	for _, r := range from.Refs {
		a.Buf = append(a.Buf, from.Key(r)...)
		a.Buf = binary.BigEndian.AppendUint64(a.Buf, n)
		a.EndKey()
		a.Buf = append(a.Buf, from.Value(r)...)
		a.EndPair()
	}
}

// AddArenaCut is AddArena for keys that end in cut bytes which don't count.
func (c *Checksum) AddArenaCut(a *Arena, cut int) {
	for _, r := range a.Refs {
		key := a.Key(r)
		c.Add(key[:len(key)-cut], a.Value(r))
	}
}

// Subtract takes the sum of a part out of the sum of the whole.
func (c *Checksum) Subtract(part Checksum) {
	c.Sum ^= part.Sum
	c.Pairs -= part.Pairs
	c.Bytes -= part.Bytes
}

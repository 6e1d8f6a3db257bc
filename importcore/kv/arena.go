// Package kv holds key-value pairs the way the hot path moves them: bytes in
// an arena and fixed-size references beside it, so that encoding a row
// allocates nothing and sorting moves 24-byte references instead of pairs.
//
// It is a leaf used by encode (which fills arenas), sortkv (which sorts and
// merges them) and ingest (which sends them).
package kv

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Ref is one pair inside an Arena: the key starts at Off, the value follows it directly.
type Ref struct {
	Prefix uint64 // first 8 bytes at Arena.PrefixSkip of the key, big-endian, zero-padded: compares first
	Off    uint32
	KeyLen uint32
	ValLen uint32
}

// MaxArenaBytes is the most an arena can address.
const MaxArenaBytes = math.MaxUint32

// Arena is a growing buffer of pairs. It is owned by one goroutine at a time;
// handing it to sortkv passes ownership.
//
// An encoder appends key bytes to Buf, calls EndKey, appends value bytes to
// Buf, calls EndPair. When a row fails half way, Rollback(Mark()) drops what
// it left.
type Arena struct {
	Buf  []byte
	Refs []Ref

	// PrefixSkip is how many leading key bytes all pairs of the arena share in
	// practice (a table key starts with 't', 8 bytes of table id and 2 of
	// separator), so that Ref.Prefix holds bytes that tell keys apart. It must be the same
	// for all arenas of a sorter, and the skipped bytes must sort first: see Less.
	PrefixSkip int

	start  int // of the pair being built
	keyEnd int // end of its key
}

// ArenaMark is a state to roll back to.
type ArenaMark struct{ buf, refs int }

// NewArena returns an arena with room for size bytes of pairs.
func NewArena(size, prefixSkip int) *Arena {
	return &Arena{Buf: make([]byte, 0, size), Refs: make([]Ref, 0, size/64), PrefixSkip: prefixSkip}
}

// Mark returns the present state. It must be taken between pairs.
func (a *Arena) Mark() ArenaMark { return ArenaMark{len(a.Buf), len(a.Refs)} }

// Rollback drops everything added since the mark was taken.
func (a *Arena) Rollback(m ArenaMark) {
	a.Buf = a.Buf[:m.buf]
	a.Refs = a.Refs[:m.refs]
	a.start = m.buf
}

// EndKey marks the end of the key of the pair being built.
func (a *Arena) EndKey() { a.keyEnd = len(a.Buf) }

// EndPair completes the pair: everything after EndKey is its value.
func (a *Arena) EndPair() {
	key := a.Buf[a.start:a.keyEnd]
	a.Refs = append(a.Refs, Ref{
		Prefix: Prefix(key, a.PrefixSkip),
		Off:    uint32(a.start),
		KeyLen: uint32(a.keyEnd - a.start),
		ValLen: uint32(len(a.Buf) - a.keyEnd),
	})
	a.start = len(a.Buf)
}

// Add appends a complete pair by copying both parts.
func (a *Arena) Add(key, value []byte) {
	a.Buf = append(a.Buf, key...)
	a.EndKey()
	a.Buf = append(a.Buf, value...)
	a.EndPair()
}

// Key returns the key of r inside the arena: valid until Reset, not to be changed.
func (a *Arena) Key(r Ref) []byte {
	return a.Buf[r.Off : r.Off+r.KeyLen : r.Off+r.KeyLen]
}

// Value returns the value of r inside the arena: valid until Reset, not to be changed.
func (a *Arena) Value(r Ref) []byte {
	s := r.Off + r.KeyLen
	return a.Buf[s : s+r.ValLen : s+r.ValLen]
}

// Bytes returns how much memory the pairs take, references included.
func (a *Arena) Bytes() int { return len(a.Buf) + len(a.Refs)*24 }

// Reset empties the arena and keeps its memory.
func (a *Arena) Reset() {
	a.Buf = a.Buf[:0]
	a.Refs = a.Refs[:0]
	a.start, a.keyEnd = 0, 0
}

// Compare orders two pairs of this arena by key bytes.
func (a *Arena) Compare(x, y Ref) int {
	kx, ky := a.Key(x), a.Key(y)
	if a.PrefixSkip > 0 {
		if c := bytes.Compare(head(kx, a.PrefixSkip), head(ky, a.PrefixSkip)); c != 0 {
			return c
		}
	}
	if x.Prefix != y.Prefix {
		if x.Prefix < y.Prefix {
			return -1
		}
		return 1
	}
	return bytes.Compare(kx, ky)
}

func head(key []byte, n int) []byte {
	if len(key) < n {
		return key
	}
	return key[:n]
}

// Prefix returns the 8 bytes of key that follow the first skip bytes,
// big-endian and padded with zeros, so that numbers order as the bytes do.
func Prefix(key []byte, skip int) uint64 {
	if len(key) >= skip+8 {
		return binary.BigEndian.Uint64(key[skip:])
	}
	var b [8]byte
	if len(key) > skip {
		copy(b[:], key[skip:])
	}
	return binary.BigEndian.Uint64(b[:])
}

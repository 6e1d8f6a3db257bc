package sst

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ShortValueMax is TiKV's SHORT_VALUE_MAX_LEN: longer values, in bytes, stand in
// the default column family.
const ShortValueMax = 255

// Kind is the first byte of a record of the write family.
type Kind byte

// The kinds of records. Lock and Rollback leave what is visible as it is.
const (
	Put      Kind = 'P'
	Delete   Kind = 'D'
	Lock     Kind = 'L'
	Rollback Kind = 'R'
)

// Tags of the optional fields behind start_ts.
const (
	tagShortValue         = 'v' // 1 byte length, value
	tagOverlappedRollback = 'R' // nothing
	tagGCFence            = 'F' // 8 bytes
	tagLastChange         = 'l' // 8 bytes, varint
	tagTxnSource          = 'S' // varint
)

// Record is a value of the write family. Of its optional fields only the short
// value is kept.
type Record struct {
	Kind    Kind
	StartTS uint64
	// Short is the value; nil when it stands in the default family, or when the
	// record has none. A value of no bytes is not nil.
	Short []byte
}

// NewPut returns the record of a value; one that is too long for the record has
// to be written to the default family by the caller, see Record.Long.
func NewPut(startTS uint64, value []byte) Record {
	r := Record{Kind: Put, StartTS: startTS}
	if len(value) <= ShortValueMax {
		r.Short = append([]byte{}, value...)
	}
	return r
}

// Long tells whether the record's value stands in the default family.
func (r Record) Long() bool { return r.Kind == Put && r.Short == nil }

// Append appends the encoded record.
func (r Record) Append(dst []byte) []byte {
	dst = append(dst, byte(r.Kind))
	dst = binary.AppendUvarint(dst, r.StartTS)
	if r.Short != nil {
		dst = append(dst, tagShortValue, byte(len(r.Short)))
		dst = append(dst, r.Short...)
	}
	return dst
}

var errShortRecord = errors.New("the record ends too early")

// ParseRecord decodes a value of the write family. Short points into b. A tag
// that is not known ends the record, as in TiKV.
func ParseRecord(b []byte) (Record, error) {
	if len(b) == 0 {
		return Record{}, errShortRecord
	}
	r := Record{Kind: Kind(b[0])}
	switch r.Kind {
	case Put, Delete, Lock, Rollback:
	default:
		return Record{}, fmt.Errorf("no record begins with %q", b[0])
	}
	var n int
	if r.StartTS, n = binary.Uvarint(b[1:]); n <= 0 {
		return Record{}, errShortRecord
	}
	for b = b[1+n:]; len(b) > 0; {
		size, known := fieldSize(b)
		if !known {
			return r, nil
		}
		if size <= 0 || size > len(b) {
			return Record{}, errShortRecord
		}
		if b[0] == tagShortValue {
			r.Short = b[2:size:size]
		}
		b = b[size:]
	}
	return r, nil
}

// fieldSize returns how many bytes the field at the beginning of b has with its
// tag, 0 when b is too short to tell.
func fieldSize(b []byte) (size int, known bool) {
	switch b[0] {
	case tagShortValue:
		if len(b) < 2 {
			return 0, true
		}
		return 2 + int(b[1]), true
	case tagOverlappedRollback:
		return 1, true
	case tagGCFence:
		return 1 + 8, true
	case tagLastChange:
		return varintEnd(b, 1+8), true
	case tagTxnSource:
		return varintEnd(b, 1), true
	}
	return 0, false
}

// varintEnd returns where the varint at b[at:] ends, 0 if it does not.
func varintEnd(b []byte, at int) int {
	if len(b) <= at {
		return 0
	}
	_, n := binary.Uvarint(b[at:])
	if n <= 0 {
		return 0
	}
	return at + n
}

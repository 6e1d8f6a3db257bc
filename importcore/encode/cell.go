package encode

import (
	"encoding/binary"
	"math"
	"slices"
)

// class is how the values of a column are held in a cell and written to
// records and keys. It follows from the column's type alone.
type class uint8

const (
	classInt      class = iota // signed integers and YEAR: u holds an int64
	classUint                  // unsigned integers, dates and times (packed), ENUM, SET, BIT: u
	classFloat                 // FLOAT, DOUBLE: u holds the memcomparable form
	classDuration              // TIME: u holds nanoseconds as an int64
	classBytes                 // strings, JSON, vectors: b
	classDecimal               // DECIMAL: b holds precision, scale and the binary form
)

// Flags that stand in front of values in keys (TiDB's pkg/util/codec).
const (
	flagNull     = 0
	flagBytes    = 1
	flagInt      = 3
	flagUint     = 4
	flagFloat    = 5
	flagDecimal  = 6
	flagDuration = 7
)

// cell is one value of the row being encoded. b points into the field, the
// encoder's scratch buffer or the plan, and is valid until the row is done.
type cell struct {
	b    []byte
	u    uint64
	null bool
	// odd says that an INSERT computes with something else than what the column
	// then holds; see datum.go. It means something only in columns that
	// expressions read.
	odd bool
}

// slack is how many bytes behind what is written must be there, because
// numbers are written as whole words whatever part of them counts.
const slack = 8

// floatBits returns the form of f whose unsigned order is the order of floats.
func floatBits(f float64) uint64 {
	u := math.Float64bits(f)
	if f >= 0 {
		return u | 1<<63
	}
	return ^u
}

// appendValue appends c as a record holds it: integers in the shortest of 1,
// 2, 4 or 8 little-endian bytes, everything else as it is.
func appendValue(dst []byte, cl class, c *cell) []byte {
	switch cl {
	case classInt, classDuration:
		return appendInt(dst, int64(c.u))
	case classUint:
		return appendUint(dst, c.u)
	case classFloat:
		return binary.BigEndian.AppendUint64(dst, c.u)
	default:
		return append(dst, c.b...)
	}
}

func appendInt(dst []byte, v int64) []byte {
	switch {
	case int64(int8(v)) == v:
		return append(dst, byte(v))
	case int64(int16(v)) == v:
		return binary.LittleEndian.AppendUint16(dst, uint16(v))
	case int64(int32(v)) == v:
		return binary.LittleEndian.AppendUint32(dst, uint32(v))
	default:
		return binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
}

func appendUint(dst []byte, v uint64) []byte {
	switch {
	case v <= math.MaxUint8:
		return append(dst, byte(v))
	case v <= math.MaxUint16:
		return binary.LittleEndian.AppendUint16(dst, uint16(v))
	case v <= math.MaxUint32:
		return binary.LittleEndian.AppendUint32(dst, uint32(v))
	default:
		return binary.LittleEndian.AppendUint64(dst, v)
	}
}

// appendKeyInt appends an integer so that byte order is number order.
func appendKeyInt(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v)^(1<<63))
}

// appendKeyBytes appends data in groups of 8 bytes, each followed by a marker
// that tells how many of them count (0xFF = all, and another group follows).
func appendKeyBytes(dst, data []byte) []byte {
	dst = slices.Grow(dst, keyBytesSize(len(data)))
	return dst[:writeKeyBytes(dst[:cap(dst)], len(dst), data)]
}

// keyBytesSize returns how many bytes a string of n bytes takes in a key.
func keyBytesSize(n int) int { return (n/8 + 1) * 9 }

// writeKeyBytes is appendKeyBytes into the room at b[n:]; it returns the end.
func writeKeyBytes(b []byte, n int, data []byte) int {
	var last uint64 // the incomplete group
	if len(data) >= 8 {
		last = binary.LittleEndian.Uint64(data[len(data)-8:]) >> (64 - 8*(len(data)%8))
	} else {
		last = loadShort(data)
	}
	for ; len(data) >= 8; data = data[8:] {
		group := b[n : n+9 : n+9]
		binary.LittleEndian.PutUint64(group, binary.LittleEndian.Uint64(data))
		group[8] = 0xFF
		n += 9
	}
	group := b[n : n+9 : n+9]
	binary.LittleEndian.PutUint64(group, last)
	group[8] = 0xF7 + byte(len(data)) // 0xFF less the padding bytes
	return n + 9
}

// appendKeyNumber appends a cell that is not of classBytes as part of a key.
func appendKeyNumber(dst []byte, cl class, c *cell) []byte {
	switch cl {
	case classInt:
		return appendKeyInt(append(dst, flagInt), int64(c.u))
	case classUint:
		return binary.BigEndian.AppendUint64(append(dst, flagUint), c.u)
	case classFloat:
		return binary.BigEndian.AppendUint64(append(dst, flagFloat), c.u)
	case classDuration:
		return appendKeyInt(append(dst, flagDuration), int64(c.u))
	default: // classDecimal
		return append(append(dst, flagDecimal), c.b...)
	}
}

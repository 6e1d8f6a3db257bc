package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error that says the bytes from the wire do
// not follow the protocol.
var ErrMalformed = errors.New("malformed MySQL packet")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// nullByte stands for NULL where a text row expects a length.
const nullByte = 0xfb

// LenencInt decodes a length-encoded integer at the start of b. n is the number
// of bytes used; ok is false when b is too short or starts with 0xfb (NULL) or
// 0xff (ERR), which are no integers.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
func LenencInt(b []byte) (v uint64, n int, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	switch first := b[0]; {
	case first < nullByte:
		return uint64(first), 1, true
	case first == 0xfc && len(b) >= 3:
		return uint64(binary.LittleEndian.Uint16(b[1:])), 3, true
	case first == 0xfd && len(b) >= 4:
		return uint64(b[1]) | uint64(b[2])<<8 | uint64(b[3])<<16, 4, true
	case first == 0xfe && len(b) >= 9:
		return binary.LittleEndian.Uint64(b[1:]), 9, true
	}
	return 0, 0, false
}

// LenencBytes decodes a length-encoded string at the start of b. The value is a
// slice of b; n is the number of bytes used, length included.
func LenencBytes(b []byte) (v []byte, n int, ok bool) {
	size, n, ok := LenencInt(b)
	if !ok || size > uint64(len(b)-n) {
		return nil, 0, false
	}
	end := n + int(size)
	return b[n:end:end], end, true
}

// AppendLenencInt appends v in its shortest form.
func AppendLenencInt(dst []byte, v uint64) []byte {
	switch {
	case v < nullByte:
		return append(dst, byte(v))
	case v < 1<<16:
		return append(dst, 0xfc, byte(v), byte(v>>8))
	case v < 1<<24:
		return append(dst, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(dst, 0xfe), v)
}

// AppendLenencString appends s with its length in front.
func AppendLenencString[T string | []byte](dst []byte, s T) []byte {
	return append(AppendLenencInt(dst, uint64(len(s))), s...)
}

// cutNul returns b up to its first NUL and what follows the NUL.
func cutNul(b []byte) (head, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

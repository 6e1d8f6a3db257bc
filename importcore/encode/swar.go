package encode

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Arithmetic on eight bytes at a time. Words are loaded little-endian: the
// first character of a text is the lowest byte.
const (
	highBits  = 0x8080808080808080
	zeroChars = 0x3030303030303030 // "00000000"
)

// allDigits reports whether every byte of x is an ASCII digit: adding 0x46
// lifts what is above '9' to 0x80, subtracting '0' what is below. (Borrows and
// carries between bytes start only at bytes that already fail.)
func allDigits(x uint64) bool {
	return ((x+0x4646464646464646)|(x-zeroChars))&highBits == 0
}

// pairs returns, in byte i, the number that the digits i and i+1 of x spell;
// the last byte is of no use.
func pairs(x uint64) uint64 {
	x -= zeroChars
	return x*10 + x>>8
}

// number returns the number that the eight digits of x spell.
func number(x uint64) uint64 {
	const (
		even = 0x000000FF000000FF
		mul1 = 100 + 1000000<<32
		mul2 = 1 + 10000<<32
	)
	x = pairs(x)
	return uint64(uint32(((x&even)*mul1 + (x>>16&even)*mul2) >> 32))
}

// loadShort returns the 1 to 7 bytes of b as the low bytes of a word, zeros
// above, without reading past b: parts that overlap agree where they do.
func loadShort(b []byte) uint64 {
	n := len(b)
	if n >= 4 {
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<(8*n-32)
	}
	if n == 0 {
		return 0
	}
	return uint64(b[0]) | uint64(b[n/2])<<(8*(n/2)) | uint64(b[n-1])<<(8*n-8)
}

// loadDigits returns the last digits of b, at most as many as count, as a word of
// eight characters with '0' in front. b is longer than 7 bytes.
func loadDigits(b []byte, count int) uint64 {
	unwanted := 64 - 8*count
	x := binary.LittleEndian.Uint64(b[len(b)-8:])
	return x>>unwanted<<unwanted | zeroChars>>(8*count)
}

var powersOf10 = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// parseDigits reads a run of 1 to 19 digits that fills b.
func parseDigits(b []byte) (u uint64, ok bool) {
	n := len(b)
	switch {
	case n == 0 || n > 19:
		return 0, false
	case n < 8:
		x := loadShort(b)<<(64-8*n) | zeroChars>>(8*n)
		return number(x), allDigits(x)
	case n == 8:
		x := binary.LittleEndian.Uint64(b)
		return number(x), allDigits(x)
	}
	x := binary.LittleEndian.Uint64(b)
	if n <= 16 {
		y := loadDigits(b, n-8)
		return number(x)*powersOf10[n-8] + number(y), allDigits(x) && allDigits(y)
	}
	y, z := binary.LittleEndian.Uint64(b[8:]), loadDigits(b, n-16)
	u = (number(x)*1e8+number(y))*powersOf10[n-16] + number(z)
	return u, allDigits(x) && allDigits(y) && allDigits(z)
}

// isASCII reports whether no byte has its high bit set.
func isASCII(b []byte) bool {
	if len(b) < 8 {
		return loadShort(b)&highBits == 0
	}
	last := binary.LittleEndian.Uint64(b[len(b)-8:])
	for len(b) > 8 {
		last |= binary.LittleEndian.Uint64(b)
		b = b[8:]
	}
	return last&highBits == 0
}

// validUTF8 is utf8.Valid, faster where ASCII and other characters mix.
func validUTF8(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&highBits != 0 {
			return validWide(b)
		}
		b = b[8:]
	}
	return loadShort(b)&highBits == 0 || utf8.Valid(b)
}

// validWideGo is the plain form of validWide: it jumps from one character
// outside of ASCII to the next.
func validWideGo(b []byte) bool {
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b) & highBits
		if x == 0 {
			b = b[8:]
			continue
		}
		b = b[bits.TrailingZeros64(x)>>3:]
		n := wideRune(b)
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return loadShort(b)&highBits == 0 || utf8.Valid(b)
}

// wideRune returns the length of the character of two bytes or more at the
// start of b, 0 if it is malformed. Table 3-7 of the Unicode standard has the ranges.
func wideRune(b []byte) int {
	if len(b) < 4 {
		if r, n := utf8.DecodeRune(b); r != utf8.RuneError || n > 1 {
			return n
		}
		return 0
	}
	b0, b1 := b[0], b[1]
	switch {
	case b0 < 0xC2 || b1&0xC0 != 0x80:
		return 0
	case b0 < 0xE0:
		return 2
	case b[2]&0xC0 != 0x80:
		return 0
	case b0 < 0xF0:
		if b0 == 0xE0 && b1 < 0xA0 || b0 == 0xED && b1 > 0x9F {
			return 0
		}
		return 3
	case b0 > 0xF4 || b[3]&0xC0 != 0x80 || b0 == 0xF0 && b1 < 0x90 || b0 == 0xF4 && b1 > 0x8F:
		return 0
	}
	return 4
}

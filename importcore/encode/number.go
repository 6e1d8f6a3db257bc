package encode

import (
	"encoding/binary"
	"math"
	"strconv"
	"unsafe"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
)

// parseDigits reads a run of 1 to 19 digits that fills b.
func parseDigits(b []byte) (u uint64, ok bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	for _, ch := range b {
		d := ch - '0'
		if d > 9 {
			return 0, false
		}
		u = u*10 + uint64(d)
	}
	return u, true
}

// parseSigned takes [+-]digits inside the column's bounds.
func parseSigned(_ *Encoder, col *column, field []byte, c *cell) bool {
	if len(field) == 0 {
		return false
	}
	negative := false
	if field[0] == '-' || field[0] == '+' {
		negative = field[0] == '-'
		field = field[1:]
	}
	u, ok := parseDigits(field)
	if !ok || u > math.MaxInt64 { // the one value below -MaxInt64 is left to the general path
		return false
	}
	v := int64(u)
	if negative {
		v = -v
	}
	if v < col.lo || v > col.hi {
		return false
	}
	c.u = uint64(v)
	return true
}

// parseUnsigned takes [+]digits inside the column's bound.
func parseUnsigned(_ *Encoder, col *column, field []byte, c *cell) bool {
	if len(field) > 0 && field[0] == '+' {
		field = field[1:]
	}
	if len(field) == 20 { // 10^19 and more
		head, ok := parseDigits(field[:19])
		last := field[19] - '0'
		if !ok || last > 9 || head > math.MaxUint64/10 || (head == math.MaxUint64/10 && last > math.MaxUint64%10) {
			return false
		}
		c.u = head*10 + uint64(last)
		return c.u <= col.max
	}
	u, ok := parseDigits(field)
	c.u = u
	return ok && u <= col.max
}

// parseYear takes four digits in the range of YEAR.
func parseYear(_ *Encoder, _ *column, field []byte, c *cell) bool {
	if len(field) != 4 {
		return false
	}
	u, ok := parseDigits(field)
	if !ok || u < uint64(types.MinYear) || u > uint64(types.MaxYear) {
		return false
	}
	c.u = u
	return true
}

// parseFloat takes decimal notation with or without exponent.
func parseFloat(_ *Encoder, col *column, field []byte, c *cell) bool {
	if len(field) == 0 {
		return false
	}
	for _, ch := range field {
		if ch-'0' > 9 && ch != '.' && ch != '-' && ch != '+' && ch != 'e' && ch != 'E' {
			return false
		}
	}
	// ParseFloat keeps no reference to its argument (its errors hold a copy).
	f, err := strconv.ParseFloat(unsafe.String(&field[0], len(field)), 64)
	if err != nil {
		return false
	}
	ft := &col.info.FieldType
	if f, err = types.ProduceFloatWithSpecifiedTp(f, ft); err != nil {
		return false
	}
	if ft.GetType() == mysql.TypeFloat {
		f = float64(float32(f))
	}
	c.u = floatBits(f)
	return true
}

const (
	digitsPerWord = 9 // decimal digits in a 4-byte word of a DECIMAL
	maxWords      = 9 // words that TiDB's decimal can hold while parsing
)

// wordBytes is the number of bytes that a group of n digits takes.
var wordBytes = [digitsPerWord + 1]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

// decimalText is a number cut into its parts.
type decimalText struct {
	negative bool
	whole    []byte // digits before the point without leading zeros
	fraction []byte // digits after the point, not more than the column's scale
}

// cutDecimal splits [+-]digits[.digits]. It reports false for other spellings
// and for numbers that don't fit the column exactly.
func cutDecimal(field []byte, precision, scale int) (t decimalText, ok bool) {
	if len(field) > 0 && (field[0] == '-' || field[0] == '+') {
		t.negative = field[0] == '-'
		field = field[1:]
	}
	point := len(field)
	for i, ch := range field {
		if ch-'0' <= 9 {
			continue
		}
		if ch != '.' || point != len(field) {
			return t, false
		}
		point = i
	}
	t.whole = field[:point]
	if point < len(field) {
		t.fraction = field[point+1:]
	}
	if len(t.whole)+len(t.fraction) == 0 || words(len(t.whole))+words(len(t.fraction)) > maxWords {
		return t, false
	}
	for len(t.whole) > 0 && t.whole[0] == '0' {
		t.whole = t.whole[1:]
	}
	for len(t.fraction) > scale && t.fraction[len(t.fraction)-1] == '0' {
		t.fraction = t.fraction[:len(t.fraction)-1]
	}
	return t, len(t.whole) <= precision-scale && len(t.fraction) <= scale
}

func words(digits int) int { return (digits + digitsPerWord - 1) / digitsPerWord }

func allZero(digits []byte) bool {
	for _, ch := range digits {
		if ch != '0' {
			return false
		}
	}
	return true
}

// parseDecimal takes plain notation that needs no rounding. The cell gets
// precision and scale, one byte each, and the digits in groups of nine: the
// whole part filled from the left with zeros, the fraction from the right, all
// bytes inverted for negative numbers, the first bit flipped for order.
func parseDecimal(e *Encoder, col *column, field []byte, c *cell) bool {
	t, ok := cutDecimal(field, col.precision, col.scale)
	if !ok {
		return false
	}
	if t.negative {
		if len(t.whole) == 0 && allZero(t.fraction) {
			t.negative = false
		} else if col.unsigned {
			return false
		}
	}
	start := len(e.scratch)
	dst := append(e.scratch, byte(col.precision), byte(col.scale))
	var mask uint32
	if t.negative {
		mask = math.MaxUint32
	}
	missing := col.precision - col.scale - len(t.whole) // leading zeros to imagine
	for slot, slots := 0, col.precision-col.scale; slot < slots; {
		n := (slots-slot-1)%digitsPerWord + 1
		dst = appendGroup(dst, groupValue(t.whole, slot-missing, n)^mask, wordBytes[n])
		slot += n
	}
	for slot := 0; slot < col.scale; {
		n := min(col.scale-slot, digitsPerWord)
		dst = appendGroup(dst, groupValue(t.fraction, slot, n)^mask, wordBytes[n])
		slot += n
	}
	dst[start+2] ^= 0x80
	e.scratch = dst
	c.b = dst[start:len(dst):len(dst)]
	return true
}

// groupValue returns the number that digits[from:from+n] spell; positions
// outside of digits count as zeros.
func groupValue(digits []byte, from, n int) (v uint32) {
	for i := from; i < from+n; i++ {
		v *= 10
		if i >= 0 && i < len(digits) {
			v += uint32(digits[i] - '0')
		}
	}
	return v
}

// appendGroup appends the low size bytes of v, big-endian.
func appendGroup(dst []byte, v uint32, size int) []byte {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return append(dst, b[4-size:]...)
}

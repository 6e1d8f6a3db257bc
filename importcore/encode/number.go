package encode

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
)

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

// decimalLayout is the binary form of a DECIMAL whose two parts have at most
// 18 digits each, so that each is one machine word.
type decimalLayout struct {
	small    bool
	limit    uint64 // the whole part is less
	lead     int    // bytes of the whole part's incomplete group, first
	whole    int    // complete groups of the whole part
	fraction int    // complete groups of the fraction
	trail    int    // bytes of the fraction's incomplete group, last
	trailing uint64 // 10 to the digits in trail
}

func newDecimalLayout(precision, scale int) decimalLayout {
	digits := precision - scale
	if digits > 2*digitsPerWord || scale > 2*digitsPerWord {
		return decimalLayout{}
	}
	return decimalLayout{
		small: true, limit: powersOf10[digits],
		lead: wordBytes[digits%digitsPerWord], whole: digits / digitsPerWord,
		fraction: scale / digitsPerWord, trail: wordBytes[scale%digitsPerWord], trailing: powersOf10[scale%digitsPerWord],
	}
}

// maxDecimalBytes is more than the longest cell of a DECIMAL, with room to write whole words.
const maxDecimalBytes = 48

// parseDecimal takes plain notation that needs no rounding.
func parseDecimal(e *Encoder, col *column, field []byte, c *cell) bool {
	l := &col.decimal
	if !l.small || len(field) == 0 {
		return parseLongDecimal(e, col, field, c)
	}
	text, negative := field, false
	if text[0] == '-' || text[0] == '+' {
		negative = text[0] == '-'
		text = text[1:]
	}
	var fraction uint64
	if col.scale > 0 {
		point := len(text) - col.scale - 1
		if point < 0 || text[point] != '.' {
			return parseLongDecimal(e, col, field, c)
		}
		var ok bool
		if fraction, ok = parseDigits(text[point+1:]); !ok {
			return false
		}
		text = text[:point]
	}
	whole, ok := parseDigits(text)
	if !ok || whole >= l.limit {
		return parseLongDecimal(e, col, field, c)
	}
	if negative && whole|fraction == 0 {
		negative = false
	} else if negative && col.unsigned {
		return false
	}
	start := len(e.scratch)
	e.scratch = slices.Grow(e.scratch, maxDecimalBytes)
	b := e.scratch[start : start+maxDecimalBytes]
	b[0], b[1] = byte(col.precision), byte(col.scale)
	n := l.write(b, 2, whole, fraction, negative)
	b[2] ^= 0x80
	e.scratch = e.scratch[:start+n]
	c.b = b[:n:n]
	return true
}

// write puts the groups of a number at b[n:] and returns the end.
func (l *decimalLayout) write(b []byte, n int, whole, fraction uint64, negative bool) int {
	var mask uint32
	if negative {
		mask = math.MaxUint32
	}
	var groups [5]uint32 // lead, 2 of whole, 2 of fraction
	switch l.whole {
	case 0:
		groups[0] = uint32(whole)
	case 1:
		groups[0], groups[1] = uint32(whole/1e9), uint32(whole%1e9)
	default:
		groups[1], groups[2] = uint32(whole/1e9), uint32(whole%1e9)
	}
	binary.BigEndian.PutUint32(b[n:], (groups[0]^mask)<<(32-8*l.lead))
	n += l.lead
	for i := range l.whole {
		binary.BigEndian.PutUint32(b[n:], groups[1+i]^mask)
		n += 4
	}
	if l.fraction > 0 {
		rest := fraction / l.trailing
		groups[3], groups[4] = uint32(rest), 0
		if l.fraction == 2 {
			groups[3], groups[4] = uint32(rest/1e9), uint32(rest%1e9)
		}
		for i := range l.fraction {
			binary.BigEndian.PutUint32(b[n:], groups[3+i]^mask)
			n += 4
		}
		fraction %= l.trailing
	}
	binary.BigEndian.PutUint32(b[n:], (uint32(fraction)^mask)<<(32-8*l.trail))
	return n + l.trail
}

// parseLongDecimal is parseDecimal for any number of digits. The cell gets
// precision and scale, one byte each, and the digits in groups of nine: the
// whole part filled from the left with zeros, the fraction from the right, all
// bytes inverted for negative numbers, the first bit flipped for order.
func parseLongDecimal(e *Encoder, col *column, field []byte, c *cell) bool {
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

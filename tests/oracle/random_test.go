package oracle_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
)

// random makes texts for one type. What it makes is meant to be taken by the
// type, mostly; mutate makes texts that often are not.
type random func(r rnd) string

// rnd is the source of all rows of a shape.
type rnd = *rand.Rand

// mutate changes a text a little: what an INSERT says to the result is for TiDB to decide.
func mutate(r *rand.Rand, s string) string {
	const odd = "0123456789-+.:eE xX'\"\\\x00\n\xff\xc3ä"
	at := 0
	if len(s) > 0 {
		at = r.IntN(len(s) + 1)
	}
	b := odd[r.IntN(len(odd))]
	switch r.IntN(6) {
	case 0: // cut
		return s[:at]
	case 1: // a byte more
		return s[:at] + string([]byte{b}) + s[at:]
	case 2: // a byte less
		if at < len(s) {
			return s[:at] + s[at+1:]
		}
		return s + "0"
	case 3: // another byte
		if at < len(s) {
			return s[:at] + string([]byte{b}) + s[at+1:]
		}
		return s + string([]byte{b})
	case 4: // twice
		return s + s
	default:
		return " " + s + " "
	}
}

// integer is a number of up to bits bits, all lengths alike.
func integer(bits int, unsigned bool) random {
	return func(r *rand.Rand) string {
		if unsigned {
			return strconv.FormatUint(r.Uint64()>>(64-r.IntN(bits)-1), 10)
		}
		n := int64(r.Uint64() >> (64 - r.IntN(bits))) // at most bits-1 bits
		if r.IntN(2) == 0 {
			n = -n - 1
		}
		return strconv.FormatInt(n, 10)
	}
}

func digits(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + r.IntN(10))
	}
	return string(b)
}

// decimal fits DECIMAL(precision,scale), but for a few digits too many behind the point.
func decimal(precision, scale int, unsigned bool) random {
	return func(r *rand.Rand) string {
		s := digits(r, r.IntN(precision-scale+1))
		if scale > 0 && r.IntN(4) > 0 {
			s += "." + digits(r, 1+r.IntN(scale))
		}
		if s == "" {
			s = "0"
		}
		if !unsigned && r.IntN(2) == 0 {
			s = "-" + s
		}
		return s
	}
}

// float has a magnitude of up to 10^exp; scale >= 0 limits the digits behind the point.
func float(exp, scale int, unsigned bool) random {
	return func(r *rand.Rand) string {
		var s string
		switch {
		case scale >= 0:
			s = strconv.FormatFloat(r.Float64()*float64(pow10(r.IntN(exp+1))), 'f', r.IntN(scale+2), 64)
		case r.IntN(2) == 0:
			s = strconv.FormatFloat(r.Float64()*1e6, 'g', -1, 64)
		default:
			s = fmt.Sprintf("%d.%de%d", r.IntN(10), r.Uint64()>>r.IntN(60), r.IntN(2*exp)-exp)
		}
		if !unsigned && r.IntN(2) == 0 {
			s = "-" + s
		}
		return s
	}
}

func pow10(n int) int64 {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil).Int64()
}

func fraction(r *rand.Rand) string {
	if r.IntN(3) == 0 {
		return ""
	}
	return "." + digits(r, 1+r.IntN(7))
}

func date(r *rand.Rand) string {
	year := 1000 + r.IntN(9000)
	if r.IntN(2) == 0 {
		year = 1990 + r.IntN(50)
	}
	return fmt.Sprintf("%04d-%02d-%02d", year, 1+r.IntN(12), 1+r.IntN(28))
}

func clock(r *rand.Rand) string {
	return fmt.Sprintf("%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60))
}

func datetime(r *rand.Rand) string { return date(r) + " " + clock(r) + fraction(r) }

// timestamp keeps to the range of the type and likes the hours in which zones change.
func timestamp(r *rand.Rand) string {
	day := fmt.Sprintf("%04d-%02d-%02d", 1971+r.IntN(66), 1+r.IntN(12), 1+r.IntN(28))
	if r.IntN(3) == 0 {
		changes := []string{"2024-03-10", "2024-11-03", "2024-03-31", "2024-10-27", "1986-05-04", "1986-09-14", "2011-12-29", "1999-04-04", "1971-10-31", "2037-03-29"}
		day = changes[r.IntN(len(changes))]
		return fmt.Sprintf("%s %02d:%02d:%02d", day, r.IntN(4), r.IntN(60), r.IntN(60)) + fraction(r)
	}
	return day + " " + clock(r) + fraction(r)
}

func duration(r *rand.Rand) string {
	s := fmt.Sprintf("%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60))
	if r.IntN(2) == 0 {
		s = fmt.Sprintf("%d:%02d:%02d", r.IntN(838), r.IntN(60), r.IntN(60))
	}
	if r.IntN(3) == 0 {
		s = "-" + s
	}
	return s + fraction(r)
}

func year(r *rand.Rand) string {
	if r.IntN(8) == 0 {
		return strconv.Itoa(r.IntN(100))
	}
	return strconv.Itoa(1901 + r.IntN(255))
}

// enum is an element by name, in any case of letters, or by number.
func enum(elements ...string) random {
	return func(r *rand.Rand) string {
		i := r.IntN(len(elements))
		if r.IntN(4) == 0 {
			return strconv.Itoa(i + 1)
		}
		return swapCase(r, elements[i])
	}
}

// set is a list of elements by name, or a number.
func set(elements ...string) random {
	return func(r *rand.Rand) string {
		if r.IntN(4) == 0 {
			return strconv.FormatUint(r.Uint64()>>(64-len(elements)), 10)
		}
		var in []string
		for _, e := range elements {
			if r.IntN(3) == 0 {
				in = append(in, swapCase(r, e))
			}
		}
		return strings.Join(in, ",")
	}
}

func swapCase(r *rand.Rand, s string) string {
	switch r.IntN(6) {
	case 0:
		return strings.ToUpper(s)
	case 1:
		return strings.ToLower(s)
	default:
		return s
	}
}

// bit is a number of n bits as bytes, sometimes with bytes of 0 in front.
func bit(n int) random {
	return func(r *rand.Rand) string {
		v := r.Uint64() >> (64 - n)
		if r.IntN(3) == 0 {
			v >>= r.IntN(n)
		}
		var b []byte
		for ; v > 0; v >>= 8 {
			b = append([]byte{byte(v)}, b...)
		}
		if len(b) == 0 || (r.IntN(4) == 0 && len(b) < (n+7)/8) {
			b = append([]byte{0}, b...)
		}
		return string(b)
	}
}

// The letters of a character set's strings.
var (
	asciiLetters = []rune("abcxyzABCXYZ0189 _-'\"\\,;%\t\n~")
	plainLetters = []rune("abcdefghABCDEFGH0123456789  ")
	allLetters   = []rune("aAbBzZ09 _'\"\\,\näÄöÖéÉßñçÇøØıİſµΩωЖжאبทกข日本語中文字カｶ한글ﬀ½²①Ⅷ\u0301\u200b€😀😂🦄𝒜")
	bmpLetters   = []rune("aAbBzZ09 _'\"\\,\näÄöÖéÉßñçÇøØıİſµΩωЖжאبทกข日本語中文字カｶ한글ﬀ½²①Ⅷ\u0301\u200b€")
	latinLetters = []rune("aAbBzZ09 _'\"\\,\näÄöÖéÉßñçÇøØ½²")
	gbkLetters   = []rune("aAbBzZ09 _'\"\\,\n中文字符集汉语拼音测试数据库啊阿吖〇①Ⅷ。，ΩЖカ€")
)

// str is a text of up to n letters. Half of the texts are plain; some end with spaces.
func str(n int, letters []rune) random {
	return func(r *rand.Rand) string {
		from := letters
		if r.IntN(2) == 0 {
			from = plainLetters
		}
		out := make([]rune, 0, n)
		for range r.IntN(n + 1) {
			out = append(out, from[r.IntN(len(from))])
		}
		for r.IntN(6) == 0 && len(out) < n {
			out = append(out, ' ')
		}
		return string(out)
	}
}

// anyBytes is up to n bytes of any value.
func anyBytes(n int) random {
	return func(r *rand.Rand) string {
		b := make([]byte, r.IntN(n+1))
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		for i := len(b) - 1; i >= 0 && r.IntN(4) == 0; i-- {
			b[i] = "\x00 "[r.IntN(2)] // padding at the end
		}
		return string(b)
	}
}

// document is a JSON text.
func document(r *rand.Rand) string {
	var b strings.Builder
	writeJSON(&b, r, 4)
	return b.String()
}

func writeJSON(b *strings.Builder, r *rand.Rand, depth int) {
	kinds := 9
	if depth == 0 {
		kinds = 7
	}
	switch r.IntN(kinds) {
	case 0:
		b.WriteString([]string{"null", "true", "false"}[r.IntN(3)])
	case 1:
		b.WriteString(integer(64, false)(r))
	case 2:
		b.WriteString(integer(64, true)(r))
	case 3:
		b.WriteString(strconv.FormatFloat((r.Float64()-0.5)*float64(pow10(r.IntN(18))), 'g', -1, 64))
	case 4, 5, 6:
		writeJSONString(b, str(12, allLetters)(r), r)
	case 7:
		b.WriteByte('[')
		for i := range r.IntN(6) {
			if i > 0 {
				b.WriteString([]string{",", ", ", " , "}[r.IntN(3)])
			}
			writeJSON(b, r, depth-1)
		}
		b.WriteByte(']')
	default:
		b.WriteByte('{')
		for i := range r.IntN(6) {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSONString(b, str(4, plainLetters)(r), r)
			b.WriteString([]string{":", ": "}[r.IntN(2)])
			writeJSON(b, r, depth-1)
		}
		b.WriteByte('}')
	}
}

func writeJSONString(b *strings.Builder, s string, r *rand.Rand) {
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"', c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < 0x20, c < 0x10000 && r.IntN(12) == 0:
			fmt.Fprintf(b, "\\u%04x", c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
}

// vector has n dimensions; 0 stands for any number.
func vector(n int) random {
	return func(r *rand.Rand) string {
		dims := n
		if n == 0 {
			dims = r.IntN(20)
		}
		parts := make([]string, dims)
		for i := range parts {
			parts[i] = strconv.FormatFloat((r.Float64()-0.5)*float64(pow10(r.IntN(12))), 'g', 1+r.IntN(9), 64)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
}

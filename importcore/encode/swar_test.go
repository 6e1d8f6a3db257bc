package encode

import (
	"math/rand"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestParseDigits(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewSource(3))
	for n := 0; n <= 22; n++ {
		for range 300 {
			text := []byte(digits(r, n))
			want, err := strconv.ParseUint(string(text), 10, 64)
			u, ok := parseDigits(text[:n:n])
			require.Equal(t, n >= 1 && n <= 19, ok, "%s", text)
			if ok {
				require.NoError(t, err)
				require.Equal(t, want, u, "%s", text)
			}
		}
		for at := range n {
			text := []byte(digits(r, n))
			for c := range 256 {
				text[at] = byte(c)
				_, ok := parseDigits(text)
				require.Equal(t, n <= 19 && c >= '0' && c <= '9', ok, "%q", text)
			}
		}
	}
}

// TestText8 compares isASCII and validUTF8 with the standard library on mixes
// of characters, whole and broken, at all lengths up to a few words.
func TestText8(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewSource(4))
	for range 300000 {
		b := []byte(genText(r))
		for n := r.Intn(3); n > 0 && len(b) > 0; n-- {
			switch at := r.Intn(len(b)); r.Intn(3) {
			case 0:
				b[at] = byte(r.Intn(256))
			case 1:
				b = append(b[:at], b[at+1:]...)
			default:
				b[at] ^= 1 << r.Intn(8)
			}
		}
		judgeText(t, b)
	}
	// Whole and broken characters at every place of long texts, and at their ends.
	for _, c := range []string{"é", "日", "😀", "\xc0\x80", "\xe0\x9f\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xed\xa0\x80", "\xef\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\x80", "\xbf\xbf"} {
		for n := range 70 {
			for after := range 36 {
				text := strings.Repeat("a", n) + c + strings.Repeat("ü", after/2) + strings.Repeat("b", after)
				for cut := range len(c) + 1 {
					judgeText(t, []byte(text[:len(text)-cut]))
					judgeText(t, []byte(text[:n+len(c)-cut]))
				}
			}
		}
	}
	// Every start of a character with every second byte, inside and at the end.
	for b0 := range 256 {
		for b1 := range 256 {
			for _, tail := range []string{"", "\x80", "\x80\x80", "\x80\x80abcdefgh", "\xbfabcdefgh", "abcdefgh", "\x80\x80 more than thirty-two bytes, whatever they are"} {
				judgeText(t, append([]byte{byte(b0), byte(b1)}, tail...))
				judgeText(t, append([]byte{'a', byte(b0), byte(b1)}, "\xbf\xbf and sixteen bytes"+tail...))
			}
		}
	}
}

func judgeText(t testing.TB, b []byte) {
	ascii := true
	for _, c := range b {
		ascii = ascii && c < utf8.RuneSelf
	}
	valid := utf8.Valid(b)
	if ascii != isASCII(b) || valid != validUTF8(b) || valid != validWide(b) || valid != validWideGo(b) {
		t.Fatalf("%q: isASCII %v, want %v; validUTF8 %v, validWide %v, validWideGo %v, want %v", b, isASCII(b), ascii, validUTF8(b), validWide(b), validWideGo(b), valid)
	}
}

func FuzzText8(f *testing.F) {
	f.Add([]byte("naïve 東京 😀"))
	f.Fuzz(func(t *testing.T, b []byte) { judgeText(t, b) })
}

package encode

import (
	"math/rand"
	"strconv"
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
	// Every start of a character with every second byte, inside and at the end.
	for b0 := range 256 {
		for b1 := range 256 {
			for _, tail := range []string{"", "\x80", "\x80\x80", "\x80\x80abcdefgh", "\xbfabcdefgh", "abcdefgh"} {
				judgeText(t, append([]byte{byte(b0), byte(b1)}, tail...))
			}
		}
	}
}

func judgeText(t testing.TB, b []byte) {
	ascii := true
	for _, c := range b {
		ascii = ascii && c < utf8.RuneSelf
	}
	if ascii != isASCII(b) || utf8.Valid(b) != validUTF8(b) {
		t.Fatalf("%q: isASCII %v, want %v; validUTF8 %v, want %v", b, isASCII(b), ascii, validUTF8(b), utf8.Valid(b))
	}
}

func FuzzText8(f *testing.F) {
	f.Add([]byte("naïve 東京 😀"))
	f.Fuzz(func(t *testing.T, b []byte) { judgeText(t, b) })
}

package decode_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/sluicedb/sluice/importcore/format/decode"
)

// decodeAll returns the text of raw, with the file's bytes where they are no character.
func decodeAll(t testing.TB, charset string, raw []byte) string {
	t.Helper()
	text := decode.NewText(decode.Find(charset))
	require.Equal(t, len(raw), text.Decode(raw, true))
	return string(text.Restore(0, len(text.Data)))
}

func TestCharacterSets(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ charset, raw, want string }{
		{"gbk", "\xd6\xd0\xce\xc4", "中文"},
		{"gbk", "a\x95\x5cb\x81\x7c", "a昞b亅"}, // the second bytes look like \ and |
		{"gbk", "\x80", "€"},
		{"gb18030", "\xd6\xd0\x81\x30\x81\x30\x90\x30\x81\x30\xe3\x32\x9a\x35", "中\u0080\U00010000\U0010ffff"},
		{"gb18030", "\x84\x31\xa4\x37", "\ufffd"},
		{"latin1", "caf\xe9 \x80\x85\xa0", "café €…\u00a0"},
		// What is no character.
		{"gbk", "\xff", "\xff"},
		{"gbk", "a\x81", "a\x81"},
		{"gbk", "\x81,b", "\x81,b"},
		{"gbk", "\xa1\x5cb", "\xa1\x5cb"},               // a pair without character
		{"gbk", "\x81\x30\x81\x30", "\x81\x30\x81\x30"}, // not in gbk
		{"gb18030", "\x81\x30\x81", "\x81\x30\x81"},
		{"gb18030", "\x81\x30\x81,", "\x81\x30\x81,"},
		{"gb18030", "\x84\x32\x81\x30\x84\x31\xa5\x30", "\x84\x32\x81\x30\x84\x31\xa5\x30"},
		{"latin1", "\x81\x8d", "\x81\x8d"},
	} {
		require.Equal(t, tc.want, decodeAll(t, tc.charset, []byte(tc.raw)), "%s %x", tc.charset, tc.raw)
	}
	for _, name := range []string{"", "binary", "utf8", "utf8mb4", "ascii"} {
		require.Nil(t, decode.Find(name))
	}
}

// TestEveryCharacter: what the encoders make is decoded to what they were given.
func TestEveryCharacter(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if r >= 0xd800 && r < 0xf900 {
			continue // surrogates, and private characters that the encoder gives to others' bytes
		}
		s := string(r)
		raw, err := simplifiedchinese.GB18030.NewEncoder().String(s)
		require.NoError(t, err)
		if got := decodeAll(t, "gb18030", []byte(raw)); got != s {
			t.Fatalf("%U: %x is decoded to %q", r, raw, got)
		}
		if raw, err := simplifiedchinese.GBK.NewEncoder().String(s); err == nil {
			require.Equal(t, s, decodeAll(t, "gbk", []byte(raw)))
		}
		if raw, err := charmap.Windows1252.NewEncoder().String(s); err == nil {
			require.Equal(t, s, decodeAll(t, "latin1", []byte(raw)))
		}
		if r == 0x2ffff { // what comes behind is as regular as private planes are
			r = 0x10ff00
		}
	}
}

// TestLineEndsAreNoPartOfCharacters: whatever stands before it, a line end or a
// quote is one, and it is where it was.
func TestLineEndsAreNoPartOfCharacters(t *testing.T) {
	t.Parallel()
	for _, charset := range []string{"gbk", "gb18030", "latin1"} {
		text := decode.NewText(decode.Find(charset))
		for a := range 256 {
			for b := range 256 {
				for _, mark := range "\n\r\",\t;" {
					raw := []byte{byte(a), byte(b), byte(mark), 'x', 'y', 'z'}
					text.Decode(raw, true)
					require.Equal(t, bytes.Count(raw, []byte(string(mark))), bytes.Count(text.Data, []byte(string(mark))))
					require.Equal(t, 2, text.Source(len(text.Data)-4), "%s %x", charset, raw)
				}
			}
		}
	}
}

// mixed returns a text of characters of all lengths, and its bytes in gb18030.
func mixed(seed uint64, chars int) (text, raw string) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for range chars {
		switch rnd.IntN(5) {
		case 0, 1:
			b.WriteByte(byte(rnd.IntN(128)))
		case 2:
			b.WriteRune(rune(0x4e00 + rnd.IntN(0x5000)))
		case 3:
			b.WriteString(strings.Repeat("ascii ", rnd.IntN(5)))
		default:
			b.WriteRune([]rune("éßĀ€\u00a0\u3000昞亅")[rnd.IntN(8)])
		}
		if rnd.IntN(10) == 0 {
			b.WriteRune(rune(0x1f600 + rnd.IntN(60)))
		}
	}
	raw, err := simplifiedchinese.GB18030.NewEncoder().String(b.String())
	if err != nil {
		panic(err)
	}
	return b.String(), raw
}

// TestSource: every place leads back to where its character starts, in texts of
// many steps, and a text can be cut before any character.
func TestSource(t *testing.T) {
	t.Parallel()
	want, raw := mixed(1, 20_000)
	text := decode.NewText(decode.Find("gb18030"))
	require.Equal(t, len(raw), text.Decode([]byte(raw), true))
	require.Equal(t, want, string(text.Data))
	require.Empty(t, text.Bad)
	place := 0
	rest := decode.NewText(decode.Find("gb18030"))
	for at, r := range want {
		size := utf8.RuneLen(r)
		for i := range size {
			if got := text.Source(at + i); got != place {
				t.Fatalf("byte %d comes from %d, not %d", at+i, got, place)
			}
		}
		if at%1000 == 0 {
			rest.Decode([]byte(raw[place:]), true)
			require.Equal(t, want[at:], string(rest.Data))
		}
		encoded, err := simplifiedchinese.GB18030.NewEncoder().String(string(r))
		require.NoError(t, err)
		place += len(encoded)
	}
	require.Equal(t, len(raw), text.Source(len(want)))
}

// FuzzDecode: decoding in two stretches, cut at any byte, is decoding at once;
// places only grow; and nothing of the file is lost.
func FuzzDecode(f *testing.F) {
	_, raw := mixed(2, 50)
	for _, seed := range []string{"", "abc", "\x81", "\x81\x30\x81", "\xff\xfe", "\xa1\x5c\n", "\x84\x31\xa4\x37", raw} {
		f.Add([]byte(seed), uint16(1))
	}
	f.Fuzz(func(t *testing.T, raw []byte, cut uint16) {
		for _, name := range []string{"gbk", "gb18030", "latin1"} {
			whole, part := decode.NewText(decode.Find(name)), decode.NewText(decode.Find(name))
			whole.Decode(raw, true)
			at := min(int(cut), len(raw))
			n := part.Decode(raw[:at], false)
			if at-n > 3 {
				t.Fatalf("%s: %d of %d bytes are decoded of %x", name, n, at, raw)
			}
			first := string(part.Data)
			part.Decode(raw[n:], true)
			if got := first + string(part.Data); got != string(whole.Data) {
				t.Fatalf("%s: %x cut at %d: %q, at once %q", name, raw, at, got, whole.Data)
			}
			bad := 0
			for i, b := range whole.Data {
				isBad := bad < len(whole.Bad) && whole.Bad[bad] == i
				if isBad != (b == 0xff) {
					t.Fatalf("%s: %x: byte %d of %q, bad %v", name, raw, i, whole.Data, whole.Bad)
				}
				if isBad {
					bad++
					if got := whole.Restore(i, i+1)[0]; got != raw[whole.Source(i)] {
						t.Fatalf("%s: %x: byte %d is restored as %x", name, raw, i, got)
					}
				}
				if i > 0 && whole.Source(i) < whole.Source(i-1) {
					t.Fatalf("%s: %x: places go back at %d", name, raw, i)
				}
			}
			if bad == 0 && !utf8.Valid(whole.Data) {
				t.Fatalf("%s: %x is decoded to %x", name, raw, whole.Data)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	_, rawMixed := mixed(3, 100_000)
	chinese, err := simplifiedchinese.GB18030.NewEncoder().String(strings.Repeat("春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。\n", 10_000))
	if err != nil {
		b.Fatal(err)
	}
	for _, sample := range []struct{ name, raw string }{
		{"ascii", strings.Repeat("1234,plain text of a row,2024-01-02 03:04:05\n", 20_000)}, {"chinese", chinese}, {"mixed", rawMixed},
	} {
		b.Run(sample.name, func(b *testing.B) {
			text := decode.NewText(decode.Find("gb18030"))
			raw := []byte(sample.raw)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				text.Decode(raw, true)
			}
		})
	}
}

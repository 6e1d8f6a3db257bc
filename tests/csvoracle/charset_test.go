package csvoracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/lightning/mydump"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/format/decode"
)

func convertor(t testing.TB, charset string) *mydump.CharsetConvertor {
	c, err := mydump.NewCharsetConvertor(charset, string(utf8.RuneError))
	require.NoError(t, err)
	return c
}

// TestSameCharactersAsTiDB: each sequence of bytes is the character that TiDB
// makes of it; where TiDB puts U+FFFD, Sluice has none.
func TestSameCharactersAsTiDB(t *testing.T) {
	t.Parallel()
	for _, charset := range []string{"latin1", "gbk", "gb18030"} {
		tidb, text := convertor(t, charset), decode.NewText(decode.Find(charset))
		var raw []string
		for a := range 256 {
			raw = append(raw, string([]byte{byte(a)}))
			for b := range 256 {
				raw = append(raw, string([]byte{byte(a), byte(b)}))
			}
		}
		rnd := rand.New(rand.NewPCG(1, seed()))
		for range 200_000 {
			raw = append(raw, string([]byte{byte(0x81 + rnd.IntN(126)), byte(0x30 + rnd.IntN(10)), byte(0x81 + rnd.IntN(126)), byte(0x30 + rnd.IntN(10))}))
		}
		for _, s := range raw {
			want, err := tidb.Decode(s)
			require.NoError(t, err)
			text.Decode([]byte(s), true)
			switch {
			case len(text.Bad) == 0:
				if want != string(text.Data) {
					t.Fatalf("%s: %x is %q, TiDB has %q", charset, s, text.Data, want)
				}
			case !strings.ContainsRune(want, utf8.RuneError):
				t.Fatalf("%s: %x is no text, TiDB has %q", charset, s, want)
			}
		}
	}
}

// TestSameRowsOfOtherCharacterSets: as long as no byte of a character looks like
// an escape or a separator, where TiDB falls for it.
func TestSameRowsOfOtherCharacterSets(t *testing.T) {
	t.Parallel()
	cfg := csv.DefaultConfig()
	cfg.FieldsEscapedBy = ""
	for _, charset := range []string{"latin1", "gbk", "gb18030"} {
		cfg.CharacterSet = charset
		tokens := []string{",", ",", "\n", "\r\n", `"`, `""`, "a", "1,2\n", "\"é\"", "é", "\"à,\n\""}
		if charset != "latin1" {
			tokens = append(tokens, "中文", "昞", "亅", "，", "\"乗\n\"")
		}
		if charset == "gb18030" {
			tokens = append(tokens, "😀", "ÿ")
		}
		rnd := rand.New(rand.NewPCG(3, seed()))
		for range 2000 {
			var b strings.Builder
			for range rnd.IntN(40) {
				b.WriteString(tokens[rnd.IntN(len(tokens))])
			}
			raw, err := convertor(t, charset).Encode(b.String())
			require.NoError(t, err)
			want, wantFailed := tidbRows(t, cfg, raw)
			got, failed := sluiceRows(t, cfg, raw, 1<<10)
			if failed != wantFailed || !failed && fmt.Sprint(want) != fmt.Sprint(got) {
				t.Fatalf("%s: input %q\nTiDB   (failed %t) %v\nSluice (failed %t) %v", charset, b.String(), wantFailed, want, failed, got)
			}
		}
	}
}

// TestTiDBFallsForABackslash: what TiDB makes of a character whose second byte
// looks like its escape character, and why Sluice looks at characters.
func TestTiDBFallsForABackslash(t *testing.T) {
	t.Parallel()
	cfg := csv.DefaultConfig()
	cfg.CharacterSet = "gbk"
	const raw = "1,\x95\x5c\n2,b\n" // 昞
	got, failed := sluiceRows(t, cfg, raw, 1<<10)
	require.False(t, failed)
	require.Equal(t, []string{`"1"|"昞"`, `"2"|"b"`}, got)
	want, _ := tidbRows(t, cfg, raw)
	require.NotEqual(t, got, want)
}

package csv_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
)

var encodings = map[string]encoding.Encoding{
	"gbk": simplifiedchinese.GBK, "gb18030": simplifiedchinese.GB18030, "latin1": charmap.Windows1252,
}

// encoded returns a text in another character set.
func encoded(t testing.TB, charset, text string) string {
	raw, err := encodings[charset].NewEncoder().String(text)
	require.NoError(t, err, "%q in %s", text, charset)
	return raw
}

// pieces that texts are made of, in every character set. The second bytes of the
// Chinese ones look like \ | ^ _ @ [ ] { } ~ a N or a digit.
var pieces = map[string][]string{
	"latin1":  {"é", "ÿ", "€", "\u00a0", "…", "Â\u00a0", "ï»¿x"},
	"gbk":     {"昞", "亅", "乗", "俕", "誠", "丂", "檁", "媆", "臷", "俙", "乣", "丯", "，", "\u3000", "聽", "中文"},
	"gb18030": {"昞", "亅", "丂", "，", "\u3000", "中文", "é", "ÿ", "\u0080", "😀", "\u00a0", "𠀀"},
}

var structure = []string{
	",", ",", "\n", "\n", "\r\n", "\r", `"`, `""`, `\`, `\\`, `\N`, `\"`, `\,`, "\\\n", "a", "N", "|", "1", " ", "\t", "x,y\n", "\"quoted\nline\",", "，",
}

func randomText(rnd *rand.Rand, charset string) string {
	var b strings.Builder
	few := make([]string, 1+rnd.IntN(10))
	for i := range few {
		if few[i] = structure[rnd.IntN(len(structure))]; rnd.IntN(2) == 0 || few[i] == "，" {
			few[i] = pieces[charset][rnd.IntN(len(pieces[charset]))]
		}
	}
	for range rnd.IntN(60) {
		b.WriteString(few[rnd.IntN(len(few))])
	}
	if rnd.IntN(20) == 0 {
		return strings.Repeat(b.String(), 1+rnd.IntN(80))
	}
	return b.String()
}

func variants() []csv.Config {
	with := func(change func(*csv.Config)) csv.Config {
		c := csv.DefaultConfig()
		change(&c)
		return c
	}
	return []csv.Config{
		csv.DefaultConfig(),
		with(func(c *csv.Config) { c.Recover = true }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "|"; c.LinesTerminatedBy = "\n" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "a|"; c.LinesTerminatedBy = "|\n" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "\\|"; c.FieldsEscapedBy = "" }),
		with(func(c *csv.Config) { c.FieldsEnclosedBy = "|"; c.LinesTerminatedBy = "N"; c.SkipRows = 2 }),
		with(func(c *csv.Config) { c.FieldsEscapedBy = "a"; c.SkipRows = 1 }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "é"; c.LinesTerminatedBy = "…\n" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "，"; c.LinesTerminatedBy = "亅"; c.SkipRows = 3 }),
		with(func(c *csv.Config) { c.LinesTerminatedBy = "1"; c.NullText = []string{"亅", ""} }),
	}
}

// TestDecodedFilesAreAsInUTF8: a file in another character set has the same rows
// as the same text in UTF-8, with the same lines, wherever blocks are cut and
// whatever the bytes of its characters look like; offsets are those of the file.
func TestDecodedFilesAreAsInUTF8(t *testing.T) {
	t.Parallel()
	for charset := range encodings {
		for i, cfg := range variants() {
			t.Run(fmt.Sprint(charset, i), func(t *testing.T) {
				t.Parallel()
				rnd := rand.New(rand.NewPCG(uint64(i), 11))
				if charset == "latin1" && strings.ContainsAny(cfg.FieldsTerminatedBy+cfg.LinesTerminatedBy, "，亅") {
					return // can't be in such a file
				}
				decoding := cfg
				decoding.CharacterSet = charset
				for range 400 {
					text := randomText(rnd, charset)
					raw := encoded(t, charset, text)
					if strings.HasPrefix(raw, "\xef\xbb\xbf") {
						continue
					}
					for _, blockBytes := range []int{1 << 10, 64 << 10} {
						want, wantPlaces, wantErr := read(cfg, text, blockBytes)
						got, places, err := read(decoding, raw, blockBytes)
						require.Equal(t, wantErr == nil, err == nil, "%v, %v: %q", wantErr, err, text)
						if err != nil { // blocks end elsewhere
							n := min(len(want), len(got))
							want, got, wantPlaces, places = want[:n], got[:n], wantPlaces[:n], places[:n]
							requireSamePlace(t, charset, text, wantErr, err)
						}
						require.Equal(t, want, got, "%q", text)
						for n, p := range wantPlaces {
							p.Offset = int64(len(encoded(t, charset, text[:p.Offset])))
							require.Equal(t, p, places[n], "row %d of %q", n, text)
						}
					}
				}
			})
		}
	}
}

func requireSamePlace(t *testing.T, charset, text string, want, got error) {
	at := fault.As(want).At
	at.Offset = int64(len(encoded(t, charset, text[:at.Offset])))
	require.Equal(t, at, fault.As(got).At, "%q", text)
	require.Equal(t, fault.As(want).Message, fault.As(got).Message, "%q", text)
}

// TestBackslashInsideOfACharacter has what a reader of bytes falls for.
func TestBackslashInsideOfACharacter(t *testing.T) {
	t.Parallel()
	cfg := csv.DefaultConfig()
	cfg.CharacterSet = "gbk"
	rows, _, err := read(cfg, "1,\x95\x5c\n\"\x95\x5c\",2\n\x95\x5cN,3\n", 1<<10)
	require.NoError(t, err)
	require.Equal(t, []string{"1|昞", "昞|2", "昞N|3"}, rows)
	cfg.FieldsTerminatedBy, cfg.FieldsEscapedBy = "|", ""
	rows, _, err = read(cfg, "1|\x81\x7c|x\n", 1<<10)
	require.NoError(t, err)
	require.Equal(t, []string{"1|亅|x"}, rows)
}

func TestByteOrderMarks(t *testing.T) {
	t.Parallel()
	cfg := csv.DefaultConfig()
	for charset, text := range map[string]string{"gb18030": "\x84\x31\x95\x33", "gbk": "", "latin1": ""} {
		cfg.CharacterSet = charset
		rows, places, err := read(cfg, text+"a,b\n", 1<<10)
		require.NoError(t, err)
		require.Equal(t, []string{"a|b"}, rows)
		require.Equal(t, int64(len(text)), places[0].Offset)
		_, _, err = read(cfg, "\xef\xbb\xbfa,b\n", 1<<10)
		require.ErrorContains(t, err, "the file starts with the byte order mark of UTF-8, but its character set was said to be "+charset+" (file /data/a.csv, line 1, offset 0)")
	}
}

// foreign reads all rows; those that can't be decoded are shown as their fields.
func foreign(t testing.TB, cfg csv.Config, raw string, blockBytes int) (rows []string) {
	store := memory{[]byte(raw)}
	file := store.file()
	s, err := csv.NewSplitter(t.Context(), store, &file, 0, cfg, format.NewBlockPool(blockBytes, 2, format.LimitedRoom(csv.MaxRowBytes)))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	r := csv.NewReader(cfg)
	for {
		b, err := s.Next(t.Context())
		if err != nil {
			if !errors.Is(err, io.EOF) {
				rows = append(rows, err.Error())
			}
			return rows
		}
		r.Reset(b)
		for {
			fields, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			var bad *format.ForeignText
			switch {
			case errors.As(err, &bad):
				rows = append(rows, fmt.Sprintf("%d: %d %q of %q (%q)", r.Place().Offset, bad.Fields, bad.Texts, joinFields(fields), r.Row()))
			case err != nil:
				if broken := (*format.BadRow)(nil); !errors.As(err, &broken) {
					b.Release()
					return append(rows, err.Error())
				}
				rows = append(rows, fmt.Sprintf("%v %q", err, r.Row()))
			default:
				rows = append(rows, joinFields(fields))
			}
		}
		b.Release()
	}
}

// TestForeignText: bytes that are no text are told of, with their fields, and
// hide no markers behind them.
func TestForeignText(t *testing.T) {
	t.Parallel()
	cfg := csv.DefaultConfig()
	cfg.CharacterSet, cfg.Recover = "gbk", true
	head := strings.Repeat("\xd6\xd0,1\n", 300)
	for _, blockBytes := range []int{1 << 10, 1 << 20} {
		rows := foreign(t, cfg, head+"a\xff,\xd6\xd0\n\"\xd6\xd0\xff\"\"\",b,\\\xffc\xa1\x5c\n2,\x81\n\xff\"x\n\x81,\"\n", blockBytes)
		require.Len(t, rows, 305)
		require.Equal(t, "中|1", rows[0])
		require.Equal(t, []string{
			`1500: [0] ["a\xff"] of "a\xff|中" ("a\xff,中\n")`,
			`1506: [0 2] ["中\xff\"\"" "\\\xffc\xa1\\"] of "中\xff\"|b|\xffc\xff\xff" ("\"中\xff\"\"\",b,\\\xffc\xa1\\\n")`,
			`1522: [1] ["\x81"] of "2|\xff" ("2,\x81\n")`,
		}, rows[300:303])
		require.Contains(t, rows[303], `quote inside an unquoted field`)
		require.Contains(t, rows[303], `"\xff\"x\n"`)
		require.Contains(t, rows[304], `unterminated quoted field`)
		require.Contains(t, rows[304], `"\x81,\"\n"`)
	}
}

// FuzzDecodedBlocks: whatever the bytes are, where blocks are cut must not matter.
func FuzzDecodedBlocks(f *testing.F) {
	for _, input := range []string{"", "\x95\x5c\n", "\"\x81\"\"\n", "\x81\x30\x81\n", "\xa1\x5c\n", "\xff,\\\x81\r\n"} {
		f.Add([]byte(input), ",", uint16(300))
		f.Add([]byte(input), "|", uint16(3))
	}
	f.Fuzz(func(t *testing.T, input []byte, sep string, repeat uint16) {
		for charset := range encodings {
			cfg := csv.DefaultConfig()
			cfg.CharacterSet, cfg.FieldsTerminatedBy, cfg.Recover = charset, sep, repeat%2 == 0
			if cfg.Validate() != nil || len(input) > 500 {
				return
			}
			text := strings.Repeat(string(input), int(repeat%500))
			small, large := foreign(t, cfg, text, 1<<10), foreign(t, cfg, text, 1<<20)
			if !cfg.Recover { // the small blocks may give more rows before a failure
				n := max(min(len(small), len(large))-1, 0)
				small, large = small[:n], large[:n]
			}
			if fmt.Sprint(small) != fmt.Sprint(large) {
				t.Fatalf("%s: rows %q\nagainst %q", charset, small, large)
			}
		}
	})
}

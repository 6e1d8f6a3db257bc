package csv_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
)

// piece is what a reader that recovers has made of a part of the file.
type piece struct {
	offset int64
	bytes  string
	fields string // as read joins them, "" for a bad row
	bad    bool
}

func (p piece) String() string {
	return fmt.Sprintf("%d %q bad:%t %q", p.offset, p.bytes, p.bad, p.fields)
}

// recovered reads input with cfg.Recover. lost is the place of the error behind
// which there are no rows.
func recovered(t testing.TB, cfg csv.Config, input string, blockBytes int) (pieces []piece, lost *fault.Error) {
	cfg.Recover = true
	ctx := context.Background()
	store := memory{[]byte(input)}
	file := store.file()
	s, err := csv.NewSplitter(ctx, store, &file, 0, cfg, format.NewBlockPool(blockBytes, 2, format.LimitedRoom(csv.MaxRowBytes)))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	r := csv.NewReader(cfg)
	row := int64(0)
	for {
		b, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return pieces, nil
		}
		if err != nil {
			return pieces, fault.As(err)
		}
		require.Equal(t, row, b.FirstRow)
		r.Reset(b)
		for {
			fields, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			var bad *format.BadRow
			if err != nil && !errors.As(err, &bad) {
				f := fault.As(err)
				require.NotNil(t, f)
				require.Equal(t, fault.Source, f.Whose, "%v\ninput %q", err, input)
				b.Release()
				return pieces, f
			}
			place := r.Place()
			require.Equal(t, row, place.Row)
			row++
			p := piece{offset: place.Offset, bytes: string(r.Row()), bad: err != nil}
			if bad != nil {
				at := fault.As(bad).At
				require.Equal(t, [2]int64{place.Offset, place.Line}, [2]int64{at.Offset, at.Line})
			} else {
				p.fields = joinFields(fields)
			}
			pieces = append(pieces, p)
		}
		require.Equal(t, b.FirstRow+b.Rows, row)
		b.Release()
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	const lost = "rest of the file"
	for _, tc := range []struct {
		name, input string
		want        []string // rows; bad ones with a ! in front
	}{
		{"behind a closing quote", "1,a\n2,\"b\"x,3\n4,c\n", []string{"1,a\n", "!2,\"b\"x,3\n", "4,c\n"}},
		{"first and last row", "\"b\"x\n1\n\"c\"y", []string{"!\"b\"x\n", "1\n", "!\"c\"y"}},
		{"inside an unquoted field", "1,5\" pipe\n2,b\n", []string{"!1,5\" pipe\n", "2,b\n"}},
		{"one after the other", "a\"\nb\"\n\n\"c\" \nd\n", []string{"!a\"\n", "!b\"\n", "!\"c\" \n", "d\n"}},
		{"quotes that pair up", "1,\"a \"b\" c\",2\n3,d,4\n", []string{"!1,\"a \"b\" c\",2\n", "3,d,4\n"}},
		{"quotes that don't", "0\n1,\"a \"b\" c,2\n3,d,4\n", []string{"0\n", lost}},
		{"a whole quoted field behind it", "a\"b,\"x\"\"y,\",\\N\n2\n", []string{"!a\"b,\"x\"\"y,\",\\N\n", "2\n"}},
		{"an open field behind it", "a\"b,\"x\ny\"\n2\n", []string{lost}},
		{"escaped quotes don't count", "\"a\\\"\"b\\\"\n2\n", []string{"!\"a\\\"\"b\\\"\n", "2\n"}},
		{"an escaped line end is none", "a\"\\\nb\n2\n", []string{"!a\"\\\nb\n", "2\n"}},
		{"never closed", "1,a\n2,\"b\n3,c\n", []string{"1,a\n", lost}},
		{"never closed, last line", "1,a\n2,\"b\n", []string{"1,a\n", "!2,\"b\n"}},
		{"never closed, last line, no end", "1,a\n2,\"b", []string{"1,a\n", "!2,\"b"}},
		{"never closed, blank lines behind", "1,a\n2,\"b\r\n\n\r\n", []string{"1,a\n", "!2,\"b\r\n\n\r\n"}},
		{"never closed, white space behind", "1,a\n2,\"b\n ", []string{"1,a\n", lost}},
		{"closed in a later row", "1,\"a\n2,\"b\"\n3,c\n", []string{lost}},
		{"two lines, then something", "0\n1,\"a\nb\"x\n3,c\n", []string{"0\n", lost}},
		{"ends with an escape", "1\n2,\\", []string{"1\n", "!2,\\"}},
		{"ends with an escape in quotes", "1\n2,\"\\", []string{"1\n", "!2,\"\\"}},
		{"good ones stay", "\"a\nb\",\"c\"\"\"\n\\\"\n", []string{"\"a\nb\",\"c\"\"\"\n", "\\\"\n"}},
		{"carriage returns", "1\r2,\"x\"y\r\n3\r4\"\r", []string{"1\r", "!2,\"x\"y\r\n", "3\r", "!4\"\r"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, blockBytes := range []int{1 << 10, 1 << 20} {
				for _, repeat := range []int{0, 700} {
					head := strings.Repeat("7,seven\n", repeat)
					pieces, fatal := recovered(t, csv.DefaultConfig(), head+tc.input, blockBytes)
					var got []string
					for i, p := range pieces {
						if i < repeat {
							require.Equal(t, "7,seven\n", p.bytes)
							continue
						}
						if p.bad {
							p.bytes = "!" + p.bytes
						}
						got = append(got, p.bytes)
					}
					if fatal != nil {
						require.ErrorContains(t, fatal, "where it ends is uncertain, so the rest of the file can't be divided into rows")
						require.EqualValues(t, len(head)+len(strings.Join(got, "")), fatal.At.Offset)
						require.EqualValues(t, 1+strings.Count(head+strings.Join(got, ""), "\n"), fatal.At.Line)
						got = append(got, lost)
					}
					require.Equal(t, tc.want, got)
				}
			}
		})
	}
}

// The rules in the form of expressions, for the default dialect and \n: a row
// that is well-formed, a malformed one that ends with its line, and a line whatever it is.
var (
	goodRow = func() *regexp.Regexp {
		const field = `(?:"(?:[^"\\]|""|\\[\s\S])*"|(?:[^",\\\n]|\\[\s\S])*)`
		return regexp.MustCompile(`^` + field + `(?:,` + field + `)*(?:\n|\z)`)
	}()
	badRow = func() *regexp.Regexp {
		const esc, in = `\\(?:[\s\S]|\z)`, `(?:[^"\\\n]|` + `\\(?:[\s\S]|\z)` + `)*`
		const out = `(?:[^",\\\n]|` + esc + `)*`
		const field = `(?:"` + in + `"(?:` + out + `"` + in + `")*` + out + `|(?:[^",\\\n]|` + esc + `)(?:[^,\\\n]|` + esc + `)*|)`
		return regexp.MustCompile(`^` + field + `(?:,` + field + `)*(?:\n|\z)`)
	}()
	anyLine = regexp.MustCompile(`^(?:[^\\\n]|\\(?:[\s\S]|\z))*`)
)

// reference is what recovered has to give.
func reference(input string) (pieces []piece, lost int64) {
	pos := 0
	for {
		for pos < len(input) && input[pos] == '\n' {
			pos++
		}
		rest := input[pos:]
		if rest == "" {
			return pieces, -1
		}
		row, bad := goodRow.FindString(rest), false
		if row == "" {
			row, bad = badRow.FindString(rest), true
		}
		if row == "" {
			if line := anyLine.FindString(rest); strings.Trim(rest[len(line):], "\n") == "" {
				row = rest
			} else {
				return pieces, int64(pos)
			}
		}
		pieces = append(pieces, piece{offset: int64(pos), bytes: row, bad: bad})
		pos += len(row)
	}
}

// TestRecoverAsReference: no row is lost, doubled or changed by a malformed one.
func TestRecoverAsReference(t *testing.T) {
	t.Parallel()
	tokens := []string{
		",", ",", ",", "\n", "\n", "\n", `"`, `"`, `""`, `\`, `\\`, `\N`, `\"`, `\,`, "\\\n", "a", "b", "é", "\xff",
		`"quoted"`, `"with ""quotes"""`, "\"with\nline\"", `"a",`, ",\"b\"\n", "\n\n", "plain,row,of,fields\n", "1,2\n", "3,4\n",
		"\"c\"x,1\n", "5\"pipe\n",
	}
	rnd := rand.New(rand.NewPCG(3, 42))
	bad, good, ends := 0, 0, 0
	for range 3_000 {
		var b strings.Builder
		few := make([]string, 1+rnd.IntN(12))
		for i := range few {
			few[i] = tokens[rnd.IntN(len(tokens))]
		}
		for range rnd.IntN(40) {
			b.WriteString(few[rnd.IntN(len(few))])
		}
		input := b.String()
		if rnd.IntN(30) == 0 {
			input = strings.Repeat(input, 1+rnd.IntN(80))
		}
		want, wantLost := reference(input)
		for _, size := range []int{1 << 10, 64 << 10} {
			got, lost := recovered(t, csv.DefaultConfig(), input, size)
			if lost == nil != (wantLost < 0) || lost != nil && lost.At.Offset != wantLost {
				t.Fatalf("input %q\nlost at %d, want %v", input, wantLost, lost)
			}
			// A block whose end is uncertain is given out whole, with the rows before.
			if len(got) != len(want) {
				t.Fatalf("input %q\ngot  %v\nwant %v", input, got, want)
			}
			for i := range got {
				if got[i].offset != want[i].offset || got[i].bytes != want[i].bytes || got[i].bad != want[i].bad {
					t.Fatalf("input %q\ngot  %v\nwant %v", input, got[i], want[i])
				}
			}
		}
		for _, p := range want {
			if p.bad {
				bad++
			} else {
				good++
			}
		}
		if wantLost >= 0 {
			ends++
		}
	}
	t.Logf("%d good rows, %d bad ones, %d files lost", good, bad, ends)
	require.Greater(t, bad, 2000)
	require.Greater(t, good, 2000)
	require.Greater(t, ends, 300)
}

// checkPieces holds what is true of every file in every dialect.
func checkPieces(t testing.TB, cfg csv.Config, input string, pieces []piece) {
	end := int64(0)
	for _, p := range pieces {
		from := min(int64(len(input)), p.offset)
		if p.offset < end || !strings.HasPrefix(input[from:], p.bytes) {
			t.Fatalf("input %q: row %q at %d, after %d", input, p.bytes, p.offset, end)
		}
		gap := strings.TrimPrefix(input[end:from], "\xef\xbb\xbf")
		if term := cfg.LinesTerminatedBy; term != "" {
			gap = strings.ReplaceAll(gap, term, "")
		}
		if strings.TrimFunc(gap, unicode.IsSpace) != "" {
			t.Fatalf("input %q: nobody has %q", input, gap)
		}
		end = p.offset + int64(len(p.bytes))
		// On its own, each row is what it is among the others.
		if strings.TrimFunc(p.bytes, unicode.IsSpace) == "" || p.offset == 0 || strings.HasPrefix(p.bytes, "\xef\xbb\xbf") {
			continue
		}
		alone, _, err := read(cfg, p.bytes, 1<<20)
		if (err != nil) != p.bad || !p.bad && (len(alone) != 1 || alone[0] != p.fields) {
			t.Fatalf("input %q: row %q, bad: %t, alone %q %v", input, p.bytes, p.bad, alone, err)
		}
	}
}

// FuzzRecover: where blocks are cut must not matter for malformed rows, every
// byte of the file belongs to one row or to none, and a file without
// malformed rows is read as ever.
func FuzzRecover(f *testing.F) {
	for _, input := range []string{"", "a,b\n", "\"a\"b,\\N\r\nc\n", " \n", "a\"\nb\n", "\"a\nb", "\\", "x\\", "\n\"x\" \n\n", "\xef\xbb\xbfa\"", "a\"\\\nb\n\"c"} {
		f.Add([]byte(input), ",", "", uint16(3))
		f.Add([]byte(input), "|", "|\n", uint16(300))
	}
	f.Fuzz(func(t *testing.T, input []byte, sep, term string, repeat uint16) {
		cfg := csv.DefaultConfig()
		cfg.FieldsTerminatedBy, cfg.LinesTerminatedBy = sep, term
		if cfg.Validate() != nil || len(input) > 1000 {
			return
		}
		text := strings.Repeat(string(input), int(repeat%500))
		small, lost := recovered(t, cfg, text, 1<<10)
		large, lost2 := recovered(t, cfg, text, 1<<20)
		if fmt.Sprint(small, lost) != fmt.Sprint(large, lost2) {
			t.Fatalf("small blocks %v, %v\nlarge blocks %v, %v", small, lost, large, lost2)
		}
		checkPieces(t, cfg, text, large)
		rows, places, err := read(cfg, text, 1<<20)
		if err == nil && len(large) != len(rows) {
			t.Fatalf("%d rows against %d", len(large), len(rows))
		}
		for i := range min(len(rows), len(large)) {
			if large[i].bad || large[i].offset != places[i].Offset {
				t.Fatalf("row %d: %v against %q at %d", i, large[i], rows[i], places[i].Offset)
			}
		}
		if err != nil && lost == nil && (len(large) <= len(rows) || !large[len(rows)].bad) {
			t.Fatalf("%v, but %d rows, %v", err, len(rows), large)
		}
	})
}

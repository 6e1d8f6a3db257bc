// Package csvoracle runs Sluice's CSV reader beside TiDB's own parser, which
// IMPORT INTO uses, on generated and fuzzed input: both must give the same
// rows of the same fields, or both must fail.
package csvoracle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/lightning/config"
	"github.com/pingcap/tidb/pkg/lightning/log"
	"github.com/pingcap/tidb/pkg/lightning/mydump"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/source"
)

// tidbRows returns the rows as TiDB reads them, fields as %q or NULL, and whether it failed.
func tidbRows(t testing.TB, cfg csv.Config, input string) (rows []string, failed bool) {
	ctx := context.Background()
	var charset *mydump.CharsetConvertor
	if cfg.CharacterSet != "" {
		charset = convertor(t, cfg.CharacterSet)
	}
	parser, err := mydump.NewCSVParser(ctx, &config.CSVConfig{
		Separator:  cfg.FieldsTerminatedBy,
		Delimiter:  cfg.FieldsEnclosedBy,
		Terminator: cfg.LinesTerminatedBy,
		Null:       cfg.NullText,
		EscapedBy:  cfg.FieldsEscapedBy,
	}, mydump.NewStringReader(input), int64(len(input)/5+64), nil, false, charset)
	require.NoError(t, err)
	parser.SetLogger(log.Logger{Logger: zap.NewNop()})
	for range cfg.SkipRows {
		if _, _, err := parser.ReadUntilTerminator(); err != nil {
			return nil, false
		}
	}
	for {
		if err := parser.ReadRow(); err != nil {
			return rows, !isEOF(err)
		}
		row := parser.LastRow()
		var text []string
		for _, d := range row.Row {
			if d.IsNull() {
				text = append(text, "NULL")
			} else {
				text = append(text, fmt.Sprintf("%q", d.GetString()))
			}
		}
		rows = append(rows, strings.Join(text, "|"))
		parser.RecycleRow(row)
	}
}

func isEOF(err error) bool {
	for err != nil {
		if errors.Is(err, io.EOF) {
			return true
		}
		if c, ok := err.(interface{ Cause() error }); ok {
			err = c.Cause()
			continue
		}
		err = errors.Unwrap(err)
	}
	return false
}

// memory is a source.Store of one file, read in small odd pieces.
type memory struct{ data string }

func (m memory) List(context.Context) ([]source.File, error) { return []source.File{m.file()}, nil }
func (m memory) Close() error                                { return nil }
func (m memory) file() source.File {
	return source.File{Path: "/data/a.csv", Key: "a.csv", Size: int64(len(m.data)), ModTime: time.Unix(1, 0)}
}
func (m memory) Open(_ context.Context, _ source.File, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(&pieces{data: m.data[offset:]}), nil
}

type pieces struct {
	data string
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.data == "" {
		return 0, io.EOF
	}
	p.n++
	n := copy(b, p.data[:min(len(p.data), 1+p.n*37%997)])
	p.data = p.data[n:]
	return n, nil
}

// sluiceRows returns the rows as Sluice reads them from blocks of the given size, and checks their places.
func sluiceRows(t testing.TB, cfg csv.Config, input string, blockBytes int) (rows []string, failed bool) {
	ctx := context.Background()
	pool := format.NewBlockPool(blockBytes, 2, format.LimitedRoom(csv.MaxRowBytes))
	store := memory{input}
	file := store.file()
	splitter, err := csv.NewSplitter(ctx, store, &file, 0, cfg, pool)
	require.NoError(t, err)
	defer func() { require.NoError(t, splitter.Close()) }()
	reader := csv.NewReader(cfg)
	var row, end int64
	for {
		b, err := splitter.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, false
		}
		if err != nil {
			requireSourceFault(t, err, input)
			return rows, true
		}
		require.Equal(t, row, b.FirstRow)
		require.GreaterOrEqual(t, b.Offset, end)
		require.Equal(t, input[b.Offset:b.Offset+int64(len(b.Data))], string(b.Data))
		end = b.Offset + int64(len(b.Data))
		reader.Reset(b)
		for {
			fields, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				requireSourceFault(t, err, input)
				b.Release()
				return rows, true
			}
			place := reader.Place()
			if place.Row != row {
				t.Fatalf("row %d has number %d", row, place.Row)
			}
			requireLine(t, cfg, input, place)
			row++
			rows = append(rows, text(fields))
		}
		require.Equal(t, b.FirstRow+b.Rows, row)
		b.Release()
	}
}

func requireSourceFault(t testing.TB, err error, input string) {
	e := fault.As(err)
	require.NotNil(t, e, "%v", err)
	require.Equal(t, fault.Source, e.Whose, "%v", err)
	require.LessOrEqual(t, e.At.Offset, int64(len(input)))
	require.Positive(t, e.At.Line)
}

func requireLine(t testing.TB, cfg csv.Config, input string, place format.RowPlace) {
	if strings.Contains(input, "\r") || len(cfg.LinesTerminatedBy) > 0 {
		return // what a line is depends on the file there
	}
	if line := int64(1 + strings.Count(input[:place.Offset], "\n")); place.Line != line {
		t.Fatalf("row at offset %d of %q: line %d, want %d", place.Offset, input, place.Line, line)
	}
}

func text(fields []format.Field) string {
	var text []string
	for _, f := range fields {
		if f.Null {
			text = append(text, "NULL")
		} else {
			text = append(text, fmt.Sprintf("%q", f.Bytes))
		}
	}
	return strings.Join(text, "|")
}

// compare runs both; blocks are as small as can be, and large.
func compare(t testing.TB, cfg csv.Config, input string) {
	want, wantFailed := tidbRows(t, cfg, input)
	for _, size := range []int{1 << 10, 64 << 10} {
		got, failed := sluiceRows(t, cfg, input, size)
		if failed != wantFailed || !failed && fmt.Sprint(want) != fmt.Sprint(got) || failed && !prefix(got, want) {
			t.Fatalf("config %+v\ninput %q\nTiDB   (failed %t) %v\nSluice (failed %t) %v", cfg, input, wantFailed, want, failed, got)
		}
	}
}

// prefix reports whether the rows before a failure are TiDB's. Sluice may
// stop earlier: a broken block is never given out when its borders are unknown.
func prefix(got, want []string) bool {
	return len(got) <= len(want) && fmt.Sprint(got) == fmt.Sprint(want[:len(got)])
}

func configs() []csv.Config {
	with := func(change func(*csv.Config)) csv.Config {
		c := csv.DefaultConfig()
		change(&c)
		return c
	}
	return []csv.Config{
		csv.DefaultConfig(),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "\t" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "|"; c.FieldsEnclosedBy = "'" }),
		with(func(c *csv.Config) { c.FieldsEscapedBy = "" }),
		with(func(c *csv.Config) { c.FieldsEnclosedBy = "" }),
		with(func(c *csv.Config) { c.FieldsEnclosedBy = ""; c.FieldsEscapedBy = "" }),
		with(func(c *csv.Config) { c.NullText = []string{"NULL"} }),
		with(func(c *csv.Config) { c.NullText = []string{""} }),
		with(func(c *csv.Config) { c.NullText = []string{`\N`, "N", ""} }),
		with(func(c *csv.Config) { c.NullText = []string{`\N`}; c.FieldsEscapedBy = "" }),
		with(func(c *csv.Config) { c.NullText = []string{`aN`, "b"}; c.FieldsEscapedBy = "a" }),
		with(func(c *csv.Config) { c.LinesTerminatedBy = "\n" }),
		with(func(c *csv.Config) { c.LinesTerminatedBy = "\r\n" }),
		with(func(c *csv.Config) { c.LinesTerminatedBy = "\r" }),
		with(func(c *csv.Config) { c.LinesTerminatedBy = "|\n" }),
		with(func(c *csv.Config) { c.LinesTerminatedBy = ",\n" }),
		with(func(c *csv.Config) { c.LinesTerminatedBy = "aab" }),
		with(func(c *csv.Config) { c.LinesTerminatedBy = "\"\n" }),
		with(func(c *csv.Config) { c.LinesTerminatedBy = "b" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = ",|" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "|\"|" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "a|"; c.LinesTerminatedBy = "|\n" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "\\|" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = " " }),
		with(func(c *csv.Config) { c.FieldsEnclosedBy = " " }),
		with(func(c *csv.Config) { c.FieldsEscapedBy = " " }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "\n"; c.LinesTerminatedBy = "|" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "\r"; c.LinesTerminatedBy = "\n" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "\r" }),
		with(func(c *csv.Config) { c.FieldsTerminatedBy = "，" }),
		with(func(c *csv.Config) { c.SkipRows = 1 }),
		with(func(c *csv.Config) { c.SkipRows = 3; c.LinesTerminatedBy = "\r\n" }),
	}
}

var tokens = []string{
	",", ",", ",", "\n", "\n", "\r\n", "\r", `"`, `"`, `""`, `\`, `\\`, `\N`, `\"`, `\,`, "\\\n", `\n`, `\0`, `\b`, `\r`, `\t`, `\Z`,
	"a", "b", "N", "NULL", "|", "'", " ", "  ", "\t", "x,y", "1", "12345678", "é", "日", "\xff", "\u00a0", "\u0085", "\x00", "aab", "，",
	`"quoted"`, `"with ""quotes"""`, "\"with\nline\"", `"a",`, ",\"b\"\n", "\n\n", "plain,row,of,fields\n", "1,2.5,2020-01-01,text\n",
}

func generate(rnd *rand.Rand) string {
	var b strings.Builder
	// Lists of few different tokens make deep states likelier.
	few := make([]string, 1+rnd.IntN(12))
	for i := range few {
		few[i] = tokens[rnd.IntN(len(tokens))]
	}
	if rnd.IntN(20) == 0 {
		b.WriteString("\xef\xbb\xbf")
	}
	for range rnd.IntN(60) {
		b.WriteString(few[rnd.IntN(len(few))])
	}
	if rnd.IntN(30) == 0 { // longer than the smallest block
		return strings.Repeat(b.String(), 1+rnd.IntN(80))
	}
	return b.String()
}

// wellFormed makes input that no parser refuses, with all kinds of fields.
func wellFormed(rnd *rand.Rand) string {
	var b strings.Builder
	columns := 1 + rnd.IntN(8)
	quoteAll := rnd.IntN(3) == 0
	for range rnd.IntN(300) {
		for c := range columns {
			if c > 0 {
				b.WriteByte(',')
			}
			switch k := rnd.IntN(12); {
			case k == 0:
				b.WriteString(`\N`)
			case k == 1:
				b.WriteString("\"two\nlines, \"\"quoted\"\"\"")
			case k == 2:
				b.WriteString(`esc\,aped\n`)
			case k == 3 && columns > 1:
			case quoteAll || k == 4:
				fmt.Fprintf(&b, `"%s"`, strings.Repeat("q", rnd.IntN(40)))
			default:
				fmt.Fprintf(&b, "%d", rnd.Uint64()>>rnd.IntN(64))
			}
		}
		b.WriteString([]string{"\n", "\n", "\r\n"}[rnd.IntN(3)])
	}
	return b.String()
}

// seed returns SLUICE_TEST_SEED, for long runs with other inputs; 42 otherwise.
func seed() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("SLUICE_TEST_SEED"), 10, 64); err == nil {
		return n
	}
	return 42
}

func TestSameRowsAsTiDB(t *testing.T) {
	t.Parallel()
	for i, cfg := range configs() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			require.NoError(t, cfg.Validate())
			rnd := rand.New(rand.NewPCG(uint64(i), seed()))
			for range 1000 {
				input := generate(rnd)
				if cfg.SkipRows > 0 && cfg.LinesTerminatedBy == "" {
					input = strings.ReplaceAll(input, "\r", "") // skipped lines differ on purpose
				}
				compare(t, cfg, input)
			}
		})
	}
}

func TestSameRowsOfWellFormedFiles(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(7, 7))
	total := 0
	for range 300 {
		input := wellFormed(rnd)
		rows, failed := tidbRows(t, csv.DefaultConfig(), input)
		require.False(t, failed)
		total += len(rows)
		compare(t, csv.DefaultConfig(), input)
	}
	require.Greater(t, total, 10_000)
}

func FuzzSameRowsAsTiDB(f *testing.F) {
	for i := range configs() {
		for _, input := range []string{"", "a,b\n", "\"a\"\"b\",\\N\r\n", " \n", "a\"", "\"a\nb", "\\", "x\\", "\n \n\n", "\xef\xbb\xbfa"} {
			f.Add(uint8(i), []byte(input))
		}
	}
	all := configs()
	f.Fuzz(func(t *testing.T, i uint8, input []byte) {
		cfg := all[int(i)%len(all)]
		if len(input) > 1<<14 || cfg.SkipRows > 0 && cfg.LinesTerminatedBy == "" && bytes.IndexByte(input, '\r') >= 0 {
			return
		}
		compare(t, cfg, string(input))
	})
}

package csv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/source"
)

// read returns all rows as text (fields joined by |, NULL as <nil>) with their places.
func read(cfg csv.Config, input string, blockBytes int) (rows []string, places []format.RowPlace, err error) {
	ctx := context.Background()
	store := memory{[]byte(input)}
	file := store.file()
	s, err := csv.NewSplitter(ctx, store, &file, 0, cfg, format.NewBlockPool(blockBytes, 2, format.LimitedRoom(csv.MaxRowBytes)))
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r := csv.NewReader(cfg)
	for {
		b, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, places, nil
		}
		if err != nil {
			return rows, places, err
		}
		r.Reset(b)
		for {
			fields, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Release()
				return rows, places, err
			}
			rows = append(rows, joinFields(fields))
			places = append(places, r.Place())
		}
		b.Release()
	}
}

func joinFields(fields []format.Field) string {
	var row []string
	for _, f := range fields {
		if f.Null {
			row = append(row, "<nil>")
		} else {
			row = append(row, string(f.Bytes))
		}
	}
	return strings.Join(row, "|")
}

func TestRows(t *testing.T) {
	t.Parallel()
	skip := csv.DefaultConfig()
	skip.SkipRows = 2
	for _, tc := range []struct {
		name, input string
		cfg         csv.Config
		want        []string
	}{
		{"plain", "1,a\n2,b\n", csv.DefaultConfig(), []string{"1|a", "2|b"}},
		{"no line end", "1,a\n2,b", csv.DefaultConfig(), []string{"1|a", "2|b"}},
		{"any line end", "1\r\n2\r3\n\n4", csv.DefaultConfig(), []string{"1", "2", "3", "4"}},
		{"null", `\N,"\N",\\N,N` + "\n", csv.DefaultConfig(), []string{`<nil>|<nil>|\N|N`}},
		{"quoted", "\"a\"\"b\",\"x\ny\",\"\"\n", csv.DefaultConfig(), []string{"a\"b|x\ny|"}},
		{"escapes", `a\tb,c\,d,"e\"f",\0\b\n\r\Z\q` + "\n", csv.DefaultConfig(), []string{"a\tb|c,d|e\"f|\x00\b\n\r\x1aq"}},
		{"escaped line end", "a\\\nb,c\n", csv.DefaultConfig(), []string{"a\nb|c"}},
		{"mark", "\xef\xbb\xbf1\n", csv.DefaultConfig(), []string{"1"}},
		{"blank lines", "\n \t\n1\n\u00a0\n2\n\n", csv.DefaultConfig(), []string{"1", "2"}},
		{"blank at the end", "1\n \n", csv.DefaultConfig(), []string{"1", ""}},
		{"skipped, \\r\\n as one", "h1\r\nh2\r\n1\r\n", skip, []string{"1"}},
		{"skipped without regard to quotes", "\"h\nh\",x\n1\n", skip, []string{"1"}},
		{"all skipped", "h\n", skip, nil},
		{"nothing", "", csv.DefaultConfig(), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, _, err := read(tc.cfg, tc.input, 1<<10)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestErrorsNameTheRow(t *testing.T) {
	t.Parallel()
	const head = "1,a\n2,\"x\ny\"\n" // 2 rows, 3 lines
	for _, tc := range []struct{ tail, text string }{
		{"3,\"open\n4,x\n", "unterminated quoted field"},
		{"3,\"open\\", "escape character without a character behind it"},
		{"3,\\", "escape character without a character behind it"},
		{"3,a\"b\n", "quote inside an unquoted field"},
		{"3,\"a\"b\n", "closing quote"},
		{"3,\\,\"a\"\n", "quote inside an unquoted field"},
	} {
		for _, blockBytes := range []int{1 << 10, 1 << 20} {
			for _, repeat := range []int{1, 1000} {
				input := strings.Repeat(head, repeat) + tc.tail
				rows, _, err := read(csv.DefaultConfig(), input, blockBytes)
				e := fault.As(err)
				require.NotNil(t, e, "%v", err)
				require.Equal(t, fault.Source, e.Whose)
				require.ErrorContains(t, err, tc.text)
				require.Equal(t, fault.Position{File: "/data/a.csv", Line: int64(3*repeat + 1), Offset: int64(len(head) * repeat)}, e.At)
				require.Len(t, rows, 2*repeat)
			}
		}
	}
}

func TestRowsLongerThanABlock(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	input := "1,a\n2," + long + "\n\"3\n\"," + long + "\n4,b\n" + strings.Repeat("\n", 10_000) + "5,c\n"
	rows, places, err := read(csv.DefaultConfig(), input, 1<<10)
	require.NoError(t, err)
	require.Equal(t, []string{"1|a", "2|" + long, "3\n|" + long, "4|b", "5|c"}, rows)
	require.Equal(t, format.RowPlace{Offset: 4, Line: 2, Row: 1}, places[1])
	require.Equal(t, int64(10_006), places[4].Line)

	_, _, err = read(csv.DefaultConfig(), "1,a\n\""+strings.Repeat("x", csv.MaxRowBytes)+"\"\n", 1<<20)
	require.ErrorContains(t, err, "longer than 67108864 bytes; is a closing quote missing? (file /data/a.csv, line 2, offset 4)")
}

func TestWrongConfigs(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*csv.Config){
		"Invalid option value for fields_terminated_by": func(c *csv.Config) { c.FieldsTerminatedBy = "" },
		"Invalid option value for fields_enclosed_by":   func(c *csv.Config) { c.FieldsEnclosedBy = "ab" },
		"Invalid option value for fields_escaped_by":    func(c *csv.Config) { c.FieldsEscapedBy = "\xff" },
		"Invalid option value for skip_rows":            func(c *csv.Config) { c.SkipRows = -1 },
		"must not be prefix of each other":              func(c *csv.Config) { c.FieldsTerminatedBy = `"x` },
		"ESCAPED BY and ENCLOSED BY must differ":        func(c *csv.Config) { c.FieldsEscapedBy = `"` },
		"ESCAPED BY and TERMINATED BY must differ":      func(c *csv.Config) { c.FieldsEscapedBy = "," },
		"and LINES TERMINATED BY must differ":           func(c *csv.Config) { c.LinesTerminatedBy = "," },
	} {
		cfg := csv.DefaultConfig()
		change(&cfg)
		err := cfg.Validate()
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.User, fault.As(err).Whose)
		_, err = csv.NewSplitter(context.Background(), memory{}, &source.File{}, 0, cfg, format.NewBlockPool(1<<10, 2, format.LimitedRoom(csv.MaxRowBytes)))
		require.Error(t, err)
	}
}

func TestReaderNoticesWrongRowCount(t *testing.T) {
	t.Parallel()
	r := csv.NewReader(csv.DefaultConfig())
	r.Reset(&format.Block{File: &source.File{Path: "/a.csv"}, Data: []byte("1\n2\n"), Rows: 3})
	var err error
	for err == nil {
		_, err = r.Next()
	}
	require.ErrorContains(t, err, "the block holds 3 rows, but 2 were read")
	require.Equal(t, fault.Sluice, fault.As(err).Whose)
}

// failing is a store whose streams break after some bytes.
type failing struct {
	memory
	openErr error
}

func (f failing) Open(context.Context, source.File, int64) (io.ReadCloser, error) {
	if f.openErr != nil {
		return nil, f.openErr
	}
	return io.NopCloser(io.MultiReader(strings.NewReader("1,a\n2"), &broken{})), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestStoreErrorsComeUp(t *testing.T) {
	t.Parallel()
	for _, store := range []failing{{}, {openErr: io.ErrClosedPipe}} {
		s, err := csv.NewSplitter(context.Background(), store, &source.File{}, 0, csv.DefaultConfig(), format.NewBlockPool(1<<10, 2, format.LimitedRoom(csv.MaxRowBytes)))
		require.NoError(t, err)
		for err == nil {
			_, err = s.Next(context.Background())
		}
		require.ErrorIs(t, err, io.ErrClosedPipe)
		require.NoError(t, s.Close())
	}
}

func TestCloseEarlyGivesBlocksBack(t *testing.T) {
	t.Parallel()
	pool := format.NewBlockPool(1<<10, 3, format.LimitedRoom(csv.MaxRowBytes))
	store := memory{bytes.Repeat([]byte("1,2\n"), 100_000)}
	file := store.file()
	for taken := range 3 {
		s, err := csv.NewSplitter(context.Background(), store, &file, 0, csv.DefaultConfig(), pool)
		require.NoError(t, err)
		for range taken {
			b, err := s.Next(context.Background())
			require.NoError(t, err)
			b.Release()
			b.Release() // harmless
		}
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for range pool.Blocks() {
		_, err := pool.Get(cancelled)
		require.NoError(t, err, "all blocks are back")
	}
	_, err := pool.Get(cancelled)
	require.ErrorIs(t, err, context.Canceled)
}

// FuzzBlocks: where blocks are cut must not matter.
func FuzzBlocks(f *testing.F) {
	for _, input := range []string{"", "a,b\n", "\"a\"\"b\",\\N\r\n", " \n", "a\"", "\"a\nb", "\\", "x\\", "\n \n\n", "\xef\xbb\xbfa"} {
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
		rows, places, err := read(cfg, text, 1<<10)
		rows2, places2, err2 := read(cfg, text, 1<<20)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%v against %v", err, err2)
		}
		if err != nil { // the small blocks may give more rows before the failure, or fewer
			n := min(len(rows), len(rows2))
			rows, rows2, places, places2 = rows[:n], rows2[:n], places[:n], places2[:n]
		}
		if fmt.Sprint(rows) != fmt.Sprint(rows2) {
			t.Fatalf("rows %q\nagainst %q", rows, rows2)
		}
		for i := range places {
			if places[i].Offset != places2[i].Offset || places[i].Row != places2[i].Row {
				t.Fatalf("row %d: %+v against %+v", i, places[i], places2[i])
			}
		}
	})
}

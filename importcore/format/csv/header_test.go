package csv_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/source"
)

// behindHeader returns the header of a file, and its rows with their places.
func behindHeader(t testing.TB, cfg csv.Config, input string) (h *csv.Header, rows []string, places []format.RowPlace, err error) {
	store := memory{[]byte(input)}
	file := store.file()
	h, err = csv.ReadHeader(t.Context(), store, &file, cfg)
	if h == nil || err != nil {
		return h, nil, nil, err
	}
	s, err := csv.NewSplitterBehind(t.Context(), h, store, &file, 0, cfg, format.NewBlockPool(1<<10, 2, format.LimitedRoom(csv.MaxRowBytes)))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	r := csv.NewReader(cfg)
	for {
		b, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return h, rows, places, nil
		}
		require.NoError(t, err)
		r.Reset(b)
		for {
			fields, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			rows, places = append(rows, joinFields(fields)), append(places, r.Place())
		}
		b.Release()
	}
}

func TestReadHeader(t *testing.T) {
	t.Parallel()
	with := func(change func(*csv.Config)) csv.Config {
		c := csv.DefaultConfig()
		change(&c)
		return c
	}
	long := strings.Repeat("x", 50_000)
	for _, tc := range []struct {
		name, input string
		cfg         csv.Config
		names, rows []string
		line        int64 // of the first row
	}{
		{"plain", "a,b\n1,2\n3,4\n", csv.DefaultConfig(), []string{"a", "b"}, []string{"1|2", "3|4"}, 2},
		{"\\r\\n", "a,b\r\n1,2\r\n3,4", csv.DefaultConfig(), []string{"a", "b"}, []string{"1|2", "3|4"}, 2},
		{"\\r", "a,b\r1,2\r3,4\r", csv.DefaultConfig(), []string{"a", "b"}, []string{"1|2", "3|4"}, 2},
		{"terminated", "a,b|\n1,2|\n", with(func(c *csv.Config) { c.LinesTerminatedBy = "|\n" }), []string{"a", "b"}, []string{"1|2"}, 2},
		{"quoted", "\"a, \"\"b\"\"\",\"two\nlines\"\n1,2\n", csv.DefaultConfig(), []string{`a, "b"`, "two\nlines"}, []string{"1|2"}, 3},
		{"escaped", `a\,b,\\N` + "\n1,2\n", csv.DefaultConfig(), []string{"a,b", `\N`}, []string{"1|2"}, 2},
		{"mark", "\xef\xbb\xbf\"a\",b\n1,2\n", csv.DefaultConfig(), []string{"a", "b"}, []string{"1|2"}, 2},
		{"empty name", "a,,\n1,2,3\n", csv.DefaultConfig(), []string{"a", "", ""}, []string{"1|2|3"}, 2},
		{"behind empty lines", "\n \t\n\na\n1\n", csv.DefaultConfig(), []string{"a"}, []string{"1"}, 5},
		{"behind skipped lines", "# by\n\"x\na\n1\n", with(func(c *csv.Config) { c.SkipRows = 2 }), []string{"a"}, []string{"1"}, 4},
		{"alone", "a,b\n", csv.DefaultConfig(), []string{"a", "b"}, nil, 0},
		{"alone without line end", "a,b", csv.DefaultConfig(), []string{"a", "b"}, nil, 0},
		{"longer than what is read at first", "a," + long + "\r\n1,2\r\n", csv.DefaultConfig(), []string{"a", long}, []string{"1|2"}, 2},
		{"far behind", strings.Repeat("\n", 100_000) + "a\n1\n", csv.DefaultConfig(), []string{"a"}, []string{"1"}, 100_002},
		{"of an empty name", " \n\n", csv.DefaultConfig(), []string{""}, nil, 0},
		{"no rows", "\n\n", csv.DefaultConfig(), nil, nil, 0},
		{"nothing", "", csv.DefaultConfig(), nil, nil, 0},
		{"mark alone", "\xef\xbb\xbf", csv.DefaultConfig(), nil, nil, 0},
		{"all skipped", "a\n1\n", with(func(c *csv.Config) { c.SkipRows = 2 }), nil, nil, 0},
		{"gbk", "\x95\x5c,\"\xd6\xd0\"\n\xd6\xd0,2\n", with(func(c *csv.Config) { c.CharacterSet = "gbk" }), []string{"昞", "中"}, []string{"中|2"}, 2},
		{"gbk, skipped", "\x81\x7c|\x95\x5c|\xd6\xd0|", with(func(c *csv.Config) {
			c.CharacterSet, c.LinesTerminatedBy, c.SkipRows = "gbk", "|", 1
		}), []string{"昞"}, []string{"中"}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h, rows, places, err := behindHeader(t, tc.cfg, tc.input)
			require.NoError(t, err)
			if tc.names == nil {
				require.Nil(t, h)
				return
			}
			require.Equal(t, tc.names, h.Names)
			require.Equal(t, tc.rows, rows)
			if len(tc.rows) == 0 {
				return
			}
			// The rows are where they are when the header is read as a row.
			all, allPlaces, err := read(tc.cfg, tc.input, 1<<10)
			require.NoError(t, err)
			require.Equal(t, all[1:], rows)
			for i, p := range places {
				p.Row++
				require.Equal(t, allPlaces[1+i], p)
			}
			require.Equal(t, tc.line, places[0].Line)
		})
	}
}

// TestHeaderCutAnywhere: where reading stops for the first time must not matter.
func TestHeaderCutAnywhere(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\n", "\r\n", "\r"} {
		for n := 16<<10 - 8; n < 16<<10+8; n++ {
			name := strings.Repeat("n", n)
			h, rows, places, err := behindHeader(t, csv.DefaultConfig(), name+end+"1"+end)
			require.NoError(t, err)
			require.Equal(t, []string{name}, h.Names)
			require.Equal(t, []string{"1"}, rows)
			require.Equal(t, format.RowPlace{Offset: int64(n + len(end)), Line: 2}, places[0])
		}
	}
}

func TestBadHeaders(t *testing.T) {
	t.Parallel()
	gbk := csv.DefaultConfig()
	gbk.CharacterSet = "gbk"
	for _, tc := range []struct {
		input, want string
		cfg         csv.Config
	}{
		{"\n\"a\"b\n1\n", "syntax error: the row has a quote inside an unquoted field, or something between a closing quote and the end of its field (file /data/a.csv, line 2, offset 1)", csv.DefaultConfig()},
		{"a,\"b\n1,2\n", "unterminated quoted field (file /data/a.csv, line 1, offset 0)", csv.DefaultConfig()},
		{"a,\\N\n1,2\n", "the header has a NULL where a column's name should be (file /data/a.csv, line 1, offset 0)", csv.DefaultConfig()},
		{"\na,\xff\n1,2\n", "the header can't be decoded: there are bytes that are no text in the character set gbk (file /data/a.csv, line 2, offset 1)", gbk},
		{"a," + strings.Repeat("x", 3<<20), "the row is longer than 2097152 bytes", csv.DefaultConfig()},
	} {
		_, _, _, err := behindHeader(t, tc.cfg, tc.input)
		require.ErrorContains(t, err, tc.want)
		require.Equal(t, fault.Source, fault.As(err).Whose)
	}
	_, err := csv.ReadHeader(t.Context(), failing{openErr: io.ErrClosedPipe}, &source.File{}, csv.DefaultConfig())
	require.ErrorIs(t, err, io.ErrClosedPipe)
	_, err = csv.ReadHeader(t.Context(), failing{}, &source.File{}, csv.DefaultConfig())
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

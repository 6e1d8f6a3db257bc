package csv

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/source"
)

// TestMarks compares the marks of both forms with a look at each byte.
func TestMarks(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 300; n++ {
		data := []byte(randomText(rnd, n))
		for i := range data {
			if rnd.IntN(4) == 0 {
				data[i] = byte(rnd.Uint32())
			}
		}
		m := &markers{}
		for i := range m {
			m[i] = data[rnd.IntN(n)]
		}
		k := marks{m: m}
		from := rnd.IntN(n)
		k.fill(data, from, n)
		require.Equal(t, n, k.end)
		for i := from; i < n; i++ {
			bit := uint64(1) << ((i - from) % word)
			quote := data[i] == m[3] || data[i] == m[4]
			require.Equal(t, quote, k.quotes[(i-from)/word]&bit != 0)
			require.Equal(t, quote || data[i] == m[0] || data[i] == m[1] || data[i] == m[2], k.all[(i-from)/word]&bit != 0)
		}
		words := n / word
		if words == 0 {
			continue
		}
		all, quotes, all2, quotes2 := make([]uint64, words), make([]uint64, words), make([]uint64, words), make([]uint64, words)
		markWords(data, all, quotes, m)
		markWordsGo(data, all2, quotes2, m)
		require.Equal(t, all2, all)
		require.Equal(t, quotes2, quotes)
	}
}

func randomText(rnd *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString([]string{"a", "12", ",", ",", "\n", "\n", "\"", "\"", "\"\"", "\\", "\\N", "\r\n", "\r", " ", "é", "|", "NULL", strings.Repeat("x", 70)}[rnd.IntN(18)])
	}
	return b.String()[:n]
}

// readAll returns the rows and errors of a block; exact keeps to the row parser.
func readAll(cfg Config, data string, exact bool) (out []string) {
	r := NewReader(cfg).(*reader)
	if exact {
		d := *r.d
		d.simpleFields = false
		r.d = &d
	}
	r.Reset(&format.Block{File: &source.File{Path: "/a.csv"}, Data: []byte(data), FirstLine: 1})
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		line := fmt.Sprintf("%v %+v", err, r.Place())
		for _, f := range row {
			line += fmt.Sprintf(" %q %v", f.Bytes, f.Null)
		}
		out = append(out, line)
		if err != nil {
			return out
		}
	}
}

func judgeMarks(t testing.TB, cfg Config, data string) {
	want, got := readAll(cfg, data, true), readAll(cfg, data, false)
	if strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Fatalf("%+v %q:\n%s\nagainst\n%s", cfg, data, strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

func markConfigs() []Config {
	configs := make([]Config, 8)
	for i := range configs {
		configs[i] = DefaultConfig()
	}
	configs[1].LinesTerminatedBy = "\n"
	configs[2].FieldsEnclosedBy = ""
	configs[3].FieldsEscapedBy = ""
	configs[3].NullText = []string{"NULL", ""}
	configs[4].FieldsTerminatedBy, configs[4].LinesTerminatedBy = "|", "\r"
	configs[6].LinesTerminatedBy = "x"
	configs[7].FieldsTerminatedBy, configs[7].LinesTerminatedBy = "\n", "|"
	configs[5].NullText = []string{"NULL", `\N`, `a`}
	return configs
}

// TestMarkedRowsAreThoseOfTheRowParser reads generated data both ways.
func TestMarkedRowsAreThoseOfTheRowParser(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, rand.Uint64()))
	for range 20000 {
		for _, cfg := range markConfigs() {
			judgeMarks(t, cfg, randomText(rnd, 1+rnd.IntN(120)))
		}
	}
	// Rows across the ends of stretches, and longer than them.
	for range 60 {
		var b strings.Builder
		for b.Len() < 3*minMarked {
			fmt.Fprintf(&b, "%d,\"%s\",\\N,%s\"\"\n", rnd.IntN(1000), strings.Repeat("long \"\" text ", rnd.IntN(2000)), strings.Repeat("x", rnd.IntN(90)))
			fmt.Fprintf(&b, "\"%s\"\"\",b\\\nc\r\n", strings.Repeat("y,\n", rnd.IntN(400)))
		}
		text := strings.ReplaceAll(b.String(), `x""`, `x`)
		for _, cfg := range markConfigs() {
			judgeMarks(t, cfg, text)
		}
	}
	judgeMarks(t, DefaultConfig(), "1,\""+strings.Repeat("z\"\"", maxMarked)+"\"\n2,b\n")
}

func FuzzMarkedRows(f *testing.F) {
	f.Add("a,\"b\"\"c\",\\N\r\n", byte(0))
	f.Fuzz(func(t *testing.T, data string, which byte) {
		configs := markConfigs()
		judgeMarks(t, configs[int(which)%len(configs)], data)
	})
}

// scanExact finds the rows of data with the row parser alone.
func scanExact(cfg Config, data []byte, final bool) borders {
	d := newDialect(cfg)
	d.simpleRows = false
	s := rowScanner{d: d, parser: rowParser{d: d}}
	return s.scan(data, 0, final)
}

// TestMarkedBorders compares the scanner's rows with the row parser's.
func TestMarkedBorders(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, rand.Uint64()))
	judged := 0
	judge := func(cfg Config, data []byte) {
		for _, final := range []bool{false, true} {
			d := newDialect(cfg)
			s := rowScanner{d: d, parser: rowParser{d: d}}
			got, want := s.scan(data, 0, final), scanExact(cfg, data, final)
			// Malformed rows may hide borders, see the package doc; and the parser of rows tells no more about what it can't read.
			if want.broken != foundRow || got.broken != foundRow {
				continue
			}
			judged++
			require.Equal(t, want, got, "%q", data)
		}
	}
	for range 20000 {
		text := randomText(rnd, 1+rnd.IntN(200))
		if rnd.IntN(2) == 0 {
			text = strings.NewReplacer("\\", "", "\r", "").Replace(text)
		}
		// Quotes in the right places only.
		text = strings.ReplaceAll(text, "\"", "")
		text = strings.ReplaceAll(text, "é", "\"q\nr\"\"\"")
		for _, cfg := range markConfigs() {
			judge(cfg, []byte(text))
		}
	}
	for range 20 {
		var b strings.Builder
		for b.Len() < 3*scanned {
			fmt.Fprintf(&b, "%d,\"%s\",x\n", rnd.IntN(1000), strings.Repeat("long \"\" te\nxt ", rnd.IntN(1000)))
			if rnd.IntN(100) == 0 {
				b.WriteString(strings.Repeat("z\n", 100) + strings.Repeat("w", rnd.IntN(3)*scanned) + "\n\n\n a\n")
			}
		}
		judge(DefaultConfig(), []byte(b.String()))
	}
	require.Greater(t, judged, 50000)
}

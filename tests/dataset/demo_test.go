package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestPermutationHitsEveryValueOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{1, 2, 3, 7, 64, 1000, 65537} {
		p := newPermutation(n, 5)
		seen := make([]bool, n)
		for i := range n {
			v := p.at(i)
			require.Less(t, v, n)
			require.False(t, seen[v], "%d twice with n = %d", v, n)
			seen[v] = true
		}
	}
}

func TestDemoCSVReadsBackAsItsSums(t *testing.T) {
	t.Parallel()
	const rows = 5000
	var buf bytes.Buffer
	sums, err := WriteDemoCSV(&buf, rows, 1)
	require.NoError(t, err)
	got, ids, codes := Sums{}, map[string]bool{}, map[string]bool{}
	amount, sorted, last := new(big.Rat), true, uint64(0)
	reader := csv.NewReader(&buf)
	for {
		rec, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.Len(t, rec, 6)
		id, err := strconv.ParseUint(rec[0], 10, 64)
		require.NoError(t, err)
		sorted = sorted && id > last
		last = id
		ids[rec[0]], codes[rec[1]] = true, true
		cents, ok := new(big.Rat).SetString(rec[2])
		require.True(t, ok, rec[2])
		amount.Add(amount, cents)
		_, err = time.Parse(time.DateTime, rec[3])
		require.NoError(t, err)
		group, err := strconv.ParseUint(rec[4], 10, 64)
		require.NoError(t, err)
		require.True(t, utf8.ValidString(rec[5]))
		require.True(t, len(rec[5]) >= minNote && len(rec[5]) <= maxNote, "%d bytes", len(rec[5]))
		got.Rows++
		got.SumID += id
		got.SumGroup += group
		got.SumNoteBytes += uint64(len(rec[5]))
		got.SumRowCRC += uint64(crc32.ChecksumIEEE([]byte(strings.Join(rec, ","))))
	}
	got.SumAmount = amount.FloatString(2)
	require.Equal(t, got, sums)
	require.EqualValues(t, rows*(rows+1)/2, sums.SumID)
	require.Len(t, ids, rows)
	require.Len(t, codes, rows)
	require.False(t, sorted, "ids are in order")
}

func TestDemoCSVDependsOnRowsAndSeedOnly(t *testing.T) {
	t.Parallel()
	write := func(seed uint64) string {
		var buf bytes.Buffer
		_, err := WriteDemoCSV(&buf, 300, seed)
		require.NoError(t, err)
		return buf.String()
	}
	require.Equal(t, write(7), write(7))
	require.NotEqual(t, write(7), write(8))
}

func TestDemoCSVEdges(t *testing.T) {
	t.Parallel()
	sums, err := WriteDemoCSV(io.Discard, 0, 1)
	require.NoError(t, err)
	require.Equal(t, Sums{SumAmount: "0.00"}, sums)
	_, err = WriteDemoCSV(io.Discard, -1, 1)
	require.Error(t, err)
	broken := fmt.Errorf("no space")
	_, err = WriteDemoCSV(failingWriter{broken}, 10, 1)
	require.ErrorIs(t, err, broken)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestAppendCents(t *testing.T) {
	t.Parallel()
	for cents, want := range map[int64]string{0: "0.00", 5: "0.05", -5: "-0.05", 123456: "1234.56", -100: "-1.00"} {
		require.Equal(t, want, string(appendCents(nil, cents)))
	}
}

func BenchmarkWriteDemoCSV(b *testing.B) {
	var size int64
	for range b.N {
		counter := &countingWriter{}
		if _, err := WriteDemoCSV(counter, 100_000, 1); err != nil {
			b.Fatal(err)
		}
		size = counter.n
	}
	b.SetBytes(size)
	b.ReportMetric(float64(size)/100_000, "bytes/row")
}

type countingWriter struct{ n int64 }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	return len(p), nil
}

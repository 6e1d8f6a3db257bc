package conflict_test

import (
	"encoding/binary"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/conflict"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// TestManyDuplicatesInLittleMemory: as many rows as SLUICE_CONFLICTS_ROWS says,
// each twice, the second time in another order, with a primary key, a unique and a
// plain index. Exactly one of each two stays, and memory stays near the budgets.
func TestManyDuplicatesInLittleMemory(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("SLUICE_CONFLICTS_ROWS"))
	if err != nil {
		t.Skip("SLUICE_CONFLICTS_ROWS is not set")
	}
	const sortBudget, budget = 31 << 20, 15 << 20
	debug.SetMemoryLimit(sortBudget + budget + 32<<20) // as the server does with its own
	began := time.Now()
	sorted := sortParts(t, sortkv.Options{MemoryBudget: sortBudget}, rowsOnce(n, 0), rowsOnce(n, 1))
	t.Logf("%d pairs sorted in %v, peak %d MiB", sorted.Checksum().Pairs, time.Since(began).Round(time.Second), peakMiB(t))
	for name, strategy := range map[string]conflict.Strategy{"replace": conflict.Replace, "ignore": conflict.Ignore} {
		began = time.Now()
		r, err := conflict.Decide(t.Context(), conflict.Config{
			Sorted: sorted, Keys: keyRanges(1), Strategy: strategy, Dir: t.TempDir(), MemoryBudget: budget, Threads: 2,
		})
		require.NoError(t, err)
		decided := time.Since(began)
		require.EqualValues(t, n, r.Lost.Count())
		lost := r.Lost.NewReader()
		for row := int64(0); row < 2*int64(n); row += 97 {
			gone, err := lost.Has(row)
			require.NoError(t, err)
			if gone != (row < int64(n) == (strategy == conflict.Replace)) {
				t.Fatalf("row %d: lost %v", row, gone)
			}
		}
		sum, err := r.Checksum(t.Context(), 2)
		require.NoError(t, err)
		require.EqualValues(t, 3*n, sum.Pairs)
		t.Logf("%s: %d of %d rows lost, decided in %v, summed in %v, peak %d MiB", name, n, 2*n, decided.Round(time.Second),
			(time.Since(began) - decided).Round(time.Second), peakMiB(t))
		require.NoError(t, r.Close())
	}
	require.Less(t, peakMiB(t), 160)
}

// rowsOnce are n rows; in the second pass they come in another order and with the numbers behind.
func rowsOnce(n, pass int) numberedRows {
	const stride = 7_368_787 // a prime: every row once, unless n is a multiple
	record := tablecodec.GenTableRecordPrefix(tableID)
	unique, plain := tablecodec.EncodeTableIndexPrefix(tableID, 1), tablecodec.EncodeTableIndexPrefix(tableID, 2)
	return func(yield func(int, *kv.Arena) bool) {
		value := make([]byte, 50)
		var one kv.Arena
		for i := range n {
			row, id := pass*n+i, uint64(i)
			if pass == 1 {
				id = uint64(int64(i) * stride % int64(n))
			}
			one.Reset()
			binary.BigEndian.PutUint64(value, uint64(row))
			one.Add(binary.BigEndian.AppendUint64(record[:len(record):len(record)], id), value)
			one.Add(binary.BigEndian.AppendUint64(unique[:len(unique):len(unique)], id*0x9E3779B97F4A7C15), value[:8])
			key := binary.BigEndian.AppendUint64(plain[:len(plain):len(plain)], id%1000)
			one.Add(binary.BigEndian.AppendUint64(key, id), nil)
			if !yield(row, &one) {
				return
			}
		}
	}
}

// TestConflictsFarBeyondTheMemory: a second sort of so many conflicts was refused
// once, or not, as timing would have it; see sortkv.TestBudgetDoesNotBoundThePairs.
func TestConflictsFarBeyondTheMemory(t *testing.T) {
	t.Parallel()
	const n = 120_000
	sorted := sortParts(t, sortkv.Options{MemoryBudget: 8 << 20}, rowsOnce(n, 0), rowsOnce(n, 1))
	for _, threads := range []int{1, 4} {
		r, err := conflict.Decide(t.Context(), conflict.Config{
			Sorted: sorted, Keys: keyRanges(1), Strategy: conflict.Ignore, Dir: t.TempDir(), MemoryBudget: conflict.MinMemoryBudget, Threads: threads,
		})
		require.NoError(t, err)
		require.EqualValues(t, n, r.Lost.Count())
		lost := r.Lost.NewReader()
		for row := range int64(2 * n) {
			gone, err := lost.Has(row)
			require.NoError(t, err)
			if gone != (row >= n) {
				t.Fatalf("row %d: lost %v", row, gone)
			}
		}
		require.NoError(t, r.Close())
	}
}

// peakMiB is the largest resident set of the process so far.
func peakMiB(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "VmHWM:")
	require.True(t, found)
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return kib >> 10
}

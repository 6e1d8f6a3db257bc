package sortkv_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// addBytes gives pairs of 70 bytes to a sorter, n bytes of them. Numbers count
// the pairs; they stand in the last eight bytes of the keys.
func addBytes(ctx context.Context, s *sortkv.Sorter, n int64, workers int) error {
	group, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		group.Go(func() error {
			var key [40]byte
			value := make([]byte, 30)
			for i, added := uint64(w), int64(0); added < n/int64(workers); {
				a, err := s.Arena(ctx)
				if err != nil {
					return err
				}
				for ; a.Bytes() < s.ArenaBytes(); i += uint64(workers) {
					binary.BigEndian.PutUint64(key[10:], i*0x9E3779B97F4A7C15)
					binary.BigEndian.PutUint64(key[32:], i)
					a.Add(key[:], value)
				}
				added += int64(len(a.Buf))
				if err := s.Add(ctx, a); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// TestBudgetDoesNotBoundThePairs sorts 100 times as many bytes as it has memory; the
// conflicts of 5,000,000 rows in a job with 64 MiB are 80 times as many. The places of
// pages were kept in memory once, and such a sort ended with an error, if timing would have it so. Runs are merged until iterators have room,
// no pair is lost, and ranges are about as large as asked for.
func TestBudgetDoesNotBoundThePairs(t *testing.T) {
	t.Parallel()
	const budget = 256 << 10
	for workers, suffix := range map[int]int{1: 0, 4: kv.NumberBytes} {
		t.Run(fmt.Sprint(workers, " workers, suffix ", suffix), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			s := newSorter(t, sortkv.Options{Dir: "/sort", FS: vfs.NewMem(), MemoryBudget: budget, SuffixBytes: suffix})
			require.NoError(t, addBytes(ctx, s, 100*budget, workers))
			sorted, err := s.Finish(ctx)
			require.NoError(t, err)
			require.Less(t, sorted.Runs(), 30, "an iterator has to have a page of each")
			sum := sorted.Checksum()
			require.Greater(t, sorted.Spilled(), int64(sum.Bytes), "runs were merged")
			require.NoError(t, sorted.FindDuplicate(ctx))

			size := int64(sum.Bytes) / 20
			var got kv.Checksum
			for _, r := range sorted.Ranges(size, 0) {
				part := sumOf(t, sorted, r.Start, r.End)
				require.InDelta(t, part.Bytes, r.Bytes, float64(size)/5)
				require.LessOrEqual(t, r.Bytes, size)
				got.Merge(part)
			}
			require.Equal(t, sum, got)
		})
	}
}

// sumOf reads a range.
func sumOf(t *testing.T, sorted *sortkv.Sorted, start, end []byte) (sum kv.Checksum) {
	t.Helper()
	it, err := sorted.Iter(t.Context(), start, end)
	require.NoError(t, err)
	for it.Next() {
		sum.Add(it.Key(), it.Value())
	}
	require.NoError(t, it.Err())
	require.NoError(t, it.Close())
	return sum
}

// TestGiantPairsShareMemory: pairs larger than a page are in every run, and merging takes memory for one of them.
func TestGiantPairsShareMemory(t *testing.T) {
	t.Parallel()
	for _, c := range compressions {
		s := newSorter(t, sortkv.Options{MemoryBudget: 512 << 10, Compression: c})
		var want kv.Checksum
		for i := range 60 {
			a, err := s.Arena(t.Context())
			require.NoError(t, err)
			for j := range 3 {
				key := fmt.Appendf(nil, "%s%05d", make([]byte, i/59*9000), (i*3+j)*7919%180)
				value := make([]byte, []int{50 << 10, 10, 0}[j])
				for k := range value {
					value[k] = byte(k * (i + 3) >> 2)
				}
				a.Add(key, value)
				want.Add(key, value)
			}
			require.NoError(t, s.Add(t.Context(), a))
		}
		sorted, err := s.Finish(t.Context())
		require.NoError(t, err)
		require.Greater(t, sorted.Runs(), 5)
		require.NoError(t, sorted.FindDuplicate(t.Context()))
		require.Equal(t, want, sumOf(t, sorted, nil, nil))
		var got kv.Checksum
		for _, r := range sorted.Ranges(1<<20, 0) {
			got.Merge(sumOf(t, sorted, r.Start, r.End))
		}
		require.Equal(t, want, got)
	}
}

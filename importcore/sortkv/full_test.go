package sortkv_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// addUntilFull gives pairs of 70 bytes to a sorter until it refuses them or has got n bytes.
func addUntilFull(ctx context.Context, s *sortkv.Sorter, n int64, workers int) error {
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

// TestFullSorterSaysSo: when the index of the runs and one iterator take the
// budget, the sorter ends with an error that says so; it neither waits for
// memory that nobody will give back, nor goes past its budget. Up to Capacity it sorts.
func TestFullSorterSaysSo(t *testing.T) {
	t.Parallel()
	for _, budget := range []int64{256 << 10, 512 << 10} {
		for _, workers := range []int{1, 4} {
			for _, suffix := range []int{0, kv.NumberBytes} {
				t.Run(fmt.Sprint(budget>>10, "KiB/", workers, "/", suffix), func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
					defer cancel()
					opts := sortkv.Options{MemoryBudget: budget, SuffixBytes: suffix}
					s := newSorter(t, opts)
					capacity := sortkv.Capacity(budget)
					require.NoError(t, addUntilFull(ctx, s, capacity, workers))
					sorted, err := s.Finish(ctx)
					require.NoError(t, err)
					it, err := sorted.Iter(ctx, nil, nil)
					require.NoError(t, err)
					pairs := uint64(0)
					for it.Next() {
						pairs++
					}
					require.NoError(t, it.Err())
					require.NoError(t, it.Close())
					require.Equal(t, sorted.Checksum().Pairs, pairs)

					s = newSorter(t, opts)
					err = addUntilFull(ctx, s, 20*capacity, workers)
					var full *sortkv.FullError
					require.ErrorAs(t, err, &full)
					require.Equal(t, budget, full.MemoryBudget)
					require.Greater(t, full.Written, capacity*9/10)
					require.Less(t, full.Written, 4*capacity)
					_, err = s.Arena(ctx)
					require.ErrorAs(t, err, &full, "and it stays so")
					_, err = s.Finish(ctx)
					require.ErrorAs(t, err, &full)
				})
			}
		}
	}
}

package importcore

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/sortkv"
)

// TestManyWorkersWithLittleMemoryMakeLargeRuns: the arenas in the hands of
// the workers must leave room for those that wait to be spilled. Otherwise
// every arena becomes a run of its own, and merging opens thousands of files.
func TestManyWorkersWithLittleMemoryMakeLargeRuns(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 4, 16, 64, 300} {
		memory := splitMemory(MinMemoryBudget, threads)
		s, err := sortkv.New(sortkv.Options{
			Dir: t.TempDir(), MemoryBudget: memory.sort, ArenaBytes: memory.arenaBytes, Compression: sortkv.CompressionNone,
		})
		require.NoError(t, err)
		const pairs = 400_000
		var workers sync.WaitGroup
		for w := range threads {
			workers.Go(func() {
				a, err := s.Arena(t.Context())
				var key [40]byte
				value := make([]byte, 100)
				for n := w; err == nil && n < pairs; n += threads {
					if a == nil {
						if a, err = s.Arena(t.Context()); err != nil {
							break
						}
					}
					binary.BigEndian.PutUint64(key[:], uint64(n)*0x9E3779B97F4A7C15)
					a.Add(key[:], value)
					if a.Bytes() >= s.ArenaBytes() {
						err = s.Add(t.Context(), a)
						a = nil
					}
				}
				if err == nil && a != nil {
					err = s.Add(t.Context(), a)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		workers.Wait()
		sorted, err := s.Finish(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, pairs, sorted.Checksum().Pairs)
		// 66 MB of pairs and references, spilled by halves of the sorter's budget.
		require.LessOrEqualf(t, sorted.Runs(), 15, "%d threads, arenas of %d bytes", threads, s.ArenaBytes())
		require.NoError(t, s.Close())
	}
}

// TestSortDirsOfTheDeadGo: what a killed process left is removed by the next
// job in the same directory; what a living one uses, and what is not ours, stays.
func TestSortDirsOfTheDeadGo(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "sort")
	alive, err := newSortDir(base, 55, 1, 0, zap.NewNop())
	require.NoError(t, err)
	dead, err := newSortDir(base, 55, 2, 0, zap.NewNop())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dead.path, "sort-1"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dead.path, "sort-1", "000001.sst"), []byte("x"), 0o600))
	require.NoError(t, dead.lock.Close()) // as the end of its process does
	foreign := filepath.Join(base, "job-of-somebody")
	require.NoError(t, os.MkdirAll(foreign, 0o700))

	next, err := newSortDir(base, 55, 3, 0, zap.NewNop())
	require.NoError(t, err)
	require.NoDirExists(t, dead.path)
	require.DirExists(t, alive.path)
	require.DirExists(t, next.path)
	require.DirExists(t, foreign)
	for _, d := range []*sortDir{alive, next} {
		require.NoError(t, d.remove())
		require.NoDirExists(t, d.path)
	}
}

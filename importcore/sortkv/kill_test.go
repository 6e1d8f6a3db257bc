package sortkv_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// someTablePairs returns n pairs of some 200 bytes in no order.
func someTablePairs(n int) []pair {
	rnd := rand.New(rand.NewPCG(7, 7))
	pairs := make([]pair, n)
	for i := range pairs {
		value := make([]byte, 180)
		for j := range value {
			value[j] = byte(rnd.Uint32())
		}
		pairs[i] = pair{fmt.Appendf(nil, "t12345678_r%07d", (i*7919)%n), value}
	}
	return pairs
}

func sumOfPairs(pairs []pair) (sum kv.Checksum) {
	for _, p := range pairs {
		sum.Add(p.key, p.value)
	}
	return sum
}

// crashed returns what a machine that lost its power has on disk: all that was
// synced, and of the rest a part.
func crashed(fs *vfs.MemFS, seed uint64, unsynced int) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(seed, 1))})
}

// checkpoint is a checkpoint that has been recorded.
func checkpoint(t *testing.T, s *sortkv.Sorter) (m sortkv.Manifest) {
	t.Helper()
	made, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Sync(t.Context(), made))
	text, err := json.Marshal(made)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &m))
	return m
}

// finishedPairs ends a sort and reads it.
func finishedPairs(s *sortkv.Sorter) (got []pair, sum kv.Checksum, err error) {
	r, err := s.Finish(context.Background())
	if err == nil {
		err = r.FindDuplicate(context.Background())
	}
	if err != nil {
		return nil, sum, err
	}
	got, err = collect(r, nil, nil)
	return got, r.Checksum(), err
}

// TestReopenGoesOnFromACheckpoint: a sorter that is killed, with its machine, at any moment and
// taken up from its last checkpoint gives the same pairs as one that was not.
func TestReopenGoesOnFromACheckpoint(t *testing.T) {
	t.Parallel()
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 3))
			pairs := randomPairs(rnd, 6000)
			fs := durableDir(t)
			opts := sortkv.Options{Dir: "/sort", FS: fs, MemoryBudget: 256<<10 + rnd.Int64N(2<<20), Compression: sortkv.Compression(seed % 3)}
			s, err := sortkv.New(opts)
			require.NoError(t, err)
			m, done := checkpoint(t, s), 0
			for done < len(pairs) {
				upTo := min(done+rnd.IntN(3000), len(pairs))
				require.NoError(t, addAll(s, pairs[done:upTo], 1+rnd.IntN(3)))
				if rnd.IntN(3) > 0 { // otherwise these pairs are lost with the process
					m, done = checkpoint(t, s), upTo
					require.Equal(t, sumOfPairs(pairs[:done]), m.Checksum)
				}
				if rnd.IntN(2) == 0 { // the old sorter is never closed
					fs = crashed(fs, seed, rnd.IntN(101))
					opts.FS = fs
					if rnd.IntN(2) == 0 {
						opts.MemoryBudget = 256<<10 + rnd.Int64N(2<<20)
					}
					s, err = sortkv.Reopen(opts, m)
					require.NoError(t, err)
					require.Equal(t, m.Checksum, checkpoint(t, s).Checksum)
				} else if m.Checksum.Pairs != uint64(upTo) {
					m, done = checkpoint(t, s), upTo
				}
			}
			for range 3 { // and in the end it can be taken up again and again
				got, sum, err := finishedPairs(s)
				require.NoError(t, err)
				require.Equal(t, sumOfPairs(pairs), sum)
				requireSame(t, sortedCopy(pairs), got)
				require.NoError(t, s.CloseKeep())
				fs = crashed(fs, seed, 50)
				opts.FS = fs
				s, err = sortkv.Reopen(opts, m)
				require.NoError(t, err)
			}
			require.NoError(t, s.Close())
			names, err := fs.List("/sort")
			require.NoError(t, err)
			require.Empty(t, names)
		})
	}
}

// TestKilledWhileRunsAreMerged: at any operation on files of a Finish that merges, the disk has
// what the manifest speaks of, be it merged already or not.
func TestKilledWhileRunsAreMerged(t *testing.T) {
	t.Parallel()
	pairs := someTablePairs(14_000)
	want, sum := sortedCopy(pairs), sumOfPairs(pairs)
	fs := durableDir(t)
	var ops, at atomic.Int64
	var clone atomic.Pointer[vfs.MemFS]
	var others [16]*vfs.MemFS // what else may be left of the machine's disk
	copyErr := errors.New("never copied")
	at.Store(-1)
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && ops.Add(1)-1 == at.Load() {
			// One time the machine stops, one time just the process.
			if at.Load()%2 == 0 {
				clone.Store(crashed(fs, uint64(at.Load()), int(at.Load()%3)*50))
				for i := range others {
					others[i] = crashed(fs, uint64(at.Load())<<8+uint64(i), 50)
				}
			} else {
				clone.Store(vfs.NewMem())
				_, copyErr = vfs.Clone(fs, clone.Load(), "/sort", "/sort")
			}
		}
		return nil
	})
	opts := sortkv.Options{Dir: "/sort", FS: fs, MemoryBudget: 256 << 10}
	s, err := sortkv.New(opts)
	require.NoError(t, err)
	require.NoError(t, addAll(s, pairs, 1))
	m := checkpoint(t, s)
	require.Greater(t, len(m.Runs), 15, "they have to be merged")
	require.NoError(t, addAll(s, someOthers(), 1)) // which the manifest doesn't know
	require.NoError(t, s.CloseKeep())
	before := crashed(fs, 0, 0)

	finish := func(on *vfs.MemFS) *sortkv.Sorter {
		opts.FS = errorfs.Wrap(on, injector)
		s, err := sortkv.Reopen(opts, m)
		require.NoError(t, err)
		require.NoError(t, addAll(s, someOthers(), 1))
		_, err = s.Finish(t.Context())
		require.NoError(t, err)
		return s
	}
	fs = crashed(before, 0, 0)
	require.NoError(t, finish(fs).CloseKeep())
	n := ops.Load()
	require.Greater(t, n, int64(100))
	mergedRuns := 0
	for i := int64(0); i < n; i++ {
		if i < n-32 && i%(1+n/9) > 0 || i%3 == 2 {
			continue // in the end the runs that were merged are removed
		}
		fs = crashed(before, 0, 0)
		ops.Store(0)
		at.Store(i)
		require.NoError(t, finish(fs).Close())
		for _, opts.FS = range others {
			if i%2 == 0 {
				s, err := sortkv.Reopen(opts, m)
				require.NoError(t, err, "killed before operation %d of %d", i, n)
				require.NoError(t, s.Close())
			}
		}
		opts.FS = clone.Load()
		s, err := sortkv.Reopen(opts, m)
		require.NoError(t, err, "killed before operation %d of %d", i, n)
		again := checkpoint(t, s)
		require.Equal(t, m.Checksum, again.Checksum)
		if len(again.Runs) < len(m.Runs) {
			mergedRuns++
		}
		got, gotSum, err := finishedPairs(s)
		require.NoError(t, err)
		require.Equal(t, sum, gotSum)
		requireSame(t, want, got)
		require.NoError(t, s.Close())
	}
	require.NoError(t, copyErr)
	require.Greater(t, mergedRuns, 5, "runs that took the place of others were found")
}

// someOthers are pairs that someTablePairs doesn't have.
func someOthers() []pair {
	others := someTablePairs(2000)
	for i := range others {
		others[i].key = append([]byte("u"), others[i].key...)
	}
	return others
}

// durableDir has /sort on its disk.
func durableDir(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	require.NoError(t, fs.MkdirAll("/sort", 0o700))
	root, err := fs.OpenDir("/")
	require.NoError(t, err)
	require.NoError(t, root.Sync())
	require.NoError(t, root.Close())
	return fs
}

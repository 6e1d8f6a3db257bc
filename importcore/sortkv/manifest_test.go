package sortkv_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/sortkv"
)

// through returns a manifest as its JSON form gives it back.
func through(t *testing.T, m sortkv.Manifest) (out sortkv.Manifest) {
	t.Helper()
	text, err := json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

// TestReopenedSorterGoesOn: a sorter that is left alone at any moment, as by the end of its process,
// and taken up from its last manifest gives what one gives that is not interrupted, and
// leaves nothing behind.
func TestReopenedSorterGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range compressions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(11, uint64(c)))
			for range 12 {
				pairs := randomPairs(rnd, 4000)
				opts := sortkv.Options{Dir: t.TempDir(), MemoryBudget: 256 << 10, Compression: c}
				s, err := sortkv.New(opts)
				require.NoError(t, err)
				saved := sortkv.Manifest{Compression: c}
				for at, savedAt := 0, 0; at < len(pairs); {
					to := min(at+1+rnd.IntN(900), len(pairs))
					require.NoError(t, addAll(s, pairs[at:to], 1))
					at = to
					switch rnd.IntN(4) {
					case 0, 1:
						saved, err = s.Checkpoint(t.Context())
						require.NoError(t, err)
						require.NoError(t, s.Sync(t.Context(), saved))
						savedAt = at
					case 2: // left alone
						opts.Compression = sortkv.Compression(rnd.IntN(len(compressions))) // the manifest's counts
						s, err = sortkv.Reopen(opts, through(t, saved))
						require.NoError(t, err)
						at = savedAt
					}
				}
				if rnd.IntN(2) == 0 { // at its end as well
					saved, err = s.Checkpoint(t.Context())
					require.NoError(t, err)
					require.NoError(t, s.CloseKeep())
					s, err = sortkv.Reopen(opts, through(t, saved))
					require.NoError(t, err)
				}
				sorted, err := s.Finish(t.Context())
				require.NoError(t, err)
				require.NoError(t, sorted.FindDuplicate(t.Context()))
				got, err := collect(sorted, nil, nil)
				require.NoError(t, err)
				requireSame(t, sortedCopy(pairs), got)
				require.Equal(t, sumOf(t, sorted, nil, nil), sorted.Checksum())
				require.NoError(t, s.Close())
				requireEmptyButOthers(t, opts.Dir, saved)
			}
		})
	}
}

// requireEmptyButOthers: directories of sorters that were left alone before their first checkpoint are not
// this one's to remove.
func requireEmptyButOthers(t *testing.T, dir string, saved sortkv.Manifest) {
	t.Helper()
	if saved.Dir != "" {
		require.NoDirExists(t, filepath.Join(dir, saved.Dir))
	}
}

// TestReopenAfterMerges: runs that a manifest names may have been merged since, some of them or all.
func TestReopenAfterMerges(t *testing.T) {
	t.Parallel()
	const bytes = 12 << 20
	want := func() sortkv.Options { return sortkv.Options{Dir: t.TempDir(), MemoryBudget: 256 << 10} }
	for cut := 0; ; cut++ {
		opts := want()
		s, err := sortkv.New(opts)
		require.NoError(t, err)
		require.NoError(t, addBytes(t.Context(), s, bytes, 1))
		saved, err := s.Checkpoint(t.Context())
		require.NoError(t, err)
		require.Greater(t, len(saved.Runs), 30, "too many for the memory")

		// Finish merges; it is stopped by an operation that fails.
		creates := 0
		broken := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpCreate {
				if creates++; creates > cut {
					return errorfs.ErrInjected
				}
			}
			return nil
		})
		require.NoError(t, s.CloseKeep())
		opts.FS = errorfs.Wrap(vfs.Default, broken)
		s, err = sortkv.Reopen(opts, saved)
		require.NoError(t, err)
		_, err = s.Finish(t.Context())
		if err == nil {
			require.Greater(t, cut, 3, "a merge makes three files")
			require.NoError(t, s.Close())
			return
		}
		require.NoError(t, s.CloseKeep())

		opts.FS = nil
		s, err = sortkv.Reopen(opts, saved)
		require.NoError(t, err)
		sorted, err := s.Finish(t.Context())
		require.NoError(t, err)
		require.Equal(t, saved.Checksum, sumOf(t, sorted, nil, nil), "after %d files", cut)
		require.NoError(t, s.CloseKeep())

		s, err = sortkv.Reopen(opts, saved) // all merges are done
		require.NoError(t, err)
		sorted, err = s.Finish(t.Context())
		require.NoError(t, err)
		require.Equal(t, saved.Checksum, sumOf(t, sorted, nil, nil))
		require.NoError(t, s.Close())
	}
}

// TestLostRunsAreFound: a file that is gone, cut short or changed where it matters is a *ManifestError.
func TestLostRunsAreFound(t *testing.T) {
	t.Parallel()
	opts := sortkv.Options{Dir: t.TempDir(), MemoryBudget: 256 << 10}
	s, err := sortkv.New(opts)
	require.NoError(t, err)
	require.NoError(t, addAll(s, randomPairs(rand.New(rand.NewPCG(1, 1)), 4000), 1))
	saved, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.CloseKeep())
	dir := filepath.Join(opts.Dir, saved.Dir)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, names)
	lost := &sortkv.ManifestError{}
	for _, name := range names {
		path := filepath.Join(dir, name.Name())
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		for what, change := range map[string]func() error{
			"gone":      func() error { return os.Remove(path) },
			"cut short": func() error { return os.WriteFile(path, whole[:len(whole)-1], 0o600) },
			"longer":    func() error { return os.WriteFile(path, append(append([]byte(nil), whole...), 0), 0o600) },
			"empty":     func() error { return os.WriteFile(path, nil, 0o600) },
		} {
			require.NoError(t, change())
			_, err := sortkv.Reopen(opts, saved)
			require.ErrorAs(t, err, &lost, "%s is %s", name.Name(), what)
			require.NoError(t, os.WriteFile(path, whole, 0o600))
		}
	}
	stranger := filepath.Join(dir, "000099.keys.run")
	require.NoError(t, os.WriteFile(stranger, []byte("of a run that came later"), 0o600))
	s, err = sortkv.Reopen(opts, saved)
	require.NoError(t, err)
	require.NoFileExists(t, stranger)
	require.NoError(t, s.CloseKeep())

	other := opts
	other.SuffixBytes = 8
	_, err = sortkv.Reopen(other, saved)
	require.ErrorAs(t, err, &lost)
	swapped := saved
	swapped.Runs = append([]sortkv.RunID(nil), saved.Runs...)
	swapped.Runs[0].Footer++
	_, err = sortkv.Reopen(opts, swapped)
	require.ErrorAs(t, err, &lost)
	require.NoError(t, os.RemoveAll(dir))
	_, err = sortkv.Reopen(opts, saved)
	require.ErrorAs(t, err, &lost)
}

func TestCheckpointNeedsRest(t *testing.T) {
	t.Parallel()
	s := newSorter(t, sortkv.Options{MemoryBudget: 256 << 10})
	a, err := s.Arena(t.Context())
	require.NoError(t, err)
	_, err = s.Checkpoint(t.Context())
	require.ErrorContains(t, err, "arenas are in use")
	s.Discard(a)
	m, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	require.Empty(t, m.Runs)
	require.NoError(t, s.Sync(context.Background(), m))
	again, err := sortkv.Reopen(sortkv.Options{Dir: t.TempDir(), MemoryBudget: 256 << 10}, through(t, m))
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

// TestEverySyncMayFail: an error of the disk while a checkpoint is made comes up.
func TestEverySyncMayFail(t *testing.T) {
	t.Parallel()
	for n := 0; ; n++ {
		ops := -1
		counting := false
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !counting {
				return nil
			}
			if ops++; ops == n {
				return errorfs.ErrInjected
			}
			return nil
		}))
		s, err := sortkv.New(sortkv.Options{Dir: "/sort", MemoryBudget: 256 << 10, FS: fs})
		require.NoError(t, err)
		require.NoError(t, addAll(s, randomPairs(rand.New(rand.NewPCG(2, 2)), 300), 1))
		counting = true
		m, err := s.Checkpoint(t.Context())
		if err == nil {
			err = s.Sync(t.Context(), m)
		}
		counting = false
		require.NoError(t, s.Close())
		if ops < n {
			require.NoError(t, err)
			require.Greater(t, n, 5)
			return
		}
		require.ErrorIs(t, err, errorfs.ErrInjected, "operation %d", n)
	}
}

// TestUnreadableRunsAreNotLost: a disk that can't be read at the moment is no reason to
// give up what is on it.
func TestUnreadableRunsAreNotLost(t *testing.T) {
	t.Parallel()
	fs := durableDir(t)
	opts := sortkv.Options{Dir: "/sort", FS: fs, MemoryBudget: 256 << 10}
	s, err := sortkv.New(opts)
	require.NoError(t, err)
	require.NoError(t, addAll(s, randomPairs(rand.New(rand.NewPCG(1, 1)), 4000), 1))
	saved := checkpoint(t, s)
	require.NoError(t, s.CloseKeep())
	opts.FS = errorfs.Wrap(fs, errorfs.ErrInjected.If(errorfs.Reads))
	_, err = sortkv.Reopen(opts, saved)
	require.ErrorContains(t, err, "injected error")
	lost := (*sortkv.ManifestError)(nil)
	require.False(t, errors.As(err, &lost), "%v", err)
	opts.FS = fs
	s, err = sortkv.Reopen(opts, saved)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

package sortkv_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/sortkv"
)

// peakFS measures what is on the disk right before something goes.
type peakFS struct {
	vfs.FS
	mu   sync.Mutex
	peak int64
}

func (f *peakFS) Remove(name string) error {
	f.measure()
	return f.FS.Remove(name)
}

func (f *peakFS) RemoveAll(name string) error {
	f.measure()
	return f.FS.RemoveAll(name)
}

func (f *peakFS) measure() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.peak = max(f.peak, f.size("sorted"))
}

// size is that of the runs below a directory.
func (f *peakFS) size(dir string) (bytes int64) {
	names, err := f.List(dir)
	if err != nil {
		return 0
	}
	for _, name := range names {
		info, err := f.Stat(f.PathJoin(dir, name))
		switch {
		case err != nil: // another merge has removed it
		case info.IsDir():
			bytes += f.size(f.PathJoin(dir, name))
		case !strings.HasSuffix(name, ".merged"):
			bytes += info.Size()
		}
	}
	return bytes
}

// TestHeldBoundsTheDisk: whenever pairs stop coming, with few runs or so many that they
// have to be merged, the directory holds no more than what Held said.
func TestHeldBoundsTheDisk(t *testing.T) {
	t.Parallel()
	merged := 0
	for _, n := range []int{2_000, 20_000, 60_000, 150_000} {
		files := &peakFS{FS: vfs.NewMem()}
		s, err := sortkv.New(sortkv.Options{Dir: "sorted", MemoryBudget: 256 << 10, FS: files})
		require.NoError(t, err)
		pairs := randomPairs(rand.New(rand.NewPCG(1, uint64(n))), n/20)
		for i := range 20 { // twenty times as many, as long
			for j := range pairs {
				pairs[j].key = append(pairs[j].key[:len(pairs[j].key):len(pairs[j].key)], byte(i), 1)
			}
			require.NoError(t, addAll(s, pairs, 2))
			if i == 12 && n%40_000 == 20_000 { // runs that are named, and larger ones that are not, are merged apart
				_, err := s.Checkpoint(t.Context())
				require.NoError(t, err)
			}
			for j := range pairs {
				pairs[j].key = pairs[j].key[:len(pairs[j].key)-2]
			}
		}
		held := s.Held()
		before := files.size("sorted")
		require.LessOrEqual(t, before, held)
		sorted, err := s.Finish(t.Context())
		require.NoError(t, err)
		if sorted.Spilled() > before+held/2 {
			merged++
		}
		files.measure()
		require.LessOrEqual(t, files.peak, held, "%d pairs", n)
		require.Greater(t, 4*files.peak, held, "%d pairs", n)
		require.NoError(t, s.Close())
		require.Zero(t, files.size("sorted"))
	}
	require.Positive(t, merged, "some have to be merged")
}

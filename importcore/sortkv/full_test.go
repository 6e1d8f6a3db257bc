package sortkv_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// filling is a file system that is full after some writes, until there is room.
type filling struct{ left atomic.Int64 }

func (f *filling) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileWrite, errorfs.OpCreate, errorfs.OpMkdirAll:
		if f.left.Add(-1) < 0 {
			return fmt.Errorf("write: %w", syscall.ENOSPC)
		}
	}
	return nil
}

func (f *filling) String() string { return "filling" }

// TestFullDiskLosesNoCheckpoint: the disk is full at every write in turn, while runs are spilled, merged and noted. The
// error says so, and what the last checkpoint names is there when there is room again.
func TestFullDiskLosesNoCheckpoint(t *testing.T) {
	t.Parallel()
	pairs := randomPairs(rand.New(rand.NewPCG(5, 5)), 4000)
	full := 0
	for n := int64(0); ; n += 1 + n/16 {
		fs, disk := durableDir(t), &filling{}
		opts := sortkv.Options{Dir: "/sort", FS: errorfs.Wrap(fs, disk), MemoryBudget: 256 << 10}
		disk.left.Store(n)
		s, err := sortkv.New(opts)
		require.NoError(t, err)
		var m sortkv.Manifest
		done := 0
		work := func() error {
			for done < len(pairs) {
				upTo := min(done+700, len(pairs))
				if err := addAll(s, pairs[done:upTo], 1); err != nil {
					return err
				}
				made, err := s.Checkpoint(t.Context())
				if err == nil {
					err = s.Sync(t.Context(), made)
				}
				if err != nil {
					return err
				}
				m, done = made, upTo
			}
			return nil
		}
		finish := func() error {
			got, sum, err := finishedPairs(s)
			if err == nil {
				require.Equal(t, sumOfPairs(pairs), sum)
				requireSame(t, sortedCopy(pairs), got)
			}
			return err
		}
		if err = work(); err == nil {
			err = finish()
		}
		if err == nil && disk.left.Load() >= 0 {
			require.NoError(t, s.Close())
			break
		}
		if err != nil {
			full++
			require.ErrorIs(t, err, syscall.ENOSPC, n)
			require.NotNil(t, fault.As(err), n)
			require.Equal(t, uint16(1021), fault.As(err).Code, n)
		}
		if m.Dir == "" { // there is nothing to keep
			require.NoError(t, s.Close())
		} else {
			require.NoError(t, s.CloseKeep())
		}
		disk.left.Store(1 << 40)
		s, err = sortkv.Reopen(opts, m)
		var lost *sortkv.ManifestError
		require.False(t, errors.As(err, &lost), "%d: %v", n, err)
		require.NoError(t, err)
		require.NoError(t, work())
		require.NoError(t, finish())
		require.NoError(t, s.Close())
		names, err := fs.List("/sort")
		require.NoError(t, err)
		require.Empty(t, names)
	}
	require.Greater(t, full, 20)
}

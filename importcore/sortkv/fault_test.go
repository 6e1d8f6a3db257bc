package sortkv_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// sortAndRead does one whole life and returns the pairs, or the first error.
func sortAndRead(fs vfs.FS, pairs []pair, c sortkv.Compression) (got []pair, sum kv.Checksum, err error) {
	s, err := sortkv.New(sortkv.Options{Dir: "/sort", MemoryBudget: 256 << 10, FS: fs, Compression: c})
	if err != nil {
		return nil, sum, err
	}
	defer func() {
		if e := s.Close(); err == nil {
			err = e
		}
	}()
	if err := addAll(s, pairs, 1); err != nil {
		return nil, sum, err
	}
	r, err := s.Finish(context.Background())
	if err != nil {
		return nil, sum, err
	}
	if err := r.FindDuplicate(context.Background()); err != nil {
		return nil, sum, err
	}
	for _, rg := range r.Ranges(512<<10, 0) {
		part, err := collect(r, rg.Start, rg.End)
		if err != nil {
			return nil, sum, err
		}
		got = append(got, part...)
	}
	return got, r.Checksum(), nil
}

// TestEveryFileOperationMayFail fails the n-th operation for every n: each
// time either the error comes up, naming the directory, or the result is whole
// (the operation did not matter). Nothing is left behind on success.
func TestEveryFileOperationMayFail(t *testing.T) {
	t.Parallel()
	pairs := randomPairs(rand.New(rand.NewPCG(9, 9)), 1300)
	want := sortedCopy(pairs)
	failures := 0
	for n := int32(0); ; n++ {
		var count atomic.Int32
		injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if count.Add(1)-1 == n {
				return errorfs.ErrInjected
			}
			return nil
		})
		mem := vfs.NewMem()
		got, _, err := sortAndRead(errorfs.Wrap(mem, injector), pairs, sortkv.CompressionNone)
		if count.Load() <= n {
			require.NoError(t, err)
			names, err := mem.List("/sort")
			require.NoError(t, err)
			require.Empty(t, names)
			break
		}
		if err == nil {
			requireSame(t, want, got)
			continue
		}
		failures++
		require.ErrorIs(t, err, errorfs.ErrInjected)
		require.Contains(t, err.Error(), "/sort")
		require.NotNil(t, fault.As(err), "%v", err)
	}
	require.Greater(t, failures, 20)
}

func TestFullDiskIsNamed(t *testing.T) {
	t.Parallel()
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			return fmt.Errorf("write: %w", syscall.ENOSPC)
		}
		return nil
	})
	_, _, err := sortAndRead(errorfs.Wrap(vfs.NewMem(), injector), randomPairs(rand.New(rand.NewPCG(9, 9)), 2000), sortkv.CompressionNone)
	e := fault.As(err)
	require.NotNil(t, e, "%v", err)
	require.Equal(t, uint16(1021), e.Code)
	require.Contains(t, err.Error(), "/sort is full")
}

// TestDamagedRunIsNoticed flips one bit at many places of a run, or loses the
// end of a write: reading all of it must fail.
func TestDamagedRunIsNoticed(t *testing.T) {
	t.Parallel()
	pairs := randomPairs(rand.New(rand.NewPCG(11, 11)), 4000)
	for _, c := range []sortkv.Compression{sortkv.CompressionNone, sortkv.CompressionSnappy, sortkv.CompressionZstd} {
		for place := range places {
			for _, torn := range []bool{false, true} {
				fs := &damagingFS{FS: vfs.NewMem(), at: place, torn: torn}
				_, _, err := sortAndRead(fs, pairs, c)
				require.True(t, fs.done, "the test has damaged nothing at %d", place)
				require.Error(t, err)
				require.Contains(t, err.Error(), "/sort")
				require.Equal(t, uint16(1024), fault.As(err).Code, "%v", err)
			}
		}
	}
}

// places is how many places are damaged: in the first, second, third ... write, further and further behind its start.
const places = 12

// damagingFS flips a bit in what is written to runs, or loses the last byte of a write.
type damagingFS struct {
	vfs.FS
	at     int
	torn   bool
	writes int
	done   bool
}

func (d *damagingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	if err != nil || !strings.HasSuffix(name, ".run") {
		return f, err
	}
	return &damagingFile{File: f, fs: d}, nil
}

type damagingFile struct {
	vfs.File
	fs *damagingFS
}

func (f *damagingFile) Write(p []byte) (int, error) {
	written := append([]byte(nil), p...)
	if f.fs.writes == f.fs.at && len(p) > 0 {
		f.fs.done = true
		if f.fs.torn {
			written = written[:len(p)-1]
		} else {
			written[len(p)*f.fs.at/places] ^= 0x10
		}
	}
	f.fs.writes++
	if _, err := f.File.Write(written); err != nil {
		return 0, err
	}
	return len(p), nil
}

func TestDamageIsDone(t *testing.T) {
	t.Parallel()
	fs := &damagingFS{FS: vfs.NewMem()}
	f, err := fs.Create("a.run", vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write([]byte("abc"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	in, err := fs.Open("a.run")
	require.NoError(t, err)
	data := make([]byte, 3)
	_, err = in.Read(data)
	require.NoError(t, err)
	require.Equal(t, "qbc", string(data))
}

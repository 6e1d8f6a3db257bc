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
func sortAndRead(fs vfs.FS, pairs []pair) (got []pair, sum kv.Checksum, err error) {
	s, err := sortkv.New(sortkv.Options{Dir: "/sort", MemoryBudget: 256 << 10, FS: fs})
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
	pairs := randomPairs(rand.New(rand.NewPCG(9, 9)), 2000)
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
		got, _, err := sortAndRead(errorfs.Wrap(mem, injector), pairs)
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
	_, _, err := sortAndRead(errorfs.Wrap(vfs.NewMem(), injector), randomPairs(rand.New(rand.NewPCG(9, 9)), 2000))
	e := fault.As(err)
	require.NotNil(t, e, "%v", err)
	require.Equal(t, uint16(1021), e.Code)
	require.Contains(t, err.Error(), "/sort is full")
}

// TestDamagedRunIsNoticed flips one byte at many places of a run: reading all
// of it must fail, or, where the byte carries nothing, give the right pairs.
func TestDamagedRunIsNoticed(t *testing.T) {
	t.Parallel()
	pairs := randomPairs(rand.New(rand.NewPCG(11, 11)), 1500)
	want := sortedCopy(pairs)
	noticed := 0
	const places = 40
	for place := range places {
		fs := &damagingFS{FS: vfs.NewMem(), at: place}
		got, sum, err := sortAndRead(fs, pairs)
		if err != nil {
			noticed++
			continue
		}
		requireSame(t, want, got)
		require.Equal(t, uint64(len(pairs)), sum.Pairs)
	}
	require.Greater(t, noticed, places*3/4)
}

// damagingFS flips a bit in what is written to runs: in the n-th write, in its middle.
type damagingFS struct {
	vfs.FS
	at     int
	writes int
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
	damaged := append([]byte(nil), p...)
	if len(p) > 0 && f.fs.writes == 0 {
		damaged[len(p)*f.fs.at/40] ^= 0x10
	}
	f.fs.writes++
	return f.File.Write(damaged)
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

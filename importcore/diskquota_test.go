package importcore

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// TestDiskQuotaIsADisksSize: files take room until they are removed, whoever wrote them, and what would take more is not written.
func TestDiskQuotaIsADisksSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.Equal(t, vfs.Default, sortFS(dir, 0))
	write := func(fs vfs.FS, name string, n int) error {
		f, err := fs.Create(filepath.Join(dir, name), vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = f.Write(make([]byte, n))
		return errors.Join(err, f.Close())
	}
	require.NoError(t, write(vfs.Default, "before", 300))
	fs := sortFS(dir, 1000)
	require.NoError(t, write(fs, "a", 400))
	require.NoError(t, write(fs, "b", 300))
	require.NoError(t, write(fs, "empty", 0))
	err := write(fs, "c", 1)
	require.ErrorIs(t, err, syscall.EDQUOT)
	require.ErrorContains(t, err, "more than its disk quota of 1000B")
	require.EqualValues(t, 1000, heldIn(dir))
	require.NoError(t, fs.Remove(filepath.Join(dir, "before")))
	require.NoError(t, write(fs, "c", 300))
	require.ErrorIs(t, write(fs, "d", 1), syscall.EDQUOT)
	require.NoError(t, vfs.Default.RemoveAll(filepath.Join(dir, "a")))
	require.NoError(t, write(fs, "d", 400))
	require.EqualValues(t, 1000, heldIn(dir))
}

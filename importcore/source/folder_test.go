package source_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/s3store"
)

func openFolder(t *testing.T, location string, cfg source.Config) source.Folder {
	t.Helper()
	folder, err := source.OpenFolder(t.Context(), location, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, folder.Close()) })
	return folder
}

func keysOf(t *testing.T, folder source.Folder) (keys []string) {
	t.Helper()
	for _, f := range listed(t, folder) {
		keys = append(keys, f.Key)
		require.Equal(t, f.Key, string(read(t, folder, f, 0)))
		again, err := folder.Stat(t.Context(), f.Key)
		require.NoError(t, err)
		require.Equal(t, [3]any{f.Path, f.Size, f.ETag}, [3]any{again.Path, again.Size, again.ETag})
		require.Equal(t, f.ModTime.Unix(), again.ModTime.Unix(), "some stores tell whole seconds")
	}
	return keys
}

// checkMissing: what is not there is told from what can't be read.
func checkMissing(t *testing.T, folder source.Folder) {
	t.Helper()
	_, err := folder.Stat(t.Context(), "none.sst")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, uint16(8160), fault.As(err).Code)
	require.ErrorContains(t, err, "none.sst")
}

func TestLocalFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, key := range []string{"backupmeta", "1/a.sst", "1/[b*].sst", "2/x/c.csv.gz", "é"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, key)), 0o700))
		write(t, filepath.Join(dir, key), key)
	}
	other := t.TempDir()
	write(t, filepath.Join(other, "a.sst"), "linked/a.sst")
	require.NoError(t, os.Symlink(other, filepath.Join(dir, "linked")))
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "1", "circle")))
	folder := openFolder(t, "local://"+dir+"/", source.Config{})
	require.Equal(t, []string{"1/[b*].sst", "1/a.sst", "2/x/c.csv.gz", "backupmeta", "linked/a.sst", "é"}, keysOf(t, folder))
	require.Equal(t, dir, folder.Backend().GetLocal().Path)
	checkMissing(t, folder)
	for _, key := range []string{"../" + filepath.Base(other) + "/a.sst", "/etc/passwd"} {
		_, err := folder.Stat(t.Context(), key)
		require.ErrorContains(t, err, "leads out of its folder")
		_, err = folder.Open(t.Context(), source.File{Key: key}, 0)
		require.ErrorContains(t, err, "leads out of its folder")
	}
	require.Empty(t, listed(t, openFolder(t, t.TempDir(), source.Config{})))
	_, err := folder.Stat(t.Context(), "1")
	require.ErrorContains(t, err, "not a regular file")
	require.False(t, errors.Is(err, fs.ErrNotExist))
	for location, text := range map[string]string{
		os.DevNull: "is neither a directory nor a file", dir + "/none": "no such file", "a": "absolute path",
		"oss://b/a": "not supported yet", "what://b/a": "not support yet",
	} {
		_, err := source.OpenFolder(t.Context(), location, source.Config{})
		require.Equal(t, uint16(8158), fault.As(err).Code)
		require.ErrorContains(t, err, text)
	}
}

func TestS3Folder(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	keys := []string{"1/[b*].sst", "1/a.sst", "2/x/c.csv.gz", "backupmeta", "é"}
	for _, key := range keys {
		s.Put("dir/"+key, []byte(key))
	}
	s.Put("dir/1/", nil)
	s.Put("dir/", nil)
	s.Put("dirt/a", []byte("a"))
	for _, path := range []string{"dir", "dir/"} {
		folder := openFolder(t, s.WithKeys(path), source.Config{})
		require.Equal(t, keys, keysOf(t, folder))
		checkMissing(t, folder)
		backend := folder.Backend().GetS3()
		require.Equal(t, "dir", backend.Prefix)
		require.Equal(t, s3store.Bucket, backend.Bucket)
		require.Equal(t, s.AccessKey, backend.AccessKey)
		require.Equal(t, s.Endpoint(), backend.Endpoint)

		files := listed(t, folder)
		require.Equal(t, "s3://data/dir/1/a.sst", files[1].Path)
		require.True(t, source.Remote(folder))
		ahead, stop := source.NewAhead(t.Context(), folder, files, 1<<20)
		for _, f := range files {
			require.Equal(t, f.Key, string(read(t, ahead, f, 0)))
		}
		stop()
	}
	whole := openFolder(t, s.WithKeys(""), source.Config{})
	require.Len(t, listed(t, whole), len(keys)+1)
	require.Empty(t, listed(t, openFolder(t, s.WithKeys("nothing"), source.Config{})))
	denied := openFolder(t, s.Location("dir")+"&access-key=OTHER&secret-access-key=x",
		source.Hasty(source.Config{Patience: time.Millisecond, Stall: 5 * time.Minute}))
	_, err := denied.Stat(t.Context(), "backupmeta")
	require.Equal(t, uint16(8159), fault.As(err).Code)
	require.NotErrorIs(t, err, fs.ErrNotExist)
}

// TestFolderOfOneFile: a location may be the file itself; of what is beside it nothing is seen.
func TestFolderOfOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := s3store.Start(t)
	for _, name := range []string{"all.SQL.gz", "more.sql", "plain.txt"} {
		write(t, filepath.Join(dir, name), name)
		s.Put("dir/"+name, []byte(name))
	}
	for location, key := range map[string]string{
		dir + "/all.SQL.gz": "all.SQL.gz", "file://" + dir + "//plain.txt": "plain.txt", s.WithKeys("dir/all.SQL.gz"): "all.SQL.gz",
	} {
		folder := openFolder(t, location, source.Config{})
		require.Equal(t, []string{key}, keysOf(t, folder))
		require.True(t, source.IsFile(location, listed(t, folder)))
	}
	require.False(t, source.IsFile(dir, []source.File{{Path: dir + "/all.SQL.gz"}}))
	require.Empty(t, listed(t, openFolder(t, s.WithKeys("dir/all.sql.gz/"), source.Config{})), "a slash at the end says that it is a folder")
	_, err := openFolder(t, s.WithKeys("none.sql"), source.Config{}).List(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, "dir", openFolder(t, s.WithKeys("dir/more.sql"), source.Config{}).Backend().GetS3().Prefix)
}

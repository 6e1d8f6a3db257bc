package source_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestRefusedLocations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "empty.csv"), "")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir.csv"), 0o700))
	for _, tc := range []struct {
		location string
		code     uint16
		text     string
	}{
		{"", 8158, "should be absolute path"},
		{"a.csv", 8158, "should be absolute path"},
		{"file://a.csv", 8158, "should be absolute path"},
		{"/etc/passwd", 8158, "the file suffix is not supported when import from server disk"},
		{"/nonexistent/a.csv", 8158, "stat /nonexistent: no such file or directory"},
		{dir + "/a.csv.gz", 8160, "a.csv.gz: no such file or directory"},
		{dir + "/a.csv.xz", 8158, "the file suffix is not supported when import from server disk"},
		{dir + "/a[.csv", 8158, "Glob pattern error: syntax error in pattern"},
		{dir + "/a.csv", 8160, "Failed to read source files. Reason: open " + dir + "/a.csv: no such file or directory. Please check the file location is correct"},
		{dir + "/dir.csv", 8160, "is not a regular file"},
		{dir + "/x*.csv", 8173, "PreCheck failed: No file matched, or the file is empty. Please provide a valid file location."},
		{dir + "/empty.csv", 8173, "No file matched, or the file is empty"},
		{dir + "/dir*.csv", 8173, "No file matched"},
		{"ks3://bucket/a.csv?access-key=AK&secret-access-key=SSSS", 8158, "storage ks3 is not supported yet"},
		{"hdfs://bucket/a.csv", 8158, "storage hdfs is not supported yet"},
		{"http://host/a.csv", 8158, "storage http not support yet"},
	} {
		t.Run(tc.location, func(t *testing.T) {
			t.Parallel()
			store, err := source.Open(context.Background(), tc.location, source.Config{})
			if err == nil {
				_, err = store.List(context.Background())
			}
			e := fault.As(err)
			require.NotNil(t, e, "%v", err)
			require.Equal(t, tc.code, e.Code)
			require.Contains(t, err.Error(), tc.text)
			require.NotContains(t, err.Error(), "SSSS")
		})
	}
}

func TestPatternsMatchFilesInNameOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b.csv", "a.csv", "c.txt", "a?.csv", "ab.csv"} {
		write(t, filepath.Join(dir, name), name)
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "d.csv"), 0o700))
	for location, want := range map[string][]string{
		"*.csv":            {"a.csv", "a?.csv", "ab.csv", "b.csv"},
		"[ab].csv":         {"a.csv", "b.csv"},
		"a?*.csv":          {"a?.csv"},
		"a?.csv":           {"a?.csv"},
		"file:///*b.csv":   {"ab.csv", "b.csv"},
		"LOCAL:///[b].csv": {"b.csv"},
	} {
		location = filepath.Join(dir, location)
		if scheme, name, ok := cutScheme(location); ok {
			location = scheme + filepath.Join(dir, name)
		}
		store, err := source.Open(context.Background(), location, source.Config{})
		require.NoError(t, err)
		files, err := store.List(context.Background())
		require.NoError(t, err)
		var got []string
		for _, f := range files {
			got = append(got, f.Key)
			require.Equal(t, filepath.Join(dir, f.Key), f.Path)
			require.Equal(t, int64(len(f.Key)), f.Size)
			require.WithinDuration(t, time.Now(), f.ModTime, time.Hour)
		}
		require.Equal(t, want, got, location)
		require.NoError(t, store.Close())
	}
}

func cutScheme(location string) (scheme, name string, ok bool) {
	base := filepath.Base(location)
	switch parent := filepath.Base(filepath.Dir(location)); parent {
	case "file:":
		return "file://", base, true
	case "LOCAL:":
		return "LOCAL://", base, true
	}
	return "", "", false
}

func TestStreams(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	open := func(t *testing.T) (source.Store, source.File) {
		path := filepath.Join(t.TempDir(), "a.csv")
		write(t, path, "0123456789")
		store, err := source.Open(ctx, path, source.Config{})
		require.NoError(t, err)
		files, err := store.List(ctx)
		require.NoError(t, err)
		require.Len(t, files, 1)
		return store, files[0]
	}
	t.Run("from an offset", func(t *testing.T) {
		store, file := open(t)
		in, err := store.Open(ctx, file, 7)
		require.NoError(t, err)
		data, err := io.ReadAll(in)
		require.NoError(t, err)
		require.Equal(t, "789", string(data))
		require.NoError(t, in.Close())
		_, err = store.Open(ctx, file, 11)
		require.Error(t, err)
	})
	for name, change := range map[string]func(path string) error{
		"longer":      func(path string) error { return os.WriteFile(path, []byte("0123456789x"), 0o600) },
		"shorter":     func(path string) error { return os.Truncate(path, 3) },
		"other bytes": func(path string) error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Minute)) },
		"gone":        os.Remove,
	} {
		t.Run(name+" before opening", func(t *testing.T) {
			store, file := open(t)
			require.NoError(t, change(file.Path))
			_, err := store.Open(ctx, file, 0)
			require.NotNil(t, fault.As(err), "%v", err)
			require.Equal(t, uint16(8160), fault.As(err).Code)
		})
		if name == "gone" {
			continue // an open file can be read on
		}
		t.Run(name+" while reading", func(t *testing.T) {
			store, file := open(t)
			in, err := store.Open(ctx, file, 0)
			require.NoError(t, err)
			_, err = in.Read(make([]byte, 2))
			require.NoError(t, err)
			require.NoError(t, change(file.Path))
			_, err = io.ReadAll(in)
			require.ErrorContains(t, err, "was changed after it had been listed with 10 bytes")
			require.NoError(t, in.Close())
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		store, file := open(t)
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		_, err := store.Open(cancelled, file, 0)
		require.ErrorIs(t, err, context.Canceled)
		_, err = source.Open(cancelled, file.Path, source.Config{})
		require.ErrorIs(t, err, context.Canceled)
	})
}

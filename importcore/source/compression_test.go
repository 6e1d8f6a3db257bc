package source_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/s3store"
)

func TestCompressionOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ compression, bare string }{
		"a.csv": {"plain", "a.csv"}, "a.csv.gz": {"gzip", "a.csv"}, "a.SQL.GZIP": {"gzip", "a.SQL"}, "a.sql.zst": {"zstd", "a.sql"},
		"a.zstd": {"zstd", "a"}, "d.gz/a.sql.Snappy": {"snappy", "d.gz/a.sql"}, "d.gz/a": {"plain", "d.gz/a"}, "": {"plain", ""},
	} {
		c, bare := source.CompressionOf(name)
		require.Equal(t, want.compression, c.String(), name)
		require.Equal(t, want.bare, bare, name)
	}
}

// TestS3Compression: files of a folder in S3 say how they are packed.
func TestS3Compression(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	for _, key := range []string{"d/a.sql.gz", "d/b.csv"} {
		s.Put(key, []byte(key))
	}
	folder, err := source.OpenFolder(t.Context(), s.WithKeys("d"), source.Config{})
	require.NoError(t, err)
	files := listed(t, folder)
	require.Equal(t, source.Gzip, files[0].Compression)
	require.Equal(t, source.Plain, files[1].Compression)
	file, err := folder.Stat(t.Context(), "a.sql.gz")
	require.NoError(t, err)
	require.Equal(t, source.Gzip, file.Compression)
	require.NoError(t, folder.Close())
}

package sortkv_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/sortkv"
)

func TestCompressionByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]sortkv.Compression{
		"": sortkv.CompressionNone, "none": sortkv.CompressionNone, "snappy": sortkv.CompressionSnappy, "zstd": sortkv.CompressionZstd,
	} {
		got, err := sortkv.ParseCompression(name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	_, err := sortkv.ParseCompression("lz4")
	require.ErrorContains(t, err, `compression "lz4" is not one of none, snappy and zstd`)
}

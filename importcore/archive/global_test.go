package archive_test

import (
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive"
)

// TestGlobalRefuses: what is no entry that this code knows is an error, not something that is sent on.
func TestGlobalRefuses(t *testing.T) {
	t.Parallel()
	from, to := tableInfo(110, "p", 111, 112), tableInfo(500, "p", 501, 502)
	from.Indices[0].Global, to.Indices[0].Global = true, true
	g, err := archive.NewGlobal(from, to)
	require.NoError(t, err)
	index := from.Indices[0].ID
	column, err := codec.EncodeKey(time.UTC, nil, datums(7)...)
	require.NoError(t, err)
	key := tablecodec.EncodeIndexSeekKey(110, index, column)
	value := func(partition int64) []byte {
		v := append([]byte{8, tablecodec.PartitionIDFlag}, codec.EncodeInt(nil, partition)...)
		return append(v, codec.EncodeInt(nil, 7)...)
	}
	newKey, newValue, err := g.Rewrite(key, value(112))
	require.NoError(t, err)
	require.Equal(t, []byte(tablecodec.EncodeIndexSeekKey(500, to.Indices[0].ID, column)), newKey)
	require.Equal(t, value(502), newValue)
	for text, entry := range map[string][2][]byte{
		"names partition 113":            {key, value(113)},
		"unknown form: value":            {key, codec.EncodeInt(nil, 7)},
		"unknown form: key":              {append(append([]byte{}, key...), append([]byte{tablecodec.PartitionIDFlag}, codec.EncodeInt(nil, 112)...)...), value(112)},
		"is of no index of the table":    {tablecodec.EncodeIndexSeekKey(110, index+9, column), value(112)},
		"unknown form: value 0000000000": {key, make([]byte, 12)},
	} {
		_, _, err := g.Rewrite(entry[0], entry[1])
		require.ErrorContains(t, err, text)
	}
}

func datums(values ...any) []types.Datum { return types.MakeDatums(values...) }

package importcore

import (
	"testing"

	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// at is a key of the table id.
func at(id int64, rest string) []byte { return append(tablecodec.EncodeTablePrefix(id), rest...) }

func TestSpansOf(t *testing.T) {
	t.Parallel()
	span := func(from, to int64) cluster.KeyRange { return cluster.KeyRange{Start: at(from, ""), End: at(to, "")} }
	require.Equal(t, []cluster.KeyRange{span(7, 8)}, spansOf([]int64{7}))
	require.Equal(t, []cluster.KeyRange{span(7, 10)}, spansOf([]int64{7, 8, 9}))
	require.Equal(t, []cluster.KeyRange{span(5, 6), span(7, 9), span(255, 257)}, spansOf([]int64{5, 7, 8, 255, 256}))
}

// TestRangesLeaveOtherTablesAlone: cut at the gaps between ids, ranges cover
// the same pairs, in order, and nothing of the tables in between.
func TestRangesLeaveOtherTablesAlone(t *testing.T) {
	t.Parallel()
	ranges := []sortkv.Range{
		{Start: at(5, "_i1"), End: at(5, "_r3"), Bytes: 10, Keys: 2},
		{Start: at(5, "_r3"), End: at(9, "_r1"), Bytes: 300, Keys: 30},
		{Start: at(9, "_r1"), End: at(9, "_r1\x00"), Bytes: 1, Keys: 1},
	}
	require.Equal(t, ranges, cutToSpans(ranges, spansOf([]int64{5, 6, 7, 8, 9})), "nothing lies between")

	cut := cutToSpans(ranges, spansOf([]int64{5, 7, 9}))
	require.Equal(t, []sortkv.Range{
		ranges[0],
		{Start: at(5, "_r3"), End: at(6, ""), Bytes: 100, Keys: 10},
		{Start: at(7, ""), End: at(8, ""), Bytes: 100, Keys: 10},
		{Start: at(9, ""), End: at(9, "_r1"), Bytes: 100, Keys: 10},
		ranges[2],
	}, cut)
	require.Equal(t, []cluster.KeyRange{
		{Start: at(5, "_i1"), End: at(6, "")}, {Start: at(7, ""), End: at(8, "")}, {Start: at(9, ""), End: at(9, "_r1\x00")},
	}, joined(cut))
	require.Equal(t, []cluster.KeyRange{{Start: at(5, "_i1"), End: at(9, "_r1\x00")}}, joined(ranges))
}

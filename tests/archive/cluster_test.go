package archive_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/playground"
)

// TestRaiseTSO: the pairs of a cluster whose clock is ahead can be seen.
func TestRaiseTSO(t *testing.T) {
	pg := playground.ForTest(t, playground.Options{})
	c := connect(t, pg)
	now, err := c.TSO(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.RaiseTSO(t.Context(), now))
	ahead := now + uint64(time.Hour.Milliseconds())<<18
	require.NoError(t, c.RaiseTSO(t.Context(), ahead))
	later, err := c.TSO(t.Context())
	require.NoError(t, err)
	require.Greater(t, later, ahead)
	require.ErrorContains(t, c.RaiseTSO(t.Context(), now+uint64((300*time.Hour).Milliseconds())<<18), "raise PD's timestamps")
}

// TestChecksumRewritten: the cluster's sums, with the keys that its tables had in an archive, are the archive's.
func TestChecksumRewritten(t *testing.T) {
	pg := playground.Shared(t)
	db, c := pg.DB(t), connect(t, pg)
	brarchive.Shapes(t, db, "sums")
	defer brarchive.Drop(t, db, "sums")
	a := openArchive(t, brarchive.Backup(t, db, "DATABASE sums", brarchive.Options{}))
	var groups [][]cluster.RewrittenRange
	var tables []*archive.Table
	for _, table := range a.Databases[0].Tables {
		if table.Info.IsView() || table.Info.IsSequence() {
			continue
		}
		rules, err := archive.NewRules(table.Info, table.Info)
		require.NoError(t, err)
		var group []cluster.RewrittenRange
		for _, r := range rules {
			group = append(group, cluster.RewrittenRange{KeyRange: cluster.KeyRange{Start: r.New, End: archive.After(r.New)}, Old: r.Old, New: r.New})
		}
		groups, tables = append(groups, group), append(tables, table)
	}
	got, err := c.ChecksumRewritten(t.Context(), "job-9", groups, 0)
	require.NoError(t, err)
	for i, table := range tables {
		require.Equal(t, table.FileSum, got[i], table.Info.Name.O)
	}
	for i := range groups {
		for j := range groups[i] {
			groups[i][j].Old = append([]byte("x"), groups[i][j].Old...)
		}
	}
	longer, err := c.ChecksumRewritten(t.Context(), "", groups, 2)
	require.NoError(t, err)
	for i := range tables {
		require.Equal(t, got[i].Pairs, longer[i].Pairs)
		require.Equal(t, got[i].Bytes+got[i].Pairs, longer[i].Bytes)
	}
}

package brarchive

import (
	"testing"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/s3store"
	"github.com/stretchr/testify/require"
)

func TestArchiveInS3(t *testing.T) {
	t.Parallel()
	store := s3store.Start(t)
	cluster := playground.Shared(t)
	db := cluster.DB(t)
	Shapes(t, db, "far_away")
	want := stateOf(t, db, "far_away")
	a := Backup(t, db, "DATABASE far_away", Options{Location: store.WithKeys("backups/one"), Checksum: true, Method: "aes128-ctr"})
	require.Empty(t, a.Dir)
	Drop(t, db, "far_away")
	a.Restore(t, db, "DATABASE far_away")
	require.Equal(t, want, stateOf(t, db, "far_away"))
	Drop(t, db, "far_away")
	requireNoViolations(t, cluster)
}

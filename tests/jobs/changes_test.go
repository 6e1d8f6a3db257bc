package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore/cluster"
)

// testChanges: a change to the cluster is noted, prolonged and forgotten, and the store
// tells whether the process that holds it runs the job.
func testChanges(t *testing.T, p jobstore.Params) {
	schema := newSchema()
	p.Process = "p1"
	a := open(t, p, schema, "a:1", time.Minute)
	p.Process = "p2"
	again := open(t, p, schema, "a:1", time.Minute)
	j, err := a.Create(t.Context(), aJob(1))
	require.NoError(t, err)
	require.NoError(t, a.Claim(t.Context(), j.Lease))

	rule := cluster.Change{Kind: cluster.LeaseSchedulers, Owner: cluster.JobOwner(j.ID, "x"), ID: "id", TTL: time.Hour,
		Ranges: []cluster.KeyRange{{Start: []byte{0, 255}, End: []byte{1}}}}
	mode := cluster.Change{Kind: cluster.LeaseImportMode, Owner: cluster.JobOwner(j.ID, "x"), TTL: -time.Second}
	alone := cluster.Change{Kind: cluster.LeaseSafePoint, Owner: "checksum-1", ID: "c", TTL: time.Hour}
	require.NoError(t, a.NoteChange(t.Context(), rule))
	require.NoError(t, a.NoteChange(t.Context(), mode))
	require.NoError(t, again.NoteChange(t.Context(), alone))
	list, err := a.Changes(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 3)
	for i, want := range []jobstore.Change{
		{Change: mode, JobID: j.ID, Instance: "a:1", Process: "p1", Expired: true, Running: true},
		{Change: alone, Instance: "a:1", Process: "p2"},
		{Change: rule, JobID: j.ID, Instance: "a:1", Process: "p1", Running: true},
	} {
		want.TTL, want.Taken, want.Expires = 0, list[i].Taken, list[i].Expires
		require.Equal(t, want, list[i])
		require.False(t, want.Taken.IsZero())
	}

	mode.TTL = time.Hour
	require.NoError(t, a.NoteChange(t.Context(), mode))
	require.NoError(t, a.Release(t.Context(), j.Lease, ""))
	require.NoError(t, a.ForgetChange(t.Context(), alone))
	list, err = again.Changes(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, c := range list {
		require.False(t, c.Running, "nobody runs the job")
		require.False(t, c.Expired)
	}
	require.True(t, list[0].Expires.After(list[0].Taken))

	// The same instance goes on with the job, in another process.
	adopted, err := again.Adopt(t.Context(), j.Lease)
	require.NoError(t, err)
	require.NoError(t, again.Claim(t.Context(), adopted))
	list, err = again.Changes(t.Context())
	require.NoError(t, err)
	require.False(t, list[0].Running, "the process that holds it doesn't run the job")
}

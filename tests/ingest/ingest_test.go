package ingest_test

import (
	"context"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/cluster"
	importfault "github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// hold takes all the leases that an import takes and gives them back with the test.
func hold(t *testing.T, c *cluster.Cluster, tbl *table) {
	t.Helper()
	all := cluster.KeyRange{
		Start: tablecodec.EncodeTablePrefix(tbl.info.ID),
		End:   tablecodec.EncodeTablePrefix(tbl.info.ID + 1),
	}
	ts, err := c.TSO(t.Context())
	require.NoError(t, err)
	for _, acquire := range []func(context.Context) (*cluster.Lease, error){
		func(ctx context.Context) (*cluster.Lease, error) { return c.AcquireImportMode(ctx, "job-1") },
		func(ctx context.Context) (*cluster.Lease, error) { return c.AcquireSafePoint(ctx, "job-1", ts) },
		func(ctx context.Context) (*cluster.Lease, error) { return c.AcquirePartitionRange(ctx, "job-1", all) },
		func(ctx context.Context) (*cluster.Lease, error) {
			return c.AcquireSchedulerPause(ctx, "job-1", []cluster.KeyRange{all})
		},
	} {
		lease, err := acquire(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, lease.Release(context.Background())) })
	}
	require.Len(t, c.Leases(), 4)
}

func TestIngest(t *testing.T) {
	t.Parallel()
	for _, stores := range []int{1, 3} {
		pg, c, db := start(t, stores)
		tbl := newTable(t, c, db, 4000)
		hold(t, c, tbl)
		empty, err := c.TableIsEmpty(t.Context(), "test", "t", nil, nil)
		require.NoError(t, err)
		require.True(t, empty)

		opts := tbl.options(t, c)
		stats, err := ingest.Run(t.Context(), c, &tbl.pairs, tbl.ranges(6), opts)
		require.NoError(t, err)
		require.EqualValues(t, tbl.pairs.Len(), stats.Pairs)
		require.GreaterOrEqual(t, stats.Regions, 6)
		require.GreaterOrEqual(t, stats.SSTs, tbl.pairs.Len()/regionKeys)
		tbl.requireRight(t, c, db)

		// Once more with the same timestamp: nothing changes.
		_, err = ingest.Run(t.Context(), c, &tbl.pairs, tbl.ranges(3), opts)
		require.NoError(t, err)
		tbl.requireRight(t, c, db)
		require.NoError(t, c.CheckTableUnchanged(t.Context(), "test", "t", tbl.info))
		require.NoError(t, c.Analyze(t.Context(), "test", "t"))
		empty, err = c.TableIsEmpty(t.Context(), "test", "t", nil, nil)
		require.NoError(t, err)
		require.False(t, empty)
		state, err := pg.State(t.Context())
		require.NoError(t, err)
		for _, s := range state.Stores {
			require.True(t, s.ImportMode, "store %d", s.ID)
		}
	}
}

// TestIngestWithFaults injects each fault some times into each call and wants
// the table right at the end. Of the calls of MultiIngest three in four only
// ask whether a store is stalled.
func TestIngestWithFaults(t *testing.T) {
	t.Parallel()
	pg, c, db := start(t, 3)
	tbl := newTable(t, c, db, 1500)
	hold(t, c, tbl)
	for rpc, count := range map[string]int{"ImportSST/Write": 12, "ImportSST/MultiIngest": 24, "Tikv/SplitRegion": 5} {
		for _, kind := range []fault.Kind{
			fault.NotLeader, fault.EpochNotMatch, fault.ServerIsBusy, fault.RegionNotFound, fault.Drop, fault.DropAfter,
		} {
			t.Run(rpc+"/"+string(kind), func(t *testing.T) {
				exec(t, db, "DROP TABLE test.t")
				tbl := newTable(t, c, db, 1500)
				require.NoError(t, pg.InjectFault(t.Context(), fault.Rule{RPC: rpc, Kind: kind, Count: count}))
				stats, err := ingest.Run(t.Context(), c, &tbl.pairs, tbl.ranges(5), tbl.options(t, c))
				require.NoError(t, err)
				require.EqualValues(t, tbl.pairs.Len(), stats.Pairs)
				hits, err := pg.FaultHits(t.Context())
				require.NoError(t, err)
				require.Positive(t, hits[0].Fired, "the fault was met")
				if rpc != "Tikv/SplitRegion" { // whose retries are not ours to count
					require.NotEmpty(t, stats.Retries)
				}
				require.NoError(t, pg.ClearFaults(t.Context()))
				tbl.requireRight(t, c, db)
				t.Logf("retries: %v", stats.Retries)
			})
		}
	}
}

func TestIngestIntoAFullDisk(t *testing.T) {
	t.Parallel()
	pg, c, db := start(t, 2)
	tbl := newTable(t, c, db, 300)
	for _, rpc := range []string{"ImportSST/Write", "ImportSST/MultiIngest"} {
		require.NoError(t, pg.InjectFault(t.Context(), fault.Rule{RPC: rpc, Kind: fault.DiskFull}))
		_, err := ingest.Run(t.Context(), c, &tbl.pairs, tbl.ranges(1), tbl.options(t, c))
		require.ErrorContains(t, err, "disk_full after 0 retries")
		require.ErrorIs(t, err, importfault.ErrStoreFull)
		require.Equal(t, importfault.Cluster, importfault.As(err).Whose)
		require.NoError(t, pg.ClearFaults(t.Context()))
	}
}

func TestIngestIsCancelled(t *testing.T) {
	t.Parallel()
	pg, c, db := start(t, 2)
	tbl := newTable(t, c, db, 600)
	hold(t, c, tbl)
	require.NoError(t, pg.InjectFault(t.Context(), fault.Rule{RPC: "ImportSST/MultiIngest", Kind: fault.Slow, Delay: 10 * time.Minute}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	_, err := ingest.Run(ctx, c, &tbl.pairs, tbl.ranges(3), tbl.options(t, c))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 5*time.Minute)
	require.NoError(t, pg.ClearFaults(t.Context()))
}

package imports_test

import (
	"fmt"
	"path"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// TestRegionErrorsOnTheWay: with three stores, small regions and every kind of
// region error on every step of the way, the import ends right, and the
// cluster is as it was before.
func TestRegionErrorsOnTheWay(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{Stores: 3, RegionSplitSize: 1 << 20, RegionSplitKeys: 20_000})
	cluster := b.cluster
	b.exec(dataset.DemoSchema("demo"))
	path, want := b.demoFile(40_000, 3)
	before := steering(t, cluster)

	var rules []fault.Rule
	for _, rpc := range []string{"ImportSST/Write", "ImportSST/MultiIngest", "Tikv/SplitRegion"} {
		for _, kind := range []fault.Kind{fault.NotLeader, fault.EpochNotMatch, fault.ServerIsBusy, fault.RegionNotFound} {
			rules = append(rules, fault.Rule{RPC: rpc, Kind: kind, Count: 2})
		}
	}
	rules = append(rules, fault.Rule{RPC: "ImportSST/MultiIngest", Kind: fault.DropAfter, Count: 1},
		fault.Rule{RPC: "ImportSST/Write", Kind: fault.Drop, Count: 1})
	for _, rule := range rules {
		require.NoError(t, cluster.InjectFault(t.Context(), rule))
	}
	b.mustImport(fmt.Sprintf("IMPORT INTO demo FROM '%s' WITH thread=4", path))
	hits, err := cluster.FaultHits(t.Context())
	require.NoError(t, err)
	for _, hit := range hits {
		require.Equalf(t, hit.Rule.Count, hit.Fired, "%+v did not fire as often as it should", hit.Rule)
	}
	require.NoError(t, cluster.ClearFaults(t.Context()))
	got, err := dataset.QuerySums(t.Context(), b.proxy, "demo")
	require.NoError(t, err)
	require.Equal(t, want, got)
	b.consistent("demo")
	require.Equal(t, before, steering(t, cluster))
}

// TestAFullStorePausesTheJob: a job that finds no room in the cluster keeps what it has brought in and gives everything
// back; it goes on when there is room.
func TestAFullStorePausesTheJob(t *testing.T) {
	t.Parallel()
	for _, rpc := range []string{rpcWrite, rpcIngest} {
		t.Run(path.Base(rpc), func(t *testing.T) {
			t.Parallel()
			b := ownBench(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
			b.exec("CREATE TABLE t " + cleanupTable)
			before := steering(t, b.cluster)
			b.inject(fault.Rule{RPC: rpc, Kind: fault.Slow, Delay: time.Nanosecond, Count: halfIngest}) // the first pairs go through
			b.inject(fault.Rule{RPC: rpc, Kind: fault.DiskFull})
			failed := b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH thread=1", b.csvFile("x.csv", 6_000)), 1021, "there is no room in the cluster: ")
			require.Contains(t, failed.Message, "the disk of a TiKV store is full")
			require.Contains(t, failed.Message, "RESUME IMPORT JOB 1 goes on with it when there is room")
			require.Equal(t, [][]string{{"paused"}}, b.query("SELECT status FROM sluice.jobs"))
			b.holdsNothing(before)
			require.NoError(t, b.cluster.ClearFaults(t.Context()))
			b.exec("RESUME IMPORT JOB 1")
			require.Equal(t, "finished", b.ended("1")["Status"])
			require.Equal(t, "6000", b.count("t"))
			b.consistent("t")
			b.holdsNothing(before)
		})
	}
}

// TestRefusedWriteFailsTheJob: what can't be retried fails with the reason and still
// gives everything back; a table that nothing was sent to isn't spoken of.
func TestRefusedWriteFailsTheJob(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	cluster := b.cluster
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b INT)")
	before := steering(t, cluster)
	require.NoError(t, cluster.InjectFault(t.Context(), fault.Rule{RPC: rpcWrite, Kind: fault.Refused}))
	failed := b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s'", b.file("x.csv", lines("1,1", "2,2"))), 1105, "refused")
	require.NotContains(t, failed.Message, "`t`")
	require.NoError(t, cluster.ClearFaults(t.Context()))
	require.Equal(t, before, steering(t, cluster))
}

// TestCancelStopsAJob: the job waits in a slow store; CANCEL from another
// session ends it and gives everything back.
func TestCancelStopsAJob(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	cluster := b.cluster
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b INT)")
	before := steering(t, cluster)
	require.NoError(t, cluster.InjectFault(t.Context(), fault.Rule{RPC: "ImportSST/Write", Kind: fault.ServerIsBusy}))
	row, err := b.importInto(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached", b.file("x.csv", lines("1,1", "2,2"))))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		hits, err := cluster.FaultHits(t.Context())
		require.NoError(t, err)
		return hits[0].Fired > 0
	}, 5*time.Minute, 20*time.Millisecond)
	b.exec("CANCEL IMPORT JOB " + row["Job_ID"])
	require.Equal(t, "cancelled", b.ended(row["Job_ID"])["Status"])
	require.NoError(t, cluster.ClearFaults(t.Context()))
	require.Equal(t, before, steering(t, cluster))
	require.Equal(t, "0", b.count("t"))
}

// holdsNothing waits until no more is changed in the cluster than before: what a job gives back goes
// on behind its end while a store is slow to answer.
func (b *bench) holdsNothing(before playground.Steering) {
	b.t.Helper()
	eventually(b.t, func() bool { return reflect.DeepEqual(before, steering(b.t, b.cluster)) })
}

// steering is what an import may have changed in how the cluster works.
func steering(t *testing.T, cluster *playground.Cluster) playground.Steering {
	t.Helper()
	s, err := cluster.Steering(t.Context())
	require.NoError(t, err)
	return s
}

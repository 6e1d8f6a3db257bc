package imports_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sluicedb/sluice/tests/playground"
)

// untouched is what an EXPLAIN IMPORT INTO must leave as it is.
type untouched struct {
	steering  playground.Steering
	regions   int // of the table
	databases [][]string
	table     [][]string
	nextIDs   [][]string
	sequence  [][]string
	sortDir   []string
}

func (b *bench) untouched() (u untouched) {
	b.t.Helper()
	u.steering = steering(b.t, b.cluster)
	_, regions, err := rows(b.t, b.direct, "SHOW TABLE t REGIONS")
	require.NoError(b.t, err)
	u.regions = len(regions)
	for query, into := range map[string]*[][]string{
		"SHOW DATABASES": &u.databases, "SELECT * FROM t": &u.table, "SHOW TABLE t NEXT_ROW_ID": &u.nextIDs,
		"SHOW TABLE seq NEXT_ROW_ID": &u.sequence,
	} {
		_, *into, err = rows(b.t, b.direct, query)
		require.NoError(b.t, err, query)
	}
	entries, err := os.ReadDir(b.sluice.SortDir())
	if !os.IsNotExist(err) {
		require.NoError(b.t, err)
	}
	for _, e := range entries {
		u.sortDir = append(u.sortDir, e.Name())
	}
	return u
}

// TestPrechecksOfTheCluster provokes what the cluster itself has against an
// import, on one cluster of its own, in turn.
func TestPrechecksOfTheCluster(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{Stores: 3})
	b.exec("CREATE SEQUENCE seq", `CREATE TABLE t (id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), s INT DEFAULT NEXTVAL(seq), UNIQUE KEY (v))`)
	stmt := fmt.Sprintf("IMPORT INTO t (v) FROM '%s'", b.file("x.csv", lines("a", "b", "c")))

	// In a cluster that has never seen Sluice, and nothing is made.
	before := b.untouched()
	got := b.explain("EXPLAIN " + stmt)
	require.Empty(t, got.critical())
	for item, row := range got {
		require.NotEqual(t, "warning", row.status, "%s: %s", item, row.detail)
	}
	got.require(t, "sample_rows", "passed", "3 rows of 1 file can be")
	again := b.explain(stmt + " WITH dry_run, detached")
	require.Len(t, again, len(got))
	for item := range got {
		require.Equal(t, got[item].status, again[item].status, item)
	}
	require.Equal(t, before, b.untouched())
	require.NotContains(t, before.databases, []string{"sluice"})

	t.Run("log backup and TiCDC", func(t *testing.T) { b.on(t).followers(stmt) })
	t.Run("empty regions", func(t *testing.T) { b.on(t).emptyRegions(stmt) })
	t.Run("stores", func(t *testing.T) { b.on(t).stores(stmt) })
}

// on is the bench for a part of its test.
func (b *bench) on(t *testing.T) *bench {
	part := *b
	part.t = t
	return &part
}

// imports runs an import that succeeds, and empties the table again.
func (b *bench) imports(stmt string) jobRow {
	b.t.Helper()
	job := b.mustImport(stmt)
	require.Equal(b.t, "3", b.count("t"))
	b.exec("TRUNCATE TABLE t")
	return job
}

func (b *bench) followers(stmt string) {
	t, ctx := b.t, b.t.Context()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{b.cluster.PD}, Context: ctx})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	const (
		backup, text = "/tidb/br-stream/info/nightly", "found PiTR log streaming task(s): [nightly],"
		feed, old    = "/tidb/cdc/default/default/changefeed/info/copy", "/tidb/cdc/changefeed/info/done"
		feedText     = "found CDC changefeed(s): cluster/namespace: default/default changefeed(s): [copy], "
	)
	put := func(key, value string) {
		_, err := client.Put(ctx, key, value)
		require.NoError(t, err)
	}
	put(backup, "task")
	b.explain("EXPLAIN "+stmt).require(t, "log_backup", "critical", "PreCheck failed: "+text)
	require.Equal(t, "PreCheck failed: "+text, b.fails(stmt, 8173).Message)
	b.fails(stmt+" WITH skip_prechecks='changefeed'", 8173, text)
	b.imports(stmt + " WITH skip_prechecks='log_backup'")
	b.imports(stmt + " WITH disable_precheck")

	put(feed, `{"state":"normal","start-ts":1}`)
	put(old, `{"state":"finished","start-ts":1}`)
	got := b.explain("EXPLAIN " + stmt)
	require.ElementsMatch(t, []string{"log_backup", "changefeed"}, got.critical())
	b.fails(stmt, 8173, text, "; also failed: changefeed: "+feedText, "skip_prechecks = 'changefeed'")
	got = b.explain(stmt + " WITH dry_run, disable_precheck")
	got.require(t, "log_backup", "skipped")
	got.require(t, "changefeed", "skipped")
	_, err = client.Delete(ctx, backup)
	require.NoError(t, err)
	require.Equal(t, "PreCheck failed: "+feedText, b.fails(stmt, 8173).Message)
	_, err = client.Delete(ctx, feed)
	require.NoError(t, err)
	b.imports(stmt)
}

func (b *bench) emptyRegions(stmt string) {
	t := b.t
	b.explain("EXPLAIN "+stmt).require(t, "empty_regions", "passed")
	keys := make([][]byte, 1100)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "z%06d", i)
	}
	_, err := b.cluster.Split(t.Context(), keys...)
	require.NoError(t, err)
	got := b.explain("EXPLAIN " + stmt)
	got.require(t, "empty_regions", "warning", "may make it fail", "store 1 has 1")
	got.require(t, "region_distribution", "passed")
	// The import begins; what is about the cluster alone is in the log.
	require.Empty(t, b.imports(stmt)["Result_Message"])
	log, err := os.ReadFile(b.sluice.LogFile())
	require.NoError(t, err)
	require.Contains(t, string(log), "more than 500 empty regions")
}

func (b *bench) stores(stmt string) {
	t := b.t
	pd := joinPD(t, b.cluster)
	pd.put(&metapb.Store{Id: 50, Address: "127.0.0.1:50", Version: "5.4.3"}, 1<<30, 1<<30)
	got := b.explain("EXPLAIN " + stmt)
	got.require(t, "cluster_version", "critical", "store 50 at 127.0.0.1:50 is version 5.4.3, imports need v6.5.0 or later")
	got.require(t, "region_distribution", "warning", "store 50 has 0 regions")
	b.fails(stmt, 1105, "store 50 at 127.0.0.1:50 is version 5.4.3")
	pd.put(&metapb.Store{Id: 50, Address: "127.0.0.1:50", Version: "5.4.3", State: metapb.StoreState_Tombstone}, 0, 0)
	b.explain("EXPLAIN "+stmt).require(t, "cluster_version", "passed")

	// A TiFlash store that is nearly full counts for a table with a replica there.
	flash := func(available uint64) {
		pd.put(&metapb.Store{Id: 51, Address: "127.0.0.1:51", Version: "8.5.1", Labels: []*metapb.StoreLabel{{Key: "engine", Value: "tiflash"}}}, 1<<30, available)
	}
	flash(1 << 20)
	b.exec("ALTER TABLE t SET TIFLASH REPLICA 1")
	flash(1 << 20)
	b.explain("EXPLAIN "+stmt).require(t, "cluster_space", "passed", "TiFlash gets about ", "has 1MiB free")
	flash(50)
	b.explain("EXPLAIN "+stmt).require(t, "cluster_space", "warning", "has 50B free")
	flash(10)
	b.explain("EXPLAIN "+stmt).require(t, "cluster_space", "critical", "has 10B free")
	// An import of so little takes no sample.
	flash(0)
	b.fails(stmt, 8173, "PreCheck failed: cluster_space: ", "TiFlash gets about", "skip_prechecks = 'cluster_space'")
	flash(0)
	require.Empty(t, b.imports(stmt + " WITH skip_prechecks='cluster_space'")["Result_Message"])
	flash(5)
	require.Contains(t, b.imports(stmt)["Result_Message"], "precheck cluster_space: TiKV gets about")
}

// pdClient speaks to PD as a store does.
type pdClient struct {
	t      *testing.T
	client pdpb.PDClient
	header *pdpb.RequestHeader
}

func joinPD(t *testing.T, cluster *playground.Cluster) *pdClient {
	t.Helper()
	conn, err := grpc.NewClient(cluster.PD, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	client := pdpb.NewPDClient(conn)
	members, err := client.GetMembers(t.Context(), &pdpb.GetMembersRequest{})
	require.NoError(t, err)
	return &pdClient{t: t, client: client, header: &pdpb.RequestHeader{ClusterId: members.GetHeader().GetClusterId()}}
}

// put makes a store join, or change, and report how full it is.
func (p *pdClient) put(store *metapb.Store, capacity, available uint64) {
	p.t.Helper()
	ctx := context.WithoutCancel(p.t.Context())
	put, err := p.client.PutStore(ctx, &pdpb.PutStoreRequest{Header: p.header, Store: store})
	require.NoError(p.t, err)
	require.Nil(p.t, put.GetHeader().GetError())
	beat, err := p.client.StoreHeartbeat(ctx, &pdpb.StoreHeartbeatRequest{Header: p.header,
		Stats: &pdpb.StoreStats{StoreId: store.Id, Capacity: capacity, Available: available}})
	require.NoError(p.t, err)
	require.Nil(p.t, beat.GetHeader().GetError())
}

package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/region"
	importfault "github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// pdGet reads a document of PD's HTTP API.
func pdGet(t *testing.T, pg *playground.Cluster, path string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+pg.PD+"/pd/api/v1"+path, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode, path)
	require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
}

type labelRule struct {
	ID   string `json:"id"`
	Data []struct {
		StartKey string `json:"start_key"`
		EndKey   string `json:"end_key"`
	} `json:"data"`
}

func ourLabelRules(t *testing.T, pg *playground.Cluster) []labelRule {
	t.Helper()
	var all, ours []labelRule
	pdGet(t, pg, "/config/region-label/rules", &all)
	for _, r := range all {
		if strings.HasPrefix(r.ID, "sluice-") {
			ours = append(ours, r)
		}
	}
	return ours
}

func ourSafePoints(t *testing.T, pg *playground.Cluster) map[string]uint64 {
	t.Helper()
	var list struct {
		Points []struct {
			ID    string `json:"service_id"`
			Point uint64 `json:"safe_point"`
		} `json:"service_gc_safe_points"`
	}
	pdGet(t, pg, "/gc/safepoint", &list)
	ours := map[string]uint64{}
	for _, p := range list.Points {
		if strings.HasPrefix(p.ID, "sluice-") {
			ours[p.ID] = p.Point
		}
	}
	return ours
}

func importModes(t *testing.T, pg *playground.Cluster) []bool {
	t.Helper()
	state, err := pg.State(t.Context())
	require.NoError(t, err)
	var modes []bool
	for _, s := range state.Stores {
		modes = append(modes, s.ImportMode)
	}
	return modes
}

func TestLeasesInTheCluster(t *testing.T) {
	t.Parallel()
	pg, c, _ := start(t, 2)
	ctx := t.Context()
	ts, err := c.TSO(ctx)
	require.NoError(t, err)

	safe, err := c.AcquireSafePoint(ctx, "job-7", ts)
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"sluice-job-7": ts - 1}, ourSafePoints(t, pg))
	_, err = c.AcquireSafePoint(ctx, "job-7", ts)
	require.ErrorContains(t, err, "already holds")
	later, err := c.TSO(ctx)
	require.NoError(t, err)
	other, err := c.AcquireSafePoint(ctx, "job-8", later)
	require.NoError(t, err)
	require.NoError(t, safe.Release(ctx))
	require.NoError(t, safe.Release(ctx), "twice is once")
	require.Equal(t, map[string]uint64{"sluice-job-8": later - 1}, ourSafePoints(t, pg))
	require.NoError(t, other.Release(ctx))

	pause, err := c.AcquireSchedulerPause(ctx, "job-7", []cluster.KeyRange{{Start: []byte("a"), End: []byte("b")}})
	require.NoError(t, err)
	rules := ourLabelRules(t, pg)
	require.Len(t, rules, 1)
	require.Equal(t, "sluice-job-7", rules[0].ID)
	require.Equal(t, fmt.Sprintf("%x", region.Enc([]byte("a"))), strings.ToLower(rules[0].Data[0].StartKey))
	require.Equal(t, fmt.Sprintf("%x", region.Enc([]byte("b"))), strings.ToLower(rules[0].Data[0].EndKey))

	one, err := c.AcquireImportMode(ctx, "job-7")
	require.NoError(t, err)
	two, err := c.AcquireImportMode(ctx, "job-8")
	require.NoError(t, err)
	require.Equal(t, []bool{true, true}, importModes(t, pg))
	held := c.Leases()
	require.Len(t, held, 3)
	for _, l := range held {
		require.True(t, l.Expires.After(time.Now()), "%v", l)
	}
	// A job that has been cancelled gives its leases back all the same.
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	require.NoError(t, one.Release(cancelled))
	require.Equal(t, []bool{true, true}, importModes(t, pg), "another job still needs it")
	require.NoError(t, two.Release(cancelled))
	require.Equal(t, []bool{false, false}, importModes(t, pg))
	require.NoError(t, pause.Release(cancelled))
	require.Empty(t, ourLabelRules(t, pg))
	require.Empty(t, c.Leases())
}

func TestCloseGivesLeasesBack(t *testing.T) {
	t.Parallel()
	pg, _, _ := start(t, 1)
	c, err := cluster.Open(t.Context(), cluster.Config{
		TiDB: []string{"127.0.0.1:1", pg.TiDB}, User: "root", PD: []string{pg.PD}, StatusAddr: pg.TiDBStatus, Logger: zaptest.NewLogger(t),
	})
	require.NoError(t, err)
	_, err = c.AcquireImportMode(t.Context(), "job-1")
	require.NoError(t, err)
	_, err = c.AcquireSchedulerPause(t.Context(), "job-1", []cluster.KeyRange{{Start: []byte("a")}})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	requireClean(t, pg)
}

func TestSafePointThatIsTooOld(t *testing.T) {
	t.Parallel()
	pg, c, _ := start(t, 1)
	ts, err := c.TSO(t.Context())
	require.NoError(t, err)
	newer, err := c.AcquireSafePoint(t.Context(), "newer", ts)
	require.NoError(t, err)
	defer func() { require.NoError(t, newer.Release(t.Context())) }()
	var list struct {
		Min uint64 `json:"min_service_gc_safe_point"`
	}
	pdGet(t, pg, "/gc/safepoint", &list)
	if list.Min == 0 {
		t.Skip("nothing is open to garbage collection in this cluster yet")
	}
	_, err = c.AcquireSafePoint(t.Context(), "older", list.Min)
	require.ErrorContains(t, err, "open to garbage collection")
	require.Equal(t, importfault.Cluster, importfault.As(err).Whose)
	require.NotContains(t, ourSafePoints(t, pg), "sluice-older")
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	pg, _, db := start(t, 1)
	exec(t, db, "CREATE USER u IDENTIFIED BY 'right'")
	for _, c := range []struct {
		name string
		cfg  cluster.Config
		code uint16
		text string
	}{
		{"no address", cluster.Config{User: "root"}, 0, "no address"},
		{"nobody there", cluster.Config{TiDB: []string{"127.0.0.1:1"}, User: "root"}, 0, "127.0.0.1:1"},
		{"wrong password", cluster.Config{TiDB: []string{pg.TiDB}, User: "u", Password: "hunter2-secret"}, 1045, "Access denied"},
	} {
		c.cfg.Logger = zaptest.NewLogger(t)
		_, err := cluster.Open(t.Context(), c.cfg)
		require.ErrorContains(t, err, c.text, c.name)
		require.Equal(t, c.code, importfault.As(err).Code, c.name)
		require.NotContains(t, err.Error(), "hunter2", c.name)
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	_, c, db := start(t, 1)
	ctx := t.Context()
	exec(t, db, "CREATE DATABASE `we``ird/.. name`", "CREATE TABLE `we``ird/.. name`.`t/%2f``` (a INT, b INT, KEY k (b))")
	name := []string{"we`ird/.. name", "t/%2f`"}
	info, _, err := c.LoadTable(ctx, name[0], name[1])
	require.NoError(t, err)
	require.Equal(t, name[1], info.Name.O)
	require.Len(t, info.Columns, 2)

	_, _, err = c.LoadTable(ctx, name[0], "nope")
	require.Equal(t, importfault.User, importfault.As(err).Whose)
	require.EqualValues(t, 1146, importfault.As(err).Code)

	require.NoError(t, c.CheckTableUnchanged(ctx, name[0], name[1], info))
	full := "`we``ird/.. name`.`t/%2f```"
	exec(t, db, "ALTER TABLE "+full+" COMMENT 'harmless'")
	require.NoError(t, c.CheckTableUnchanged(ctx, name[0], name[1], info))
	for _, ddl := range []string{"ADD COLUMN c INT", "DROP COLUMN c", "ADD INDEX k2 (a)", "MODIFY COLUMN a BIGINT"} {
		exec(t, db, "ALTER TABLE "+full+" "+ddl)
		require.ErrorContains(t, c.CheckTableUnchanged(ctx, name[0], name[1], info), "was changed", ddl)
		info, _, err = c.LoadTable(ctx, name[0], name[1])
		require.NoError(t, err)
	}
	exec(t, db, "TRUNCATE TABLE "+full)
	require.ErrorContains(t, c.CheckTableUnchanged(ctx, name[0], name[1], info), "ids differ")
}

func TestRebaseAutoIDs(t *testing.T) {
	t.Parallel()
	_, c, db := start(t, 1)
	for _, tc := range []struct {
		name, create, insert, read string
		ids                        cluster.AutoIDs
		want                       int64 // at least
	}{
		{"auto increment", "id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT", "(v) VALUES (1)", "id",
			cluster.AutoIDs{AutoIncrement: 1_000_000}, 1_000_001},
		{"auto increment of its own", "id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_ID_CACHE 1 COMMENT('c'", "(v) VALUES (1)", "id",
			cluster.AutoIDs{AutoIncrement: 1_000_000}, 1_000_001},
		{"row id", "v INT", "(v) VALUES (1)", "_tidb_rowid", cluster.AutoIDs{RowID: 5_000_000}, 5_000_001},
		{"row id beside another key", "k VARCHAR(10), v INT NOT NULL UNIQUE, PRIMARY KEY (k) NONCLUSTERED", "(k, v) VALUES ('a', 1)", "_tidb_rowid",
			cluster.AutoIDs{RowID: 70_000}, 70_001},
		{"row id with an allocator of its own", "id INT NOT NULL UNIQUE AUTO_INCREMENT, v INT NOT NULL) AUTO_ID_CACHE 1 COMMENT('c'", "(v) VALUES (1)", "_tidb_rowid",
			cluster.AutoIDs{RowID: 900_000, AutoIncrement: 20}, 900_001},
		{"auto increment beside it", "id INT NOT NULL UNIQUE AUTO_INCREMENT, v INT NOT NULL) AUTO_ID_CACHE 1 COMMENT('c'", "(v) VALUES (1)", "id",
			cluster.AutoIDs{RowID: 900_000, AutoIncrement: 20}, 21},
		{"auto random", "id BIGINT PRIMARY KEY AUTO_RANDOM(5), v INT", "(v) VALUES (1)", "id & ((1 << 58) - 1)",
			cluster.AutoIDs{AutoRandom: 123_456}, 123_457},
		{"nothing used", "id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT", "(v) VALUES (1)", "id", cluster.AutoIDs{}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			create := strings.Replace(tc.create, "COMMENT('c'", "COMMENT 'c'", 1)
			if create == tc.create {
				create += ")"
			}
			exec(t, db, "DROP TABLE IF EXISTS test.a", "CREATE TABLE test.a ("+create)
			require.NoError(t, c.RebaseAutoIDs(t.Context(), "test", "a", tc.ids))
			require.NoError(t, c.RebaseAutoIDs(t.Context(), "test", "a", tc.ids), "twice is once")
			var count int
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM test.a").Scan(&count))
			require.Zero(t, count, "no row is left behind")
			exec(t, db, "INSERT INTO test.a "+tc.insert)
			var got int64
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT "+tc.read+" FROM test.a").Scan(&got))
			require.GreaterOrEqual(t, got, tc.want)
			require.Less(t, got, tc.want+100_000)
		})
	}
}

func TestSplitRegions(t *testing.T) {
	t.Parallel()
	_, c, db := start(t, 3)
	exec(t, db, createTable)
	info, _, err := c.LoadTable(t.Context(), "test", "t")
	require.NoError(t, err)
	var keys [][]byte
	for i := range 300 {
		keys = append(keys, tablecodec.EncodeRowKey(info.ID, []byte(fmt.Sprintf("%05d", (i*77)%300))))
	}
	keys = append(keys, keys[3], nil, tablecodec.EncodeTablePrefix(info.ID))
	require.NoError(t, c.SplitRegions(t.Context(), keys))
	require.NoError(t, c.SplitRegions(t.Context(), keys), "twice is once")
	start, end := tablecodec.EncodeTablePrefix(info.ID), tablecodec.EncodeTablePrefix(info.ID+1)
	require.NoError(t, c.ScatterRegions(t.Context(), start, end))
	regions, err := c.ScanRegions(t.Context(), region.Enc(start), region.Enc(end))
	require.NoError(t, err)
	starts := map[string]bool{}
	for i, r := range regions {
		starts[string(r.Meta.StartKey)] = true
		if i > 0 {
			require.True(t, bytes.Equal(regions[i-1].Meta.EndKey, r.Meta.StartKey))
		}
		got, ok, err := c.RegionByID(t.Context(), r.ID())
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, r.Meta.StartKey, got.Meta.StartKey)
	}
	for _, k := range keys {
		require.True(t, len(k) == 0 || starts[string(region.Enc(k))], "%x is a border", k)
	}
	_, ok, err := c.RegionByID(t.Context(), 1<<40)
	require.NoError(t, err)
	require.False(t, ok)
	all, err := c.ScanRegions(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Greater(t, len(all), len(regions))
}

func TestPDComesBack(t *testing.T) {
	t.Parallel()
	pg, c, db := start(t, 1)
	tbl := newTable(t, c, db, 10)
	opts := tbl.options(t, c)
	require.NoError(t, pg.PDLeaderAway(t.Context(), true))
	back := make(chan error, 1)
	go func() {
		timer := time.NewTimer(500 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		back <- pg.PDLeaderAway(t.Context(), false)
	}()
	_, err := c.ScanRegions(t.Context(), nil, nil)
	require.NoError(t, <-back)
	require.NoError(t, err)
	require.NotZero(t, opts.CommitTS)
}

func TestQueryIsCancelled(t *testing.T) {
	t.Parallel()
	_, c, db := start(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := c.Query(ctx, "SELECT SLEEP(600)")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 5*time.Minute)
	require.Eventually(t, func() bool {
		var n int
		err := db.QueryRowContext(t.Context(),
			"SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'").Scan(&n)
		return err == nil && n == 0
	}, 5*time.Minute, 50*time.Millisecond, "the statement has been killed in the cluster")
	res, err := c.Query(t.Context(), "SELECT ?", "still works")
	require.NoError(t, err)
	text, err := res.GetString(0, 0)
	require.NoError(t, err)
	require.Equal(t, "still works", text)
}

func TestChecksumSurvivesAFault(t *testing.T) {
	t.Parallel()
	pg, c, db := start(t, 1)
	exec(t, db, createTable, "INSERT INTO test.t VALUES (1, 1, 'one')")
	want, err := c.ChecksumTable(t.Context(), "job-7", "test", "t", 0)
	require.NoError(t, err)
	require.EqualValues(t, 2, want.Pairs)
	require.NoError(t, pg.InjectFault(t.Context(), fault.Rule{RPC: "Tikv/Coprocessor", Kind: fault.ServerIsBusy, Count: 2}))
	got, err := c.ChecksumTable(t.Context(), "job-7", "test", "t", 0)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, pg.ClearFaults(t.Context()))
	_, err = c.ChecksumTable(t.Context(), "job-7", "test", "none", 0)
	require.EqualValues(t, 1146, importfault.As(err).Code)
}

// TestPartitionRangesAreUndoneEverywhere: a store that fails once when a range is given back is asked again, and one that goes on
// failing is an error, so that the range counts as left behind.
func TestPartitionRangesAreUndoneEverywhere(t *testing.T) {
	t.Parallel()
	pg, c, _ := start(t, 2)
	ranges := func() (held []int) {
		s, err := pg.Steering(t.Context())
		require.NoError(t, err)
		for _, of := range s.Partitions {
			held = append(held, len(of.([]any)))
		}
		return held
	}
	const rpc = "ImportSST/RemoveForcePartitionRange"
	for _, failures := range []int{1, 0} {
		lease, err := c.AcquirePartitionRange(t.Context(), "job-1", cluster.KeyRange{Start: []byte("a"), End: []byte("b")})
		require.NoError(t, err)
		require.Equal(t, []int{1, 1}, ranges())
		require.NoError(t, pg.InjectFault(t.Context(), fault.Rule{Store: 1, RPC: rpc, Kind: fault.Drop, Count: failures}))
		err = lease.Release(t.Context())
		require.NoError(t, pg.ClearFaults(t.Context()))
		if failures > 0 {
			require.NoError(t, err)
			require.Equal(t, []int{0, 0}, ranges())
			continue
		}
		require.ErrorContains(t, err, "store 1")
		require.Equal(t, []int{1, 0}, ranges())
		require.NoError(t, lease.Release(t.Context()))
		require.Equal(t, []int{0, 0}, ranges())
	}
}

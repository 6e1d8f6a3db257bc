package playground_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// exists tells whether a process runs.
func exists(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestSideBySideAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	started := time.Now()
	one, err := playground.Start(t.Context(), playground.Options{})
	require.NoError(t, err)
	t.Logf("one cluster beside another started in %s", time.Since(started).Round(time.Millisecond))
	two := playground.ForTest(t, playground.Options{})
	db := two.DB(t)
	exec(t, one.DB(t), `CREATE TABLE test.only_in_one (id INT PRIMARY KEY)`)
	require.Empty(t, rows(t, db, `SHOW TABLES`))
	require.True(t, exists(one.PID))
	require.DirExists(t, one.Dir)

	require.NoError(t, one.Close())
	require.False(t, exists(one.PID))
	require.NoDirExists(t, one.Dir)
	require.NoError(t, one.Close(), "closing twice")
	exec(t, db, `CREATE TABLE t (id INT PRIMARY KEY)`)
}

func TestRestartContinuesAKeptDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, err := playground.Start(t.Context(), playground.Options{Dir: dir, Stores: 2})
	require.NoError(t, err)
	db, err := one.Open()
	require.NoError(t, err)
	exec(t, db, `CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(20), UNIQUE KEY kb (b))`)
	insertRows(t, db, 500)
	exec(t, db, `SPLIT TABLE t BY (100), (200)`)
	before := adminChecksum(t, db)
	require.NoError(t, db.Close())
	require.NoError(t, one.Close())
	require.DirExists(t, dir)

	two := playground.ForTest(t, playground.Options{Dir: dir, Stores: 2})
	db = two.DB(t)
	require.Equal(t, before, adminChecksum(t, db))
	exec(t, db, `ADMIN CHECK TABLE t`, `INSERT INTO t (a, b) VALUES (1, 'new')`, `CREATE TABLE u (id INT PRIMARY KEY)`)
	require.Equal(t, "501", rows(t, db, `SELECT COUNT(*) FROM t`)[0][0])
	require.Len(t, one.Stores, 2)
	for i, store := range two.Stores {
		require.Equal(t, one.Stores[i].ID, store.ID)
	}
}

func TestStartFailsWithTheReason(t *testing.T) {
	t.Parallel()
	_, err := playground.Start(t.Context(), playground.Options{Stores: 9})
	require.ErrorContains(t, err, "9 stores")
}

func TestFaultsFireAndTiDBCopes(t *testing.T) {
	t.Parallel()
	c := playground.ForTest(t, playground.Options{Stores: 3})
	_, db := c.Database(t)
	exec(t, db, `CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(20), UNIQUE KEY kb (b))`)
	insertRows(t, db, 200)
	for _, kind := range []fault.Kind{fault.NotLeader, fault.EpochNotMatch, fault.ServerIsBusy, fault.RegionNotFound} {
		for _, rpc := range []string{"Tikv/KvPrewrite", "Tikv/Coprocessor"} {
			require.NoError(t, c.InjectFault(t.Context(), fault.Rule{Kind: kind, RPC: rpc, Count: 1}))
		}
		insertOne(t, db, string(kind))
		require.Equal(t, "1", rows(t, db, `SELECT COUNT(*) FROM t IGNORE INDEX (kb) WHERE b = '`+string(kind)+`'`)[0][0])
		hits, err := c.FaultHits(t.Context())
		require.NoError(t, err)
		require.Len(t, hits, 2)
		for _, hit := range hits {
			require.Equal(t, 1, hit.Fired, "%+v", hit.Rule)
		}
		require.NoError(t, c.ClearFaults(t.Context()))
	}
	require.Error(t, c.InjectFault(t.Context(), fault.Rule{Kind: "Nonsense"}))
	exec(t, db, `ADMIN CHECK TABLE t`)
	require.Equal(t, "204", rows(t, db, `SELECT COUNT(*) FROM t`)[0][0])
}

func insertOne(t *testing.T, db execer, b string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), `INSERT INTO t (a, b) VALUES (0, ?)`, b)
	require.NoError(t, err)
}

func TestSplitTransferAndState(t *testing.T) {
	t.Parallel()
	c := playground.ForTest(t, playground.Options{Stores: 3})
	before, err := c.State(t.Context())
	require.NoError(t, err)
	ids, err := c.Split(t.Context(), []byte("x-one"), []byte("x-two"))
	require.NoError(t, err)
	require.Len(t, ids, 2)
	after, err := c.State(t.Context())
	require.NoError(t, err)
	require.Equal(t, before.Regions+2, after.Regions)
	require.Empty(t, after.Violations)
	require.Len(t, after.Stores, 3)
	for _, store := range c.Stores {
		require.NoError(t, c.TransferLeader(t.Context(), ids[0], store.ID))
		require.Equal(t, store.ID, pdLeader(t, c, ids[0]))
	}
	require.Error(t, c.TransferLeader(t.Context(), ids[0], 1<<40))
}

// pdLeader asks PD which store leads a region.
func pdLeader(t *testing.T, c *playground.Cluster, region uint64) uint64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.PD+"/pd/api/v1/regions", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var body struct {
		Regions []struct {
			ID     uint64 `json:"id"`
			Leader struct {
				StoreID uint64 `json:"store_id"`
			} `json:"leader"`
		} `json:"regions"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
	for _, r := range body.Regions {
		if r.ID == region {
			return r.Leader.StoreID
		}
	}
	require.FailNow(t, "PD does not know the region")
	return 0
}

func TestStatementsSurvivePDLeaderAway(t *testing.T) {
	t.Parallel()
	c := playground.ForTest(t, playground.Options{})
	_, db := c.Database(t)
	exec(t, db, `CREATE TABLE t (id INT PRIMARY KEY)`)
	require.NoError(t, c.PDLeaderAway(t.Context(), true))
	done := make(chan error, 1)
	go func() {
		// A write needs two timestamps of PD.
		_, err := db.ExecContext(t.Context(), `INSERT INTO t VALUES (1)`)
		done <- err
	}()
	select {
	case err := <-done:
		require.Fail(t, "a write went through without PD", "%v", err)
	case <-time.After(300 * time.Millisecond):
	}
	require.NoError(t, c.PDLeaderAway(t.Context(), false))
	require.NoError(t, <-done)
	require.Equal(t, "1", rows(t, db, `SELECT COUNT(*) FROM t`)[0][0])
}

func TestLogTail(t *testing.T) {
	t.Parallel()
	c := playground.Shared(t)
	require.FileExists(t, filepath.Join(c.Dir, "playground.log"))
	require.Contains(t, c.LogTail(1000), "log of the playground")
}

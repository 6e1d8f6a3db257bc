package playground_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

func TestVersionAndTopology(t *testing.T) {
	t.Parallel()
	c := playground.Shared(t)
	db := c.DB(t)
	require.Equal(t, "8.0.11-TiDB-v8.5.4", rows(t, db, "SELECT VERSION()")[0][0])
	require.Contains(t, rows(t, db, "SELECT TIDB_VERSION()")[0][0], "Release Version: v8.5.4")
	info := rows(t, db, "SELECT type, instance, status_address, version FROM information_schema.cluster_info")
	kinds := map[string]int{}
	for _, row := range info {
		kinds[row[0]]++
		require.Equal(t, "8.5.4", strings.TrimPrefix(strings.TrimPrefix(row[3], "8.0.11-TiDB-"), "v"), "%v", row)
		if row[0] == "tidb" {
			require.Equal(t, []string{c.TiDB, c.TiDBStatus}, row[1:3])
		}
	}
	require.Equal(t, map[string]int{"tidb": 1, "tikv": 3, "pd": 1}, kinds)
}

func TestTransactionsAndIndexes(t *testing.T) {
	t.Parallel()
	_, db := playground.Shared(t).Database(t)
	exec(t, db, `CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(20), KEY ka (a), UNIQUE KEY kb (b))`,
		`INSERT INTO t VALUES (1, 10, 'x'), (2, 20, 'y'), (3, 10, 'z')`)

	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	exec(t, tx, `UPDATE t SET a = 99 WHERE id = 1`, `DELETE FROM t WHERE id = 2`)
	require.Equal(t, [][]string{{"1"}, {"3"}}, rows(t, db, `SELECT id FROM t USE INDEX (ka) WHERE a = 10 ORDER BY id`),
		"an open transaction shows")
	require.NoError(t, tx.Rollback())
	require.Equal(t, "3", rows(t, db, `SELECT COUNT(*) FROM t`)[0][0])

	tx, err = db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	exec(t, tx, `UPDATE t SET a = 99 WHERE id = 1`, `DELETE FROM t WHERE id = 2`)
	require.NoError(t, tx.Commit())
	require.Equal(t, [][]string{{"3"}}, rows(t, db, `SELECT id FROM t USE INDEX (ka) WHERE a = 10`))
	require.Equal(t, [][]string{{"1"}}, rows(t, db, `SELECT id FROM t USE INDEX (kb) WHERE b = 'x'`))

	_, err = db.ExecContext(t.Context(), `INSERT INTO t VALUES (4, 1, 'z')`)
	require.ErrorContains(t, err, "1062")
	exec(t, db, `ADMIN CHECK TABLE t`)
}

// TestLocksWhoseAnswerIsLost: TiDB asks for them again, and gets them.
func TestLocksWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	c := playground.ForTest(t, playground.Options{Stores: 1})
	_, db := c.Database(t)
	exec(t, db, `CREATE TABLE t (id BIGINT PRIMARY KEY, a INT)`, `INSERT INTO t VALUES (1, 10), (2, 20)`)
	require.NoError(t, c.InjectFault(t.Context(), fault.Rule{RPC: "Tikv/KvPessimisticLock", Kind: fault.DropAfter, Count: 2}))
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	exec(t, tx, `UPDATE t SET a = a + 1 WHERE id = 1`, `UPDATE t SET a = a + 1 WHERE a = 20`)
	require.NoError(t, tx.Commit())
	hits, err := c.FaultHits(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, hits[0].Fired)
	require.Equal(t, [][]string{{"11"}, {"21"}}, rows(t, db, `SELECT a FROM t ORDER BY id`))
	_, err = c.Steering(t.Context())
	require.NoError(t, err, "no store has panicked")
}

func TestTruncateAndDrop(t *testing.T) {
	t.Parallel()
	_, db := playground.Shared(t).Database(t)
	exec(t, db, `CREATE TABLE t (id INT PRIMARY KEY)`, `INSERT INTO t VALUES (1), (2)`, `TRUNCATE TABLE t`)
	require.Empty(t, rows(t, db, `SELECT * FROM t`))
	exec(t, db, `INSERT INTO t VALUES (3)`, `ADMIN CHECK TABLE t`, `DROP TABLE t`)
	require.Empty(t, rows(t, db, `SHOW TABLES`))
}

// TiDB backfills an index with its own copy of Lightning's local backend:
// Write and Ingest by a client that nobody here wrote.
func TestAddIndexByIngest(t *testing.T) {
	t.Parallel()
	schema, db := playground.Shared(t).Database(t)
	require.Equal(t, "1", rows(t, db, `SELECT @@GLOBAL.tidb_ddl_enable_fast_reorg`)[0][0])
	exec(t, db, `CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(20))`)
	insertRows(t, db, 2000)
	exec(t, db, `ALTER TABLE t ADD INDEX ka (a), ADD UNIQUE INDEX kb (b)`)
	byIngest := slices.ContainsFunc(rows(t, db, `ADMIN SHOW DDL JOBS 50`), func(job []string) bool {
		return slices.Contains(job, schema) && strings.Contains(strings.Join(job, " "), "ingest")
	})
	require.True(t, byIngest, "the indexes were not built by ingest")
	require.Equal(t, "20", rows(t, db, `SELECT COUNT(*) FROM t USE INDEX (ka) WHERE a = 7`)[0][0])
	require.Equal(t, "1", rows(t, db, `SELECT COUNT(*) FROM t USE INDEX (kb) WHERE b = 'b1234'`)[0][0])
	exec(t, db, `ADMIN CHECK TABLE t`)
}

// insertRows puts n rows (a = i mod 100, b = 'b<i>') into t.
func insertRows(t *testing.T, db execer, n int) {
	t.Helper()
	var values strings.Builder
	for i := range n {
		fmt.Fprintf(&values, ",(%d,'b%d')", i%100, i)
	}
	exec(t, db, `INSERT INTO t (a, b) VALUES `+values.String()[1:])
}

func TestRegionsOfATable(t *testing.T) {
	t.Parallel()
	c := playground.Shared(t)
	_, db := c.Database(t)
	exec(t, db, `CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(20))`)
	insertRows(t, db, 100)
	exec(t, db, `SPLIT TABLE t BY (25), (50), (75)`)
	require.GreaterOrEqual(t, len(rows(t, db, `SHOW TABLE t REGIONS`)), 4)
	require.Equal(t, "100", rows(t, db, `SELECT COUNT(*) FROM t`)[0][0])
	exec(t, db, `ANALYZE TABLE t`, `ADMIN CHECK TABLE t`)
	state, err := c.State(t.Context())
	require.NoError(t, err)
	require.Empty(t, state.Violations)
}

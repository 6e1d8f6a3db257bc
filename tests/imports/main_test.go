// Package imports_test runs IMPORT INTO the whole way: a MySQL client, the
// sluice binary (built with the race detector), the embedded cluster.
package imports_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(instance.Main{M: m}, playground.Options{Stores: 3}))
}

// shared returns the Sluice that most tests use.
func shared(t *testing.T) (*playground.Cluster, *instance.Instance) {
	t.Helper()
	cluster := playground.Shared(t)
	return cluster, instance.Shared(t, sluiceOptions(cluster))
}

func sluiceOptions(cluster *playground.Cluster) instance.Options {
	return instance.Options{TiDB: cluster.TiDB, Race: true, Import: "memory-budget = \"192MiB\"\nthreads = 4"}
}

// bench is one test's database, seen through the proxy and straight.
type bench struct {
	t       *testing.T
	cluster *playground.Cluster
	sluice  *instance.Instance
	name    string  // of the database
	proxy   *sql.DB // root through the proxy, in the database
	direct  *sql.DB // root at TiDB, in the database
	dir     string  // for files
}

// newBench makes a database of its own for a test.
func newBench(t *testing.T) *bench {
	t.Helper()
	cluster, in := shared(t)
	return benchOn(t, cluster, in)
}

func benchOn(t *testing.T, cluster *playground.Cluster, in *instance.Instance) *bench {
	t.Helper()
	name, direct := cluster.Database(t)
	proxy, err := in.Open("root", "", name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	return &bench{t: t, cluster: cluster, sluice: in, name: name, proxy: proxy, direct: direct, dir: t.TempDir()}
}

// ownBench makes a cluster and a Sluice for one test, because faults and DDL
// would disturb others.
func ownBench(t *testing.T, opts playground.Options) *bench {
	t.Helper()
	cluster := playground.ForTest(t, opts)
	return benchOn(t, cluster, instance.ForTest(t, sluiceOptions(cluster)))
}

// demoFile writes a source file for the demo table and returns what a SELECT
// over the imported rows has to give.
func (b *bench) demoFile(rows int, seed uint64) (path string, want dataset.Sums) {
	b.t.Helper()
	path = filepath.Join(b.dir, "demo.csv")
	f, err := os.Create(path)
	require.NoError(b.t, err)
	want, err = dataset.WriteDemoCSV(f, rows, seed)
	require.NoError(b.t, err)
	require.NoError(b.t, f.Close())
	return path, want
}

// exec runs statements through the proxy.
func (b *bench) exec(statements ...string) {
	b.t.Helper()
	for _, stmt := range statements {
		_, err := b.proxy.ExecContext(b.t.Context(), stmt)
		require.NoError(b.t, err, stmt)
	}
}

// file writes a source file and returns its path.
func (b *bench) file(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	require.NoError(b.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// rows returns a result as text, NULL as "NULL".
func rows(t *testing.T, q sqlrows.Queryer, query string, args ...any) (columns []string, values [][]string, err error) {
	t.Helper()
	r, err := sqlrows.Query(t.Context(), q, query, args...)
	if err != nil {
		return nil, nil, err
	}
	return r.Columns, r.Rows, nil
}

// query is rows through the proxy, without an error.
func (b *bench) query(query string, args ...any) [][]string {
	b.t.Helper()
	_, values, err := rows(b.t, b.proxy, query, args...)
	require.NoError(b.t, err, query)
	return values
}

// jobRow is a row of SHOW IMPORT JOB by column name.
type jobRow map[string]string

// importInto runs an IMPORT INTO and returns the job's row.
func (b *bench) importInto(stmt string) (jobRow, error) {
	b.t.Helper()
	columns, values, err := rows(b.t, b.proxy, stmt)
	if err != nil {
		return nil, err
	}
	require.Len(b.t, values, 1)
	row := jobRow{}
	for i, c := range columns {
		row[c] = values[0][i]
	}
	return row, nil
}

// mustImport is importInto for statements that succeed.
func (b *bench) mustImport(stmt string) jobRow {
	b.t.Helper()
	row, err := b.importInto(stmt)
	require.NoError(b.t, err, stmt)
	require.Equal(b.t, "finished", row["Status"])
	return row
}

// consistent checks a table with TiDB's own means, and TiDB's checksum against
// the one that Sluice's last job on the table recorded.
func (b *bench) consistent(table string) {
	b.t.Helper()
	_, err := b.direct.ExecContext(b.t.Context(), "ADMIN CHECK TABLE "+table)
	require.NoError(b.t, err)
	_, values, err := rows(b.t, b.direct, "ADMIN CHECKSUM TABLE "+table)
	require.NoError(b.t, err)
	_, own, err := rows(b.t, b.direct, `SELECT checksum, total_kvs, total_bytes FROM sluice.jobs
		WHERE table_schema = ? AND table_name = ? AND status = 'finished' ORDER BY id DESC LIMIT 1`, b.name, table)
	require.NoError(b.t, err)
	require.Len(b.t, own, 1)
	require.Equal(b.t, values[0][2:], own[0])
}

// fails runs a statement that has to fail with a code and with all of the words in its message.
func (b *bench) fails(stmt string, code uint16, words ...string) *mysql.MySQLError {
	b.t.Helper()
	_, _, err := rows(b.t, b.proxy, stmt)
	return requireMySQLError(b.t, stmt, err, code, words...)
}

func requireMySQLError(t *testing.T, stmt string, err error, code uint16, words ...string) *mysql.MySQLError {
	t.Helper()
	var myErr *mysql.MySQLError
	require.Truef(t, errors.As(err, &myErr), "%s: %v", stmt, err)
	require.Equalf(t, code, myErr.Number, "%s: %v", stmt, err)
	for _, w := range words {
		require.Containsf(t, myErr.Message, w, "%s", stmt)
	}
	return myErr
}

// count returns the number of rows of a table.
func (b *bench) count(table string) string {
	b.t.Helper()
	_, values, err := rows(b.t, b.direct, "SELECT COUNT(*) FROM "+table)
	require.NoError(b.t, err)
	return values[0][0]
}

// lines joins CSV lines.
func lines(rows ...string) string { return strings.Join(rows, "\n") + "\n" }

// mysqlCode is the number of a server's error, 0 for others.
func mysqlCode(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

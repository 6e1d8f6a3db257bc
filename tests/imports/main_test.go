// Package imports_test runs IMPORT INTO the whole way: a MySQL client, the
// sluice binary (built with the race detector), the embedded cluster.
package imports_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

func TestMain(m *testing.M) {
	code := playground.Main(&closing{m}, playground.Options{Stores: 3})
	os.Exit(code)
}

// closing runs the tests and then closes the Sluice that they shared, before
// the cluster behind it goes.
type closing struct{ m *testing.M }

func (c *closing) Run() int {
	code := c.m.Run()
	sluice.Lock()
	defer sluice.Unlock()
	if sluice.instance != nil {
		if err := sluice.instance.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return max(code, 1)
		}
	}
	return code
}

// sluice is the process in front of the shared cluster.
var sluice struct {
	sync.Mutex
	instance *instance.Instance
}

// shared returns the Sluice that most tests use.
func shared(t *testing.T) (*playground.Cluster, *instance.Instance) {
	t.Helper()
	cluster := playground.Shared(t)
	sluice.Lock()
	defer sluice.Unlock()
	if sluice.instance == nil {
		sluice.instance = startSluice(t, cluster)
	}
	in := sluice.instance
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(in.LogTail(40))
		}
	})
	return cluster, in
}

func startSluice(t *testing.T, cluster *playground.Cluster) *instance.Instance {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // a cold build with -race
	defer cancel()
	in, err := instance.Start(ctx, instance.Options{
		TiDB: cluster.TiDB, Race: true, Import: "memory-budget = \"192MiB\"\nthreads = 4",
	})
	require.NoError(t, err)
	return in
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
	in := startSluice(t, cluster)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(in.LogTail(40))
		}
		require.NoError(t, in.Close())
	})
	return benchOn(t, cluster, in)
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

// queryer is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type queryer interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// rows returns a result as text, NULL for nil.
func rows(t *testing.T, q queryer, query string, args ...any) (columns []string, values [][]string, err error) {
	t.Helper()
	res, err := q.QueryContext(t.Context(), query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer func() { require.NoError(t, res.Close()) }()
	columns, err = res.Columns()
	require.NoError(t, err)
	for res.Next() {
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		require.NoError(t, res.Scan(into...))
		row := make([]string, len(columns))
		for i, c := range cells {
			row[i] = c.String
			if !c.Valid {
				row[i] = "NULL"
			}
		}
		values = append(values, row)
	}
	return columns, values, res.Err()
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

package oracle_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/txnkv"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

// lane is what one shape at a time is judged on: a database with a session
// straight to TiDB, for the INSERTs, and one through Sluice, for the imports.
type lane struct {
	db      string
	cluster *playground.Cluster
	store   *txnkv.Client
	tidb    *sql.Conn
	proxy   *sql.Conn
	tables  int // made so far
}

// twins is the Sluice process and the lanes of the test process.
var twins struct {
	sync.Mutex
	sluice *instance.Instance
	lanes  chan *lane
	err    error
}

// closeTwins ends Sluice before the cluster behind it goes.
func closeTwins() error {
	twins.Lock()
	defer twins.Unlock()
	var errs []error
	if twins.lanes != nil {
		close(twins.lanes)
		for l := range twins.lanes {
			errs = append(errs, l.tidb.Close(), l.proxy.Close(), l.store.Close())
		}
	}
	if twins.sluice != nil {
		errs = append(errs, twins.sluice.Close())
	}
	return errors.Join(errs...)
}

// openLanes returns the lanes of the test process. Tests ask once, subtests
// only take.
func openLanes(t *testing.T) chan *lane {
	t.Helper()
	cluster := playground.Shared(t)
	twins.Lock()
	defer twins.Unlock()
	if twins.lanes == nil && twins.err == nil {
		twins.err = openTwins(cluster)
	}
	require.NoError(t, twins.err)
	return twins.lanes
}

// take waits for a lane and gives it back when the test ends.
func take(t *testing.T, lanes chan *lane) *lane {
	t.Helper()
	select {
	case l := <-lanes:
		t.Cleanup(func() { lanes <- l })
		return l
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
		return nil
	}
}

// openTwins starts Sluice and makes the lanes. All of it outlives the test
// that asks first, so nothing hangs on a test's context.
func openTwins(cluster *playground.Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // a cold build
	defer cancel()
	var err error
	// The smallest budget and more workers than processors: what comes out must
	// not depend on either.
	twins.sluice, err = instance.Start(ctx, instance.Options{TiDB: cluster.TiDB, Import: "memory-budget = \"160MiB\"\nthreads = 3"})
	if err != nil {
		return err
	}
	if err := setGlobals(ctx, cluster); err != nil {
		return err
	}
	n := runtime.GOMAXPROCS(0)
	lanes := make(chan *lane, n)
	for i := range n {
		l, err := newLane(ctx, cluster, fmt.Sprint("lane", i))
		if err != nil {
			return err
		}
		lanes <- l
	}
	twins.lanes = lanes
	return nil
}

func setGlobals(ctx context.Context, cluster *playground.Cluster) error {
	db, err := cluster.Open()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for _, set := range []string{"tidb_enable_check_constraint = ON", "tidb_enable_auto_analyze = OFF", "tidb_enable_dist_task = OFF", "tidb_ddl_enable_fast_reorg = OFF"} {
		if _, err := db.ExecContext(ctx, "SET GLOBAL "+set); err != nil {
			return fmt.Errorf("%s: %w", set, err)
		}
	}
	for _, stmt := range []string{"CREATE PLACEMENT POLICY IF NOT EXISTS nearby FOLLOWERS=1"} {
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return nil
}

func newLane(ctx context.Context, cluster *playground.Cluster, name string) (_ *lane, err error) {
	l := &lane{db: name, cluster: cluster}
	if l.store, err = txnkv.NewClient([]string{cluster.PD}); err != nil {
		return nil, err
	}
	direct, err := cluster.Open()
	if err != nil {
		return nil, err
	}
	through, err := twins.sluice.Open("root", "", "")
	if err != nil {
		return nil, err
	}
	if _, err := direct.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	for _, side := range []struct {
		pool *sql.DB
		conn **sql.Conn
	}{{direct, &l.tidb}, {through, &l.proxy}} {
		if *side.conn, err = side.pool.Conn(ctx); err != nil {
			return nil, err
		}
		for _, stmt := range []string{"USE " + name, "SET NAMES utf8mb4"} {
			if _, err := (*side.conn).ExecContext(ctx, stmt); err != nil {
				return nil, fmt.Errorf("%s: %w", stmt, err)
			}
		}
	}
	for _, set := range []string{"allow_auto_random_explicit_insert = 1", "tidb_opt_write_row_id = 1", "tidb_txn_mode = 'optimistic'",
		"tidb_constraint_check_in_place = 0", "tidb_allow_remove_auto_inc = 1"} {
		if _, err := l.tidb.ExecContext(ctx, "SET "+set); err != nil {
			return nil, fmt.Errorf("%s: %w", set, err)
		}
	}
	return l, nil
}

// session gives both sessions the SQL mode and the time zone of a shape.
func (l *lane) session(t *testing.T, sqlMode, zone string) {
	t.Helper()
	for _, c := range []*sql.Conn{l.tidb, l.proxy} {
		for _, set := range []string{"sql_mode = '" + sqlMode + "'", "time_zone = '" + zone + "'", "timestamp = DEFAULT"} {
			_, err := c.ExecContext(t.Context(), "SET "+set)
			require.NoError(t, err, set)
		}
	}
}

// exec runs a statement on TiDB that must succeed.
func (l *lane) exec(t *testing.T, stmt string) {
	t.Helper()
	_, err := l.tidb.ExecContext(t.Context(), stmt)
	require.NoError(t, err, stmt)
}

// query returns a result as text; NULL is nil.
func (l *lane) query(t *testing.T, c *sql.Conn, stmt string) ([]string, [][]value, error) {
	t.Helper()
	columns, cells, err := sqlrows.Cells(t.Context(), c, stmt)
	rows := make([][]value, len(cells))
	for i, row := range cells {
		rows[i] = make([]value, len(row))
		for c, cell := range row {
			if cell.Valid {
				rows[i][c] = text(cell.String)
			}
		}
	}
	return columns, rows, err
}

// mustQuery is query on TiDB without an error.
func (l *lane) mustQuery(t *testing.T, stmt string) ([]string, [][]value) {
	t.Helper()
	columns, rows, err := l.query(t, l.tidb, stmt)
	require.NoError(t, err, stmt)
	return columns, rows
}

// nextID is the first number that an import into the table gives a row.
func (l *lane) nextID(t *testing.T, name string) int64 {
	t.Helper()
	columns, rows := l.mustQuery(t, "SHOW TABLE "+name+" NEXT_ROW_ID")
	id := int64(1)
	for _, row := range rows {
		for i, c := range columns {
			var next int64
			if strings.EqualFold(c, "NEXT_GLOBAL_ROW_ID") {
				_, err := fmt.Sscan(*row[i], &next)
				require.NoError(t, err)
			}
			id = max(id, next)
		}
	}
	return id
}

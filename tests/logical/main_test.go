// Package logical_test brings rows into MariaDB and into TiDB by SQL: every type, every strategy, and connections that break
// before and after each statement, with the server's own INSERT and LOAD DATA as judges.
package logical_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(mariadb.Main{M: m}, playground.Options{ServerVersion: "8.0.36-shop"})) // a TiDB that hides that it is one
}

const strict = mysql.ModeStrictTransTables | mysql.ModeNoZeroDate | mysql.ModeNoZeroInDate | mysql.ModeErrorForDivisionByZero

// server is one that rows go to.
type server struct {
	addr, user, password string
	name                 string // of a database of the test's own
	db                   *sql.DB
	t                    testing.TB
}

// onBoth runs a test on each kind of server, in an empty database.
func onBoth(t *testing.T, f func(t *testing.T, s *server)) {
	t.Parallel()
	t.Run("MariaDB", func(t *testing.T) {
		t.Parallel()
		f(t, onMariaDB(t))
	})
	t.Run("TiDB", func(t *testing.T) {
		t.Parallel()
		f(t, onTiDB(t))
	})
}

func onMariaDB(t testing.TB) *server {
	m := mariadb.Shared(t)
	name, db := m.Database(t)
	return &server{addr: m.Socket, user: mariadb.User, password: mariadb.Password, name: name, db: db, t: t}
}

func onTiDB(t testing.TB) *server {
	c := playground.Shared(t)
	name, db := c.Database(t)
	return &server{addr: c.TiDB, user: "root", name: name, db: db, t: t}
}

func (s *server) exec(statements ...string) {
	s.t.Helper()
	for _, q := range statements {
		_, err := s.db.ExecContext(s.t.Context(), q)
		require.NoError(s.t, err, q)
	}
}

// rows returns a query's rows, fields separated by "|".
func (s *server) rows(query string) []string {
	s.t.Helper()
	return rowsOf(s.t, s.db, query)
}

func rowsOf(t testing.TB, db *sql.DB, query string) []string {
	t.Helper()
	r, err := sqlrows.Query(t.Context(), db, query)
	require.NoError(t, err, query)
	return r.Lines()
}

// open opens a target at the server, or at a relay to it.
func (s *server) open(addr string, p logical.Params) *logical.Target {
	s.t.Helper()
	if addr == "" {
		addr = s.addr
	}
	p.Addrs, p.User, p.Password = []string{addr}, s.user, s.password
	target, err := logical.Open(s.t.Context(), p)
	require.NoError(s.t, err)
	s.t.Cleanup(target.Close)
	return target
}

// csvSource is CSV files in a folder.
type csvSource struct {
	store   source.Store
	files   []source.File
	layout  *logical.Layout
	recover bool
	gate    func(file int) error // asked before a file is opened, if set
}

// newSource writes one file per text.
func newSource(t testing.TB, columns []string, texts ...string) *csvSource {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%03d.csv", i)), []byte(text), 0o600))
	}
	store, err := source.Open(t.Context(), filepath.Join(dir, "*.csv"), source.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	files, err := store.List(t.Context())
	require.NoError(t, err)
	return &csvSource{store: store, files: files, layout: &logical.Layout{Columns: columns}}
}

func (s *csvSource) config() csv.Config {
	cfg := csv.DefaultConfig()
	cfg.Recover = s.recover
	return cfg
}

func (s *csvSource) Files() int { return len(s.files) }

func (s *csvSource) Open(ctx context.Context, file int, from format.RowPlace, pool *format.BlockPool) (format.Splitter, error) {
	if s.gate != nil {
		if err := s.gate(file); err != nil {
			return nil, err
		}
	}
	if from.Line > 0 {
		return csv.NewSplitterAt(ctx, from, s.store, &s.files[file], file, s.config(), pool)
	}
	return csv.NewSplitter(ctx, s.store, &s.files[file], file, s.config(), pool)
}

func (s *csvSource) Reader() format.RowReader { return csv.NewReader(s.config()) }

func (s *csvSource) Layout(*format.Block) (*logical.Layout, error) { return s.layout, nil }

// sink is a badrows.Sink in memory.
type sink struct {
	mu      sync.Mutex
	records []badrows.Record
}

func (s *sink) Put(_ context.Context, first int64, records []badrows.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int64(len(s.records))+1 != first {
		return fmt.Errorf("record %d comes after %d", first, len(s.records))
	}
	s.records = append(s.records, records...)
	return nil
}

func (s *sink) Rewind(_ context.Context, keep int64, _ badrows.Counts) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = s.records[:min(keep, int64(len(s.records)))]
	return nil
}

var jobs atomic.Int64

// job is a new job's name.
func job() string { return fmt.Sprintf("test-%d-%d", os.Getpid(), jobs.Add(1)) }

// task is an import of a table of the test's database.
func (s *server) task(target *logical.Target, table string, src logical.Source) logical.Task {
	s.t.Helper()
	tbl, err := target.Table(s.t.Context(), s.name, table)
	require.NoError(s.t, err)
	return logical.Task{Job: job(), Table: tbl, Source: src}
}

// numbered is a CSV text of rows "n,text" for n from from to to.
func numbered(from, to, width int) string {
	var b strings.Builder
	for n := from; n <= to; n++ {
		fmt.Fprintf(&b, "%d,%s\n", n, strings.Repeat(string(rune('a'+n%26)), width))
	}
	return b.String()
}

var atonce = logical.Params{Session: logical.Session{SQLMode: strict}, Patience: time.Minute}

// Package restoresql_test runs RESTORE the whole way where rows go in by SQL: with BACKEND = 'tidb' into the embedded cluster, and with
// a Sluice in front of MariaDB.
package restoresql_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/playground"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(&closing{mariadb.Main{M: m}}, playground.Options{}))
}

// closing runs the tests and then closes the Sluices that they shared.
type closing struct{ m mariadb.Runner }

func (c *closing) Run() int {
	code := c.m.Run()
	sluices.Lock()
	defer sluices.Unlock()
	for _, in := range sluices.of {
		if err := in.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

// sluices are the processes that tests share, by the address of what is behind them.
var sluices struct {
	sync.Mutex
	of map[string]*instance.Instance
}

// server is what is behind a Sluice.
type server struct {
	addr string // of its SQL port
	open func(t *testing.T) *sql.DB
}

// onTiDB is the embedded cluster.
func onTiDB(t *testing.T) *server {
	c := playground.Shared(t)
	return &server{addr: c.TiDB, open: func(t *testing.T) *sql.DB {
		_, db := c.Database(t)
		return db
	}}
}

// maria is the port at which the shared MariaDB, which has a socket alone, can be reached.
var maria struct {
	sync.Once
	addr string
	err  error
}

func onMariaDB(t *testing.T) *server {
	m := mariadb.Shared(t)
	maria.Do(func() { maria.addr, maria.err = serve(m.Socket) })
	require.NoError(t, maria.err)
	return &server{addr: maria.addr, open: func(t *testing.T) *sql.DB { return m.DB(t, "") }}
}

// serve brings connections of a port to a socket, until the process ends.
func serve(socket string) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go relay(from, socket)
		}
	}()
	return l.Addr().String(), nil
}

func relay(from net.Conn, socket string) {
	to, err := net.Dial("unix", socket)
	if err != nil {
		_ = from.Close()
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = way[0].Close(), way[1].Close()
		})
	}
	both.Wait()
}

// bench is one test's dump and its databases, whose names begin with name.
type bench struct {
	t      *testing.T
	name   string
	sluice *instance.Instance
	proxy  *sql.DB // root through the proxy
	direct *sql.DB
	dir    string // of the dump
}

func newBench(t *testing.T, s *server) *bench {
	t.Helper()
	sluices.Lock()
	defer sluices.Unlock()
	in := sluices.of[s.addr]
	if in == nil {
		in = start(t, s)
		if sluices.of == nil {
			sluices.of = map[string]*instance.Instance{}
		}
		sluices.of[s.addr] = in
	}
	return benchOn(t, s, in)
}

func start(t *testing.T, s *server) *instance.Instance {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // a cold build with -race
	defer cancel()
	in, err := instance.Start(ctx, instance.Options{TiDB: s.addr, Race: true, Import: "memory-budget = \"224MiB\"\nthreads = 4"})
	require.NoError(t, err)
	return in
}

func benchOn(t *testing.T, s *server, in *instance.Instance) *bench {
	t.Helper()
	name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "_"))
	proxy, err := in.Open("root", "", "")
	require.NoError(t, err)
	b := &bench{t: t, name: name, sluice: in, proxy: proxy, direct: s.open(t), dir: t.TempDir()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(in.LogTail(40))
		}
		for _, db := range b.databases() {
			_, err := b.direct.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE `"+db+"`")
			require.NoError(t, err)
		}
		require.NoError(t, proxy.Close())
	})
	return b
}

// databases are those of the test.
func (b *bench) databases() []string {
	return b.column(b.direct, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '$\\_%' ORDER BY 1")
}

// own puts the test's name in the place of $.
func (b *bench) own(text string) string {
	return strings.NewReplacer("$", b.name, "@dir", b.dir).Replace(text)
}

// file writes a file of the dump.
func (b *bench) file(name, text string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(filepath.Join(b.dir, b.own(name)), []byte(b.own(text)), 0o600))
}

// exec runs statements, through the proxy.
func (b *bench) exec(statements ...string) {
	b.t.Helper()
	for _, stmt := range statements {
		_, err := b.proxy.ExecContext(b.t.Context(), b.own(stmt))
		require.NoError(b.t, err, stmt)
	}
}

// rows runs a statement and returns its rows by column. NULL is "NULL".
func (b *bench) rows(db *sql.DB, stmt string) (out []map[string]string, columns []string) {
	b.t.Helper()
	rows, err := db.QueryContext(context.WithoutCancel(b.t.Context()), b.own(stmt))
	require.NoError(b.t, err, stmt)
	defer func() { require.NoError(b.t, rows.Close()) }()
	columns, err = rows.Columns()
	require.NoError(b.t, err)
	for rows.Next() {
		values, to := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		require.NoError(b.t, rows.Scan(to...))
		row := map[string]string{}
		for i, v := range values {
			if row[columns[i]] = v.String; !v.Valid {
				row[columns[i]] = "NULL"
			}
		}
		out = append(out, row)
	}
	require.NoError(b.t, rows.Err(), stmt)
	return out, columns
}

// row is the one row of a statement's answer, through the proxy.
func (b *bench) row(stmt string) map[string]string {
	b.t.Helper()
	all, _ := b.rows(b.proxy, stmt)
	require.Len(b.t, all, 1, stmt)
	return all[0]
}

// column is a statement's rows, fields separated by "|".
func (b *bench) column(db *sql.DB, stmt string) []string {
	b.t.Helper()
	all, columns := b.rows(db, stmt)
	out := make([]string, len(all))
	for i, row := range all {
		var fields []string
		for _, c := range columns {
			fields = append(fields, row[c])
		}
		out[i] = strings.Join(fields, "|")
	}
	return out
}

// fails makes sure that a statement fails with a code and all of some texts.
func (b *bench) fails(db *sql.DB, stmt string, code uint16, texts ...string) string {
	b.t.Helper()
	_, err := db.ExecContext(b.t.Context(), b.own(stmt))
	var told *mysql.MySQLError
	require.ErrorAs(b.t, err, &told, stmt)
	require.Equal(b.t, code, told.Number, "%s: %s", stmt, told.Message)
	for _, text := range texts {
		require.Contains(b.t, told.Message, b.own(text), stmt)
	}
	return told.Message
}

// becomes waits until a job is in a state, and returns its row.
func (b *bench) becomes(id, status string) map[string]string {
	b.t.Helper()
	var row map[string]string
	require.Eventually(b.t, func() bool {
		row = b.row("SHOW IMPORT JOB " + id)
		return row["Status"] == status
	}, time.Minute, 50*time.Millisecond, "%v", row)
	return row
}

// blocked holds a key of a table in a transaction of its own until over is called.
func (b *bench) blocked(insert string) (over func()) {
	b.t.Helper()
	tx, err := b.direct.BeginTx(context.WithoutCancel(b.t.Context()), nil)
	require.NoError(b.t, err)
	_, err = tx.Exec(b.own(insert))
	require.NoError(b.t, err)
	return func() { require.NoError(b.t, tx.Rollback()) }
}

// held waits until a job has brought in rows, and can't bring in all.
func (b *bench) held(table string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		return b.column(b.direct, "SELECT COUNT(*) > 1000 FROM "+table)[0] == "1"
	}, time.Minute, 20*time.Millisecond)
}

// manyRows writes a dump of one table with a unique key, whose rows are several batches.
func (b *bench) manyRows() {
	b.t.Helper()
	b.file("$_a.t-schema.sql", "CREATE TABLE `t` (`a` INT, `b` VARCHAR(2000), UNIQUE KEY (`a`));\n")
	var text strings.Builder
	text.WriteString("a,b\n")
	for i := range manyRows {
		fmt.Fprintf(&text, "%d,%s\n", i, strings.Repeat(string(rune('a'+i%26)), 1000))
	}
	b.file("$_a.t.0000.csv", text.String())
}

const manyRows = 6000

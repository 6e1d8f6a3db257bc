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
	"github.com/sluicedb/sluice/tests/sqlrows"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(instance.Main{M: mariadb.Main{M: m}}, playground.Options{}))
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
	return benchOn(t, s, instance.Shared(t, sluiceAt(s)))
}

// sluiceAt says how the Sluice in front of a server runs.
func sluiceAt(s *server) instance.Options {
	return instance.Options{TiDB: s.addr, Race: true, Import: "memory-budget = \"224MiB\"\nthreads = 4"}
}

func benchOn(t *testing.T, s *server, in *instance.Instance) *bench {
	t.Helper()
	name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "_"))
	proxy, err := in.Open("root", "", "")
	require.NoError(t, err)
	b := &bench{t: t, name: name, sluice: in, proxy: proxy, direct: s.open(t), dir: t.TempDir()}
	t.Cleanup(func() {
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

// query runs a statement and returns its rows.
func (b *bench) query(db *sql.DB, stmt string) *sqlrows.Result {
	b.t.Helper()
	r, err := sqlrows.Query(context.WithoutCancel(b.t.Context()), db, b.own(stmt))
	require.NoError(b.t, err, stmt)
	return r
}

// row is the one row of a statement's answer, through the proxy.
func (b *bench) row(stmt string) map[string]string {
	b.t.Helper()
	all := b.query(b.proxy, stmt).Maps()
	require.Len(b.t, all, 1, stmt)
	return all[0]
}

// column is a statement's rows, fields separated by "|".
func (b *bench) column(db *sql.DB, stmt string) []string {
	b.t.Helper()
	return b.query(db, stmt).Lines()
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

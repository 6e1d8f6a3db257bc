// Package restorejobs_test runs RESTORE the whole way, as a job: a MySQL client, the sluice binary (built with the race
// detector), the embedded cluster. What the core restores, and how, is tests/restores' matter.
package restorejobs_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(instance.Main{M: m}, playground.Options{Stores: 3, ServerVersion: serverVersion}))
}

// sluiceAt says how the Sluice in front of a cluster runs.
func sluiceAt(cluster *playground.Cluster) instance.Options {
	return instance.Options{TiDB: cluster.TiDB, Race: true, Import: "memory-budget = \"224MiB\"\nthreads = 4"}
}

// bench is one test's dump and its databases, whose names begin with name.
type bench struct {
	t       *testing.T
	name    string
	sluice  *instance.Instance
	cluster *playground.Cluster
	proxy   *sql.DB // root through the proxy
	direct  *sql.DB // root at TiDB
	dir     string  // of the dump
}

func newBench(t *testing.T) *bench {
	t.Helper()
	cluster := playground.Shared(t)
	return benchOn(t, cluster, instance.Shared(t, sluiceAt(cluster)))
}

func benchOn(t *testing.T, cluster *playground.Cluster, in *instance.Instance) *bench {
	t.Helper()
	name, direct := cluster.Database(t)
	proxy, err := in.Open("root", "", name)
	require.NoError(t, err)
	b := &bench{t: t, name: name, sluice: in, cluster: cluster, proxy: proxy, direct: direct, dir: t.TempDir()}
	t.Cleanup(func() {
		require.NoError(t, proxy.Close())
		for _, row := range b.rows(direct, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '"+name+"_%'") {
			_, err := direct.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE `"+row[0]+"`")
			require.NoError(t, err)
		}
	})
	return b
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

// dump writes a small one of the database $_a: tables t and u, and a view of t.
func (b *bench) dump() {
	b.t.Helper()
	b.file("$_a-schema-create.sql", "CREATE DATABASE `$_a`;\n")
	b.file("$_a.t-schema.sql", "CREATE TABLE `t` (`a` INT PRIMARY KEY, `b` VARCHAR(20), KEY (`b`));\n")
	b.file("$_a.t.0000.csv", "\"a\",\"b\"\n1,\"x\"\n2,\"y\"\n")
	b.file("$_a.t.0001.csv", "\"b\",\"a\"\n\"z\",3\n")
	b.file("$_a.u-schema.sql", "CREATE TABLE `u` (`a` BIGINT AUTO_INCREMENT PRIMARY KEY, `c` DATETIME DEFAULT CURRENT_TIMESTAMP);\n")
	b.file("$_a.u.0000.csv", "\"a\"\n7\n")
	b.file("$_a.v-schema.sql", "CREATE TABLE `v` (`a` TINYINT);\n")
	b.file("$_a.v-schema-view.sql", "DROP TABLE IF EXISTS `v`;\nCREATE VIEW `v` AS SELECT `a` FROM `t`;\n")
}

// slowDump writes one whose rows take seconds at 1 MB/s.
func (b *bench) slowDump() {
	b.t.Helper()
	b.file("$_a-schema-create.sql", "CREATE DATABASE `$_a`;\n")
	b.file("$_a.t-schema.sql", "CREATE TABLE `t` (`a` INT PRIMARY KEY, `b` VARCHAR(2000));\n")
	var text strings.Builder
	text.WriteString("a,b\n")
	for i := range slowRows {
		fmt.Fprintf(&text, "%d,%s\n", i, strings.Repeat(string(rune('a'+i%26)), 1000))
	}
	b.file("$_a.t.0000.csv", text.String())
}

const slowRows = 12000

// exec runs a statement through the proxy.
func (b *bench) exec(stmt string) {
	b.t.Helper()
	_, err := b.proxy.ExecContext(b.t.Context(), b.own(stmt))
	require.NoError(b.t, err, stmt)
}

// row runs a statement whose answer is one row, as a map by column.
func (b *bench) row(stmt string) map[string]string {
	b.t.Helper()
	all := b.table(b.proxy, stmt)
	require.Len(b.t, all, 1, stmt)
	return all[0]
}

// table runs a statement and returns its rows by column. NULL is "NULL".
func (b *bench) table(db *sql.DB, stmt string) []map[string]string {
	b.t.Helper()
	return b.query(db, stmt).Maps()
}

func (b *bench) rows(db *sql.DB, stmt string) [][]string {
	b.t.Helper()
	return b.query(db, stmt).Rows
}

func (b *bench) query(db *sql.DB, stmt string) *sqlrows.Result {
	b.t.Helper()
	r, err := sqlrows.Query(context.WithoutCancel(b.t.Context()), db, b.own(stmt))
	require.NoError(b.t, err, stmt)
	return r
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
	if !assert.Eventually(b.t, func() bool {
		row = b.row("SHOW IMPORT JOB " + id)
		return row["Status"] == status
	}, time.Minute, 50*time.Millisecond) {
		require.FailNow(b.t, "the job is not "+status, "%v", row)
	}
	return row
}

// started waits until a job writes rows.
func (b *bench) started(id string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.row("SHOW IMPORT JOB " + id)["Cur_Step"] == "data" }, time.Minute, 20*time.Millisecond)
}

// databases are those of the test, but for the one that it has from the beginning.
func (b *bench) databases() []string {
	b.t.Helper()
	var names []string
	for _, row := range b.rows(b.direct, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '$_%' ORDER BY 1") {
		names = append(names, row[0])
	}
	return names
}

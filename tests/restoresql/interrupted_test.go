package restoresql_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
)

// onBoth runs a test in front of each kind of server; backend is the option that has rows go in by SQL.
func onBoth(t *testing.T, f func(t *testing.T, s *server, backend string)) {
	t.Parallel()
	t.Run("MariaDB", func(t *testing.T) {
		t.Parallel()
		f(t, onMariaDB(t), "")
	})
	t.Run("TiDB", func(t *testing.T) {
		t.Parallel()
		f(t, onTiDB(t), " BACKEND = TIDB")
	})
}

// whole is what a table has that has got each row once, beside those that it had.
func whole(b *bench, rows int) {
	b.t.Helper()
	require.Equal(b.t, []string{fmt.Sprintf("%d|%d", manyRows+rows, manyRows*(manyRows-1)/2-rows)},
		b.column(b.direct, "SELECT COUNT(*), CAST(SUM(a) AS SIGNED) FROM `$_a`.t"))
}

// TestPaused: a job that is paused goes on behind the rows that it has brought in.
func TestPaused(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		b.manyRows()
		b.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT, b VARCHAR(2000), UNIQUE KEY (a))", "INSERT INTO `$_a`.t VALUES (-1, '')")
		free := b.blocked("INSERT INTO `$_a`.t VALUES (5900, '')")
		id := b.row("RESTORE TABLE `$_a`.t FROM '@dir' DETACHED" + backend)["Job_ID"]
		b.held("`$_a`.t")
		b.exec("PAUSE IMPORT JOB " + id)
		require.Equal(t, "paused", b.row("SHOW IMPORT JOB " + id)["Status"])
		free()
		b.exec("RESUME IMPORT JOB " + id)
		b.becomes(id, "finished")
		whole(b, 1)
	})
}

// TestCancelled: rows stay in a table that was there, and the job says how many. Tried again, it goes on behind them.
func TestCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		b.manyRows()
		b.file("$_a.own-schema.sql", "CREATE TABLE own (a INT);\n")
		b.file("$_a.own.0000.csv", "a\n1\n")
		b.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT, b VARCHAR(2000), UNIQUE KEY (a))", "INSERT INTO `$_a`.t VALUES (-1, '')")
		free := b.blocked("INSERT INTO `$_a`.t VALUES (5900, '')")
		id := b.row("RESTORE DATABASE `$_a` FROM '@dir' DETACHED" + backend)["Job_ID"]
		b.held("`$_a`.t")
		b.exec("CANCEL IMPORT JOB " + id)
		row := b.becomes(id, "cancelled")
		free()
		rows := b.column(b.direct, "SELECT COUNT(*) - 1 FROM `$_a`.t")[0]
		require.Contains(t, row["Result_Message"], b.own("left behind: table `$_a`.`t` with "+rows+" rows that the job has brought in"))
		require.Equal(t, []string{"t"}, b.column(b.direct, "SHOW TABLES FROM `$_a`"), "the job's own table is gone")
		b.exec("RETRY IMPORT JOB " + id)
		b.becomes(id, "finished")
		whole(b, 1)
		require.Equal(t, []string{"1"}, b.column(b.direct, "SELECT a FROM `$_a`.own"))
	})
}

// TestKilled: when its Sluice is killed, another one goes on with the job, and each row is there once.
func TestKilled(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		heir := newBench(t, s)
		first := instance.ForTest(t, sluiceAt(s))
		b := benchOn(t, s, first)
		b.manyRows()
		heir.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT, b VARCHAR(2000), UNIQUE KEY (a))")
		free := b.blocked("INSERT INTO `$_a`.t VALUES (5900, '')")
		id := b.row("RESTORE TABLE `$_a`.t FROM '@dir' DETACHED" + backend)["Job_ID"]
		b.held("`$_a`.t")
		first.Kill()
		free()
		heir.becomes(id, "finished")
		whole(b, 0)
	})
}

// TestForgotten: what the server's ledger holds of a job whose rows stay goes with the job, and not before it is kept long enough.
func TestForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		b.exec("CREATE DATABASE `$_a`")
		jobs, ledger := map[string]string{}, map[string]string{}
		for _, table := range []string{"old", "young"} {
			b.file("$_a."+table+"-schema.sql", "CREATE TABLE "+table+" (a INT PRIMARY KEY);\n")
			b.file("$_a."+table+".0000.csv", "a\n1\n2\n")
			b.file("$_a."+table+".0001.csv", "a\n9\n")
			b.exec("CREATE TABLE `$_a`."+table+" (a INT PRIMARY KEY)", "INSERT INTO `$_a`."+table+" VALUES (9)")
			jobs[table] = jobOf(b.fails(b.proxy, "RESTORE TABLE `$_a`."+table+" FROM '@dir' ON_DUPLICATE = ERROR"+backend, 1062, "left behind: table `$_a`.`"+table+"` with 2 rows"))
			ledger[table] = b.column(b.direct, "SELECT DISTINCT job FROM sluice.logical_ledger WHERE table_schema = '$_a' AND table_name = '"+table+"'")[0]
		}
		left := func(table string) bool {
			return b.column(b.direct, "SELECT COUNT(*) > 0 FROM sluice.logical_ledger WHERE job = '"+ledger[table]+"'")[0] == "1"
		}
		require.True(t, left("old") && left("young"))
		_, err := b.direct.ExecContext(t.Context(), "UPDATE sluice.jobs SET end_time = end_time - INTERVAL 40 DAY WHERE id = "+jobs["old"])
		require.NoError(t, err)
		_ = instance.ForTest(t, sluiceAt(s)) // looks for old jobs when it starts
		require.Eventually(t, func() bool {
			return b.column(b.direct, "SELECT COUNT(*) FROM sluice.jobs WHERE id = "+jobs["old"])[0] == "0"
		}, time.Minute, 50*time.Millisecond)
		require.False(t, left("old"))
		require.Equal(t, []string{"1", "2", "9"}, b.column(b.direct, "SELECT a FROM `$_a`.old ORDER BY a"))
		require.True(t, left("young"))
		b.exec("DELETE FROM `$_a`.young WHERE a = 9", "RETRY IMPORT JOB "+jobs["young"])
		b.becomes(jobs["young"], "finished")
		require.False(t, left("young"))
		require.Equal(t, []string{"1", "2", "9"}, b.column(b.direct, "SELECT a FROM `$_a`.young ORDER BY a"))
	})
}

// TestBackendTiDB: rows go into tables that hold some, and each strategy keeps what it says.
func TestBackendTiDB(t *testing.T) {
	t.Parallel()
	b := newBench(t, onTiDB(t))
	b.file("$_a.t-schema.sql", "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(20), UNIQUE KEY (b));\n")
	b.file("$_a.t.0000.csv", "a,b\n1,first\n2,x\n")
	b.file("$_a.t.0001.csv", "a,b\n1,last\n9,own\n")
	b.exec("CREATE DATABASE `$_a`")
	for strategy, want := range map[string][]string{"REPLACE": {"1|last", "2|x", "9|own"}, "IGNORE": {"1|first", "2|x", "8|own"}} {
		b.exec("CREATE OR REPLACE VIEW `$_a`.unused AS SELECT 1", "DROP TABLE IF EXISTS `$_a`.t", "CREATE TABLE `$_a`.t (a INT PRIMARY KEY, b VARCHAR(20), UNIQUE KEY (b))",
			"INSERT INTO `$_a`.t VALUES (8, 'own')", "RESTORE TABLE `$_a`.t FROM '@dir' BACKEND = TIDB ON_DUPLICATE = "+strategy)
		require.Equal(t, want, b.column(b.direct, "SELECT * FROM `$_a`.t ORDER BY a"), strategy)
		_, err := b.direct.ExecContext(t.Context(), b.own("ADMIN CHECK TABLE `$_a`.t"))
		require.NoError(t, err)
	}
	b.exec("TRUNCATE TABLE `$_a`.t", "INSERT INTO `$_a`.t VALUES (8, 'own')")
	b.fails(b.proxy, "RESTORE TABLE `$_a`.t FROM '@dir' BACKEND = TIDB ON_DUPLICATE = ERROR", 1062, "$_a.t.0001.csv, line 2", "'1'", "left behind: table `$_a`.`t` with 2 rows")
	require.Equal(t, []string{"1|first", "2|x", "8|own"}, b.column(b.direct, "SELECT * FROM `$_a`.t ORDER BY a"))

	// Without a table the job makes it, and takes it away again when it fails.
	b.exec("DROP TABLE `$_a`.t")
	b.fails(b.proxy, "RESTORE TABLE `$_a`.t FROM '@dir' BACKEND = TIDB", 1062, "dropped")
	require.Equal(t, []string{"unused"}, b.column(b.direct, "SHOW TABLES FROM `$_a`"))
	b.exec("RESTORE TABLE `$_a`.t FROM '@dir' BACKEND = TIDB ON_DUPLICATE = IGNORE")
	require.Equal(t, []string{"1|first", "2|x", "9|own"}, b.column(b.direct, "SELECT * FROM `$_a`.t ORDER BY a"))
}

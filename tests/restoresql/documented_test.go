package restoresql_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRefusedBySQL: what is only about TiDB's stores is refused by name, be the option of the way given or, in front of MariaDB, not.
func TestRefusedBySQL(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		b.dump()
		for _, option := range []string{"RATE_LIMIT 5 MB/SECOND", "DISK_QUOTA '1GiB'", "MAX_LATENCY '50ms'", "ONLINE TRUE", "CHECKSUM_CONCURRENCY 2", "SEND_CREDENTIALS_TO_TIKV TRUE", "COMPACT TRUE",
			"LOAD_STATS TRUE", "WAIT_TIFLASH_READY TRUE"} {
			b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' "+option+backend, 1235, strings.Fields(option)[0]+" for rows that go in by SQL")
		}
		for _, strategy := range []string{"CAPTURE", "'capture'"} {
			b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' BACKEND = TIDB ON_DUPLICATE "+strategy, 1235, "ON_DUPLICATE = CAPTURE for rows that go in by SQL")
		}
		require.Empty(t, b.databases())
		b.exec("RESTORE TABLE `$_a`.u FROM '@dir' BACKEND = TIDB")
		require.Equal(t, []string{"7", "8"}, b.column(b.direct, "SELECT a FROM `$_a`.u ORDER BY a"))
	})
}

// TestCounted: the rows of a table that the job has made are counted, and rows of others in it are told. The table stays with them, and the job goes on once they
// are gone.
func TestCounted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		b.file("$_a.t-schema.sql", "CREATE TABLE t (a INT PRIMARY KEY);\n")
		b.file("$_a.t.0000.csv", "a\n1\n")
		b.file("$_a.own-schema.sql", "CREATE TABLE own (a INT PRIMARY KEY);\n")
		b.file("$_a.own.0000.csv", "a\n1\n2\n") // larger, so it comes behind t
		for check, want := range map[string]string{"TRUE": "failed", "FALSE": "finished"} {
			b.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT PRIMARY KEY)")
			free := b.blocked("INSERT INTO `$_a`.t VALUES (1)")
			id := b.row("RESTORE DATABASE `$_a` FROM '@dir' DETACHED CONCURRENCY = 1 CHECKSUM = " + check + backend)["Job_ID"]
			require.Eventually(t, func() bool { return len(b.column(b.direct, "SHOW TABLES FROM `$_a`")) == 2 }, time.Minute, 20*time.Millisecond)
			b.exec("INSERT INTO `$_a`.own VALUES (7)")
			free()
			row := b.becomes(id, want)
			require.Equal(t, []string{"1", "2", "7"}, b.column(b.direct, "SELECT a FROM `$_a`.own ORDER BY a"))
			if want == "failed" {
				require.Contains(t, row["Result_Message"], "2 rows went in, and it has 3: somebody else has written to it, or taken rows away")
				require.Contains(t, row["Result_Message"], b.own("table `$_a`.`own`, which holds 3 rows, 1 of them not the job's"))
				b.exec("DELETE FROM `$_a`.own WHERE a = 7", "RETRY IMPORT JOB "+id)
				b.becomes(id, "finished")
				require.Equal(t, []string{"1", "2"}, b.column(b.direct, "SELECT a FROM `$_a`.own ORDER BY a"))
			}
			require.Equal(t, []string{"1"}, b.column(b.direct, "SELECT a FROM `$_a`.t"))
			b.exec("DROP DATABASE `$_a`")
		}
	})
}

// TestParentsAndMaxErrors: a row without its parent is no bad row: it ends the job.
func TestParentsAndMaxErrors(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		b.file("$_a.child-schema.sql", "CREATE TABLE child (a INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (a));\n")
		b.file("$_a.parent-schema.sql", "CREATE TABLE parent (a INT PRIMARY KEY);\n")
		b.file("$_a.child.0000.csv", "a,p\n1,1\n2,\\N\n3,7\nx,1\n")
		b.file("$_a.parent.0000.csv", "a\n1\n")
		message := b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' max_errors = 10"+backend, 1452, `("7")`, "what the job had made was dropped")
		require.Empty(t, b.databases())
		require.Equal(t, []string{"child|child.0000.csv|5|a|x"}, b.errors(jobOf(message)))
	})
}

// TestKeepPartial: on demand, what a failed job has made and restored stays, and tried again it goes on behind that.
func TestKeepPartial(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bench, backend string) {
		for i, table := range []string{"there", "made", "bad"} { // in this order: small ones first
			b.file("$_a."+table+"-schema.sql", "CREATE TABLE t (a INT PRIMARY KEY) COMMENT 'of the dump';\n")
			b.file("$_a."+table+".0000.csv", "a\n"+[]string{"1\n", "1\n2\n", "none\n"}[i])
		}
		b.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.there (a INT PRIMARY KEY)", "CREATE TABLE `$_a`.bad (a INT PRIMARY KEY)")
		message := b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' CONCURRENCY = 1 KEEP_PARTIAL = TRUE"+backend, 1366, "$_a.bad.0000.csv, line 2", "what was restored so far stays (keep_partial)")
		state := func() (all []string) {
			all = b.column(b.direct, "SELECT table_name, table_comment FROM information_schema.tables WHERE table_schema = '$_a' ORDER BY 1")
			return append(all, b.column(b.direct, "SELECT (SELECT SUM(a) FROM `$_a`.there), (SELECT SUM(a) FROM `$_a`.made), (SELECT COUNT(*) FROM `$_a`.bad)")...)
		}
		want := []string{"bad|", "made|of the dump", "there|", "1|3|0"}
		if strings.Contains(backend, "LOCAL") {
			want[3] = "1|NULL|0" // tables that the job makes come last, many at a time
		}
		require.Equal(t, want, state())
		id := jobOf(message)
		b.exec("RETRY IMPORT JOB " + id)
		b.becomes(id, "failed")
		require.Equal(t, want, state())
	})
}

// TestServiceAccountsExpressions: expressions that ask who writes see Sluice's account, and not the user's.
func TestServiceAccountsExpressions(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		b.file("$_a.t-schema.sql", "CREATE TABLE t (a INT PRIMARY KEY, who VARCHAR(200) DEFAULT (UPPER(SUBSTRING_INDEX(USER(), '@', 1))));\n")
		b.file("$_a.t.0000.csv", "a\n1\n")
		b.exec("RESTORE DATABASE `$_a` FROM '@dir'"+backend, "INSERT INTO `$_a`.t (a) VALUES (2)")
		require.Equal(t, []string{strings.ToUpper(b.sluice.Account()), "ROOT"}, b.column(b.direct, "SELECT who FROM `$_a`.t ORDER BY a"))
	})
}

// TestNamedTimeZone: a time zone that has a name needs the server's tables of time zones, which a new MariaDB hasn't filled.
func TestNamedTimeZone(t *testing.T) {
	t.Parallel()
	b := newBench(t, onMariaDB(t))
	b.file("$_a.t-schema.sql", "CREATE TABLE t (a TIMESTAMP NULL);\n")
	b.file("$_a.t.0000.sql", "/*!40103 SET TIME_ZONE='Europe/Berlin' */;\nINSERT INTO `t` VALUES ('2020-01-02 03:04:05');\n")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir'", 1298, "Europe/Berlin", "dropped")
	require.Empty(t, b.databases())
	b.file("$_a.t.0000.sql", "/*!40103 SET TIME_ZONE='+01:00' */;\nINSERT INTO `t` VALUES ('2020-01-02 03:04:05');\n")
	b.exec("RESTORE DATABASE `$_a` FROM '@dir'")
	require.Equal(t, []string{"1577930645"}, b.column(b.direct, "SELECT UNIX_TIMESTAMP(a) FROM `$_a`.t"))
}

package restoresql_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
)

// errors are the rows that a job has recorded: table, file, line, column and value.
func (b *bench) errors(id string) (list []string) {
	b.t.Helper()
	for _, row := range b.query(b.proxy, "SHOW IMPORT JOB "+id+" ERRORS").Maps() {
		list = append(list, strings.Join([]string{row["Table_Name"], strings.TrimPrefix(filepath.Base(row["File"]), b.name+"_a."), row["Line"], row["Column_Name"], row["Value"]}, "|"))
	}
	return list
}

// jobOf is the job that a failed statement's message names.
func jobOf(message string) string { return strings.TrimSuffix(strings.Fields(message)[2], ":") }

// TestMaxErrors: rows that can't be read, and those that the server refuses, are left out and recorded, of all tables together up to the limit.
func TestMaxErrors(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		b.file("$_a.t-schema.sql", "CREATE TABLE t (a TINYINT PRIMARY KEY, b VARCHAR(3) NOT NULL);\n")
		b.file("$_a.t.0000.csv", "a,b\n1,x\n2,longer\n300,y\n3,\\N\n4\n5,z\n")
		b.file("$_a.u-schema.sql", "CREATE TABLE u (a INT);\n")
		b.file("$_a.u.0000.sql", "INSERT INTO `u` VALUES (1),('x'),(2),(3,4);\n")
		b.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.u (a INT)", "INSERT INTO `$_a`.u VALUES (-1)")
		want := []string{"t|t.0000.csv|3|b|longer", "t|t.0000.csv|4|a|300", "t|t.0000.csv|5|b|3,\\N", "t|t.0000.csv|6||4", "u|u.0000.sql|1|a|x", "u|u.0000.sql|1||(3,4)"}

		message := b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' max_errors = 5 CONCURRENCY = 1"+backend, 1366, "more than 5 rows can't be imported (max_errors = 5); the first: ")
		require.LessOrEqual(t, len(b.errors(jobOf(message))), 6)
		require.Equal(t, []string{"u"}, b.column(b.direct, "SHOW TABLES FROM `$_a`"))
		b.exec("DELETE FROM `$_a`.u WHERE a > 0")

		id := b.row("RESTORE DATABASE `$_a` FROM '@dir' DETACHED max_errors = 6" + backend)["Job_ID"]
		row := b.becomes(id, "finished")
		require.Contains(t, row["Result_Message"], "rows left out and recorded: 6 (4 type, 2 syntax)")
		require.Equal(t, "4", row["Imported_Rows"])
		require.ElementsMatch(t, want, b.errors(id))
		require.Equal(t, []string{"1|x", "5|z"}, b.column(b.direct, "SELECT * FROM `$_a`.t ORDER BY a"))
		require.Equal(t, []string{"-1", "1", "2"}, b.column(b.direct, "SELECT * FROM `$_a`.u ORDER BY a"))

		// Rows with equal keys are no bad rows.
		b.exec("DROP TABLE `$_a`.u")
		b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' max_errors = 100"+backend, 1062, "t.0000.csv, line 2")
	})
}

// badRows writes manyRows' dump with one more file: each of its rows is bad.
func (b *bench) badRows() (want []string) {
	b.manyRows()
	var text strings.Builder
	text.WriteString("a,b\n")
	for i := range manyRows {
		if i%500 == 250 {
			fmt.Fprintf(&text, "%d,%s\n", i, strings.Repeat("long", 600))
			want = append(want, fmt.Sprintf("t|t.0000.csv|%d|b", i+2))
			continue
		}
		fmt.Fprintf(&text, "%d,%s\n", i, strings.Repeat(string(rune('a'+i%26)), 1000))
	}
	b.file("$_a.t.0000.csv", text.String())
	return want
}

// places are errors without their values.
func places(errors []string) (list []string) {
	for _, e := range errors {
		list = append(list, e[:strings.LastIndexByte(e, '|')])
	}
	return list
}

// TestMaxErrorsKilled: when a Sluice is killed, what it has left out isn't lost: the one that goes on records each row once, and so does one that gives the job up.
func TestMaxErrorsKilled(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		heir := newBench(t, s)
		first := instance.ForTest(t, sluiceAt(s))
		b := benchOn(t, s, first)
		want := b.badRows()
		heir.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT, b VARCHAR(2000), UNIQUE KEY (a))")
		free := b.blocked("INSERT INTO `$_a`.t VALUES (5900, '')")
		id := b.row("RESTORE TABLE `$_a`.t FROM '@dir' DETACHED max_errors = " + fmt.Sprint(len(want)) + backend)["Job_ID"]
		b.held("`$_a`.t")
		first.Kill()
		free()
		row := heir.becomes(id, "finished")
		require.Equal(t, want, places(heir.errors(id)))
		require.Equal(t, fmt.Sprint(manyRows-len(want)), row["Imported_Rows"])
		require.Equal(t, []string{fmt.Sprint(manyRows - len(want))}, b.column(b.direct, "SELECT COUNT(*) FROM `$_a`.t"))
		require.Equal(t, []string{"0"}, b.column(b.direct, "SELECT COUNT(*) FROM sluice.logical_rejects WHERE table_schema = '$_a'"))
	})
}

// TestMaxErrorsCancelled: a job that is cancelled tells which rows of those that stay were left out.
func TestMaxErrorsCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		want := b.badRows()
		b.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT, b VARCHAR(2000), UNIQUE KEY (a))")
		free := b.blocked("INSERT INTO `$_a`.t VALUES (5900, '')")
		id := b.row("RESTORE TABLE `$_a`.t FROM '@dir' DETACHED max_errors = " + fmt.Sprint(len(want)) + backend)["Job_ID"]
		b.held("`$_a`.t")
		b.exec("CANCEL IMPORT JOB " + id)
		row := b.becomes(id, "cancelled")
		free()
		told := places(b.errors(id))
		require.Subset(t, want, told)
		require.NotEmpty(t, told)
		require.Contains(t, row["Result_Message"], fmt.Sprintf("bad rows: %d", len(told)))
		b.exec("RETRY IMPORT JOB " + id)
		b.becomes(id, "finished")
		require.Equal(t, want, places(b.errors(id)))
	})
}

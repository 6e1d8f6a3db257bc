package restorejobs_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

// TestRestore: a dump is restored, and the job tells of it wherever it can be asked.
func TestRestore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dump()
	restored := b.query(b.proxy, "RESTORE DATABASE `$_a` FROM 'local://@dir' CONCURRENCY = 2 CHECKSUM = TRUE")
	require.Equal(t, []string{"Destination", "Size", "BackupTS", "Cluster TS", "Queue Time", "Execution Time"}, restored.Columns)
	rows := restored.Rows
	require.Len(t, rows, 1)
	require.Equal(t, "local://"+b.dir, rows[0][0])
	require.NotEqual(t, "0", rows[0][1])
	require.NotEqual(t, "0", rows[0][3])
	for _, at := range rows[0][4:] {
		_, err := time.Parse(time.DateTime, at)
		require.NoError(t, err)
	}
	require.Equal(t, [][]string{{"1", "x"}, {"2", "y"}, {"3", "z"}}, b.rows(b.direct, "SELECT * FROM `$_a`.t ORDER BY a"))
	require.Equal(t, [][]string{{"1"}, {"2"}, {"3"}}, b.rows(b.direct, "SELECT * FROM `$_a`.v ORDER BY a"))
	for _, table := range []string{"t", "u"} {
		_, err := b.direct.ExecContext(t.Context(), b.own("ADMIN CHECK TABLE `$_a`."+table))
		require.NoError(t, err)
	}

	jobs := b.table(b.proxy, "SHOW IMPORT JOBS WHERE Target_Table = '`$_a`'")
	require.Len(t, jobs, 1)
	require.Equal(t, "finished", jobs[0]["Status"])
	require.Equal(t, "4", jobs[0]["Imported_Rows"])
	require.Equal(t, "NULL", jobs[0]["Table_ID"])
	require.Equal(t, "100", jobs[0]["Progress_Pct"])
	id := jobs[0]["Job_ID"]

	columns := b.query(b.proxy, "SHOW RESTORES LIKE 'none'").Columns
	require.Equal(t, []string{"Id", "Destination", "State", "Progress", "Queue_time", "Execution_time", "Finish_time", "Connection", "Message"}, columns[:9])
	restore := b.row("SHOW RESTORES WHERE Id = " + id + " AND Progress > 99.5 AND Queue_time <= Finish_time AND Connection > 0 AND Cluster_TS > Tables")
	require.Equal(t, "finished", restore["State"])
	require.Equal(t, "100", restore["Progress"])
	require.Equal(t, "local://"+b.dir, restore["Destination"])
	require.Equal(t, "`"+b.name+"_a`", restore["Targets"])
	require.Equal(t, rows[0][3], restore["Cluster_TS"])
	require.Equal(t, "4", restore["Imported_Rows"])
	require.Equal(t, "3", restore["Tables"])
	require.Equal(t, "3", restore["Tables_Done"], "the view counts")
	require.Equal(t, id, b.row("SHOW RESTORES LIKE '" + id + "'")["Id"])
	tables := b.table(b.proxy, "SHOW IMPORT JOB "+id+" TABLES")
	require.Len(t, tables, 3, "two tables and a view")
	byName := map[string]map[string]string{}
	for _, table := range tables {
		byName[table["Table_Name"]] = table
	}
	require.Equal(t, "done", byName["t"]["State"])
	require.Equal(t, "3", byName["t"]["Imported_Rows"])
	require.Equal(t, "done", byName["v"]["State"])
	require.Equal(t, b.name+"_a", byName["t"]["Table_Schema"])

	// The tables hold rows now, and are named all.
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir'", 8173, "`$_a`.`t`", "`$_a`.`u`")
}

// TestRestoreAs: databases and tables by other names, tables of the session's database, filters and routes.
func TestRestoreAs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dump()
	b.exec("RESTORE DATABASE `$_a` AS `$_b` FROM '@dir' FILTER = '!*.u'")
	require.Equal(t, []string{b.name + "_b"}, b.databases())
	require.Equal(t, [][]string{{"t"}, {"v"}}, b.rows(b.direct, "SHOW TABLES FROM `$_b`"))
	b.exec("CREATE DATABASE `$_c`")
	b.exec("RESTORE TABLE `$_a`.t AS `$_c`.w, `$_a`.u AS `$_c`.x FROM '@dir'")
	require.Equal(t, [][]string{{"3"}}, b.rows(b.direct, "SELECT COUNT(*) FROM `$_c`.w"))
	require.Equal(t, [][]string{{"7"}}, b.rows(b.direct, "SELECT a FROM `$_c`.x"))
	b.exec("RESTORE DATABASE * FROM '@dir' FILTER 'nothing.*, $_a.t' ROUTE = '$_a.t -> $_d.t2, $_a -> $_d'")
	require.Equal(t, [][]string{{"t2"}}, b.rows(b.direct, "SHOW TABLES FROM `$_d`"))

	b.fails(b.proxy, "RESTORE TABLE t FROM '@dir'", 8173, "holds no", "`$`.`t`")
	b.fails(b.proxy, "RESTORE DATABASE `$_a`, `$_none` AS `$_e` FROM '@dir'", 8173, "`$_none`")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` AS mysql FROM '@dir'", 8173, "`mysql` is a system database")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' ROUTE '$_a -> Sluice'", 8173, "`Sluice` is a system database")
	require.Equal(t, []string{b.name + "_b", b.name + "_c", b.name + "_d"}, b.databases(), "nothing was made for what was refused")
}

// TestRestoreOfFiles: a location that is a file, files with other names than a dump's, and dumps that can't be read.
func TestRestoreOfFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := filepath.Join(b.dir, "one")
	require.NoError(t, os.Mkdir(one, 0o700))
	b.file("one/backup.of.monday.sql", "CREATE TABLE t (a INT);\nINSERT INTO t VALUES (1), (2);\n")
	b.file("one/other.sql", "CREATE DATABASE `$_no`;\n")
	b.exec("RESTORE DATABASE `$_a` FROM '@dir/one/backup.of.monday.sql'")
	require.Equal(t, [][]string{{"1"}, {"2"}}, b.rows(b.direct, "SELECT a FROM `$_a`.t ORDER BY a"))
	b.fails(b.proxy, "RESTORE DATABASE * FROM '/etc/passwd'", 8173, "holds nothing of a dump")

	// mysqldump --tab
	require.NoError(t, os.Mkdir(filepath.Join(b.dir, "tab"), 0o700))
	b.file("tab/u.sql", "DROP TABLE IF EXISTS `u`;\n/*!40101 SET character_set_client = utf8mb4 */;\nCREATE TABLE `u` (`a` INT PRIMARY KEY, `b` TEXT);\n")
	b.file("tab/u.txt", "1\tone\n2\t\\N\n3\ta\\\tb\n4\tc\\\nd\n")
	b.file("tab/notes.md", "not a row")
	tab := `RESTORE DATABASE @a AS @b FROM '@dir/tab' CSV_HEADER 0 CSV_SEPARATOR '\t' CSV_DELIMITER '' FILES = "
		{pattern = '^(\\w+)\\.sql$', schema = '@a', table = '$1', type = 'table-schema'}, {pattern = '^(\\w+)\\.txt$', schema = '@a', table = '$1', type = 'csv'}"`
	tab = strings.NewReplacer("@dir", b.dir, "@a", b.name+"_a", "@b", b.name+"_b").Replace(tab)
	_, err := b.proxy.ExecContext(t.Context(), tab)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"1", "one"}, {"2", "NULL"}, {"3", "a\tb"}, {"4", "c\nd"}}, b.rows(b.direct, "SELECT * FROM `$_b`.u ORDER BY a"))
	require.Contains(t, b.row("SHOW RESTORES WHERE Targets = '`$_a` AS `$_b`'")["Message"], "notes.md: no rule of FILES fits it")

	b.file("one/@.json", "{}")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir/one'", 8173, "one/@.json", "MySQL Shell")
	require.Equal(t, []string{b.name + "_a", b.name + "_b"}, b.databases())
}

// TestRestoreOptions: rows that end with a separator, and how the cluster is treated.
func TestRestoreOptions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dump()
	b.file("$_a.t.0000.csv", "\"a\",\"b\",\n1,\"x\",\n2,\"\",\n")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir'", 1054, "$_a.t.0000.csv")
	b.exec("RESTORE DATABASE `$_a` FROM '@dir' CSV_TRIM_LAST_SEPARATORS = TRUE CHECKSUM_CONCURRENCY = 2 ONLINE = TRUE")
	require.Equal(t, [][]string{{"1", "x"}, {"2", ""}, {"3", "z"}}, b.rows(b.direct, "SELECT * FROM `$_a`.t ORDER BY a"))
	b.fails(b.proxy, "RESTORE DATABASE `$_a` AS `$_b` FROM '@dir' SEND_CREDENTIALS_TO_TIKV FALSE", 8173, "SEND_CREDENTIALS_TO_TIKV can't be used with a dump")
}

// TestRestoreFailsAndIsTriedAgain: an error names the file and what is left, and RETRY begins again.
func TestRestoreFailsAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dump()
	b.file("$_a.t.0001.csv", "\"b\",\"a\"\n\"z\",many\n")
	message := b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir'", 1366, "restore job ", "$_a.t.0001.csv", "many", "dropped")
	require.Empty(t, b.databases())
	id := strings.TrimSuffix(strings.Fields(message)[2], ":")
	row := b.becomes(id, "failed")
	require.Contains(t, row["Result_Message"], b.own("$_a.t.0001.csv"))
	require.Equal(t, "failed", b.row("SHOW RESTORES LIKE '" + id + "'")["State"])
	b.file("$_a.t.0001.csv", "\"b\",\"a\"\n\"z\",4\n")
	b.exec("RETRY IMPORT JOB " + id)
	b.becomes(id, "finished")
	require.Equal(t, [][]string{{"1"}, {"2"}, {"4"}}, b.rows(b.direct, "SELECT a FROM `$_a`.t ORDER BY a"))
	b.fails(b.proxy, "RETRY IMPORT JOB "+id, 8171)
}

// TestRestoreIsCancelled: what was made goes again, and only that.
func TestRestoreIsCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slowDump()
	b.exec("CREATE DATABASE `$_a`")
	b.exec("CREATE TABLE `$_a`.other (a INT)")
	row := b.row("RESTORE DATABASE `$_a` FROM '@dir' DETACHED RATE_LIMIT = 1 MB/SECOND")
	require.Equal(t, "pending", row["Status"])
	id := row["Job_ID"]
	b.started(id)
	message := b.fails(b.proxy, "RESTORE TABLE `$_a`.t FROM '@dir'", 8173)
	require.Contains(t, message, "job "+id)
	b.exec("CANCEL IMPORT JOB " + id)
	row = b.becomes(id, "cancelled")
	require.Contains(t, row["Result_Message"], "cancelled by user")
	require.Equal(t, [][]string{{"other"}}, b.rows(b.direct, "SHOW TABLES FROM `$_a`"))
	require.Equal(t, "cancelled", b.row("SHOW RESTORES LIKE '" + id + "'")["State"])
}

// TestRestoreIsPausedAndAltered: it goes on from where it was, with what ALTER has changed.
func TestRestoreIsPausedAndAltered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slowDump()
	id := b.row("RESTORE TABLE `$_a`.t AS `$_a`.w FROM '@dir' DETACHED RATE_LIMIT = 1 MB/SECOND")["Job_ID"]
	b.started(id)
	b.exec("PAUSE IMPORT JOB " + id)
	require.Equal(t, "paused", b.row("SHOW IMPORT JOB " + id)["Status"])
	b.fails(b.proxy, "RESTORE TABLE `$_a`.t AS `$_a`.w FROM '@dir'", 8173, "job "+id)
	b.exec("ALTER IMPORT JOB " + id + " SET max_write_speed = '0'")
	b.exec("RESUME IMPORT JOB " + id)
	b.becomes(id, "finished")
	require.Equal(t, [][]string{{"12000", "71994000"}}, b.rows(b.direct, "SELECT COUNT(*), SUM(a) FROM `$_a`.w"))
	_, err := b.direct.ExecContext(t.Context(), b.own("ADMIN CHECK TABLE `$_a`.w"))
	require.NoError(t, err)
}

// TestRestoreIsExplained: EXPLAIN and DRY RUN say what would be restored and change nothing.
func TestRestoreIsExplained(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dump()
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "readme.txt"), nil, 0o600))
	for _, stmt := range []string{"EXPLAIN RESTORE DATABASE `$_a` AS `$_b` FROM '@dir'", "RESTORE DATABASE `$_a` AS `$_b` FROM '@dir' DRY RUN"} {
		items := map[string][]map[string]string{}
		for _, row := range b.table(b.proxy, stmt) {
			require.NotEqual(t, "critical", row["Status"], row)
			items[row["Item"]] = append(items[row["Item"]], row)
		}
		require.Equal(t, "2", items["tables"][0]["Value"])
		require.Equal(t, b.name+"_b", items["databases"][0]["Detail"])
		require.Len(t, items["table"], 2)
		require.Contains(t, items["table"][1]["Detail"], b.own("`$_b`.`t` from `$_a`.`t`, 2 files"))
		require.Len(t, items["view"], 1)
		require.Len(t, items["skipped_file"], 2, "the placeholder of the view too")
	}
	require.Empty(t, b.databases())
	b.exec("CREATE DATABASE `$_a`")
	b.exec("CREATE TABLE `$_a`.t (a INT PRIMARY KEY, b VARCHAR(20), KEY (b))")
	b.exec("INSERT INTO `$_a`.t VALUES (9, '')")
	critical := ""
	for _, row := range b.table(b.proxy, "EXPLAIN RESTORE DATABASE `$_a` FROM '@dir'") {
		if row["Status"] == "critical" {
			critical += row["Detail"]
		}
	}
	require.Contains(t, critical, b.own("`$_a`.`t`"))
}

// TestRestoreRefusesByName: no option is accepted and ignored.
func TestRestoreRefusesByName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dump()
	for option, name := range map[string]string{
		"RESUME = 5": "RESUME", "CHECKPOINT = FALSE": "CHECKPOINT", "TIKV_IMPORTER = 'h:1'": "TIKV_IMPORTER",
		"BACKEND = tidb ON_DUPLICATE = capture": "ON_DUPLICATE = CAPTURE for rows that go in by SQL",
	} {
		b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' "+option, 1235, name)
	}
	for option, names := range map[string]string{
		"SEND_CREDENTIALS_TO_TIKV TRUE WAIT_TIFLASH_READY FALSE": "SEND_CREDENTIALS_TO_TIKV, WAIT_TIFLASH_READY", "WITH_SYS_TABLE FALSE": "WITH_SYS_TABLE", "WITH_SYS_TABLE TRUE": "WITH_SYS_TABLE = TRUE",
		"LOAD_STATS TRUE": "LOAD_STATS", "ENCRYPTION_METHOD 'plaintext'": "ENCRYPTION_METHOD",
	} {
		b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' "+option, 8173, names+" can't be used with a dump")
	}
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' SNAPSHOT 5", 8166, "snapshot")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM 'hdfs://b/x?credentials-file=SSSS'", 1235, "hdfs")
	require.Empty(t, b.databases())
}

// TestRestoreLeavesOutBadRows: bad rows of all tables are recorded with their tables, up to a limit for all.
func TestRestoreLeavesOutBadRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dump()
	b.file("$_a.t.0002.csv", "\"a\",\"b\"\n4,\"much more than twenty characters\"\n5\n6,\"six\"\n")
	b.file("$_a.u.0001.csv", "\"a\"\nx\n")
	_, err := b.proxy.ExecContext(t.Context(), b.own("RESTORE DATABASE `$_a` FROM '@dir' max_errors = 2"))
	require.ErrorContains(t, err, "more than 2 rows can't be imported (max_errors = 2); the first: ")
	require.Empty(t, b.databases())
	failed := b.row("SHOW IMPORT JOBS WHERE Status = 'failed' AND Target_Table = '`$_a`'")
	require.Contains(t, failed["Result_Message"], "more than 2 rows can't be imported (max_errors = 2)")

	b.exec("RESTORE DATABASE `$_a` FROM '@dir' max_errors = 3")
	require.Equal(t, [][]string{{"1"}, {"2"}, {"3"}, {"6"}}, b.rows(b.direct, "SELECT a FROM `$_a`.t ORDER BY a"))
	done := b.row("SHOW IMPORT JOBS WHERE Status = 'finished' AND Target_Table = '`$_a`'")
	id := done["Job_ID"]
	require.Contains(t, done["Result_Message"], "rows left out and recorded: 3 (2 type, 1 syntax), shown by SHOW IMPORT JOB "+id+" ERRORS")
	var recorded []string
	for i, row := range b.table(b.proxy, "SHOW IMPORT JOB "+id+" ERRORS") {
		require.Equal(t, strconv.Itoa(i+1), row["Seq"])
		recorded = append(recorded, strings.Join([]string{row["Table_Schema"], row["Table_Name"], filepath.Base(row["File"]), row["Line"], row["Column_Name"], row["Value"]}, "|"))
	}
	require.ElementsMatch(t, []string{
		b.own("$_a|t|$_a.t.0002.csv|2|b|much more than twenty characters"), b.own("$_a|t|$_a.t.0002.csv|3||5"), b.own("$_a|u|$_a.u.0001.csv|2|a|x"),
	}, recorded)
	told := map[string]string{}
	for _, row := range b.table(b.proxy, "SHOW IMPORT JOB "+id+" TABLES") {
		told[row["Table_Name"]] = row["Message"]
	}
	require.Equal(t, map[string]string{"t": "rows left out and recorded: 2", "u": "rows left out and recorded: 1", "v": "NULL"}, told)
}

// TestRestorePrivileges: RESTORE_ADMIN or SUPER, and FILE for what is on Sluice's machine.
func TestRestorePrivileges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dump()
	user := "restorer_" + b.name
	b.exec("CREATE USER " + user)
	t.Cleanup(func() { _, _ = b.direct.Exec("DROP USER " + user) })
	db, err := b.sluice.Open(user, "", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	b.fails(db, "RESTORE DATABASE `$_a` FROM '@dir'", 1227, "RESTORE_ADMIN")
	b.fails(db, "EXPLAIN RESTORE DATABASE `$_a` FROM '@dir'", 1227, "RESTORE_ADMIN")
	b.fails(db, "SHOW RESTORES", 1227, "RESTORE_ADMIN")
	b.exec("GRANT RESTORE_ADMIN ON *.* TO " + user)
	b.fails(db, "RESTORE DATABASE `$_a` FROM '@dir'", 1227, "FILE")
	b.exec("GRANT FILE ON *.* TO " + user)
	_, err = db.ExecContext(t.Context(), b.own("RESTORE DATABASE `$_a` FROM '@dir'"))
	require.NoError(t, err)
	require.NotEmpty(t, b.table(db, "SHOW RESTORES"))
	_, err = db.ExecContext(t.Context(), "BEGIN; RESTORE DATABASE * FROM '/x'")
	require.Error(t, err)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "RESTORE DATABASE * FROM '/x'")
	require.ErrorContains(t, err, "cannot run RESTORE in explicit transaction")
	require.NoError(t, tx.Rollback())
}

// TestRestoreIsTakenOver: when its Sluice is killed, another one goes on with it.
func TestRestoreIsTakenOver(t *testing.T) {
	t.Parallel()
	heir := newBench(t)
	first := instance.ForTest(t, sluiceAt(playground.Shared(t)))
	b := benchOn(t, playground.Shared(t), first)
	b.slowDump()
	b.file("$_a.s-schema.sql", "CREATE TABLE `s` (`a` INT PRIMARY KEY);\n")
	b.file("$_a.s.csv", "a\n1\nx\n")
	b.file("$_a.t.0001.csv", "a,b\ny,z\n")
	id := b.row("RESTORE DATABASE `$_a` FROM '@dir' DETACHED RATE_LIMIT = 1 MB/SECOND max_errors = 2")["Job_ID"]
	b.started(id)
	first.Kill()
	heir.exec("ALTER IMPORT JOB " + id + " SET max_write_speed = '0'")
	heir.becomes(id, "finished")
	require.Equal(t, [][]string{{"12000", "71994000"}}, b.rows(b.direct, "SELECT COUNT(*), SUM(a) FROM `$_a`.t"))
	_, err := b.direct.ExecContext(t.Context(), b.own("ADMIN CHECK TABLE `$_a`.t"))
	require.NoError(t, err)
	var recorded []string
	for _, row := range heir.table(heir.proxy, "SHOW IMPORT JOB "+id+" ERRORS") {
		recorded = append(recorded, row["Table_Name"]+" "+row["Value"])
	}
	require.ElementsMatch(t, []string{"s x", "t y"}, recorded)
	events := heir.table(heir.proxy, "SHOW IMPORT JOB "+id+" EVENTS")
	require.NotEmpty(t, events)
}

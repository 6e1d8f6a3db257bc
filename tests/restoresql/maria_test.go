package restoresql_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dump writes a small one of the database $_a: tables t and u, a view of t and a sequence.
func (b *bench) dump() {
	b.t.Helper()
	b.file("$_a-schema-create.sql", "CREATE DATABASE `$_a` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;\n")
	b.file("$_a.t-schema.sql", "CREATE TABLE `t` (`a` INT PRIMARY KEY /*T![clustered_index] CLUSTERED */, `b` VARCHAR(20), `g` INT AS (`a` + 1), KEY (`b`)) COLLATE=utf8mb4_bin;\n")
	b.file("$_a.t.0000.csv", "\"a\",\"b\"\n1,\"x\"\n2,\\N\n")
	b.file("$_a.t.0001.csv", "\"b\",\"a\"\n\"z\",3\n")
	b.file("$_a.u-schema.sql", "CREATE TABLE `u` (`a` BIGINT AUTO_INCREMENT PRIMARY KEY, `c` TIMESTAMP NULL) AUTO_INCREMENT=50 COLLATE=utf8mb4_bin;\n")
	b.file("$_a.u.0000.sql", "/*!40101 SET NAMES binary*/;\n/*!40103 SET TIME_ZONE='+01:00' */;\nINSERT INTO `u` VALUES (7,'2020-01-02 03:04:05'),(8,NULL);\n")
	b.file("$_a.v-schema.sql", "CREATE TABLE `v` (`a` TINYINT);\n")
	b.file("$_a.v-schema-view.sql", "DROP TABLE IF EXISTS `v`;\nCREATE VIEW `v` AS SELECT `a` FROM `t`;\n")
	b.file("$_a.s-schema-sequence.sql", "CREATE SEQUENCE `s` start with 1 minvalue 1 maxvalue 100 increment by 1 cache 10 nocycle ENGINE=InnoDB;\nSELECT SETVAL(`s`,9);\n")
}

// TestMariaDB: a Sluice in front of MariaDB forwards what isn't its own, and restores a dump as a job.
func TestMariaDB(t *testing.T) {
	t.Parallel()
	b := newBench(t, onMariaDB(t))
	require.Contains(t, b.column(b.proxy, "SELECT VERSION()")[0], "MariaDB")
	b.dump()
	items := map[string]int{}
	all := b.query(b.proxy, "EXPLAIN RESTORE DATABASE `$_a` FROM '@dir'").Maps()
	for _, row := range all {
		require.NotEqual(t, "critical", row["Status"], row)
		items[row["Item"]]++
	}
	require.Equal(t, 2, items["table"])
	require.Equal(t, 1, items["sequence"])
	require.Empty(t, b.databases())

	restored := b.query(b.proxy, "RESTORE DATABASE `$_a` FROM 'local://@dir' CHECKSUM = TRUE")
	all, columns := restored.Maps(), restored.Columns
	require.Equal(t, []string{"Destination", "Size", "BackupTS", "Cluster TS", "Queue Time", "Execution Time"}, columns)
	require.Equal(t, "0", all[0]["Cluster TS"])
	require.Equal(t, []string{"1|x|2", "2|NULL|3", "3|z|4"}, b.column(b.direct, "SELECT * FROM `$_a`.t ORDER BY a"))
	require.Equal(t, []string{"1", "2", "3"}, b.column(b.direct, "SELECT * FROM `$_a`.v ORDER BY a"))
	require.Equal(t, []string{"7|1577930645", "8|NULL"}, b.column(b.direct, "SELECT a, UNIX_TIMESTAMP(c) FROM `$_a`.u ORDER BY a"))
	require.Equal(t, []string{"10"}, b.column(b.direct, "SELECT NEXTVAL(`$_a`.s)"))
	b.exec("INSERT INTO `$_a`.u (c) VALUES (NULL)")
	require.Equal(t, []string{"50"}, b.column(b.direct, "SELECT MAX(a) FROM `$_a`.u"))

	jobs := b.query(b.proxy, "SHOW IMPORT JOBS WHERE Target_Table = '`$_a`'").Maps()
	require.Len(t, jobs, 1)
	require.Equal(t, "finished", jobs[0]["Status"])
	require.Equal(t, "5", jobs[0]["Imported_Rows"])
	id := jobs[0]["Job_ID"]
	shown := b.row("SHOW RESTORES LIKE '" + id + "'")
	require.Equal(t, []string{"finished", "4", "4"}, []string{shown["State"], shown["Tables"], shown["Tables_Done"]}, "the view and the sequence count")
	tables := b.query(b.proxy, "SHOW IMPORT JOB "+id+" TABLES").Maps()
	require.Len(t, tables, 4)

	// Tables that hold rows take more, unless keys collide.
	b.fails(b.proxy, "RESTORE TABLE `$_a`.t FROM '@dir'", 1062, "$_a.t.0000.csv, line 2", "'1'")
	b.exec("DELETE FROM `$_a`.t WHERE a = 3", "UPDATE `$_a`.t SET b = 'own' WHERE a = 1", "RESTORE TABLE `$_a`.t FROM '@dir' ON_DUPLICATE = IGNORE")
	require.Equal(t, []string{"1|own", "2|NULL", "3|z"}, b.column(b.direct, "SELECT a, b FROM `$_a`.t ORDER BY a"))
	b.exec("RESTORE TABLE `$_a`.t FROM '@dir' ON_DUPLICATE = REPLACE")
	require.Equal(t, []string{"1|x", "2|NULL", "3|z"}, b.column(b.direct, "SELECT a, b FROM `$_a`.t ORDER BY a"))
}

// TestMariaDBRefuses: what it can't have, and what only TiDB's stores could do, is named before anything is made.
func TestMariaDBRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, onMariaDB(t))
	b.dump()
	b.file("$_a.w-schema.sql", "CREATE TABLE `w` (`a` VECTOR(3), `b` VARCHAR(3) COLLATE utf8mb4_0900_ai_ci, KEY `k` ((`a` + 1)));\n")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir'", 8173, "the type VECTOR of column a", "the collation utf8mb4_0900_ai_ci of column b", "the expression in index k")
	b.exec("RESTORE DATABASE `$_a` AS `$_b` FROM '@dir' FILTER = '!*.w'")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' BACKEND = LOCAL", 1235, "BACKEND = 'local' needs TiDB")
	b.fails(b.proxy, "IMPORT INTO `$_b`.t FROM '@dir/$_a.t.0000.csv'", 1235, "IMPORT INTO needs TiDB", "MariaDB")
	require.Equal(t, []string{b.name + "_b"}, b.databases())

	user := "u_" + b.name
	b.exec("CREATE USER " + user)
	t.Cleanup(func() { _, _ = b.direct.Exec("DROP USER " + user) })
	db, err := b.sluice.Open(user, "", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	b.fails(db, "RESTORE DATABASE `$_a` FROM '@dir'", 1227, "SUPER")
	b.fails(db, "SHOW RESTORES", 1227, "SUPER")
	b.exec("GRANT SUPER ON *.* TO " + user)
	b.fails(db, "RESTORE DATABASE `$_a` FROM '@dir'", 1227, "FILE")
	b.exec("REVOKE SUPER ON *.* FROM "+user, "GRANT ALL PRIVILEGES ON *.* TO "+user)
	_, err = db.ExecContext(t.Context(), b.own("RESTORE DATABASE `$_a` AS `$_c` FROM '@dir' FILTER = '!*.w'"))
	require.NoError(t, err)
}

// TestMariaDBFails: what the job has made goes again, and only that.
func TestMariaDBFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, onMariaDB(t))
	b.dump()
	b.file("$_a.t.0001.csv", "\"b\",\"a\"\n\"z\",many\n")
	message := b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir'", 1366, "restore job ", "$_a.t.0001.csv", "many", "dropped")
	require.Empty(t, b.databases())
	id := strings.TrimSuffix(strings.Fields(message)[2], ":")
	b.becomes(id, "failed")
	b.file("$_a.t.0001.csv", "\"b\",\"a\"\n\"z\",4\n")
	b.exec("RETRY IMPORT JOB " + id)
	b.becomes(id, "finished")
	require.Equal(t, []string{"1", "2", "4"}, b.column(b.direct, "SELECT a FROM `$_a`.t ORDER BY a"))
}

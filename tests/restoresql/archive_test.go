package restoresql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/brarchive"
)

// TestArchive: a backup that TiDB has made, an encrypted one, goes by SQL into MariaDB, and into tables of TiDB that hold rows.
func TestArchive(t *testing.T) {
	t.Parallel()
	tidb := newBench(t, onTiDB(t))
	tidb.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT PRIMARY KEY, b VARCHAR(20), c TIMESTAMP(3) NULL, d JSON, e BIT(9)) COLLATE utf8mb4_bin PARTITION BY HASH (a) PARTITIONS 2",
		`INSERT INTO $_a.t VALUES (1, 'x', FROM_UNIXTIME(1577934245.678), '{"k": [1]}', b'100000001'), (2, NULL, NULL, NULL, NULL), (3, 'ü', NULL, '"s"', 3)`,
		"CREATE TABLE `$_a`.odd (a INT, KEY ((a + 1)))", "CREATE TABLE `$_a`.deep (a INT, d JSON)", "INSERT INTO `$_a`.deep VALUES (1, '1'), (2, CONCAT(REPEAT('[', 40), REPEAT(']', 40)))",
		"CREATE VIEW `$_a`.v AS SELECT a FROM `$_a`.t")
	tidb.exec("CREATE SEQUENCE `$_a`.s NOCACHE", "CREATE SEQUENCE `$_a`.c MAXVALUE 5 NOCACHE CYCLE")
	for range 8 {
		tidb.exec("SELECT NEXTVAL(`$_a`.s), NEXTVAL(`$_a`.c)")
	}
	made := brarchive.Backup(t, tidb.direct, "DATABASE `"+tidb.own("$_a")+"`", brarchive.Options{Method: "aes192-ctr"})
	from := fmt.Sprintf(" FROM '%s' ENCRYPTION_METHOD = '%s' ENCRYPTION_KEYFILE = '%s'", made.Location, made.Method, made.KeyFile)

	maria := newBench(t, onMariaDB(t))
	maria.fails(maria.proxy, "RESTORE DATABASE `$_a` AS `$_b`"+from, 8173, "`$_b`.`odd`: the expression in index expression_index")
	for options, name := range map[string]string{"LAST_BACKUP 5": "LAST_BACKUP", "SKIP_SCHEMA_FILES TRUE": "SKIP_SCHEMA_FILES", "WITH_SYS_TABLE TRUE": "WITH_SYS_TABLE",
		"ROUTE '$_a.* -> $_b.x'": "of an archive can't become one table"} {
		maria.fails(maria.proxy, "RESTORE DATABASE *"+from+" "+strings.ReplaceAll(options, "$", tidb.name), 8173, name)
	}
	require.Empty(t, maria.databases())
	all := maria.query(maria.proxy, "RESTORE DATABASE `$_a` AS `$_b`"+from+" FILTER = '!*.odd, !*.deep'").Maps()
	require.Equal(t, fmt.Sprint(made.BackupTS), all[0]["BackupTS"])
	require.Equal(t, []string{`1|x|1577934245.678|{"k": [1]}|101`, "2|NULL|NULL|NULL|NULL", `3|ü|NULL|"s"|3`},
		maria.column(maria.direct, "SELECT a, b, UNIX_TIMESTAMP(c), d, HEX(e) FROM `$_b`.t ORDER BY a"))

	shown := maria.row("SHOW RESTORES WHERE Backup_TS = " + fmt.Sprint(made.BackupTS))
	require.Contains(t, shown["Message"], "there is no account `root`@`%`, so nobody can read views that use its rights until it is made: "+maria.own("`$_b`.`v`"))
	maria.fails(maria.direct, "SELECT * FROM `$_b`.v", 1449, "root")
	maria.fails(maria.proxy, "RESTORE TABLE `$_a`.deep AS `$_b`.deep"+from, 4025, "`$_b`.`deep`", "CONSTRAINT `deep.d` failed", ".sst)", "what the job had made was dropped")

	// Sequences that exist go on behind the values that the archive's have given, without another round.
	next := func() string { return maria.column(maria.direct, "SELECT NEXTVAL(`$_b`.s), NEXTVAL(`$_b`.c)")[0] }
	require.Equal(t, "10|5", next())
	maria.exec("DROP TABLE `$_b`.t", "DROP SEQUENCE `$_b`.s", "CREATE SEQUENCE `$_b`.s", "RESTORE DATABASE `$_a` AS `$_b`"+from+" FILTER = '!*.odd, !*.deep'")
	require.Equal(t, "10|1", next())

	tidb.exec("DELETE FROM `$_a`.t WHERE a < 3", "UPDATE `$_a`.t SET b = 'own'", "INSERT INTO `$_a`.t (a) VALUES (7)")
	tidb.fails(tidb.proxy, "RESTORE TABLE `$_a`.t"+from+" BACKEND = 'tidb'", 1062, "'3'")
	tidb.exec("DELETE FROM `$_a`.t WHERE a < 3")
	tidb.exec("RESTORE TABLE `$_a`.t" + from + " BACKEND = 'tidb' ON_DUPLICATE = ignore")
	require.Equal(t, []string{"1|x", "2|NULL", "3|own", "7|NULL"}, tidb.column(tidb.direct, "SELECT a, b FROM `$_a`.t ORDER BY a"))
}

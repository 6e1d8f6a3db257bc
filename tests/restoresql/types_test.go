package restoresql_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExistingTable: a table that exists takes rows by the names of the dump's columns, in whatever order it has them. Columns that could not keep all values are
// told, all of them, before a row goes in; without schema files nothing is known, and the server's own words are in the job's result.
func TestExistingTable(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server, backend string) {
		b := newBench(t, s)
		b.file("$_a.t-schema.sql", "CREATE TABLE `t` (`a` INT, `b` DECIMAL(10,3), `c` DATETIME(3), `d` DOUBLE, `g` INT AS (`a` + 1), `v` VARCHAR(5)) CHARSET=utf8mb4 COLLATE=utf8mb4_bin;\n")
		b.file("$_a.t.0000.sql", "INSERT INTO `t` VALUES (1,1.005,'2024-01-02 03:04:05.678',0.1,2,'x  ');\n")
		b.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT, b DECIMAL(10,2), c DATETIME, d FLOAT, g INT AS (a + 1), v CHAR(5))")
		told := b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir'"+backend, 8173, "table `$_a`.`t` exists and can't keep all values",
			"column b is decimal(10,2), and decimal(10,3) in the source", "column c is datetime, and datetime(3)", "column d is float, and double", "column v is char(5), and varchar(5)")
		require.NotContains(t, told, "column g")
		require.NotContains(t, told, "column a ")
		require.Equal(t, []string{"0"}, b.column(b.direct, "SELECT COUNT(*) FROM `$_a`.t"))

		b.exec("RESTORE DATABASE `$_a` FROM '@dir' SKIP_SCHEMA_FILES = TRUE" + backend)
		jobs := b.query(b.proxy, "SHOW IMPORT JOBS WHERE Target_Table = '`$_a`' AND Status = 'finished'").Maps()
		require.Len(t, jobs, 1)
		require.Contains(t, jobs[0]["Result_Message"], b.own("table `$_a`.`t`: the server has warned"))
		require.Contains(t, jobs[0]["Result_Message"], "'b'")
		require.Contains(t, jobs[0]["Result_Message"], b.own("$_a.t.0000.sql, line 1"))
		require.NotContains(t, jobs[0]["Result_Message"], "'d'", "of a DOUBLE that a FLOAT can't keep the server says nothing")

		b.exec("DROP TABLE `$_a`.t", "CREATE TABLE `$_a`.t (z INT DEFAULT 9, v TEXT, g INT AS (a + 1), d DOUBLE, c DATETIME(6), a BIGINT, b DECIMAL(12,4)) CHARSET=utf8mb4")
		b.exec("RESTORE DATABASE `$_a` FROM '@dir'" + backend)
		require.Equal(t, []string{"9|x  |2|0.1|2024-01-02 03:04:05.678000|1|1.0050"}, b.column(b.direct, "SELECT * FROM `$_a`.t"))
		jobs = b.query(b.proxy, "SHOW IMPORT JOBS WHERE Target_Table = '`$_a`' AND Status = 'finished'").Maps()
		require.Len(t, jobs, 2)
		require.False(t, strings.Contains(jobs[0]["Result_Message"], "warned") && strings.Contains(jobs[1]["Result_Message"], "warned"))
	})
}

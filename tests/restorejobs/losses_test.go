package restorejobs_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRestoreViewsOf: a view that names no definer belongs to the user whose job it is, not to Sluice's account; one whose definer isn't there is told.
func TestRestoreViewsOf(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dump()
	b.file("$_a.w-schema.sql", "CREATE TABLE `w` (`a` TINYINT);\n")
	b.file("$_a.w-schema-view.sql", "CREATE DEFINER = CURRENT_USER SQL SECURITY DEFINER VIEW `w` AS SELECT `a` FROM `$_s`.`secret`;\n")
	b.file("$_a.x-schema.sql", "CREATE TABLE `x` (`a` TINYINT);\n")
	b.file("$_a.x-schema-view.sql", "CREATE DEFINER = `gone_$`@`10.%` VIEW `x` AS SELECT `a` FROM `t`;\n")
	b.file("$_a.y-schema.sql", "CREATE TABLE `y` (`a` TINYINT);\n")
	b.file("$_a.y-schema-view.sql", "CREATE DEFINER = `gone_$`@`%` SQL SECURITY INVOKER VIEW `y` AS SELECT `a` FROM `t`;\n")
	b.exec("CREATE DATABASE `$_s`")
	b.exec("CREATE TABLE `$_s`.secret (a INT)")
	b.exec("INSERT INTO `$_s`.secret VALUES (42)")
	user := "viewer_" + b.name
	b.exec("CREATE USER " + user)
	t.Cleanup(func() { _, _ = b.direct.Exec("DROP USER " + user) })
	b.exec("GRANT RESTORE_ADMIN, FILE ON *.* TO " + user)
	b.exec("GRANT SELECT ON `$_a`.* TO " + user)
	db, err := b.sluice.Open(user, "", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })

	told := ""
	for _, row := range b.table(db, "EXPLAIN RESTORE DATABASE `$_a` FROM '@dir'") {
		if row["Status"] == "warning" && strings.Contains(row["Detail"], "no account") {
			told = row["Detail"]
		}
	}
	require.Equal(t, b.own("there is no account `gone_$`@`10.%`, so nobody can read views that use its rights until it is made: `$_a`.`x`"), told)

	_, err = db.ExecContext(t.Context(), b.own("RESTORE DATABASE `$_a` FROM '@dir'"))
	require.NoError(t, err)
	require.Contains(t, b.row("SHOW RESTORES WHERE Targets = '`$_a`'")["Message"], told)
	require.Equal(t, [][]string{{"v", user + "@%"}, {"w", user + "@%"}, {"x", b.own("gone_$@10.%")}, {"y", b.own("gone_$@%")}},
		b.rows(b.direct, "SELECT table_name, definer FROM information_schema.views WHERE table_schema = '$_a' ORDER BY 1"))
	require.Equal(t, [][]string{{"1"}, {"2"}, {"3"}}, b.rows(db, "SELECT a FROM `$_a`.v ORDER BY a"))
	require.Equal(t, [][]string{{"1"}, {"2"}, {"3"}}, b.rows(db, "SELECT a FROM `$_a`.y ORDER BY a"))
	b.fails(db, "SELECT a FROM `$_a`.w", 1356, "w")
	b.fails(b.direct, "SELECT a FROM `$_a`.x", 1356, "x")
}

// TestRestoreTellsLosses: what TiDB leaves out of the definitions that a dump has is told.
func TestRestoreTellsLosses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.file("$_a-schema-create.sql", "CREATE DATABASE `$_a`;\n")
	b.file("$_a.t-schema.sql", "CREATE TABLE `t` (`a` INT(11) PRIMARY KEY, `b` TEXT, CHECK (`a` > 1), FULLTEXT KEY `words` (`b`));\n")
	b.file("$_a.t.0000.csv", "a,b\n1,x\n")
	b.file("$_a.u-schema.sql", "CREATE TABLE `u` (`a` INT CHECK (`a` > 0) NOT ENFORCED, `b` TEXT, FULLTEXT KEY (`b`));\n")
	checks := b.own("TiDB leaves out the CHECK constraints of tables that it makes while tidb_enable_check_constraint is OFF: `$_a`.`t`, `$_a`.`u`")
	var details []string
	for _, row := range b.table(b.proxy, "EXPLAIN RESTORE DATABASE `$_a` FROM '@dir'") {
		if row["Item"] == "schema" && row["Status"] == "warning" {
			details = append(details, row["Detail"])
		}
	}
	require.Equal(t, []string{checks}, details)
	b.exec("RESTORE DATABASE `$_a` FROM '@dir'")
	message := b.row("SHOW RESTORES WHERE Targets = '`$_a`'")["Message"]
	require.Contains(t, message, checks)
	_, remarks, _ := strings.Cut(message, "the server warns about ")
	require.Contains(t, remarks, "The used table type doesn't support FULLTEXT indexes")
	require.Contains(t, remarks, b.own("`$_a`.`t`"))
	require.Contains(t, remarks, b.own("`$_a`.`u`"))
	require.NotContains(t, message, "tidb_enable_check_constraint is off")
	require.NotContains(t, message, "deprecated")
}

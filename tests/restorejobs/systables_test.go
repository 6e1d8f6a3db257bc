package restorejobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/peers"
	"github.com/sluicedb/sluice/tests/playground"
)

// accounts are all rows of system tables that name the test's accounts or databases, by table.
func (b *bench) accounts() map[string][]string {
	b.t.Helper()
	out := map[string][]string{}
	for table, where := range map[string]string{
		"user": "user LIKE '$%'", "db": "user LIKE '$%'", "tables_priv": "user LIKE '$%'", "columns_priv": "user LIKE '$%'", "global_priv": "user LIKE '$%'",
		"global_grants": "user LIKE '$%'", "default_roles": "user LIKE '$%'", "role_edges": "to_user LIKE '$%'", "password_history": "user LIKE '$%'",
		"expr_pushdown_blacklist": "name LIKE '$%'", "opt_rule_blacklist": "name LIKE '$%'",
	} {
		for _, row := range b.rows(b.direct, "SELECT * FROM mysql."+table+" WHERE "+where) {
			out[table] = append(out[table], fmt.Sprintf("%q", row))
		}
		slices.Sort(out[table])
	}
	for _, row := range b.rows(b.direct, "SELECT original_sql, bind_sql, default_db, status, create_time, charset, collation, source, sql_digest, plan_digest FROM mysql.bind_info "+
		"WHERE original_sql LIKE '%$_a%' AND status <> 'deleted'") {
		out["bind_info"] = append(out["bind_info"], fmt.Sprintf("%q", row))
	}
	return out
}

// root is the row of the account that no restore changes.
func (b *bench) root() [][]string {
	b.t.Helper()
	return b.rows(b.direct, "SELECT * FROM mysql.user WHERE user = 'root'")
}

// TestRestoreSystemTables: accounts with all that they have, and bindings, are there again and can be used; accounts that exist, and root, stay
// as they are. It is not parallel to others: a backup of everything has their accounts too.
func TestRestoreSystemTables(t *testing.T) {
	b := newBench(t)
	both := func(stmts ...string) {
		t.Helper()
		for _, stmt := range stmts {
			_, err := b.direct.ExecContext(t.Context(), b.own(stmt))
			require.NoError(t, err, stmt)
		}
	}
	t.Cleanup(func() { b.logsAll(false) })
	gone := []string{"DROP USER IF EXISTS `$_app`, `$_tls`@'10.%', `$_weak`", "DROP ROLE IF EXISTS `$_role`", "DROP RESOURCE GROUP IF EXISTS `$_rg`",
		"DROP GLOBAL BINDING FOR SELECT * FROM `$_a`.t WHERE a = 1", "DROP GLOBAL BINDING FOR SELECT * FROM `$_a`.t WHERE b = 1",
		"DELETE FROM mysql.expr_pushdown_blacklist WHERE name LIKE '$%'", "DELETE FROM mysql.opt_rule_blacklist WHERE name LIKE '$%'"}
	t.Cleanup(func() {
		for _, stmt := range append(gone, "ALTER USER root COMMENT ''") {
			_, err := b.direct.Exec(b.own(stmt))
			require.NoError(t, err, stmt)
		}
	})
	both("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT PRIMARY KEY, b INT, KEY (b))", "INSERT INTO `$_a`.t VALUES (1, 2)",
		"CREATE RESOURCE GROUP `$_rg` RU_PER_SEC = 100000",
		"CREATE USER `$_app` IDENTIFIED BY 'Its-secret1' PASSWORD HISTORY 3 COMMENT 'ours' RESOURCE GROUP `$_rg`",
		"ALTER USER `$_app` IDENTIFIED BY 'Its-secret2'", "CREATE USER `$_tls`@'10.%' IDENTIFIED BY 'Its-secret3' REQUIRE X509 ACCOUNT LOCK",
		"CREATE ROLE `$_role`", "GRANT SELECT ON `$_a`.* TO `$_role`", "GRANT `$_role` TO `$_app`, root", "SET DEFAULT ROLE `$_role` TO `$_app`",
		"GRANT INSERT ON `$_a`.t TO `$_app`", "GRANT UPDATE (b) ON `$_a`.t TO `$_app`", "GRANT BACKUP_ADMIN ON *.* TO `$_app` WITH GRANT OPTION",
		"CREATE GLOBAL BINDING FOR SELECT * FROM `$_a`.t WHERE a = 1 USING SELECT * FROM `$_a`.t USE INDEX (b) WHERE a = 1",
		"CREATE GLOBAL BINDING FOR SELECT * FROM `$_a`.t WHERE b = 1 USING SELECT * FROM `$_a`.t IGNORE INDEX (b) WHERE b = 1",
		"INSERT INTO mysql.expr_pushdown_blacklist VALUES ('$_sin', 'tikv', 'wrong'), ('$_cos', 'tiflash', NULL)", "INSERT INTO mysql.opt_rule_blacklist VALUES ('$_rule')",
		"ALTER USER root COMMENT 'then'")
	want := b.accounts()
	require.Len(t, want, 12, "all tables have rows")
	require.Len(t, want["bind_info"], 2)
	hash := strings.ToLower(b.rows(b.direct, "SELECT authentication_string FROM mysql.user WHERE user = '$_app'")[0][0])
	require.Contains(t, want["user"][0], `, \"resource_group\": \"`+b.name+`_rg\"`)
	for i := range want["user"] {
		want["user"][i] = strings.ReplaceAll(want["user"][i], `, \"resource_group\": \"`+b.name+`_rg\"`, "")
	}
	made := brarchive.Backup(t, b.direct, "DATABASE *", brarchive.Options{})
	both(gone...)
	both("DROP DATABASE `$_a`", "ALTER USER root COMMENT 'now'")
	root := b.root()
	restore := "RESTORE DATABASE * FROM '" + made.Location + "' FILTER '$_a.*, mysql.*' WITH_SYS_TABLE = TRUE"

	b.refusesSystemTables(made, restore)
	require.Empty(t, b.databases())
	require.Empty(t, b.accounts())

	items := map[string]string{}
	for _, row := range b.table(b.proxy, "EXPLAIN "+restore) {
		require.NotEqual(t, "critical", row["Status"], row)
		items[row["Item"]] = row["Value"]
	}
	require.Equal(t, "3", items["accounts"])
	require.Equal(t, "2", items["bindings"])

	both("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.t (a INT PRIMARY KEY, b INT, KEY (b))",
		"CREATE GLOBAL BINDING FOR SELECT * FROM `$_a`.t WHERE b = 1 USING SELECT * FROM `$_a`.t USE INDEX (b) WHERE b = 1", "DROP DATABASE `$_a`",
		"INSERT INTO mysql.expr_pushdown_blacklist VALUES ('$_cos', 'tiflash', NULL)")
	kept := b.accounts()["bind_info"]
	b.logsAll(true)
	b.exec(restore)
	b.logsAll(false)
	got := b.accounts()
	require.Contains(t, got["bind_info"], kept[0], "a binding of the cluster stays")
	slices.Sort(got["bind_info"])
	at := slices.IndexFunc(want["bind_info"], func(row string) bool { return strings.Contains(row, "`a` = ?") })
	require.GreaterOrEqual(t, at, 0)
	backedUp := maps.Clone(want)
	want["bind_info"] = []string{want["bind_info"][at], kept[0]}
	slices.Sort(want["bind_info"])
	require.Equal(t, want, got)
	require.Equal(t, root, b.root())
	require.Empty(t, b.rows(b.direct, "SELECT * FROM mysql.role_edges WHERE to_user = 'root'"))
	message := b.row("SHOW RESTORES WHERE Destination = '" + made.Location + "' AND State = 'finished'")["Message"]
	require.Contains(t, message, "restored with system tables: 3 accounts, 1 binding")
	require.Contains(t, message, "added to the optimizer's lists: 2 rows")
	require.Contains(t, message, "accounts `root`@`%`")
	require.Contains(t, message, "left out, because the cluster has bindings for their statements: 1 binding")
	b.secret(hash)
	b.unlogged(hash)

	app, err := b.sluice.Open(b.name+"_app", "Its-secret2", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, app.Close()) })
	require.Equal(t, [][]string{{"1", "2"}}, b.rows(app, "SELECT * FROM `$_a`.t"), "by its default role")
	b.fails(app, "DELETE FROM `$_a`.t", 1142)
	require.Eventually(t, func() bool {
		_, err := b.direct.ExecContext(t.Context(), b.own("SELECT * FROM `$_a`.t WHERE a = 1"))
		return err == nil && len(b.rows(b.direct, "SHOW GLOBAL BINDINGS WHERE original_sql LIKE '%$_a%'")) == 2
	}, time.Minute, 50*time.Millisecond, "TiDB loads the bindings by itself")
	b.fails(b.proxy, restore, 8173, "`$_a`.`t`", "accounts of the archive exist already", "`$_app`@`%`", "`$_role`@`%`")
	if long {
		b.systemTablesBesideBR(made, restore, append(gone, "DROP DATABASE `$_a`"), backedUp)
	}
}

// systemTablesBesideBR: in an empty cluster the rows are what they were, and what br makes of the same archive.
func (b *bench) systemTablesBesideBR(made brarchive.Archive, restore string, gone []string, want map[string][]string) {
	b.t.Helper()
	bin, err := peers.BuildBR(b.t.Context())
	require.NoError(b.t, err)
	cluster := playground.ForTest(b.t, playground.Options{})
	empty := benchOn(b.t, cluster, instance.ForTest(b.t, sluiceAt(cluster)))
	empty.name = b.name
	empty.exec(restore)
	require.Equal(b.t, want, empty.accounts())
	for _, stmt := range gone {
		_, err := empty.direct.ExecContext(b.t.Context(), b.own(stmt))
		require.NoError(b.t, err, stmt)
	}
	require.Empty(b.t, empty.accounts())
	_, err = peers.BR{Bin: bin, Cluster: cluster, Storage: made.Location, WorkDir: b.t.TempDir()}.Restore(b.t.Context(), "full", "--with-sys-table",
		"--filter", b.own("$_a.*"), "--filter", "mysql.*")
	require.NoError(b.t, err)
	require.Equal(b.t, want, empty.accounts(), "restored by br")
}

// refusesSystemTables: what keeps the accounts from being restored is told before anything is done.
func (b *bench) refusesSystemTables(made brarchive.Archive, restore string) {
	b.t.Helper()
	for _, stmt := range []string{"CREATE USER `$_weak` IDENTIFIED BY ''", "GRANT RESTORE_ADMIN, FILE, SELECT ON *.* TO `$_weak`", "CREATE USER `$_app`",
		"ALTER TABLE mysql.password_history ADD COLUMN more INT"} {
		_, err := b.direct.ExecContext(b.t.Context(), b.own(stmt))
		require.NoError(b.t, err, stmt)
	}
	weak, err := b.sluice.Open(b.name+"_weak", "", "")
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, weak.Close()) }()
	b.fails(weak, restore, 1142, "INSERT command denied", "'user'")
	b.fails(b.proxy, restore, 8173, "mysql.password_history has a column more, which the archive's doesn't have", "accounts of the archive exist already in the cluster: `$_app`@`%`")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '"+made.Location+"' WITH_SYS_TABLE TRUE", 8173, "RESTORE DATABASE * only")
	b.fails(b.proxy, restore+" BACKEND tidb", 8173, "WITH_SYS_TABLE = TRUE can't be used where rows go in by SQL")
	b.fails(b.proxy, strings.Replace(restore, ", mysql.*", "", 1), 8173, "the archive holds no system tables that are to be restored")
	for _, stmt := range []string{"ALTER TABLE mysql.password_history DROP COLUMN more", "DROP USER `$_app`, `$_weak`"} {
		_, err := b.direct.ExecContext(b.t.Context(), b.own(stmt))
		require.NoError(b.t, err, stmt)
	}
}

// logsAll makes TiDB write each statement to its log and to its slow log, or as few as by default.
func (b *bench) logsAll(on bool) {
	b.t.Helper()
	general, threshold := "OFF", "300"
	if on {
		general, threshold = "ON", "0"
	}
	for _, stmt := range []string{"SET GLOBAL tidb_general_log = " + general, "SET GLOBAL tidb_slow_log_threshold = " + threshold} {
		_, err := b.direct.ExecContext(context.WithoutCancel(b.t.Context()), stmt)
		require.NoError(b.t, err)
	}
}

// unlogged makes sure that none of what TiDB writes of statements has a text.
func (b *bench) unlogged(text string) {
	b.t.Helper()
	var config struct {
		Log struct {
			File struct {
				Filename string `json:"filename"`
			} `json:"file"`
			SlowQueryFile string `json:"slow-query-file"`
		} `json:"log"`
	}
	require.NoError(b.t, json.Unmarshal([]byte(b.rows(b.direct, "SELECT @@tidb_config")[0][0]), &config))
	logs := map[string]string{}
	for _, path := range []string{config.Log.File.Filename, config.Log.SlowQueryFile} {
		all, err := os.ReadFile(path)
		require.NoError(b.t, err)
		logs[path] = string(all)
	}
	for _, table := range []string{"statements_summary", "statements_summary_history"} {
		logs[table] = fmt.Sprint(b.rows(b.direct, "SELECT digest_text, query_sample_text FROM information_schema."+table))
	}
	for name, log := range logs {
		log = strings.ToLower(log)
		require.Contains(b.t, log, "`authentication_string`", "%s has the statement", name)
		if strings.Contains(log, text) {
			b.t.Errorf("%s has the hash: %s", name, shortened(log[max(0, strings.Index(log, text)-500):]))
		}
	}
}

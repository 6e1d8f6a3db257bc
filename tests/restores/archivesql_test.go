package restores_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// TestArchiveBySQL: rows of an archive go by SQL into new tables and into one that holds rows, whose collisions end as on_duplicate says.
func TestArchiveBySQL(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	task, made, tables := b.archived(brarchive.Options{Method: "aes128-ctr"})
	b.exec("CREATE DATABASE `$_again`", "CREATE TABLE `$_again`.int_clustered (id BIGINT PRIMARY KEY, v VARCHAR(30), more INT DEFAULT 7)",
		"INSERT INTO `$_again`.int_clustered VALUES (0, 'kept', 1), (5000, 'own', 2)")
	task.Options.BySQL = true
	b.fails(task, "Duplicate entry '0'", "int_clustered")
	require.Equal(t, []string{"int_clustered"}, b.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = '$_again'"))
	task.Options.OnDuplicate = importcore.DuplicateIgnore
	b.exec("TRUNCATE TABLE `$_again`.int_clustered", "INSERT INTO `$_again`.int_clustered VALUES (0, 'kept', 1), (5000, 'own', 2)")
	sum := b.restore(task)
	require.Equal(t, made.BackupTS, sum.BackupTS)
	require.Equal(t, []string{"kept"}, b.rows("SELECT v FROM `$_again`.int_clustered WHERE id = 0"))
	require.Equal(t, []string{"999"}, b.rows("SELECT COUNT(*) FROM `$_again`.int_clustered a JOIN `$_live`.int_clustered b ON a.id = b.id AND a.v = b.v WHERE a.more = 7"))
	require.Equal(t, []string{"own"}, b.rows("SELECT v FROM `$_again`.int_clustered WHERE id = 5000"))
	var rest []string
	for _, name := range tables {
		if name != "int_clustered" {
			rest = append(rest, name)
		}
	}
	for _, name := range rest {
		rows := func(db string) []string { return b.rows("SELECT * FROM `" + db + "`.`" + name + "`") }
		require.ElementsMatch(t, rows("$_live"), rows("$_again"), name)
	}
	b.exec("INSERT INTO `$_again`.auto_inc (v) VALUES (-1)", "INSERT INTO `$_again`.auto_rand (v) VALUES (-1)", "INSERT INTO `$_again`.no_key (a) VALUES (-1)")
}

// TestArchiveBySQLRefuses: options that say how stores take an archive in mean nothing by SQL, and a table that computes other columns doesn't fit.
func TestArchiveBySQLRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE DATABASE `$_live`", "CREATE TABLE `$_live`.t (a INT, b INT AS (a + 1), c INT AS (a + 2) STORED, d INT)", "INSERT INTO `$_live`.t (a, d) VALUES (1, 2)")
	b.drop(b.own("$_live"), b.own("$_again"))
	task, _ := b.again(brarchive.Options{})
	task.Options.BySQL = true
	for _, refused := range []string{"LOAD_STATS", "WITH_SYS_TABLE"} {
		task := task
		task.Options.ForArchives = []string{refused}
		b.fails(task, refused+" can't be used where rows go in by SQL")
	}
	b.exec("CREATE DATABASE `$_again`", "CREATE TABLE `$_again`.t (a INT, b INT, c INT)")
	b.fails(task, "its columns aren't generated, which are there: b, c", "it has no column d")
}

package restores_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/restore"
)

// TestNamesOfFiles: a file's name, and not the text inside, says what it belongs to, in any case, with %XX undone once, in sub-folders and behind links.
func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	elsewhere := t.TempDir()
	b.file("$_n-schema-create.sql", "CREATE DATABASE `another`;\n")
	b.file("$_n.Mixed-Schema.SQL", "CREATE TABLE `elsewhere`.`other` (a INT);\n")
	b.file("sub/$_N.mIXED.0.SQL", "INSERT INTO `other` VALUES (1);\n")
	b.file("sub/folder.of/$_n.mixed.1.csv", "a\n2\n")
	b.file("$_n.a%2525b%2Fc-schema.sql", "CREATE TABLE t (a INT);\n")
	b.file("$_n.a%2525b%2Fc.sql", "INSERT INTO `x`.`y` VALUES (3);\n")
	b.file("$_n.100%-schema.sql", "CREATE TABLE t (a INT);\n")
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, b.own("$_n.mixed.2.csv")), []byte("a\n4\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "x"), []byte("a\n5\n"), 0o600))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(b.dir, "linked")))
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "x"), filepath.Join(b.dir, b.own("$_n.mixed.3.csv"))))
	skipped := []string{"$_n.mixed.sql.bak", "sub/$_n.mixed-schema-triggers.sql", "$_n.mixed-schema-trigger.sql.gz", "$_n-schema-post.sql", "linked/x", "notes.txt"}
	for _, name := range skipped {
		if name != "linked/x" {
			b.file(name, "CREATE NONSENSE")
		}
	}
	b.drop(b.own("$_n"))
	sum := b.restore(b.task())
	require.Equal(t, []string{"100%", "Mixed", "a%25b/c"}, b.rows("SHOW TABLES FROM `$_n`"))
	require.Equal(t, []string{"1", "2", "4", "5"}, b.rows("SELECT a FROM `$_n`.mixed ORDER BY a"))
	require.Equal(t, []string{"3"}, b.rows("SELECT a FROM `$_n`.`a%25b/c`"))
	var told []string
	for _, s := range sum.Skipped {
		require.NotEmpty(t, s.Reason)
		told = append(told, strings.TrimPrefix(s.Path, b.dir+"/"))
	}
	for i := range skipped {
		skipped[i] = b.own(skipped[i])
	}
	require.ElementsMatch(t, skipped, told)
}

// TestMaskedNames: what mydumper calls mydumper_ and a number gets the name that its schema file has.
func TestMaskedNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.file("metadata", "# Started dump at: 2026-01-02 03:04:05\n[config]\nquote_character = BACKTICK\n\n[source]\nFile = tidb-binlog\nPosition = 415195906970746880\n\n"+
		"[`$_m&`.`mydumper_1`]\nreal_table_name=a.b c\nrows = 2\n\n# Finished dump at: 2026-01-02 03:04:06\n")
	b.file("mydumper_0-schema-create.sql", "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `$_m&` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;\n")
	b.file("mydumper_0.mydumper_1-schema.sql", "/*!40101 SET NAMES binary*/;\nCREATE TABLE `a.b c` (a INT);\n")
	b.file("mydumper_0.mydumper_1.00000.sql", "INSERT INTO `a.b c` VALUES (1);\n")
	b.file("mydumper_0.mydumper_1.00001.sql", "INSERT INTO `a.b c` VALUES (2);\n")
	b.file("mydumper_0.plain-schema.sql", "CREATE TABLE `plain` (a INT);\n")
	b.file("mydumper_0.plain.00000.sql", "INSERT INTO `plain` VALUES (3);\n")
	b.file("mydumper_0.mydumper_2-schema.sql", "CREATE TABLE `v w` (a INT);\n")
	b.file("mydumper_0.mydumper_2-schema-view.sql", "CREATE VIEW `v w` AS SELECT a FROM `a.b c`;\n")
	b.drop(b.own("$_m&"), b.own("$_m2"))
	sum := b.restore(b.task())
	require.EqualValues(t, 415195906970746880, sum.BackupTS)
	require.Equal(t, []string{"a.b c", "plain", "v w"}, b.rows("SHOW TABLES FROM `$_m&`"))
	require.Equal(t, []string{"1", "2"}, b.rows("SELECT a FROM `$_m&`.`v w` ORDER BY a"))
	require.Equal(t, []string{"3"}, b.rows("SELECT a FROM `$_m&`.plain"))

	task := b.task()
	task.Selection = restore.Selection{Tables: []restore.Name{{DB: b.own("$_m&"), Table: "A.B C"}},
		Renames: []restore.Rename{{From: restore.Name{DB: b.own("$_m&"), Table: "A.B C"}, To: restore.Name{DB: b.own("$_m2"), Table: "t"}}}}
	b.restore(task)
	require.Equal(t, []string{"2"}, b.rows("SELECT COUNT(*) FROM `$_m2`.t"))

	b.exec("DROP DATABASE `$_m&`")
	b.file("mydumper_0.mydumper_9-schema.sql", "CREATE TABLE `plain` (a INT);\n")
	b.fails(b.task(), "there is another schema file of this name")
	require.Empty(t, b.rows("SHOW DATABASES LIKE '$\\_m&'"))
}

package restorejobs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/brarchive"
)

// chained are a full archive of the database $_a, with tables t and u, and two that continue it.
type chained struct {
	*bench
	made []brarchive.Archive
}

func newChained(t *testing.T) *chained {
	t.Helper()
	c := &chained{bench: newBench(t)}
	c.exec("CREATE DATABASE `$_a`")
	for _, table := range []string{"t", "u"} {
		c.exec("CREATE TABLE `$_a`." + table + " (id INT PRIMARY KEY, v INT, KEY (v))")
	}
	var o brarchive.Options
	for i := range 3 {
		for _, table := range []string{"t", "u"} {
			c.exec(fmt.Sprintf("INSERT INTO `$_a`.%s VALUES (%d, 1), (%d, 2)", table, 2*i, 2*i+1))
			c.exec(fmt.Sprintf("UPDATE `$_a`.%s SET v = v + 10 WHERE id = %d", table, i))
		}
		c.made = append(c.made, brarchive.Backup(t, c.proxy, c.own("DATABASE `$_a`"), o))
		o.LastBackupTS = c.made[i].BackupTS
	}
	return c
}

// restore is the statement that restores one of the archives.
func (c *chained) restore(i int, what string) string {
	stmt := "RESTORE " + what + " FROM '" + c.made[i].Location + "'"
	if i > 0 {
		stmt += fmt.Sprintf(" LAST_BACKUP = %d", c.made[i-1].BackupTS)
	}
	return stmt
}

// damaged runs f while all data files of an archive are damaged, at which their times of change don't hint.
func (c *chained) damaged(i int, f func()) {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.made[i].Dir, "*", "*_write.sst"))
	require.NoError(c.t, err)
	require.NotEmpty(c.t, files)
	write := func(change byte) {
		for _, file := range files {
			was, err := os.Stat(file)
			require.NoError(c.t, err)
			data, err := os.ReadFile(file)
			require.NoError(c.t, err)
			data[len(data)/4] ^= change
			require.NoError(c.t, os.WriteFile(file, data, 0o600))
			require.NoError(c.t, os.Chtimes(file, was.ModTime(), was.ModTime()))
		}
	}
	write(0x20)
	defer write(0x20)
	f()
}

// TestIncrementalArchivesInOrder: an archive goes only into tables that hold all that it continues, which their rows can't tell and the jobs do.
func TestIncrementalArchivesInOrder(t *testing.T) {
	t.Parallel()
	c := newChained(t)
	const all = "DATABASE `$_a` AS `$_b`"
	missing := "so that the changes in between are missing: "
	c.fails(c.proxy, c.restore(1, all), 8173, "and the archives before have it: `$_b`.`t`, `$_b`.`u`")
	c.fails(c.proxy, c.restore(0, all)+" LAST_BACKUP = 5", 8173, "the archive is a full one")
	c.exec(c.restore(0, all))

	told := fmt.Sprintf(", %d)", c.made[0].BackupTS)
	c.fails(c.proxy, c.restore(2, all), 8173, "last_backup: ", missing+"`$_b`.`t` (job ", "`$_b`.`u` (job ", told, "skip_prechecks = 'last_backup'")
	items := map[string]string{}
	for _, row := range c.table(c.proxy, "EXPLAIN "+c.restore(2, all)) {
		items[row["Item"]] = row["Status"]
	}
	require.Equal(t, "critical", items["last_backup"])

	// The first one for one table, and a part of it for the other.
	c.exec(c.restore(1, "TABLE `$_a`.t AS `$_b`.t"))
	c.fails(c.proxy, c.restore(2, all), 8173, missing+"`$_b`.`u` (job ", told)
	c.damaged(1, func() {
		c.fails(c.proxy, c.restore(1, "TABLE `$_a`.u AS `$_b`.u"), 8160, "tables may hold a part of the archive's changes: `$_b`.`u`")
	})
	half := c.fails(c.proxy, c.restore(2, all), 8173, "which RETRY IMPORT JOB completes: `$_b`.`u` (job ")
	id := regexp.MustCompile(`\(job (\d+)\)`).FindStringSubmatch(half)
	require.NotNil(t, id, half)
	c.exec("RETRY IMPORT JOB " + id[1])
	c.becomes(id[1], "finished")

	c.exec(c.restore(2, all))
	for _, table := range []string{"t", "u"} {
		require.Equal(t, c.rows(c.direct, "SELECT * FROM `$_a`."+table+" ORDER BY id"), c.rows(c.direct, "SELECT * FROM `$_b`."+table+" ORDER BY id"))
	}
	c.checked("$_b", []string{"t", "u"})
	for i := 1; i < 3; i++ {
		c.fails(c.proxy, c.restore(i, all), 8173, "table `$_b`.`t` is not what the archive of the timestamp")
	}
	c.atTheUsersWord()
}

// atTheUsersWord: what no job knows of a table is the user's to know, and so is what he knows better. Both are told.
func (c *chained) atTheUsersWord() {
	c.t.Helper()
	const all = "DATABASE `$_a` AS `$_c`"
	c.exec(c.restore(0, all))
	c.exec("ALTER TABLE `$_c`.u COMMENT = 'made by nobody knows whom'")
	lacks := "are missing: `$_c`.`t` (job "
	c.fails(c.proxy, c.restore(2, all), 8173, lacks)
	got := c.row(c.restore(2, all) + " skip_prechecks = 'last_backup' DETACHED")
	message := c.becomes(got["Job_ID"], "finished")["Result_Message"]
	require.Contains(c.t, message, c.own(lacks))
	require.Contains(c.t, message, c.own("so LAST_BACKUP is taken at its word: `$_c`.`u`"))
	for _, table := range []string{"t", "u"} {
		require.Equal(c.t, [][]string{{"4", "1"}, {"5", "2"}}, c.rows(c.direct, "SELECT * FROM `$_c`."+table+" WHERE id > 2 ORDER BY id"))
	}
}

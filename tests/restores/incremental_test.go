package restores_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// chain backs up a database again and again, and restores that under another name.
type chain struct {
	*bench
	tables []string
	every  bool
	last   uint64 // the timestamp of the latest backup
}

// newChain makes a database with tables of every kind, or with few.
func newChain(t *testing.T, every bool) *chain {
	t.Helper()
	c := &chain{bench: newBench(t), every: every}
	c.drop(c.own("$_live"), c.own("$_again"))
	if every {
		c.tables = brarchive.Shapes(t, c.db, c.own("$_live"))
	} else {
		c.exec("CREATE DATABASE `$_live`", "CREATE TABLE `$_live`.by_hash (id INT PRIMARY KEY, v TEXT, KEY (v(9))) PARTITION BY HASH (id) PARTITIONS 2",
			"INSERT INTO `$_live`.by_hash VALUES (1, REPEAT('x', 999)), (2, 'y'), (3, 'z')", "CREATE VIEW `$_live`.over_rows AS SELECT id FROM `$_live`.by_hash")
		c.tables = []string{"by_hash"}
	}
	c.exec("CREATE TABLE `$_live`.dropped (id INT PRIMARY KEY, gone INT, a INT)", "INSERT INTO `$_live`.dropped VALUES (1, 2, 3), (2, 3, 4)", "ALTER TABLE `$_live`.dropped DROP COLUMN gone")
	c.tables = append(c.tables, "dropped")
	return c
}

// backup returns the task that restores what has changed since the backup before.
func (c *chain) backup() restore.Task {
	c.t.Helper()
	made := brarchive.Backup(c.t, c.db, c.own("DATABASE `$_live`"), brarchive.Options{LastBackupTS: c.last})
	task := c.task()
	task.Location, task.Options.LastBackup = made.Location, c.last
	task.Selection = restore.Selection{Databases: []string{c.own("$_live")}, Renames: []restore.Rename{{From: restore.Name{DB: c.own("$_live")}, To: restore.Name{DB: c.own("$_again")}}}}
	c.last = made.BackupTS
	return task
}

// change changes rows of all kinds, differently in each round.
func (c *chain) change(round int) {
	c.t.Helper()
	c.exec(fmt.Sprintf("INSERT INTO `$_live`.dropped VALUES (%d, 9)", 10+round), "UPDATE `$_live`.dropped SET a = a + 1 WHERE id = 2",
		fmt.Sprintf("CREATE TABLE `$_live`.new%d (id INT PRIMARY KEY, a VARCHAR(10), KEY (a))", round), fmt.Sprintf("INSERT INTO `$_live`.new%d VALUES (1, 'a'), (2, 'b'), (3, 'c')", round),
		fmt.Sprintf("DELETE FROM `$_live`.new%d WHERE id = 2", round))
	if c.every {
		c.exec(fmt.Sprintf("DELETE FROM `$_live`.int_clustered WHERE id %% 7 = %d", round), "UPDATE `$_live`.int_clustered SET v = CONCAT(v, 'u') WHERE id % 5 = 0",
			"UPDATE `$_live`.long_values SET body = CONCAT(body, '+') WHERE id % 3 = 0", fmt.Sprintf("INSERT INTO `$_live`.empty VALUES (%d, 1)", round),
			fmt.Sprintf("DELETE FROM `$_live`.by_hash WHERE v = %d", round), fmt.Sprintf("UPDATE `$_live`.by_range SET day = '202%d-03-03' WHERE id %% 4 = 0", 4+round%3),
			"INSERT INTO `$_live`.auto_inc (v) VALUES (1), (2), (3)", "INSERT INTO `$_live`.auto_rand (v) VALUES (1)", "INSERT INTO `$_live`.no_key (a) VALUES (77)", "INSERT INTO `$_live`.auto_inc_apart (v) VALUES (5)",
			"UPDATE `$_live`.common_handle SET c = c + 1 WHERE b > '2024-01-01 00:00:30'", "UPDATE `$_live`.expressions SET v = CONCAT(v, 'X') WHERE id < 9", "DELETE FROM `$_live`.nonclustered WHERE v < 40",
			"DO NEXTVAL(`$_live`.numbers)")
	} else {
		c.exec("UPDATE `$_live`.by_hash SET v = CONCAT(v, 'u')", fmt.Sprintf("INSERT INTO `$_live`.by_hash VALUES (%d, '')", 10+round), "DELETE FROM `$_live`.by_hash WHERE id = 3")
	}
	c.tables = append(c.tables, fmt.Sprintf("new%d", round))
}

// TestIncrementalArchives: a full archive and those that continue it, one after the other, bring in what is there.
func TestIncrementalArchives(t *testing.T) {
	t.Parallel()
	c := newChain(t, true)
	c.restore(c.backup())
	c.same(c.tables)
	for round := range 2 { // the second one continues what was restored from the first
		c.change(round)
		task := c.backup()
		c.restore(task)
		c.same(c.tables)
		c.fails(task, "was made after the archive before", "is not what the archive of the timestamp")
	}
	// What is added now gets ids that none of the rows has.
	c.exec("INSERT INTO `$_again`.auto_inc (v) VALUES (-1)", "INSERT INTO `$_again`.auto_inc_apart (v) VALUES (-1)", "INSERT INTO `$_again`.auto_rand (v) VALUES (-1)", "INSERT INTO `$_again`.no_key (a) VALUES (-1)")
	c.exec("ADMIN CHECK TABLE `$_again`.no_key")
	require.Equal(t, []string{"1"}, c.rows("SELECT (SELECT id FROM `$_again`.auto_inc WHERE v = -1) > (SELECT MAX(id) FROM `$_live`.auto_inc)"))
}

// TestIncrementalArchiveRefused: nothing is changed if the tables aren't what the archive continues, or if it changes schemas.
func TestIncrementalArchiveRefused(t *testing.T) {
	t.Parallel()
	c := newChain(t, false)
	full := c.backup()
	c.change(0)
	task := c.backup()
	c.fails(task, "there is no such table, view or sequence, and the archives before have it", "`$_again`.`by_hash`")
	c.restore(full)

	odd := task
	odd.Options.LastBackup = 0
	c.fails(odd, "holds only what has changed since another one", fmt.Sprintf("LAST_BACKUP = %d says", task.Options.LastBackup))
	odd.Options.LastBackup = c.last
	c.fails(odd, fmt.Sprintf("and not that of LAST_BACKUP = %d", c.last))
	odd = full
	odd.Options.LastBackup = 7
	c.fails(odd, "LAST_BACKUP = 7: the archive is a full one")

	c.exec("DELETE FROM `$_again`.by_hash LIMIT 1", "ALTER TABLE `$_again`.dropped ADD COLUMN more INT", "DROP VIEW `$_again`.over_rows", "CREATE TABLE `$_again`.over_rows (id INT)")
	c.fails(task, "and the archives before have it: `$_again`.`over_rows`", "table `$_again`.`by_hash` is not what the archive of the timestamp", "the table dropped of the archive doesn't fit its target")
	require.Equal(t, []string{"2"}, c.rows("SELECT COUNT(*) FROM `$_again`.by_hash"))
	require.Empty(t, c.rows("SHOW TABLES FROM `$_again` LIKE 'new%'"))
}

// TestIncrementalArchiveInterrupted: whenever a job is interrupted it goes on, and no change is brought in twice. What others change
// meanwhile is an error, and stays.
func TestIncrementalArchiveInterrupted(t *testing.T) {
	t.Parallel()
	c := newChain(t, false)
	c.restore(c.backup())
	for round, done := 0, false; !done; round++ {
		c.change(round)
		task := c.backup()
		w := &world{cause: errDied, behind: round%2 == 0, dieAt: round + 2}
		task.Checkpoints = w
		ctx, kill := context.WithCancelCause(t.Context())
		w.kill = kill
		_, err := c.run(ctx, task)
		kill(nil)
		if done = err == nil; !done {
			require.ErrorIs(t, err, errDied)
			w.dieAt = 0
			c.restore(task)
		} else {
			require.Greater(t, round, 1)
		}
		c.same(c.tables)
	}
}

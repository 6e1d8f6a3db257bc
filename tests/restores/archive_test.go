package restores_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// archived backs up a database of the test with tables of every kind, and returns the task that restores it under another name.
func (b *bench) archived(o brarchive.Options) (restore.Task, brarchive.Archive, []string) {
	b.t.Helper()
	tables := brarchive.Shapes(b.t, b.db, b.own("$_live"))
	b.drop(b.own("$_live"), b.own("$_again"))
	task, made := b.again(o)
	return task, made, tables
}

// again backs up the database $_live, and returns the task that restores it as $_again.
func (b *bench) again(o brarchive.Options) (restore.Task, brarchive.Archive) {
	b.t.Helper()
	from := b.own("$_live")
	made := brarchive.Backup(b.t, b.db, "DATABASE `"+from+"`", o)
	task := b.task()
	task.Location = made.Location
	task.Selection = restore.Selection{Databases: []string{from}, Renames: []restore.Rename{{From: restore.Name{DB: from}, To: restore.Name{DB: b.own("$_again")}}}}
	cipher, err := archive.ParseCipher(made.Method, made.Key, "")
	require.NoError(b.t, err)
	task.Options.Cipher, task.Options.Checksum = cipher, importcore.ChecksumRequired
	return task, made
}

// same compares the database that was backed up with the restored one.
func (b *bench) same(tables []string) {
	b.t.Helper()
	for _, name := range tables {
		b.exec("ADMIN CHECK TABLE `$_again`.`" + name + "`")
		rows := func(db string) []string { return b.rows("SELECT * FROM `" + db + "`.`" + name + "`") }
		require.ElementsMatch(b.t, rows("$_live"), rows("$_again"), name)
	}
	require.Equal(b.t, b.rows("SELECT * FROM `$_live`.over_rows ORDER BY id"), b.rows("SELECT * FROM `$_again`.over_rows ORDER BY id"))
}

// TestArchive: a database is restored from an archive of BR under another name, beside the one that it was made of.
func TestArchive(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	task, made, tables := b.archived(brarchive.Options{Method: "aes256-ctr", Checksum: true})
	sum := b.restore(task)
	require.Equal(t, made.BackupTS, sum.BackupTS)
	require.Equal(t, len(tables), sum.Tables)
	require.Equal(t, 1, sum.Views)
	require.Equal(t, 1, sum.Sequences)
	b.same(tables)
	for _, table := range sum.PerTable {
		require.Equal(t, fmt.Sprint(table.Rows), b.rows("SELECT COUNT(*) FROM " + table.To.String())[0])
	}
	// What is added now gets ids that none of the rows has.
	b.exec("INSERT INTO `$_again`.auto_inc (v) VALUES (-1)", "INSERT INTO `$_again`.auto_inc_apart (v) VALUES (-1)",
		"INSERT INTO `$_again`.auto_rand (v) VALUES (-1)", "INSERT INTO `$_again`.no_key (a) VALUES (-1)", "INSERT INTO `$_again`.nonclustered VALUES ('new', -1)")
	next := func(db string) int {
		n, err := strconv.Atoi(b.rows("SELECT NEXTVAL(`" + db + "`.numbers)")[0])
		require.NoError(t, err)
		return n
	}
	require.Greater(t, next("$_again"), next("$_live"), "what the live one has reserved is not given again")
}

// TestArchivePrechecks: all that is in the way of a restore is told at once, and nothing is changed.
func TestArchivePrechecks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE DATABASE `$_live`", "CREATE TABLE `$_live`.changed (a INT)", "ALTER TABLE `$_live`.changed ADD COLUMN b INT NOT NULL DEFAULT 1",
		"ALTER TABLE `$_live`.changed PARTITION BY HASH (b) PARTITIONS 2",
		"CREATE TABLE `$_live`.t (a INT)")
	b.drop(b.own("$_live"))
	made := brarchive.Backup(t, b.db, b.own("DATABASE `$_live`"), brarchive.Options{})
	task := b.task()
	task.Location = made.Location
	task.Selection = restore.Selection{Databases: []string{b.own("$_live"), "nowhere"}}
	b.fails(task, "`$_live`.`t`", "exist already", "database `nowhere`", "its columns were changed after it had been made, and column b (id 2), by which it is partitioned, can't be added")

	task.Selection = restore.Selection{Tables: []restore.Name{{DB: b.own("$_live"), Table: "T"}}}
	b.fails(task, "exist already")
	b.exec("DROP TABLE `$_live`.t")
	b.restore(task)
	b.exec("ADMIN CHECK TABLE `$_live`.t")

	for text, change := range map[string]func(o *restore.Options){
		"skip_schema_files can't be used with an archive": func(o *restore.Options) { o.SkipSchemaFiles = true },
		"on_duplicate can't be used with an archive":      func(o *restore.Options) { o.OnDuplicate = importcore.DuplicateReplace },
	} {
		odd := task
		change(&odd.Options)
		b.fails(odd, text)
	}

	wrong, err := archive.ParseCipher("aes128-ctr", strings.Repeat("00", 16), "")
	require.NoError(t, err)
	task.Options.Cipher = wrong
	b.fails(task, "is not encrypted")
}

// TestArchiveInterrupted: whenever a job is interrupted it goes on and ends with the whole database; or, given up, it leaves nothing.
func TestArchiveInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	task, _, tables := b.archived(brarchive.Options{})
	for at := 1; ; at++ {
		w := &world{cause: errDied, behind: at%2 == 0, dieAt: at}
		task.Checkpoints = w
		ctx, kill := context.WithCancelCause(t.Context())
		w.kill = kill
		_, err := b.run(ctx, task)
		kill(nil)
		if err == nil {
			require.Greater(t, at, 4)
			b.same(tables)
			return
		}
		require.ErrorIs(t, err, errDied)
		w.dieAt = 0
		if at%3 == 0 {
			fate, err := b.restorer.Abandon(t.Context(), task)
			require.NoError(t, err)
			require.NotContains(t, fate, "left")
		} else {
			b.restore(task)
			b.same(tables)
			b.exec("DROP DATABASE `$_again`")
		}
		require.Empty(t, b.rows("SHOW DATABASES LIKE '$\\_again'"))
	}
}

// TestDamagedArchive: a file that is damaged or missing is an error that names it, and nothing is left behind.
func TestDamagedArchive(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	task, made, _ := b.archived(brarchive.Options{})
	files, err := filepath.Glob(filepath.Join(made.Dir, "*", "*_write.sst"))
	require.NoError(t, err)
	victim := files[len(files)/2]
	data, err := os.ReadFile(victim)
	require.NoError(t, err)
	data[len(data)/4] ^= 0x20
	require.NoError(t, os.WriteFile(victim, data, 0o600))
	_, err = b.run(t.Context(), task)
	require.ErrorContains(t, err, filepath.Base(victim))
	require.ErrorContains(t, err, "was dropped")
	told := fault.As(err)
	require.NotNil(t, told)
	require.EqualValues(t, 8160, told.Code, err)
	require.Empty(t, b.rows("SHOW DATABASES LIKE '$\\_again'"))
	require.NoError(t, os.Remove(victim))
	b.fails(task, filepath.Base(victim), "is missing")
}

package restores_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// changedArchive backs up tables whose columns were changed, and returns the task that restores them under another name.
func (b *bench) changedArchive() (restore.Task, []string) {
	b.t.Helper()
	from, to := b.own("$_live"), b.own("$_again")
	tables := brarchive.Changed(b.t, b.db, from)
	b.drop(from, to)
	task := b.task()
	task.Location = brarchive.Backup(b.t, b.db, "DATABASE `"+from+"`", brarchive.Options{}).Location
	task.Selection = restore.Selection{Databases: []string{from}, Renames: []restore.Rename{{From: restore.Name{DB: from}, To: restore.Name{DB: to}}}}
	return task, tables
}

// TestArchiveOfChangedTables: tables whose columns were dropped, added, moved and given other types after they had been made are made so
// that their rows mean what they meant, those too that are older than some columns.
func TestArchiveOfChangedTables(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	task, tables := b.changedArchive()
	b.restore(task)
	for _, name := range tables {
		require.ElementsMatch(t, b.rows("SELECT * FROM `$_live`."+name), b.rows("SELECT * FROM `$_again`."+name), name)
		made := func(db string) string {
			return strings.ReplaceAll(b.rows("SHOW CREATE TABLE `" + db + "`." + name)[0], b.own(db), "")
		}
		require.Equal(t, made("$_live"), made("$_again"))
		// Nothing of what was dropped comes back in a new column.
		b.exec("ALTER TABLE `$_again`." + name + " ADD COLUMN later VARCHAR(9) DEFAULT 'new'")
		require.Empty(t, b.rows("SELECT later FROM `$_again`."+name+" WHERE later <> 'new'"), name)
		b.exec("ADMIN CHECK TABLE `$_again`." + name)
	}
}

// TestHalfMadeTable: a table that a process could not complete before it died is made anew, unless somebody has put rows into it.
func TestHalfMadeTable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE DATABASE `$_live`", "CREATE TABLE `$_live`.t (a INT, gone INT, b INT)", "INSERT INTO `$_live`.t VALUES (1, 2, 3)", "ALTER TABLE `$_live`.t DROP COLUMN gone")
	b.drop(b.own("$_live"), b.own("$_again"))
	task := b.task()
	task.Location = brarchive.Backup(t, b.db, b.own("DATABASE `$_live`"), brarchive.Options{}).Location
	task.Selection = restore.Selection{Databases: []string{b.own("$_live")}, Renames: []restore.Rename{{From: restore.Name{DB: b.own("$_live")}, To: restore.Name{DB: b.own("$_again")}}}}
	w := &world{cause: errDied, dieAt: 1, behind: true}
	task.Checkpoints = w
	ctx, kill := context.WithCancelCause(t.Context())
	w.kill = kill
	_, err := b.run(ctx, task)
	require.ErrorIs(t, err, errDied)
	w.dieAt = 0

	unpacked, err := gzip.NewReader(bytes.NewReader(w.data))
	require.NoError(t, err)
	var state struct {
		Mark string `json:"mark"`
	}
	require.NoError(t, json.NewDecoder(unpacked).Decode(&state))
	half := "CREATE /* " + state.Mark + " */ TABLE `$_again`.t (a INT, _sluice_gap_2 TINYINT, b INT)"
	b.exec("CREATE DATABASE `$_again`", half, "INSERT INTO `$_again`.t VALUES (7, 7, 7)")
	saved := w.data
	b.fails(task, "which the job had not completed, holds rows of others", "left behind")
	require.Equal(t, []string{"7|7|7"}, b.rows("SELECT * FROM `$_again`.t"))
	w.data = saved
	b.exec("DELETE FROM `$_again`.t")
	b.restore(task)
	require.Equal(t, []string{"1|3"}, b.rows("SELECT * FROM `$_again`.t"))
	b.exec("ADMIN CHECK TABLE `$_again`.t")
}

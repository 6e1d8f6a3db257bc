package restores_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// evolution is a database that was backed up, changed, and backed up again.
type evolution struct {
	*chain
	full, next restore.Task
	tables     []string
}

func newEvolution(t *testing.T) *evolution {
	t.Helper()
	e := &evolution{chain: &chain{bench: newBench(t)}}
	e.drop(e.own("$_live"), e.own("$_again"))
	brarchive.Evolving(t, e.db, e.own("$_live"))
	e.full = e.backup()
	e.tables = brarchive.Evolve(t, e.db, e.own("$_live"))
	e.next = e.backup()
	return e
}

// sameAll compares all that there is.
func (e *evolution) sameAll() {
	e.t.Helper()
	e.same(e.tables)
	made := func(db string) (out []string) {
		for _, name := range append([]string{"over_rows", "fresh_view"}, e.tables...) {
			text := e.rows("SHOW CREATE TABLE `" + db + "`.`" + name + "`")[0]
			out = append(out, strings.ReplaceAll(text, e.own(db), "$"))
		}
		for _, name := range []string{"numbers", "fresh_numbers"} {
			out = append(out, strings.ReplaceAll(e.rows("SHOW CREATE SEQUENCE `" + db + "`." + name)[0], e.own(db), "$"))
		}
		out = append(out, strings.ReplaceAll(e.rows("SHOW CREATE DATABASE `" + db + "`")[0], e.own(db), "$"))
		for _, name := range e.tables {
			pairs := strings.Split(e.rows("ADMIN CHECKSUM TABLE `" + db + "`.`" + name + "`")[0], "|")
			out = append(out, name+": "+strings.Join(pairs[3:], " "))
		}
		return append(out, e.rows("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = '"+db+"' ORDER BY 1")...)
	}
	require.Equal(e.t, made("$_live"), made("$_again"))
}

// TestIncrementalArchiveChangesSchemas: tables that were altered, renamed, truncated, dropped and made anew are what they were, with rows of before, between
// and after.
func TestIncrementalArchiveChangesSchemas(t *testing.T) {
	t.Parallel()
	e := newEvolution(t)
	e.restore(e.full)
	sum := e.restore(e.next)
	e.sameAll()
	require.Contains(t, strings.Join(sum.Warnings, "\n"), e.own("DROP TABLE `$_again`.`gone`"))
	// Ids and columns that come now are new ones.
	for _, db := range []string{"$_live", "$_again"} {
		e.exec("INSERT INTO `"+db+"`.wiped (a) VALUES (-1)", "ALTER TABLE `"+db+"`.wide ADD COLUMN g INT", "ALTER TABLE `"+db+"`.`keys` ADD COLUMN g INT", "ALTER TABLE `"+db+"`.typed ADD COLUMN g INT")
	}
	e.same([]string{"wide", "keys", "typed"})
	e.fails(e.next, "was made after the archive before")
}

// TestEvolutionInterrupted: a process dies again and again, and the next one goes on each time.
func TestEvolutionInterrupted(t *testing.T) {
	t.Parallel()
	e := newEvolution(t)
	e.restore(e.full)
	deaths := e.die(func(life int) int { return 5 + life%3 })
	require.Greater(t, deaths, 4)
	e.sameAll()
}

// TestEvolutionInterruptedAtEverySave: whatever moment a process dies at, the next one goes on.
func TestEvolutionInterruptedAtEverySave(t *testing.T) {
	t.Parallel()
	if !long() {
		t.Skip("set " + longEnv + "=long to let it die at every save")
	}
	e := newEvolution(t)
	for at := 1; ; at++ {
		e.restore(e.full)
		deaths := e.die(func(life int) int { return map[bool]int{true: at}[life == 0] })
		e.sameAll()
		if deaths == 0 {
			t.Logf("%d saves", at-1)
			return
		}
		e.exec("DROP DATABASE `$_again`")
	}
}

// die restores what has changed. at is the save at which a process dies, before or behind it; 0: it doesn't. It returns how many have died.
func (e *evolution) die(at func(life int) int) (deaths int) {
	e.t.Helper()
	w := &world{cause: errDied}
	task := e.next
	task.Checkpoints = w
	for {
		ctx, kill := context.WithCancelCause(e.t.Context())
		w.saves, w.dieAt, w.kill = 0, at(deaths), kill
		w.behind = w.dieAt%2 == 0
		_, err := e.run(ctx, task)
		kill(nil)
		if err == nil {
			return deaths
		}
		require.ErrorIs(e.t, err, errDied, "after %d deaths", deaths)
		deaths++
	}
}

// TestIncrementalArchiveChangesRefused: what can't be followed is refused before anything is changed.
func TestIncrementalArchiveChangesRefused(t *testing.T) {
	t.Parallel()
	c := newChain(t, false)
	c.exec("CREATE TABLE `$_live`.ranged (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))", "CREATE TABLE `$_live`.stays (id INT PRIMARY KEY, a INT)")
	c.restore(c.backup())
	c.exec("ALTER TABLE `$_live`.ranged TRUNCATE PARTITION p1", "DROP TABLE `$_live`.by_hash", "FLASHBACK TABLE `$_live`.by_hash", "ALTER TABLE `$_live`.stays DROP COLUMN a", "DROP TABLE `$_live`.dropped")
	task := c.backup()
	before := c.rows("SELECT table_name, tidb_table_id FROM information_schema.tables WHERE table_schema = '$_again' ORDER BY 1")
	c.fails(task, "in ways which can't be restored", "`$_live`.`ranged` (truncate partition)", "`$_live`.`by_hash` (recover table)")
	require.Equal(t, before, c.rows("SELECT table_name, tidb_table_id FROM information_schema.tables WHERE table_schema = '$_again' ORDER BY 1"))
	require.Len(t, c.rows("SHOW COLUMNS FROM `$_again`.stays"), 2)

	task.Selection.Filters = []string{"*.*", "!*.ranged", "!*.by_hash", "!*.over_rows"}
	c.exec("INSERT INTO `$_again`.dropped VALUES (99, 1)", "ALTER TABLE `$_again`.stays ADD COLUMN b INT")
	c.fails(task, "table `$_again`.`dropped` is not what the archive", "the table `$_again`.`stays` is not what the archive before has left")
	c.exec("DROP TABLE `$_again`.dropped")
	c.fails(task, "there is no such table, view or sequence, and the archives before have it: `$_again`.`dropped`")
}

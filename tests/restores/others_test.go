package restores_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// small backs up two small tables and returns the task that restores them into $_again.
func (b *bench) small() restore.Task {
	b.t.Helper()
	b.exec("CREATE DATABASE `$_live`", "CREATE TABLE `$_live`.t (a INT PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 2", "CREATE TABLE `$_live`.u (a INT PRIMARY KEY, b INT, KEY (b))",
		"INSERT INTO `$_live`.t VALUES (1), (2), (3)", "INSERT INTO `$_live`.u VALUES (1, 10), (2, 20)")
	b.drop(b.own("$_live"), b.own("$_again"))
	made := brarchive.Backup(b.t, b.db, b.own("DATABASE `$_live`"), brarchive.Options{})
	task := b.task()
	task.Location = made.Location
	from := b.own("$_live")
	task.Selection = restore.Selection{Databases: []string{from}, Renames: []restore.Rename{{From: restore.Name{DB: from}, To: restore.Name{DB: b.own("$_again")}}}}
	return task
}

// others is a world in which something happens right before a save.
type others struct {
	world
	at int
	do func()
}

// Save implements importcore.Checkpoints.
func (o *others) Save(ctx context.Context, data []byte) error {
	if o.at--; o.at == 0 {
		o.do()
	}
	return o.world.Save(ctx, data)
}

// sentSave is the number of the save by which a job says that it is going to send pairs of an archive.
const sentSave = 3

// TestArchiveFailureKeepsWhatOthersWrote: what others write into a table while an archive's rows come in makes the job fail, and is kept.
func TestArchiveFailureKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"inserted": "INSERT INTO `$_again`.u VALUES (7, 70)", "inserted into a partition": "INSERT INTO `$_again`.t VALUES (8)",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			task := b.small()
			task.Checkpoints = &others{at: sentSave, do: func() { b.exec(change) }}
			table, other := "u", "t"
			if strings.Contains(change, ".t ") {
				table, other = other, table
			}
			b.fails(task, "checksum mismatched", "left behind: database `$_again`, which isn't empty, table `$_again`.`"+table+"`", "rows that others wrote", "DROP it")
			require.Equal(t, []string{table}, b.rows("SHOW TABLES FROM `$_again`"))
			require.Subset(t, b.rows("SELECT * FROM `$_again`."+table), map[string][]string{"u": {"7|70"}, "t": {"8"}}[table])
			require.NotEmpty(t, other)
		})
	}
}

// TestAbandonKeepsWhatOthersWrote: giving up an interrupted restore of an archive keeps the tables that others have written to since.
func TestAbandonKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	task := b.small()
	w := &world{cause: errDied, dieAt: sentSave + 1} // the rows are all there by then
	task.Checkpoints = w
	ctx, kill := context.WithCancelCause(t.Context())
	w.kill = kill
	_, err := b.run(ctx, task)
	kill(nil)
	require.ErrorIs(t, err, errDied)
	w.dieAt = 0
	b.exec("UPDATE `$_again`.u SET b = 11 WHERE a = 1")
	fate, err := b.restorer.Abandon(t.Context(), task)
	require.NoError(t, err)
	require.Contains(t, fate, b.own("table `$_again`.`u`, which may lack rows"))
	require.Equal(t, []string{"1|11", "2|20"}, b.rows("SELECT * FROM `$_again`.u ORDER BY a"))
	require.Equal(t, []string{"u"}, b.rows("SHOW TABLES FROM `$_again`"))
}

// TestMadeByOthers: what others make between a job's checks and its own CREATE is neither filled nor dropped.
func TestMadeByOthers(t *testing.T) {
	t.Parallel()
	for name, theirs := range map[string]struct{ sql, kind string }{
		"table": {"CREATE TABLE `$_shop`.items (id BIGINT PRIMARY KEY, n BIGINT, name VARCHAR(20))", "table"}, "view": {"CREATE VIEW `$_shop`.z_cheap AS SELECT 1 AS name", "view"},
		"sequence": {"CREATE SEQUENCE `$_shop`.ids", "sequence"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.shop()
			plan, err := b.restorer.Plan(t.Context(), b.task())
			require.NoError(t, err)
			b.exec("CREATE DATABASE `$_shop`", theirs.sql)
			there := b.rows("SHOW TABLES FROM `$_shop`")
			_, err = plan.Run(t.Context())
			require.ErrorContains(t, err, theirs.kind+b.own(" `$_shop`.`")+there[0]+"` was made by others")
			require.ErrorContains(t, err, "which is not the one that the job has made")
			require.Equal(t, there, b.rows("SHOW TABLES FROM `$_shop`"))
		})
	}
	b := newBench(t)
	plan, err := b.restorer.Plan(t.Context(), b.small())
	require.NoError(t, err)
	b.exec("CREATE DATABASE `$_again`", "CREATE TABLE `$_again`.t (a INT PRIMARY KEY)")
	_, err = plan.Run(t.Context())
	require.ErrorContains(t, err, b.own("table `$_again`.`t` was made by others"))
	require.Equal(t, []string{"t"}, b.rows("SHOW TABLES FROM `$_again`"))
	b.exec("DROP TABLE `$_again`.t")
	require.NotEmpty(t, b.rows("SHOW DATABASES LIKE '$\\_again'"), "a database of others stays, even an empty one")
}

// TestReplacedWhileInterrupted: a job that died before it could note what it had made knows its own tables from those of others.
func TestReplacedWhileInterrupted(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]int{"not noted": 2, "noted": 3} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			task := b.small()
			w := &world{cause: errDied, dieAt: at}
			task.Checkpoints = w
			ctx, kill := context.WithCancelCause(t.Context())
			w.kill = kill
			_, err := b.run(ctx, task)
			kill(nil)
			require.ErrorIs(t, err, errDied)
			w.dieAt = 0
			b.exec("DROP TABLE `$_again`.u", "CREATE TABLE `$_again`.u LIKE `$_live`.u", "INSERT INTO `$_again`.u VALUES (5, 50)")
			b.fails(task, "table `$_again`.`u`", "which is not the one that the job has made", "what the job had made was dropped")
			require.Equal(t, []string{"5|50"}, b.rows("SELECT * FROM `$_again`.u"))
			require.Equal(t, []string{"u"}, b.rows("SHOW TABLES FROM `$_again`"))
		})
	}
}

// TestTakenAway: a restore whose tables others drop, rename or empty while rows come in never succeeds.
func TestTakenAway(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"dropped": "DROP TABLE `$_again`.t", "renamed": "RENAME TABLE `$_again`.t TO `$_live`.elsewhere", "truncated": "TRUNCATE TABLE `$_again`.t",
		"partition": "ALTER TABLE `$_again`.t TRUNCATE PARTITION p0",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			task := b.small()
			task.Options.Checksum = importcore.ChecksumOff
			task.Checkpoints = &others{at: sentSave, do: func() { b.exec(sql) }}
			b.fails(task, "`$_again`.`t`")
			if name == "renamed" {
				require.Equal(t, []string{"elsewhere", "t", "u"}, b.rows("SHOW TABLES FROM `$_live`"))
			}
		})
	}
	t.Run("dump", func(t *testing.T) {
		b := newBench(t)
		b.file("$.a-schema.sql", "CREATE TABLE a (a INT PRIMARY KEY)")
		b.file("$.a.csv", "a\n1\n")
		b.file("$.b-schema.sql", "CREATE TABLE b (a INT PRIMARY KEY)")
		b.file("$.b.csv", "a\n1\n2\n3\n")
		task := b.task()
		task.Options.Concurrency = 1
		task.Events = func(e restore.Event) {
			if e.State == restore.TableDone && e.Table.Table == "a" {
				b.exec("DROP TABLE a")
			}
		}
		b.fails(task, "table `$`.`a`: dropped, renamed, truncated or replaced")
	})
}

// TestDatabasesThatNothingGoesTo: a filter for some tables makes no database that these don't go to.
func TestDatabasesThatNothingGoesTo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.file("$_a-schema-create.sql", "CREATE DATABASE a")
	b.file("$_a.t-schema.sql", "CREATE TABLE t (a INT)")
	b.file("$_a.other-schema.sql", "CREATE TABLE other (a INT)")
	b.file("$_c-schema-create.sql", "CREATE DATABASE c")
	b.drop(b.own("$_b"), b.own("$_a"), b.own("$_c"))
	task := b.task()
	task.Selection.Filters = []string{b.own("$_a.t"), b.own("$_c.*")}
	task.Selection.Routes = []restore.Route{{DB: b.own("$_a"), Table: "t", ToDB: b.own("$_b"), ToTable: "u"}}
	b.restore(task)
	require.Equal(t, []string{b.own("$_b"), b.own("$_c")}, b.rows("SHOW DATABASES LIKE '$\\_%'"))
	require.Equal(t, []string{"u"}, b.rows("SHOW TABLES FROM `$_b`"))
}

package restores_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/restore"
)

// shop writes a dump with every kind of object into the bench's folder.
func (b *bench) shop() {
	b.file("$_shop-schema-create.sql", "CREATE DATABASE `any name` DEFAULT CHARACTER SET utf8mb4;")
	b.file("$_shop.items-schema.sql", "/*!40101 SET NAMES binary*/;\nCREATE TABLE `items` (id BIGINT PRIMARY KEY AUTO_INCREMENT, n BIGINT DEFAULT nextval(`ids`), "+
		"name VARCHAR(20) COMMENT 'back\\\\slash', KEY (name)) AUTO_INCREMENT=500;")
	b.file("$_shop.sales-schema.sql", "CREATE TABLE sales (item BIGINT, at DATETIME, FOREIGN KEY (item) REFERENCES items (id)) "+
		"/*T![ttl] TTL=`at` + INTERVAL 3650 DAY */ /*T![ttl] TTL_ENABLE='ON' */;")
	b.file("$_shop.nothing-schema.sql", "CREATE TABLE nothing (a INT) /*!50100 PARTITION BY HASH (a) PARTITIONS 3 */")
	b.file("$_shop.ids-schema-sequence.sql", "CREATE SEQUENCE `ids` start with 1 minvalue 1 maxvalue 9223372036854775806 increment by 1 cache 1000 nocycle ENGINE=InnoDB;\nSELECT SETVAL(`ids`,1001);")
	b.file("$_shop.a_named-schema.sql", "CREATE TABLE `a_named` (`name` int)")
	b.file("$_shop.a_named-schema-view.sql", "DROP TABLE IF EXISTS `a_named`;\nDROP VIEW IF EXISTS `a_named`;\nSET @PREV_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT;\n"+
		"CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `a_named` (`name`) AS SELECT `z`.`name` AS `name` FROM `$_shop`.`z_cheap` AS `z`;")
	b.file("$_shop.z_cheap-schema-view.sql", "CREATE VIEW `z_cheap` AS SELECT `$_shop`.`items`.`name` AS `name` FROM `$_shop`.`items` WHERE `id` < 3")
	b.file("more/$_shop.items.2.csv", "\"name\",\"id\",\"n\"\n\"three\",3,13\n\\N,4,14\n")
	b.file("$_shop.ITEMS.1.csv", "\"id\",\"n\",\"name\"\n1,11,\"one\"\n2,12,\"two, \\\"quoted\\\"\"\n")
	b.file("$_shop.sales.csv", "item,at\n1,2026-01-02 03:04:05\n3,2026-01-02 03:04:06\n1,\\N\n")
	b.file("metadata", "Started dump at: x\nSHOW MASTER STATUS:\n\tLog: tidb-binlog\n\tPos: 415195906970746880\n\tGTID:\n")
	b.file("$_shop.items-schema-triggers.sql", "CREATE TRIGGER t")
	b.file("$_shop.items.1.csv.bak", "x")
	b.drop(b.own("$_shop"), b.own("$_copy"))
}

// checkShop compares what was restored of shop into a database.
func (b *bench) checkShop(name string) {
	b.t.Helper()
	require.Equal(b.t, []string{"1|11|one", `2|12|two, "quoted"`, "3|13|three", "4|14|NULL"}, b.rows("SELECT * FROM `"+name+"`.items ORDER BY id"))
	require.Equal(b.t, []string{"1|2026-01-02 03:04:05", "1|NULL", "3|2026-01-02 03:04:06"}, b.rows("SELECT * FROM `"+name+"`.sales ORDER BY item, at IS NULL"))
	require.Empty(b.t, b.rows("SELECT * FROM `"+name+"`.nothing"))
	require.Equal(b.t, []string{"one", `two, "quoted"`}, b.rows("SELECT * FROM `"+name+"`.a_named ORDER BY name"))
	create := b.rows("SHOW CREATE TABLE `" + name + "`.sales")[0]
	require.Contains(b.t, create, "TTL_ENABLE='OFF'")
	require.Contains(b.t, create, "REFERENCES `items`")
	require.Contains(b.t, b.rows("SHOW CREATE TABLE `" + name + "`.items")[0], `COMMENT 'back\\slash'`)
	b.exec("INSERT INTO `" + name + "`.items (name) VALUES ('new')")
	new := strings.Split(b.rows("SELECT id, n FROM `" + name + "`.items WHERE name = 'new'")[0], "|")
	require.GreaterOrEqual(b.t, len(new[0]), 3, "the next automatic id is behind the dump's: %s", new)
	require.Equal(b.t, "1002", new[1], "the sequence goes on")
	b.exec("ADMIN CHECK TABLE `"+name+"`.items, `"+name+"`.sales", "DELETE FROM `"+name+"`.items WHERE name = 'new'")
}

func TestRestoreEverything(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shop()
	sum := b.restore(b.task())
	b.checkShop(b.own("$_shop"))
	require.Equal(t, []int{1, 3, 2, 1}, []int{sum.Databases, sum.Tables, sum.Views, sum.Sequences})
	require.EqualValues(t, 7, sum.Rows)
	require.EqualValues(t, 415195906970746880, sum.BackupTS)
	require.Greater(t, sum.ClusterTS, sum.BackupTS)
	require.Contains(t, strings.Join(sum.Warnings, "\n"), "TTL_ENABLE is off after the restore of `"+b.own("$_shop")+"`.`sales`")
	reasons := map[string]string{}
	for _, s := range sum.Skipped {
		reasons[strings.TrimPrefix(s.Path, b.dir+"/")] = s.Reason
	}
	require.Len(t, reasons, 3, "%v", reasons)
	require.Contains(t, reasons[b.own("$_shop.items-schema-triggers.sql")], "triggers")
	require.Contains(t, reasons[b.own("$_shop.items.1.csv.bak")], "backup")
	require.Contains(t, reasons[b.own("$_shop.a_named-schema.sql")], "placeholder")
}

func TestRestoreUnderAnotherName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shop()
	task := b.task()
	task.Selection = restore.Selection{
		Databases: []string{b.own("$_SHOP")},
		Renames:   []restore.Rename{{From: restore.Name{DB: b.own("$_SHOP")}, To: restore.Name{DB: b.own("$_copy")}}},
	}
	b.restore(task)
	b.checkShop(b.own("$_copy"))
	require.Empty(t, b.rows("SHOW DATABASES LIKE '$_shop'"))
}

func TestRestoreOfTables(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shop()
	task := b.task()
	from := restore.Name{DB: b.own("$_shop"), Table: "items"}
	task.Selection = restore.Selection{
		Tables:  []restore.Name{from, {DB: from.DB, Table: "ids"}, {DB: from.DB, Table: "z_cheap"}},
		Renames: []restore.Rename{{From: from, To: restore.Name{DB: b.name, Table: "things"}}, {From: restore.Name{DB: from.DB, Table: "ids"}, To: restore.Name{DB: b.name, Table: "numbers"}}},
	}
	b.restore(task)
	require.Equal(t, []string{"4"}, b.rows("SELECT COUNT(*) FROM things"))
	require.Equal(t, []string{"numbers", "things"}, b.rows("SHOW TABLES"))
	require.Contains(t, b.rows("SHOW CREATE TABLE things")[0], "nextval(`"+b.name+"`.`numbers`)")
	require.Equal(t, []string{"one", `two, "quoted"`}, b.rows("SELECT name FROM `$_shop`.z_cheap ORDER BY name"), "a view over a table that has another name now")
	require.Equal(t, []string{"z_cheap"}, b.rows("SHOW TABLES FROM `$_shop`"))

	task.Selection = restore.Selection{Tables: []restore.Name{{DB: b.own("$_shop"), Table: "itemz"}, {DB: "nope", Table: "x"}}}
	b.fails(task, "holds no table `$_shop`.`itemz`, table `nope`.`x`")
	task.Selection = restore.Selection{Databases: []string{b.own("$_shop"), "nope"}}
	b.fails(task, "holds no database `nope`")
}

func TestFiltersAndRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 3 {
		b.file(fmt.Sprintf("$_s%d.user_%d-schema.sql", i, i), "CREATE TABLE u (id INT PRIMARY KEY, name VARCHAR(9))")
		b.file(fmt.Sprintf("$_s%d.user_%d.csv", i, i), fmt.Sprintf("id,name\n%d,x\n", i))
		b.file(fmt.Sprintf("$_s%d.tmp_x-schema.sql", i), "CREATE TABLE u (id INT)")
	}
	task := b.task()
	task.Selection.Filters = []string{"*.*", "!*.tmp_*"}
	task.Selection.Routes = []restore.Route{{DB: b.own("$_s*"), Table: "user_*", ToDB: b.own("$_all"), ToTable: "users"}, {DB: b.own("$_s*"), ToDB: b.own("$_all")}}
	b.drop(b.own("$_all"))
	b.restore(task)
	require.Equal(t, []string{"0|x", "1|x", "2|x"}, b.rows("SELECT * FROM `$_all`.users ORDER BY id"))
	require.Equal(t, []string{"users"}, b.rows("SHOW TABLES FROM `$_all`"))
	require.Empty(t, b.rows("SHOW DATABASES LIKE '$\\_s%'"))
}

func TestAllPrechecksAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE full1 (a INT)", "INSERT INTO full1 VALUES (1)", "CREATE TABLE full2 (a INT)", "INSERT INTO full2 VALUES (1)",
		"CREATE TABLE other (a INT, c INT NOT NULL)", "CREATE VIEW is_view AS SELECT 1 AS a")
	for _, name := range []string{"full1", "full2", "is_view"} {
		b.file("$."+name+"-schema.sql", "CREATE TABLE t (a INT)")
		b.file("$."+name+".csv", "a\n1\n")
	}
	b.file("$.other-schema.sql", "CREATE TABLE t (a BIGINT, b INT)")
	b.file("$.unknown.1.csv", "a\n1\n")
	b.file("$.bad-schema.sql", "CREATE TABLE t (a INT")
	b.file("$.packed.1.csv.lz4", "x")
	b.file("$.good-schema.sql", "CREATE TABLE t (a INT)")
	b.fails(b.task(), "hold rows already: `$`.`full1`, `$`.`full2`", "table `$`.`other` exists and doesn't fit the dump's: column a is int(11), and bigint(20) in the dump, it has no column b, "+
		"column c, which the dump doesn't have, has no default", "no schema file that says how to make it: `$`.`unknown` ("+b.dir+"/$.unknown.1.csv)",
		"$.bad-schema.sql can't be restored", "$.packed.1.csv.lz4 can't be restored", "views or sequences: `$`.`is_view`")
	require.Equal(t, []string{"full1", "full2", "is_view", "other"}, b.rows("SHOW TABLES"), "nothing was made")
}

// TestNoRoom: what all tables together need in the cluster, and the largest in the sort directory, is compared with what is free.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, name := range []string{"a", "b"} {
		b.file("$."+name+"-schema.sql", "CREATE TABLE t (a INT, KEY (a))")
		b.file("$."+name+".csv", "a\n1\n")
		if err := os.Truncate(filepath.Join(b.dir, b.own("$."+name+".csv")), 6<<40); err != nil {
			t.Skip("the file system has no files with holes of this size: ", err)
		}
	}
	b.fails(b.task(), "cluster_space: TiKV gets about 50.4TiB (3 replicas, before compression)", "local_disk: sorting needs about 6.3TiB")
	task := b.task()
	task.DiskQuota = 1 << 30
	_, err := b.run(t.Context(), task)
	require.ErrorContains(t, err, "cluster_space")
	require.NotContains(t, err.Error(), "local_disk")
	require.Empty(t, b.rows("SHOW TABLES"))
}

func TestExistingTablesKeepTheirSchema(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a BIGINT PRIMARY KEY, b VARCHAR(50), extra INT DEFAULT 5)")
	b.file("$.t-schema.sql", "CREATE TABLE t (a INT, b VARCHAR(9))")
	b.file("$.t.csv", "b,a\nx,1\n")
	b.file("$.only_data.csv", "a\n7\n")
	b.exec("CREATE TABLE only_data (a INT)")
	b.restore(b.task())
	require.Equal(t, []string{"1|x|5"}, b.rows("SELECT * FROM t"))
	require.Equal(t, []string{"7"}, b.rows("SELECT * FROM only_data"))

	b.exec("TRUNCATE TABLE t", "TRUNCATE TABLE only_data")
	task := b.task()
	task.Options.SkipSchemaFiles = true
	b.restore(task)
	require.Equal(t, []string{"1|x|5"}, b.rows("SELECT * FROM t"))
	b.file("$.more-schema.sql", "CREATE TABLE more (a INT)")
	b.exec("TRUNCATE TABLE t", "TRUNCATE TABLE only_data")
	b.fails(task, "`$`.`more` (skip_schema_files)")
}

// TestFailureLeavesNothing: an error in one file gives up all tables, also those that were done.
func TestFailureLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shop()
	b.exec("CREATE TABLE existing (a INT PRIMARY KEY)")
	b.file("$.existing.csv", "a\n1\n2\n")
	b.file("$_shop.zz_bad-schema.sql", "CREATE TABLE t (a INT, b VARCHAR(200))")
	b.file("$_shop.zz_bad.1.csv", "a,b\n1,"+strings.Repeat("x", 100)+"\nno number,y\n")
	w := &world{}
	task := b.task()
	task.Session.SQLMode = 0x400000 // STRICT_TRANS_TABLES
	task.Checkpoints, task.Options.Concurrency = w, 1
	b.fails(task, "table `$_shop`.`zz_bad`", "zz_bad.1.csv", "no number", "what the job had made was dropped", "emptied again: `$`.`existing`")
	require.Empty(t, b.rows("SHOW DATABASES LIKE '$\\_shop'"))
	require.Empty(t, b.rows("SELECT * FROM existing"))
	require.Empty(t, w.data)

	b.file("$_shop.zz_bad.1.csv", "a,b\n1,x\n")
	b.restore(task)
	require.Equal(t, []string{"1|x"}, b.rows("SELECT * FROM `$_shop`.zz_bad"))
	require.Equal(t, []string{"1", "2"}, b.rows("SELECT * FROM existing"))
}

// TestFailureKeepsWhatOthersWrote: rows of others keep a table from being dropped.
func TestFailureKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.file("$.a-schema.sql", "CREATE TABLE a (a INT PRIMARY KEY, b LONGTEXT)")
	b.file("$.a.csv", "a,b\n1,"+strings.Repeat("x", 600_000)+"\n") // too large to be imported together with b, and so before it
	b.file("$.b-schema.sql", "CREATE TABLE b (a INT PRIMARY KEY)")
	b.file("$.b.csv", "a\n1\n1\n")
	task := b.task()
	task.Options.Concurrency = 1
	task.Events = func(e restore.Event) {
		if e.State == restore.TableDone {
			b.exec("INSERT INTO a (a) VALUES (5)")
		}
	}
	b.fails(task, "table `$`.`b`", "left behind: table `$`.`a` holds", "what the job had made was dropped")
	require.Equal(t, []string{"1", "5"}, b.rows("SELECT a FROM a ORDER BY a"))
	require.Equal(t, []string{"a"}, b.rows("SHOW TABLES"))
}

func TestForeignKeysAreCheckedAtTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.file("$.child-schema.sql", "CREATE TABLE child (a INT, FOREIGN KEY (a) REFERENCES parent (a))")
	b.file("$.child.csv", "a\n1\n3\n")
	b.file("$.parent-schema.sql", "CREATE TABLE parent (a INT PRIMARY KEY, b VARCHAR(99))")
	b.file("$.parent.csv", "a,b\n1,one\n2,a longer text\n")
	b.fails(b.task(), "foreign key", `("3")`)
	require.Empty(t, b.rows("SHOW TABLES"))
	task := b.task()
	task.Session.IgnoreForeignKeys = true
	b.restore(task)
	require.Equal(t, []string{"1", "3"}, b.rows("SELECT a FROM child ORDER BY a"))
}

// TestInterruptedAtEverySave: whatever moment a process dies or is paused at, the next one goes on, and the result is the same.
func TestInterruptedAtEverySave(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name   string
		cause  error
		behind bool
	}{{"died before", errDied, false}, {"died behind", errDied, true}, {"paused", importcore.ErrPaused, true}} {
		t.Run(kind.name, func(t *testing.T) {
			b := newBench(t)
			b.shop()
			for at := 1; ; at++ {
				w := &world{cause: kind.cause, behind: kind.behind}
				task := b.task()
				task.Checkpoints = w
				lives := 0
				for ; ; lives++ {
					ctx, kill := context.WithCancelCause(t.Context())
					w.saves, w.dieAt, w.kill = 0, at, kill
					if lives > 0 {
						w.dieAt = 0
					}
					_, err := b.run(ctx, task)
					kill(nil)
					if err == nil {
						break
					}
					require.True(t, errors.Is(err, kind.cause), "%d: %v", at, err)
				}
				b.checkShop(b.own("$_shop"))
				b.exec("DROP DATABASE `$_shop`")
				if lives == 0 {
					t.Logf("%d saves", at-1)
					return
				}
			}
		})
	}
}

// TestAbandon: whatever moment a process dies at, giving the job up leaves nothing.
func TestAbandon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.file("$_shop.t-schema.sql", "CREATE TABLE t (a INT PRIMARY KEY, b INT DEFAULT nextval(s))")
	b.file("$_shop.t.csv", "a\n1\n2\n")
	b.file("$_shop.s-schema-sequence.sql", "CREATE SEQUENCE s")
	b.file("$_shop.v-schema-view.sql", "CREATE VIEW v AS SELECT * FROM t")
	b.exec("CREATE TABLE existing (a INT PRIMARY KEY)")
	b.file("$.existing.csv", "a\n1\n2\n")
	b.drop(b.own("$_shop"))
	for at := 2; ; at++ {
		ctx, kill := context.WithCancelCause(t.Context())
		w := &world{cause: errDied, behind: at%2 == 0, dieAt: at / 2, kill: kill}
		task := b.task()
		task.Checkpoints = w
		_, err := b.run(ctx, task)
		kill(nil)
		w.dieAt = 0
		if err == nil {
			require.Greater(t, at, 8)
			return
		}
		fate, err := b.restorer.Abandon(t.Context(), task)
		require.NoError(t, err)
		require.NotContains(t, fate, "left", "%d", at)
		require.Empty(t, b.rows("SHOW DATABASES LIKE '$\\_shop'"), "%d: %s", at, fate)
		require.Empty(t, b.rows("SELECT * FROM existing"), "%d: %s", at, fate)
	}
}

// TestChangedSource: a job doesn't go on with other files than it began with.
func TestChangedSource(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shop()
	ctx, kill := context.WithCancelCause(t.Context())
	w := &world{cause: importcore.ErrPaused, dieAt: 3, kill: kill}
	task := b.task()
	task.Checkpoints = w
	_, err := b.run(ctx, task)
	require.ErrorIs(t, err, importcore.ErrPaused)
	w.dieAt = 0
	b.file("$_shop.items.3.csv", "id\n9\n")
	_, err = b.run(t.Context(), task)
	require.ErrorIs(t, err, importcore.ErrCantGoOn)
	fate, err := b.restorer.Abandon(t.Context(), task)
	require.NoError(t, err)
	require.Empty(t, b.rows("SHOW DATABASES LIKE '$\\_shop'"), fate)
}

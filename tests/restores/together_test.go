package restores_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/restore"
)

// smallTables writes a dump with small tables of several kinds, which are imported together, and some among them that can't be.
func (b *bench) smallTables() {
	for i := range 20 {
		b.file(fmt.Sprintf("$.plain%02d-schema.sql", i), fmt.Sprintf("CREATE TABLE plain%02d (id BIGINT PRIMARY KEY, v VARCHAR(100), KEY (v))", i))
		b.file(fmt.Sprintf("$.plain%02d.csv", i), fmt.Sprintf("id,v\n1,a%d\n2,b\n", i))
	}
	for name, t := range map[string][2]string{
		"rowid":     {"(v INT)", "v\n5\n6\n"},
		"counted":   {"(id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT)", "id,v\n41,1\n7,2\n"},
		"separate":  {"(id BIGINT AUTO_INCREMENT, v INT, KEY (id)) AUTO_ID_CACHE 1", "id,v\n41,1\n7,2\n"},
		"random":    {"(id BIGINT PRIMARY KEY AUTO_RANDOM, v INT)", "id,v\n1,1\n"},
		"parts":     {"(id BIGINT PRIMARY KEY, v INT, KEY (v)) PARTITION BY HASH (id) PARTITIONS 3", "id,v\n1,1\n2,2\n3,3\n4,4\n"},
		"overall":   {"(id BIGINT, v INT UNIQUE GLOBAL) PARTITION BY HASH (id) PARTITIONS 2", "id,v\n1,1\n2,2\n"},
		"headed":    {"(id BIGINT PRIMARY KEY)", "id\n"},
		"drawn":     {"(id BIGINT PRIMARY KEY, u VARCHAR(36) DEFAULT (UUID()))", "id\n1\n"},
		"clustered": {"(a VARCHAR(20), b INT, v INT, PRIMARY KEY (a, b) CLUSTERED, UNIQUE KEY (v))", "a,b,v\nx,1,1\ny,1,2\n"},
	} {
		b.file("$."+name+"-schema.sql", "CREATE TABLE "+name+" "+t[0])
		b.file("$."+name+".csv", t[1])
	}
}

// TestSmallTablesTogether: tables of every kind, of which all are checked by TiDB, with fewer saves than tables.
func TestSmallTablesTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.smallTables()
	w := &world{}
	task := b.task()
	task.Checkpoints, task.Options.Checksum, task.Options.Analyze = w, importcore.ChecksumRequired, importcore.AnalyzeRequired
	sum := b.restore(task)
	require.Equal(t, 29, sum.Tables)
	require.EqualValues(t, 20*2+2+2+2+1+4+2+0+1+2, sum.Rows)
	// Other tests leave regions in this cluster, of which it may be told.
	require.Empty(t, slices.DeleteFunc(sum.Warnings, func(text string) bool { return strings.Contains(text, "empty regions") }))
	require.Less(t, w.saves, 16)
	var names []string
	for _, table := range sum.PerTable {
		names = append(names, table.To.String())
		rows := b.rows("SELECT COUNT(*) FROM " + table.To.String())
		require.Equal(t, fmt.Sprint(table.Rows), rows[0], table.To)
	}
	b.exec("ADMIN CHECK TABLE " + strings.Join(names, ", "))
	require.Equal(t, []string{"1|a7", "2|b"}, b.rows("SELECT * FROM plain07 ORDER BY id"))
	require.Equal(t, []string{"2"}, b.rows("SELECT COUNT(*) FROM overall WHERE v IN (1, 2)"))
	require.Len(t, b.rows("SHOW STATS_META WHERE db_name = '$' AND row_count = 2 AND table_name LIKE 'plain%'"), 20)
	b.exec("INSERT INTO rowid VALUES (7)", "INSERT INTO counted (v) VALUES (3)", "INSERT INTO separate (v) VALUES (3)", "INSERT INTO random (v) VALUES (3)",
		"ADMIN CHECK TABLE rowid, counted, `separate`, random")
	require.Equal(t, []string{"3"}, b.rows("SELECT COUNT(DISTINCT _tidb_rowid) FROM rowid"))
	for _, table := range []string{"counted", "`separate`"} {
		require.Equal(t, []string{"1"}, b.rows("SELECT COUNT(*) FROM "+table+" WHERE v = 3 AND id > 41"), table)
	}
}

// TestSmallTablesFail: what is wrong with one of many tables that are imported together names it, and leaves nothing but what others have written.
func TestSmallTablesFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func(b *bench)
		when string // is run when the table is about to be imported
		says []string
		left []string
	}{
		{"a bad row", func(b *bench) { b.file("$.plain03.csv", "id,v\n1,x\nno number,y\n") }, "", []string{"`$`.`plain03`", "plain03.csv", "no number"}, nil},
		{"two equal keys", func(b *bench) { b.file("$.plain03.csv", "id,v\n1,x\n1,y\n") }, "", []string{"`$`.`plain03`", "Duplicate entry '1'"}, nil},
		{
			"rows of others", nil, "INSERT INTO plain05 VALUES (9, 'mine')",
			[]string{"`$`.`plain05`", "target table is not empty", "left behind: table `$`.`plain05`, which holds rows that are not the job's"}, []string{"plain05"},
		},
		{"truncated", nil, "TRUNCATE TABLE plain05", []string{"`$`.`plain05`: dropped, renamed, truncated or replaced"}, []string{"plain05"}},
		{"dropped", nil, "DROP TABLE plain05", []string{"`$`.`plain05`"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.smallTables()
			if c.make != nil {
				c.make(b)
			}
			task := b.task()
			task.Session.SQLMode = 0x400000 // STRICT_TRANS_TABLES
			task.Events = func(e restore.Event) {
				if c.when != "" && e.State == restore.TableRunning && e.Table.Table == "plain05" {
					b.exec(c.when)
				}
			}
			b.fails(task, c.says...)
			require.ElementsMatch(t, c.left, b.rows("SHOW TABLES"))
		})
	}
}

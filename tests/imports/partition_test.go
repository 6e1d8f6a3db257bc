package imports_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// partitionings are the ways of partitioning a table of partitionRow's columns:
// the clause, and whether the integer primary key can be that of one column.
var partitionings = []struct {
	name, by string
	single   bool
}{
	{"hash", "HASH (a) PARTITIONS 4", true},
	{"key", "KEY (a) PARTITIONS 3", true},
	{"range", "RANGE (a) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (250), PARTITION p2 VALUES LESS THAN MAXVALUE)", true},
	{"list", "LIST (a) (PARTITION p0 VALUES IN (1, 2, 3, 4, 5, 6), PARTITION p1 VALUES IN (7, 8, 9), PARTITION p2 DEFAULT)", true},
	{"range columns", "RANGE COLUMNS (a) (PARTITION p0 VALUES LESS THAN (30), PARTITION p1 VALUES LESS THAN (1000000))", true},
	{"list columns", "LIST COLUMNS (a) (PARTITION p0 VALUES IN (1, 2, 3, 4, 5, 6), PARTITION p1 DEFAULT)", true},
	{"range of an expression", "RANGE (YEAR(d)) (PARTITION p0 VALUES LESS THAN (2001), PARTITION p1 VALUES LESS THAN (2010), PARTITION p2 VALUES LESS THAN MAXVALUE)", false},
	{"range columns of two", "RANGE COLUMNS (d, s) (PARTITION p0 VALUES LESS THAN ('2001-01-01', 's3'), PARTITION p1 VALUES LESS THAN ('2010-01-01', MAXVALUE), PARTITION p2 VALUES LESS THAN (MAXVALUE, MAXVALUE))", false},
	{"list columns of a text", "LIST COLUMNS (s) (PARTITION p0 VALUES IN ('S0', 's1', 's2'), PARTITION p1 VALUES IN ('s3'), PARTITION p2 DEFAULT)", false},
	{"key of two", "KEY (d, s) PARTITIONS 5", false},
}

// partitionRow is row i of a table (a BIGINT, d DATE, s VARCHAR(10), v INT).
func partitionRow(i int) string {
	return fmt.Sprintf("%d,20%02d-0%d-11,s%d,%d", (i*7919)%1009+1, i%23, i%9+1, i%7, i)
}

type partitionKind struct{ name, keys string }

// partitionKeys are the kinds of tables, by their keys, with local and with
// global unique indexes.
func partitionKeys(single bool) []partitionKind {
	kinds := []partitionKind{
		{"rowid local", "UNIQUE KEY u (a, d, s, v)"},
		{"common global", "PRIMARY KEY (s, a, d, v) CLUSTERED, UNIQUE KEY u (v, s) GLOBAL"},
		{"int local", "PRIMARY KEY (a) CLUSTERED, UNIQUE KEY u (v, a)"},
		{"rowid global", "UNIQUE KEY u (v) GLOBAL, KEY g (s, v) GLOBAL"},
		{"common local", "PRIMARY KEY (s, a, d, v) CLUSTERED, UNIQUE KEY u (a, d, s, v)"},
		{"int global", "PRIMARY KEY (a) CLUSTERED, UNIQUE KEY u (v) GLOBAL"},
	}
	if !single {
		kinds = slices.DeleteFunc(kinds, func(k partitionKind) bool { return strings.HasPrefix(k.name, "int") })
	}
	return kinds
}

// everything asks for every kind of table with every way of partitioning;
// otherwise a third of them is tried.
var everything = os.Getenv("SLUICE_ORACLE") == "full"

// TestPartitionedTables imports into every kind and compares partition by
// partition with what INSERT makes of the same rows.
func TestPartitionedTables(t *testing.T) {
	t.Parallel()
	const count = 400
	for at, p := range partitionings {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var csv, values []string
			for i := range count {
				row := partitionRow(i)
				csv = append(csv, row)
				cells := strings.Split(row, ",")
				values = append(values, "("+cells[0]+",'"+cells[1]+"','"+cells[2]+"',"+cells[3]+")")
			}
			path := b.file("rows.csv", lines(csv...))
			const columns = "(a BIGINT, d DATE, s VARCHAR(10) COLLATE utf8mb4_general_ci, v INT"
			b.exec("CREATE TABLE want "+columns+") PARTITION BY "+p.by, "INSERT INTO want VALUES "+strings.Join(values, ","))
			for i, kind := range partitionKeys(p.single) {
				if !everything && i%3 != at%3 {
					continue
				}
				table := strings.ReplaceAll(kind.name, " ", "_")
				b.exec("CREATE TABLE " + table + columns + ", " + kind.keys + ", KEY k (v, s)) PARTITION BY " + p.by)
				row := b.mustImport(fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH thread=3", table, path))
				require.Equal(t, fmt.Sprint(count), row["Imported_Rows"], kind.name)
				b.consistent(table)
				parts := b.query(`SELECT PARTITION_NAME FROM information_schema.PARTITIONS
					WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY PARTITION_ORDINAL_POSITION`, b.name, table)
				require.Greater(t, len(parts), 1)
				for _, part := range parts {
					query := "SELECT * FROM %s PARTITION (" + part[0] + ") ORDER BY v"
					require.Equal(t, b.query(fmt.Sprintf(query, "want")), b.query(fmt.Sprintf(query, table)), "%s, partition %s", kind.name, part[0])
				}
				// Through each index, the rows are those of the other table.
				const where = " WHERE v BETWEEN 100 AND 150 ORDER BY v"
				for _, hint := range []string{"u", "k"} {
					require.Equal(t, b.query("SELECT * FROM want"+where), b.query("SELECT * FROM "+table+" FORCE INDEX ("+hint+")"+where), "%s, index %s", kind.name, hint)
				}
			}
		})
	}
}

// TestPartitionsWhateverTheWorkers: the same rows, in any split and with any
// number of workers, give the same pairs. The job checks each sum with the cluster.
func TestPartitionsWhateverTheWorkers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const count = 20_000
	var csv []string
	for i := range count {
		csv = append(csv, fmt.Sprintf("%d,2%03d-0%d-11,s%d,%d", i*13, i%999, i%9+1, i%7, i))
	}
	whole := b.file("whole.csv", lines(csv...))
	for i := range 4 {
		b.file(fmt.Sprintf("part.%d.csv", i), lines(csv[i*count/4:(i+1)*count/4]...))
	}
	counts := make(map[string]string)
	for i, run := range []string{whole + "' WITH thread=1", whole + "' WITH thread=4", b.dir + "/part.*.csv' WITH thread=2", b.dir + "/part.*.csv' WITH thread=4, max_write_speed='64MiB'"} {
		table := fmt.Sprintf("t%d", i)
		b.exec("CREATE TABLE " + table + ` (a BIGINT, d DATETIME, s VARCHAR(10), v INT AUTO_INCREMENT, KEY (v), UNIQUE KEY g (a) GLOBAL, KEY k (s))
			SHARD_ROW_ID_BITS = 4 PARTITION BY RANGE (YEAR(d)) (PARTITION p0 VALUES LESS THAN (2100), PARTITION p1 VALUES LESS THAN (2500), PARTITION p2 VALUES LESS THAN MAXVALUE)`)
		b.mustImport("IMPORT INTO " + table + " (a, d, s, @v) FROM '" + run)
		b.consistent(table)
		for _, part := range []string{"p0", "p1", "p2"} {
			got := fmt.Sprint(b.query("SELECT COUNT(*), SUM(a), SUM(v), SUM(_tidb_rowid), SUM(CRC32(s)) FROM " + table + " PARTITION (" + part + ")"))
			if i == 0 {
				counts[part] = got
			}
			require.Equal(t, counts[part], got, "%s of run %d", part, i)
		}
		b.exec("INSERT INTO " + table + " (a, d, s) VALUES (-1, '2200-01-01', 'new')")
		require.Equal(t, [][]string{{"1"}}, b.query(fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE a = -1 AND v > %d AND _tidb_rowid > 0", table, count)))
	}
}

// TestRowsWithoutPartition are refused with TiDB's code and with their place.
func TestRowsWithoutPartition(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE r (a INT, b INT) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10))`,
		`CREATE TABLE c (a INT, b INT) PARTITION BY LIST COLUMNS (b, a) (PARTITION p0 VALUES IN ((1, 1)))`,
		`CREATE TABLE l (a INT, b INT) PARTITION BY LIST (a + b) (PARTITION p0 VALUES IN (2))`)
	path := b.file("x.csv", lines("1,1", "1,1", "10,3", "99,4"))
	b.fails(fmt.Sprintf("IMPORT INTO r FROM '%s' WITH thread=3", path), 1526,
		"Table has no partition for value 10", "line 3", "offset 8", "column a", `value "10"`, path)
	b.fails(fmt.Sprintf("IMPORT INTO c FROM '%s'", path), 1526,
		"Table has no partition for value from column_list", "line 3", "column b, a", `value "3", "10"`)
	b.fails(fmt.Sprintf("IMPORT INTO l FROM '%s'", path), 1526, "Table has no partition for value 13", "line 3", "column a, b")
	b.fails(fmt.Sprintf("IMPORT INTO l FROM '%s'", b.file("null.csv", lines("1,1", `1,\N`))), 1526, "Table has no partition for value NULL", "line 2")
	for _, table := range []string{"r", "c", "l"} {
		require.Equal(t, "0", b.count(table))
	}
}

// TestDuplicatesAcrossPartitions: a global index finds them, and is named.
func TestDuplicatesAcrossPartitions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (a INT, b INT, s VARCHAR(10), UNIQUE KEY g (s) GLOBAL, UNIQUE KEY l (a, b)) PARTITION BY HASH (a) PARTITIONS 3`)
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s'", b.file("g.csv", lines("1,1,x", "2,2,y", "3,3,x"))), 1062, "Duplicate entry 'x' for key 't.g'")
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s'", b.file("l.csv", lines("1,7,x", "2,2,y", "1,7,z"))), 1062, "Duplicate entry '1-7' for key 't.l'")
	b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s'", b.file("ok.csv", lines("1,7,x", "2,7,y", "3,7,z"))))
	b.consistent("t")
}

// TestOnePartition imports into empty partitions of a table with rows.
func TestOnePartition(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id BIGINT AUTO_INCREMENT, d DATE, s VARCHAR(10), PRIMARY KEY (id, d), UNIQUE KEY u (s, d), KEY k (s))
		PARTITION BY RANGE COLUMNS (d) (PARTITION p1 VALUES LESS THAN ('2021-01-01'), PARTITION `+"`P 2`"+` VALUES LESS THAN ('2022-01-01'))`,
		"INSERT INTO t (d, s) VALUES ('2020-05-05', 'a'), ('2020-06-06', 'b')",
		"CREATE TABLE between_them (a INT)",
		"ALTER TABLE t ADD PARTITION (PARTITION p3 VALUES LESS THAN ('2023-01-01'), PARTITION p4 VALUES LESS THAN ('2024-01-01'))",
		"CREATE TABLE plain (a INT)",
		"CREATE TABLE g (a INT, b INT, UNIQUE KEY g (b) GLOBAL) PARTITION BY HASH (a) PARTITIONS 2")
	file := func(name string, rows ...string) string { return b.file(name, lines(rows...)) }
	good := file("good.csv", "2022-01-01,x", "2022-12-31,y", "2022-06-06,a")

	// What is not to be had.
	b.fails(fmt.Sprintf("IMPORT INTO t (d, s) FROM '%s'", good), 8173, "target table is not empty")
	b.fails(fmt.Sprintf("IMPORT INTO t PARTITION (p1) (d, s) FROM '%s'", good), 8173, "target partition is not empty")
	b.fails(fmt.Sprintf("IMPORT INTO t PARTITION (p9) (d, s) FROM '%s'", good), 1735, "Unknown partition 'p9' in table 't'")
	b.fails(fmt.Sprintf("IMPORT INTO plain PARTITION (p1) FROM '%s'", good), 1747, "PARTITION () clause on non partitioned table")
	b.fails(fmt.Sprintf("IMPORT INTO g PARTITION (p1) FROM '%s'", good), 1235, "index g is global")
	b.fails(fmt.Sprintf("IMPORT INTO t PARTITION (p3) (d, s) FROM '%s'", file("other.csv", "2022-01-01,x", "2023-01-01,y")),
		1748, "Found a row not matching the given partition set", "line 2", "column d", "2023-01-01")
	require.Equal(t, "2", b.count("t"))

	row := b.mustImport(fmt.Sprintf("IMPORT INTO `t` PARTITION ( P3 ) (d, s) FROM '%s'", good))
	require.Equal(t, "3", row["Imported_Rows"])
	b.mustImport(fmt.Sprintf("IMPORT INTO %s.t /* both */ PARTITION (p4,`p 2`) (d, s) FROM '%s' WITH thread=2", b.name,
		file("two.csv", "2023-05-05,m", "2021-05-05,n", "2023-06-06,n")))
	b.exec("ADMIN CHECK TABLE t")
	require.Equal(t, [][]string{{"8", "8"}}, b.query("SELECT COUNT(*), COUNT(DISTINCT id) FROM t"))
	require.Equal(t, [][]string{{"2022-01-01", "x"}, {"2022-06-06", "a"}, {"2022-12-31", "y"}}, b.query("SELECT d, s FROM t PARTITION (p3) ORDER BY d"))
	require.Equal(t, [][]string{{"2021-05-05", "n"}}, b.query("SELECT d, s FROM t PARTITION (`P 2`)"))
	require.Equal(t, [][]string{{"2020-05-05", "a"}, {"2020-06-06", "b"}}, b.query("SELECT d, s FROM t PARTITION (p1) ORDER BY d"))
	b.exec("INSERT INTO t (d, s) VALUES ('2020-07-07', 'new')")
	require.Equal(t, [][]string{{"9"}}, b.query("SELECT COUNT(DISTINCT id) FROM t"))
	statement := b.query("SELECT statement FROM sluice.jobs WHERE table_schema = ? AND statement LIKE '%PARTITION%' ORDER BY id DESC LIMIT 1", b.name)
	require.Contains(t, statement[0][0], "IMPORT INTO `"+b.name+"`.`t` PARTITION (`p4`, `p 2`) (`d`,`s`) FROM")
}

// TestFailureLeavesOtherPartitionsAlone: what a failed job has put into its
// partition goes again, and nothing else of the table.
func TestFailureLeavesOtherPartitionsAlone(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	b.exec(`CREATE TABLE t (a INT PRIMARY KEY, b INT, KEY (b)) PARTITION BY RANGE (a)
		(PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (200), PARTITION p2 VALUES LESS THAN (300))`,
		"INSERT INTO t VALUES (1, 1), (250, 2)")
	before := steering(t, b.cluster)
	statement := fmt.Sprintf("IMPORT INTO t PARTITION (p1) FROM '%s'", b.file("x.csv", lines("100,3", "150,4")))
	require.NoError(t, b.cluster.InjectFault(t.Context(), fault.Rule{RPC: rpcIngest, Kind: fault.Refused}))
	b.fails(statement, 1105, "; table `"+b.name+"`.`t` is as before: its partitions p1 were emptied again")
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	require.Equal(t, before, steering(t, b.cluster))
	require.Equal(t, [][]string{{"1", "1"}, {"250", "2"}}, b.query("SELECT * FROM t ORDER BY a"))
	b.mustImport(statement)
	require.Equal(t, before, steering(t, b.cluster))
	require.Equal(t, [][]string{{"1", "1"}, {"100", "3"}, {"150", "4"}, {"250", "2"}}, b.query("SELECT * FROM t ORDER BY a"))
	b.exec("ADMIN CHECK TABLE t")
}

// TestRowsIntoAPartitionWithRows: the strategies for rows that collide work in
// a partition as in a table, and the checksum is that of the partition.
func TestRowsIntoAPartitionWithRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range []struct{ strategy, want string }{
		{"replace", "[[100 new 0] [110 a 1] [120 new 2] [130 new 3]]"},
		{"ignore", "[[100 old 9] [110 a 1] [120 new 2] [130 old 7]]"},
	} {
		name := "t_" + c.strategy
		b.exec("CREATE TABLE "+name+` (a INT, s VARCHAR(10), v INT, PRIMARY KEY (a) CLUSTERED, UNIQUE KEY u (v, a)) PARTITION BY RANGE (a)
			(PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (200), PARTITION p2 VALUES LESS THAN (300))`,
			"INSERT INTO "+name+" VALUES (1, 'p0', 1), (100, 'old', 9), (130, 'old', 7), (200, 'p2', 1)")
		path := b.file(name+".csv", lines("100,new,0", "110,a,1", "120,new,2", "130,new,3"))
		b.mustImport(fmt.Sprintf("IMPORT INTO %s PARTITION (p1) FROM '%s' WITH allow_non_empty, on_duplicate='%s'", name, path, c.strategy))
		b.exec("ADMIN CHECK TABLE " + name)
		require.Equal(t, c.want, fmt.Sprint(b.query("SELECT a, s, v FROM "+name+" PARTITION (p1) ORDER BY a")), c.strategy)
		require.Equal(t, [][]string{{"1", "p0"}, {"200", "p2"}}, b.query("SELECT a, s FROM "+name+" PARTITION (p0, p2) ORDER BY a"))
		b.fails(fmt.Sprintf("IMPORT INTO %s PARTITION (p1) FROM '%s' WITH allow_non_empty", name, path), 1062, "Duplicate entry '1")
	}
}

package imports_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
)

func TestDemoTable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(dataset.DemoSchema("demo"))
	path, want := b.demoFile(30_000, 7)

	row := b.mustImport(fmt.Sprintf("IMPORT INTO demo FROM '%s' WITH thread=3", path))
	require.Equal(t, "30000", row["Imported_Rows"])
	require.Equal(t, path, row["Data_Source"])
	require.Equal(t, "`"+b.name+"`.`demo`", row["Target_Table"])
	got, err := dataset.QuerySums(t.Context(), b.proxy, "demo")
	require.NoError(t, err)
	require.Equal(t, want, got)
	b.consistent("demo")
	require.Equal(t, [][]string{{"30000"}}, b.query(`SELECT s.count FROM mysql.stats_meta s
		JOIN information_schema.tables t ON s.table_id = t.tidb_table_id WHERE t.table_schema = ? AND t.table_name = 'demo'`, b.name), "statistics are collected")
}

// typesTable has a column of every type that part 1 promises, and indexes over many of them.
const typesTable = `(
  id BIGINT PRIMARY KEY CLUSTERED,
  t1 TINYINT, t2 SMALLINT UNSIGNED, t3 MEDIUMINT, t4 INT UNSIGNED, t5 BIGINT UNSIGNED,
  d1 DECIMAL(20,6), d2 DECIMAL(65,30), f1 FLOAT, f2 DOUBLE,
  c1 CHAR(10), c2 VARCHAR(40) COLLATE utf8mb4_general_ci, c3 TEXT, c4 VARCHAR(40) COLLATE utf8mb4_bin,
  b1 BINARY(6), b2 VARBINARY(20), b3 BLOB,
  dt1 DATE, dt2 DATETIME(3), ts TIMESTAMP(6) NULL, tm TIME(2), y YEAR,
  e ENUM('red','green','blue'), s SET('a','b','c'), j JSON, bt BIT(12),
  UNIQUE KEY u1 (t5), KEY k1 (d1), KEY k2 (c2), KEY k3 (c4, dt2), KEY k4 (c3(5)), KEY k5 (ts), KEY k6 (e), KEY k7 (b2), KEY k8 (tm, y)
)`

func TestValuesEqualThoseOfInsert(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE inserted "+typesTable, "CREATE TABLE imported "+typesTable)
	texts := [][]string{
		{"1", "-128", "65535", "-8388608", "4294967295", "18446744073709551615", "12345678901234.567890", "-0.000000000000000000000000000001", "1.5", "-2.25e-10", "abc", "Straße", "some text", "Żółć", "ab", "xyz", "blob", "2024-02-29", "2024-02-29 23:59:59.999", "2024-02-29 23:59:59.123456", "-838:59:59", "2155", "green", "a,c", `{"a":[1,2,{"b":null}]}`, "7"},
		{"2", "127", "0", "8388607", "0", "0", "-1", "99999999999999999999999999999999999", "0", "1e308", "", "", "", "", "", "", "", "1000-01-01", "1000-01-01 00:00:00", "1970-01-02 00:00:01", "00:00:00.01", "1901", "red", "", `"text"`, "0"},
		{"3", "0", "1", "2", "3", "4", "5.5", "6.25", "7.125", "8.0625", "trail  ", "trail  ", "trail  ", "trail  ", "tr", "trail  ", "trail  ", "9999-12-31", "2024-01-01 01:02:03", "2038-01-19 03:14:07", "12:30:00", "2024", "blue", "b", `[true,false,1.5]`, "4"},
		{"-4", "12", "34", "56", "78", "90", "1.1", "2.2", "3.3", "4.4", "日本語", "日本語", "日本語テキスト", "日本語", "a", "b", "c", "2000-01-01", "2000-01-01 00:00:00.5", "2000-01-01 00:00:00", "1:2:3", "1999", "red", "a,b,c", `{}`, "1"},
	}
	var csv []string
	for _, row := range texts {
		var cells, quoted []string
		for _, text := range row {
			cells = append(cells, `"`+strings.ReplaceAll(text, `"`, `""`)+`"`)
			quoted = append(quoted, "'"+text+"'")
		}
		csv = append(csv, strings.Join(cells, ","))
		b.exec("INSERT INTO inserted VALUES (" + strings.Join(quoted, ",") + ")")
	}
	csv = append(csv, "5"+strings.Repeat(`,\N`, len(texts[0])-1))
	b.exec("INSERT INTO inserted (id) VALUES (5)")
	b.mustImport(fmt.Sprintf("IMPORT INTO imported FROM '%s'", b.file("types.csv", lines(csv...))))
	b.consistent("imported")
	require.Equal(t, b.query("SELECT * FROM inserted ORDER BY id"), b.query("SELECT * FROM imported ORDER BY id"))
	require.Equal(t, b.query("SELECT id FROM inserted WHERE c2 = 'STRASSE' OR c2 = 'trail' ORDER BY id"),
		b.query("SELECT id FROM imported USE INDEX (k2) WHERE c2 = 'STRASSE' OR c2 = 'trail' ORDER BY id"))
}

func TestColumnListVariablesAndSkipRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(10) DEFAULT 'none', c INT)")
	path := b.file("x.csv", lines("head;er;row", "7;one;1", "8;two;2"))
	b.mustImport(fmt.Sprintf("IMPORT INTO t (c, @ignored, a) FROM '%s' WITH skip_rows=1, fields_terminated_by=';'", path))
	require.Equal(t, [][]string{{"1", "none", "7"}, {"2", "none", "8"}}, b.query("SELECT * FROM t ORDER BY a"))
	b.consistent("t")
}

func TestManyFilesByWildcard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT, b TEXT, KEY (a))")
	for i := range 5 {
		b.file(fmt.Sprintf("part.%d.csv", i), lines(fmt.Sprintf("%d,file %d row 1", i, i), fmt.Sprintf("%d,\"file %d\nrow 2\"", i, i)))
	}
	b.file("other.csv", "not,for,us\n")
	row := b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s'", filepath.Join(b.dir, "part.*.csv")))
	require.Equal(t, "10", row["Imported_Rows"])
	require.Equal(t, "file 3 row 1", b.query("SELECT b FROM t WHERE a = 3 ORDER BY _tidb_rowid")[0][0])
	require.Equal(t, [][]string{{"10", "10"}}, b.query("SELECT COUNT(DISTINCT _tidb_rowid), MAX(_tidb_rowid) FROM t"))
	b.consistent("t")
}

func TestIDsGoOnAfterTheImport(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, table := range []string{
		"plain (id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT)",
		"cached (id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT) AUTO_ID_CACHE 1",
		"loose (id BIGINT UNIQUE AUTO_INCREMENT, v INT)",
		"loosecached (id BIGINT UNIQUE AUTO_INCREMENT, v INT) AUTO_ID_CACHE 1",
	} {
		name, _, _ := strings.Cut(table, " ")
		b.exec("CREATE TABLE " + table)
		b.mustImport(fmt.Sprintf("IMPORT INTO %s FROM '%s'", name, b.file(name+".csv", lines("500,1", "40,2", "1000,3"))))
		b.consistent(name)
		b.exec("INSERT INTO " + name + " (v) VALUES (4)")
		require.Equal(t, [][]string{{"1"}}, b.query("SELECT COUNT(*) FROM "+name+" WHERE v = 4 AND id > 1000"), name)
		require.Equal(t, "4", b.count(name))
		_, err := b.direct.ExecContext(t.Context(), "ADMIN CHECK TABLE "+name)
		require.NoError(t, err)
	}
}

func TestEmptyFileIsRefusedAndHeaderOnlyImportsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY)")
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s'", b.file("empty.csv", "")), 8173, "No file matched, or the file is empty")
	row := b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH skip_rows=1", b.file("head.csv", "a\n")))
	require.Equal(t, "0", row["Imported_Rows"])
	b.consistent("t")
}

func TestDetachedJobIsShownAndFinishes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b INT)")
	row, err := b.importInto(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached", b.file("x.csv", lines("1,1", "2,2"))))
	require.NoError(t, err)
	require.Equal(t, "pending", row["Status"])
	require.Eventually(t, func() bool {
		return b.query("SHOW IMPORT JOB " + row["Job_ID"])[0][5] == "finished"
	}, 5*time.Minute, 50*time.Millisecond)
	b.consistent("t")
	found := false
	for _, job := range b.query("SHOW IMPORT JOBS") {
		found = found || job[0] == row["Job_ID"]
	}
	require.True(t, found)
}

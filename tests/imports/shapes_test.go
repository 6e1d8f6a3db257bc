package imports_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// twins is a table to import into and one like it for INSERTs.
type twins struct {
	name    string
	ddl     string // after CREATE TABLE name
	columns string // of the rows' values
	rows    []string
	compare string // what of the tables is compared; "" means all
}

// literals writes a line of a source file as a list of SQL literals.
func literals(line string) string {
	fields := strings.Split(line, ",")
	for i, f := range fields {
		if f == `\N` {
			fields[i] = "NULL"
		} else {
			fields[i] = "'" + f + "'"
		}
	}
	return "(" + strings.Join(fields, ", ") + ")"
}

// judge imports the rows into one table and has TiDB insert them into the other.
func (b *bench) judge(tw twins) {
	b.t.Helper()
	b.exec("CREATE TABLE "+tw.name+" "+tw.ddl, "CREATE TABLE "+tw.name+"_twin LIKE "+tw.name)
	var lists []string
	for _, r := range tw.rows {
		lists = append(lists, literals(r))
	}
	b.exec("INSERT INTO " + tw.name + "_twin (" + tw.columns + ") VALUES " + strings.Join(lists, ", "))
	b.mustImport(fmt.Sprintf("IMPORT INTO %s (%s) FROM '%s' WITH fields_enclosed_by=''", tw.name, tw.columns, b.file(tw.name+".csv", lines(tw.rows...))))
	b.sameAsTwin(tw)
}

func (b *bench) sameAsTwin(tw twins) {
	b.t.Helper()
	b.consistent(tw.name)
	what := tw.compare
	if what == "" {
		what = "*"
	}
	want := b.query("SELECT " + what + " FROM " + tw.name + "_twin ORDER BY " + tw.columns)
	require.Equal(b.t, want, b.query("SELECT "+what+" FROM "+tw.name+" ORDER BY "+tw.columns), tw.ddl)
	require.Len(b.t, want, len(tw.rows))
}

func TestComputedColumns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.judge(twins{name: "gen", columns: "id, a, b", rows: []string{"1,10,Abc", `2,\N,x`, `3,-7,\N`, "4,0,"},
		ddl: `(id INT PRIMARY KEY, v BIGINT AS (a * 2), a INT, b VARCHAR(20) COLLATE utf8mb4_general_ci, s VARCHAR(40) AS (CONCAT(b, '-', a)) STORED, w DECIMAL(10,2) AS (v / 3) STORED,
			f DOUBLE AS (a / 7), d DATE AS (DATE_ADD('2024-01-01', INTERVAL a DAY)), KEY (v), UNIQUE KEY us (s), KEY (w, b), KEY ((UPPER(b))), KEY ((a + 1), b), KEY (f), KEY (d))`})
	b.judge(twins{name: "clustered", columns: "a, b", rows: []string{"1,p", "2,q", "10,P"},
		ddl: `(a INT, b VARCHAR(10) COLLATE utf8mb4_unicode_ci, g VARCHAR(20) AS (CONCAT(b, a)) STORED, h VARCHAR(5) AS (LEFT(b, 1)), PRIMARY KEY (g, a) CLUSTERED, KEY (h), UNIQUE KEY ((LOWER(b)), a))`})
	b.judge(twins{name: "multi", columns: "id, n", rows: []string{"1,5", "2,5", `3,\N`, "4,6"},
		ddl: `(id INT PRIMARY KEY, n INT, j JSON AS (JSON_ARRAY(n, id, n)) STORED, e JSON AS (JSON_ARRAY()), c JSON AS (JSON_ARRAY(CONCAT('x ', IFNULL(n, 'z')), 'y ', 'y')), KEY mv ((CAST(j->'$[1]' AS UNSIGNED ARRAY))),
			KEY mw (n, (CAST(JSON_ARRAY(id, id + 1, id) AS SIGNED ARRAY)), id), KEY me ((CAST(e AS UNSIGNED ARRAY))), KEY mc ((CAST(c AS CHAR(20) ARRAY))))`})
	// The entries of a multi-valued index are found by it.
	for _, table := range []string{"multi", "multi_twin"} {
		require.Equal(t, [][]string{{"2"}, {"3"}}, b.query("SELECT id FROM "+table+" USE INDEX (mw) WHERE (n = 5 OR n IS NULL) AND 3 MEMBER OF (JSON_ARRAY(id, id + 1, id)) ORDER BY id"))
	}
	b.judge(twins{name: "checked", columns: "a, b", rows: []string{"1,2", `\N,5`, "3,3"},
		ddl: "(a INT, b INT NOT NULL, g INT AS (a + b), CHECK (a <= b), CHECK (g > 0), CHECK (b < 0) NOT ENFORCED)"})
}

// TestComputedColumnsRefuse: what an expression of the table refuses is refused as INSERT refuses it.
func TestComputedColumnsRefuse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("SET GLOBAL tidb_enable_check_constraint = ON")
	for i, c := range []struct {
		ddl, columns, row string
		want              string
	}{
		{"(a INT, g TINYINT AS (a + 1))", "a", "127", "column g"},
		{"(a INT, g BIGINT AS (a * 9223372036854775807))", "a", "2", "column g"},
		{"(a INT, g INT AS (1 / a))", "a", "0", "column g"},
		{"(a INT, g VARCHAR(2) AS (CONCAT(a, 'x')))", "a", "12", "column g"},
		{"(a INT, g INT AS (a) NOT NULL)", "a", `\N`, "column g"},
		{"(a VARCHAR(10), g INT AS (a))", "a", "12x", "column g"},
		{"(a VARCHAR(10), g JSON AS (a))", "a", "{", "column g"},
		{"(a VARCHAR(10), KEY k ((CAST(a AS SIGNED))))", "a", "x", ""},
		{"(a JSON, KEY k ((CAST(a AS UNSIGNED ARRAY))))", "a", `["x"]`, ""},
		{"(a JSON, KEY k ((CAST(a AS CHAR(2) ARRAY))))", "a", `["xyz"]`, ""},
		{"(a JSON, KEY k ((CAST(a AS UNSIGNED ARRAY))))", "a", `[-1]`, ""},
		{"(a INT, CONSTRAINT pos CHECK (a > 0))", "a", "0", "pos"},
	} {
		name := fmt.Sprint("r", i)
		b.exec("CREATE TABLE " + name + " " + c.ddl)
		insert := "INSERT INTO " + name + " (" + c.columns + ") VALUES " + literals(c.row)
		_, err := b.direct.ExecContext(t.Context(), insert)
		code := mysqlCode(err)
		require.NotZero(t, code, "%s: %s", c.ddl, insert)
		path := b.file(name+".csv", lines(c.row))
		b.fails(fmt.Sprintf("IMPORT INTO %s (%s) FROM '%s' WITH fields_enclosed_by=''", name, c.columns, path), code, c.want, path, "line 1")
		require.Equal(t, "0", b.count(name))
	}
}

func TestDefaultsOfTheTable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE SEQUENCE s START 10 INCREMENT 5", "CREATE SEQUENCE short MAXVALUE 3 CACHE 2", "SELECT NEXTVAL(s)")
	b.exec(`CREATE TABLE t (id INT PRIMARY KEY, u VARCHAR(40) DEFAULT (UUID()), r DOUBLE DEFAULT (RAND()), x VARCHAR(20) DEFAULT (DATE_FORMAT(NOW(), '%Y-%m')), w VARCHAR(40) DEFAULT (UPPER(SUBSTRING_INDEX(USER(), '@', 1))),
		b BINARY(16) DEFAULT (UUID_TO_BIN(UUID())), n BIGINT DEFAULT NEXTVAL(s), m BIGINT DEFAULT (NEXTVAL(s)), o DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), KEY (u), UNIQUE KEY (n))`)
	const rows = 3000
	var text strings.Builder
	for i := range rows {
		fmt.Fprintf(&text, "%d\n", i)
	}
	b.mustImport(fmt.Sprintf("IMPORT INTO t (id) FROM '%s' WITH thread=4", b.file("t.csv", text.String())))
	b.consistent("t")
	all := fmt.Sprint(rows)
	// RAND() has 2^30 values: of 3000 two may well be equal.
	require.Equal(t, [][]string{{all, "1", all, all, all}}, b.query(`SELECT COUNT(DISTINCT u), COUNT(DISTINCT r) > COUNT(*) * 0.9, COUNT(DISTINCT b),
		SUM(x = DATE_FORMAT(o, '%Y-%m')), SUM(w = 'ROOT') FROM t`))
	// Two values a row, in the order of the rows, whichever worker encoded them.
	require.Equal(t, [][]string{{all, all}}, b.query("SELECT SUM(n = 15 + id * 10), SUM(m = 20 + id * 10) FROM t"))
	next := b.query("SELECT NEXTVAL(s)")
	require.Equal(t, [][]string{{"0"}}, b.query("SELECT COUNT(*) FROM t WHERE n >= "+next[0][0]+" OR m >= "+next[0][0]))

	b.exec("CREATE TABLE given (id INT PRIMARY KEY, n BIGINT DEFAULT NEXTVAL(s))")
	b.mustImport(fmt.Sprintf("IMPORT INTO given FROM '%s'", b.file("given.csv", lines("1,7", `2,\N`))))
	require.Equal(t, [][]string{{"1", "7"}, {"2", "NULL"}}, b.query("SELECT * FROM given ORDER BY id"))

	b.exec("CREATE TABLE out_of (id INT PRIMARY KEY, n BIGINT DEFAULT NEXTVAL(short))")
	b.fails(fmt.Sprintf("IMPORT INTO out_of (id) FROM '%s'", b.file("out.csv", lines("1", "2", "3", "4"))), 4135, "has run out")
	require.Equal(t, "0", b.count("out_of"))
}

func TestAutoIncrementShapes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, ddl := range []string{
		"(id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT)", "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT) AUTO_ID_CACHE 1", "(id INT AUTO_INCREMENT, v INT, KEY (id)) AUTO_ID_CACHE 1",
		"(id DOUBLE AUTO_INCREMENT, v INT, UNIQUE KEY (id))", "(id FLOAT AUTO_INCREMENT PRIMARY KEY, v INT)", "(id DOUBLE AUTO_INCREMENT PRIMARY KEY NONCLUSTERED, v INT) AUTO_ID_CACHE 1",
		"(id BIGINT UNSIGNED AUTO_INCREMENT, v INT, PRIMARY KEY (v, id), KEY (id)) AUTO_INCREMENT = 1000", "(v INT, id SMALLINT AUTO_INCREMENT, UNIQUE KEY (id)) SHARD_ROW_ID_BITS = 4 PRE_SPLIT_REGIONS = 2",
	} {
		name := fmt.Sprint("auto", i)
		b.exec("CREATE TABLE " + name + " " + ddl)
		b.mustImport(fmt.Sprintf("IMPORT INTO %s (id, v) FROM '%s'", name, b.file(name+".csv", lines(`\N,1`, "0,2", "5000,3", `\N,4`))))
		b.consistent(name)
		require.Equal(t, [][]string{{"4", "4", "5000"}}, b.query("SELECT COUNT(DISTINCT id), COUNT(*), MAX(id) FROM "+name), ddl)
		require.Equal(t, [][]string{{"1"}}, b.query("SELECT COUNT(*) FROM "+name+" WHERE id = 5000 AND v = 3"))
		// The cluster goes on after the imported ids.
		_, err := b.direct.ExecContext(t.Context(), "INSERT INTO "+name+" (v) VALUES (100), (101)")
		require.NoError(t, err, ddl)
		require.Equal(t, [][]string{{"2"}}, b.query("SELECT COUNT(*) FROM "+name+" WHERE v >= 100 AND id > 5000"), ddl)
	}
}

func TestForeignKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE parent (id INT PRIMARY KEY, a INT, s VARCHAR(10), KEY (a, s))",
		"CREATE TABLE child (id INT PRIMARY KEY, p INT, a INT, s VARCHAR(10), CONSTRAINT fp FOREIGN KEY (p) REFERENCES parent (id), CONSTRAINT fs FOREIGN KEY (a, s) REFERENCES parent (a, s))",
		"CREATE TABLE tree (id INT PRIMARY KEY, up INT, CONSTRAINT fup FOREIGN KEY (up) REFERENCES tree (id))")
	b.mustImport(fmt.Sprintf("IMPORT INTO parent FROM '%s'", b.file("parent.csv", lines("1,10,x", "2,20,y"))))
	bad := b.file("bad.csv", lines("1,1,10,x", "2,2,20,x"))
	b.fails(fmt.Sprintf("IMPORT INTO child FROM '%s'", bad), 1452, "a foreign key constraint fails", "CONSTRAINT `fs` FOREIGN KEY (`a`, `s`)", `"20"`, `"x"`)
	require.Equal(t, "0", b.count("child"), "the failed job's rows are gone")
	b.mustImport(fmt.Sprintf("IMPORT INTO child FROM '%s'", b.file("good.csv", lines("1,1,10,x", `2,\N,20,y`, `3,2,\N,z`))))
	b.consistent("child")
	b.fails(fmt.Sprintf("IMPORT INTO tree FROM '%s'", b.file("tree.csv", lines("1,2", "2,3"))), 1452, "`fup`", `"3"`)
	b.mustImport(fmt.Sprintf("IMPORT INTO tree FROM '%s'", b.file("tree2.csv", lines("1,2", `2,\N`))))
	b.consistent("tree")

	b.exec("CREATE TABLE unchecked LIKE child", "ALTER TABLE unchecked ADD CONSTRAINT fq FOREIGN KEY (p) REFERENCES parent (id)")
	conn, err := b.proxy.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.ExecContext(t.Context(), "SET foreign_key_checks = 0")
	require.NoError(t, err)
	_, _, err = rows(t, conn, fmt.Sprintf("IMPORT INTO unchecked FROM '%s'", b.file("orphans.csv", lines("1,99,10,x"))))
	require.NoError(t, err)
	b.consistent("unchecked")
}

func TestTablesAlteredBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE alt (id INT PRIMARY KEY, gone INT, a VARCHAR(10), b INT, KEY ka (a), KEY kb (b))", "INSERT INTO alt VALUES (1, 2, 'x', 3)")
	for _, sql := range []string{"DROP COLUMN gone", "ADD COLUMN c INT DEFAULT 9 FIRST", "ADD COLUMN d VARCHAR(5) NOT NULL DEFAULT 'q' AFTER id", "ADD COLUMN ts TIMESTAMP NOT NULL DEFAULT '2020-01-02 03:04:05'",
		"MODIFY COLUMN b VARCHAR(12)", "MODIFY COLUMN a VARCHAR(5) AFTER b", "ADD COLUMN g INT AS (c * 2) AFTER c", "DROP INDEX kb", "ADD INDEX kd (d, b)", "ADD INDEX ke ((LOWER(a)))", "ADD UNIQUE INDEX uc (c, id)", "ADD COLUMN e INT", "ALTER COLUMN e SET DEFAULT 4"} {
		b.exec("ALTER TABLE alt " + sql)
	}
	b.exec("CREATE TABLE alt_twin LIKE alt", "DELETE FROM alt", "INSERT INTO alt_twin (id, a, b, c) VALUES (1, 'A', '5', 7), (2, NULL, NULL, NULL)", "INSERT INTO alt_twin (id) VALUES (3)")
	b.mustImport(fmt.Sprintf("IMPORT INTO alt (id, a, b, c) FROM '%s'", b.file("alt.csv", lines("1,A,5,7", `2,\N,\N,\N`))))
	tw := twins{name: "alt", columns: "id", rows: make([]string, 2)}
	b.exec("DELETE FROM alt_twin WHERE id = 3")
	b.sameAsTwin(tw)
}

// TestTablesThatPass have properties that don't show in their rows.
func TestTablesThatPass(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE PLACEMENT POLICY " + b.name + "_p FOLLOWERS = 2")
	t.Cleanup(func() {
		for _, sql := range []string{"DROP TABLE " + b.name + ".pass2", "DROP PLACEMENT POLICY " + b.name + "_p"} {
			_, err := b.direct.ExecContext(context.Background(), sql)
			require.NoError(t, err)
		}
	})
	for i, c := range []struct{ ddl, more string }{
		{"(id INT PRIMARY KEY, t DATETIME) TTL = t + INTERVAL 1 DAY", ""},
		{"(id INT PRIMARY KEY, t INT, KEY (t) INVISIBLE, KEY d (t DESC, id))", ""},
		{"(id INT PRIMARY KEY, t INT) PLACEMENT POLICY = " + b.name + "_p", ""},
		{"(id BIGINT PRIMARY KEY AUTO_RANDOM(5), t INT)", "SET allow_auto_random_explicit_insert = 1"},
		{"(id INT PRIMARY KEY NONCLUSTERED, t INT) SHARD_ROW_ID_BITS = 3 PRE_SPLIT_REGIONS = 2", ""},
		{"(id INT PRIMARY KEY, t VECTOR(2) DEFAULT NULL)", ""},
		{"(id INT PRIMARY KEY, t INT COMMENT 'x') COMMENT = 'y' COMPRESSION = 'zlib'", ""},
	} {
		name := fmt.Sprint("pass", i)
		b.exec("CREATE TABLE " + name + " " + c.ddl)
		row := "7,3"
		switch {
		case strings.Contains(c.ddl, "DATETIME"):
			row = "7,2024-01-02 03:04:05"
		case strings.Contains(c.ddl, "VECTOR"):
			row = "7;[1,2]"
		}
		sep := ""
		if strings.Contains(row, ";") {
			sep = ", fields_terminated_by=';'"
		}
		b.mustImport(fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH thread=2%s", name, b.file(name+".csv", lines(row)), sep))
		b.consistent(name)
		require.Equal(t, "1", b.count(name), c.ddl)
	}
}

func TestTablesRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE cached (a INT PRIMARY KEY)", "ALTER TABLE cached CACHE", "CREATE GLOBAL TEMPORARY TABLE tmp (a INT PRIMARY KEY) ON COMMIT DELETE ROWS", "CREATE VIEW v AS SELECT 1 AS a", "CREATE SEQUENCE s")
	from := fmt.Sprintf(" FROM '%s'", b.file("x.csv", "1\n"))
	b.fails("IMPORT INTO cached"+from, 1105, "IMPORT INTO does not support cached table")
	b.fails("IMPORT INTO tmp"+from, 1105, "IMPORT INTO does not support temporary table")
	b.fails("IMPORT INTO v"+from, 1288, "The target table v of the IMPORT is not updatable")
	b.fails("IMPORT INTO s"+from, 1288, "The target table s of the IMPORT is not updatable")
	b.fails("IMPORT INTO mysql.user"+from, 8173)
}

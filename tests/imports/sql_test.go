package imports_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/s3store"
)

// suffixes are those of all compressions, and none.
var suffixes = []string{"", ".gz", ".GZIP", ".zst", ".zstd", ".snappy"}

// packed returns a text as a file with that suffix has it.
func packed(t *testing.T, suffix, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch strings.ToLower(suffix) {
	case "":
		return text
	case ".gz", ".gzip":
		w = gzip.NewWriter(&b)
	case ".zst", ".zstd":
		z, err := zstd.NewWriter(&b)
		require.NoError(t, err)
		w = z
	default:
		w = s2.NewWriter(&b, s2.WriterSnappyCompat())
	}
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// sqlShapes is a table of all kinds of types, and sqlValues are literals for each column.
const sqlShapes = `(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, i INT, u BIGINT UNSIGNED, d DECIMAL(20,4), f DOUBLE, fl FLOAT, s VARCHAR(200), c CHAR(10) CHARACTER SET latin1,
	b VARBINARY(100), bl BLOB, bi BIT(20), e ENUM('a','b','2'), st SET('x','y','z'), j JSON, dt DATETIME(3), da DATE, ti TIME, ts TIMESTAMP NULL, y YEAR,
	g VARCHAR(210) AS (CONCAT(s, '!')) STORED, KEY (s), KEY (d, i), UNIQUE KEY (g, id))`

var sqlValues = [][]string{
	{"1", "-5", "18446744073709551615", "-123.4567", "1.5e10", "0.1", `'it''s \'q\' \n'`, "'abc'", "x'00ff41'", "_binary'\\0\\'x'", "b'1011'", "'b'", "'x,z'", `'{"a": [1, "x"]}'`,
		"'2024-02-29 12:34:56.789'", "'2024-01-01'", "'-12:34:56'", "'2024-05-06 07:08:09'", "2024"},
	{"NULL", "2.5", "0x41", "1e3", "-1.25", "3", "007", "12.50", "12", "1e5", "5", "2", "3", "17", "20240301112233", "20240301", "112233", "20240301112233", "0"},
	{"7", "TRUE", "FALSE", "x'41'", "0", "-0.0", "1e2", "NULL", "0xABC", "''", "0x0fff", "'2'", "''", "NULL", "NULL", "NULL", "NULL", "NULL", "99"},
	{"8", "'12'", "'13'", "'1.5'", "'2.5'", "'3.5'", "_utf8mb4'é漢'", "''", "'text'", "x''", "'z'", "NULL", "NULL", "'null'", "'2024-01-01'", "'20240102'", "'1 01:01:01'", "'2024-01-01 00:00:00'", "'70'"},
	{"9", "-2147483648", "9223372036854775808", "0.00005", "1.7976931348623157e308", "-.5", "-1.50", "5.", "-1", "NULL", "NULL", "1", "0", "1.5", "'2024-01-01 10:00'", "'2024-01-01'", "-5", "NULL", "'2000'"},
}

func insertText(table, list string, rows [][]string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "INSERT INTO `%s` %sVALUES\n", table, list)
	for i, r := range rows {
		if i > 0 {
			text.WriteString(",\n")
		}
		text.WriteString("(" + strings.Join(r, ",") + ")")
	}
	return text.String() + ";\n"
}

const sqlList = "(`id`,`i`,`u`,`d`,`f`,`fl`,`s`,`c`,`b`,`bl`,`bi`,`e`,`st`,`j`,`dt`,`da`,`ti`,`ts`,`y`) "

// TestSQLFilesAsInserted: what a dump says is in the table is what INSERT of its text puts there, plain and compressed.
func TestSQLFilesAsInserted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE want "+sqlShapes, "CREATE TABLE t "+sqlShapes)
	b.exec(insertText("want", sqlList, sqlValues))
	dump := "-- a dump\n/*!40101 SET NAMES binary*/;\n/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\nLOCK TABLES `t` WRITE;\n/*!40000 ALTER TABLE `t` DISABLE KEYS */;\n" +
		insertText("elsewhere", sqlList, sqlValues) + "UNLOCK TABLES;\n"
	want := b.query("SELECT *, HEX(b), HEX(bl), bi+0, HEX(s) FROM want ORDER BY i, s")
	for _, suffix := range suffixes {
		b.file("d.sql"+suffix, packed(t, suffix, dump))
		row := b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s' FORMAT 'sql'", filepath.Join(b.dir, "d.sql"+suffix)))
		require.Equal(t, "5", row["Imported_Rows"])
		b.consistent("t")
		got := b.query("SELECT *, HEX(b), HEX(bl), bi+0, HEX(s) FROM t ORDER BY i, s")
		for i := range got {
			require.Len(t, got[i], len(want[i]))
			if want[i][6] == "007" || want[i][6] == "7" {
				got[i][0], want[i][0] = "given", "given" // by each table's own counter
			}
			require.Equal(t, want[i], got[i], suffix)
		}
		b.exec("TRUNCATE TABLE t")
	}
}

// TestSQLColumnLists: each statement's own list counts; what it leaves out gets its default.
func TestSQLColumnLists(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const shape = "(id INT PRIMARY KEY, a VARCHAR(20) DEFAULT 'd', n INT DEFAULT 7, g INT AS (n + 1))"
	b.exec("CREATE TABLE t "+shape, "CREATE TABLE seen (x VARCHAR(20), y INT)")
	b.file("l.1.sql", "INSERT INTO t VALUES (1,'x',1,DEFAULT);INSERT INTO t (n, id) VALUES (2,2),(20,20);\nREPLACE INTO t (`ID`) VALUES (3);\nINSERT INTO t (id, g, a) VALUES (4, 99, 'y');\n")
	b.file("l.2.sql", "INSERT INTO other (a,id) VALUES ('z',5);\nINSERT INTO other () VALUES ;\n")
	from := fmt.Sprintf("FROM '%s' FORMAT 'sql'", filepath.Join(b.dir, "l.*.sql"))
	b.fails("IMPORT INTO t "+from, 1105, "there is no row behind VALUES", "l.2.sql, line 2")
	b.file("l.2.sql", "INSERT INTO other (a,id) VALUES ('z',5);\n")
	b.mustImport("IMPORT INTO t " + from)
	b.consistent("t")
	require.Equal(t, [][]string{{"1", "x", "1", "2"}, {"2", "d", "2", "3"}, {"3", "d", "7", "8"}, {"4", "y", "7", "8"}, {"5", "z", "7", "8"}, {"20", "d", "20", "21"}},
		b.query("SELECT * FROM t ORDER BY id"))

	// The statement's list goes before the file's, and SET before both.
	b.file("s.sql", "INSERT INTO o (p, q) VALUES ('k', 1.5);\n")
	b.mustImport(fmt.Sprintf("IMPORT INTO seen (x, @n) SET y = @n * 2 FROM '%s' FORMAT 'sql'", filepath.Join(b.dir, "s.sql")))
	require.Equal(t, [][]string{{"k", "3"}}, b.query("SELECT * FROM seen"))

	b.exec("TRUNCATE TABLE t")
	b.file("u.sql", "INSERT INTO t (id) VALUES (1);\nINSERT INTO t (id, nope) VALUES (2, 2);\n")
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' FORMAT 'sql'", filepath.Join(b.dir, "u.sql")), 1054, "Unknown column 'nope' in 'field list'", "u.sql, line 2")
	require.Equal(t, "0", b.count("t"))
}

// TestSQLSettings: what a dump sets is obeyed where rows would mean something else without it.
func TestSQLSettings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, ts TIMESTAMP, s VARCHAR(20))")
	b.file("a.sql", "/*!40103 SET TIME_ZONE='+00:00' */;\n/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES' */;\n"+
		"INSERT INTO t VALUES (0,'2024-01-01 00:00:00','a\\n');\n/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n")
	b.exec("SET time_zone = '+05:00'")
	b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s' FORMAT 'sql'", filepath.Join(b.dir, "a.sql")))
	require.Equal(t, [][]string{{"0", "1704067200", `a\n`}}, b.query("SELECT id, UNIX_TIMESTAMP(ts), s FROM t"))
}

// TestSQLBadRows: rows that can't be imported are recorded with their places; what isn't certain ends the job.
func TestSQLBadRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
	text := "INSERT INTO t VALUES (1,1),\n(2,NOW()),(3,'x'),(4),(5,5);\nINSERT INTO t (id) VALUES\n('a'),(6);\n"
	path := filepath.Join(b.dir, "b.sql.gz")
	b.file("b.sql.gz", packed(t, ".gz", text))
	stmt := fmt.Sprintf("IMPORT INTO t FROM '%s' FORMAT 'sql'", path)
	b.fails(stmt, 1105, "syntax error: a value is no literal; expressions can't be read", "b.sql.gz, line 2, offset 28")
	require.Equal(t, "0", b.count("t"))
	row := b.mustImport(stmt + " WITH max_errors = 10")
	require.Equal(t, "3", row["Imported_Rows"])
	require.Equal(t, [][]string{{"1", "1"}, {"5", "5"}, {"6", "NULL"}}, b.query("SELECT id, IFNULL(n, 'NULL') FROM t ORDER BY id"))
	require.Equal(t, [][]string{
		{"syntax", "2", "28", "", "(2,NOW())"}, {"type", "2", "38", "n", "x"}, {"syntax", "2", "46", "", "(4)"}, {"type", "4", "83", "id", "a"},
	}, b.query("SELECT class, line, byte_offset, column_name, value FROM sluice.job_errors WHERE job_id = "+row["Job_ID"]+" ORDER BY byte_offset"))

	b.exec("TRUNCATE TABLE t")
	b.file("c.sql", "INSERT INTO t VALUES (1,1);\nDELETE FROM t;\n")
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' FORMAT 'sql' WITH max_errors = 10", filepath.Join(b.dir, "c.sql")), 1105, "DELETE", "c.sql, line 2, offset 28")
	b.file("c.sql", "INSERT INTO t VALUES (1,1),(2,2)")
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' FORMAT 'sql' WITH max_errors = 10", filepath.Join(b.dir, "c.sql")), 1105, "the file ends within an INSERT")
	require.Equal(t, "0", b.count("t"))
}

// TestPackedCSV: CSV files of all compressions at once, with their headers, locally and in S3, and damaged ones.
func TestPackedCSV(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	store := s3store.Start(t)
	b.exec("CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(100), KEY (s))")
	for i, suffix := range suffixes {
		var text strings.Builder
		text.WriteString("s,id\n")
		for n := range 30_000 {
			fmt.Fprintf(&text, "\"row\n%d\",%d\n", n, i*30_000+n)
		}
		file := packed(t, suffix, text.String())
		b.file(fmt.Sprintf("p.%d.csv%s", i, suffix), file)
		store.Put(fmt.Sprintf("p.%d.csv%s", i, suffix), []byte(file))
	}
	// On local disk TiDB's rule is that a location ends in the suffix of its files.
	for _, location := range []string{store.WithKeys("p.*"), filepath.Join(b.dir, "*.csv.gz"), filepath.Join(b.dir, "*.csv.zst"), filepath.Join(b.dir, "*.snappy")} {
		files := "1"
		if strings.HasPrefix(location, "s3:") {
			files = "6"
		}
		require.NotEmpty(t, b.query(fmt.Sprintf("EXPLAIN IMPORT INTO t FROM '%s' WITH csv_header = 'columns'", location)))
		b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH csv_header = 'columns'", location))
		b.consistent("t")
		require.Equal(t, [][]string{{files, "1"}}, b.query("SELECT COUNT(*) DIV 30000, SUM(id) = (MIN(id) + MAX(id)) * COUNT(*) / 2 FROM t"))
		b.exec("TRUNCATE TABLE t")
	}
	path := filepath.Join(b.dir, "p.3.csv.zst")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	b.file("p.3.csv.zst", string(whole[:len(whole)-100]))
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH csv_header = 'columns'", path), 8160, "the zstd file "+path+" is damaged: it ends too early")
	require.Equal(t, "0", b.count("t"))
}

// TestSQLConflicts: rows that collide are found again in packed files of many blocks, with their places.
func TestSQLConflicts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(300))")
	var text strings.Builder
	for n := range 20_000 {
		if n%100 == 0 {
			if n > 0 {
				text.WriteString(";\n")
			}
			fmt.Fprintf(&text, "INSERT INTO `t` %sVALUES ", []string{"", "(`s`,`id`) "}[n/100%2])
		} else {
			text.WriteString(",")
		}
		id := n
		if n == 19_900 {
			id = 150
		}
		row := fmt.Sprintf("(%d,'%s')", id, strings.Repeat("y", 200+n%50))
		if n/100%2 == 1 {
			row = fmt.Sprintf("('%s',%d)", strings.Repeat("y", 200+n%50), id)
		}
		text.WriteString(row)
	}
	for _, suffix := range []string{"", ".zst"} {
		b.file("c.sql"+suffix, packed(t, suffix, text.String()+";\n"))
		stmt := fmt.Sprintf("IMPORT INTO t FROM '%s' FORMAT 'sql'", filepath.Join(b.dir, "c.sql"+suffix))
		b.fails(stmt, 1062, "Duplicate entry '150' for key 't.PRIMARY'", "c.sql"+suffix+", line 2, ", "c.sql"+suffix+", line 200, ")
		row := b.mustImport(stmt + " WITH on_duplicate = 'replace'")
		require.Contains(t, row["Result_Message"]+fmt.Sprint(b.query("SHOW IMPORT JOB "+row["Job_ID"]+" EVENTS")), "line 2")
		require.Equal(t, [][]string{{"19999", "200"}}, b.query("SELECT COUNT(*), (SELECT LENGTH(s) FROM t WHERE id = 150) FROM t"))
		b.consistent("t")
		b.exec("TRUNCATE TABLE t")
	}
}

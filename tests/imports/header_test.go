package imports_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCSVHeader: each file's first row names the columns, in any case and order
// and in any spelling that CSV has; what is not named gets its default. The table
// is as if the rows had been INSERTed.
func TestCSVHeader(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const table = `(id INT PRIMARY KEY, s VARCHAR(20) DEFAULT 'def', n INT DEFAULT 2, d DATE, q INT DEFAULT NEXTVAL(seq%s),
		g VARCHAR(30) AS (CONCAT(s, n)) STORED, UNIQUE KEY (s, id), KEY (g)) PARTITION BY HASH (id) PARTITIONS 3`
	b.exec("CREATE SEQUENCE seqt", "CREATE SEQUENCE seqw", "CREATE TABLE t "+fmt.Sprintf(table, "t"), "CREATE TABLE w "+fmt.Sprintf(table, "w"))
	b.file("h.01.csv", "ID,s,N,d,q\n1,a,10,2024-01-01,100\n")
	b.file("h.02.csv", "\xef\xbb\xbf\"N\",\"S\",\"Id\"\r\n20,b,2\r\n\\N,\\N,3\r\n")
	b.file("h.03.csv", "\n\nd,id\r2024-03-04,4\r")
	b.file("h.04.csv", "")
	b.file("h.05.csv", "id,s")
	b.file("h.06.csv", "s,id,n,D,Q\r\n")
	b.file("h.07.csv", "g,id,q,s\nignored,7,107,\"x,\ny\"\n")
	b.file("h.08.csv", " \n\n")
	b.file("h.09.csv", "n,s,id\n90,c,9")
	want := []string{
		"(id, s, n, d, q) VALUES (1, 'a', 10, '2024-01-01', 100)", "(n, s, id) VALUES (20, 'b', 2), (NULL, NULL, 3)", "(d, id) VALUES ('2024-03-04', 4)",
		"(id, q, s) VALUES (7, 107, 'x,\ny')", "(n, s, id) VALUES (90, 'c', 9)",
	}
	for _, insert := range want {
		_, err := b.direct.ExecContext(t.Context(), "INSERT INTO w "+insert)
		require.NoError(t, err)
	}
	// A file of white space has a row of one empty field, as TiDB reads it, and so a header without a name.
	from := fmt.Sprintf("FROM '%s' WITH ", filepath.Join(b.dir, "h.*.csv"))
	b.fails("IMPORT INTO t "+from+"csv_header='columns'", 1054, "Unknown column '' in 'field list'", "h.08.csv, line 2, offset 2")
	b.file("h.08.csv", "\n\n")
	for i, option := range []string{"csv_header='columns', thread=1", "thread=4, CSV_Header = 'Fields'"} {
		job := b.mustImport("IMPORT INTO t " + from + option)
		require.Equal(t, "6", job["Imported_Rows"])
		b.consistent("t")
		require.Equal(t, b.query("SELECT id, s, n, d, g, IF(q IN (100, 107), q, NULL) FROM w ORDER BY id"), b.query("SELECT id, s, n, d, g, IF(q IN (100, 107), q, NULL) FROM t ORDER BY id"))
		// Values of the sequence follow the rows; what was drawn for one kind of header is not used for another.
		require.Equal(t, [][]string{{"4", "4"}}, b.query("SELECT COUNT(*), COUNT(DISTINCT q) FROM t WHERE q NOT IN (100, 107)"), "import %d", i)
		b.exec("TRUNCATE TABLE t")
	}
}

// TestCSVHeaderOfLongFiles: files of many blocks with different orders, bad rows
// in them, and more than one worker: each row goes by its own file's header, errors
// name the right column, and rows that collide are found in both.
func TestCSVHeaderOfLongFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(40) COLLATE utf8mb4_general_ci, n INT, pad VARCHAR(200), UNIQUE KEY (s))")
	orders := [][]string{{"id", "s", "n", "pad"}, {"pad", "n", "s", "id"}, {"S", "ID", "PAD", "N"}}
	var want [][]string
	good := 0
	for f, order := range orders {
		path := filepath.Join(b.dir, fmt.Sprintf("l.%d.csv", f))
		var text strings.Builder
		text.WriteString(strings.Join(order, ",") + "\n")
		for i := range 20_000 {
			id := f*20_000 + i
			cells := map[string]string{"id": strconv.Itoa(id), "s": "s" + strconv.Itoa(id), "n": strconv.Itoa(-id), "pad": strings.Repeat("p", id%100)}
			switch {
			case i%4999 == 1:
				cells["n"] = "no number"
				want = append(want, []string{"type", path, strconv.Itoa(i + 2), strconv.Itoa(text.Len()), "n", "no number", "1366"})
			case i%4999 == 2:
				cells["s"] = strings.Repeat("x", 41)
				want = append(want, []string{"type", path, strconv.Itoa(i + 2), strconv.Itoa(text.Len()), "s", cells["s"], "1406"})
			case i%4999 == 3:
				cells["pad"] = "a,b"
				want = append(want, []string{"syntax", path, strconv.Itoa(i + 2), strconv.Itoa(text.Len()), "", "", "1262"})
			default:
				good++
			}
			var row []string
			for _, name := range order {
				row = append(row, cells[strings.ToLower(name)])
			}
			if last := want; len(last) > 0 && last[len(last)-1][5] == "" {
				last[len(last)-1][5] = strings.Join(row, ",")
			}
			text.WriteString(strings.Join(row, ",") + "\n")
		}
		b.file(filepath.Base(path), text.String())
	}
	from := fmt.Sprintf("IMPORT INTO t FROM '%s' WITH csv_header='columns'", filepath.Join(b.dir, "l.*.csv"))
	b.fails(from, 1366, want[0][1], "line 3", "column n", "no number")
	for _, thread := range []int{1, 4} {
		job := b.mustImport(fmt.Sprintf("%s, max_errors=%d, thread=%d", from, len(want), thread))
		require.Equal(t, strconv.Itoa(good), job["Imported_Rows"])
		require.Equal(t, want, b.query(selectBadRows, job["Job_ID"]))
		b.consistent("t")
		require.Equal(t, [][]string{{strconv.Itoa(good)}}, b.query("SELECT COUNT(*) FROM t WHERE s = CONCAT('s', id) AND n = -id AND LENGTH(pad) = id % 100"))
		b.exec("TRUNCATE TABLE t")
	}

	one, two := b.file("c.1.csv", "s,id,n\nÄpfel,1,1\nb,2,2\n"), b.file("c.2.csv", "n,id,s\n3,3,äpfel\n")
	from = fmt.Sprintf("IMPORT INTO t FROM '%s' WITH csv_header='columns'", filepath.Join(b.dir, "c.*.csv"))
	b.fails(from, 1062, "Duplicate entry 'äpfel' for key 't.s'", one+", line 2, offset 7", two+", line 2, offset 7")
	job := b.mustImport(from + ", on_duplicate='replace'")
	require.Equal(t, "2", job["Imported_Rows"])
	require.Equal(t, [][]string{{"2", "b", "2"}, {"3", "äpfel", "3"}}, b.query("SELECT id, s, n FROM t ORDER BY id"))
	b.consistent("t")
	// Into a table with rows.
	b.file("c.1.csv", "s,id\nc,4\n")
	b.file("c.2.csv", "id\n5\n")
	b.mustImport(from + ", allow_non_empty")
	require.Equal(t, [][]string{{"2", "b", "2"}, {"3", "äpfel", "3"}, {"4", "c", "NULL"}, {"5", "NULL", "NULL"}}, b.query("SELECT id, s, n FROM t ORDER BY id"))
}

// TestCSVHeaderWithOthers: the other options and clauses that have to do with it.
func TestCSVHeaderWithOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (id INT PRIMARY KEY, `昞` VARCHAR(20), c VARCHAR(20), `a,b` INT)")
	for _, tt := range []struct {
		set, text, with string
		want            []string
	}{
		{"", "# comment\n\"not the header\nID,c\n1,x\n", "skip_rows=2", []string{"1", "NULL", "x", "NULL"}},
		{"SET c = CONCAT('set', 1)", "a\\,b,id\n5,2\n", "thread=1", []string{"2", "NULL", "set1", "5"}},
		{"", "`ID`|`a,b`;3|5;", "fields_terminated_by='|', fields_enclosed_by='`', lines_terminated_by=';'", []string{"3", "NULL", "NULL", "5"}},
		{"", "\x95\x5c,id\n\x95\x5c\x95\x5c,4\n", "character_set='gbk'", []string{"4", "昞昞", "NULL", "NULL"}},
	} {
		b.mustImport(fmt.Sprintf("IMPORT INTO t %s FROM '%s' WITH csv_header='fields', %s", tt.set, b.file("x.csv", tt.text), tt.with))
		b.consistent("t")
		require.Equal(t, [][]string{tt.want}, b.query("SELECT * FROM t"), tt.text)
		b.exec("TRUNCATE TABLE t")
	}
	b.exec("CREATE TABLE p (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))", "INSERT INTO p VALUES (1, 1)")
	b.mustImport(fmt.Sprintf("IMPORT INTO p PARTITION (p1) FROM '%s' WITH csv_header='columns'", b.file("p.csv", "v,id\n5,15\n")))
	require.Equal(t, [][]string{{"1", "1"}, {"15", "5"}}, b.query("SELECT id, v FROM p ORDER BY id"))
}

// TestCSVHeaderRefused: a header that can't be mapped is refused with its file
// and the name, before there is a job.
func TestCSVHeaderRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(20) NOT NULL, n INT, g INT AS (n + 1))")
	b.file("r.0.csv", "id,s\n1,a\n")
	for _, tt := range []struct {
		stmt, header string
		code         uint16
		want         []string
	}{
		{"", "id,s,zz\n", 1054, []string{"Unknown column 'zz' in 'field list'", "line 1, offset 0"}},
		{"", "\n\nid, s\n", 1054, []string{"Unknown column ' s' in 'field list'", "line 3, offset 2"}},
		{"", "id,s,_tidb_rowid\n", 1054, []string{"Unknown column '_tidb_rowid'"}},
		{"", "1,a\n2,b\n", 1054, []string{"Unknown column '1' in 'field list'"}},
		{"", "id,s,n,ID\n", 1110, []string{"Column 'ID' specified twice"}},
		{"", "id,s,g,n,G\n", 1110, []string{"Column 'G' specified twice"}},
		{"", "id,s,\n", 1054, []string{"Unknown column '' in 'field list'"}},
		{"", "id,s,n,x1,x2\n", 1054, []string{"Unknown column 'x1'"}},
		{"", "id\n1\n", 1364, []string{"Field 's' doesn't have a default value"}},
		{"", "id,\"s\n1,a\n", 1105, []string{"unterminated quoted field", "line 1, offset 0"}},
		{"", "id,\\N\n", 1105, []string{"the header has a NULL"}},
		{"SET n = 1", "id,s,N\n", 1110, []string{"Column 'n' specified twice"}},
		{"SET g = 1", "id,s\n", 3105, []string{"generated column 'g'"}},
	} {
		path := b.file("r.1.csv", tt.header)
		b.fails(fmt.Sprintf("IMPORT INTO t %s FROM '%s' WITH csv_header='columns', max_errors=100", tt.stmt, path), tt.code, append(tt.want, path)...)
		if tt.stmt == "" {
			b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH csv_header='columns'", filepath.Join(b.dir, "r.*.csv")), tt.code, append(tt.want, path)...)
		}
	}
	from := "FROM '" + b.file("r.1.csv", "id,s\n1,a\n") + "' WITH csv_header="
	b.fails("IMPORT INTO t (id, s) "+from+"'columns'", 8166, "Unsupported option csv_header for an import with a list of columns")
	b.fails("IMPORT INTO t (id, @x) SET s = @x "+from+"'columns'", 8166, "Unsupported option csv_header")
	b.fails("IMPORT INTO t SET n = @x "+from+"'columns'", 1105, "column assignment cannot use variables set outside IMPORT INTO statement")
	b.fails("IMPORT INTO t "+from+"'names'", 8164, "Invalid option value for csv_header")
	require.Equal(t, "0", b.count("t"))
	require.Equal(t, [][]string{{"0"}}, b.query("SELECT COUNT(*) FROM sluice.jobs WHERE table_schema = ?", b.name))
	// Rows are held against their own file's header.
	b.fails("IMPORT INTO t FROM '"+b.file("r.2.csv", "s,id\na,1\nb\n")+"' WITH csv_header='columns'", 1261, "it has 1 fields, 2 are needed", "line 3, offset 9")
	b.fails("IMPORT INTO t FROM '"+b.file("r.2.csv", "s,id\na,1\nb,2,3\n")+"' WITH csv_header='columns'", 1262, "it has 3 fields, 2 are needed", "line 3, offset 9")
	require.Equal(t, "0", b.count("t"))
}

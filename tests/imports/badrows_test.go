package imports_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// badTable has a column of each kind that values can be wrong for.
const badTable = `(id INT PRIMARY KEY, s VARCHAR(10) NOT NULL, n TINYINT, d DECIMAL(5,2), dt DATETIME, tm TIME,
	y YEAR, j JSON, e ENUM('x','y'), st SET('p','q'), a VARCHAR(10) CHARACTER SET ascii, bt BIT(4), f FLOAT, pad TEXT, KEY k (n), KEY ks (s))`

var badColumns = []string{"id", "s", "n", "d", "dt", "tm", "y", "j", "e", "st", "a", "bt", "f", "pad"}

// goodCells are a row's cells as they stand in the file. JSON and the text, which has
// a line end, are quoted.
func goodCells(id int, pad string) []string {
	return []string{strconv.Itoa(id), "s" + strconv.Itoa(id), "7", "1.50", "2024-01-02 03:04:05", "03:04:05", "2024",
		`"{""k"": 1}"`, "x", `"p,q"`, "ascii", "\x07", "1.5", "\"two\nlines" + pad + `"`}
}

// badKind is one way in which a row can be wrong.
type badKind struct {
	name, class string
	column      string // whose cell is bad; "" for the whole row
	cell        string
	code        string // "" = what TiDB answers to an INSERT of the cell
	row         func(cells []string) string
}

func joined(cells []string) string { return strings.Join(cells, ",") }

var badKinds = []badKind{
	{name: "too few fields", class: "syntax", code: "1261", row: func(c []string) string { return joined(c[:3]) }},
	{name: "too many fields", class: "syntax", code: "1262", row: func(c []string) string { return joined(c) + ",more" }},
	{name: "bytes behind a closing quote", class: "syntax", code: "1105", row: func(c []string) string { return c[0] + `,"s"x,` + joined(c[2:13]) + ",z" }},
	{name: "quote inside a field", class: "syntax", code: "1105", row: func(c []string) string { return c[0] + `,5" pipe,` + joined(c[2:13]) + ",z" }},
	{name: "not a number", class: "type", column: "n", cell: "12x"},
	{name: "empty number", class: "type", column: "n", cell: ""},
	{name: "integer out of range", class: "type", column: "n", cell: "128"},
	{name: "bad decimal", class: "type", column: "d", cell: "1.2.3"},
	{name: "decimal out of range", class: "type", column: "d", cell: "1000"},
	{name: "bad float", class: "type", column: "f", cell: "1e"},
	{name: "text too long", class: "type", column: "s", cell: "cccccccccccc"},
	{name: "bad datetime", class: "type", column: "dt", cell: "2024-02-30 00:00:00"},
	{name: "bad time", class: "type", column: "tm", cell: "12:61:00"},
	{name: "year out of range", class: "type", column: "y", cell: "1800"},
	{name: "bad JSON", class: "type", column: "j", cell: "{"},
	{name: "unknown member", class: "type", column: "e", cell: "z"},
	{name: "unknown members", class: "type", column: "st", cell: "r"},
	{name: "too many bits", class: "type", column: "bt", cell: "long"},
	{name: "NULL in a NOT NULL column", class: "type", column: "s", cell: `\N`, code: "1048"},
	{name: "invalid UTF-8", class: "charset", column: "s", cell: "a\xff\xfe"},
	{name: "not in the charset", class: "charset", column: "a", cell: "é"},
}

// badFile builds source files and what is to be recorded of them.
type badFile struct {
	path  string
	text  strings.Builder
	lines int // before the next row
	want  [][]string
	good  []string // ids
}

func (f *badFile) add(row string) {
	f.text.WriteString(row)
	f.lines += strings.Count(row, "\n")
}

// bad adds a row of a kind and notes its record.
func (f *badFile) bad(k badKind, id int, end string) {
	cells := goodCells(id, "")
	var row, value string
	if k.row != nil {
		row = k.row(cells)
		value = row
	} else {
		for i, name := range badColumns {
			if name == k.column {
				cells[i] = k.cell
			}
		}
		row = joined(cells)
		value = strings.NewReplacer(`\N`, "NULL", "\xff", `\xff`, "\xfe", `\xfe`).Replace(k.cell)
	}
	f.want = append(f.want, []string{k.class, f.path, strconv.Itoa(f.lines + 1), strconv.Itoa(f.text.Len()), k.column, value, k.code})
	f.add(row + end)
}

func (f *badFile) goodRow(id int, pad string) {
	f.good = append(f.good, strconv.Itoa(id))
	f.add(joined(goodCells(id, pad)) + "\n")
}

func (f *badFile) write(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile(f.path, []byte(f.text.String()), 0o600))
}

// badFiles are a small file and one of several blocks, both with bad rows of
// the kind at the start, in the middle and at the end, without a line end there.
func badFiles(t *testing.T, dir string, k badKind) (files []*badFile, bad int) {
	t.Helper()
	id := 0
	for i, rows := range []int{4, 600} {
		f := &badFile{path: filepath.Join(dir, fmt.Sprintf("bad.%d.csv", i))}
		pad := strings.Repeat("pad ", (rows-4)*2)
		for n := range rows {
			if n == 0 || n == rows/2 {
				id++
				f.bad(k, id, "\n")
				bad++
			}
			id++
			f.goodRow(id, pad)
		}
		id++
		f.bad(k, id, "")
		bad++
		f.write(t)
		files = append(files, f)
	}
	return files, bad
}

const selectBadRows = "SELECT class, file, line, byte_offset, column_name, value, error_code FROM sluice.job_errors WHERE job_id = ? ORDER BY seq"

// askTiDB returns the error number of an INSERT of a kind's cell.
func (b *bench) askTiDB(k badKind) string {
	b.t.Helper()
	if k.code != "" {
		return k.code
	}
	_, err := b.direct.ExecContext(b.t.Context(), fmt.Sprintf("INSERT INTO t (id, s, %s) VALUES (0, 's', ?)", k.column), k.cell)
	if k.column == "s" {
		_, err = b.direct.ExecContext(b.t.Context(), "INSERT INTO t (id, s) VALUES (0, ?)", k.cell)
	}
	var refused *mysql.MySQLError
	require.True(b.t, errors.As(err, &refused), "%s: TiDB takes it: %v", k.name, err)
	return strconv.Itoa(int(refused.Number))
}

// TestBadRowsMatrix: bad rows of every kind, at the start, in the middle and
// at the end of files of one block and of several: each is recorded with code and place,
// and every good row is there.
func TestBadRowsMatrix(t *testing.T) {
	t.Parallel()
	inputs := 0
	for i, k := range badKinds {
		inputs += 6
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec("CREATE TABLE t " + badTable)
			k.code = b.askTiDB(k)
			files, bad := badFiles(t, b.dir, k)
			var want [][]string
			var good []string
			for _, f := range files {
				want, good = append(want, f.want...), append(good, f.good...)
			}
			from := fmt.Sprintf("IMPORT INTO t FROM '%s' WITH thread=%d", filepath.Join(b.dir, "bad.*.csv"), 1+i%4)

			// One too many for the limit: the first ones are in the message.
			err := b.fails(from+", max_errors="+strconv.Itoa(bad-1), code16(t, k.code), "more than "+strconv.Itoa(bad-1)+" rows", want[0][1], want[4][1])
			require.Equal(t, "0", b.count("t"))
			failed := b.lastJob("t")
			require.Equal(t, "failed", failed["status"])
			require.Equal(t, err.Message, "import job "+failed["id"]+": "+failed["message"])
			require.Equal(t, strconv.Itoa(bad), failed["error_rows"])
			require.Equal(t, want, b.query(selectBadRows, failed["id"]))

			job := b.mustImport(from + ", max_errors=" + strconv.Itoa(bad))
			require.Equal(t, want, b.query(selectBadRows, job["Job_ID"]))
			require.Equal(t, strconv.Itoa(len(good)), job["Imported_Rows"])
			require.Contains(t, job["Result_Message"], fmt.Sprintf("rows left out and recorded: %d (%d %s), shown by SHOW IMPORT JOB %s ERRORS",
				bad, bad, k.class, job["Job_ID"]))
			require.Equal(t, strconv.Itoa(bad), b.lastJob("t")["error_rows"])
			var ids []string
			for _, row := range b.query("SELECT id FROM t WHERE n = 7 AND s = CONCAT('s', id) AND pad LIKE 'two\\nlines%' ORDER BY id") {
				ids = append(ids, row[0])
			}
			require.Equal(t, good, ids)
			require.Equal(t, strconv.Itoa(len(good)), b.count("t"))
			b.consistent("t")
		})
	}
	require.GreaterOrEqual(t, inputs, 100)
}

func code16(t *testing.T, code string) uint16 {
	t.Helper()
	n, err := strconv.ParseUint(code, 10, 16)
	require.NoError(t, err)
	return uint16(n)
}

// lastJob returns what the last job on a table has in its row.
func (b *bench) lastJob(table string) map[string]string {
	b.t.Helper()
	columns, values, err := rows(b.t, b.proxy, `SELECT id, status, message, error_code, error_rows, imported_rows FROM sluice.jobs
		WHERE table_schema = ? AND table_name = ? ORDER BY id DESC LIMIT 1`, b.name, table)
	require.NoError(b.t, err)
	require.Len(b.t, values, 1)
	row := map[string]string{}
	for i, c := range columns {
		row[c] = values[0][i]
	}
	return row
}

// TestRowsWithoutCertainEnd: a row that may go on in the next line is not
// guessed at. It ends the job, with its place, however many bad rows are
// allowed; as the last row of a file it costs that row alone.
func TestRowsWithoutCertainEnd(t *testing.T) {
	t.Parallel()
	good := lines("1,a", "2,\"b\"", "x,bad")
	for _, tt := range []struct {
		name, text string
		offset     int // of the row that ends the job, -1 if the job goes on
	}{
		{"unterminated quote", good + lines(`3,"c`, "4,d"), 16},
		{"unterminated quote in the first row", lines(`3,"c`, "4,d"), 0},
		{"quote closed by a later row", good + lines(`3,"c`, `4,"d"`, "5,e"), 16},
		{"something behind two lines", good + lines("3,\"c\nd\"x", "4,d"), 16},
		{"quotes that don't pair up", good + lines(`3,"say "c" d`, "4,d"), 16},
		{"unterminated quote in the last row", good + lines("4,d", `3,"c`), -1},
		{"escape at the end", good + "4,d\n3,c\\", -1},
		{"escape at the end, in quotes", good + "4,d\n3,\"c\\", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec("CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(10))")
			path := b.file("x.csv", tt.text)
			stmt := fmt.Sprintf("IMPORT INTO t FROM '%s' WITH max_errors=1000", path)
			if tt.offset < 0 {
				job := b.mustImport(stmt)
				require.Equal(t, "3", job["Imported_Rows"])
				require.Equal(t, [][]string{{"1"}, {"2"}, {"4"}}, b.query("SELECT id FROM t ORDER BY id"))
				records := b.query(selectBadRows, job["Job_ID"])
				require.Len(t, records, 2)
				require.Equal(t, []string{"syntax", path, "5", "20"}, records[1][:4])
				b.consistent("t")
				return
			}
			line := 1 + strings.Count(tt.text[:tt.offset], "\n")
			b.fails(stmt, 1105, "syntax error", "the rest of the file can't be divided into rows", path,
				fmt.Sprintf("line %d, offset %d", line, tt.offset))
			require.Equal(t, "0", b.count("t"))
			failed := b.lastJob("t")
			require.Equal(t, strconv.Itoa(len(b.query(selectBadRows, failed["id"]))), failed["error_rows"])
			if tt.offset > 0 {
				require.Contains(t, failed["message"], "bad rows: 1 (1 type), shown by SHOW IMPORT JOB")
			}
		})
	}
}

// TestBadRowsLeaveNoTrace: the ids of good rows are those of their places, as
// if bad rows had been there, and later rows go on behind them.
func TestBadRowsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE hidden (a INT, b INT, KEY (b))", "CREATE TABLE auto (id BIGINT PRIMARY KEY AUTO_INCREMENT, a INT)")
	path := b.file("x.csv", lines("1", "x", "3", "4", "y\"y", "6", "1,2"))
	for table, id := range map[string]string{"hidden": "_tidb_rowid", "auto": "id"} {
		job := b.mustImport(fmt.Sprintf("IMPORT INTO %s (a) FROM '%s' WITH max_errors=3", table, path))
		require.Equal(t, "4", job["Imported_Rows"])
		require.Contains(t, job["Result_Message"], "rows left out and recorded: 3 (1 type, 2 syntax)")
		require.Equal(t, [][]string{{"1", "1"}, {"3", "3"}, {"4", "4"}, {"6", "6"}},
			b.query(fmt.Sprintf("SELECT %s, a FROM %s ORDER BY a", id, table)), table)
		b.consistent(table)
		b.exec("INSERT INTO " + table + " (a) VALUES (7)")
		require.Equal(t, [][]string{{"1"}}, b.query(fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE a = 7 AND %s > 6", table, id)))
	}

	// A row that is refused after its id was seen.
	b.exec("CREATE TABLE brought (id BIGINT PRIMARY KEY AUTO_INCREMENT, a INT, g TINYINT AS (a * 100) STORED) AUTO_ID_CACHE 1")
	job := b.mustImport(fmt.Sprintf("IMPORT INTO brought FROM '%s' WITH max_errors=3", b.file("y.csv", lines("5,1", "1000,9", "6,1"))))
	require.Equal(t, [][]string{{"type", "g", "1264"}}, b.query("SELECT class, column_name, error_code FROM sluice.job_errors WHERE job_id = ?", job["Job_ID"]))
	b.consistent("brought")
	b.exec("INSERT INTO brought (a) VALUES (0)")
	require.Equal(t, [][]string{{"5"}, {"6"}, {"7"}}, b.query("SELECT id FROM brought ORDER BY id"))
}

// TestBadRowsWhateverTheWorkers: many bad rows among good ones in files of
// several blocks: which row is one too many, the message and the records don't depend on the
// number of workers.
func TestBadRowsWhateverTheWorkers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b TEXT)")
	rnd := rand.New(rand.NewPCG(5, 42))
	kinds := []struct {
		row  string
		code uint16
	}{{"x,b\n", 1366}, {"\"1\"2,\n", 1105}, {"1\n", 1261}, {"1,\xff\n", 1366}, {"1,2,3\n", 1262}, {"1,b\"\n", 1105}}
	bad, id, first := 0, 0, uint16(0)
	for i := range 3 {
		var text strings.Builder
		for text.Len() < 3<<19 {
			id++
			row := fmt.Sprintf("%d,%s\n", id, strings.Repeat("b", rnd.IntN(300)))
			if rnd.IntN(8) == 0 {
				kind := kinds[rnd.IntN(len(kinds))]
				row = kind.row
				if bad++; bad == 1 {
					first = kind.code
				}
			}
			text.WriteString(row)
		}
		b.file(fmt.Sprintf("w.%d.csv", i), text.String())
	}
	var records, message string
	for i, limit := range []int{bad / 2, bad / 2, bad / 2, bad, bad} {
		stmt := fmt.Sprintf("IMPORT INTO t FROM '%s' WITH thread=%d, max_errors=%d", filepath.Join(b.dir, "w.*.csv"), 1+i%4, limit)
		if limit < bad {
			err := b.fails(stmt, first, "more than")
			job := b.lastJob("t")
			text := strings.ReplaceAll(strings.TrimPrefix(err.Message, "import job "+job["id"]), "JOB "+job["id"]+" ERRORS", "")
			got := fmt.Sprint(b.query(selectBadRows, job["id"]))
			require.Equal(t, strconv.Itoa(limit+1), job["error_rows"])
			if i > 0 {
				require.Equal(t, message, text)
				require.Equal(t, records, got)
			}
			message, records = text, got
			continue
		}
		job := b.mustImport(stmt)
		got := fmt.Sprint(b.query(selectBadRows, job["Job_ID"]))
		require.Len(t, b.query(selectBadRows, job["Job_ID"]), bad)
		require.True(t, strings.HasPrefix(got, strings.TrimSuffix(records, "]")), "the same rows, and those behind them")
		require.Equal(t, strconv.Itoa(id-bad), b.count("t"))
		b.consistent("t")
		b.exec("TRUNCATE TABLE t")
	}
}

// TestBadRowsBesideConflicts: both kinds of rows are recorded for one job, and
// those that the user has a strategy for don't count towards the limit.
func TestBadRowsBesideConflicts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(10))")
	path := b.file("x.csv", lines("1,a", "x,b", "1,c", "\"2\"x,d", "2,e", "2,f"))
	for strategy, want := range map[string][][]string{
		"ignore":  {{"1", "a"}, {"2", "e"}},
		"replace": {{"1", "c"}, {"2", "f"}},
		"capture": nil,
	} {
		job := b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH max_errors=2, on_duplicate='%s'", path, strategy))
		require.Equal(t, want, b.query("SELECT a, b FROM t ORDER BY a"), strategy)
		require.Equal(t, strconv.Itoa(len(want)), job["Imported_Rows"], strategy)
		require.Equal(t, [][]string{{"type", "2"}, {"syntax", "4"}}, b.query(
			"SELECT class, line FROM sluice.job_errors WHERE job_id = ? AND class <> 'conflict' ORDER BY seq", job["Job_ID"]))
		records := b.query("SELECT seq FROM sluice.job_errors WHERE job_id = ?", job["Job_ID"])
		require.Equal(t, strconv.Itoa(len(records)), b.lastJob("t")["error_rows"])
		b.consistent("t")
		b.exec("TRUNCATE TABLE t")
	}
}

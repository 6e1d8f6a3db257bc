package imports_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// longEnv asks for the whole matrix.
const longEnv = "SLUICE_CONFLICTS_LONG"

// conflictShapes are tables with the columns k, k2, u, a, b, v, n and several unique
// keys; they differ in how a row is identified.
var conflictShapes = []struct{ name, keys string }{
	{"int", "PRIMARY KEY (k) CLUSTERED"},
	{"common", "PRIMARY KEY (k2, k) CLUSTERED"},
	{"prefix", "PRIMARY KEY (k2(3)) CLUSTERED"},
	{"nonclustered", "PRIMARY KEY (k) NONCLUSTERED"},
	{"rowid", "UNIQUE KEY uk_k (k)"},
	{"partitioned", "PRIMARY KEY (k) CLUSTERED"},
}

func conflictTable(shape int) string {
	text := conflictColumns(conflictShapes[shape].keys)
	if conflictShapes[shape].name == "partitioned" {
		text = strings.NewReplacer("uk_u (u)", "uk_u (u) GLOBAL", "uk_ab (a, b)", "uk_ab (a, b) GLOBAL").Replace(text) +
			" PARTITION BY HASH (k) PARTITIONS 3"
	}
	return text
}

func conflictColumns(keys string) string {
	return "(k BIGINT NOT NULL, k2 VARCHAR(12) COLLATE utf8mb4_general_ci NOT NULL, u INT, a INT, b VARCHAR(10) COLLATE utf8mb4_unicode_ci, " +
		"v VARCHAR(30), n INT, " + keys + ", UNIQUE KEY uk_u (u), UNIQUE KEY uk_ab (a, b), KEY kv (v), KEY kn (n, v))"
}

// conflictRow is a row of these tables; NULL is "".
type conflictRow struct{ k, k2, u, a, b, v, n string }

func (r conflictRow) cells() []string { return []string{r.k, r.k2, r.u, r.a, r.b, r.v, r.n} }

// csv is the row as a line, sql as the values of an INSERT.
func (r conflictRow) csv() string {
	cells := r.cells()
	for i, c := range cells {
		if c == "" {
			cells[i] = `\N`
		}
	}
	return strings.Join(cells, ",")
}

func (r conflictRow) sql() string {
	cells := r.cells()
	for i, c := range cells {
		if cells[i] = "'" + c + "'"; c == "" {
			cells[i] = "NULL"
		}
	}
	return "(" + strings.Join(cells, ",") + ")"
}

// uniqueRow shares no key with one of another number.
func uniqueRow(i int) conflictRow {
	r := conflictRow{
		k: fmt.Sprint(10 * i), k2: fmt.Sprintf("%c%c%c-%d", 'a'+i/676, 'a'+i/26%26, 'a'+i%26, i), u: fmt.Sprint(7 * i), a: fmt.Sprint(i / 2), b: fmt.Sprintf("b%d", i),
		v: fmt.Sprintf("v%d", i%5), n: fmt.Sprint(i),
	}
	if i%9 == 0 {
		r.u = ""
	}
	if i%11 == 0 {
		r.a = ""
	}
	return r
}

// shareKey gives r the primary key of o, in another case.
func (r *conflictRow) shareKey(o conflictRow) { r.k, r.k2 = o.k, strings.ToUpper(o.k2) }
func (r *conflictRow) shareU(o conflictRow)   { r.u = o.u }
func (r *conflictRow) shareAB(o conflictRow)  { r.a, r.b = o.a, strings.ToUpper(o.b) }

// conflictKinds make row i collide with rows before it, which are all there is
// of the job; from is where those of the table begin, if there are any.
var conflictKinds = []struct {
	name    string
	collide func(r *conflictRow, before []conflictRow, rnd *rand.Rand)
}{
	{"primary", func(r *conflictRow, before []conflictRow, rnd *rand.Rand) { r.shareKey(before[rnd.IntN(len(before))]) }},
	{"unique", func(r *conflictRow, before []conflictRow, rnd *rand.Rand) { r.shareU(before[rnd.IntN(len(before))]) }},
	{"several", func(r *conflictRow, before []conflictRow, rnd *rand.Rand) {
		r.shareKey(before[rnd.IntN(len(before))])
		r.shareU(before[rnd.IntN(len(before))])
		r.shareAB(before[rnd.IntN(len(before))])
	}},
	{"chain", func(r *conflictRow, before []conflictRow, _ *rand.Rand) {
		last := before[len(before)-1]
		switch len(before) % 3 {
		case 0:
			r.shareU(last)
		case 1:
			r.shareAB(last)
		default:
			r.shareKey(last)
		}
	}},
	{"identical", func(r *conflictRow, before []conflictRow, rnd *rand.Rand) { *r = before[rnd.IntN(len(before))] }},
}

// conflictAmounts say how many of 60 rows collide.
var conflictAmounts = []struct {
	name    string
	collide func(i int) bool
}{
	{"none", func(int) bool { return false }},
	{"one", func(i int) bool { return i == 31 }},
	{"many", func(i int) bool { return i%3 == 0 }},
	{"all", func(int) bool { return true }},
}

const conflictRows = 60

// conflictCase is one cell of the matrix.
type conflictCase struct {
	shape, kind, amount int
	strategy            string
	filled              bool // the table has rows, and the source's collide with them
}

func (c conflictCase) String() string {
	where := "source"
	if c.filled {
		where = "table"
	}
	return fmt.Sprintf("%s/%s/%s/%s/%s", conflictShapes[c.shape].name, conflictKinds[c.kind].name, conflictAmounts[c.amount].name, c.strategy, where)
}

// rows returns the rows that the table has and those of the source.
func (c conflictCase) rows() (own, source []conflictRow) {
	rnd := rand.New(rand.NewPCG(uint64(c.shape), uint64(100*c.kind+10*c.amount)))
	if c.filled {
		for i := range 20 {
			own = append(own, uniqueRow(500+i))
		}
	}
	all := append([]conflictRow(nil), own...)
	for i := range conflictRows {
		r := uniqueRow(i)
		if len(all) > 0 && conflictAmounts[c.amount].collide(i) {
			among := all
			if c.filled && i%2 == 0 {
				among = own
			}
			conflictKinds[c.kind].collide(&r, among, rnd)
		}
		all = append(all, r)
		source = append(source, r)
	}
	return own, source
}

// TestConflictMatrix: kinds of duplicates, strategies, tables and amounts,
// within the source and against the table's rows, with TiDB's own REPLACE,
// INSERT IGNORE and INSERT, row by row, as the judge. Each cell runs with 1 and 4 workers.
// Without the environment variable, one kind stands for all in turn, and the source or the table for both.
func TestConflictMatrix(t *testing.T) {
	t.Parallel()
	long := os.Getenv(longEnv) != ""
	turn := 0
	for shape := range conflictShapes {
		for _, strategy := range []string{"error", "replace", "ignore", "capture"} {
			for amount := range conflictAmounts {
				for _, filled := range []bool{false, true} {
					for kind := range conflictKinds {
						cells := 2 * len(conflictKinds)
						if turn++; !long && turn%cells != turn/cells*3%cells {
							continue
						}
						c := conflictCase{shape, kind, amount, strategy, filled}
						t.Run(c.String(), func(t *testing.T) {
							t.Parallel()
							newConflictBench(t, c).run()
						})
					}
				}
			}
		}
	}
}

type conflictBench struct {
	*bench
	c     conflictCase
	own   []conflictRow
	rows  []conflictRow
	files []string
	lines [][2]int // of each row: file and line
	// aloneRows are the rows that share no key, nil until TiDB was asked.
	aloneRows []int
}

func newConflictBench(t *testing.T, c conflictCase) *conflictBench {
	t.Helper()
	b := &conflictBench{bench: newBench(t), c: c}
	b.own, b.rows = c.rows()
	b.tables()
	b.writeFiles(3)
	return b
}

// tables makes the judge's table and those that are imported into, with the rows that they have.
func (b *conflictBench) tables() {
	b.t.Helper()
	for _, name := range []string{"judge", "with1", "with4"} {
		statements := []string{"CREATE TABLE " + name + " " + conflictTable(b.c.shape)}
		if len(b.own) > 0 {
			statements = append(statements, "INSERT INTO "+name+" VALUES "+values(b.own))
		}
		for _, stmt := range statements {
			_, err := b.direct.ExecContext(b.t.Context(), stmt)
			require.NoError(b.t, err, stmt)
		}
	}
}

func values(rows []conflictRow) string {
	var list []string
	for _, r := range rows {
		list = append(list, r.sql())
	}
	return strings.Join(list, ",")
}

// writeFiles spreads the rows over files.
func (b *conflictBench) writeFiles(n int) {
	b.t.Helper()
	texts := make([][]string, n)
	for i, r := range b.rows {
		f := i * n / len(b.rows)
		texts[f] = append(texts[f], r.csv())
		b.lines = append(b.lines, [2]int{f, len(texts[f])})
	}
	for f, text := range texts {
		b.files = append(b.files, b.file(fmt.Sprintf("part.%d.csv", f), lines(text...)))
	}
}

func (b *conflictBench) run() {
	b.t.Helper()
	if b.c.strategy == "error" {
		b.runError()
		return
	}
	b.judge()
	var told []string
	for _, workers := range []int{1, 4} {
		table := fmt.Sprintf("with%d", workers)
		row := b.mustImport(b.statement(table, workers))
		told = append(told, strings.NewReplacer(table, "t", "job_id = "+row["Job_ID"], "job_id = n").Replace(row["Result_Message"]))
		b.requireSameAsJudge(table)
		require.Equal(b.t, fmt.Sprint(len(b.surviving())), row["Imported_Rows"])
		if !b.c.filled {
			b.consistent(table)
		}
		if b.c.strategy == "capture" {
			b.requireCaptured(row["Job_ID"])
		}
	}
	require.Equal(b.t, told[0], told[1], "the same report whatever the number of workers")
	if len(b.surviving()) < len(b.rows) {
		require.Contains(b.t, told[0], fmt.Sprintf("%d conflicted rows", len(b.rows)-len(b.surviving())))
		require.Contains(b.t, told[0], b.dir, "the place of a row")
	}
}

func (b *conflictBench) statement(table string, workers int) string {
	stmt := fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH thread=%d, on_duplicate='%s'", table, filepath.Join(b.dir, "part.*.csv"), workers, b.c.strategy)
	if b.c.filled {
		stmt += ", allow_non_empty"
	}
	return stmt
}

// judge lets TiDB decide.
func (b *conflictBench) judge() {
	b.t.Helper()
	verb := map[string]string{"replace": "REPLACE INTO", "ignore": "INSERT IGNORE INTO", "capture": "INSERT INTO"}[b.c.strategy]
	rows := b.rows
	if b.c.strategy == "capture" {
		rows = b.surviving()
	}
	_, err := b.insert(verb+" judge VALUES ", rows)
	require.NoError(b.t, err)
}

// insert runs a statement for each row, in one transaction, up to the first
// that fails, and returns the number of that row and its error.
func (b *conflictBench) insert(verb string, rows []conflictRow) (failed int, err error) {
	b.t.Helper()
	tx, err := b.direct.BeginTx(b.t.Context(), nil)
	require.NoError(b.t, err)
	for i, r := range rows {
		if _, err := tx.ExecContext(b.t.Context(), verb+r.sql()); err != nil {
			require.NoError(b.t, tx.Rollback())
			return i, err
		}
	}
	require.NoError(b.t, tx.Commit())
	return 0, nil
}

// surviving returns the rows of the source that stay. For capture that is what
// TiDB itself says: rows for which a self join by each key finds no other.
func (b *conflictBench) surviving() []conflictRow {
	b.t.Helper()
	switch b.c.strategy {
	case "capture":
		kept := b.alone()
		var rows []conflictRow
		for _, i := range kept {
			rows = append(rows, b.rows[i])
		}
		return rows
	default:
		// Rows of the source are told from the table's by n, and from each other
		// only by their values, so they are counted.
		_, found, err := rows(b.t, b.direct, "SELECT n FROM judge WHERE n < 500")
		require.NoError(b.t, err)
		out := make([]conflictRow, len(found))
		if b.c.kind == 4 && b.c.filled { // identical to rows of the table
			_, found, err = rows(b.t, b.direct, "SELECT COUNT(*) FROM judge")
			require.NoError(b.t, err)
			var all int
			_, err = fmt.Sscan(found[0][0], &all)
			require.NoError(b.t, err)
			out = make([]conflictRow, b.countSurvivors(all))
		}
		return out
	}
}

// countSurvivors tells how many of the rows of a filled table are the source's
// when rows of both may be identical: with INSERT IGNORE the table keeps all of its own,
// with REPLACE those whose keys the source doesn't have.
func (b *conflictBench) countSurvivors(all int) int {
	if b.c.strategy == "ignore" {
		return all - len(b.own)
	}
	kept := 0
	for _, o := range b.own {
		found := false
		for _, r := range b.rows {
			found = found || r == o
		}
		if !found {
			kept++
		}
	}
	return all - kept
}

// alone returns the numbers of the rows that share no key with another one.
func (b *conflictBench) alone() []int {
	b.t.Helper()
	key := map[string]string{"int": "o.k = r.k", "nonclustered": "o.k = r.k", "rowid": "o.k = r.k", "partitioned": "o.k = r.k",
		"common": "o.k = r.k AND o.k2 = r.k2", "prefix": "LEFT(o.k2, 3) = LEFT(r.k2, 3)"}[conflictShapes[b.c.shape].name]
	if b.aloneRows != nil {
		return b.aloneRows
	}
	_, err := b.direct.ExecContext(b.t.Context(),
		"CREATE TABLE bag (ord INT PRIMARY KEY, "+strings.ReplaceAll(conflictColumns("KEY (k)")[1:], "UNIQUE KEY", "KEY"))
	require.NoError(b.t, err)
	var bag []string
	for i, r := range append(append([]conflictRow(nil), b.rows...), b.own...) {
		bag = append(bag, fmt.Sprintf("(%d,%s", i, r.sql()[1:]))
	}
	_, err = b.direct.ExecContext(b.t.Context(), "INSERT INTO bag VALUES "+strings.Join(bag, ","))
	require.NoError(b.t, err)
	_, found, err := rows(b.t, b.direct, fmt.Sprintf("SELECT ord FROM bag r WHERE ord < %d AND NOT EXISTS (SELECT 1 FROM bag o WHERE o.ord != r.ord AND (%s OR o.u = r.u OR (o.a = r.a AND o.b = r.b))) ORDER BY ord",
		len(b.rows), key))
	require.NoError(b.t, err)
	b.aloneRows = []int{}
	for _, f := range found {
		var n int
		_, err := fmt.Sscan(f[0], &n)
		require.NoError(b.t, err)
		b.aloneRows = append(b.aloneRows, n)
	}
	return b.aloneRows
}

// requireSameAsJudge compares the rows, and lets TiDB check its indexes.
func (b *conflictBench) requireSameAsJudge(table string) {
	b.t.Helper()
	const query = "SELECT * FROM %s USE INDEX () ORDER BY k, k2, u, a, b, v, n"
	_, want, err := rows(b.t, b.direct, fmt.Sprintf(query, "judge"))
	require.NoError(b.t, err)
	_, got, err := rows(b.t, b.direct, fmt.Sprintf(query, table))
	require.NoError(b.t, err)
	require.Equal(b.t, want, got)
	_, err = b.direct.ExecContext(b.t.Context(), "ADMIN CHECK TABLE "+table)
	require.NoError(b.t, err)
}

// requireCaptured: each row that is left out is recorded, with its place and its text.
func (b *conflictBench) requireCaptured(job string) {
	b.t.Helper()
	alone := map[int]bool{}
	for _, i := range b.alone() {
		alone[i] = true
	}
	var want [][]string
	for i, r := range b.rows {
		if !alone[i] {
			want = append(want, []string{"conflict", b.files[b.lines[i][0]], fmt.Sprint(b.lines[i][1]), r.csv(), "1062"})
		}
	}
	_, got, err := rows(b.t, b.direct, "SELECT class, file, line, value, error_code FROM sluice.job_errors WHERE job_id = ? ORDER BY seq", job)
	require.NoError(b.t, err)
	require.Equal(b.t, want, got)
}

// runError: the row that INSERT refuses first is named with TiDB's message and
// with its place, and the table stays as it was.
func (b *conflictBench) runError() {
	b.t.Helper()
	at, err := b.insert("INSERT INTO judge VALUES ", b.rows)
	if err == nil {
		for _, workers := range []int{1, 4} {
			table := fmt.Sprintf("with%d", workers)
			b.mustImport(b.statement(table, workers))
			b.requireSameAsJudge(table)
		}
		return
	}
	var refused *mysql.MySQLError
	require.ErrorAs(b.t, err, &refused)
	place := fmt.Sprintf("file %s, line %d", b.files[b.lines[at][0]], b.lines[at][1])
	text := refused.Message
	if _, key, ok := strings.Cut(text, "for key"); ok { // the values may be in another case
		text = "for key" + key
	}
	text = strings.ReplaceAll(text, "judge", "%s")
	if kind := conflictKinds[b.c.kind].name; kind == "several" || kind == "identical" {
		text = "for key '%s." // which of several keys TiDB names depends on when it looks
	}
	for _, workers := range []int{1, 4} {
		table := fmt.Sprintf("with%d", workers)
		b.fails(b.statement(table, workers), 1062, fmt.Sprintf(text, table), place)
		require.Equal(b.t, fmt.Sprint(len(b.own)), b.count(table))
		_, err := b.direct.ExecContext(b.t.Context(), "ADMIN CHECK TABLE "+table)
		require.NoError(b.t, err)
	}
}

package imports_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/sqlrows"
)

// conflictTables are the tables of one shape, in a database of their own: judge,
// which stays empty because TiDB's judgement is rolled back; bag, for rows that collide;
// with1 and with4, which are imported into with so many workers.
type conflictTables struct {
	*bench
	shape int
}

var conflictTargets = []struct {
	table   string
	workers int
}{{"with1", 1}, {"with4", 4}}

func newConflictTables(t *testing.T, shape int) *conflictTables {
	t.Helper()
	b := &conflictTables{newBench(t), shape}
	for _, name := range []string{"judge", "with1", "with4"} {
		b.straight("CREATE TABLE " + name + " " + conflictTable(shape))
	}
	b.straight("CREATE TABLE bag (ord INT PRIMARY KEY, " + strings.ReplaceAll(conflictColumns("KEY (k)")[1:], "UNIQUE KEY", "KEY"))
	return b
}

// straight runs a statement at TiDB.
func (b *bench) straight(stmt string) {
	b.t.Helper()
	_, err := b.direct.ExecContext(b.t.Context(), stmt)
	require.NoError(b.t, err, stmt)
}

// conflictCell is one cell of the matrix, under way.
type conflictCell struct {
	*bench
	c        conflictCase
	own      []conflictRow
	rows     []conflictRow
	files    []string
	lines    [][2]int // of each row: file and line
	expected conflictOutcome
}

// cell brings the tables to where a cell begins.
func (b *conflictTables) cell(t *testing.T, c conflictCase) *conflictCell {
	t.Helper()
	own := *b.bench
	own.t, own.dir = t, t.TempDir()
	cell := &conflictCell{bench: &own, c: c}
	cell.own, cell.rows = c.rows()
	cell.expected = c.model(cell.own, cell.rows)
	for _, target := range conflictTargets {
		cell.straight("TRUNCATE TABLE " + target.table)
		if len(cell.own) > 0 {
			cell.straight("INSERT INTO " + target.table + " VALUES " + values(cell.own))
		}
	}
	// Statistics have nothing to do with collisions, and to collect them takes longer than the import does.
	cell.lockStats("with1, with4")
	cell.writeFiles(3)
	return cell
}

// lockStats keeps TiDB from collecting statistics of tables. It may get into a deadlock
// with what TiDB does about statistics by itself.
func (b *bench) lockStats(tables string) {
	b.t.Helper()
	eventually(b.t, func() bool {
		_, err := b.direct.ExecContext(b.t.Context(), "LOCK STATS "+tables)
		if mysqlCode(err) == 1213 {
			return false
		}
		require.NoError(b.t, err)
		return true
	})
}

func values(rows []conflictRow) string {
	var list []string
	for _, r := range rows {
		list = append(list, r.sql())
	}
	return strings.Join(list, ",")
}

// writeFiles spreads the rows over files.
func (b *conflictCell) writeFiles(n int) {
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

func (b *conflictCell) run() {
	b.t.Helper()
	refusal := b.judge()
	if refusal != nil {
		b.requireRefused(refusal)
		return
	}
	var told []string
	for _, target := range conflictTargets {
		row := b.mustImport(b.statement(target.table, target.workers))
		told = append(told, strings.NewReplacer(target.table, "t", "JOB "+row["Job_ID"]+" ERRORS", "JOB n ERRORS").Replace(row["Result_Message"]))
		b.requireExpected(target.table)
		require.Equal(b.t, fmt.Sprint(len(b.expected.kept)), row["Imported_Rows"])
		if b.c.strategy == "capture" {
			b.requireCaptured(row["Job_ID"])
		}
	}
	require.Equal(b.t, told[0], told[1], "the same report whatever the number of workers")
	if left := len(b.rows) - len(b.expected.kept); left > 0 {
		require.Contains(b.t, told[0], fmt.Sprintf("%d conflicted rows", left))
		require.Contains(b.t, told[0], b.dir, "the place of a row")
	}
}

func (b *conflictCell) statement(table string, workers int) string {
	stmt := fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH thread=%d, on_duplicate='%s'", table, filepath.Join(b.dir, "part.*.csv"), workers, b.c.strategy)
	if b.c.filled {
		stmt += ", allow_non_empty"
	}
	return stmt
}

// judge lets TiDB decide, in one transaction that is rolled back, and requires that
// it agrees with the model. A statement takes its rows in order, each beside those before
// it. With the strategy error it returns TiDB's error for the row that it refuses.
func (b *conflictCell) judge() (refusal *mysql.MySQLError) {
	b.t.Helper()
	ctx := b.t.Context()
	tx, err := b.direct.BeginTx(ctx, nil)
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, tx.Rollback()) }()
	insert := func(verb string, rows []conflictRow) error {
		if len(rows) == 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, verb+" INTO judge VALUES "+values(rows))
		return err
	}
	require.NoError(b.t, insert("INSERT", b.own))
	switch {
	case b.c.strategy == "replace":
		require.NoError(b.t, insert("REPLACE", b.rows))
	case b.c.strategy == "ignore":
		require.NoError(b.t, insert("INSERT IGNORE", b.rows))
	case b.c.strategy == "capture":
		require.Equal(b.t, b.expected.kept, b.alone(tx))
		var kept []conflictRow
		for _, i := range b.expected.kept {
			kept = append(kept, b.rows[i])
		}
		require.NoError(b.t, insert("INSERT", kept))
	case b.expected.refused < 0:
		require.NoError(b.t, insert("INSERT", b.rows))
	default:
		at := b.expected.refused
		require.NoError(b.t, insert("INSERT", b.rows[:at]))
		require.ErrorAs(b.t, insert("INSERT", b.rows[at:at+1]), &refusal)
		require.EqualValues(b.t, 1062, refusal.Number)
		return refusal
	}
	require.Equal(b.t, b.expectedRows(), b.sorted(tx, "judge"), "the model and TiDB")
	return nil
}

// alone returns the numbers of the source's rows for which a self join by each key finds no other row.
func (b *conflictCell) alone(tx *sql.Tx) (alone []int) {
	b.t.Helper()
	var bag []string
	for i, r := range slices.Concat(b.rows, b.own) {
		bag = append(bag, fmt.Sprintf("(%d,%s", i, r.sql()[1:]))
	}
	_, err := tx.ExecContext(b.t.Context(), "INSERT INTO bag VALUES "+strings.Join(bag, ","))
	require.NoError(b.t, err)
	key := map[string]string{"common": "o.k = r.k AND o.k2 = r.k2", "prefix": "LEFT(o.k2, 3) = LEFT(r.k2, 3)"}[conflictShapes[b.c.shape].name]
	if key == "" {
		key = "o.k = r.k"
	}
	_, found, err := rows(b.t, tx, fmt.Sprintf("SELECT ord FROM bag r WHERE ord < %d AND NOT EXISTS (SELECT 1 FROM bag o WHERE o.ord != r.ord AND (%s OR o.u = r.u OR (o.a = r.a AND o.b = r.b))) ORDER BY ord",
		len(b.rows), key))
	require.NoError(b.t, err)
	for _, f := range found {
		var n int
		_, err := fmt.Sscan(f[0], &n)
		require.NoError(b.t, err)
		alone = append(alone, n)
	}
	return alone
}

// expectedRows are the rows that have to be in the table in the end, as sorted gives them.
func (b *conflictCell) expectedRows() (out [][]string) {
	for _, r := range b.expected.rows {
		out = append(out, r.shown())
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

// sorted returns the records of a table, in an order that collations have no part in.
func (b *conflictCell) sorted(q sqlrows.Queryer, table string) [][]string {
	b.t.Helper()
	_, found, err := rows(b.t, q, "SELECT * FROM "+table+" USE INDEX ()")
	require.NoError(b.t, err)
	slices.SortFunc(found, slices.Compare)
	return found
}

// requireExpected compares the rows, lets TiDB check its indexes, and compares
// checksums if all rows are the job's.
func (b *conflictCell) requireExpected(table string) {
	b.t.Helper()
	require.Equal(b.t, b.expectedRows(), b.sorted(b.direct, table))
	if b.expected.refused >= 0 || b.c.filled {
		b.straight("ADMIN CHECK TABLE " + table)
	} else {
		b.consistent(table)
	}
}

// requireCaptured: each row that is left out is recorded, with its place and its text.
func (b *conflictCell) requireCaptured(job string) {
	b.t.Helper()
	var want [][]string
	for i, r := range b.rows {
		if !slices.Contains(b.expected.kept, i) {
			want = append(want, []string{"conflict", b.files[b.lines[i][0]], fmt.Sprint(b.lines[i][1]), r.csv(), "1062"})
		}
	}
	_, got, err := rows(b.t, b.direct, "SELECT class, file, line, value, error_code FROM sluice.job_errors WHERE job_id = ? ORDER BY seq", job)
	require.NoError(b.t, err)
	require.Equal(b.t, want, got)
}

// requireRefused: the row that INSERT refuses first is named with TiDB's message and
// with its place, and the table stays as it was.
func (b *conflictCell) requireRefused(refusal *mysql.MySQLError) {
	b.t.Helper()
	at := b.lines[b.expected.refused]
	place := fmt.Sprintf("file %s, line %d", b.files[at[0]], at[1])
	text := refusal.Message
	if _, key, ok := strings.Cut(text, "for key"); ok { // the values may be in another case
		text = "for key" + key
	}
	text = strings.ReplaceAll(text, "judge", "%s")
	if kind := conflictKinds[b.c.kind].name; kind == "several" || kind == "identical" {
		text = "for key '%s." // which of several keys TiDB names depends on when it looks
	}
	for _, target := range conflictTargets {
		b.fails(b.statement(target.table, target.workers), 1062, fmt.Sprintf(text, target.table), place)
		b.requireExpected(target.table)
	}
}

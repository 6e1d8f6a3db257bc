package oracle_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/table"
)

// twin is a shape of table that is made twice: INSERTs fill the one, an import
// the other.
type twin struct {
	name string
	// ddl are statements with {t} for the table; the first one creates it.
	ddl []string
	// columns that the fields of a row go to, "@x" for a variable; nil stands for all.
	columns []string
	// set is the SET clause of the import; its expressions use @x.
	set []assignment
	// rows makes the rows: edge values, tried one by one, and the bulk.
	rows func(r *rand.Rand, bulk int) (edges, many [][]value)
	// ordinal are columns that get the row's number in the job: an
	// AUTO_INCREMENT column without field, _tidb_rowid.
	ordinal []string
	// fromTwin are columns without field whose values only the import can tell
	// (random ids, sequences, the job's time). The import goes first then, all
	// rows are good ones, and ORDER BY order gives the order of the rows.
	fromTwin []string
	// order makes the order of the rows certain.
	order string
	// sqlMode and zone are the session's; see modes.
	sqlMode, zone string
}

// assignment is one part of a SET clause.
type assignment struct{ column, expr string }

// refusal is a row that TiDB doesn't take.
type refusal struct {
	row []value
	err error
}

// Codes of Sluice and of TiDB that mean "not for this table".
const (
	codeNotYet      = 1235
	codeUnsupported = 8200
)

// judging is one shape on its lane.
type judging struct {
	*lane
	twin
	t          *testing.T
	errorf     func(format string, args ...any) // tells of a difference
	inserted   string                           // the table that INSERTs fill
	imported   string                           // its twin
	base       int64                            // number of the first row
	plan       *encode.Plan
	rand       *rand.Rand
	accepted   [][]value
	refused    []refusal
	given      []string // columns of the fields, see fieldColumns
	waiting    []value  // see insertTogether
	cells      int
	differents int
}

// judge runs one shape.
func judge(t *testing.T, l *lane, s twin) {
	t.Helper()
	counted := false
	defer func() {
		if !counted && !t.Skipped() {
			report.different(s.name)
		}
	}()
	j := prepare(t, l, s)
	edges, many := s.rows(j.rand, bulkRows())
	if why := j.compile(); why != "" && j.isRefused(why, append(edges, many...)) {
		counted = true
		return
	}
	j.base = l.nextID(t, j.imported)
	if len(s.fromTwin) > 0 {
		j.accepted = append(edges, many...)
		j.importAll()
		j.copyBack()
	} else {
		j.insertAll(edges, many)
		j.refuseAlike()
		j.importAll()
	}
	if t.Failed() {
		return
	}
	j.compare()
	report.judged(s.name, j.cells, j.differents > 0)
	counted = true
}

// prepare makes the two tables.
func prepare(t *testing.T, l *lane, s twin) *judging {
	t.Helper()
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.name))
	l.tables++
	j := &judging{lane: l, twin: s, t: t, errorf: t.Errorf, rand: rand.New(rand.NewPCG(seed, h.Sum64())),
		inserted: fmt.Sprintf("a%d_%s", l.tables, s.name), imported: fmt.Sprintf("b%d_%s", l.tables, s.name)}
	if j.zone == "" {
		j.zone = "UTC"
	}
	l.session(t, j.sqlMode, j.zone)
	for _, name := range []string{j.inserted, j.imported} {
		for _, stmt := range s.ddl {
			l.exec(t, strings.ReplaceAll(stmt, "{t}", name))
		}
	}
	// Statistics are nobody's business here, and to collect them takes as long as all the rest.
	l.exec(t, "LOCK STATS "+j.imported)
	return j
}

// compile makes the encoder that says what Sluice has against single rows, and
// returns why it refuses the table, if it does.
func (j *judging) compile() string {
	target := loadTarget(j.t, j.cluster.TiDBStatus, j.db, j.imported)
	var fields []table.FieldTarget
	for _, c := range j.columns {
		if name, ok := strings.CutPrefix(c, "@"); ok {
			fields = append(fields, table.FieldTarget{Var: name})
		} else {
			fields = append(fields, table.FieldTarget{Column: c})
		}
	}
	mapping, err := target.Map(fields)
	require.NoError(j.t, err)
	mode, err := parsermysql.GetSQLMode(parsermysql.FormatSQLModeStr(j.sqlMode))
	require.NoError(j.t, err)
	loc, err := time.LoadLocation(j.zone)
	require.NoError(j.t, err)
	j.plan, err = encode.Compile(encode.Config{Target: target, Mapping: mapping, SQLMode: mode, Location: loc, Now: time.Now()})
	if err == nil {
		return ""
	}
	return fault.As(err).Message
}

// isRefused asks the statement itself; a table that the encoder alone refuses is judged.
func (j *judging) isRefused(why string, rows [][]value) bool {
	err := j.importRows(rows[:1])
	switch code(err) {
	case codeNotYet, codeUnsupported:
		report.refuse(j.t, j.name, why)
		return true
	default:
		j.exec(j.t, "TRUNCATE TABLE "+j.imported)
		return false
	}
}

// insertAll offers the edges one by one and the bulk in batches, in one
// transaction, because only then is it fast.
func (j *judging) insertAll(edges, many [][]value) {
	j.t.Helper()
	j.exec(j.t, "BEGIN OPTIMISTIC")
	for _, row := range edges {
		j.insertOne(row)
	}
	const batch = 50
	for start := 0; start < len(many); start += batch {
		rows := many[start:min(start+batch, len(many))]
		if err := j.insert(rows); err == nil {
			j.accepted = append(j.accepted, rows...)
			continue
		}
		for _, row := range rows {
			j.insertOne(row)
		}
	}
	j.exec(j.t, "COMMIT")
	if len(j.accepted) == 0 {
		require.NotEmpty(j.t, j.refused)
		require.Fail(j.t, "TiDB takes no row at all", "%s: %v", show(j.refused[0].row), j.refused[0].err)
	}
}

func (j *judging) insertOne(row []value) {
	err := j.insert([][]value{row})
	if code(err) == errNull && !strings.Contains(j.sqlMode, "STRICT") {
		j.insertTogether(row)
		return
	}
	switch code(err) {
	case 0:
		require.NoError(j.t, err)
		j.accepted = append(j.accepted, row)
	case errDuplicate: // not this judge's business: no row goes to either table
	default:
		j.refused = append(j.refused, refusal{row, err})
	}
}

// insert offers rows to TiDB, numbered behind those that it has taken.
func (j *judging) insert(rows [][]value) error {
	lists := make([]string, len(rows))
	for i, row := range rows {
		lists[i] = "(" + j.cellsOf(row, int64(len(j.accepted)+i)) + ")"
	}
	_, err := j.tidb.ExecContext(j.t.Context(), "INSERT INTO "+j.inserted+j.columnList()+" VALUES "+strings.Join(lists, ", "))
	return err
}

// insertTogether takes rows with a NULL that a lax mode makes zero of. It does
// so only in an INSERT of several rows, which an import is like, so they go two
// by two; a pair that TiDB doesn't take for another reason is left out.
func (j *judging) insertTogether(row []value) {
	if j.waiting == nil {
		j.waiting = row
		return
	}
	pair := [][]value{j.waiting, row}
	j.waiting = nil
	if j.insert(pair) == nil {
		j.accepted = append(j.accepted, pair...)
	}
}

// columnList is that of the INSERTs: fields with a column, assignments, number.
func (j *judging) columnList() string {
	var names []string
	for _, c := range j.fieldColumns() {
		if !strings.HasPrefix(c, "@") {
			names = append(names, quoteName(c))
		}
	}
	for _, a := range j.set {
		names = append(names, quoteName(a.column))
	}
	names = append(names, j.ordinal...)
	return " (" + strings.Join(names, ", ") + ")"
}

// fieldColumns is columns, or all columns that can be given, if there are none.
func (j *judging) fieldColumns() []string {
	if j.given == nil {
		j.given = j.columns
	}
	if j.given == nil {
		for _, c := range loadTarget(j.t, j.cluster.TiDBStatus, j.db, j.imported).Columns() {
			if !c.Hidden && !c.IsGenerated() {
				j.given = append(j.given, c.Name.O)
			}
		}
	}
	return j.given
}

func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// cellsOf is the list of expressions for a row: literals, for they are what a
// field is to TiDB.
func (j *judging) cellsOf(row []value, number int64) string {
	var cells, vars []string
	for i, v := range row {
		cell := "NULL"
		if v != nil {
			cell = literal(*v)
		}
		if name := j.fieldColumns()[i]; strings.HasPrefix(name, "@") {
			vars = append(vars, name, cell)
			continue
		}
		cells = append(cells, cell)
	}
	values := strings.NewReplacer(vars...)
	for _, a := range j.set {
		cells = append(cells, values.Replace(a.expr))
	}
	for range j.ordinal {
		cells = append(cells, strconv.FormatInt(j.base+number, 10))
	}
	return strings.Join(cells, ", ")
}

// refuseAlike asks the encoder for every row that TiDB refused, and the whole
// way for one of them, which must leave the table as it was.
func (j *judging) refuseAlike() {
	j.t.Helper()
	if j.plan == nil || len(j.set) > 0 {
		return
	}
	for _, r := range j.refused {
		if code(r.err) == errNoParent {
			continue // found when all rows are there, not row by row
		}
		arena := kv.NewArena(1<<12, 10)
		err := j.plan.NewEncoder().EncodeRow(fields(r.row), j.base, arena)
		if err == nil || int(fault.As(err).Code) != code(r.err) || len(arena.Refs) > 0 {
			j.differ("row %s: TiDB refuses it with %v, the encoder says %v", show(r.row), r.err, err)
		}
		j.cells += len(r.row)
	}
	if len(j.refused) == 0 {
		return
	}
	r := j.refused[j.rand.IntN(len(j.refused))]
	if err := j.importRows([][]value{r.row}); code(err) != code(r.err) {
		j.differ("row %s: TiDB refuses it with %v, IMPORT INTO says %v", show(r.row), r.err, err)
	}
	if _, rows := j.mustQuery(j.t, "SELECT * FROM "+j.imported); len(rows) > 0 {
		j.differ("row %s was refused and is in the table", show(r.row))
	}
}

// copyBack gives TiDB the rows with what the import alone knew.
func (j *judging) copyBack() {
	j.t.Helper()
	_, found := j.mustQuery(j.t, fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", strings.Join(j.fromTwin, ", "), j.imported, j.order))
	require.Len(j.t, found, len(j.accepted))
	j.given = append(append([]string(nil), j.fieldColumns()...), j.fromTwin...)
	for i := range found {
		j.accepted[i] = append(j.accepted[i][:len(j.accepted[i]):len(j.accepted[i])], found[i]...)
	}
	list := j.columnList()
	j.exec(j.t, "BEGIN OPTIMISTIC")
	for _, row := range j.accepted {
		j.exec(j.t, "INSERT INTO "+j.inserted+list+" VALUES ("+j.cellsOf(row, 0)+")")
	}
	j.exec(j.t, "COMMIT")
}

// differ records a difference and goes on.
func (j *judging) differ(format string, args ...any) {
	j.differents++
	const shown = 5
	if j.differents <= shown {
		j.errorf("%s\nsql_mode %q, time_zone %q\n%s", strings.Join(j.ddl, ";\n"), j.sqlMode, j.zone, fmt.Sprintf(format, args...))
	}
}

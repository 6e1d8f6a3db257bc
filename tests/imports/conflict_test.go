package imports_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
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

// shown is the row as a SELECT shows it, csv as a line, sql as the values of an INSERT.
func (r conflictRow) shown() []string {
	cells := r.cells()
	for i, c := range cells {
		if c == "" {
			cells[i] = "NULL"
		}
	}
	return cells
}

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
	return fmt.Sprintf("%s/%s/%s/%s", conflictKinds[c.kind].name, conflictAmounts[c.amount].name, c.strategy, where)
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
// within the source and against the table's rows. What has to be left is what a plain
// model says, and TiDB's own REPLACE, INSERT IGNORE and INSERT have to agree with it. Each cell
// runs with 1 and 4 workers. Without the environment variable, one kind stands for all in turn,
// and the source or the table for both. The cells of a shape use one set of tables in turn.
func TestConflictMatrix(t *testing.T) {
	t.Parallel()
	cells := conflictCells(os.Getenv(longEnv) != "")
	for shape := range conflictShapes {
		t.Run(conflictShapes[shape].name, func(t *testing.T) {
			t.Parallel()
			tables := newConflictTables(t, shape)
			for _, c := range cells {
				if c.shape == shape {
					t.Run(c.String(), func(t *testing.T) { tables.cell(t, c).run() })
				}
			}
		})
	}
}

// conflictCells returns all cells, or the sample of them.
func conflictCells(all bool) (cells []conflictCase) {
	turn := 0
	for shape := range conflictShapes {
		for _, strategy := range []string{"error", "replace", "ignore", "capture"} {
			for amount := range conflictAmounts {
				for _, filled := range []bool{false, true} {
					for kind := range conflictKinds {
						among := 2 * len(conflictKinds)
						if turn++; all || turn%among == turn/among*3%among {
							cells = append(cells, conflictCase{shape, kind, amount, strategy, filled})
						}
					}
				}
			}
		}
	}
	return cells
}

// conflictOutcome is what has to become of a cell.
type conflictOutcome struct {
	rows    []conflictRow // of the table in the end
	kept    []int         // those of the source that stay, by number
	refused int           // with the strategy error: the row that is refused, -1 if none
}

// model is the outcome by the definition of the strategies: the rows are taken one
// after the other, and a row collides with one that has a key in common with it.
func (c conflictCase) model(own, source []conflictRow) conflictOutcome {
	type held struct {
		conflictRow
		number int // in the source; -1 for the table's own
	}
	var table []held
	for _, r := range own {
		table = append(table, held{r, -1})
	}
	for i, r := range source {
		collides := func(h held) bool { return c.shareKey(h.conflictRow, r) }
		switch {
		case c.strategy == "replace":
			table = slices.DeleteFunc(table, collides)
		case c.strategy == "capture":
			// Rows that come later count too.
			others := slices.Concat(own, source[:i], source[i+1:])
			if slices.ContainsFunc(others, func(o conflictRow) bool { return c.shareKey(o, r) }) {
				continue
			}
		case !slices.ContainsFunc(table, collides):
		case c.strategy == "ignore":
			continue
		default:
			return conflictOutcome{rows: own, refused: i}
		}
		table = append(table, held{r, i})
	}
	out := conflictOutcome{refused: -1}
	for _, h := range table {
		out.rows = append(out.rows, h.conflictRow)
		if h.number >= 0 {
			out.kept = append(out.kept, h.number)
		}
	}
	return out
}

// shareKey reports whether two rows can't be in the table together.
func (c conflictCase) shareKey(x, y conflictRow) bool {
	if x.u != "" && x.u == y.u {
		return true
	}
	if x.a != "" && x.a == y.a && strings.EqualFold(x.b, y.b) {
		return true
	}
	switch conflictShapes[c.shape].name {
	case "common":
		return x.k == y.k && strings.EqualFold(x.k2, y.k2)
	case "prefix":
		return strings.EqualFold(x.k2[:3], y.k2[:3])
	default:
		return x.k == y.k
	}
}

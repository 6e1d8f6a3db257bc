package imports_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// keyShape is a table whose unique keys aren't plain columns. Each row has an id of its own.
type keyShape struct {
	name    string
	ddl     string // after CREATE TABLE name
	columns string
	row     func(rnd *rand.Rand, id int) []string
}

func among(rnd *rand.Rand, values ...string) string { return values[rnd.IntN(len(values))] }

var keyShapes = []keyShape{
	{"generated", `(id INT, a INT, b VARCHAR(10) COLLATE utf8mb4_general_ci, g INT AS (a % 40), s VARCHAR(20) COLLATE utf8mb4_general_ci AS (CONCAT(b, '-', a % 5)) STORED,
		UNIQUE KEY ug (g), UNIQUE KEY us (s), KEY (b))`, "id, a, b", func(rnd *rand.Rand, id int) []string {
		return []string{fmt.Sprint(id), among(rnd, fmt.Sprint(rnd.IntN(200)), fmt.Sprint(rnd.IntN(200)), `\N`), among(rnd, "a", "A", "b", "c", "ä", "x", `\N`)}
	}},
	{"expression", `(id INT PRIMARY KEY NONCLUSTERED, a INT, b VARCHAR(10) COLLATE utf8mb4_unicode_ci, UNIQUE KEY ue ((a % 30)), UNIQUE KEY ul ((LOWER(b)), (a DIV 50)), KEY ((a + 1)))`,
		"id, a, b", func(rnd *rand.Rand, id int) []string {
			return []string{fmt.Sprint(id), among(rnd, fmt.Sprint(rnd.IntN(200)), fmt.Sprint(rnd.IntN(200)), `\N`), among(rnd, "a", "A", "b", "c", "ss", "ß", `\N`)}
		}},
	{"multi-valued", "(id INT, j JSON, v INT, UNIQUE KEY um ((CAST(j AS UNSIGNED ARRAY))), UNIQUE KEY uv (v, (CAST(j->'$[0]' AS UNSIGNED ARRAY))))", "id, j, v",
		func(rnd *rand.Rand, id int) []string {
			var list []string
			for range rnd.IntN(4) {
				list = append(list, fmt.Sprint(rnd.IntN(60)))
			}
			if len(list) > 2 {
				list[0] = list[1]
			}
			return []string{fmt.Sprint(id), among(rnd, "["+strings.Join(list, ",")+"]", "["+strings.Join(list, ",")+"]", `\N`), fmt.Sprint(rnd.IntN(3))}
		}},
	{"prefix", "(id INT, b VARCHAR(20) COLLATE utf8mb4_general_ci, v VARBINARY(10), t TEXT COLLATE utf8mb4_0900_ai_ci, UNIQUE KEY ub (b(3)), UNIQUE KEY ut (t(2), v(1)))", "id, b, v, t",
		func(rnd *rand.Rand, id int) []string {
			return []string{
				fmt.Sprint(id), among(rnd, "straße", "STRASSE", "äbcd", "ABCX", "日本語文", "日本語", "日", fmt.Sprintf("%03d rest", rnd.IntN(50)), `\N`),
				among(rnd, "a", "A", "ab", "b", "", `\N`), among(rnd, "x", "x ", "ex", "éx", "Exz", "日本語", fmt.Sprint(rnd.IntN(50))),
			}
		}},
	{"global", `(id INT, a INT, b VARCHAR(10) COLLATE utf8mb4_general_ci, g INT AS (a % 40), PRIMARY KEY (id) CLUSTERED, UNIQUE KEY ug (g) GLOBAL, UNIQUE KEY ub (b(2)) GLOBAL, UNIQUE KEY ul (id, b))
		PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (9), PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)`, "id, a, b",
		func(rnd *rand.Rand, id int) []string {
			return []string{fmt.Sprint(id), among(rnd, fmt.Sprint(rnd.IntN(200)), `\N`), among(rnd, fmt.Sprintf("%c%c", 'a'+rnd.IntN(26), 'A'+rnd.IntN(6)), "ä", `\N`)}
		}},
	{"types", `(id INT, d DECIMAL(8,2), f DOUBLE, e ENUM('x','y','z'), s SET('p','q'), b BIT(8), y YEAR, at TIMESTAMP(1) NULL, c CHAR(4) COLLATE utf8mb4_unicode_ci, h VARCHAR(5) COLLATE utf8mb4_bin,
		UNIQUE KEY ud (d), UNIQUE KEY uf (f, e, s, b), UNIQUE KEY uy (y, at, c), UNIQUE KEY uh (h))`, "id, d, f, e, s, b, y, at, c, h",
		func(rnd *rand.Rand, id int) []string {
			return []string{
				fmt.Sprint(id), among(rnd, "1", "1.00", "-0.00", "0", fmt.Sprint(rnd.IntN(500)), fmt.Sprint(rnd.IntN(500)), fmt.Sprint(rnd.IntN(500)), fmt.Sprint(rnd.IntN(500))), among(rnd, "0", "-0.0", "1e2", "100", fmt.Sprint(float64(rnd.IntN(900))/8), fmt.Sprint(float64(rnd.IntN(900))/8)), among(rnd, "x", "y", "2"),
				among(rnd, "p,q", "q,p", "3"), among(rnd, "a", "b"), among(rnd, "2024", "24", "1999", fmt.Sprint(1901+rnd.IntN(250)), fmt.Sprint(1901+rnd.IntN(250))), among(rnd, "2024-01-01 00:00:00.06", "2024-01-01 00:00:00.1", `\N`),
				among(rnd, "a", "A", "a  ", "á"), among(rnd, "a", "a ", "A", fmt.Sprint(rnd.IntN(300)), fmt.Sprint(rnd.IntN(300)), fmt.Sprint(rnd.IntN(300)), `\N`, `\N`),
			}
		}},
}

// clusteredShape is a primary key of many types: rows of the table that have to go
// are deleted by the values that their keys and records show.
var clusteredShape = keyShape{
	"clustered", `(id INT, at TIMESTAMP(1) NOT NULL, c VARCHAR(10) COLLATE utf8mb4_unicode_ci, d DECIMAL(6,2), f FLOAT, e ENUM('x','y'), b BIT(9), y YEAR, v VARBINARY(4), t TIME(2), n BIGINT UNSIGNED,
		PRIMARY KEY (at, c(2), d, f, e, b, y, v, t, n) CLUSTERED, UNIQUE KEY un (n, c), KEY (c))`, "id, at, c, d, f, e, b, y, v, t, n",
	func(rnd *rand.Rand, id int) []string {
		return []string{
			fmt.Sprint(id), among(rnd, "2024-07-01 12:00:00.1", "2024-07-01 12:00:00.06", "2024-01-01 00:00:00"), among(rnd, "straße", "STRASSE", "äx", "ÄY"), among(rnd, "1", "1.00"), among(rnd, "0.1", "1e-1"), "x", "a",
			"24", among(rnd, "ab", "ab", "AB"), among(rnd, "-100:00:00.5", "-100:00:00.50"), among(rnd, "18446744073709551615", "18446744073709551615", fmt.Sprint(rnd.IntN(40))),
		}
	},
}

// TestConflictsOfComputedKeys: unique keys of generated columns, expressions,
// arrays, prefixes and many types, also global ones: with each strategy, within the source
// and against the table's rows, what is left is what TiDB leaves when it takes row by row.
func TestConflictsOfComputedKeys(t *testing.T) {
	t.Parallel()
	for i, shape := range append(keyShapes, clusteredShape) {
		for _, filled := range []bool{false, true} {
			t.Run(fmt.Sprint(shape.name, "/", filled), func(t *testing.T) {
				t.Parallel()
				b := newKeyBench(t, shape, uint64(i), filled)
				alone := b.alone()
				require.NotEmpty(t, alone, "some rows collide with none")
				require.Less(t, len(alone), len(b.rows)*3/4, "and others do")
				b.compare("replace", "REPLACE", b.rows)
				b.compare("ignore", "INSERT IGNORE", b.rows)
				b.compare("capture", "INSERT", alone)
				b.compareError()
			})
		}
	}
}

// keyBench is one shape with its rows.
type keyBench struct {
	*bench
	shape keyShape
	own   [][]string // of the table; they don't collide with each other
	rows  [][]string // of the source
	conn  *sql.Conn  // straight to TiDB
}

func newKeyBench(t *testing.T, shape keyShape, seed uint64, filled bool) *keyBench {
	t.Helper()
	b := &keyBench{bench: newBench(t), shape: shape}
	var err error
	b.conn, err = b.direct.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.conn.Close()) })
	rnd := rand.New(rand.NewPCG(seed, 77))
	b.create("scratch")
	for id := range 40 {
		row := shape.row(rnd, id)
		if filled && id < 12 {
			if b.insert("INSERT IGNORE", "scratch", row) {
				b.own = append(b.own, row)
			}
			continue
		}
		b.rows = append(b.rows, row)
	}
	for part := range 2 {
		var text []string
		for _, row := range b.rows[part*len(b.rows)/2 : (part+1)*len(b.rows)/2] {
			text = append(text, strings.Join(row, ";"))
		}
		b.file(fmt.Sprintf("part.%d.csv", part), lines(text...))
	}
	return b
}

func (b *keyBench) sql(stmt string) {
	b.t.Helper()
	_, err := b.conn.ExecContext(b.t.Context(), stmt)
	require.NoError(b.t, err, stmt)
}

// create makes a table, with the rows that it is to have.
func (b *keyBench) create(name string) {
	b.t.Helper()
	b.sql("CREATE TABLE " + name + " " + b.shape.ddl)
	for _, row := range b.own {
		require.True(b.t, b.insert("INSERT", name, row))
	}
}

func (b *keyBench) insertRow(verb, table string, row []string) (sql.Result, error) {
	cells := make([]string, len(row))
	for i, c := range row {
		if cells[i] = "'" + c + "'"; c == `\N` {
			cells[i] = "NULL"
		}
	}
	return b.conn.ExecContext(b.t.Context(), fmt.Sprintf("%s INTO %s (%s) VALUES (%s)", verb, table, b.shape.columns, strings.Join(cells, ", ")))
}

// insert reports whether TiDB has taken the row.
func (b *keyBench) insert(verb, table string, row []string) bool {
	b.t.Helper()
	res, err := b.insertRow(verb, table, row)
	require.NoError(b.t, err, row)
	n, err := res.RowsAffected()
	require.NoError(b.t, err)
	return n > 0
}

// alone returns the rows of the source that share no key with any other row,
// which TiDB says by taking both.
func (b *keyBench) alone() (alone [][]string) {
	b.t.Helper()
	all := append(append([][]string{}, b.own...), b.rows...)
	collides := make([]bool, len(all))
	b.sql("CREATE TABLE pairs " + b.shape.ddl)
	for i := range all {
		b.sql("BEGIN")
		require.True(b.t, b.insert("INSERT", "pairs", all[i]))
		for j := i + 1; j < len(all); j++ {
			b.sql("SAVEPOINT one")
			if !b.insert("INSERT IGNORE", "pairs", all[j]) {
				collides[i], collides[j] = true, true
			}
			b.sql("ROLLBACK TO one")
		}
		b.sql("ROLLBACK")
	}
	for i, row := range b.rows {
		if !collides[len(b.own)+i] {
			alone = append(alone, row)
		}
	}
	return alone
}

func (b *keyBench) statement(table, strategy string) string {
	stmt := fmt.Sprintf("IMPORT INTO %s (%s) FROM '%s' WITH fields_terminated_by=';', fields_enclosed_by='', on_duplicate='%s'",
		table, b.shape.columns, filepath.Join(b.dir, "part.*.csv"), strategy)
	if len(b.own) > 0 {
		stmt += ", allow_non_empty"
	}
	return stmt
}

// compare imports with a strategy and has TiDB take the rows one by one.
func (b *keyBench) compare(strategy, verb string, judged [][]string) {
	b.t.Helper()
	table, judge := strategy+"_t", strategy+"_judge"
	b.create(table)
	b.create(judge)
	for _, row := range judged {
		b.insert(verb, judge, row)
	}
	job := b.mustImport(b.statement(table, strategy))
	require.Equal(b.t, b.query("SELECT * FROM "+judge+" ORDER BY id"), b.query("SELECT * FROM "+table+" ORDER BY id"), strategy)
	kept := b.query(fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE id >= %s", judge, b.rows[0][0]))
	require.Equal(b.t, kept[0][0], job["Imported_Rows"])
	_, err := b.direct.ExecContext(context.WithoutCancel(b.t.Context()), "ADMIN CHECK TABLE "+table)
	require.NoError(b.t, err)
	if len(b.own) == 0 {
		b.consistent(table)
	}
}

// compareError: the row that INSERT refuses first is the one that is named.
func (b *keyBench) compareError() {
	b.t.Helper()
	b.create("error_t")
	b.create("error_judge")
	refused := -1
	for i, row := range b.rows {
		if _, err := b.insertRow("INSERT", "error_judge", row); err != nil {
			require.EqualValues(b.t, 1062, mysqlCode(err), err)
			refused = i
			break
		}
	}
	part, line := 0, refused+1
	if half := len(b.rows) / 2; refused >= half {
		part, line = 1, refused-half+1
	}
	b.fails(b.statement("error_t", "error"), 1062, "Duplicate entry", "for key 'error_t.", fmt.Sprintf("part.%d.csv, line %d, ", part, line))
	require.Equal(b.t, fmt.Sprint(len(b.own)), b.count("error_t"))
}

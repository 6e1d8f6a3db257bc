package imports_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fillerRows are rows without a fault, so many that the sorter meets keys long before the last one.
func fillerRows(first, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%d,%s", first+i, strings.Repeat("x", 230))
	}
	return out
}

// TestBadRowsComeBeforeDuplicates: with on_duplicate = error a source with both
// fails with its bad rows, wherever they stand and whatever the number of workers; those
// that are allowed are recorded, all of them, and then the first duplicate is named.
func TestBadRowsComeBeforeDuplicates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR(250))")
	source := append([]string{"1,first", "1,second"}, fillerRows(10, 12_000)...)
	source = append(source, "2,third", "bad,x", "worse,y", "2,fourth")
	path := b.file("both.csv", lines(source...))
	last := len(source)
	for _, threads := range []int{1, 4} {
		for _, filled := range []bool{false, true} {
			with := fmt.Sprintf(" WITH thread=%d", threads)
			if filled {
				b.exec("TRUNCATE TABLE t", "INSERT INTO t VALUES (100000, 'own')")
				with += ", allow_non_empty"
			}
			stmt := fmt.Sprintf("IMPORT INTO t FROM '%s'%s", path, with)
			b.fails(stmt, 1366, `"bad"`, fmt.Sprintf("line %d,", last-2))
			b.fails(stmt+", max_errors=1", 1366, "more than 1 rows can't be imported", `"bad"`, fmt.Sprintf("line %d,", last-2))
			b.requireRecorded(last-2, last-1)
			b.fails(stmt+", max_errors=2", 1062, "Duplicate entry '1' for key 't.PRIMARY'", "line 2,")
			b.requireRecorded(last-2, last-1)
		}
		b.exec("TRUNCATE TABLE t")
	}
}

// requireRecorded: the last job on table t has recorded rows of these lines.
func (b *bench) requireRecorded(lines ...int) {
	b.t.Helper()
	job := b.lastJob("t")
	require.Equal(b.t, "failed", job["status"])
	require.Equal(b.t, strconv.Itoa(len(lines)), job["error_rows"])
	var want [][]string
	for _, line := range lines {
		want = append(want, []string{"type", strconv.Itoa(line)})
	}
	require.Equal(b.t, want, b.query("SELECT class, line FROM sluice.job_errors WHERE job_id = ? ORDER BY seq", job["id"]))
}

// TestDrawnValuesBesideConflicts: values of sequences, UUID() and RAND(), as
// defaults and in SET, are drawn once for each row, in the order of the rows. What is left is
// whole whichever rows are left out: TiDB's checksum and its indexes say so.
func TestDrawnValuesBesideConflicts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const n, values = 6_000, 5_000 // k of the last rows is that of the first ones
	var source []string
	for i := range n {
		source = append(source, fmt.Sprintf("%d,%d,%s", i%values, i+1, strings.Repeat("p", 250)))
	}
	path := b.file("drawn.csv", lines(source...))
	for i, key := range []string{"PRIMARY KEY (s) CLUSTERED", "PRIMARY KEY (id) CLUSTERED", "PRIMARY KEY (x) NONCLUSTERED", "KEY (s)"} {
		for strategy, rows := range map[string]string{"replace": "BETWEEN 1001 AND 6000", "ignore": "BETWEEN 1 AND 5000", "capture": "BETWEEN 1001 AND 5000"} {
			table := fmt.Sprintf("%s_%d", strategy, i)
			b.exec("CREATE SEQUENCE seq_"+table, fmt.Sprintf(`CREATE TABLE %s (k INT, v INT, p VARCHAR(250), s BIGINT DEFAULT NEXTVAL(seq_%s), id VARCHAR(36) DEFAULT (UUID()), r DOUBLE DEFAULT (RAND()),
					at DATETIME(6) DEFAULT NOW(6), x VARCHAR(40), y DOUBLE, g VARCHAR(80) AS (CONCAT(x, s)) STORED, %s, UNIQUE KEY uk (k), UNIQUE KEY us (s), UNIQUE KEY uid (id), UNIQUE KEY ug (g), KEY (r, at), KEY (y))`, table, table, key))
			job := b.mustImport(fmt.Sprintf("IMPORT INTO %s (@k, v, p) SET k = @k, x = UUID(), y = RAND() FROM '%s' WITH thread=%d, on_duplicate='%s'", table, path, 1+i, strategy))
			b.consistent(table)
			kept := b.query("SELECT COUNT(*) FROM " + table)[0][0]
			require.Equal(t, kept, job["Imported_Rows"])
			require.Equal(t, [][]string{{kept, kept, kept, "1", "1", kept, kept, "1"}}, b.query(fmt.Sprintf(`SELECT COUNT(DISTINCT v), COUNT(DISTINCT id), COUNT(DISTINCT x), COUNT(DISTINCT r) > COUNT(*) * 0.9, COUNT(DISTINCT y) > COUNT(*) * 0.9,
					SUM(v = s AND g = CONCAT(x, s) AND k = (v - 1) MOD %d AND LENGTH(p) = 250), SUM(v %s), COUNT(DISTINCT at) FROM %s`, values, rows, table)), table)
		}
	}
}

// TestDuplicatesOfDrawnValues: with on_duplicate = error the source is read
// again for the places of two rows. Keys with values that are drawn anew then are not taken
// for those of the first time: only what is true of both is said.
func TestDuplicatesOfDrawnValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (k INT, r INT, id VARCHAR(36) DEFAULT (UUID()), g INT AS (r + 1), UNIQUE KEY uk (k), UNIQUE KEY ur (g), UNIQUE KEY (id))")
	var distinct []string
	for i := range 300 {
		distinct = append(distinct, fmt.Sprint(i))
	}
	path := b.file("distinct.csv", lines(distinct...))
	stmt := "IMPORT INTO t (k) SET r = FLOOR(RAND() * 100) FROM '%s' WITH thread=2"
	told := b.fails(fmt.Sprintf(stmt, path), 1062, "Duplicate entry '", "for key 't.ur'", "drawn anew")
	require.NotContains(t, told.Message, "line")
	// A duplicate that is there each time is found among them, and is the one that is named.
	path = b.file("same.csv", lines(append(distinct, "7")...))
	b.fails(fmt.Sprintf(stmt, path), 1062, "Duplicate entry '7' for key 't.uk'", "line 8, ", "line 301, ")
	require.Equal(t, "0", b.count("t"))
}

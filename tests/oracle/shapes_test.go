package oracle_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
)

func row(vs ...any) []value {
	var out []value
	for _, v := range vs {
		if v == nil {
			out = append(out, nil)
		} else {
			out = append(out, text(fmt.Sprint(v)))
		}
	}
	return out
}

// TestDemoTable is the table of the demo.
func TestDemoTable(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "UTC")
	var rows [][]value
	for i := range 500 {
		id := (i*7919)%500 + 1
		rows = append(rows, row(id, fmt.Sprintf("user-%06d", i), fmt.Sprintf("%d.%02d", i*37, i%100),
			fmt.Sprintf("2024-%02d-%02d %02d:%02d:%02d", i%12+1, i%28+1, i%24, i%60, (i*7)%60), i%37, strings.Repeat("lorem ipsum ", i%10+3)))
	}
	j.run(t, shape{name: "demo", rows: rows, together: true, ddl: `(id BIGINT PRIMARY KEY, name VARCHAR(64) NOT NULL, amount DECIMAL(12,2),
		created DATETIME, category INT, note TEXT, UNIQUE KEY uk_name (name), KEY k_category (category))`})
	require.Equal(t, 500, j.inserted)
}

// TestWideTable has more columns than one byte numbers, so that records and
// restored data switch between narrow and wide ids from row to row.
func TestWideTable(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "UTC")
	var columns, names []string
	for i := range 300 {
		columns = append(columns, fmt.Sprintf("c%d VARCHAR(20)", i))
		names = append(names, fmt.Sprintf("c%d", i))
	}
	ddl := "(id INT PRIMARY KEY, " + strings.Join(columns, ", ") + ", KEY k1 (c1, c299), KEY k2 (c0))"
	full, short := []value{text("1")}, []value{text("2")}
	empty := make([]value, 301)
	empty[0] = text("3")
	for i := range 300 {
		full = append(full, text(fmt.Sprint("v", i)))
		if i < 200 {
			short = append(short, text("x"))
		} else {
			short = append(short, nil)
		}
	}
	j.run(t, shape{name: "wide", ddl: ddl, columns: append([]string{"id"}, names...), rows: [][]value{full, short, empty}})
	require.Equal(t, 3, j.inserted)
}

// TestLongRows crosses the length from which offsets take four bytes.
func TestLongRows(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "UTC")
	var rows [][]value
	for i, n := range []int{0, 65534, 65535, 65536, 65537, 200000} {
		rows = append(rows, row(i, strings.Repeat("a", n), "tail"))
	}
	j.run(t, shape{name: "longs", ddl: "(id INT PRIMARY KEY, a LONGTEXT, b VARCHAR(10), KEY k (b))", rows: rows})
	require.Equal(t, 6, j.inserted)
}

// TestDefaults leaves columns without field to their defaults.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{strictMode, ""} {
		j := newJudge(t, mode, "Asia/Shanghai")
		j.run(t, shape{name: "defaults", columns: []string{"id", "given"}, rows: [][]value{row(1, "x"), row(2, nil)}, ddl: `(id INT PRIMARY KEY,
			given VARCHAR(10) DEFAULT 'unused', a INT DEFAULT 5, b VARCHAR(10) DEFAULT 'abc  ', c CHAR(5) NOT NULL DEFAULT 'x', d DECIMAL(10,3) DEFAULT '1.5',
			e DATETIME DEFAULT '2020-01-01 10:11:12', f TIMESTAMP DEFAULT '2020-01-01 10:11:12', g ENUM('a','b') NOT NULL DEFAULT 'b', h SET('a','b') DEFAULT 'a,b',
			i BIT(12) DEFAULT b'101', j DOUBLE DEFAULT 1.25, k TIME DEFAULT '01:02:03', l YEAR DEFAULT 2020, m BINARY(4) DEFAULT 'ab', n INT, o ENUM('p','q') NOT NULL,
			p BIGINT UNSIGNED DEFAULT 18446744073709551615, q BLOB, r DATE DEFAULT '2024-02-29', s VARCHAR(5) COLLATE utf8mb4_general_ci DEFAULT 'É ',
			KEY (a), KEY (b), KEY (f), KEY (s), KEY (i), KEY (n))`})
		require.Equal(t, 2, j.inserted)
	}
}

// TestDefaultsUnderLaxMode are columns that have no default at all.
func TestDefaultsUnderLaxMode(t *testing.T) {
	t.Parallel()
	j := newJudge(t, "", "UTC")
	ddl := `(id INT PRIMARY KEY, a INT NOT NULL, b VARCHAR(5) NOT NULL, c DATETIME NOT NULL, d DECIMAL(5,2) NOT NULL, e BINARY(3) NOT NULL, f JSON NOT NULL,
		g ENUM('x','y') NOT NULL, h SET('x','y') NOT NULL, i BIT(3) NOT NULL, j DOUBLE NOT NULL, k TIME NOT NULL, l YEAR NOT NULL, m TIMESTAMP NOT NULL, n DATE NOT NULL,
		o TEXT NOT NULL, KEY (a), KEY (b), KEY (c), KEY (d), KEY (e), KEY (g))`
	j.run(t, shape{name: "nodefault", columns: []string{"id"}, rows: [][]value{row(1)}, ddl: ddl})

	strict := newJudge(t, strictMode, "UTC")
	strict.exec(t, "CREATE TABLE nodefault "+ddl)
	_, err := encode.Compile(strict.config(t, "nodefault", []string{"id"}))
	require.Equal(t, 1364, int(fault.As(err).Code))
	require.Equal(t, 1364, code(strict.insert(t.Context(), shape{name: "nodefault", columns: []string{"id"}}, row(1))))
}

// TestNullUnderLaxMode stores zero for NULL in NOT NULL columns, as INSERTs of several rows do.
func TestNullUnderLaxMode(t *testing.T) {
	t.Parallel()
	j := newJudge(t, "", "UTC")
	null := []value{text("1")}
	for range 14 {
		null = append(null, nil)
	}
	other := append([]value{text("2")}, null[1:]...)
	j.run(t, shape{name: "nulls", together: true, rows: [][]value{null, other}, ddl: `(id INT PRIMARY KEY, a INT NOT NULL, b VARCHAR(5) NOT NULL, c DATETIME NOT NULL,
		d DECIMAL(5,2) NOT NULL, e BINARY(3) NOT NULL, f JSON NOT NULL, g ENUM('x','y') NOT NULL, h SET('x','y') NOT NULL, i BIT(3) NOT NULL, j DOUBLE NOT NULL,
		k TIME NOT NULL, l YEAR NOT NULL, m TIMESTAMP NOT NULL, n DATE NOT NULL, KEY (a), KEY (b), KEY (c), KEY (g))`})
	require.Equal(t, 2, j.inserted)
}

// TestCurrentTimestamp gives all rows of a job one time: the job's.
func TestCurrentTimestamp(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "America/New_York")
	ddl := `(id INT PRIMARY KEY, a DATETIME DEFAULT CURRENT_TIMESTAMP, b TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3), c DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))`
	j.exec(t, "CREATE TABLE stamps "+ddl)
	cfg := j.config(t, "stamps", []string{"id"})
	cfg.Now = time.Date(2024, 7, 8, 9, 10, 11, 987654321, time.UTC)
	plan, err := encode.Compile(cfg)
	require.NoError(t, err)
	j.exec(t, "SET timestamp = "+fmt.Sprintf("%.9f", 1720429811.987654321))
	rows := [][]value{row(1), row(2)}
	require.NoError(t, j.insert(t.Context(), shape{name: "stamps", columns: []string{"id"}}, rows...))
	j.compare(t, shape{ddl: ddl}, plan, []stored{{row: rows[0]}, {row: rows[1]}})
}

// TestAutoIncrement takes ids from the row id where a row has none.
func TestAutoIncrement(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "UTC")
	rows := [][]value{row(nil, "a"), row("0", "b"), row("1000000", "c"), row(nil, "d"), row("-5", "e")}
	j.run(t, shape{name: "inc1", ddl: "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(5), KEY (v))", rows: rows, idQuery: "SELECT id FROM inc1 ORDER BY v"})
	j.run(t, shape{name: "inc2", ddl: "(id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, v VARCHAR(5))", columns: []string{"v"}, rows: [][]value{row("a"), row("b")}, idQuery: "SELECT id FROM inc2 ORDER BY v"})
	j.run(t, shape{name: "inc3", ddl: "(id BIGINT AUTO_INCREMENT, v VARCHAR(5), KEY (id)) AUTO_ID_CACHE 1", columns: []string{"id", "v"}, rows: [][]value{row("5", "a"), row("6", "b")}, idQuery: "SELECT _tidb_rowid FROM inc3 ORDER BY v"})
	keep := newJudge(t, strictMode+",NO_AUTO_VALUE_ON_ZERO", "UTC")
	keep.run(t, shape{name: "inc4", ddl: "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(5))", rows: [][]value{row("0", "a"), row("7", "b")}, idQuery: "SELECT id FROM inc4 ORDER BY v"})
	require.Equal(t, 9, j.inserted)
}

// TestAutoRandomExplicit stores given values as they are.
func TestAutoRandomExplicit(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "UTC")
	j.run(t, shape{name: "rnd", ddl: "(id BIGINT PRIMARY KEY AUTO_RANDOM(5), v VARCHAR(5))", rows: [][]value{row("5", "a"), row("288230376151711749", "b")}})
	j.run(t, shape{name: "rnd2", ddl: "(id BIGINT AUTO_RANDOM(5), v VARCHAR(5), PRIMARY KEY (id, v), KEY (v))", rows: [][]value{row("5", "a"), row("288230376151711749", "b")}})
	require.Equal(t, 4, j.inserted)
}

// TestShardBits checks that ids which Sluice shards itself are ids that TiDB
// could have drawn: distinct, positive, with the row id in the low bits.
func TestShardBits(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "UTC")
	j.exec(t, "CREATE TABLE s1 (v INT) SHARD_ROW_ID_BITS = 4")
	j.exec(t, "CREATE TABLE s2 (id BIGINT PRIMARY KEY AUTO_RANDOM(5, 54), v INT)")
	j.exec(t, "CREATE TABLE s3 (id BIGINT UNSIGNED PRIMARY KEY AUTO_RANDOM(6), v INT)")
	j.exec(t, "CREATE TABLE s4 (id BIGINT AUTO_RANDOM(3), v INT, PRIMARY KEY (id, v))")
	for name, low := range map[string]uint64{"s1": 64 - 1 - 4, "s2": 54 - 1 - 5, "s3": 64 - 6, "s4": 64 - 1 - 3} {
		plan, err := encode.Compile(j.config(t, name, []string{"v"}))
		require.NoError(t, err)
		enc, arena := plan.NewEncoder(), kv.NewArena(1<<16, 10)
		shards := map[uint64]bool{}
		for id := int64(1); id <= 1000; id++ {
			arena.Reset()
			require.NoError(t, enc.EncodeRow(fields(row(7)), id, arena))
			key := arena.Key(arena.Refs[0])
			var handle uint64
			at := len(plan.SharedPrefix()) + 1
			if name == "s4" {
				at++ // the flag of the handle's first column
			}
			for _, b := range key[at : at+8] {
				handle = handle<<8 | uint64(b)
			}
			handle ^= 1 << 63
			require.Equal(t, uint64(id), handle&(1<<low-1), name)
			shards[handle>>low] = true
		}
		bits := map[string]int{"s1": 4, "s2": 5, "s3": 6, "s4": 3}[name]
		require.Len(t, shards, 1<<bits, "%s: shards used", name)
		if name == "s1" {
			require.EqualValues(t, 1000, enc.MaxIDs().RowID)
		} else {
			require.EqualValues(t, 1000, enc.MaxIDs().AutoRandom)
		}
	}
}

// TestAlteredTable has dropped, added, reordered and widened columns.
func TestAlteredTable(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "UTC")
	j.exec(t, "CREATE TABLE alt (id INT PRIMARY KEY, gone INT, a VARCHAR(10), b INT, KEY ka (a), KEY kb (b))")
	for _, sql := range []string{"DROP COLUMN gone", "ADD COLUMN c INT DEFAULT 9 FIRST", "ADD COLUMN d VARCHAR(5) NOT NULL DEFAULT 'q' AFTER id",
		"MODIFY COLUMN a VARCHAR(5)", "MODIFY COLUMN b VARCHAR(12)", "DROP INDEX kb", "ADD INDEX kd (d, b)", "ADD UNIQUE INDEX uc (c, id)", "ADD COLUMN e INT"} {
		j.exec(t, "ALTER TABLE alt "+sql)
	}
	plan, err := encode.Compile(j.config(t, "alt", nil))
	require.NoError(t, err)
	rows := [][]value{row(1, 2, "x", "abc", "12", nil), row(nil, 3, "y ", "ABC", nil, 4), row(9, 4, "", nil, "z", nil)}
	s := shape{name: "alt"}
	require.NoError(t, j.insert(t.Context(), s, rows...))
	j.compare(t, s, plan, []stored{{row: rows[0]}, {row: rows[1]}, {row: rows[2]}})
}

// TestCompositeClustered is a clustered key of several types and collations with indexes that share its columns.
func TestCompositeClustered(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "Asia/Tokyo")
	var rows [][]value
	for i := range 60 {
		rows = append(rows, row([]string{"Ab", "ab ", "äB", "x  "}[i%4], fmt.Sprint(i, ".5"), fmt.Sprintf("2024-01-%02d 10:00:00", i%28+1), i, strings.Repeat("é", i%9)+"  ", strings.Repeat("b", i%12)))
	}
	j.run(t, shape{name: "comp", rows: rows, ddl: `(a VARCHAR(10) COLLATE utf8mb4_0900_ai_ci, b DECIMAL(10,2), c TIMESTAMP, d INT, e VARCHAR(20) COLLATE utf8mb4_bin, f CHAR(20) COLLATE utf8mb4_unicode_ci,
		PRIMARY KEY (a, b, e(4), c) CLUSTERED, KEY k1 (a), KEY k2 (e), KEY k3 (e(2), f), UNIQUE KEY k4 (d, a), KEY k5 (f(3), a(2)), UNIQUE KEY k6 (e(6), d), KEY k7 (c, b))`})
	require.Greater(t, j.inserted, 50)
}

// TestRefusedTables names what can't be encoded.
func TestRefusedTables(t *testing.T) {
	t.Parallel()
	j := newJudge(t, strictMode, "UTC")
	j.exec(t, "CREATE VIEW vw AS SELECT 1 AS a")
	require.ErrorContains(t, loadTarget(t, j.status, j.db, "vw").CheckEncodable(), "is not BASE TABLE")
	j.exec(t, "CREATE TABLE ok (a INT, t DATETIME, v VECTOR(3)) TTL = t + INTERVAL 1 DAY")
	require.NoError(t, loadTarget(t, j.status, j.db, "ok").CheckEncodable())
	j.exec(t, "CREATE TABLE expr (a INT, b VARCHAR(40) DEFAULT (UUID()))")
	_, err := encode.Compile(j.config(t, "expr", []string{"a"}))
	require.NoError(t, err)
}

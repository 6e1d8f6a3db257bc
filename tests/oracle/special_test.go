package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"
)

// cell makes the i-th value of a column.
type cell func(r *rand.Rand, i int) value

// number counts the rows.
func number(_ *rand.Rand, i int) value { return text(fmt.Sprint(i)) }

// null is NULL in each row.
func null(*rand.Rand, int) value { return nil }

// always is a value in each row, maybe is NULL in a sixth of them.
func always(random random) cell {
	return func(r *rand.Rand, _ int) value { return text(random(r)) }
}

func maybe(random random) cell {
	return func(r *rand.Rand, _ int) value {
		if r.IntN(6) == 0 {
			return nil
		}
		return text(random(r))
	}
}

// small is a number from -n to n: many rows share one.
func small(n int) random {
	return func(r *rand.Rand) string { return fmt.Sprint(r.IntN(2*n+1) - n) }
}

// one is one of the texts.
func one(texts ...string) random {
	return func(r *rand.Rand) string { return texts[r.IntN(len(texts))] }
}

// distinct is a text that no other row has.
func distinct(random random) cell {
	return func(r *rand.Rand, i int) value { return text(fmt.Sprint(i, random(r))) }
}

// rowsOf makes rows column by column; the first few are offered one by one.
func rowsOf(cells ...cell) func(*rand.Rand, int) (edges, many [][]value) {
	return func(r *rand.Rand, bulk int) (edges, many [][]value) {
		var rows [][]value
		for i := range bulk + 10 {
			row := make([]value, len(cells))
			for k, c := range cells {
				row[k] = c(r, i+1)
			}
			rows = append(rows, row)
		}
		return rows[:10], rows[10:]
	}
}

// after puts rows in front of those that rows makes.
func after(first [][]value, rows func(*rand.Rand, int) (edges, many [][]value)) func(*rand.Rand, int) (edges, many [][]value) {
	return func(r *rand.Rand, bulk int) ([][]value, [][]value) {
		edges, many := rows(r, bulk)
		return append(append([][]value(nil), first...), edges...), many
	}
}

const create = "CREATE TABLE {t} "

var (
	anyText   = str(8, allLetters)
	plainText = str(12, plainLetters)
	rowID     = []string{"_tidb_rowid"}
	idText    = rowsOf(number, maybe(anyText))
)

// specials are the tables that are special as a whole.
func specials() []twin {
	var out []twin
	for _, group := range [][]twin{idTables(), defaultTables(), generatedTables(), checkTables(), indexTables(), multiValuedTables(),
		partitionTables(), globalTables(), alteredTables(), otherTables(), mappingTables(), randomTables()} {
		out = append(out, group...)
	}
	for i := range out {
		s := &out[i]
		if s.sqlMode == "" && s.zone == "" {
			s.sqlMode = parsermysql.DefaultSQLMode
		}
		if s.order == "" {
			s.order = "id"
		}
	}
	return out
}

// idTables are the ways in which rows get their ids.
func idTables() []twin {
	numbered := func(name, ddl string, ordinal ...string) twin {
		return twin{name: "ids_" + name, ddl: []string{create + ddl}, columns: []string{"v", "n"}, ordinal: ordinal,
			rows: rowsOf(maybe(anyText), number), order: "n"}
	}
	drawn := func(name, ddl, from string) twin {
		return twin{name: "ids_" + name, ddl: []string{create + ddl}, columns: []string{"v", "n"}, fromTwin: []string{from},
			rows: rowsOf(maybe(anyText), number), order: "n"}
	}
	return []twin{
		numbered("inc", "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), n INT, KEY (v))", "id"),
		numbered("inc_unsigned", "(id INT UNSIGNED AUTO_INCREMENT, v VARCHAR(20), n INT, PRIMARY KEY (id) CLUSTERED, UNIQUE KEY (n))", "id"),
		numbered("inc_tiny", "(n INT, v VARCHAR(20), id SMALLINT PRIMARY KEY AUTO_INCREMENT)", "id"),
		numbered("inc_start", "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), n INT, KEY (v)) AUTO_INCREMENT = 5000", "id"),
		numbered("inc_cache1", "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), n INT, KEY (v)) AUTO_ID_CACHE 1", "id"),
		numbered("inc_cache100", "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), n INT, KEY (v)) AUTO_ID_CACHE 100", "id"),
		numbered("inc_nonclustered", "(id BIGINT PRIMARY KEY NONCLUSTERED AUTO_INCREMENT, v VARCHAR(20), n INT, KEY (v))", "id", "_tidb_rowid"),
		numbered("inc_key", "(id BIGINT AUTO_INCREMENT, v VARCHAR(20), n INT, KEY (id), KEY (v))", "id", "_tidb_rowid"),
		numbered("inc_key_cache1", "(id BIGINT AUTO_INCREMENT, v VARCHAR(20), n INT, UNIQUE KEY (id), KEY (v)) AUTO_ID_CACHE 1", "id", "_tidb_rowid"),
		numbered("inc_clustered_second", "(id BIGINT AUTO_INCREMENT, v VARCHAR(20), n INT, PRIMARY KEY (n, id) CLUSTERED, KEY (id))", "id"),
		numbered("rowid", "(v VARCHAR(20), n INT, KEY (v), UNIQUE KEY (n))", "_tidb_rowid"),
		{name: "ids_inc_given", ddl: []string{create + "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), KEY (v))"},
			rows: after([][]value{row(-5, "a"), row("9223372036854775806", "b"), row("9999999", nil)}, idText)},
		{name: "ids_inc_given_unsigned", ddl: []string{create + "(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), KEY (v))"},
			rows: after([][]value{row("9223372036854775808", "b"), row("18446744073709551614", "c")}, idText)},
		{name: "ids_inc_zero", sqlMode: parsermysql.DefaultSQLMode + ",NO_AUTO_VALUE_ON_ZERO", ddl: []string{create + "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))"},
			rows: after([][]value{row(0, "zero")}, idText)},
		{name: "ids_bigint_edges", ddl: []string{create + "(id BIGINT PRIMARY KEY, v VARCHAR(20), KEY (v))"},
			rows: after([][]value{row("-9223372036854775808", "b"), row("9223372036854775807", "c"), row("0", "z")}, idText)},
		{name: "ids_unsigned_edges", ddl: []string{create + "(id BIGINT UNSIGNED PRIMARY KEY, v VARCHAR(20), KEY (v))"},
			rows: after([][]value{row("18446744073709551615", "b"), row("9223372036854775808", "c"), row("0", "z")}, idText)},
		drawn("random5", "(id BIGINT PRIMARY KEY AUTO_RANDOM(5), v VARCHAR(20), n INT, KEY (v))", "id"),
		drawn("random3_54", "(id BIGINT PRIMARY KEY AUTO_RANDOM(3, 54), v VARCHAR(20), n INT, KEY (v))", "id"),
		drawn("random15_unsigned", "(id BIGINT UNSIGNED PRIMARY KEY AUTO_RANDOM(15), v VARCHAR(20), n INT, KEY (v))", "id"),
		drawn("random_composite", "(id BIGINT AUTO_RANDOM(4), v VARCHAR(20) DEFAULT 'x', n INT, PRIMARY KEY (id, n) CLUSTERED, KEY (v))", "id"),
		drawn("random_presplit", "(id BIGINT PRIMARY KEY AUTO_RANDOM(5), v VARCHAR(20), n INT, KEY (v)) PRE_SPLIT_REGIONS = 2", "id"),
		{name: "ids_random_given", ddl: []string{create + "(id BIGINT PRIMARY KEY AUTO_RANDOM(5), v VARCHAR(20))"},
			rows: after([][]value{row("288230376151711749", "b"), row("576460752303423500", "c")}, idText)},
		drawn("shard4", "(v VARCHAR(20), n INT, KEY (v)) SHARD_ROW_ID_BITS = 4", "_tidb_rowid"),
		drawn("shard4_presplit", "(v VARCHAR(20), n INT, KEY (v)) SHARD_ROW_ID_BITS = 4 PRE_SPLIT_REGIONS = 2", "_tidb_rowid"),
		drawn("shard15", "(v VARCHAR(20), n INT, PRIMARY KEY (n) NONCLUSTERED) SHARD_ROW_ID_BITS = 15", "_tidb_rowid"),
		{name: "ids_sequence", ddl: []string{"CREATE SEQUENCE {t}_q", create + "(id BIGINT PRIMARY KEY, v VARCHAR(20), q BIGINT DEFAULT (NEXT VALUE FOR {t}_q), KEY (q))"},
			columns: []string{"id", "v"}, fromTwin: []string{"q"}, rows: idText},
		{name: "ids_sequence_steps", ddl: []string{"CREATE SEQUENCE {t}_q START 1000 INCREMENT -7 MINVALUE -100000 MAXVALUE 1000 CACHE 5", create + "(n INT, q INT DEFAULT NEXTVAL({t}_q), v VARCHAR(20), PRIMARY KEY (q) CLUSTERED)"},
			columns: []string{"n", "v"}, fromTwin: []string{"q"}, rows: idText, order: "n"},
		{name: "ids_sequence_given", ddl: []string{"CREATE SEQUENCE {t}_q", create + "(id BIGINT DEFAULT (NEXT VALUE FOR {t}_q), v VARCHAR(20), PRIMARY KEY (id))"}, rows: idText},
	}
}

// defaultTables are columns without field.
func defaultTables() []twin {
	constants := `(id INT PRIMARY KEY, given VARCHAR(10) DEFAULT 'unused', a INT DEFAULT 5, b VARCHAR(10) DEFAULT 'abc  ', c CHAR(5) NOT NULL DEFAULT 'x', d DECIMAL(10,3) DEFAULT '1.5',
		e DATETIME DEFAULT '2020-01-01 10:11:12', f TIMESTAMP DEFAULT '2020-01-01 10:11:12', g ENUM('a','b') NOT NULL DEFAULT 'b', h SET('a','b') DEFAULT 'a,b',
		i BIT(12) DEFAULT b'101', j DOUBLE DEFAULT 1.25, k TIME DEFAULT '01:02:03', l YEAR DEFAULT 2020, m BINARY(4) DEFAULT 'ab', n INT, o ENUM('p','q') NOT NULL,
		p BIGINT UNSIGNED DEFAULT 18446744073709551615, q BLOB, r DATE DEFAULT '2024-02-29', s VARCHAR(5) COLLATE utf8mb4_general_ci DEFAULT 'É ',
		KEY (a), KEY (b), KEY (f), KEY (s), KEY (i), KEY (n))`
	none := `(id INT PRIMARY KEY, a INT NOT NULL, b VARCHAR(5) NOT NULL, c DATETIME NOT NULL, d DECIMAL(5,2) NOT NULL, e BINARY(3) NOT NULL, f JSON NOT NULL,
		g ENUM('x','y') NOT NULL, h SET('x','y') NOT NULL, i BIT(3) NOT NULL, j DOUBLE NOT NULL, k TIME NOT NULL, l YEAR NOT NULL, m TIMESTAMP NOT NULL, n DATE NOT NULL,
		o TEXT NOT NULL, KEY (a), KEY (b), KEY (c), KEY (d), KEY (e), KEY (g))`
	nulls := []cell{number}
	for range 15 {
		nulls = append(nulls, null)
	}
	out := []twin{
		{name: "def_constants", ddl: []string{create + constants}, columns: []string{"id", "given"}, rows: idText, sqlMode: parsermysql.DefaultSQLMode, zone: "Asia/Shanghai"},
		{name: "def_constants_lax", ddl: []string{create + constants}, columns: []string{"given", "id"}, rows: rowsOf(maybe(anyText), number), zone: "America/New_York"},
		{name: "def_none_lax", ddl: []string{create + none}, columns: []string{"id"}, rows: rowsOf(number), zone: "UTC"},
		{name: "def_nulls_lax", ddl: []string{create + none}, rows: rowsOf(nulls...), zone: "Asia/Tokyo"},
		{name: "def_nulls_strict", ddl: []string{create + none}, rows: after([][]value{append([]value{text("9000")}, make([]value, 15)...)},
			rowsOf(number, always(small(9)), always(one("a", "b")), always(datetime), always(decimal(5, 2, false)), always(anyBytes(3)), always(document),
				always(enum("x", "y")), always(set("x", "y")), always(bit(3)), always(float(9, -1, false)), always(duration), always(year), always(timestamp), always(date), always(anyText)))},
	}
	for i, d := range []struct{ name, column string }{
		{"now", "DATETIME DEFAULT CURRENT_TIMESTAMP"}, {"now_ts3", "TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3)"},
		{"now_update", "DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"}, {"now_ts_update", "TIMESTAMP NOT NULL DEFAULT NOW() ON UPDATE NOW()"},
		{"current_date", "DATE DEFAULT (CURRENT_DATE)"}, {"uuid", "VARCHAR(40) DEFAULT (UUID())"}, {"uuid_bin", "BINARY(16) DEFAULT (UUID_TO_BIN(UUID()))"},
		{"rand", "DOUBLE DEFAULT (RAND())"}, {"uuid_upper", "VARCHAR(40) DEFAULT (REPLACE(UPPER(UUID()), '-', ''))"}, {"user", "VARCHAR(40) DEFAULT (UPPER(SUBSTRING_INDEX(USER(), '@', 1)))"},
		{"date_format", "VARCHAR(40) DEFAULT (DATE_FORMAT(NOW(), '%Y-%m'))"}, {"str_to_date", "DATE DEFAULT (STR_TO_DATE('1980-01-01', '%Y-%m-%d'))"},
		{"json_object", "JSON DEFAULT (JSON_OBJECT('a', 1, 'b', 'x'))"}, {"json_array", "JSON DEFAULT (JSON_ARRAY(1, 'x', NULL))"}, {"json_quote", "JSON DEFAULT (JSON_QUOTE('foo\"bar'))"},
		{"vec", "VECTOR DEFAULT (VEC_FROM_TEXT('[0.3, 0.5, -0.1]'))"},
	} {
		index := ", KEY (d)"
		if strings.HasPrefix(d.column, "JSON") || strings.HasPrefix(d.column, "VECTOR") {
			index = ""
		}
		out = append(out, twin{name: "def_" + d.name, ddl: []string{fmt.Sprintf("%s(id INT PRIMARY KEY, v VARCHAR(20), d %s%s)", create, d.column, index)},
			columns: []string{"id", "v"}, fromTwin: []string{"d"}, rows: idText, sqlMode: parsermysql.DefaultSQLMode, zone: modes[i%len(modes)].zone})
	}
	return out
}

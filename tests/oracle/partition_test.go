package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// partitionCase is a way of partitioning with the columns that it needs.
type partitionCase struct {
	name    string
	columns string   // of the partitioning, as in CREATE TABLE
	by      string   // behind PARTITION BY
	values  []string // per column, a list of values separated by |; NULL is one
	// intKey says that the one column may be an integer primary key.
	intKey bool
}

const (
	partInts  = "0|1|-1|5|9|10|11|99|100|101|-100|2147483647|-2147483648|1000|NULL"
	partUints = "0|1|10|11|100|4294967295|9223372036854775807|9223372036854775808|18446744073709551615|NULL"
	partDates = "2020-01-01|2019-12-31|2020-12-31|2021-01-01|1970-01-01|9999-12-31|1000-01-01|2020-02-29|2024-06-30|NULL"
	partTimes = "2020-01-01 00:00:00|2019-12-31 23:59:59|2020-06-01 12:30:00|2021-01-01 00:00:00|2038-01-19 03:14:07|1971-01-01 00:00:01|NULL"
	partWords = "|a|A|b|B|m|M|z|Z|zz|straße|STRASSE|ä|Ä|日本|trail |trail|NULL"
)

// partitionCases are every way of partitioning that TiDB has, over every kind of column that it takes.
var partitionCases = []partitionCase{
	{"hash", "a BIGINT", "HASH (a) PARTITIONS 5", []string{partInts}, true},
	{"hash unsigned", "a BIGINT UNSIGNED", "HASH (a) PARTITIONS 7", []string{partUints}, true},
	{"linear hash", "a INT", "LINEAR HASH (a) PARTITIONS 3", []string{partInts}, true},
	{"hash of an expression", "a INT, b INT", "HASH (a * 3 - b) PARTITIONS 4", []string{"0|1|-7|100|NULL", "3|-4|NULL"}, false},
	{"hash of a year", "d DATE", "HASH (YEAR(d)) PARTITIONS 4", []string{partDates}, false},
	{"hash of a month", "d DATETIME(3)", "HASH (MONTH(d)) PARTITIONS 12", []string{partTimes}, false},
	{"hash of a YEAR", "y YEAR", "HASH (y) PARTITIONS 3", []string{"1901|2155|2024|0|NULL"}, false},
	{"range", "a INT", "RANGE (a) (PARTITION p0 VALUES LESS THAN (0), PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (100))", []string{partInts}, true},
	{"range to the end", "a BIGINT", "RANGE (a) (PARTITION p0 VALUES LESS THAN (-5), PARTITION p1 VALUES LESS THAN (11), PARTITION p2 VALUES LESS THAN MAXVALUE)", []string{partInts}, true},
	{"range unsigned", "a BIGINT UNSIGNED", "RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (9223372036854775808), PARTITION p2 VALUES LESS THAN (18446744073709551615))", []string{partUints}, true},
	{"range of days", "d DATE", "RANGE (TO_DAYS(d)) (PARTITION p0 VALUES LESS THAN (TO_DAYS('2020-01-01')), PARTITION p1 VALUES LESS THAN (TO_DAYS('2021-01-01')))", []string{partDates}, false},
	{"range of a year", "d DATETIME", "RANGE (YEAR(d)) (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN (2021), PARTITION p2 VALUES LESS THAN MAXVALUE)", []string{partTimes}, false},
	{"range of a timestamp", "d TIMESTAMP NULL", "RANGE (UNIX_TIMESTAMP(d)) (PARTITION p0 VALUES LESS THAN (UNIX_TIMESTAMP('2020-01-01 00:00:00')), PARTITION p1 VALUES LESS THAN MAXVALUE)", []string{partTimes}, false},
	{"range of an expression", "a INT, b INT", "RANGE (ABS(a) + b MOD 7) (PARTITION p0 VALUES LESS THAN (3), PARTITION p1 VALUES LESS THAN (50))", []string{"0|1|-7|100|NULL", "3|-4|20|NULL"}, false},
	{"range of a decimal", "a DECIMAL(10,3)", "RANGE (FLOOR(a)) (PARTITION p0 VALUES LESS THAN (3), PARTITION p1 VALUES LESS THAN (50))", []string{"0|2.999|3|-1.5|49.999|50|NULL"}, false},
	{"range columns", "a INT", "RANGE COLUMNS (a) (PARTITION p0 VALUES LESS THAN (-1), PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (101))", []string{partInts}, true},
	{"range columns unsigned", "a BIGINT UNSIGNED", "RANGE COLUMNS (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (9223372036854775809))", []string{partUints}, true},
	{"range columns date", "d DATE", "RANGE COLUMNS (d) (PARTITION p0 VALUES LESS THAN ('2020-01-01'), PARTITION p1 VALUES LESS THAN ('2020-12-31'), PARTITION p2 VALUES LESS THAN (MAXVALUE))", []string{partDates}, false},
	{"range columns datetime", "d DATETIME(2)", "RANGE COLUMNS (d) (PARTITION p0 VALUES LESS THAN ('2020-01-01'), PARTITION p1 VALUES LESS THAN ('2020-06-01 12:30:00'))", []string{partTimes}, false},
	{"range columns time", "d TIME(1)", "RANGE COLUMNS (d) (PARTITION p0 VALUES LESS THAN ('-01:00:00'), PARTITION p1 VALUES LESS THAN ('12:30:00'))", []string{"-838:59:59|-01:00:00|-00:59:59|00:00:00|12:29:59.9|12:30:00|NULL"}, false},
	{"range columns bytes", "s VARBINARY(20)", "RANGE COLUMNS (s) (PARTITION p0 VALUES LESS THAN ('B'), PARTITION p1 VALUES LESS THAN ('m'), PARTITION p2 VALUES LESS THAN (MAXVALUE))", []string{partWords}, false},
	{"range columns fixed bytes", "s BINARY(6)", "RANGE COLUMNS (s) (PARTITION p0 VALUES LESS THAN ('B'), PARTITION p1 VALUES LESS THAN ('trail'), PARTITION p2 VALUES LESS THAN (MAXVALUE))", []string{"|a|B|A|b|trail|trail |z|NULL"}, false},
	{"range columns of two", "a INT, s VARCHAR(20)", "RANGE COLUMNS (a, s) (PARTITION p0 VALUES LESS THAN (1, 'b'), PARTITION p1 VALUES LESS THAN (10, MAXVALUE), PARTITION p2 VALUES LESS THAN (11, 'a'), PARTITION p3 VALUES LESS THAN (100, 'm'))", []string{"-3|1|10|11|100|NULL", partWords}, false},
	{"range columns of three", "a INT, d DATE, b INT UNSIGNED", "RANGE COLUMNS (a, d, b) (PARTITION p0 VALUES LESS THAN (1, '2020-01-01', 10), PARTITION p1 VALUES LESS THAN (1, MAXVALUE, 0), PARTITION p2 VALUES LESS THAN (MAXVALUE, MAXVALUE, MAXVALUE))", []string{"0|1|2|NULL", "2019-12-31|2020-01-01|2020-01-02|NULL", "9|10|NULL"}, false},
	{"list", "a INT", "LIST (a) (PARTITION p0 VALUES IN (0, 1, 5), PARTITION p1 VALUES IN (-1, NULL, 100), PARTITION p2 VALUES IN (9 + 1))", []string{partInts}, true},
	{"list unsigned", "a BIGINT UNSIGNED", "LIST (a) (PARTITION p0 VALUES IN (0, 18446744073709551615), PARTITION p1 VALUES IN (9223372036854775808))", []string{partUints}, true},
	{"list with a default", "a INT", "LIST (a) (PARTITION p0 VALUES IN (0, 1), PARTITION p1 DEFAULT)", []string{partInts}, true},
	{"list of an expression", "d DATE", "LIST (MONTH(d)) (PARTITION p0 VALUES IN (1, 2, 3), PARTITION p1 VALUES IN (12, NULL))", []string{partDates}, false},
	{"list columns", "a INT", "LIST COLUMNS (a) (PARTITION p0 VALUES IN (0, -1), PARTITION p1 VALUES IN (100, NULL))", []string{partInts}, true},
	{"list columns date", "d DATE", "LIST COLUMNS (d) (PARTITION p0 VALUES IN ('2020-01-01', '9999-12-31'), PARTITION p1 VALUES IN ('2024-06-30', NULL))", []string{partDates}, false},
	{"list columns datetime", "d DATETIME", "LIST COLUMNS (d) (PARTITION p0 VALUES IN ('2020-01-01', '2019-12-31 23:59:59'), PARTITION p1 DEFAULT)", []string{partTimes}, false},
	{"list columns bytes", "s VARBINARY(20)", "LIST COLUMNS (s) (PARTITION p0 VALUES IN ('a', 'B'), PARTITION p1 VALUES IN ('trail ', '日本'))", []string{partWords}, false},
	{"list columns of two", "a INT, s VARCHAR(20) COLLATE utf8mb4_general_ci", "LIST COLUMNS (a, s) (PARTITION p0 VALUES IN ((1, 'A'), (2, 'b'), (1, NULL)), PARTITION p1 VALUES IN ((2, 'a'), (NULL, NULL)))", []string{"1|2|NULL", "a|A|b|B|NULL"}, false},
	{"list columns of two with a default", "a INT, s VARCHAR(20)", "LIST COLUMNS (a, s) (PARTITION p0 VALUES IN ((1, 'A'), (2, 'b')), PARTITION p1 DEFAULT)", []string{"1|2|NULL", "a|A|b|B|NULL"}, false},
	{"key", "a INT", "KEY (a) PARTITIONS 5", []string{partInts}, true},
	{"linear key", "a INT", "LINEAR KEY (a) PARTITIONS 5", []string{partInts}, true},
	{"key of the primary key", "a BIGINT UNSIGNED", "KEY () PARTITIONS 5", []string{partUints}, true},
	{"key of many types", "a INT, d DATE, s VARCHAR(20) COLLATE utf8mb4_general_ci", "KEY (a, s, d) PARTITIONS 11", []string{partInts, partDates, partWords}, false},
	{"key decimal", "a DECIMAL(12,4)", "KEY (a) PARTITIONS 5", []string{"0|1.5|-2.25|123456.7891|NULL"}, false},
	{"key double", "a DOUBLE", "KEY (a) PARTITIONS 5", []string{"0|1.5|-2.25|1e300|0.1|NULL"}, false},
	{"key float", "a FLOAT", "KEY (a) PARTITIONS 5", []string{"0|1.5|-2.25|1e30|0.1|NULL"}, false},
	{"key enum", "a ENUM('x', 'y', 'z')", "KEY (a) PARTITIONS 5", []string{"x|y|Z|NULL"}, false},
	{"key set", "a SET('x', 'y', 'z')", "KEY (a) PARTITIONS 5", []string{"x|y,z||x,y,z|NULL"}, false},
	{"key bit", "a BIT(12)", "KEY (a) PARTITIONS 5", []string{"a|z|ab|NULL"}, false},
	{"key year", "a YEAR", "KEY (a) PARTITIONS 5", []string{"2024|1999|0|NULL"}, false},
	{"key time", "a TIME(3)", "KEY (a) PARTITIONS 5", []string{"12:30:00.125|-1:00:00|838:59:59|NULL"}, false},
	{"key datetime", "a DATETIME(3)", "KEY (a) PARTITIONS 5", []string{partTimes}, false},
	{"key timestamp", "a TIMESTAMP(3) NULL", "KEY (a) PARTITIONS 5", []string{partTimes}, false},
	{"key bytes", "a VARBINARY(20)", "KEY (a) PARTITIONS 5", []string{partWords}, false},
	{"key fixed bytes", "a BINARY(8)", "KEY (a) PARTITIONS 5", []string{"|a|A|ab|trail |NULL"}, false},
}

// TestPartitions: every way of partitioning, in tables with every kind of
// handle, with local and global indexes.
func TestPartitions(t *testing.T) {
	t.Parallel()
	cases := partitionCases
	for _, collation := range []string{"utf8mb4_bin", "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_0900_ai_ci", "utf8mb4_0900_bin"} {
		columns := "s VARCHAR(20) COLLATE " + collation
		cases = append(cases,
			partitionCase{"range columns " + collation, columns, "RANGE COLUMNS (s) (PARTITION p0 VALUES LESS THAN ('B'), PARTITION p1 VALUES LESS THAN ('straße'), PARTITION p2 VALUES LESS THAN ('日本'), PARTITION p3 VALUES LESS THAN (MAXVALUE))", []string{partWords}, false},
			partitionCase{"list columns " + collation, columns, "LIST COLUMNS (s) (PARTITION p0 VALUES IN ('B', ''), PARTITION p1 VALUES IN ('trail', 'ä', NULL))", []string{partWords}, false},
			partitionCase{"key " + collation, columns, "KEY (s) PARTITIONS 7", []string{partWords}, false},
			partitionCase{"key char " + collation, strings.Replace(columns, "VARCHAR", "CHAR", 1), "KEY (s) PARTITIONS 7", []string{partWords}, false},
		)
	}
	j := newJudge(t, strictMode, "America/New_York")
	for i, c := range cases {
		for handle := range 3 {
			for _, global := range []bool{false, true} {
				s, ok := c.shape(fmt.Sprintf("t%d_%d_%v", i, handle, global), handle, global)
				if !ok || !full && (i+handle)%3 != 0 && !(handle == 0 && global == (i%2 == 0)) {
					continue
				}
				before := j.inserted
				j.run(t, s)
				require.Greater(t, j.inserted, before, "%s: no row fits: %s", c.name, s.ddl)
			}
		}
	}
	require.Greater(t, j.refused, 20, "rows that fit no partition")
}

// shape makes the table for a kind of handle: _tidb_rowid, an integer, or all
// partition columns and another one together.
func (c partitionCase) shape(name string, handle int, global bool) (s shape, ok bool) {
	var keys []string
	for _, def := range strings.Split(c.columns, ", ") {
		if word := strings.Fields(def)[0]; !strings.HasPrefix(word, "'") {
			keys = append(keys, word)
		}
	}
	columns, by, notNull := c.columns+", n INT, v VARCHAR(10)", c.by, false
	list := strings.Join(keys, ", ")
	unique := "UNIQUE KEY u (" + list + ", n), UNIQUE KEY w (n, " + list + ", v)"
	if global {
		unique = "UNIQUE KEY u (n) GLOBAL, UNIQUE KEY w (v, n) GLOBAL"
	}
	s = shape{name: name, columns: append(append([]string(nil), keys...), "n", "v")}
	switch handle {
	case 0:
		if strings.Contains(by, "KEY ()") {
			return s, false
		}
		s.idQuery = "SELECT _tidb_rowid FROM " + name + " ORDER BY n"
	case 1:
		if !c.intKey {
			return s, false
		}
		notNull = true
		unique += ", PRIMARY KEY (" + list + ") CLUSTERED"
	default:
		if strings.Contains(by, "KEY ()") && !global {
			return s, false // a local unique index would need every column
		}
		notNull = true
		columns = strings.Replace(columns, " NULL", " NOT NULL", 1)
		unique += ", PRIMARY KEY (n, " + list + ") CLUSTERED"
		if strings.Contains(c.columns, "VARBINARY") || strings.Contains(by, "KEY ()") {
			columns = strings.Replace(columns, "n INT", "n INT, m VARCHAR(5) COLLATE utf8mb4_general_ci DEFAULT 'Mm'", 1)
			unique = strings.Replace(unique, "PRIMARY KEY (n,", "PRIMARY KEY (m, n,", 1)
		}
	}
	s.ddl = fmt.Sprintf("(%s, %s, KEY k (v), KEY l (v, %s)) PARTITION BY %s", columns, unique, keys[0], by)
	rnd := rand.New(rand.NewPCG(1, uint64(len(name))))
	for n := range 40 {
		var row []value
		for i, list := range c.values {
			texts := strings.Split(list, "|")
			v := texts[rnd.IntN(len(texts))]
			if n < len(texts) && i == 0 {
				v = texts[n] // each at least once
			}
			if v == "NULL" && !notNull {
				row = append(row, nil)
			} else {
				row = append(row, text(strings.Replace(v, "NULL", texts[0], 1)))
			}
		}
		row = append(row, text(fmt.Sprint(n)), text(fmt.Sprint("v", n%7)))
		s.rows = append(s.rows, row)
	}
	return s, true
}

// TestPartitionsUnderLaxMode: a row that fits no partition is refused under any mode.
func TestPartitionsUnderLaxMode(t *testing.T) {
	t.Parallel()
	j := newJudge(t, "", "UTC")
	for i, c := range partitionCases {
		if !full && i%3 > 0 {
			continue
		}
		if s, ok := c.shape(fmt.Sprintf("t%d", i), 0, i%2 == 0); ok {
			zero := append([]value{text("0000-00-00")}, s.rows[0][1:]...)
			zero[len(zero)-2] = text("1000") // n, by which the rows are ordered
			s.rows = append(s.rows, zero)
			j.run(t, s)
		}
	}
	require.Greater(t, j.refused, 5)
}

package oracle_test

import (
	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"
)

const ranges = "(PARTITION p0 VALUES LESS THAN (0), PARTITION p1 VALUES LESS THAN (50), PARTITION p2 VALUES LESS THAN (MAXVALUE))"

// partitionTables are partitioned tables with local indexes.
func partitionTables() []twin {
	cells := []cell{number, maybe(small(99)), maybe(anyText), maybe(date)}
	base := "(id INT, a INT, s VARCHAR(20), d DATE, KEY (a), KEY (s), KEY (d, s(2))"
	table := func(name, ddl string) twin {
		return twin{name: "part_" + name, ddl: []string{create + ddl}, rows: rowsOf(cells...)}
	}
	hidden := func(name, ddl string) twin {
		s := table(name, ddl)
		s.ordinal = rowID
		return s
	}
	handled := func(name, by string) twin { return table(name, base+", PRIMARY KEY (id)) PARTITION BY "+by) }
	plain := func(name, by string) twin { return hidden(name, base+") PARTITION BY "+by) }
	out := []twin{
		handled("hash_handle", "HASH (id) PARTITIONS 7"),
		handled("range_handle", "RANGE (id) (PARTITION p0 VALUES LESS THAN (20), PARTITION p1 VALUES LESS THAN (90), PARTITION p2 VALUES LESS THAN MAXVALUE)"),
		handled("range_end", "RANGE (id) (PARTITION p0 VALUES LESS THAN (20), PARTITION p1 VALUES LESS THAN (45))"),
		handled("key_handle", "KEY (id) PARTITIONS 3"),
		handled("key_primary", "KEY () PARTITIONS 3"),
		handled("key_one", "KEY (id) PARTITIONS 1"),
		plain("key_several", "KEY (a, s, d) PARTITIONS 5"),
		plain("hash_null", "HASH (a) PARTITIONS 4"),
		plain("hash_expression", "HASH (ABS(a) + MONTH(d)) PARTITIONS 4"),
		plain("hash_linear", "LINEAR HASH (a) PARTITIONS 6"),
		plain("range_null", "RANGE (a) "+ranges),
		plain("range_days", "RANGE (TO_DAYS(d)) (PARTITION p0 VALUES LESS THAN (TO_DAYS('2000-01-01')), PARTITION p1 VALUES LESS THAN (MAXVALUE))"),
		plain("range_columns_two", "RANGE COLUMNS (a, s) (PARTITION p0 VALUES LESS THAN (0, 'b'), PARTITION p1 VALUES LESS THAN (0, MAXVALUE), PARTITION p2 VALUES LESS THAN (50, 'x'), PARTITION p3 VALUES LESS THAN (MAXVALUE, MAXVALUE))"),
		plain("range_columns_date", "RANGE COLUMNS (d) (PARTITION p0 VALUES LESS THAN ('1995-01-01'), PARTITION p1 VALUES LESS THAN ('2030-06-15'), PARTITION p2 VALUES LESS THAN (MAXVALUE))"),
		plain("range_interval", "RANGE (a) INTERVAL (50) FIRST PARTITION LESS THAN (0) LAST PARTITION LESS THAN (200)"),
		plain("list", "LIST (a) (PARTITION p0 VALUES IN (NULL, 0, 1, 2, 3), PARTITION p1 VALUES IN (-1, -2, -3, 99))"),
		plain("list_default", "LIST (a) (PARTITION p0 VALUES IN (1, 2, 3), PARTITION pd DEFAULT, PARTITION p1 VALUES IN (-1, -2, -3))"),
		plain("list_expression", "LIST (a % 3) (PARTITION p0 VALUES IN (0), PARTITION p1 VALUES IN (1, -1, NULL), PARTITION p2 VALUES IN (2, -2))"),
		plain("list_columns", "LIST COLUMNS (s) (PARTITION p0 VALUES IN ('a', 'b', NULL), PARTITION p1 VALUES IN (''), PARTITION pd DEFAULT)"),
		hidden("list_columns_two", "(id INT, a INT, s INT, d DATE, KEY (a)) PARTITION BY LIST COLUMNS (a, s) (PARTITION p0 VALUES IN ((1, 1), (0, 0), (NULL, 1)), PARTITION p1 VALUES IN ((1, 0), (0, 1)), PARTITION pd DEFAULT)"),
		hidden("range_ci", "(id INT, a INT, s VARCHAR(20) COLLATE utf8mb4_general_ci, d DATE, KEY (s)) PARTITION BY RANGE COLUMNS (s) (PARTITION p0 VALUES LESS THAN ('C'), PARTITION p1 VALUES LESS THAN ('f'), PARTITION p2 VALUES LESS THAN (MAXVALUE))"),
		hidden("list_ci", "(id INT, a INT, s VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, d DATE, KEY (s)) PARTITION BY LIST COLUMNS (s) (PARTITION p0 VALUES IN ('a', 'e'), PARTITION p1 VALUES IN ('b', 'o'), PARTITION pd DEFAULT)"),
		hidden("key_ci", "(id INT, a INT, s VARCHAR(20) COLLATE utf8mb4_unicode_ci, d DATE, KEY (s)) PARTITION BY KEY (s) PARTITIONS 4"),
		table("clustered", base+", PRIMARY KEY (s, id) CLUSTERED, UNIQUE KEY (s, a)) PARTITION BY KEY (s) PARTITIONS 3"),
		hidden("nonclustered", base+", PRIMARY KEY (id, a) NONCLUSTERED, UNIQUE KEY (a, s)) PARTITION BY HASH (a) PARTITIONS 3"),
		hidden("expression_index", base+", KEY ((LOWER(s)))) PARTITION BY HASH (a) PARTITIONS 3"),
		hidden("generated", "(id INT, a INT, s VARCHAR(20), d DATE, g INT AS (a DIV 7) STORED, v VARCHAR(20) AS (UPPER(s)) VIRTUAL, KEY (v), KEY (g)) PARTITION BY RANGE (g) (PARTITION p0 VALUES LESS THAN (0), PARTITION p1 VALUES LESS THAN (5), PARTITION p2 VALUES LESS THAN (MAXVALUE))"),
		hidden("generated_virtual", "(id INT, a INT, s VARCHAR(20), d DATE, g INT AS (YEAR(d)) VIRTUAL, KEY (g)) PARTITION BY HASH (g) PARTITIONS 4"),
		hidden("check", base+", CHECK (a > -50)) PARTITION BY RANGE (a) "+ranges),
		hidden("policy", base+") PLACEMENT POLICY = nearby PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (0) PLACEMENT POLICY = nearby, PARTITION p1 VALUES LESS THAN (MAXVALUE))"),
		table("unsigned", "(id BIGINT UNSIGNED PRIMARY KEY, a INT, s VARCHAR(20), d DATE) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (30), PARTITION p1 VALUES LESS THAN (18446744073709551615))"),
	}
	for _, zone := range []string{"America/New_York", "Asia/Kathmandu"} {
		out = append(out, twin{name: "part_timestamps_" + zone[:4], zone: zone, sqlMode: parsermysql.DefaultSQLMode, ordinal: rowID, ddl: []string{create + `(id INT, t TIMESTAMP(3) NULL, KEY (t)) PARTITION BY RANGE (FLOOR(UNIX_TIMESTAMP(t)))
			(PARTITION p0 VALUES LESS THAN (UNIX_TIMESTAMP('2000-01-01 00:00:00')), PARTITION p1 VALUES LESS THAN (UNIX_TIMESTAMP('2024-03-10 03:30:00')), PARTITION p2 VALUES LESS THAN (MAXVALUE))`},
			rows: rowsOf(number, maybe(timestamp))})
	}
	// Values that an INSERT places by something else than what the column stores: exceptionKey.
	for _, c := range []struct {
		name, typ string
		values    random
	}{
		{"time", "TIME(3)", one("abc", "00:00:00", "12:00:00.5", "")},
		{"double", "DOUBLE", one("-0", "0", "1.5", " -0")},
		{"decimal", "DECIMAL(8,3) UNSIGNED", one("-5", "0", "2.5")},
	} {
		out = append(out, twin{name: "part_key_odd_" + c.name, zone: "Asia/Tokyo", ordinal: rowID, rows: rowsOf(number, maybe(c.values)),
			ddl: []string{create + "(id INT, v " + c.typ + ", KEY (v)) PARTITION BY KEY (v) PARTITIONS 31"}})
	}
	drawn := func(name, ddl, from string) twin {
		return twin{name: "part_" + name, ddl: []string{create + ddl}, columns: []string{"v", "n"}, fromTwin: []string{from}, rows: rowsOf(maybe(anyText), number), order: "n"}
	}
	counted := func(name, ddl string, ordinal ...string) twin {
		return twin{name: "part_" + name, ddl: []string{create + ddl}, columns: []string{"v", "n"}, ordinal: ordinal, rows: rowsOf(maybe(anyText), number), order: "n"}
	}
	return append(out,
		counted("auto_increment", "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), n INT, KEY (v)) PARTITION BY HASH (id) PARTITIONS 4", "id"),
		counted("auto_increment_key", "(id BIGINT AUTO_INCREMENT, v VARCHAR(20), n INT, KEY (id)) PARTITION BY HASH (n) PARTITIONS 4", "id", "_tidb_rowid"),
		drawn("auto_random", "(id BIGINT PRIMARY KEY AUTO_RANDOM(5), v VARCHAR(20), n INT, KEY (v)) PARTITION BY HASH (id) PARTITIONS 4", "id"),
		drawn("shard_bits", "(v VARCHAR(20), n INT, KEY (v)) SHARD_ROW_ID_BITS = 4 PARTITION BY HASH (n) PARTITIONS 4", "_tidb_rowid"),
		changedPartitions("add_drop", base+") PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (-10), PARTITION p1 VALUES LESS THAN (10))",
			"ADD PARTITION (PARTITION p2 VALUES LESS THAN (30), PARTITION p3 VALUES LESS THAN (MAXVALUE))", "DROP PARTITION p1", "TRUNCATE PARTITION p0"),
		changedPartitions("reorganize", base+") PARTITION BY RANGE (a) "+ranges, "REORGANIZE PARTITION p1, p2 INTO (PARTITION q1 VALUES LESS THAN (10), PARTITION q2 VALUES LESS THAN (MAXVALUE))"),
		changedPartitions("repartition", base+")", "PARTITION BY HASH (a) PARTITIONS 3"),
		changedPartitions("repartition_again", base+") PARTITION BY HASH (a) PARTITIONS 3", "PARTITION BY RANGE (a) "+ranges),
		changedPartitions("unpartitioned", base+") PARTITION BY HASH (a) PARTITIONS 3", "REMOVE PARTITIONING"),
		changedPartitions("coalesce", base+") PARTITION BY HASH (a) PARTITIONS 5", "COALESCE PARTITION 2", "ADD PARTITION PARTITIONS 1"),
	)
}

// changedPartitions is a table whose partitions were changed with rows in it.
func changedPartitions(name, ddl string, changes ...string) twin {
	s := twin{name: "part_" + name, ordinal: rowID, rows: rowsOf(number, maybe(small(99)), maybe(anyText), maybe(date)),
		ddl: []string{create + ddl, "INSERT INTO {t} VALUES (-1, 5, 'x', '2024-01-01'), (-2, -5, 'y', NULL)"}}
	for _, c := range changes {
		s.ddl = append(s.ddl, "ALTER TABLE {t} "+c)
	}
	s.ddl = append(s.ddl, "DELETE FROM {t}")
	return s
}

// globalTables have indexes over all partitions.
func globalTables() []twin {
	cells := []cell{number, maybe(small(99)), maybe(anyText), maybe(distinct2)}
	table := func(name, ddl string, ordinal []string) twin {
		return twin{name: "global_" + name, ddl: []string{create + ddl}, rows: rowsOf(cells...), ordinal: ordinal}
	}
	base := "(id INT, a INT, s VARCHAR(20), u VARCHAR(60) COLLATE utf8mb4_general_ci"
	return []twin{
		table("unique", base+", UNIQUE KEY (u) GLOBAL, UNIQUE KEY (id) GLOBAL, KEY (s)) PARTITION BY HASH (a) PARTITIONS 3", rowID),
		table("unique_nulls", base+", UNIQUE KEY (u, s) GLOBAL, UNIQUE KEY (a, id) LOCAL) PARTITION BY RANGE (a) "+ranges, rowID),
		table("primary", base+", PRIMARY KEY (id) NONCLUSTERED GLOBAL, KEY (u), UNIQUE KEY (u(50), a)) PARTITION BY HASH (a) PARTITIONS 3", rowID),
		table("clustered_int", base+", PRIMARY KEY (id) CLUSTERED, UNIQUE KEY (u) GLOBAL) PARTITION BY HASH (id) PARTITIONS 3", nil),
		table("clustered_common", base+", PRIMARY KEY (a, id) CLUSTERED, UNIQUE KEY (u) GLOBAL, UNIQUE KEY (id) GLOBAL) PARTITION BY KEY (a) PARTITIONS 3", nil),
		table("list", base+", UNIQUE KEY (u, id) GLOBAL) PARTITION BY LIST (a) (PARTITION p0 VALUES IN (NULL, 0, 1), PARTITION pd DEFAULT)", rowID),
		table("range_columns", base+", UNIQUE KEY (id) GLOBAL, UNIQUE KEY (u, a) GLOBAL) PARTITION BY RANGE COLUMNS (s) (PARTITION p0 VALUES LESS THAN ('c'), PARTITION p1 VALUES LESS THAN (MAXVALUE))", rowID),
		table("expression", base+", UNIQUE KEY ((LOWER(u)), id) GLOBAL) PARTITION BY HASH (a) PARTITIONS 3", rowID),
		table("prefix", base+", UNIQUE KEY (u(55), id) GLOBAL) PARTITION BY HASH (a) PARTITIONS 3", rowID),
		table("generated", base+", g VARCHAR(70) AS (CONCAT(u, id)) VIRTUAL, UNIQUE KEY (g) GLOBAL) PARTITION BY HASH (a) PARTITIONS 3", rowID),
		changedGlobal("altered", base+", UNIQUE KEY (u) GLOBAL) PARTITION BY HASH (a) PARTITIONS 3", "ADD UNIQUE INDEX later (id) GLOBAL"),
	}
}

func changedGlobal(name, ddl string, changes ...string) twin {
	s := twin{name: "global_" + name, ordinal: rowID, rows: rowsOf(number, maybe(small(99)), maybe(anyText), maybe(distinct2)), ddl: []string{create + ddl}}
	for _, c := range changes {
		s.ddl = append(s.ddl, "ALTER TABLE {t} "+c)
	}
	return s
}

// distinct2 is a text that comes once, almost surely.
func distinct2(r rnd) string { return digits(r, 12) + plainText(r) }

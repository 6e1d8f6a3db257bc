package oracle_test

import "strings"

// generatedAs is a column computed from column v.
type generatedAs struct{ sql, expr string }

// generated are columns computed from v that make sense for the type.
func (c *typeCase) generated() []generatedAs {
	switch c.class {
	case classInt:
		return []generatedAs{{"BIGINT", "v DIV 2"}, {"VARCHAR(30)", "CONCAT('n', v)"}, {"DECIMAL(20,3)", "v / 3"}, {"TINYINT", "v % 50"}}
	case classDecimal:
		return []generatedAs{{"DECIMAL(65,3)", "ROUND(v, 1)"}, {"DOUBLE", "v * 0.1"}, {"VARCHAR(80)", "CONCAT(v)"}}
	case classFloat:
		return []generatedAs{{"DOUBLE", "v / 2"}, {"VARCHAR(40)", "CONCAT(v)"}}
	case classDate:
		return []generatedAs{{"INT", "YEAR(v)"}, {"VARCHAR(10)", "DATE_FORMAT(v, '%Y-%m')"}, {"DATE", "DATE(v)"}, {"DATETIME(3)", "v + INTERVAL 1 DAY"}, {"VARCHAR(40)", "CONCAT(v)"}}
	case classTimestamp:
		return []generatedAs{{"INT", "HOUR(v)"}, {"DATETIME(6)", "v"}, {"VARCHAR(40)", "CONCAT(v)"}}
	case classTime:
		return []generatedAs{{"INT", "TIME_TO_SEC(v)"}, {"TIME(2)", "v"}, {"VARCHAR(40)", "CONCAT(v)"}}
	case classYear, classBit:
		if c.sql == "BIT(64)" {
			return []generatedAs{{"BIGINT UNSIGNED", "v DIV 2"}} // v + 1 is an error in every SELECT, not in a lax INSERT
		}
		return []generatedAs{{"BIGINT UNSIGNED", "v + 1"}}
	case classEnum:
		if strings.Contains(c.sql, "'e63'") { // with 64 members v + 0 is an error in every SELECT
			return []generatedAs{{"VARCHAR(400)", "CONCAT(v, '!')"}}
		}
		return []generatedAs{{"VARCHAR(400)", "CONCAT(v, '!')"}, {"BIGINT UNSIGNED", "v + 0"}}
	case classBytes:
		return []generatedAs{{"VARCHAR(120)", "LEFT(HEX(v), 100)"}, {"INT", "LENGTH(v)"}}
	case classText:
		accent := "é"
		if strings.Contains(c.sql, "ascii") {
			accent = "e" // INSERT can't mix the two
		}
		return []generatedAs{{"VARCHAR(100)", "LEFT(UPPER(v), 9)"}, {"VARCHAR(40) COLLATE utf8mb4_general_ci", "CONCAT(LEFT(v, 5), '" + accent + "')"}, {"INT", "CHAR_LENGTH(v)"}}
	case classJSON:
		return []generatedAs{{"VARCHAR(50)", "LEFT(JSON_UNQUOTE(JSON_EXTRACT(v, '$.a')), 50)"}, {"INT", "JSON_LENGTH(v)"}}
	default:
		return []generatedAs{{"INT", "VEC_DIMS(v)"}}
	}
}

// expressions are what an index may be on; TiDB allows few functions there.
func (c *typeCase) expressions() []string {
	switch c.class {
	case classText:
		if c.prefixOnly {
			return []string{"MD5(v)"}
		}
		return []string{"LOWER(v)", "UPPER(v)", "REVERSE(v)", "MD5(v)"}
	case classBytes, classEnum:
		return []string{"MD5(v)"}
	case classInt:
		return []string{"v DIV 2", "TIDB_SHARD(id)"}
	case classDecimal, classFloat, classYear:
		return []string{"v + 1"}
	case classJSON:
		return []string{"CAST(JSON_EXTRACT(v, '$.a') AS CHAR(20))", "CAST(JSON_UNQUOTE(JSON_EXTRACT(v, '$[0]')) AS CHAR(30))"}
	default:
		return nil
	}
}

// check is a condition of a CHECK constraint that some values don't meet.
func (c *typeCase) check() string {
	switch c.class {
	case classInt, classDecimal, classFloat, classBit, classYear:
		return "v <> 1"
	case classDate, classTimestamp:
		return "v <> '2024-01-02 03:04:05'"
	case classTime:
		return "v <> '12:34:56'"
	case classEnum:
		return "v <> 'red'"
	case classText, classBytes:
		return "v NOT LIKE 'abc%'"
	case classJSON:
		return "JSON_LENGTH(v) < 4"
	default:
		return "VEC_DIMS(v) <> 1"
	}
}

// partitions are partition clauses over v.
func (c *typeCase) partitions() []string {
	const rest = "PARTITION rest VALUES LESS THAN (MAXVALUE))"
	key := "KEY (v) PARTITIONS 3"
	switch c.class {
	case classInt:
		return []string{key, "HASH (v) PARTITIONS 4", "RANGE (v) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (100), " + rest,
			"LIST (v) (PARTITION p0 VALUES IN (0, 1, 2, NULL), PARTITION p1 VALUES IN (5, 7, 42, 127), PARTITION pd DEFAULT)",
			"RANGE COLUMNS (v) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (120))", // values beyond have no partition
			"LIST COLUMNS (v) (PARTITION p0 VALUES IN (0, 1, 2), PARTITION pd DEFAULT)",
			"LIST (v DIV 10) (PARTITION p0 VALUES IN (0, 1, 2), PARTITION p1 VALUES IN (3, 4, 5, 6, 7, 8))"}
	case classDecimal:
		if strings.Contains(c.sql, "(65,") { // FLOOR is a decimal then, which CREATE TABLE refuses
			return []string{key}
		}
		return []string{key, "HASH (FLOOR(v)) PARTITIONS 3"}
	case classDate:
		return []string{key, "RANGE COLUMNS (v) (PARTITION p0 VALUES LESS THAN ('2000-01-01'), PARTITION p1 VALUES LESS THAN ('2024-01-02'), " + rest,
			"RANGE (TO_DAYS(v)) (PARTITION p0 VALUES LESS THAN (730000), PARTITION p1 VALUES LESS THAN (739253), " + rest,
			"HASH (YEAR(v)) PARTITIONS 5", "LIST COLUMNS (v) (PARTITION p0 VALUES IN ('2024-01-02', NULL), PARTITION pd DEFAULT)"}
	case classTimestamp:
		if strings.Contains(c.sql, "(") { // UNIX_TIMESTAMP is a decimal then
			return []string{key}
		}
		return []string{key, "RANGE (UNIX_TIMESTAMP(v)) (PARTITION p0 VALUES LESS THAN (1000000000), PARTITION p1 VALUES LESS THAN (1704164645), " + rest}
	case classTime:
		return []string{key, "HASH (HOUR(v)) PARTITIONS 3", "RANGE (TIME_TO_SEC(v)) (PARTITION p0 VALUES LESS THAN (0), " + rest}
	case classFloat, classEnum, classBit:
		return []string{key}
	case classYear:
		return []string{key, "HASH (v) PARTITIONS 3", "RANGE (v) (PARTITION p0 VALUES LESS THAN (2000), " + rest}
	case classText, classBytes:
		if c.prefixOnly {
			return nil
		}
		if c.oneLetter() {
			return []string{key}
		}
		empty := ", ''"
		if c.class == classBytes {
			empty = "" // CREATE TABLE can't read the 0x that it becomes
		}
		return []string{key, "RANGE COLUMNS (v) (PARTITION p0 VALUES LESS THAN ('B'), PARTITION p1 VALUES LESS THAN ('c'), " + rest,
			"LIST COLUMNS (v) (PARTITION p0 VALUES IN ('a', 'abc', NULL" + empty + "), PARTITION pd DEFAULT)"}
	default:
		return nil
	}
}

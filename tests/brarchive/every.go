package brarchive

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"testing"
)

// Every creates a database with all of Shapes and with tables of every other kind that a cluster may have, and returns the tables' names. Names of
// other objects in the cluster, such as policies, begin with the database's. Tables have statistics but for one, never_analysed.
func Every(t testing.TB, db *sql.DB, database string) []string {
	t.Helper()
	names := Shapes(t, db, database)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // nobody else is to have its settings
	}()
	exec := func(q string) {
		t.Helper()
		q = strings.ReplaceAll(q, "{db}", database)
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	exec("USE `{db}`")
	exec("SET SESSION sql_mode = '', cte_max_recursion_depth = 10000, time_zone = '+03:00'")
	for _, q := range others {
		if name, ok := strings.CutPrefix(q, "CREATE TABLE "); ok {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, name)
		}
		exec(q)
	}
	analysed := make([]string, 0, len(names))
	for _, name := range names {
		if name != "never_analysed" {
			analysed = append(analysed, "`"+name+"`")
		}
	}
	exec("ANALYZE TABLE " + strings.Join(analysed, ", "))
	return names
}

// DropPolicies drops the placement policies of Every, whose database must be gone.
func DropPolicies(t testing.TB, db *sql.DB, database string) {
	t.Helper()
	for _, name := range []string{"_near", "_far"} {
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP PLACEMENT POLICY IF EXISTS `"+database+name+"`"); err != nil {
			t.Fatal(err)
		}
	}
}

// others are statements that make what Shapes doesn't. {db} is the database.
var others = []string{
	"CREATE PLACEMENT POLICY `{db}_near` FOLLOWERS = 2",
	"CREATE PLACEMENT POLICY `{db}_far` FOLLOWERS = 1 SCHEDULE = 'MAJORITY_IN_PRIMARY'",
	// Partitions of the other kinds.
	"CREATE TABLE by_list (id INT, v VARCHAR(10), KEY (v)) PARTITION BY LIST (id) (PARTITION p0 VALUES IN (1, 2, 3), PARTITION p1 VALUES IN (4, NULL), PARTITION p2 DEFAULT)",
	"INSERT INTO by_list VALUES (1, 'a'), (2, 'b'), (4, 'd'), (NULL, 'n'), (77, 'z')",
	"CREATE TABLE by_list_columns (a VARCHAR(20) COLLATE utf8mb4_general_ci, b DATE, PRIMARY KEY (a, b) NONCLUSTERED) PARTITION BY LIST COLUMNS (a, b) " +
		"(PARTITION `P 1` VALUES IN (('x', '2024-01-01'), ('it''s', '2024-01-02')), PARTITION p2 VALUES IN (('\\\\', '2024-01-03')))",
	"INSERT INTO by_list_columns VALUES ('X', '2024-01-01'), ('it''s', '2024-01-02'), ('\\\\', '2024-01-03')",
	"CREATE TABLE by_key (id VARCHAR(20), v INT, PRIMARY KEY (id) CLUSTERED) PARTITION BY KEY (id) PARTITIONS 3",
	"INSERT INTO by_key WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT CONCAT('k', i), i FROM n",
	"CREATE TABLE by_range_expr (id BIGINT AUTO_INCREMENT, at TIMESTAMP NOT NULL, PRIMARY KEY (id, at)) AUTO_INCREMENT = 1000 PARTITION BY RANGE (UNIX_TIMESTAMP(at)) " +
		"(PARTITION p0 VALUES LESS THAN (UNIX_TIMESTAMP('2024-01-01 00:00:00')), PARTITION p1 VALUES LESS THAN (MAXVALUE) COMMENT 'the rest')",
	"INSERT INTO by_range_expr (at) VALUES ('2023-12-31 23:59:59'), ('2024-01-01 00:00:00'), ('2025-05-05 05:05:05')",
	"CREATE TABLE by_interval (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) INTERVAL (100) FIRST PARTITION LESS THAN (100) LAST PARTITION LESS THAN (500)",
	"INSERT INTO by_interval VALUES (1, 1), (150, 2), (499, 3)",
	// Keys and ids.
	"CREATE TABLE composite (a INT UNSIGNED, b VARBINARY(10), c YEAR, d INT, PRIMARY KEY (a, b, c) CLUSTERED, UNIQUE KEY (d, b(4)), KEY hidden (c) INVISIBLE)",
	"INSERT INTO composite VALUES (4294967295, x'00ff', 1901, 1), (0, '', 2155, NULL), (1, x'ffffffffff', 2024, -5)",
	"CREATE TABLE sharded (a INT, b INT, KEY (a, b)) SHARD_ROW_ID_BITS = 3 PRE_SPLIT_REGIONS = 2 COMMENT = 'it''s \\\\ split'",
	"INSERT INTO sharded VALUES (1, 1), (2, 2), (3, 3), (NULL, NULL)",
	"CREATE TABLE auto_rand_wide (id BIGINT UNSIGNED PRIMARY KEY AUTO_RANDOM(5, 54), v INT) AUTO_RANDOM_BASE = 5000",
	"INSERT INTO auto_rand_wide (v) VALUES (1), (2), (3)",
	"CREATE TABLE auto_rand_pair (id BIGINT AUTO_RANDOM(3), v INT, PRIMARY KEY (id, v) CLUSTERED)",
	"INSERT INTO auto_rand_pair (v) VALUES (1), (2), (3)",
	"CREATE TABLE auto_inc_cached (id BIGINT UNSIGNED AUTO_INCREMENT, u INT, PRIMARY KEY (u) NONCLUSTERED, UNIQUE KEY (id)) AUTO_ID_CACHE = 100",
	"INSERT INTO auto_inc_cached (u) VALUES (1), (2), (3)",
	"CREATE TABLE auto_inc_one (id INT PRIMARY KEY AUTO_INCREMENT, v INT) AUTO_ID_CACHE = 1 AUTO_INCREMENT = 500",
	"INSERT INTO auto_inc_one (v) VALUES (1), (2), (3)",
	"CREATE TABLE auto_inc_high (id TINYINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT)",
	"INSERT INTO auto_inc_high VALUES (200, 1)",
	// Types, character sets, defaults.
	"CREATE TABLE numbers_of_all (id INT PRIMARY KEY, t TINYINT(1), s SMALLINT UNSIGNED, m MEDIUMINT ZEROFILL, b BIGINT UNSIGNED, d DECIMAL(65, 30), f FLOAT, g DOUBLE(10, 2), bits BIT(64) DEFAULT b'101', y YEAR DEFAULT 2024)",
	"INSERT INTO numbers_of_all VALUES (1, -128, 65535, 7, 18446744073709551615, 12345678901234567890123456789012345.000000000000000000000000000001, 1.5, -2.25, b'1111', 1970), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
	"CREATE TABLE times_of_all (id INT PRIMARY KEY, d DATE DEFAULT '2020-01-01', dt DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), ts TIMESTAMP(3) NULL DEFAULT '2020-02-03 04:05:06.789', ti TIME(2) DEFAULT '-838:59:59')",
	"INSERT INTO times_of_all VALUES (1, '0000-00-00', '2024-02-29 23:59:59.999999', '2038-01-19 06:14:07', '838:59:59'), (2, NULL, NULL, NULL, NULL), (3, DEFAULT, DEFAULT, DEFAULT, DEFAULT)",
	"CREATE TABLE texts_of_all (id INT PRIMARY KEY, c CHAR(10), v VARCHAR(255) COLLATE utf8mb4_0900_ai_ci, t TINYTEXT, m MEDIUMTEXT, bin BINARY(5), vb VARBINARY(300), lb LONGBLOB, " +
		"e ENUM('a', 'it''s', '') DEFAULT 'a', st SET('x', 'y''', 'z'), j JSON, KEY (v), KEY (vb(20)), KEY (e))",
	"INSERT INTO texts_of_all (id, c, v, t, m, bin, vb, lb, e, st, j) VALUES (1, 'c ', 'Ünïcode 漢字', '', REPEAT('m', 70000), 'b', x'00', REPEAT(x'fe', 500), 'it''s', 'x,z', '{\"a\": [1, 2.5, null, \"x\"], \"b\": {}}'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
	"CREATE TABLE in_gbk (id INT PRIMARY KEY, v VARCHAR(20), c CHAR(5) CHARACTER SET latin1 COLLATE latin1_bin, KEY (v)) DEFAULT CHARSET = gbk COLLATE = gbk_chinese_ci",
	"INSERT INTO in_gbk VALUES (1, '汉字', 'abc'), (2, '一二三', 'xyz')",
	"CREATE TABLE in_latin1 (id INT PRIMARY KEY, v VARCHAR(20), a VARCHAR(9) CHARACTER SET ascii, b VARCHAR(9) CHARACTER SET utf8 COLLATE utf8_unicode_ci, KEY (b)) DEFAULT CHARSET = latin1",
	"INSERT INTO in_latin1 VALUES (1, 'abc', 'def', 'Ghi')",
	"CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3), w VECTOR)",
	"INSERT INTO vectors VALUES (1, '[1, 2, 3.5]', '[7]'), (2, NULL, NULL)",
	"CREATE TABLE defaults (id INT PRIMARY KEY DEFAULT 7, u VARCHAR(36) DEFAULT (UUID()), d DATE DEFAULT (CURRENT_DATE), r DOUBLE DEFAULT (RAND()), x VARBINARY(4) DEFAULT x'00ff', n INT NULL DEFAULT NULL)",
	"INSERT INTO defaults (id) VALUES (1), (2)",
	// Indexes of expressions and arrays, generated columns, constraints.
	"CREATE TABLE multi_valued (id INT PRIMARY KEY, j JSON, a INT, KEY mv ((CAST(j->'$.n' AS UNSIGNED ARRAY)), a), UNIQUE KEY mu ((CAST(j->'$.u' AS CHAR(10) ARRAY))))",
	"INSERT INTO multi_valued VALUES (1, '{\"n\": [1, 2, 3], \"u\": [\"a\"]}', 1), (2, '{\"n\": [3], \"u\": [\"b\", \"c\"]}', 2), (3, NULL, 3)",
	"CREATE TABLE computed (a INT, b INT AS (a + 1) VIRTUAL, c INT AS (a * 2) STORED NOT NULL, d JSON AS (JSON_ARRAY(a, c)) STORED, PRIMARY KEY (c) NONCLUSTERED, KEY (b), KEY ((LOWER(a)), (UPPER(c))))",
	"INSERT INTO computed (a) VALUES (1), (2), (-3)",
	"CREATE TABLE parents (id INT PRIMARY KEY, code VARCHAR(10) UNIQUE)",
	"INSERT INTO parents VALUES (1, 'a'), (2, 'b')",
	"CREATE TABLE children (id INT PRIMARY KEY, p INT, c VARCHAR(10), CONSTRAINT to_id FOREIGN KEY (p) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE SET NULL, FOREIGN KEY (c) REFERENCES parents (code))",
	"INSERT INTO children VALUES (1, 1, 'a'), (2, NULL, 'b')",
	"CREATE TABLE changed_names (Id INT PRIMARY KEY COMMENT 'the key', `select` INT, `a``b` INT, KEY `k 1` (`select`))",
	"INSERT INTO changed_names VALUES (1, 2, 3)",
	// What tables say of themselves.
	"CREATE TABLE with_ttl (id INT PRIMARY KEY, at DATETIME) TTL = `at` + INTERVAL 10 YEAR TTL_ENABLE = 'ON' TTL_JOB_INTERVAL = '2h'",
	"INSERT INTO with_ttl VALUES (1, '2024-01-01')",
	"CREATE TABLE placed (id INT PRIMARY KEY, v INT) PLACEMENT POLICY = `{db}_near` PARTITION BY HASH (id) (PARTITION p0 PLACEMENT POLICY = `{db}_far`, PARTITION p1)",
	"INSERT INTO placed VALUES (1, 1), (2, 2)",
	"CREATE TABLE never_analysed (id INT PRIMARY KEY, v INT)",
	"INSERT INTO never_analysed VALUES (1, 1)",
	"CREATE SEQUENCE down START WITH -5 INCREMENT BY -2 MINVALUE -100 MAXVALUE -1 NOCACHE CYCLE COMMENT = 'down'",
	"DO NEXTVAL(down)",
	"CREATE SEQUENCE unused",
	"CREATE TABLE from_sequence (id BIGINT DEFAULT NEXT VALUE FOR `{db}`.numbers PRIMARY KEY, v INT)",
	"INSERT INTO from_sequence (v) VALUES (1), (2)",
	"CREATE VIEW over_view AS SELECT o.id AS one, `a b` FROM over_rows o JOIN `Odd name %41` ON o.id = `a b` + 10",
	"CREATE VIEW a_view_first (x) AS SELECT one FROM over_view",
}

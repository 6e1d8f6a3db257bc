package oracle_test

import (
	"fmt"
	"strings"

	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"
)

// alteredTables were changed before the import, most of them with rows in them.
func alteredTables() []twin {
	base := create + "(id INT PRIMARY KEY, gone INT, a VARCHAR(10), b INT, KEY ka (a), KEY kb (b))"
	fill := "INSERT INTO {t} VALUES (-1, 1, 'abc', 5), (-2, 2, NULL, NULL), (-3, NULL, 'é', 77)"
	table := func(name string, cells []cell, changes ...string) twin {
		s := twin{name: "alter_" + name, ddl: []string{base, fill}, rows: rowsOf(cells...)}
		for _, c := range changes {
			s.ddl = append(s.ddl, "ALTER TABLE {t} "+c)
		}
		s.ddl = append(s.ddl, "DELETE FROM {t}")
		return s
	}
	idGoneAB := []cell{number, maybe(small(99)), maybe(str(8, allLetters)), maybe(small(999))}
	idAB := []cell{number, maybe(str(4, allLetters)), maybe(small(99))}
	short := func(s twin, columns ...string) twin {
		s.columns = columns
		return s
	}
	out := []twin{
		table("drop", idAB, "DROP COLUMN gone"),
		table("drop_indexed", []cell{number, maybe(small(9)), maybe(anyText)}, "DROP INDEX kb", "DROP COLUMN b"),
		table("add", append(idGoneAB[:4:4], maybe(small(9)), maybe(anyText)), "ADD COLUMN c INT DEFAULT 9", "ADD COLUMN d VARCHAR(10) NOT NULL DEFAULT 'q'", "ADD INDEX kd (d, c)"),
		short(table("add_default", idGoneAB, "ADD COLUMN c INT DEFAULT 9", "ADD COLUMN d VARCHAR(10) NOT NULL DEFAULT 'q'", "ADD COLUMN e DATETIME DEFAULT '2020-01-01'", "ADD COLUMN f DECIMAL(5,2) NOT NULL", "ADD INDEX kd (d, c)", "ALTER COLUMN f SET DEFAULT 1.25"), "id", "gone", "a", "b"),
		short(table("default_changed", idGoneAB, "ADD COLUMN c INT DEFAULT 9", "ALTER COLUMN c SET DEFAULT 10", "ADD COLUMN d INT DEFAULT 3", "ALTER COLUMN d DROP DEFAULT", "MODIFY COLUMN d INT NULL"), "id", "gone", "a", "b"),
		short(table("add_timestamp", idGoneAB, "ADD COLUMN c TIMESTAMP NULL DEFAULT '2024-07-01 12:00:00'", "ADD COLUMN d BIT(8) DEFAULT b'101'", "ADD COLUMN e ENUM('x','y') NOT NULL DEFAULT 'y'"), "id", "gone", "a", "b"),
		table("first", []cell{maybe(small(5)), number, maybe(small(9)), maybe(anyText), maybe(small(9)), maybe(anyText)}, "ADD COLUMN c INT FIRST", "ADD COLUMN d VARCHAR(9)"),
		table("reorder", []cell{maybe(small(99)), number, maybe(small(99)), maybe(str(8, allLetters))}, "MODIFY COLUMN b INT FIRST", "MODIFY COLUMN a VARCHAR(10) AFTER gone"),
		table("widen", []cell{number, maybe(integer(60, false)), maybe(anyText), maybe(integer(60, false))}, "MODIFY COLUMN b BIGINT", "MODIFY COLUMN a VARCHAR(50)", "MODIFY COLUMN gone BIGINT"),
		table("narrow", []cell{number, maybe(small(99)), maybe(str(4, allLetters)), maybe(small(200))}, "MODIFY COLUMN b TINYINT", "MODIFY COLUMN a VARCHAR(3)"),
		table("int_to_text", []cell{number, maybe(anyText), maybe(anyText), maybe(anyText)}, "MODIFY COLUMN b VARCHAR(12)", "MODIFY COLUMN gone TEXT"),
		table("int_to_others", []cell{number, maybe(decimal(9, 2, false)), maybe(anyText), maybe(float(5, -1, false))}, "MODIFY COLUMN gone DECIMAL(12,3)", "MODIFY COLUMN b DOUBLE"),
		table("to_not_null", []cell{number, maybe(small(9)), maybe(anyText), maybe(small(9))}, "DROP INDEX ka", "MODIFY COLUMN gone INT UNSIGNED"),
		table("charset", idGoneAB, "DROP INDEX ka", "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "MODIFY COLUMN a TEXT COLLATE utf8mb4_unicode_ci"),
		table("collation", idGoneAB, "DROP INDEX ka", "MODIFY COLUMN a VARCHAR(10) COLLATE utf8mb4_unicode_ci", "ADD INDEX ka2 (a)"),
		table("rename", idGoneAB, "RENAME COLUMN a TO `the column`", "RENAME INDEX ka TO `key`", "CHANGE COLUMN b bb INT COMMENT 'renamed'"),
		table("indexes", idGoneAB, "DROP INDEX kb", "ADD UNIQUE INDEX uc (b, id)", "ADD INDEX kd (a(3), b)", "ALTER INDEX uc INVISIBLE", "DROP INDEX ka"),
		table("add_generated", idGoneAB, "ADD COLUMN g INT AS (b * 2) VIRTUAL", "ADD INDEX kg (g)"),
		table("add_expression", idGoneAB, "ADD INDEX ke ((LOWER(a)))"),
		table("ids_in_between", append(idGoneAB[:4:4], maybe(small(9)), maybe(anyText)), "ADD COLUMN x INT", "DROP COLUMN x", "ADD COLUMN y INT", "ADD COLUMN z INT", "DROP COLUMN y", "ADD COLUMN w VARCHAR(10)", "ADD INDEX kz (z)"),
		{name: "alter_primary", ordinal: rowID, rows: idText, ddl: []string{create + "(id INT NOT NULL, v VARCHAR(20))", "INSERT INTO {t} VALUES (-1, 'x')", "ALTER TABLE {t} ADD PRIMARY KEY (id) NONCLUSTERED", "DELETE FROM {t}"}},
		{name: "alter_primary_dropped", ordinal: rowID, rows: idText, ddl: []string{create + "(id INT, v VARCHAR(20), PRIMARY KEY (id) NONCLUSTERED)", "INSERT INTO {t} VALUES (-1, 'x')", "ALTER TABLE {t} DROP PRIMARY KEY", "DELETE FROM {t}"}},
		{name: "alter_rowid_moved", ordinal: rowID, rows: idText, ddl: []string{create + "(id INT, v VARCHAR(20), KEY (v))", "INSERT INTO {t} VALUES (-1, 'x'), (-2, 'y')", "DELETE FROM {t}"}},
		{name: "alter_truncated", ordinal: rowID, rows: idText, ddl: []string{create + "(id INT, v VARCHAR(20), KEY (v))", "INSERT INTO {t} VALUES (-1, 'x'), (-2, 'y')", "TRUNCATE TABLE {t}"}},
		{name: "alter_auto_increment", columns: []string{"v"}, ordinal: []string{"id"}, rows: rowsOf(maybe(anyText)), ddl: []string{create + "(id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), KEY (v))", "INSERT INTO {t} (v) VALUES ('x'), ('y')", "ALTER TABLE {t} AUTO_INCREMENT = 12345", "DELETE FROM {t}"}},
		{name: "alter_shard", columns: []string{"id", "v"}, fromTwin: rowID, rows: idText, ddl: []string{create + "(id INT, v VARCHAR(20), KEY (v))", "ALTER TABLE {t} SHARD_ROW_ID_BITS = 3"}},
		{name: "alter_to_random", columns: []string{"v", "n"}, fromTwin: []string{"id"}, order: "n", rows: rowsOf(maybe(anyText), number), ddl: []string{create + "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), n INT)", "ALTER TABLE {t} MODIFY COLUMN id BIGINT AUTO_RANDOM(5)"}},
		{name: "alter_like", rows: rowsOf(idGoneAB...), ddl: []string{strings.Replace(base, "{t}", "{t}_model", 1), "ALTER TABLE {t}_model ADD COLUMN x INT", "ALTER TABLE {t}_model DROP COLUMN x", "CREATE TABLE {t} LIKE {t}_model"}},
		{name: "alter_renamed", rows: rowsOf(idGoneAB...), ddl: []string{strings.Replace(base, "{t}", "{t}_old", 1), "RENAME TABLE {t}_old TO {t}"}},
	}
	return out
}

// otherTables are what is left: options, names, sizes, foreign keys, vectors.
func otherTables() []twin {
	table := func(name, ddl string, cells ...cell) twin {
		return twin{name: "other_" + name, ddl: []string{create + ddl}, rows: rowsOf(cells...)}
	}
	long := func(n int) random {
		return func(r rnd) string { return strings.Repeat(string(rune('a'+r.IntN(26))), r.IntN(n)) }
	}
	out := []twin{
		table("ttl", "(id INT PRIMARY KEY, t DATETIME, KEY (t)) TTL = t + INTERVAL 10 YEAR", number, maybe(datetime)),
		table("ttl_off", "(id INT PRIMARY KEY, t TIMESTAMP NULL) TTL = t + INTERVAL 1 MONTH TTL_ENABLE = 'OFF' TTL_JOB_INTERVAL = '2h'", number, maybe(timestamp)),
		table("policy", "(id INT PRIMARY KEY, v VARCHAR(20)) PLACEMENT POLICY = nearby", number, maybe(anyText)),
		table("names", "(`id` INT PRIMARY KEY, `select` VARCHAR(20), `a b` INT, `Größe` INT, `x``y` INT, `ID2` INT, KEY `group` (`select`), KEY `x y` (`a b`, `Größe`), UNIQUE KEY `id` (`x``y`, `id`))", number, maybe(anyText), maybe(small(5)), maybe(small(5)), maybe(small(5)), maybe(small(5))),
		table("comments", "(id INT PRIMARY KEY COMMENT 'it''s', v VARCHAR(20) COMMENT 'ä', KEY (v) COMMENT 'k') COMMENT = 'a table' ROW_FORMAT = COMPRESSED ENGINE = InnoDB", number, maybe(anyText)),
		table("charset_gbk", "(id INT PRIMARY KEY, v VARCHAR(20), c CHAR(8), e ENUM('中','x'), KEY (v), UNIQUE KEY (c, id)) CHARACTER SET gbk", number, maybe(str(8, gbkLetters)), maybe(str(6, gbkLetters)), maybe(enum("中", "x"))),
		table("charset_latin1", "(id INT PRIMARY KEY, v VARCHAR(20), c CHAR(8), KEY (v), UNIQUE KEY (c, id)) CHARACTER SET latin1", number, maybe(str(8, latinLetters)), maybe(str(6, asciiLetters))),
		table("collations", "(id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_bin, b VARCHAR(20) COLLATE utf8mb4_general_ci, c VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, d VARCHAR(20) CHARACTER SET gbk, e VARBINARY(40), f CHAR(10) CHARACTER SET ascii, KEY (a, b, c, d, e, f), UNIQUE KEY (f, e, d, c, b, a, id), KEY (c(2), a, b(3)))",
			number, maybe(anyText), maybe(anyText), maybe(anyText), maybe(str(6, gbkLetters)), maybe(anyBytes(20)), maybe(str(8, asciiLetters))),
		table("one_column", "(id INT PRIMARY KEY)", number),
		{name: "other_one_column_rowid", ddl: []string{create + "(id VARCHAR(20))"}, ordinal: rowID, rows: rowsOf(maybe(distinct2))},
		table("vectors", "(id INT PRIMARY KEY, a VECTOR, b VECTOR(3) NOT NULL, c VECTOR(300), v INT, KEY (v))", number, maybe(vector(0)), maybe(vector(3)), maybe(vector(300)), maybe(small(3))),
		table("json", "(id INT PRIMARY KEY, j JSON, k JSON NOT NULL, v VARCHAR(20), KEY (v))", number, maybe(document), always(document), maybe(anyText)),
		table("json_big", "(id INT PRIMARY KEY, j JSON)", number, maybe(func(r rnd) string {
			return `{"k": [` + strings.Repeat(document(r)+",", 40) + `"` + long(90000)(r) + `"]}`
		})),
		table("json_deep", "(id INT PRIMARY KEY, j JSON)", number, maybe(func(r rnd) string {
			n := r.IntN(98)
			return strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat("}]", n/2)
		})),
		table("long_rows", "(id INT PRIMARY KEY, a LONGTEXT, v VARCHAR(10), b LONGBLOB, KEY (v), KEY (a(700)), KEY (b(3000)))", number, maybe(long(70000)), maybe(anyText), maybe(long(1000))),
		table("long_keys", "(id VARCHAR(600) COLLATE utf8mb4_0900_ai_ci, a VARCHAR(700), PRIMARY KEY (id) CLUSTERED, KEY (a), UNIQUE KEY (a(600), id(100)))", distinct(str(500, allLetters)), maybe(str(600, allLetters))),
		{name: "other_timestamps_on_update", ddl: []string{create + "(id INT PRIMARY KEY, a TIMESTAMP NULL, b TIMESTAMP NOT NULL DEFAULT '2024-01-01', c DATETIME(6) ON UPDATE NOW(6), KEY (a), KEY (b))"}, zone: "Europe/London", sqlMode: parsermysql.DefaultSQLMode, rows: rowsOf(number, maybe(timestamp), always(timestamp), maybe(datetime))},
	}
	var columns []string
	cells := []cell{number}
	for i := range 300 {
		columns = append(columns, fmt.Sprintf("c%d VARCHAR(20)", i))
		cells = append(cells, maybe(str(3, plainLetters)))
	}
	out = append(out, table("wide", "(id INT PRIMARY KEY, "+strings.Join(columns, ", ")+", KEY k1 (c1, c299), KEY k2 (c0))", cells...))
	parent := "CREATE TABLE {t}_parent (id INT PRIMARY KEY, x VARCHAR(20), KEY (x))"
	fill := "INSERT INTO {t}_parent VALUES (1, 'a'), (2, 'b'), (3, NULL)"
	return append(out,
		twin{name: "other_fk", ddl: []string{parent, fill, create + "(id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {t}_parent (id))"}, rows: rowsOf(number, maybe(one("1", "2", "3")))},
		twin{name: "other_fk_bad", ddl: []string{parent, fill, create + "(id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {t}_parent (id) ON DELETE CASCADE)"}, rows: rowsOf(number, maybe(one("1", "2", "4")))},
		twin{name: "other_fk_text", ddl: []string{parent, fill, create + "(id INT PRIMARY KEY, p VARCHAR(20), CONSTRAINT named FOREIGN KEY (p) REFERENCES {t}_parent (x) ON UPDATE CASCADE ON DELETE SET NULL)"}, rows: rowsOf(number, maybe(one("a", "b")))},
		twin{name: "other_fk_parent", ddl: []string{"CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(20))", "CREATE TABLE {t}_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {t} (id))"}, rows: idText},
	)
}

// mappingTables are imports with column lists, variables and SET clauses.
func mappingTables() []twin {
	const ddl = create + "(id INT PRIMARY KEY, a VARCHAR(40), b INT, c DATETIME, KEY (a), KEY (b))"
	table := func(name string, columns []string, set []assignment, cells ...cell) twin {
		return twin{name: "map_" + name, ddl: []string{ddl}, columns: columns, set: set, rows: rowsOf(cells...)}
	}
	return []twin{
		table("subset", []string{"id", "b"}, nil, number, maybe(small(9))),
		table("permuted", []string{"c", "b", "id", "a"}, nil, maybe(datetime), maybe(small(9)), number, maybe(anyText)),
		table("ignored", []string{"@x", "id", "@y", "a"}, nil, maybe(anyText), number, maybe(document), maybe(anyText)),
		table("set_number", []string{"id", "@x"}, []assignment{{"b", "@x + 1"}}, number, always(small(99))),
		table("set_text", []string{"id", "@x", "@y"}, []assignment{{"a", "CONCAT(UPPER(@x), '-', @y)"}}, number, always(anyText), always(plainText)),
		table("set_null", []string{"id", "@x", "b"}, []assignment{{"a", "NULLIF(@x, '')"}}, number, always(one("", "x", " ")), maybe(small(9))),
		table("set_date", []string{"id", "@x"}, []assignment{{"c", "STR_TO_DATE(@x, '%d.%m.%Y %H:%i')"}}, number, always(func(r rnd) string {
			return fmt.Sprintf("%02d.%02d.%04d %02d:%02d", 1+r.IntN(28), 1+r.IntN(12), 1990+r.IntN(40), r.IntN(24), r.IntN(60))
		})),
		table("set_constant", []string{"id"}, []assignment{{"a", "'constant'"}, {"b", "40 + 2"}, {"c", "'2024-02-29'"}}, number),
		table("set_twice", []string{"@k", "@x"}, []assignment{{"id", "@k"}, {"a", "@x"}, {"b", "LENGTH(@x)"}}, number, always(anyText)),
		table("set_if", []string{"id", "@x"}, []assignment{{"b", "IF(@x IS NULL, -1, CHAR_LENGTH(@x))"}, {"a", "IFNULL(@x, 'none')"}}, number, maybe(anyText)),
		table("set_key", []string{"@x"}, []assignment{{"id", "@x * 10"}}, number),
	}
}

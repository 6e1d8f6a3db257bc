package oracle_test

import "strings"

// generatedTables have generated columns in every role.
func generatedTables() []twin {
	table := func(name, ddl string, cells ...cell) twin {
		return twin{name: "gen_" + name, ddl: []string{create + ddl}, rows: rowsOf(cells...)}
	}
	lax := func(s twin) twin {
		s.name, s.sqlMode, s.zone = s.name+"_lax", "", "Asia/Tokyo"
		return s
	}
	people := "(id INT PRIMARY KEY, first VARCHAR(20), last VARCHAR(20), full VARCHAR(50) AS (CONCAT(first, ' ', last)) VIRTUAL, upper_name VARCHAR(50) AS (UPPER(CONCAT_WS(',', last, first))) STORED, KEY (full), UNIQUE KEY (upper_name, id))"
	division := "(id INT PRIMARY KEY, a INT, b INT, q DECIMAL(20,6) AS (a / b) STORED, m INT AS (a % b) VIRTUAL, KEY (q), KEY (m))"
	tight := "(id INT PRIMARY KEY, a VARCHAR(20), s VARCHAR(3) AS (CONCAT(a, a)) STORED, n TINYINT AS (LENGTH(a) * 20) VIRTUAL, KEY (s), KEY (n))"
	required := "(id INT PRIMARY KEY, a INT, g INT AS (a + 1) STORED NOT NULL, h VARCHAR(5) AS (IF(a > 3, NULL, 'x')) VIRTUAL NOT NULL, KEY (g), KEY (h))"
	return []twin{
		table("names", people, number, maybe(anyText), maybe(plainText)),
		lax(table("names", people, number, maybe(anyText), maybe(plainText))),
		table("chain", "(id INT PRIMARY KEY, a INT, g1 INT AS (a + 1) VIRTUAL, g2 BIGINT AS (g1 * 2) STORED, g3 BIGINT AS (g2 - a) VIRTUAL, KEY (g3), KEY (g1, g2))", number, maybe(small(1000))),
		table("before", "(g INT AS (a * 2) VIRTUAL, h INT AS (a * 3) STORED, a INT, id INT PRIMARY KEY, KEY (g, h))", maybe(small(1000)), number),
		table("division", division, number, maybe(small(20)), maybe(small(3))),
		lax(table("division", division, number, maybe(small(20)), maybe(small(3)))),
		table("tight", tight, number, maybe(str(5, allLetters))),
		lax(table("tight", tight, number, maybe(str(9, plainLetters)))),
		table("required", required, number, maybe(small(5))),
		lax(table("required", required, number, maybe(small(5)))),
		table("overflow", "(id INT PRIMARY KEY, a BIGINT, u BIGINT UNSIGNED, g BIGINT AS (a + 1) STORED, h BIGINT UNSIGNED AS (u - 5) VIRTUAL, KEY (h))", number, maybe(one("1", "9223372036854775807", "-9223372036854775808")), maybe(one("7", "4", "18446744073709551615"))),
		table("primary", "(a VARCHAR(30), id INT, g VARCHAR(10) COLLATE utf8mb4_general_ci AS (LEFT(a, 6)) STORED, PRIMARY KEY (g, id) CLUSTERED, KEY (a))", always(anyText), number),
		table("primary_int", "(a INT, id BIGINT AS (a * 3) STORED PRIMARY KEY, v VARCHAR(20), KEY (v))", number, maybe(anyText)),
		{name: "gen_primary_nonclustered", ddl: []string{create + "(a INT, id BIGINT AS (a * 3) STORED, v VARCHAR(20), PRIMARY KEY (id) NONCLUSTERED)"}, rows: rowsOf(number, maybe(anyText)), ordinal: rowID, columns: []string{"a", "v"}},
		table("unique_virtual", "(id INT PRIMARY KEY, a VARCHAR(30), g VARCHAR(30) AS (REVERSE(a)) VIRTUAL UNIQUE)", number, maybe(str(12, allLetters))),
		table("json_paths", "(id INT PRIMARY KEY, j JSON, a VARCHAR(40) AS (LEFT(j->>'$.a', 40)) VIRTUAL, b JSON AS (j->'$.b') STORED, c INT AS (JSON_LENGTH(j)) VIRTUAL, d VARCHAR(20) AS (JSON_TYPE(j)) STORED, KEY (a), KEY (c), KEY (d))", number, maybe(document)),
		table("json_number", "(id INT PRIMARY KEY, j JSON, n BIGINT AS (CAST(j->'$.n' AS SIGNED)) STORED, KEY (n))", number, maybe(one(`{"n": 5}`, `{"n": "7"}`, `{"n": 1.9}`, `{}`, `{"n": -3}`))),
		lax(table("json_number", "(id INT PRIMARY KEY, j JSON, n BIGINT AS (CAST(j->'$.n' AS SIGNED)) STORED, KEY (n))", number, maybe(one(`{"n": "x"}`, `{"n": "7y"}`, `{"n": [1]}`, `{"n": true}`, `{"n": null}`)))),
		table("dates", "(id INT PRIMARY KEY, d DATETIME(3), y INT AS (YEAR(d)) VIRTUAL, m VARCHAR(7) AS (DATE_FORMAT(d, '%Y-%m')) STORED, l DATETIME(3) AS (d + INTERVAL 90 MINUTE) VIRTUAL, KEY (y), KEY (m), KEY (l))", number, maybe(datetime)),
		{name: "gen_timestamps", zone: "America/New_York", ddl: []string{create + "(id INT PRIMARY KEY, t TIMESTAMP(2), d DATETIME(2) AS (t) STORED, h INT AS (HOUR(t)) VIRTUAL, KEY (h), KEY (d))"}, rows: rowsOf(number, maybe(timestamp))},
		table("collations", "(id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, b VARCHAR(25) COLLATE utf8mb4_unicode_ci AS (CONCAT(a, ' ')) STORED, c VARCHAR(25) COLLATE utf8mb4_bin AS (LOWER(a)) VIRTUAL, KEY (b), KEY (c), KEY (b(2), c(2)))", number, maybe(anyText)),
		table("gbk", "(id INT PRIMARY KEY, a VARCHAR(20) CHARACTER SET gbk COLLATE gbk_chinese_ci, b VARCHAR(25) CHARACTER SET gbk COLLATE gbk_bin AS (CONCAT(a, '中')) STORED, c INT AS (LENGTH(a)) VIRTUAL, KEY (b), KEY (c))", number, maybe(str(6, gbkLetters))),
		table("case", "(id INT PRIMARY KEY, a INT, g VARCHAR(10) AS (CASE WHEN a < 0 THEN 'neg' WHEN a = 0 THEN 'zero' ELSE 'pos' END) VIRTUAL, h INT AS (IFNULL(a, -1)) STORED, KEY (g), UNIQUE KEY (h, id))", number, maybe(small(2))),
		table("hash", "(id INT PRIMARY KEY, a VARCHAR(30), h VARCHAR(64) AS (SHA2(a, 256)) STORED, m BINARY(16) AS (UNHEX(MD5(a))) VIRTUAL, c BIGINT AS (CRC32(a)) STORED, KEY (h), KEY (m), KEY (c))", number, maybe(anyText)),
		table("many", "(id INT PRIMARY KEY, a INT, "+strings.Join(manyGenerated(40), ", ")+")", number, maybe(small(100))),
		table("bits_and_sets", "(id INT PRIMARY KEY, b BIT(12), e ENUM('x','y','z'), s SET('p','q','r'), bn INT AS (b + 0) VIRTUAL, en INT AS (e + 0) STORED, sn INT AS (s + 0) VIRTUAL, KEY (bn), KEY (en), KEY (sn))",
			number, maybe(bit(12)), maybe(enum("x", "y", "z")), maybe(set("p", "q", "r"))),
	}
}

func manyGenerated(n int) []string {
	var out []string
	for i := range n {
		kind := "VIRTUAL"
		if i%2 == 0 {
			kind = "STORED"
		}
		name := "g" + strings.Repeat("x", i)
		out = append(out, name+" INT AS (a + "+strings.Repeat("1", i%5+1)+") "+kind, "KEY k"+name+" ("+name+")")
	}
	return out
}

// checkTables have CHECK constraints that some rows don't meet.
func checkTables() []twin {
	table := func(name, ddl string, cells ...cell) twin {
		return twin{name: "check_" + name, ddl: []string{create + ddl}, rows: rowsOf(cells...)}
	}
	return []twin{
		table("column", "(id INT PRIMARY KEY, a INT CHECK (a > 0), b VARCHAR(20) CHECK (b <> ''))", number, maybe(small(9)), maybe(anyText)),
		table("table", "(id INT PRIMARY KEY, a INT, b INT, CONSTRAINT {t}_ordered CHECK (a < b), CHECK (a + b < 12))", number, maybe(small(9)), maybe(small(9))),
		table("off", "(id INT PRIMARY KEY, a INT, CHECK (a > 0) NOT ENFORCED)", number, maybe(small(9))),
		table("null", "(id INT PRIMARY KEY, a INT, CHECK (a IS NOT NULL))", number, maybe(small(9))),
		table("strings", "(id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_general_ci, b VARCHAR(20), CHECK (a IN ('a', 'B', 'ä') OR a IS NULL), CHECK (LENGTH(b) BETWEEN 1 AND 9))", number, maybe(one("A", "b", "Ä", "c", "a ")), maybe(anyText)),
		table("dates", "(id INT PRIMARY KEY, a DATETIME, b DATE, CHECK (a > '2000-01-01'), CHECK (b <= a))", number, maybe(datetime), maybe(date)),
		table("generated", "(id INT PRIMARY KEY, a INT, g INT AS (a * 2) STORED, v INT AS (a - 3) VIRTUAL, CHECK (g < 8), CHECK (v > -9))", number, maybe(small(9))),
		table("division", "(id INT PRIMARY KEY, a INT, CHECK (10 / a > 3))", number, maybe(small(3))),
		table("json", "(id INT PRIMARY KEY, j JSON, CHECK (JSON_TYPE(j) <> 'ARRAY'))", number, maybe(document)),
		{name: "check_altered", ddl: []string{create + "(id INT PRIMARY KEY, a INT)", "ALTER TABLE {t} ADD CONSTRAINT {t}_c CHECK (a % 3 <> 0)", "ALTER TABLE {t} ADD CONSTRAINT {t}_d CHECK (a > 100)", "ALTER TABLE {t} DROP CONSTRAINT {t}_d"},
			rows: rowsOf(number, maybe(small(9)))},
		{name: "check_lax", zone: "UTC", ddl: []string{create + "(id INT PRIMARY KEY, a TINYINT, b VARCHAR(3), CHECK (a < 127), CHECK (b <> 'abc'))"}, rows: rowsOf(number, maybe(small(200)), maybe(one("ab", "abcd", "x")))},
	}
}

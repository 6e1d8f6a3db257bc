package oracle_test

import (
	"fmt"
	"strings"
)

// indexTables have indexes that the matrix of types doesn't have.
func indexTables() []twin {
	table := func(name, ddl string, cells ...cell) twin {
		return twin{name: "idx_" + name, ddl: []string{create + ddl}, rows: rowsOf(cells...)}
	}
	pairs := []cell{number, maybe(anyText), maybe(small(5)), maybe(str(10, allLetters))}
	out := []twin{
		table("expressions", "(id INT PRIMARY KEY, a VARCHAR(20), b INT, c VARCHAR(20) COLLATE utf8mb4_general_ci, KEY ((LOWER(a))), UNIQUE KEY ((MD5(a)), id), KEY (b, (UPPER(c)), a(3)), KEY ((REVERSE(c)), (LOWER(a))))", pairs...),
		table("expression_numbers", "(id INT PRIMARY KEY, a VARCHAR(20), b INT, c VARCHAR(20), KEY ((b + 1)), KEY ((b * 2 + id)), UNIQUE KEY ((id * 3), b), KEY ((MD5(a))))", pairs...),
		table("expression_unique", "(id INT PRIMARY KEY, a VARCHAR(20), b INT, c VARCHAR(20), UNIQUE KEY ((LOWER(a)), id), UNIQUE KEY ((MD5(id))))", pairs...),
		table("expression_shard", "(id INT, a VARCHAR(20), b INT, c VARCHAR(20), PRIMARY KEY (id) CLUSTERED, UNIQUE KEY ((TIDB_SHARD(id)), id), KEY ((VITESS_HASH(id)), a))", pairs...),
		table("unique_nulls", "(id INT PRIMARY KEY, a VARCHAR(20), b INT, c VARCHAR(20), UNIQUE KEY (a, b, c), UNIQUE KEY (b, c, id), UNIQUE KEY (c(2), a(2), b, id))", pairs...),
		table("prefix_edges", "(id INT PRIMARY KEY, a VARCHAR(20), b INT, c VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, KEY (a(1)), KEY (a(19)), KEY (a(20)), KEY (c(1), a(1)), KEY (c(10)), UNIQUE KEY (c(1), a(1), id))", pairs...),
		table("same_columns", "(id INT PRIMARY KEY, a VARCHAR(20), b INT, c VARCHAR(20), KEY k1 (a), KEY k2 (a), UNIQUE KEY k3 (a, id), KEY k4 (id), KEY k5 (id, a), UNIQUE KEY k6 (id))", pairs...),
		table("clustered_shared", "(id VARCHAR(10) COLLATE utf8mb4_general_ci, a VARCHAR(20), b INT, c VARCHAR(20), PRIMARY KEY (id) CLUSTERED, KEY (id), KEY (id(1)), KEY (a, id), UNIQUE KEY (id, a), KEY (b))", pairs...),
		table("clustered_prefix", "(id INT, a VARCHAR(20) COLLATE utf8mb4_unicode_ci NOT NULL, b INT, c VARCHAR(20), PRIMARY KEY (a(3), id) CLUSTERED, KEY (a), KEY (a(2)), KEY (c, a(5)), UNIQUE KEY (b, id))",
			number, always(anyText), maybe(small(5)), maybe(anyText)),
		table("descending", "(id INT PRIMARY KEY, a VARCHAR(20), b INT, c VARCHAR(20), KEY (a DESC), KEY (b DESC, a ASC), UNIQUE KEY (id DESC, b))", pairs...),
		table("invisible", "(id INT PRIMARY KEY, a VARCHAR(20), b INT, c VARCHAR(20), KEY (a) INVISIBLE, UNIQUE KEY (b, id) INVISIBLE COMMENT 'not seen', KEY USING HASH (c))", pairs...),
	}
	var columns, keys []string
	cells := []cell{number}
	for i := range 16 {
		columns = append(columns, fmt.Sprintf("c%d INT", i))
		cells = append(cells, maybe(small(3)))
		keys = append(keys, fmt.Sprint("c", i))
	}
	out = append(out, table("sixteen", "(id INT PRIMARY KEY, "+strings.Join(columns, ", ")+", KEY ("+strings.Join(keys, ",")+"), UNIQUE KEY (id, "+strings.Join(keys[1:], ",")+"))", cells...))
	keys = nil
	for i := range 60 {
		keys = append(keys, fmt.Sprintf("KEY k%d (a, b, c(%d))", i, i%20+1))
	}
	return append(out, table("sixty", "(id INT PRIMARY KEY, a VARCHAR(20), b INT, c VARCHAR(20), "+strings.Join(keys, ", ")+")", pairs...))
}

// multiValuedTables have indexes on the elements of JSON arrays.
func multiValuedTables() []twin {
	var out []twin
	arrays := map[string]random{
		"UNSIGNED": list(integer(64, true)), "SIGNED": list(integer(64, false)), "CHAR(10)": list(quoted(str(5, allLetters))), "BINARY(8)": list(quoted(str(4, plainLetters))),
		"DATE": list(quoted(date)), "DATETIME": list(quoted(datetime)), "TIME": list(quoted(duration)), "DOUBLE": list(float(9, -1, false)),
	}
	for i, of := range []string{"UNSIGNED", "SIGNED", "CHAR(10)", "BINARY(8)", "DATE", "DATETIME", "TIME", "DOUBLE"} {
		add := func(kind, ddl string, ordinal []string, cells ...cell) {
			name := strings.ToLower(strings.TrimRight(strings.ReplaceAll(of, "(", ""), ")"))
			out = append(out, twin{name: fmt.Sprintf("mv_%s_%s", name, kind), ddl: []string{create + strings.ReplaceAll(ddl, "{of}", of)}, ordinal: ordinal, rows: after(
				[][]value{{text("9001"), text("[]"), text("x")}, {text("9002"), text("null"), text("x")}, {text("9003"), text(`{"a": 1}`), nil}, {text("9004"), text(`["zz", null]`), nil}, {text("9005"), text(`"abc"`), nil}, {text("9006"), text("7"), nil}},
				rowsOf(cells...))})
		}
		cells := []cell{number, maybe(arrays[of]), maybe(anyText)}
		add("plain", "(id INT PRIMARY KEY, j JSON, s VARCHAR(20), KEY mv ((CAST(j AS {of} ARRAY))))", nil, cells...)
		switch i % 3 {
		case 0:
			add("composite", "(id INT, j JSON, s VARCHAR(20), KEY mv (s, (CAST(j AS {of} ARRAY)), id))", rowID, cells...)
		case 1:
			add("clustered", "(id VARCHAR(10), j JSON, s VARCHAR(20), PRIMARY KEY (id) CLUSTERED, KEY mv ((CAST(j AS {of} ARRAY)), s(2)))", nil, cells...)
		default:
			add("unique", "(id INT PRIMARY KEY, j JSON, s VARCHAR(20), UNIQUE KEY mv ((CAST(j AS {of} ARRAY)), id))", nil, cells...)
		}
	}
	paths := func(r random) random {
		return func(x rnd) string { return `{"a": ` + r(x) + `, "b": {"c": [` + r(x) + `]}}` }
	}
	return append(out,
		twin{name: "mv_path", ddl: []string{create + "(id INT PRIMARY KEY, j JSON, KEY ((CAST(j->'$.a' AS UNSIGNED ARRAY))), KEY ((CAST(j->'$.b.c[*]' AS CHAR(20) ARRAY))))"},
			rows: rowsOf(number, maybe(paths(list(small(50)))))},
		twin{name: "mv_unique", ddl: []string{create + "(id INT PRIMARY KEY, j JSON, UNIQUE KEY ((CAST(j AS SIGNED ARRAY))))"}, rows: rowsOf(number, maybe(list(integer(64, false))))},
		twin{name: "mv_lax", zone: "UTC", ddl: []string{create + "(id INT PRIMARY KEY, j JSON, KEY ((CAST(j AS UNSIGNED ARRAY))))"}, rows: rowsOf(number, maybe(list(integer(8, false))))},
	)
}

// list is a JSON array; elements come twice now and then.
func list(of random) random {
	return func(r rnd) string {
		var parts []string
		for range r.IntN(5) {
			parts = append(parts, of(r))
			if r.IntN(4) == 0 {
				parts = append(parts, parts[0])
			}
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
}

func quoted(of random) random {
	return func(r rnd) string {
		var b strings.Builder
		writeJSONString(&b, of(r), r)
		return b.String()
	}
}

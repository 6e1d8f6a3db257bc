package oracle_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// typeCase is a column type with the texts to try in it.
type typeCase struct {
	sql    string
	values []string
	// string types get prefix indexes too.
	isString bool
	// noIndex is for types that can't be indexed, prefixOnly for those that can only with a prefix.
	noIndex, prefixOnly bool
}

var integers = []string{
	"0", "1", "-1", "7", "42", "+5", "007", "-0", "127", "128", "-128", "-129", "255", "256", "32767", "32768", "-32768",
	"65535", "65536", "8388607", "8388608", "16777215", "16777216", "2147483647", "2147483648", "-2147483648",
	"4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
	"18446744073709551615", "18446744073709551616", "10000000000000000000", "99999999999999999999",
	"", " 5", "5 ", "1.4", "1.5", "-1.5", "1e3", "1e30", "abc", "12abc", "0x10", "1,000", "-", "+", ".", "00000000000000000000001",
}

var decimals = []string{
	"0", "1", "-1", "0.5", "-0.5", ".5", "5.", "1.25", "1.255", "-1.255", "123.45", "99999999.99", "-99999999.99", "100000000", "99999999.995",
	"0.00", "-0.00", "-0.001", "0.0001", "0.9999", "1e2", "1.5e-1", "12345", "99999", "99999.5", "000123.40", "1.500", "123456789.123456789",
	"99999999999999999999999999999999999.999999999999999999999999999999", "12345678901234567890123456789012345.123456789012345678901234567891",
	"", " 1.5", "1.5 ", "abc", "1.2.3", "--1", "+1.5", "1e400", strings.Repeat("0", 90) + "1", "0." + strings.Repeat("0", 90) + "1",
}

var floats = []string{
	"0", "-0", "1", "-1.5", "3.14159265358979", "1e10", "-1E-5", "1.", ".5", "+2.5", "123.4567", "9999.9994", "9999.9999", "1e38", "3.5e38", "1e308", "1e309", "1e-400",
	"", "abc", "1abc", " 7", "inf", "nan", "0x1p4", "1e", "1e+", "1_000", "--5",
}

var dates = []string{
	"2024-01-02", "2024-02-29", "2023-02-29", "2000-02-29", "1900-02-29", "1000-01-01", "0001-01-01", "9999-12-31", "0000-00-00", "2024-00-00", "2024-01-00", "2024-13-01", "2024-04-31",
	"2024-01-02 03:04:05", "2024-01-02T03:04:05", "2024-01-02 23:59:59", "2024-01-02 24:00:00", "2024-01-02 03:60:00", "2024-01-02 03:04:60",
	"2024-01-02 03:04:05.1", "2024-01-02 03:04:05.123", "2024-01-02 03:04:05.123456", "2024-01-02 03:04:05.1234567", "2024-01-02 23:59:59.999999", "9999-12-31 23:59:59.999999", "2024-01-02 03:04:05.", "2024-01-02 03:04:05.5", "2024-12-31 23:59:59.6",
	"2024-1-2", "24-01-02", "20240102", "20240102030405", "240102", "2024/01/02", "2024-01-02 03:04", "2024-01-02 03", "2024-01-02 3:4:5", "2024.01.02",
	"2024-01-02 03:04:05+00:00", "2024-01-02 03:04:05-08:00", "2024-01-02T03:04:05Z", "2024-03-10 02:30:00", "2024-11-03 01:30:00", "2024-03-10 01:59:59", "2024-03-10 03:00:00", "2024-06-01 12:00:00", "2024-11-03 00:59:59",
	"1970-01-01 00:00:00", "1970-01-01 00:00:01", "1970-01-01 08:00:01", "1970-01-03 00:00:01", "2038-01-19 03:14:07", "2038-01-19 03:14:08", "2038-01-18 00:00:00", "1969-12-31 19:00:01", "2037-06-01 00:00:00", "1986-05-04 10:00:00",
	"", " ", "abc", " 2024-01-02", "2024-01-02 ", "2024-01-02 03:04:05 x", "99999-01-01", "0", "2024-01-02 03:04:05.abc", "0000-01-01", "0000-01-01 00:00:01",
}

var durations = []string{
	"00:00:00", "12:34:56", "-12:34:56", "838:59:59", "-838:59:59", "838:59:59.5", "838:59:58.999999", "839:00:00", "100:00:00", "1:02:03", "12:34", "123456", "34", "1 02:03:04",
	"12:34:56.1", "12:34:56.123", "12:34:56.123456", "12:34:56.9999999", "12:34:56.", "-00:00:00", "-00:00:00.000001", "12:60:00", "12:00:60", "2024-01-02 03:04:05", "20240102030405", "",
	"abc", " 12:34:56", "12:34:56 ", "+12:34:56", "012:34:56", "000:00:01", "0012:34:56", "12:34:56abc", "12.5",
}

var strs = []string{
	"", "a", "abc", "ABC", "abc ", "abc   ", " abc", "a b", "ab\tc", "1234567890", "12345678901", "12345678901234567890", "123456789012345678901",
	"äöü", "ÄÖÜ", "日本語テキスト", "日本語テキストが長いです", "😀", "😀😀😀😀😀😀😀😀😀😀", "😀😀😀😀😀😀😀😀😀😀😀", "ß", "ss", "e\u0301", "\u00e9", "1234567890   ", "12345678901234567890     ",
	"a'b", `a\b`, "a\x00b", "\xff", "abc\xff\xfe", "\xed\xa0\x80", "\xf0\x9f\x98", "\xc3\x28", "é   ", "ﬀ", "İ", "ｱ", "12345678é", "中文", "中 文 ",
}

var names = []string{"red", "green", "blue", "RED", "Green", "red ", " red", "", "1", "2", "3", "4", "0", "-1", "x", "red,green", "green,red", "red,red", "red,", ",red", "red,x", "a,b", "7", "8", "0x1", "grün", "GRÜN"}

var bits = []string{"", "\x00", "\x01", "\x02", "1", "0", "a", "ab", "\x00\x00\x01", "\xff", "\xff\xff", "\x0f\xff\xff", "\x10\x00\x00", "12345678", "123456789", "\x00123456789", "\xff\xff\xff\xff\xff\xff\xff\xff"}

var jsons = []string{
	`{}`, `[]`, `null`, `true`, `1`, `-1`, `1.5`, `"abc"`, `{"a": 1, "b": [1, 2, {"c": null}]}`, `{"b":1,"a":2}`, `{"a":1,"a":2}`, `18446744073709551615`, `1e100`, ` {"x" : "y"} `,
	`"日本語"`, `"\u00e9"`, `[` + strings.Repeat("1,", 300) + `1]`, ``, `{`, `abc`, `{"a":}`, `"unterminated`, `1 2`, "\"\xff\"", `{"":""}`, `"` + strings.Repeat("x", 70000) + `"`,
}

var years = []string{"2024", "1901", "2155", "1900", "2156", "0", "00", "000", "0000", "1", "69", "70", "99", "100", "abc", "", " 2024", "2024 ", "2024.5", "-1", "02024"}

func collationCases() []typeCase {
	var cases []typeCase
	for _, c := range []string{"utf8mb4 COLLATE utf8mb4_bin", "utf8mb4 COLLATE utf8mb4_general_ci", "utf8mb4 COLLATE utf8mb4_unicode_ci",
		"utf8mb4 COLLATE utf8mb4_0900_ai_ci", "utf8mb4 COLLATE utf8mb4_0900_bin", "utf8 COLLATE utf8_bin", "utf8 COLLATE utf8_general_ci",
		"latin1 COLLATE latin1_bin", "ascii COLLATE ascii_bin", "gbk COLLATE gbk_chinese_ci", "gbk COLLATE gbk_bin"} {
		cases = append(cases,
			typeCase{sql: "CHAR(10) CHARACTER SET " + c, values: strs, isString: true},
			typeCase{sql: "VARCHAR(20) CHARACTER SET " + c, values: strs, isString: true},
			typeCase{sql: "TEXT CHARACTER SET " + c, values: strs, isString: true, prefixOnly: true})
	}
	return cases
}

func typeCases() []typeCase {
	var cases []typeCase
	add := func(values []string, types ...string) {
		for _, sql := range types {
			cases = append(cases, typeCase{sql: sql, values: values})
		}
	}
	add(integers, "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "TINYINT UNSIGNED", "SMALLINT UNSIGNED", "MEDIUMINT UNSIGNED",
		"INT UNSIGNED", "BIGINT UNSIGNED", "INT(8) ZEROFILL", "BOOL")
	add(decimals, "DECIMAL(10,2)", "DECIMAL(65,30)", "DECIMAL(5,0)", "DECIMAL(4,4)", "DECIMAL(12,2) UNSIGNED", "DECIMAL(18,9)", "DECIMAL(27,9)", "DECIMAL(20,10)", "DECIMAL(1,0)", "DECIMAL(30,30)")
	add(floats, "FLOAT", "DOUBLE", "FLOAT(7,3)", "DOUBLE(8,4)", "FLOAT UNSIGNED", "DOUBLE UNSIGNED", "FLOAT(30)")
	add(dates, "DATE", "DATETIME", "DATETIME(3)", "DATETIME(6)", "TIMESTAMP", "TIMESTAMP(2)", "TIMESTAMP(6)")
	add(durations, "TIME", "TIME(3)", "TIME(6)")
	add(years, "YEAR")
	add(names, "ENUM('red','green','blue')", "SET('red','green','blue')", "ENUM('red','Green','grün','') COLLATE utf8mb4_general_ci", "SET('red','Green','grün') COLLATE utf8mb4_general_ci", "ENUM('2','1','x')")
	add(bits, "BIT(1)", "BIT(8)", "BIT(20)", "BIT(64)")
	cases = append(cases,
		typeCase{sql: "BINARY(8)", values: strs, isString: true},
		typeCase{sql: "VARBINARY(20)", values: strs, isString: true},
		typeCase{sql: "BLOB", values: strs, isString: true, prefixOnly: true},
		typeCase{sql: "TINYBLOB", values: append([]string{strings.Repeat("x", 255), strings.Repeat("x", 256)}, strs...), isString: true, prefixOnly: true},
		typeCase{sql: "TINYTEXT", values: append([]string{strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("é", 128)}, strs...), isString: true, prefixOnly: true},
		typeCase{sql: "MEDIUMTEXT", values: append([]string{strings.Repeat("x", 65535), strings.Repeat("x", 65536), strings.Repeat("yz", 100000)}, strs...), isString: true, prefixOnly: true},
		typeCase{sql: "LONGTEXT", values: strs, isString: true, prefixOnly: true},
		typeCase{sql: "JSON", values: jsons, noIndex: true},
		typeCase{sql: "VECTOR", values: []string{"[]", "[1]", "[1.5,2,-3e5]", "", "x", "[1,", "[nan]"}, noIndex: true},
		typeCase{sql: "VECTOR(3)", values: []string{"[]", "[1,2,3]", "[1]"}, noIndex: true},
	)
	return append(cases, collationCases()...)
}

// indexDDL is every kind of index that the type allows.
func (c typeCase) indexDDL() string {
	switch {
	case c.noIndex:
		return ", KEY ks (s)"
	case c.prefixOnly:
		return ", KEY kp (v(3)), UNIQUE KEY up (v(5), n), KEY kc (s, v(2), n), KEY kd (n, v(100))"
	case c.isString:
		return ", KEY kv (v), UNIQUE KEY uv (v, n), KEY kp (v(3)), UNIQUE KEY up (v(5), n), KEY kc (s, v(2), n), KEY kd (s(2), n), UNIQUE KEY ux (x)"
	default:
		return ", KEY kv (v), UNIQUE KEY uv (v, n), KEY kc (s, v, n), KEY kd (n, s(3)), UNIQUE KEY ux (x)"
	}
}

func (c typeCase) rows() [][]value {
	rows := [][]value{{text("1"), nil, nil, nil, nil}, {text("2"), nil, text("tail  "), text("5"), text("x1")}}
	companions := []value{text("Äpfel"), text("pad   "), text(""), nil}
	for i, v := range c.values {
		var n, x value
		if i%3 != 0 {
			n = text(fmt.Sprint(i))
		}
		if i%2 == 0 {
			x = text(fmt.Sprint("x", i))
		}
		rows = append(rows, []value{text(fmt.Sprint(10 + i)), text(v), companions[i%len(companions)], n, x})
	}
	return rows
}

const companionColumns = ", s VARCHAR(20) COLLATE utf8mb4_general_ci, n INT, x VARCHAR(10) COLLATE utf8mb4_bin"

// shapes gives the type in tables of each kind of handle.
func (c typeCase) shapes(i int) []shape {
	body := "v " + c.sql + companionColumns + c.indexDDL()
	shapes := []shape{
		{name: fmt.Sprintf("a%d", i), ddl: "(id BIGINT PRIMARY KEY, " + body + ")", rows: c.rows()},
		{name: fmt.Sprintf("b%d", i), ddl: "(id BIGINT UNSIGNED, " + body + ")", rows: c.rows(),
			idQuery: fmt.Sprintf("SELECT _tidb_rowid FROM b%d ORDER BY _tidb_rowid", i)},
	}
	if c.noIndex || strings.HasPrefix(c.sql, "ENUM('red','Green'") {
		return append(shapes, shape{name: fmt.Sprintf("c%d", i), rows: c.rows(), ddl: "(id DECIMAL(6,0), " + body + ", PRIMARY KEY (id) CLUSTERED)"})
	}
	key := "v, id"
	if c.isString {
		key = "v(6), id"
	}
	shapes = append(shapes, shape{name: fmt.Sprintf("d%d", i), rows: c.rows(), ddl: "(id INT, " + body + ", PRIMARY KEY (" + key + ") CLUSTERED)"})
	if c.isString && !c.prefixOnly {
		shapes = append(shapes, shape{name: fmt.Sprintf("e%d", i), rows: c.rows(), ddl: "(id INT, " + body + ", PRIMARY KEY (v) CLUSTERED)"})
	}
	return shapes
}

// judgeTypes runs every type that keep lets through; turn says which kind of
// table each type gets when not all of them are asked for.
func judgeTypes(t *testing.T, sqlMode, timeZone string, turn int, keep func(typeCase) bool) {
	j := newJudge(t, sqlMode, timeZone)
	count := 0
	for i, c := range typeCases() {
		if !keep(c) {
			continue
		}
		shapes := c.shapes(i)
		if !full {
			k := (i + turn) % len(shapes)
			shapes = shapes[k : k+1]
		}
		for _, s := range shapes {
			count++
			t.Run(s.name, func(t *testing.T) { j.run(t, s) })
		}
	}
	t.Logf("%d shapes, %d rows equal, %d refused alike, %d with warnings", count, j.inserted, j.refused, j.warned)
	require.Positive(t, j.inserted)
}

func every(typeCase) bool { return true }

func isTemporal(c typeCase) bool {
	return strings.HasPrefix(c.sql, "DATE") || strings.HasPrefix(c.sql, "TIME") || strings.HasPrefix(c.sql, "YEAR")
}

func TestTypesStrict(t *testing.T) {
	t.Parallel()
	judgeTypes(t, strictMode, "UTC", 0, every)
}

func TestTypesLax(t *testing.T) {
	t.Parallel()
	judgeTypes(t, "", "Asia/Shanghai", 1, every)
}

func TestTimesAcrossZones(t *testing.T) {
	t.Parallel()
	for i, zone := range []string{"America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Europe/London"} {
		judgeTypes(t, strictMode, zone, i, isTemporal)
	}
}

func TestTimesUnderModes(t *testing.T) {
	t.Parallel()
	for i, mode := range []string{"STRICT_TRANS_TABLES", "STRICT_TRANS_TABLES,ALLOW_INVALID_DATES", "NO_ZERO_DATE,NO_ZERO_IN_DATE",
		"STRICT_ALL_TABLES,NO_ZERO_DATE", "STRICT_ALL_TABLES,NO_ZERO_IN_DATE", "ALLOW_INVALID_DATES"} {
		judgeTypes(t, mode, "Europe/London", i, isTemporal)
	}
}

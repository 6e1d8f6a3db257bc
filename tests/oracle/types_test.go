package oracle_test

import (
	"fmt"
	"strings"
)

// class is what types have in common: which partitions, generated columns and checks make sense for them.
type class uint8

const (
	classInt class = iota
	classDecimal
	classFloat
	classDate // DATE and DATETIME
	classTimestamp
	classTime
	classYear
	classEnum
	classBit
	classBytes
	classText
	classJSON
	classVector
)

// typeCase is a column type with the texts to try in it.
type typeCase struct {
	sql    string
	class  class
	values []string // edge values
	random random
	// string types get prefix indexes too.
	isString bool
	// noIndex is for types that can't be indexed, prefixOnly for those that can only with a prefix.
	noIndex, prefixOnly bool
	// once is one of a long series, BIT(1) to BIT(64): one kind of table is enough for each.
	once bool
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

// collations are TiDB's, all but binary: TestCollationsAreComplete.
var collations = []struct {
	charset, collation string
	letters            []rune
}{
	{"utf8mb4", "utf8mb4_bin", allLetters}, {"utf8mb4", "utf8mb4_general_ci", allLetters}, {"utf8mb4", "utf8mb4_unicode_ci", allLetters},
	{"utf8mb4", "utf8mb4_0900_ai_ci", allLetters}, {"utf8mb4", "utf8mb4_0900_bin", allLetters},
	{"utf8", "utf8_bin", bmpLetters}, {"utf8", "utf8_general_ci", bmpLetters}, {"utf8", "utf8_unicode_ci", bmpLetters},
	{"latin1", "latin1_bin", latinLetters}, {"ascii", "ascii_bin", asciiLetters},
	{"gbk", "gbk_chinese_ci", gbkLetters}, {"gbk", "gbk_bin", gbkLetters},
}

func collationCases() []typeCase {
	var cases []typeCase
	for _, c := range collations {
		of := " CHARACTER SET " + c.charset + " COLLATE " + c.collation
		cases = append(cases,
			typeCase{sql: "CHAR(10)" + of, class: classText, values: strs, random: str(10, c.letters), isString: true},
			typeCase{sql: "VARCHAR(20)" + of, class: classText, values: strs, random: str(20, c.letters), isString: true},
			typeCase{sql: "TEXT" + of, class: classText, values: strs, random: str(30, c.letters), isString: true, prefixOnly: true})
	}
	return cases
}

func numberCases() []typeCase {
	var cases []typeCase
	add := func(class class, values []string, sql string, random random) {
		cases = append(cases, typeCase{sql: sql, class: class, values: values, random: random})
	}
	for _, t := range []struct {
		name string
		bits int
	}{{"TINYINT", 8}, {"SMALLINT", 16}, {"MEDIUMINT", 24}, {"INT", 32}, {"BIGINT", 64}} {
		add(classInt, integers, t.name, integer(t.bits, false))
		add(classInt, integers, t.name+" UNSIGNED", integer(t.bits, true))
		add(classInt, integers, t.name+"(6) ZEROFILL", integer(t.bits, true))
	}
	add(classInt, integers, "BOOL", integer(8, false))
	for _, d := range [][2]int{{10, 2}, {65, 30}, {5, 0}, {4, 4}, {18, 9}, {27, 9}, {20, 10}, {1, 0}, {30, 30}, {65, 0}, {9, 0}} {
		add(classDecimal, decimals, fmt.Sprintf("DECIMAL(%d,%d)", d[0], d[1]), decimal(d[0], d[1], false))
	}
	add(classDecimal, decimals, "DECIMAL(12,2) UNSIGNED", decimal(12, 2, true))
	add(classDecimal, decimals, "DECIMAL(65,30) UNSIGNED", decimal(65, 30, true))
	add(classDecimal, decimals, "DECIMAL(8,3) ZEROFILL", decimal(8, 3, true))
	add(classFloat, floats, "FLOAT", float(37, -1, false))
	add(classFloat, floats, "DOUBLE", float(300, -1, false))
	add(classFloat, floats, "FLOAT(7,3)", float(4, 3, false))
	add(classFloat, floats, "DOUBLE(8,4)", float(4, 4, false))
	add(classFloat, floats, "FLOAT UNSIGNED", float(37, -1, true))
	add(classFloat, floats, "DOUBLE UNSIGNED", float(300, -1, true))
	add(classFloat, floats, "DOUBLE ZEROFILL", float(300, -1, true))
	add(classFloat, floats, "FLOAT(30)", float(300, -1, false))
	return cases
}

func temporalCases() []typeCase {
	cases := []typeCase{{sql: "DATE", class: classDate, values: dates, random: datetime}, {sql: "YEAR", class: classYear, values: years, random: year}}
	for fsp := range 7 {
		of := fmt.Sprintf("(%d)", fsp)
		cases = append(cases,
			typeCase{sql: "DATETIME" + of, class: classDate, values: dates, random: datetime},
			typeCase{sql: "TIMESTAMP" + of, class: classTimestamp, values: dates, random: timestamp},
			typeCase{sql: "TIME" + of, class: classTime, values: durations, random: duration})
	}
	return cases
}

func nameCases() []typeCase {
	cases := []typeCase{
		{sql: "ENUM('red','green','blue')", random: enum("red", "green", "blue")},
		{sql: "SET('red','green','blue')", random: set("red", "green", "blue")},
		{sql: "ENUM('red','Green','grün','') COLLATE utf8mb4_general_ci", random: enum("red", "Green", "grün", "")},
		{sql: "SET('red','Green','grün') COLLATE utf8mb4_general_ci", random: set("red", "Green", "grün")},
		{sql: "ENUM('red','Rot','grün') COLLATE utf8mb4_0900_ai_ci", random: enum("red", "Rot", "grün", "grun")},
		{sql: "SET('red','green') CHARACTER SET latin1", random: set("red", "green")},
		{sql: "ENUM('中文','red') CHARACTER SET gbk COLLATE gbk_chinese_ci", random: enum("中文", "red")},
		{sql: "ENUM('2','1','x')", random: enum("2", "1", "x")},
		{sql: "SET('2','1','x')", random: set("2", "1", "x")},
	}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprint("e", i))
	}
	quoted := func(names []string) string { return "('" + strings.Join(names, "','") + "')" }
	cases = append(cases, typeCase{sql: "ENUM" + quoted(many), random: enum(many...)}, typeCase{sql: "SET" + quoted(many[:64]), random: set(many[:64]...)})
	for i := range cases {
		cases[i].class, cases[i].values = classEnum, append([]string{"e0", "e255", "e256", "E63", "300", "301", "9223372036854775808", "18446744073709551615", "e0,e63"}, names...)
	}
	return cases
}

func bitCases() []typeCase {
	var cases []typeCase
	for n := 1; n <= 64; n++ {
		cases = append(cases, typeCase{sql: fmt.Sprintf("BIT(%d)", n), class: classBit, values: bits, random: bit(n), once: n != 1 && n != 20 && n != 64})
	}
	return cases
}

func byteCases() []typeCase {
	long := func(values ...string) []string { return append(values, strs...) }
	cases := []typeCase{
		{sql: "BINARY(1)", random: anyBytes(1)}, {sql: "BINARY(8)", random: anyBytes(8)}, {sql: "BINARY(255)", random: anyBytes(40)},
		{sql: "VARBINARY(20)", random: anyBytes(20)}, {sql: "VARBINARY(300)", values: long(strings.Repeat("v", 300), strings.Repeat("v", 301)), random: anyBytes(40)},
		{sql: "BLOB", random: anyBytes(40), prefixOnly: true},
		{sql: "TINYBLOB", values: long(strings.Repeat("x", 255), strings.Repeat("x", 256)), random: anyBytes(40), prefixOnly: true},
		{sql: "MEDIUMBLOB", values: long(strings.Repeat("x", 65536)), random: anyBytes(40), prefixOnly: true},
		{sql: "LONGBLOB", random: anyBytes(40), prefixOnly: true},
	}
	for i := range cases {
		cases[i].class, cases[i].isString = classBytes, true
		if cases[i].values == nil {
			cases[i].values = strs
		}
	}
	texts := []typeCase{
		{sql: "TINYTEXT", values: long(strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("é", 128))},
		{sql: "MEDIUMTEXT", values: long(strings.Repeat("x", 65535), strings.Repeat("x", 65536), strings.Repeat("yz", 100000))},
		{sql: "LONGTEXT", values: strs},
	}
	for _, c := range texts {
		c.class, c.isString, c.prefixOnly, c.random = classText, true, true, str(40, allLetters)
		cases = append(cases, c)
	}
	return cases
}

func typeCases() []typeCase {
	var cases []typeCase
	for _, group := range [][]typeCase{numberCases(), temporalCases(), nameCases(), byteCases(), collationCases(), bitCases()} {
		cases = append(cases, group...)
	}
	return append(cases,
		typeCase{sql: "JSON", class: classJSON, values: jsons, random: document, noIndex: true},
		typeCase{sql: "VECTOR", class: classVector, values: []string{"[]", "[1]", "[1.5,2,-3e5]", "", "x", "[1,", "[nan]"}, random: vector(0), noIndex: true},
		typeCase{sql: "VECTOR(3)", class: classVector, values: []string{"[]", "[1,2,3]", "[1]"}, random: vector(3), noIndex: true})
}

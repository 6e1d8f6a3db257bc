package encode

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// family is a set of types with texts to start from.
type family struct {
	types []string
	seeds []string
	// gen makes a plain spelling.
	gen func(r *rand.Rand) string
}

func digits(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + r.Intn(10))
	}
	return string(b)
}

func pick(r *rand.Rand, ss ...string) string { return ss[r.Intn(len(ss))] }

func genInt(r *rand.Rand) string { return pick(r, "", "", "-", "+") + digits(r, 1+r.Intn(21)) }

func genDecimal(r *rand.Rand) string {
	return pick(r, "", "-", "+") + digits(r, r.Intn(12)) + pick(r, "", ".") + digits(r, r.Intn(6))
}

func genLongDecimal(r *rand.Rand) string {
	return pick(r, "", "-") + digits(r, r.Intn(40)) + "." + digits(r, r.Intn(35))
}

func genFloat(r *rand.Rand) string {
	return genDecimal(r) + pick(r, "", "", fmt.Sprintf("e%d", r.Intn(700)-350), fmt.Sprintf("E+%d", r.Intn(40)))
}

func genTime(r *rand.Rand) string {
	t := time.Unix(r.Int63n(6e9)-1e9, 0).UTC()
	s := t.Format(pick(r, "2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04"))
	return s + pick(r, "", "", "", "."+digits(r, 1+r.Intn(7)))
}

func genDuration(r *rand.Rand) string {
	return fmt.Sprintf("%s%0*d:%02d:%02d", pick(r, "", "-"), 2+r.Intn(2), r.Intn(900), r.Intn(62), r.Intn(62)) + pick(r, "", "", "."+digits(r, 1+r.Intn(7)))
}

func genText(r *rand.Rand) string {
	var b strings.Builder
	for n := r.Intn(14); n > 0; n-- {
		b.WriteString(pick(r, "a", "Z", " ", "0", "é", "ß", "日", "😀", ",", "\x00", "\xff", "red", "\xed\xa0\x80"))
	}
	return b.String()
}

func families() []family {
	return []family{
		{types: []string{"TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "TINYINT UNSIGNED", "SMALLINT UNSIGNED", "MEDIUMINT UNSIGNED", "INT UNSIGNED", "BIGINT UNSIGNED", "YEAR"},
			seeds: []string{"0", "-0", "127", "-128", "255", "65535", "2147483647", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "18446744073709551616", "1901", "2155", ""}, gen: genInt},
		{types: []string{"DECIMAL(10,2)", "DECIMAL(5,0)", "DECIMAL(4,4)", "DECIMAL(18,9)", "DECIMAL(12,2) UNSIGNED", "DECIMAL(9,0)", "DECIMAL(1,1)"},
			seeds: []string{"0", "-0.00", "99999999.99", "-99999999.99", ".5", "5.", ".", "0.0001", "000001.50"}, gen: genDecimal},
		{types: []string{"DECIMAL(65,30)", "DECIMAL(65,0)", "DECIMAL(30,30)", "DECIMAL(27,18)"},
			seeds: []string{strings.Repeat("9", 35) + "." + strings.Repeat("9", 30), strings.Repeat("0", 80) + "1"}, gen: genLongDecimal},
		{types: []string{"FLOAT", "DOUBLE", "FLOAT(7,3)", "DOUBLE(8,4)", "FLOAT UNSIGNED"},
			seeds: []string{"-0", "1e308", "1e309", "3.4e38", "3.5e38", "1e", "-", "0x10", "inf", "nan", "1_0"}, gen: genFloat},
		{types: []string{"DATE", "DATETIME", "DATETIME(3)", "DATETIME(6)", "TIMESTAMP", "TIMESTAMP(6)"},
			seeds: []string{"2024-02-29", "2023-02-29", "0000-00-00", "2024-00-01", "9999-12-31 23:59:59.9", "1970-01-01 00:00:01", "2038-01-19 03:14:07", "2024-03-10 02:30:00", "2024-11-03 01:30:00", "0001-01-01 00:00:00", "1000-01-01",
				"1900-02-29", "2000-02-29", "2100-02-28", "2100-02-29", "2024-03-31 01:30:00", "2024-10-27 01:30:00", "2024-03-30 23:00:00", "2024-11-02 23:59:59"}, gen: genTime},
		{types: []string{"TIME", "TIME(3)", "TIME(6)"}, seeds: []string{"838:59:59", "-838:59:59", "838:59:59.1", "00:00:00", "-00:00:00", "12:34", "1 02:03:04"}, gen: genDuration},
		{types: []string{"CHAR(6)", "VARCHAR(6)", "TINYTEXT", "TEXT", "BINARY(6)", "VARBINARY(6)", "BLOB", "CHAR(6) CHARACTER SET latin1", "VARCHAR(6) CHARACTER SET ascii", "VARCHAR(6) CHARACTER SET gbk",
			"VARCHAR(6) CHARACTER SET utf8", "ENUM('red','a','','0','Z')", "SET('red','a','0','Z')", "BIT(1)", "BIT(12)", "BIT(64)", "JSON"},
			seeds: []string{strings.Repeat("é", 127), strings.Repeat("é", 128), "", "abcdef", "abcdefg", "abcdef ", "   ", "red,a", "red,", ",", "{}", `{"a":[1,2]}`, "12345678", "123456789", "\x00\x00\x01"}, gen: genText},
	}
}

// mutate changes a text a little.
func mutate(r *rand.Rand, s string) string {
	b := []byte(s)
	alphabet := "0123456789-+.: eETx,\x00\xff"
	at := r.Intn(len(b) + 1)
	switch r.Intn(3) {
	case 0:
		return string(b[:at]) + string(alphabet[r.Intn(len(alphabet))]) + string(b[at:])
	case 1:
		if at < len(b) {
			b[at] = alphabet[r.Intn(len(alphabet))]
		}
	default:
		if at < len(b) {
			b = append(b[:at], b[at+1:]...)
		}
	}
	return string(b)
}

// text makes one cell: a seed, a plain spelling, or a mutation of one.
func (f *family) text(r *rand.Rand) string {
	s := f.gen(r)
	if r.Intn(4) == 0 {
		s = pick(r, f.seeds...)
	}
	for n := r.Intn(3); n > 1; n-- {
		s = mutate(r, s)
	}
	return s
}

// compareCell runs one text through both ways and reports whether the fast one took it.
func compareCell(t testing.TB, e *Encoder, col *column, text string) bool {
	t.Helper()
	field := []byte(text)
	e.scratch = e.scratch[:0]
	var fast, slow cell
	if !col.parse(e, col, field, &fast) {
		return false
	}
	warnings := e.Warnings().Count
	err := e.conv.convert(col, field, &slow)
	require.NoError(t, err, "%s: fast parser takes %q", &col.info.FieldType, text)
	require.Equal(t, warnings, e.Warnings().Count, "%s: TiDB warns of %q", &col.info.FieldType, text)
	require.False(t, slow.null)
	require.Equal(t, appendValue(nil, col.class, &slow), appendValue(nil, col.class, &fast), "%s: %q", &col.info.FieldType, text)
	if col.class != classBytes {
		require.Equal(t, appendKeyNumber(nil, col.class, &slow), appendKeyNumber(nil, col.class, &fast), "%s: %q", &col.info.FieldType, text)
	}
	return true
}

// TestFastTakesPlainSpellings holds the fast path to what it is there for.
func TestFastTakesPlainSpellings(t *testing.T) {
	t.Parallel()
	for sql, texts := range map[string][]string{
		"TINYINT":             {"0", "-128", "127", "+5", "007"},
		"BIGINT":              {"9223372036854775807", "-9223372036854775807", "0"},
		"BIGINT UNSIGNED":     {"18446744073709551615", "10000000000000000000", "0"},
		"DECIMAL(12,2)":       {"0", "1234567890.12", "-0.01", "5", ".5", "1.500"},
		"DECIMAL(65,30)":      {strings.Repeat("9", 35) + "." + strings.Repeat("9", 30)},
		"DOUBLE":              {"1.5", "-1e10", "0"},
		"FLOAT":               {"1.5", "3.14159"},
		"DATE":                {"2024-02-29", "2024-02-29 10:11:12"},
		"DATETIME":            {"2024-02-29 10:11:12", "2024-02-29", "2024-02-29T10:11:12"},
		"DATETIME(6)":         {"2024-02-29 10:11:12.123456", "2024-02-29 10:11:12.1"},
		"TIMESTAMP":           {"2024-02-29 10:11:12", "2024-06-29 10:11:12", "1999-01-15"},
		"TIME(3)":             {"10:11:12", "-838:59:59", "10:11:12.123"},
		"YEAR":                {"1901", "2155"},
		"CHAR(3)":             {"abc", "äöü", "a  "},
		"VARCHAR(3)":          {"", "abc", "日本語"},
		"TEXT":                {"any text 😀"},
		"VARBINARY(3)":        {"\xff\x00a"},
		"BINARY(5)":           {"a", "abcde"},
		"ENUM('a','b')":       {"a", "b"},
		"SET('a','b')":        {"", "a", "a,b", "b,a"},
		"BIT(9)":              {"\x01\xff", ""},
		"JSON":                {`{"a": 1}`},
		"MEDIUMINT UNSIGNED":  {"16777215"},
		"SMALLINT ZEROFILL":   {"00012"},
		"DECIMAL(5) UNSIGNED": {"-0", "99999"},
	} {
		e := compile(t, tableInfo(t, "v "+sql), strictMode, mustZone(t, "America/New_York")).NewEncoder()
		for _, text := range texts {
			require.True(t, compareCell(t, e, &e.plan.columns[0], text), "%s: %q", sql, text)
		}
	}
}

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

// fuzzTypes fuzzes the parsers of some types against TiDB's conversion.
func fuzzTypes(f *testing.F, which ...int) {
	var encoders []*Encoder
	all := familiesAt(which)
	for _, fam := range all {
		for _, sql := range fam.types {
			encoders = append(encoders, compile(f, tableInfo(f, "v "+sql), strictMode, mustZone(f, "America/New_York")).NewEncoder())
		}
		for _, s := range fam.seeds {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range encoders {
			compareCell(t, e, &e.plan.columns[0], text)
		}
	})
}

func familiesAt(which []int) []family {
	var out []family
	for _, i := range which {
		out = append(out, families()[i])
	}
	return out
}

func FuzzNumbers(f *testing.F)  { fuzzTypes(f, 0, 3) }
func FuzzDecimals(f *testing.F) { fuzzTypes(f, 1, 2) }
func FuzzTimes(f *testing.F)    { fuzzTypes(f, 4, 5) }
func FuzzText(f *testing.F)     { fuzzTypes(f, 6) }

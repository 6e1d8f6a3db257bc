package logical_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/logical"
)

// typeCase is a column's type with texts of values.
type typeCase struct {
	def    string
	values []string
}

// allBytes is every byte once, between letters.
func allBytes() string {
	b := []byte("a")
	for i := range 256 {
		b = append(b, byte(i))
	}
	return string(append(b, "\xe4'\xe4\\z"...))
}

func typeCases(kind logical.Kind) []typeCase {
	cases := []typeCase{
		{"TINYINT", []string{"-128", "127", " 5", "1.5", "1e1"}}, {"TINYINT UNSIGNED", []string{"0", "255"}},
		{"SMALLINT", []string{"-32768", "32767"}}, {"MEDIUMINT", []string{"-8388608", "8388607"}}, {"INT UNSIGNED", []string{"4294967295"}},
		{"BIGINT", []string{"-9223372036854775808", "9223372036854775807"}}, {"BIGINT UNSIGNED", []string{"18446744073709551615"}},
		{"BOOLEAN", []string{"0", "1"}}, {"FLOAT", []string{"1.5", "-3.40282e38", "1e-30"}}, {"DOUBLE", []string{"0.1", "1.7976931348623157e308", "-2.5e-300"}},
		{"DECIMAL(65,30)", []string{"-12345678901234567890123456789012345.123456789012345678901234567890", "0.5"}}, {"DECIMAL(5,2)", []string{"1.005", "999.99"}},
		{"DATE", []string{"2024-02-29", "20240229", "1000-01-01"}}, {"DATETIME(6)", []string{"2024-02-29 01:02:03.123456", "9999-12-31 23:59:59.999999"}},
		{"DATETIME", []string{"2024-02-29 01:02:03", "2024-02-29T01:02:03"}}, {"TIMESTAMP(3) NULL", []string{"2024-02-29 01:02:03.5"}},
		{"TIME(6)", []string{"-838:59:59", "12:00:00.000001", "101112"}}, {"YEAR", []string{"1901", "2155", "0000", "70"}},
		{"CHAR(30)", []string{"", "a  ", "ü€𝄞", `quo'te "x" \ back`}}, {"VARCHAR(300)", []string{"a\nb\r\tc\x00d\x1ae", "%_`;--", "NULL", `\N`, "🙂"}},
		{"TEXT CHARACTER SET latin1", []string{"é", "plain"}}, {"LONGTEXT", []string{strings.Repeat("ä'", 40000)}},
		{"BINARY(5)", []string{"ab", "\x00\xff\x00\xff\x00"}}, {"VARBINARY(600)", []string{allBytes(), "", "\xff", "x'"}}, {"BLOB", []string{allBytes() + allBytes()}},
		{"TINYBLOB", []string{"\x00"}}, {"MEDIUMBLOB", []string{"\xc3\x28'"}}, {"LONGBLOB", []string{"\\"}},
		{"ENUM('a','b c','1')", []string{"a", "b c", "1"}}, {"SET('x','y','z')", []string{"", "x,z", "y"}},
		{"BIT(1)", []string{"\x00", "\x01"}}, {"BIT(64)", []string{"\xff\xff\xff\xff\xff\xff\xff\xff", "a"}},
		{"JSON", []string{`{"a": [1, "x\"y", null]}`, `"text"`, `12`}},
	}
	if kind == logical.MariaDB {
		cases = append(cases, typeCase{"UUID", []string{"123e4567-e89b-12d3-a456-426655440000"}}, typeCase{"INET6", []string{"::1", "2001:db8::ff"}},
			typeCase{"POINT", []string{"\x00\x00\x00\x00\x01\x01\x00\x00\x00" + strings.Repeat("\x00", 6) + "\xf0\x3f" + strings.Repeat("\x00", 7) + "\x40"}})
	} else {
		cases = append(cases, typeCase{"VECTOR(3)", []string{"[1,2.5,-3]"}})
	}
	return cases
}

// csvField writes a value so that the CSV reader gives it back.
func csvField(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

// TestTypes: each value arrives as the server's own INSERT of the same bytes, given as hexadecimal text, leaves it.
func TestTypes(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		target := s.open("", logical.Params{Session: logical.Session{SQLMode: strict}})
		for i, c := range typeCases(target.Kind()) {
			name := fmt.Sprintf("t%d", i)
			def := " (id INT, v " + c.def + ")"
			s.exec("CREATE TABLE "+name+def, "CREATE TABLE judge_"+name+def)
			text := "-1,\\N\n"
			s.exec("SET SESSION sql_mode = 'STRICT_TRANS_TABLES'", "INSERT INTO judge_"+name+" VALUES (-1, NULL)")
			binary := strings.Contains(c.def, "BIN") || strings.Contains(c.def, "BLOB") || strings.HasPrefix(c.def, "BIT") || c.def == "POINT"
			for id, v := range c.values {
				text += fmt.Sprintf("%d,%s\n", id, csvField(v))
				literal := "x'" + hex.EncodeToString([]byte(v)) + "'"
				if !binary {
					literal = "CONVERT(" + literal + " USING utf8mb4)"
				}
				s.exec(fmt.Sprintf("INSERT INTO judge_%s VALUES (%d, %s)", name, id, literal))
			}
			sum, err := target.Import(t.Context(), s.task(target, name, newSource(t, []string{"id", "v"}, text)))
			require.NoError(t, err, c.def)
			require.EqualValues(t, len(c.values)+1, sum.Rows)
			query := "SELECT id, HEX(v), v FROM %s ORDER BY id"
			if strings.HasPrefix(c.def, "BIT") || c.def == "POINT" {
				query = "SELECT id, HEX(v) FROM %s ORDER BY id"
			} else if strings.HasPrefix(c.def, "VECTOR") || c.def == "JSON" || c.def == "UUID" || c.def == "INET6" {
				query = "SELECT id, v FROM %s ORDER BY id"
			}
			require.Equal(t, s.rows(fmt.Sprintf(query, "judge_"+name)), s.rows(fmt.Sprintf(query, name)), c.def)
		}
	})
}

// TestTextThatIsNone: bytes that aren't UTF-8 in a text column are the server's to refuse, wherever they stand in the statement.
func TestTextThatIsNone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE t (id INT, v VARCHAR(20), w VARCHAR(20))")
		target := s.open("", atonce)
		for _, v := range []string{"\xff", "a\xe4", "\xe4\xb8"} {
			_, err := target.Import(t.Context(), s.task(target, "t", newSource(t, []string{"id", "v", "w"}, "1,"+csvField(v)+",'); DROP TABLE t; --\n")))
			require.ErrorContains(t, err, "line 1", "%q", v)
		}
		require.Empty(t, s.rows("SELECT * FROM t"))
	})
}

// TestLongRows: rows beyond a batch travel alone, rows beyond what the server takes are bad ones.
func TestLongRows(t *testing.T) {
	t.Parallel()
	s := onMariaDB(t)
	s.exec("CREATE TABLE t (id INT, v LONGTEXT)")
	target := s.open("", atonce)
	long := func(n int) string { return strings.Repeat("x", n) }
	text := "1,a\n2," + long(3<<20) + "\n3,b\n4," + long(17<<20) + "\n5," + long(12<<20) + "\n6,c\n"
	task := s.task(target, "t", newSource(t, []string{"id", "v"}, text))
	_, err := target.Import(t.Context(), task)
	require.ErrorContains(t, err, "max_allowed_packet")
	require.ErrorContains(t, err, "line 4")
	kept := &sink{}
	s.exec("TRUNCATE TABLE t")
	task.Job, task.MaxErrors, task.BadRows = job(), 1, kept
	_, err = target.Import(t.Context(), task)
	require.NoError(t, err)
	require.Equal(t, []string{"1|1", "2|3145728", "3|1", "5|12582912", "6|1"}, s.rows("SELECT id, LENGTH(v) FROM t ORDER BY id"))
	require.Len(t, kept.records, 1)
	require.EqualValues(t, 1153, kept.records[0].Code)
}

package imports_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFieldMapping: column lists, fields that are dropped, and the SET clause.
func TestFieldMapping(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), n DECIMAL(10,2), d DATE, g VARCHAR(30) AS (CONCAT(a, n)), KEY (n), KEY (g))")
	tests := []struct {
		list, set string
		line      string
		want      []string
	}{
		{"(id, @x, a)", "", "1,dropped,v", []string{"1", "v", "NULL", "NULL", "NULL"}},
		{"(@x, @x, id)", "SET a = @x", "first,second,2", []string{"2", "second", "NULL", "NULL", "NULL"}},
		{"(id, @v)", "SET a = UPPER(CONCAT(@V, '-', @v)), n = @v + 1, d = '2024-01-02'", "3,5", []string{"3", "5-5", "6.00", "2024-01-02", "5-56.00"}},
		{"(id, @v)", "SET a = IFNULL(@v, 'none'), n = 1/3", `4,\N`, []string{"4", "none", "0.33", "NULL", "none0.33"}},
		{"(id, @v)", "SET a = @v, d = STR_TO_DATE(@v, '%d.%m.%Y')", "5,17.03.2024", []string{"5", "17.03.2024", "NULL", "2024-03-17", "NULL"}},
		{"(@v)", "SET id = LENGTH(@v), a = NULL", "abc", []string{"3", "NULL", "NULL", "NULL", "NULL"}},
		{"(id, a, n, d)", "", "6,x,1.5,2024-05-06", []string{"6", "x", "1.50", "2024-05-06", "x1.50"}},
		{"", "", "7,x,1.5,2024-05-06,ignored", []string{"7", "x", "1.50", "2024-05-06", "x1.50"}},
		{"", "", "8,x,1.5,2024-05-06", []string{"8", "x", "1.50", "2024-05-06", "x1.50"}},
	}
	for i, tt := range tests {
		path := b.file(fmt.Sprintf("m%d.csv", i), tt.line+"\n")
		b.mustImport(fmt.Sprintf("IMPORT INTO t %s %s FROM '%s'", tt.list, tt.set, path))
		b.consistent("t")
		require.Equal(t, [][]string{tt.want}, b.query("SELECT * FROM t"), "%s %s", tt.list, tt.set)
		b.exec("TRUNCATE TABLE t")
	}
}

// TestFieldMappingRefused has the refusals of TiDB, and one of our own: a column
// that is in the list and in the SET clause, which TiDB ignores when the list is complete.
func TestFieldMappingRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(20), g INT AS (a + 1))")
	path := b.file("x.csv", "1,2\n")
	for _, tt := range []struct {
		mapping string
		code    uint16
		want    string
	}{
		{"(a, b) SET b = 1", 1110, "Column 'b' specified twice"},
		{"SET b = 1", 1110, "Column 'b' specified twice"},
		{"(a, @x) SET zz = 1", 1054, "Unknown column 'zz' in 'field list'"},
		{"(a, @x) SET g = 1", 3105, "generated column 'g'"},
		{"(a, g)", 3105, "generated column 'g'"},
		{"(a, @x) SET b = a", 1105, "COLUMN reference is not supported in IMPORT INTO column assignment, index 0"},
		{"(a, @x) SET b = (SELECT 1)", 1105, "subquery is not supported"},
		{"(a, @x) SET b = @@sql_mode", 1105, "system variable is not supported"},
		{"(a, @x) SET b = @y", 1105, "column assignment cannot use variables set outside IMPORT INTO statement, index 0"},
		{"(a, @x) SET b = DEFAULT", 1105, "FUNCTION default is not supported"},
		{"(a, @x) SET b = sum(@x)", 1105, "aggregate FUNCTION sum is not supported"},
		{"(a, @x) SET b = nofunction(@x)", 1305, "nofunction"},
		{"(a, @x) SET b = CONNECTION_ID()", 1235, "state of a session"},
	} {
		b.fails(fmt.Sprintf("IMPORT INTO t %s FROM '%s'", tt.mapping, path), tt.code, tt.want)
	}
	require.Equal(t, "0", b.count("t"))
	require.Equal(t, [][]string{{"0"}}, b.query("SELECT COUNT(*) FROM sluice.jobs WHERE table_schema = ?", b.name))

	// A value that an expression makes of a row can be as wrong as a field.
	b.fails(fmt.Sprintf("IMPORT INTO t (a, @x) SET b = REPEAT(@x, 30) FROM '%s'", path), 1406, "column b", path, "line 1")
	b.fails(fmt.Sprintf("IMPORT INTO t (@x, b) SET a = CONCAT(@x, 'x') FROM '%s'", path), 1366, "column a", `"1x"`, "line 1")
}

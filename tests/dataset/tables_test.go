package dataset

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	_ "github.com/pingcap/tidb/pkg/types/parser_driver" // the parser needs a value driver
	"github.com/stretchr/testify/require"
)

func TestTablesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	for _, table := range Tables() {
		t.Run(table.Name, func(t *testing.T) {
			t.Parallel()
			const rows = 400
			stmt, err := parser.New().ParseOneStmt(table.Schema("`a b`.`t`"), "", "")
			require.NoError(t, err)
			create := stmt.(*ast.CreateTableStmt)
			require.Equal(t, "a b", create.Table.Schema.O)
			var text, again, other bytes.Buffer
			require.NoError(t, table.Write(&text, rows, 1))
			require.NoError(t, table.Write(&again, rows, 1))
			require.NoError(t, table.Write(&other, rows, 2))
			require.Equal(t, text.Bytes(), again.Bytes())
			require.NotEqual(t, text.Bytes(), other.Bytes())
			records, err := csv.NewReader(&text).ReadAll()
			require.NoError(t, err)
			require.Len(t, records, rows)
			ids := map[string]bool{}
			for _, record := range records {
				require.Len(t, record, len(create.Cols))
				ids[record[0]] = true
			}
			require.Len(t, ids, rows)
			require.Error(t, table.Write(&text, -1, 1))
		})
	}
}

// The sizes are a promise to benchmarks: near those of the demo file. A sample
// has shorter ids, which makes up to a tenth in the narrow table.
func TestTablesAreOfOneSize(t *testing.T) {
	t.Parallel()
	for _, table := range Tables() {
		t.Run(table.Name, func(t *testing.T) {
			t.Parallel()
			sample := max(table.Rows/100, 500)
			counter := &countingWriter{}
			require.NoError(t, table.Write(counter, sample, 1))
			mib := float64(counter.n) / float64(sample) * float64(table.Rows) / (1 << 20)
			require.InDelta(t, 137, mib, 15)
		})
	}
}

func TestSortedDemoAscends(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	sums, err := WriteSortedDemoCSV(&text, 2000, 1)
	require.NoError(t, err)
	require.EqualValues(t, 2000*2001/2, sums.SumID)
	records, err := csv.NewReader(&text).ReadAll()
	require.NoError(t, err)
	for i := 1; i < len(records); i++ {
		require.Negative(t, strings.Compare(records[i-1][1], records[i][1]), "codes of rows %d and %d", i-1, i)
	}
	require.Equal(t, "1", records[0][0])
	require.Equal(t, "2000", records[1999][0])
}

func TestAppendScaled(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0.000", 5: "0.005", -5: "-0.005", 123456: "123.456", -1000: "-1.000"} {
		require.Equal(t, want, string(appendScaled(nil, n, 3)))
	}
}

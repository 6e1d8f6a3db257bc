package sqlrows

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/mariadb"
)

func TestMain(m *testing.M) { os.Exit(mariadb.Main{M: m}.Run()) }

func TestQuery(t *testing.T) {
	t.Parallel()
	db := mariadb.Shared(t).DB(t, "")
	r, err := Query(t.Context(), db, "SELECT 1 AS a, NULL AS b UNION ALL SELECT ?, 'NULL' ORDER BY a", 2)
	require.NoError(t, err)
	require.Equal(t, &Result{Columns: []string{"a", "b"}, Rows: [][]string{{"1", Null}, {"2", Null}}}, r)
	require.Equal(t, []string{"1|NULL", "2|NULL"}, r.Lines())
	require.Equal(t, []map[string]string{{"a": "1", "b": Null}, {"a": "2", "b": Null}}, r.Maps())

	r, err = Query(t.Context(), db, "SELECT 1 AS a FROM DUAL WHERE FALSE")
	require.NoError(t, err)
	require.Equal(t, &Result{Columns: []string{"a"}}, r)

	_, cells, err := Cells(t.Context(), db, "SELECT NULL, 'NULL'")
	require.NoError(t, err)
	require.Equal(t, []bool{false, true}, []bool{cells[0][0].Valid, cells[0][1].Valid})
}

// An error that comes behind the first rows is told, not taken for the end.
func TestErrorBehindRows(t *testing.T) {
	t.Parallel()
	db := mariadb.Shared(t).DB(t, "")
	_, err := Query(t.Context(), db, "SELECT 1 UNION ALL SELECT (SELECT 1 UNION ALL SELECT 2)")
	require.ErrorContains(t, err, "more than 1 row")
}

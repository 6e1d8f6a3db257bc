package ingest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
)

// TestManyTablesAtOnce: what is asked about many tables together is what is asked about each.
func TestManyTablesAtOnce(t *testing.T) {
	t.Parallel()
	_, c, db := start(t, 1)
	exec(t, db, "CREATE DATABASE Upper")
	names := []cluster.TableName{{DB: "test", Table: "PLAIN"}, {DB: "upper", Table: "parts"}, {DB: "Upper", Table: "ünusual`, name"}}
	exec(t, db, "CREATE TABLE test.plain (id BIGINT PRIMARY KEY, v VARCHAR(10), KEY (v))")
	exec(t, db, "CREATE TABLE Upper.Parts (id BIGINT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3")
	exec(t, db, "CREATE TABLE Upper.`ünusual``, name` (a INT)")
	infos, newCollation, err := c.LoadTables(t.Context(), names)
	require.NoError(t, err)
	require.True(t, newCollation)
	for i, n := range names {
		want, _, err := c.LoadTable(t.Context(), n.DB, n.Table)
		require.NoError(t, err)
		require.Equal(t, want, infos[i])
	}
	require.NoError(t, c.CheckTablesUnchanged(t.Context(), names, infos))
	require.Nil(t, c.AnalyzeTables(t.Context(), names))

	missing := append([]cluster.TableName{{DB: "test", Table: "missing"}}, names...)
	_, _, err = c.LoadTables(t.Context(), missing)
	require.EqualValues(t, 1146, fault.As(err).Code)
	ids, err := c.TableIDs(t.Context(), missing)
	require.NoError(t, err)
	require.Equal(t, map[cluster.TableName]int64{
		{DB: "test", Table: "plain"}: infos[0].ID, {DB: "upper", Table: "parts"}: infos[1].ID, {DB: "upper", Table: "ünusual`, name"}: infos[2].ID,
	}, ids)
	errs := c.AnalyzeTables(t.Context(), missing)
	require.Len(t, errs, 4)
	require.ErrorContains(t, errs[0], "missing")
	require.Equal(t, []error{nil, nil, nil}, errs[1:])

	exec(t, db, "ALTER TABLE upper.parts COMMENT = 'nothing of the rows'")
	require.NoError(t, c.CheckTablesUnchanged(t.Context(), names, infos))
	exec(t, db, "ALTER TABLE upper.parts ADD COLUMN more INT")
	require.ErrorContains(t, c.CheckTablesUnchanged(t.Context(), names, infos), "`upper`.`parts` was changed while it was being imported into: its columns differ")
	exec(t, db, "TRUNCATE TABLE test.plain")
	require.ErrorContains(t, c.CheckTablesUnchanged(t.Context(), names[:1], infos[:1]), "ids differ")
	exec(t, db, "DROP TABLE test.plain")
	require.EqualValues(t, 1146, fault.As(c.CheckTablesUnchanged(t.Context(), names[:1], infos[:1])).Code)

	var many []cluster.TableName
	for i := range 105 { // more than one question for schemas
		many = append(many, cluster.TableName{DB: "upper", Table: fmt.Sprintf("m%d", i)})
		exec(t, db, fmt.Sprintf("CREATE TABLE upper.m%d (a INT)", i))
	}
	infos, _, err = c.LoadTables(t.Context(), many)
	require.NoError(t, err)
	for i, info := range infos {
		require.Equal(t, many[i].Table, info.Name.O)
	}
}

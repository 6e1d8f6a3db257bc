package systables

import (
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/stretchr/testify/require"
)

// column makes a column of CHAR(length), or an ENUM of members.
func column(name string, length int, members ...string) *model.ColumnInfo {
	kind := mysql.TypeString
	if len(members) > 0 {
		kind = mysql.TypeEnum
	}
	ft := types.NewFieldTypeBuilder().SetType(kind).SetFlen(length).SetCharset("utf8mb4").SetCollate("utf8mb4_bin").SetElems(members).Build()
	return &model.ColumnInfo{Name: pmodel.NewCIStr(name), FieldType: ft, State: model.StatePublic}
}

// archived are tables of an archive with one table and its rows.
func archived(t *testing.T, l *layout, columns []*model.ColumnInfo, rows ...[]any) *Tables {
	t.Helper()
	of, err := newTable(*l, columns)
	require.NoError(t, err)
	of.rows = rows
	return &Tables{tables: []*table{of}}
}

// TestMisfits: what can't be taken is all told, and what can is nothing.
func TestMisfits(t *testing.T) {
	t.Parallel()
	from := []*model.ColumnInfo{column("Host", 60), column("User", 32), column("Priv", 1, "N", "Y"), column("Gone", 5)}
	db := archived(t, &layout{name: "db", accounts: owner}, from)
	require.Empty(t, db.Misfits("db", &model.TableInfo{Columns: from}))
	require.Empty(t, db.Misfits("other", &model.TableInfo{}))
	require.Empty(t, db.Misfits("db", &model.TableInfo{Columns: []*model.ColumnInfo{
		column("gone", 6), column("user", 80), column("HOST", 60), column("priv", 1, "x", "Y", "N"),
	}}), "their order and case make no difference, and they may be wider")
	require.Equal(t, []string{
		"mysql.db.Host is char(59) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, and in the archive char(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "mysql.db.Priv is enum('N'), and in the archive enum('N','Y')",
		"mysql.db has no column Gone, which the archive's has", "mysql.db has a column New, which the archive's doesn't have",
	}, db.Misfits("db", &model.TableInfo{Columns: []*model.ColumnInfo{column("Host", 59), column("User", 32), column("Priv", 1, "N"), column("New", 1)}}))
	grows := archived(t, &layout{name: "user", accounts: owner, grows: true}, from)
	require.Empty(t, grows.Misfits("user", &model.TableInfo{Columns: append(from, column("New", 1))}))
}

// TestChoose: accounts that stay take the rows that name them with them, rows without an account are counted, and dropped bindings are none.
func TestChoose(t *testing.T) {
	t.Parallel()
	names := func(list ...string) (columns []*model.ColumnInfo) {
		for _, name := range list {
			columns = append(columns, column(name, 80))
		}
		return columns
	}
	all := archived(t, &layouts[0], names("Host", "User", "authentication_string", "User_attributes"),
		[]any{"%", "root", "h", nil}, []any{"%", "a", "h", `{"resource_group": "g", "metadata": {"x": 1}}`}, []any{"h", "r", nil, `{}`})
	edges := archived(t, &layouts[7], names("FROM_HOST", "FROM_USER", "TO_HOST", "TO_USER"),
		[]any{"h", "r", "%", "a"}, []any{"h", "r", "%", "root"}, []any{"%", "root", "%", "a"}, []any{"h", "r", "%", "gone"})
	bindings := archived(t, &layouts[9], names("original_sql", "status", "update_time"),
		[]any{"s", "enabled", "t"}, []any{"s2", "disabled", "t"}, []any{"s3", "deleted", "t"}, []any{"builtin_pseudo_sql_for_bind_lock", "builtin", "t"})
	all.tables = append(all.tables, edges.tables[0], bindings.tables[0])
	require.NoError(t, all.choose(func(user string) bool { return user == "root" }))
	require.Equal(t, []Account{{"a", "%"}, {"r", "h"}}, all.Accounts)
	require.Equal(t, []Account{{"root", "%"}}, all.Kept)
	require.Equal(t, [][]any{{"%", "a", "h", `{"metadata":{"x":1}}`}, {"h", "r", nil, `{}`}}, all.tables[0].rows)
	require.Equal(t, [][]any{{"h", "r", "%", "a"}}, all.tables[1].rows)
	require.Equal(t, 1, all.Orphans)
	require.Equal(t, 2, all.Bindings)
	require.Len(t, all.tables[2].rows, 2)
}

// TestNewTable: a table without the columns that decide about rows is an error.
func TestNewTable(t *testing.T) {
	t.Parallel()
	for i := range layouts {
		if len(layouts[i].accounts) == 0 && layouts[i].name != bindingTable {
			continue
		}
		_, err := newTable(layouts[i], []*model.ColumnInfo{column("x", 1)})
		require.ErrorContains(t, err, "mysql."+layouts[i].name+" of the archive has no column")
	}
}

package define_test

import (
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive/define"
)

// table has INT columns with the given ids, called after these.
func table(last int64, ids ...int64) *model.TableInfo {
	t := &model.TableInfo{Name: pmodel.NewCIStr("t"), State: model.StatePublic, MaxColumnID: last}
	for _, id := range ids {
		t.Columns = append(t.Columns, &model.ColumnInfo{ID: id, Name: pmodel.NewCIStr("c" + string(rune('0'+id%10))), Offset: len(t.Columns), State: model.StatePublic,
			FieldType: *types.NewFieldType(mysql.TypeLong)})
	}
	return t
}

// text is all statements without what doesn't matter here.
func text(t *testing.T, info *model.TableInfo) string {
	t.Helper()
	m, err := define.Make(info)
	require.NoError(t, err)
	all := strings.Join(append([]string{m.Create}, m.Alter...), "; ")
	return strings.NewReplacer("\n", "", "  ", "", " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin", "", "ALTER TABLE `t` ", "", " DEFAULT NULL", "", "CREATE TABLE `t` ", "",
		"_sluice_gap_", "gap", "(11)", "", "`", "").Replace(all)
}

// TestMake: columns come into being in the order of their ids.
func TestMake(t *testing.T) {
	t.Parallel()
	added := table(4, 1, 3, 2, 4)
	require.NoError(t, added.Columns[2].SetOriginDefaultValue("5"))
	require.NoError(t, added.Columns[3].SetOriginDefaultValue("6"))
	require.NoError(t, added.Columns[3].SetDefaultValue("6"))
	for want, info := range map[string]*model.TableInfo{
		"(c1 int,c2 int)": table(2, 1, 2),
		"(c1 int,gap2 TINYINT,c3 int); DROP COLUMN gap2":                                                                                             table(3, 1, 3),
		"(c1 int,gap2 TINYINT,gap3 TINYINT); DROP COLUMN gap2, DROP COLUMN gap3":                                                                     table(3, 1),
		"(c1 int,c2 int,c3 int); MODIFY COLUMN c3 int FIRST":                                                                                         table(3, 3, 1, 2),
		"(c1 int,c2 int,c3 int,c4 int); MODIFY COLUMN c1 int AFTER c4":                                                                               table(4, 2, 3, 4, 1),
		"(c1 int); ADD COLUMN c2 int DEFAULT '5' AFTER c1; ADD COLUMN c3 int AFTER c1; ADD COLUMN c4 int DEFAULT '6' AFTER c2; MODIFY COLUMN c2 int": added,
	} {
		require.Equal(t, want, text(t, info))
	}
}

// TestMakeOfManyGaps: a table never has more placeholders than columns may be.
func TestMakeOfManyGaps(t *testing.T) {
	t.Parallel()
	m, err := define.Make(table(2500, 1))
	require.NoError(t, err)
	gaps, most := strings.Count(m.Create, "_sluice_gap_"), 0
	for _, sql := range m.Alter {
		most = max(most, gaps)
		gaps += strings.Count(sql, "ADD COLUMN `_sluice_gap_") - strings.Count(sql, "DROP COLUMN `_sluice_gap_")
	}
	require.Equal(t, 400, most)
	require.Zero(t, gaps)
}

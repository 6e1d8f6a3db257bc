package table

import (
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/ast"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	_ "github.com/pingcap/tidb/pkg/types/parser_driver" // literals
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
)

func sample() *model.TableInfo {
	info := &model.TableInfo{ID: 7, Name: pmodel.NewCIStr("T"), State: model.StatePublic}
	for i, name := range []string{"Id", "a", "b", "hidden", "gen"} {
		col := &model.ColumnInfo{ID: int64(i + 1), Name: pmodel.NewCIStr(name), Offset: i, State: model.StatePublic}
		col.FieldType = *types.NewFieldType(mysql.TypeLonglong)
		info.Columns = append(info.Columns, col)
	}
	info.Columns[3].Hidden, info.Columns[3].GeneratedExprString = true, "a + 1"
	info.Columns[4].GeneratedExprString = "a + 2"
	return info
}

func newTarget(t *testing.T, info *model.TableInfo) *Target {
	t.Helper()
	target, err := NewTarget("db", info, true)
	require.NoError(t, err)
	return target
}

func TestMap(t *testing.T) {
	t.Parallel()
	target := newTarget(t, sample())

	m, err := target.Map(nil)
	require.NoError(t, err)
	require.Equal(t, 4, m.Fields(), "the visible generated column has a field too")
	require.Equal(t, 1, m.Optional(), "which is the last one and may be missing")
	require.Equal(t, []int{0, 1, 2, -1, -1}, m.fieldOf)
	require.Equal(t, []int{0, 1, 2, Dropped}, m.offsets)

	m, err = target.Map([]FieldTarget{{Column: "B"}, {Var: "x"}, {Column: "ID"}})
	require.NoError(t, err)
	require.Equal(t, []int{2, Dropped, 0}, m.offsets)
	require.Equal(t, 1, m.Field(2)+m.Field(0)-1)
	require.Equal(t, -1, m.Field(1))
	require.Equal(t, []string{"", "x", ""}, m.vars)
	require.Zero(t, m.Optional())

	five := ast.NewValueExpr(5, "", "")
	m, err = target.Map([]FieldTarget{{Var: "X"}, {Column: "ID"}}, Assignment{Column: "B", Expr: five})
	require.NoError(t, err)
	require.Equal(t, []Assigned{{Column: 2, Expr: five}}, m.Assigned())
	require.Equal(t, -1, m.Field(2))
	require.Equal(t, "x", m.Var(0))

	for _, c := range []struct {
		name    string
		targets []FieldTarget
		assign  string
		code    uint16
		text    string
	}{
		{"unknown", []FieldTarget{{Column: "zz"}}, "b", 1054, "Unknown column 'zz' in 'field list'"},
		{"hidden", []FieldTarget{{Column: "hidden"}}, "b", 1054, "Unknown column 'hidden' in 'field list'"},
		{"twice", []FieldTarget{{Column: "a"}, {Column: "A"}}, "b", 1110, "Column 'A' specified twice"},
		{"generated", []FieldTarget{{Column: "gen"}}, "b", 3105, "generated column 'gen' in table 'T'"},
		{"unknown assigned", nil, "zz", 1054, "Unknown column 'zz' in 'field list'"},
		{"listed and assigned", []FieldTarget{{Column: "a"}}, "A", 1110, "Column 'A' specified twice"},
		{"implied and assigned", nil, "A", 1110, "Column 'A' specified twice"},
		{"generated assigned", []FieldTarget{{Column: "a"}}, "gen", 3105, "generated column 'gen' in table 'T'"},
	} {
		_, err := target.Map(c.targets, Assignment{Column: c.assign})
		require.ErrorContains(t, err, c.text, c.name)
		require.Equal(t, c.code, fault.As(err).Code, c.name)
		require.Equal(t, fault.User, fault.As(err).Whose, c.name)
	}
}

func TestMapHeader(t *testing.T) {
	t.Parallel()
	target := newTarget(t, sample())
	five := ast.NewValueExpr(5, "", "")

	m, err := target.MapHeader([]string{"B", "GEN", "id"}, Assignment{Column: "a", Expr: five})
	require.NoError(t, err)
	require.Equal(t, []int{2, Dropped, 0}, m.offsets, "the generated column's field is read and dropped")
	require.Equal(t, []Assigned{{Column: 1, Expr: five}}, m.Assigned())
	require.Equal(t, []string{"b", "", "Id", ""}, []string{m.Receiver(0), m.Receiver(1), m.Receiver(2), m.Receiver(3)})
	require.Equal(t, 3, m.Fields())
	require.Zero(t, m.Optional())
	m, err = target.MapHeader(nil)
	require.NoError(t, err)
	require.Zero(t, m.Fields())

	for _, c := range []struct {
		names  []string
		assign string
		code   uint16
		text   string
	}{
		{[]string{"id", "zz"}, "b", 1054, "Unknown column 'zz' in 'field list'"},
		{[]string{"id", ""}, "b", 1054, "Unknown column '' in 'field list'"},
		{[]string{" id"}, "b", 1054, "Unknown column ' id' in 'field list'"},
		{[]string{"hidden"}, "b", 1054, "Unknown column 'hidden' in 'field list'"},
		{[]string{"a", "id", "A"}, "b", 1110, "Column 'A' specified twice"},
		{[]string{"gen", "gen"}, "b", 1110, "Column 'gen' specified twice"},
		{[]string{"a", "b"}, "B", 1110, "Column 'B' specified twice"},
		{[]string{"a"}, "gen", 3105, "generated column 'gen' in table 'T'"},
	} {
		_, err := target.MapHeader(c.names, Assignment{Column: c.assign, Expr: five})
		require.ErrorContains(t, err, c.text)
		require.Equal(t, c.code, fault.As(err).Code, c.text)
	}
}

// TestReceiver: a variable receives something if an assignment uses it.
func TestReceiver(t *testing.T) {
	t.Parallel()
	sum := &ast.BinaryOperationExpr{L: &ast.VariableExpr{Name: "Used"}, R: &ast.VariableExpr{Name: "sys", IsSystem: true}}
	m, err := newTarget(t, sample()).Map([]FieldTarget{{Var: "used"}, {Column: "ID"}, {Var: "unused"}, {Var: "sys"}, {Var: "USED"}},
		Assignment{Column: "b", Expr: sum})
	require.NoError(t, err)
	require.Equal(t, []string{"@used", "Id", "", "", "@used"}, m.receivers)
}

func TestCheckEncodable(t *testing.T) {
	t.Parallel()
	plain := func() *model.TableInfo {
		info := sample()
		info.Columns = info.Columns[:3]
		return info
	}
	require.NoError(t, newTarget(t, plain()).CheckEncodable())
	index := func(change func(*model.IndexInfo)) func(*model.TableInfo) {
		return func(info *model.TableInfo) {
			idx := &model.IndexInfo{ID: 1, Name: pmodel.NewCIStr("k"), State: model.StatePublic, Columns: []*model.IndexColumn{{Offset: 1, Length: types.UnspecifiedLength}}}
			change(idx)
			info.Indices = append(info.Indices, idx)
		}
	}
	for why, change := range map[string]func(*model.TableInfo){
		"is not BASE TABLE":                 func(i *model.TableInfo) { i.View = &model.ViewInfo{} },
		"'db.T' is not BASE TABLE":          func(i *model.TableInfo) { i.Sequence = &model.SequenceInfo{} },
		"temporary table":                   func(i *model.TableInfo) { i.TempTableType = model.TempTableGlobal },
		"cached table":                      func(i *model.TableInfo) { i.TableCacheStatusType = model.TableCacheStatusEnable },
		"partitioned":                       func(i *model.TableInfo) { i.Partition = &model.PartitionInfo{Enable: true} },
		"release candidate":                 func(i *model.TableInfo) { i.IsCommonHandle = true },
		"without column":                    func(i *model.TableInfo) { i.PKIsHandle = true },
		"AUTO_RANDOM bits without":          func(i *model.TableInfo) { i.AutoRandomBits = 5 },
		"change of column b is in progress": func(i *model.TableInfo) { i.Columns[2].State = model.StateWriteReorganization },
		"column a is an array":              func(i *model.TableInfo) { i.Columns[1].FieldType.SetArray(true) },
		"column a is not a number": func(i *model.TableInfo) {
			i.Columns[1].SetType(mysql.TypeVarchar)
			i.Columns[1].AddFlag(mysql.AutoIncrementFlag)
		},
		"column a has the type geometry":      func(i *model.TableInfo) { i.Columns[1].SetType(mysql.TypeGeometry) },
		"change of index k is in progress":    index(func(x *model.IndexInfo) { x.State = model.StateDeleteOnly }),
		"index k is global":                   index(func(x *model.IndexInfo) { x.Global = true }),
		"names a column that the schema does": index(func(x *model.IndexInfo) { x.Columns[0].Offset = 9 }),
	} {
		info := plain()
		change(info)
		err := newTarget(t, info).CheckEncodable()
		require.ErrorContains(t, err, why)
		require.Equal(t, fault.User, fault.As(err).Whose, why)
		require.NotZero(t, fault.As(err).Code, why)
	}
}

func TestTargetParts(t *testing.T) {
	t.Parallel()
	info := sample()
	info.PKIsHandle = true
	info.Columns[0].AddFlag(mysql.PriKeyFlag | mysql.AutoIncrementFlag)
	info.Indices = []*model.IndexInfo{
		{ID: 1, Name: pmodel.NewCIStr("v"), State: model.StatePublic, VectorInfo: &model.VectorIndexInfo{}},
		{ID: 2, Name: pmodel.NewCIStr("k"), State: model.StatePublic},
	}
	target := newTarget(t, info)
	require.Len(t, target.Columns(), 5)
	require.Len(t, target.Indexes(), 1)
	require.Same(t, info.Columns[0], target.AutoIncrement())
	require.Same(t, info.Columns[0], target.HandleColumn())
	require.Nil(t, target.AutoRandom())
	require.Nil(t, target.PrimaryIndex())
	require.False(t, target.HasRowID())

	info.AutoRandomBits = 5
	require.Same(t, info.Columns[0], target.AutoRandom())
	info.PKIsHandle, info.IsCommonHandle = false, true
	info.Indices = append(info.Indices, &model.IndexInfo{ID: 3, Primary: true, State: model.StatePublic, Columns: []*model.IndexColumn{{Offset: 2}, {Offset: 0}}})
	require.Same(t, info.Columns[2], target.AutoRandom())
	require.Equal(t, "`db`.`T`", target.String())
}

func TestForeignKeys(t *testing.T) {
	t.Parallel()
	info := sample()
	info.ForeignKeys = []*model.FKInfo{
		{ID: 1, Name: pmodel.NewCIStr("old"), State: model.StatePublic},
		{ID: 2, Name: pmodel.NewCIStr("checked"), State: model.StatePublic, Version: model.FKVersion1},
		{ID: 3, Name: pmodel.NewCIStr("coming"), State: model.StateWriteOnly, Version: model.FKVersion1},
	}
	require.Equal(t, info.ForeignKeys[1:2], newTarget(t, info).ForeignKeys())
}

func TestOneCollationPerProcess(t *testing.T) {
	t.Parallel()
	newTarget(t, sample())
	_, err := NewTarget("db", sample(), false)
	require.ErrorContains(t, err, "new_collation_enabled=false")
	require.Equal(t, fault.Cluster, fault.As(err).Whose)
}

func TestBrokenSchemas(t *testing.T) {
	t.Parallel()
	_, err := NewTarget("db", nil, true)
	require.Equal(t, fault.Sluice, fault.As(err).Whose)
	info := sample()
	info.Columns[1], info.Columns[2] = info.Columns[2], info.Columns[1]
	_, err = NewTarget("db", info, true)
	require.ErrorContains(t, err, "offset")
}

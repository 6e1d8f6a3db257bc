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

// with adds an index over columns, by their offsets.
func with(t *model.TableInfo, name string, id int64, unique bool, offsets ...int) *model.TableInfo {
	x := &model.IndexInfo{ID: id, Name: pmodel.NewCIStr(name), State: model.StatePublic, Unique: unique}
	for _, o := range offsets {
		x.Columns = append(x.Columns, &model.IndexColumn{Name: t.Columns[o].Name, Offset: o, Length: types.UnspecifiedLength})
	}
	t.Indices = append(t.Indices, x)
	return t
}

// changed does something to a table, or to one of its columns.
func changed(t *model.TableInfo, f func(*model.TableInfo)) *model.TableInfo {
	f(t)
	return t
}

func notNull(t *model.TableInfo) { t.Columns[1].AddFlag(mysql.NotNullFlag) }

// hide makes a table's last column that of an expression.
func hide(t *model.TableInfo) {
	c := t.Columns[len(t.Columns)-1]
	c.Hidden, c.GeneratedExprString = true, "`c1` + 1"
}

// TestChange: what is done before the rows come writes none, and what looks at rows comes after them.
func TestChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		now, want     *model.TableInfo
		before, after string
	}{
		"equal":   {table(2, 1, 2), table(2, 1, 2), "", ""},
		"added":   {table(2, 1, 2), table(4, 1, 4, 2), "ADD COLUMN gap3 TINYINT; ADD COLUMN c4 int AFTER c1; DROP COLUMN gap3", ""},
		"dropped": {with(table(3, 1, 2, 3), "i", 1, false, 2), table(3, 1, 2), "DROP INDEX i; DROP COLUMN c3", ""},
		"gone on with": {changed(table(3, 1, 2, 3), func(t *model.TableInfo) { t.Columns[2].Name = pmodel.NewCIStr("_sluice_gap_3") }), table(4, 1, 4, 2),
			"DROP COLUMN gap3; ADD COLUMN c4 int AFTER c1", ""},
		"gone on with, and an expression": {changed(table(3, 1, 2, 3), func(t *model.TableInfo) { t.Columns[2].Name = pmodel.NewCIStr("_sluice_gap_3") }),
			with(changed(table(4, 1, 2, 4, 3), hide), "e", 1, false, 3), "DROP COLUMN gap3; ADD COLUMN c4 int AFTER c2", "ADD KEY e ((c1 + 1))"},
		"new index":      {table(2, 1, 2), with(table(2, 1, 2), "i", 9, true, 1), "", "ADD UNIQUE KEY i (c2)"},
		"made anew":      {with(table(2, 1, 2), "i", 1, false, 1), with(table(2, 1, 2), "i", 9, false, 1), "DROP INDEX i", "ADD KEY i (c2)"},
		"another name":   {with(table(2, 1, 2), "i", 3, false, 1), with(table(2, 1, 2), "j", 1, false, 1), "RENAME INDEX i TO j", ""},
		"not null":       {table(2, 1, 2), changed(table(2, 1, 2), notNull), "", "MODIFY COLUMN c2 int NOT NULL"},
		"may be null":    {changed(table(2, 1, 2), notNull), table(2, 1, 2), "MODIFY COLUMN c2 int", ""},
		"renamed column": {table(2, 1, 2), changed(table(2, 1, 2), func(t *model.TableInfo) { t.Columns[1].Name = pmodel.NewCIStr("x") }), "RENAME COLUMN c2 TO x", ""},
		"wider":          {table(2, 1, 2), changed(table(2, 1, 2), func(t *model.TableInfo) { t.Columns[1].FieldType = *types.NewFieldType(mysql.TypeLonglong) }), "MODIFY COLUMN c2 bigint(20)", ""},
		"comment":        {table(1, 1), changed(table(1, 1), func(t *model.TableInfo) { t.Comment = "it's" }), "COMMENT = 'it''s'", ""},
	} {
		got, err := define.Change(c.now, c.want, func(x *model.IndexInfo) bool { return x.ID < 9 })
		require.NoError(t, err, name)
		short := strings.NewReplacer("ALTER TABLE `t` ", "", " DEFAULT NULL", "", "_sluice_gap_", "gap", "(11)", "", "`", "")
		require.Equal(t, c.before, short.Replace(strings.Join(got.Before, "; ")), name)
		require.Equal(t, c.after, short.Replace(strings.Join(got.After, "; ")), name)
	}
}

// TestChangeRefused: what would write rows is refused, and so is what can't have been there before.
func TestChangeRefused(t *testing.T) {
	t.Parallel()
	for text, c := range map[string][2]*model.TableInfo{
		"has the id 2, which is behind":                           {table(3, 1, 3), table(3, 1, 2, 3)},
		"its column c2 is bigint(20), and was to become int(11)":  {changed(table(2, 1, 2), func(t *model.TableInfo) { t.Columns[1].FieldType = *types.NewFieldType(mysql.TypeLonglong) }), table(2, 1, 2)},
		"is int(11), and was to become int(11) unsigned":          {table(2, 1, 2), changed(table(2, 1, 2), func(t *model.TableInfo) { t.Columns[1].AddFlag(mysql.UnsignedFlag) })},
		"its column c2 has the name that column c1 is to get":     {table(2, 1, 2), changed(table(2, 1, 2), func(t *model.TableInfo) { t.Columns[0].Name, t.Columns[1].Name = t.Columns[1].Name, t.Columns[0].Name })},
		"its clustered primary key is another one":                {changed(table(1, 1), func(t *model.TableInfo) { t.IsCommonHandle = true }), table(1, 1)},
		"the index of its AUTO_INCREMENT column c1 was made anew": {with(changed(table(1, 1), func(t *model.TableInfo) { t.Columns[0].AddFlag(mysql.AutoIncrementFlag) }), "i", 1, false, 0), with(changed(table(1, 1), func(t *model.TableInfo) { t.Columns[0].AddFlag(mysql.AutoIncrementFlag) }), "i", 9, false, 0)},
		"its column c2 is computed in another way":                {table(2, 1, 2), changed(table(2, 1, 2), func(t *model.TableInfo) { t.Columns[1].GeneratedExprString = "`c1`" })},
		"column c2 (id 2), which is generated and stored, can't be": {table(1, 1), changed(table(2, 1, 2), func(t *model.TableInfo) {
			t.Columns[1].GeneratedExprString, t.Columns[1].GeneratedStored = "`c1`", true
		})},
		"COLLATE=latin1_bin": {table(1, 1), changed(table(1, 1), func(t *model.TableInfo) { t.Charset, t.Collate = "latin1", "latin1_bin" })},
	} {
		_, err := define.Change(c[0], c[1], func(x *model.IndexInfo) bool { return x.ID < 9 })
		require.ErrorContains(t, err, text)
	}
}

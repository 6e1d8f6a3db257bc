package physical_test

import (
	"context"
	"slices"
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/archive/physical"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/source"
)

// info is a table with one column and the given indexes.
func info(id int64, name string, indexes ...int64) *model.TableInfo {
	t := &model.TableInfo{ID: id, Name: pmodel.NewCIStr(name), State: model.StatePublic}
	t.Columns = []*model.ColumnInfo{{ID: 1, Name: pmodel.NewCIStr("c"), State: model.StatePublic, FieldType: *types.NewFieldType(mysql.TypeLonglong)}}
	for i, x := range indexes {
		t.Indices = append(t.Indices, &model.IndexInfo{ID: x, Name: pmodel.NewCIStr(string(rune('a' + i))), State: model.StatePublic,
			Columns: []*model.IndexColumn{{Name: t.Columns[0].Name, Length: types.UnspecifiedLength}}})
	}
	return t
}

// table is one of the archive with a file of ten bytes for each range.
func table(t *model.TableInfo, ranges ...[2][]byte) *archive.Table {
	out := &archive.Table{Database: &archive.Database{Name: "db"}, Info: t}
	for _, r := range ranges {
		out.Parts = append(out.Parts, &archive.Part{Table: out, PhysicalID: t.ID, Start: r[0], End: r[1],
			Write: &archive.DataFile{File: source.File{Path: "f", Key: "f", Size: 10}, CF: archive.CFWrite}})
	}
	return out
}

func record(id int64, rest string) []byte {
	return append(tablecodec.GenTableRecordPrefix(id), rest...)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	rows := [2][]byte{record(10, ""), record(11, "")[:10]}
	entries := [2][]byte{append(tablecodec.EncodeTableIndexPrefix(20, 3), 'a'), tablecodec.EncodeTableIndexPrefix(20, 4)}
	both := [2][]byte{tablecodec.EncodeTableIndexPrefix(30, 1), record(30, "z")}
	plan, err := physical.NewPlan(&archive.Archive{}, []physical.Target{
		{From: table(info(10, "x"), rows), DB: "db", To: info(500, "x")},
		{From: table(info(20, "y", 3), entries), DB: "db", To: info(400, "y", 1)},
		{From: table(info(30, "z", 1), both), DB: "db", To: info(450, "z", 1)},
	})
	require.NoError(t, err)
	require.EqualValues(t, 30, plan.Bytes())
	var starts [][]byte
	for _, s := range plan.Spans() {
		starts = append(starts, s.Start)
		require.Equal(t, archive.After(s.Start), s.End)
	}
	require.Equal(t, [][]byte{tablecodec.EncodeTablePrefix(400), tablecodec.EncodeTablePrefix(450), tablecodec.EncodeTablePrefix(500)}, starts)
}

// TestPlanRefused: files that one rule can't be for, and tables that don't fit, all of them at once.
func TestPlanRefused(t *testing.T) {
	t.Parallel()
	both := [2][]byte{tablecodec.EncodeTableIndexPrefix(30, 1), record(30, "z")}
	unknown := [2][]byte{tablecodec.EncodeTableIndexPrefix(40, 9), tablecodec.EncodeTableIndexPrefix(40, 10)}
	_, err := physical.NewPlan(&archive.Archive{}, []physical.Target{
		{From: table(info(30, "z", 1), both), DB: "db", To: info(450, "z", 2)},
		{From: table(info(40, "u", 1), unknown), DB: "db", To: info(451, "u", 1)},
		{From: table(info(50, "v", 1)), DB: "db", To: info(452, "v")},
		{From: table(info(60, "w")), DB: "db", To: info(453, "w")},
	})
	require.ErrorContains(t, err, "entries of several indexes")
	require.ErrorContains(t, err, "neither rows of the table nor entries of an index")
	require.ErrorContains(t, err, "table v")
	require.NotContains(t, err.Error(), "table w")
	require.NotNil(t, fault.As(err))
}

// sums answers with sums, after a look at what was asked for.
type sums struct {
	physical.Cluster
	sums   []kv.Checksum
	groups [][]cluster.RewrittenRange
}

func (s *sums) ChecksumRewritten(_ context.Context, _ string, groups [][]cluster.RewrittenRange, _ int) ([]kv.Checksum, error) {
	s.groups = groups
	return s.sums, nil
}

func TestVerify(t *testing.T) {
	t.Parallel()
	x, y := table(info(10, "x", 1)), table(info(20, "y"))
	x.FileSum, y.FileSum = kv.Checksum{Sum: 5, Pairs: 2, Bytes: 30}, kv.Checksum{Sum: 6, Pairs: 3, Bytes: 40}
	plan, err := physical.NewPlan(&archive.Archive{}, []physical.Target{{From: x, DB: "a", To: info(500, "x", 2)}, {From: y, DB: "a", To: info(400, "z")}})
	require.NoError(t, err)
	c := &sums{sums: []kv.Checksum{x.FileSum, y.FileSum}}
	got, err := plan.Verify(t.Context(), c, "", 0)
	require.NoError(t, err)
	require.Equal(t, c.sums, got)
	require.Len(t, c.groups, 2)
	require.Equal(t, []byte(tablecodec.EncodeTableIndexPrefix(10, 1)), c.groups[0][0].Old)
	require.Equal(t, []byte(tablecodec.EncodeTableIndexPrefix(500, 2)), c.groups[0][0].New)
	require.Equal(t, record(400, ""), c.groups[1][0].Start)
	// One range for all of a table whose indexes have the archive's ids.
	same := table(info(30, "s", 1, 2))
	same.FileSum = x.FileSum
	plan2, err := physical.NewPlan(&archive.Archive{}, []physical.Target{{From: same, DB: "a", To: info(600, "s", 1, 2)}})
	require.NoError(t, err)
	c2 := &sums{sums: []kv.Checksum{same.FileSum}}
	_, err = plan2.Verify(t.Context(), c2, "", 0)
	require.NoError(t, err)
	require.Len(t, c2.groups[0], 1)
	require.Equal(t, []byte(tablecodec.EncodeTablePrefix(30)), c2.groups[0][0].Old)
	require.Equal(t, cluster.KeyRange{Start: tablecodec.EncodeTablePrefix(600), End: tablecodec.EncodeTablePrefix(601)}, c2.groups[0][0].KeyRange)
	for i := range c.sums {
		wrong := slices.Clone(c.sums)
		wrong[i].Sum++
		_, err := plan.Verify(t.Context(), &sums{sums: wrong}, "", 0)
		require.ErrorContains(t, err, []string{"table `a`.`x`: checksum mismatched", "table `a`.`z`: checksum mismatched"}[i])
	}
}

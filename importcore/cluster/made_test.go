package cluster

import (
	"encoding/json"
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/stretchr/testify/require"
)

// TestTablesMadeTogether: of the tables that TiDB has made in one job those are known whose own statements have the mark.
func TestTablesMadeTogether(t *testing.T) {
	t.Parallel()
	job := model.Job{
		Type: model.ActionCreateTables, TableID: 11,
		Query: "CREATE /* m1 */ TABLE `a b`.`One` (x INT); CREATE TABLE other (x INT COMMENT 'm1 */ TABLE '); CREATE /* m1 */ TABLE two (x INT); " +
			"CREATE /* m2 */ TABLE d.three (x INT); CREATE /* m1 */ TABLE IF NOT EXISTS d.`f``our.`(x INT);",
		BinlogInfo: &model.HistoryInfo{},
	}
	for i, name := range []string{"One", "other", "two", "three", "f`our."} {
		job.BinlogInfo.MultipleTableInfos = append(job.BinlogInfo.MultipleTableInfos, &model.TableInfo{ID: int64(11 + i), Name: pmodel.NewCIStr(name)})
	}
	data, err := json.Marshal(&job)
	require.NoError(t, err)
	made := &Made{IDs: map[int64]bool{}}
	require.NoError(t, made.addTogether(data, "m1"))
	require.Equal(t, map[int64]bool{11: true, 13: true, 15: true}, made.IDs)
	require.Error(t, made.addTogether([]byte("{"), "m1"))
	require.NoError(t, made.addTogether([]byte("{}"), "m1"))
}

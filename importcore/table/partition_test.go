package table

import (
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
)

// partitionedSample is a table of three partitions.
func partitionedSample() *model.TableInfo {
	info := sample()
	info.Columns = info.Columns[:3]
	info.Partition = &model.PartitionInfo{Enable: true, Type: pmodel.PartitionTypeHash, Expr: "`a`", Num: 3}
	for i, name := range []string{"p0", "P1", "p2"} {
		info.Partition.Definitions = append(info.Partition.Definitions, model.PartitionDefinition{ID: int64(100 + i), Name: pmodel.NewCIStr(name)})
	}
	return info
}

func TestFindPartitions(t *testing.T) {
	t.Parallel()
	target := newTarget(t, partitionedSample())
	places, err := target.FindPartitions(nil)
	require.NoError(t, err)
	require.Nil(t, places)
	places, err = target.FindPartitions([]string{"P2", "p1", "p2"})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, places)

	_, err = target.FindPartitions([]string{"p1", "p3"})
	require.ErrorContains(t, err, "Unknown partition 'p3' in table 'T'")
	require.EqualValues(t, 1735, fault.As(err).Code)

	info := partitionedSample()
	info.Partition.Enable = false
	_, err = newTarget(t, info).FindPartitions([]string{"p0"})
	require.EqualValues(t, 1747, fault.As(err).Code)

	info = partitionedSample()
	info.Indices = []*model.IndexInfo{{ID: 1, Name: pmodel.NewCIStr("g"), State: model.StatePublic, Global: true}}
	_, err = newTarget(t, info).FindPartitions([]string{"p0"})
	require.ErrorContains(t, err, "index g is global")
}

func TestPartitionsInChange(t *testing.T) {
	t.Parallel()
	require.NoError(t, newTarget(t, partitionedSample()).CheckEncodable())
	for why, change := range map[string]func(*model.PartitionInfo){
		"a change of its partitions":       func(pi *model.PartitionInfo) { pi.AddingDefinitions = pi.Definitions[:1] },
		"change of its partitions is":      func(pi *model.PartitionInfo) { pi.DroppingDefinitions = pi.Definitions[:1] },
		"of its partitions is in progress": func(pi *model.PartitionInfo) { pi.NewPartitionIDs = []int64{7} },
		"its partitions is in progress":    func(pi *model.PartitionInfo) { pi.DDLAction = model.ActionReorganizePartition },
		"partitions is in progress":        func(pi *model.PartitionInfo) { pi.NewTableID = 9 },
		"has no partitions":                func(pi *model.PartitionInfo) { pi.Definitions = nil },
		"its schema has 3 partitions":      func(pi *model.PartitionInfo) { pi.Num = 4 },
		"it is partitioned by":             func(pi *model.PartitionInfo) { pi.Type = pmodel.PartitionTypeSystemTime },
	} {
		info := partitionedSample()
		change(info.Partition)
		err := newTarget(t, info).CheckEncodable()
		require.ErrorContains(t, err, why)
		require.Equal(t, fault.User, fault.As(err).Whose)
	}
}

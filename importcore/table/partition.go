package table

import (
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Partitioning returns how the table is partitioned, or nil. A table whose
// partitions TiDB was told of before it could have any (Enable is false) is a
// table without. Not to be changed.
func (t *Target) Partitioning() *model.PartitionInfo { return t.Info.GetPartitionInfo() }

// FindPartitions returns the places, among the definitions, of the named
// partitions, in that order and each once. Names are compared without regard
// to case. No names give nil. Errors are *fault.Error with TiDB's codes: 1747
// for a table without partitions, 1735 for a name that it doesn't have, and
// 1235 if the table has a global index, since its entries for the rows of all
// partitions lie in one place that is not empty.
func (t *Target) FindPartitions(names []string) ([]int, error) {
	if len(names) == 0 {
		return nil, nil
	}
	pi := t.Partitioning()
	if pi == nil {
		return nil, fault.New(fault.User, errno.ErrPartitionClauseOnNonpartitioned, "PARTITION () clause on non partitioned table")
	}
	if idx := t.globalIndex(); idx != nil {
		return nil, t.refuse("index %s is global, so a partition has no entries of its own in it; allow_non_empty without PARTITION adds to the whole table", idx.Name.O)
	}
	wanted := make([]bool, len(pi.Definitions))
	for _, name := range names {
		at := findPartition(pi, name)
		if at < 0 {
			return nil, fault.New(fault.User, errno.ErrUnknownPartition, "Unknown partition '%s' in table '%s'", name, t.Info.Name.O)
		}
		wanted[at] = true
	}
	var places []int
	for i, yes := range wanted {
		if yes {
			places = append(places, i)
		}
	}
	return places, nil
}

func findPartition(pi *model.PartitionInfo, name string) int {
	for i := range pi.Definitions {
		if pi.Definitions[i].Name.L == strings.ToLower(name) {
			return i
		}
	}
	return -1
}

// globalIndex returns the first index over all partitions together, or nil.
func (t *Target) globalIndex() *model.IndexInfo {
	for _, idx := range t.indexes {
		if idx.Global {
			return idx
		}
	}
	return nil
}

// checkPartitions refuses partitions that are about to change, and ways of
// partitioning that TiDB 8.5 doesn't have. Subpartitions and LINEAR can't be
// seen here: TiDB warns of them when the table is made and stores the table
// without.
func (t *Target) checkPartitions() error {
	pi := t.Partitioning()
	if pi == nil {
		return nil
	}
	switch {
	case len(pi.AddingDefinitions) > 0, len(pi.DroppingDefinitions) > 0, len(pi.NewPartitionIDs) > 0,
		pi.NewTableID != 0, pi.DDLAction != model.ActionNone:
		return t.refuse("a change of its partitions is in progress")
	case len(pi.Definitions) == 0:
		return t.refuse("it is partitioned, but its schema has no partitions")
	}
	switch pi.Type {
	case pmodel.PartitionTypeRange, pmodel.PartitionTypeList:
		return nil
	case pmodel.PartitionTypeHash, pmodel.PartitionTypeKey:
		if pi.Num != uint64(len(pi.Definitions)) {
			return t.refuse("it is partitioned into %d, but its schema has %d partitions", pi.Num, len(pi.Definitions))
		}
		return nil
	default:
		return t.refuse("it is partitioned by %s", pi.Type)
	}
}

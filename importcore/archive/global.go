package archive

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/util/codec"
)

// Global rewrites entries of the indexes of a partitioned table that are over all its partitions. They lie under the table's own id, and
// their values say in which partition the row is.
type Global struct {
	rules      Rules
	columns    map[int64]int   // of an index, by its id in the archive
	partitions map[int64]int64 // ids of the archive → ids of the target
}

// NewGlobal maps the ids in a table's global entries to those of a table of the target. Errors are those of NewRules.
func NewGlobal(from, to *model.TableInfo) (*Global, error) {
	rules, err := NewRules(from, to)
	if err != nil {
		return nil, err
	}
	ids, err := samePartitions(from, to)
	if err != nil {
		return nil, err
	}
	g := &Global{rules: rules, columns: map[int64]int{}, partitions: map[int64]int64{}}
	for _, x := range from.Indices {
		g.columns[x.ID] = len(x.Columns)
	}
	for _, p := range ids {
		g.partitions[p[0]] = p[1]
	}
	return g, nil
}

// partitionFlag is in front of a partition's id, as tablecodec.PartitionIDFlag. No part of a key that is a column or a handle begins with it.
const partitionFlag = tablecodec.PartitionIDFlag

// errGlobal is for forms of entries that TiDB may have by now and this code doesn't know.
var errGlobal = errors.New("the entry of an index over all partitions has an unknown form")

// Rewrite returns an entry as the target has it, in memory of its own.
func (g *Global) Rewrite(key, value []byte) (newKey, newValue []byte, err error) {
	newKey, ok := g.rules.Rewrite(key)
	if !ok {
		return nil, nil, fmt.Errorf("%w: key %x is of no index of the table", errGlobal, key)
	}
	_, index, _, err := tablecodec.DecodeKeyHead(key)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: key %x: %w", errGlobal, key, err)
	}
	_, rest, err := tablecodec.CutIndexKeyNew(key, g.columns[index])
	if err != nil || len(rest) > 0 && rest[0] == partitionFlag {
		return nil, nil, fmt.Errorf("%w: key %x", errGlobal, key)
	}
	newValue = slices.Clone(value)
	if len(newValue) <= tablecodec.MaxOldEncodeValueLen {
		return nil, nil, fmt.Errorf("%w: value %x of key %x", errGlobal, value, key)
	}
	id := tablecodec.SplitIndexValue(newValue).PartitionID // a part of newValue
	if id == nil {
		return nil, nil, fmt.Errorf("%w: value %x of key %x", errGlobal, value, key)
	}
	_, old, err := codec.DecodeInt(id)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: value %x of key %x: %w", errGlobal, value, key, err)
	}
	now, ok := g.partitions[old]
	if !ok {
		return nil, nil, fmt.Errorf("key %x names partition %d, which the table doesn't have", key, old)
	}
	copy(id, codec.EncodeInt(nil, now))
	return newKey, newValue, nil
}

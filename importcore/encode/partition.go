package encode

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/expression"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/chunk"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/table"
)

// The rows of a partitioned table lie under the table ids of its partitions,
// and so do the entries of its indexes; only the entries of a global index lie
// under the id of the table itself, with the partition's id in the value.
//
// Nothing of this costs anything for a table without partitions. An encoder of
// a table with them has key prefixes of its own and writes the id into them
// when a row's partition is not that of the row before.

// partitioning is how the plan's table spreads its rows. It is immutable.
type partitioning struct {
	locator locator
	columns []int    // offsets of the columns that decide, each once
	ids     []int64  // of the partitions, in the order of their definitions
	wanted  []bool   // nil: rows may go to every partition
	global  bool     // some index is global
	idAt    int      // where the table id stands in a key
	memo    bool     // the locator remembers what an expression gave
	exprs   exprPlan // the locator's, empty if it has no expression
}

// locator finds the partition of an encoder's row. It is immutable and shared
// by all encoders of a plan.
type locator interface {
	// locate returns the partition's place among the definitions. Without one
	// the error is a *noPartition; others are those of TiDB's expressions.
	locate(e *Encoder) (int, error)
}

// noPartition says that a row fits none. It shows the value as TiDB does.
type noPartition struct{ value string }

func (n *noPartition) Error() string { return "Table has no partition for value " + n.value }

// columnsValue is what TiDB shows for the values of RANGE and LIST COLUMNS.
const columnsValue = "from column_list"

// partitionState is what the encoder of a partitioned table keeps.
type partitionState struct {
	id   int64 // in the key prefixes; 0: none yet
	memo []memoEntry
	expr expression.Expression // a clone of the plan's
	args []types.Datum         // of the expression
	row  chunk.MutRow
	keys [][]byte // sort keys of the row
	key  []byte   // scratch
}

// compilePartitions prepares what finds the partition of a row. It comes after
// columns and handle.
func (p *Plan) compilePartitions() error {
	pi := p.cfg.Target.Partitioning()
	if pi == nil {
		return nil
	}
	part := &partitioning{idAt: len(p.cfg.KeyspacePrefix) + 1}
	for i := range pi.Definitions {
		part.ids = append(part.ids, pi.Definitions[i].ID)
	}
	if p.cfg.Partitions != nil {
		part.wanted = make([]bool, len(part.ids))
		for _, i := range p.cfg.Partitions {
			part.wanted[i] = true
		}
	}
	for _, idx := range p.cfg.Target.Indexes() {
		part.global = part.global || idx.Global
	}
	p.partitions = part
	b := &partitionBuilder{plan: p, info: pi, conv: newDefinitionConverter()}
	var err error
	switch {
	case pi.Type == pmodel.PartitionTypeRange && len(pi.Columns) > 0:
		part.locator, err = b.rangeColumns()
	case pi.Type == pmodel.PartitionTypeRange:
		part.locator, err = b.rangeOf()
	case pi.Type == pmodel.PartitionTypeList && len(pi.Columns) > 0:
		part.locator, err = b.listColumns()
	case pi.Type == pmodel.PartitionTypeList:
		part.locator, err = b.listOf()
	case pi.Type == pmodel.PartitionTypeHash:
		part.locator, err = b.hashOf()
	default:
		part.locator, err = b.keyOf()
	}
	if err != nil {
		return fault.Wrap(err, fault.User, errno.ErrNotSupportedYet,
			"Sluice can't import into %s yet: its partitions can't be understood", p.cfg.Target)
	}
	return nil
}

// Tables returns the ids, ascending, of the tables under which keys of the plan
// may lie: the table's own, or those of its partitions (only those that rows may
// go to) and, for global indexes, its own as well.
func (p *Plan) Tables() []int64 {
	own := p.cfg.Target.Info.ID
	if p.partitions == nil {
		return []int64{own}
	}
	var ids []int64
	for i, id := range p.partitions.ids {
		if p.partitions.wanted == nil || p.partitions.wanted[i] {
			ids = append(ids, id)
		}
	}
	if p.partitions.global {
		ids = append(ids, own)
	}
	slices.Sort(ids)
	return ids
}

// commonPrefix returns what all keys start with.
func (p *Plan) commonPrefix() []byte {
	if p.partitions == nil {
		return p.shared
	}
	ids, at := p.Tables(), p.partitions.idAt
	prefix := append(appendKeyInt(slices.Clone(p.shared[:at]), ids[0]), '_')
	if differ := uint64(ids[0]) ^ uint64(ids[len(ids)-1]); differ != 0 {
		prefix = prefix[:at+bits.LeadingZeros64(differ)/8]
	}
	return prefix
}

// ownPrefixes gives an encoder of a partitioned table key prefixes that it may
// change, and everything else that it needs to find partitions.
func (e *Encoder) ownPrefixes() {
	p := e.plan
	e.record = slices.Clone(p.record)
	e.indexes = slices.Clone(p.indexes)
	for i := range e.indexes {
		e.indexes[i].prefix = slices.Clone(e.indexes[i].prefix)
	}
	e.part = &partitionState{keys: make([][]byte, len(p.partitions.columns))}
	if x := &p.partitions.exprs; x.expr != nil {
		e.part.expr = x.expr.Clone()
		e.part.args = make([]types.Datum, len(x.args))
		e.part.row = chunk.MutRowFromTypes(x.types)
	}
	if p.partitions.memo {
		e.part.memo = make([]memoEntry, memoEntries)
	}
}

// enterPartition finds the row's partition and puts its id into the prefixes.
// The row's cells are complete.
func (e *Encoder) enterPartition(fields []format.Field) error {
	p := e.plan.partitions
	at, err := p.locator.locate(e)
	if err != nil {
		return e.notLocated(fields, err)
	}
	if p.wanted != nil && !p.wanted[at] {
		return fault.New(fault.Source, errno.ErrRowDoesNotMatchGivenPartitionSet,
			"Found a row not matching the given partition set").Place(e.decisive(fields))
	}
	if id := p.ids[at]; id != e.part.id {
		e.part.id = id
		at := p.idAt
		key := uint64(id) ^ (1 << 63)
		binary.BigEndian.PutUint64(e.record[at:], key)
		for i := range e.indexes {
			if idx := &e.indexes[i]; !idx.global {
				binary.BigEndian.PutUint64(idx.prefix[at:], key)
			}
		}
	}
	return nil
}

func (e *Encoder) notLocated(fields []format.Field, err error) error {
	at := e.decisive(fields)
	var none *noPartition
	if errors.As(err, &none) {
		return fault.New(fault.Source, errno.ErrNoPartitionForGivenValue, "%s", none.Error()).Place(at)
	}
	code, message := e.conv.describe(&e.plan.columns[e.plan.partitions.columns[0]], []byte(at.Value), err)
	return fault.New(fault.Source, code, "%s", message).Place(at)
}

// decisive names the columns that decide about the partition, and shows what
// the row has in them as far as it has fields for them.
func (e *Encoder) decisive(fields []format.Field) fault.Position {
	var names, values []string
	for _, offset := range e.plan.partitions.columns {
		names = append(names, e.plan.columns[offset].info.Name.O)
		at := e.plan.cfg.Mapping.Field(offset)
		switch {
		case at == table.Dropped || at >= len(fields):
		case fields[at].Null:
			values = append(values, "NULL")
		default:
			values = append(values, fault.ShortValue(fields[at].Bytes))
		}
	}
	return fault.Position{Column: strings.Join(names, ", "), Value: strings.Join(values, ", ")}
}

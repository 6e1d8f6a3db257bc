package encode

import (
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
)

// A multi-valued index has a hidden column, a JSON array. A row has one entry
// for each distinct member of it, with the member in the array's place; none
// if the array is empty; one if it is NULL.

// memberClass is how the members of an array are held in a cell. CAST ... AS
// ... ARRAY makes no others. Strings among them are keyed as they are.
func memberClass(ft *types.FieldType) class {
	switch ft.EvalType() {
	case types.ETInt:
		if mysql.HasUnsignedFlag(ft.GetFlag()) {
			return classUint
		}
		return classInt
	case types.ETReal:
		return classFloat
	case types.ETDatetime:
		return classUint
	case types.ETDuration:
		return classDuration
	default:
		return classBytes
	}
}

// multiValued is what is special about a multi-valued index.
type multiValued struct {
	column  int // the array's
	part    int // the array's place among the parts
	members int // index into Encoder.members
}

func (p *Plan) compileMultiValued(idx *index, info *model.IndexInfo) {
	for i, ic := range info.Columns {
		if p.columns[ic.Offset].info.FieldType.IsArray() {
			idx.multi = &multiValued{column: ic.Offset, part: i, members: p.multi}
			p.multi++
			return
		}
	}
}

// appendMembers adds the pairs of a multi-valued index.
func (e *Encoder) appendMembers(idx *index, a *kv.Arena) {
	array := e.cells[idx.multi.column]
	for i := range e.members[idx.multi.members] {
		e.cells[idx.multi.column] = e.members[idx.multi.members][i]
		e.appendEntry(idx, a)
	}
	e.cells[idx.multi.column] = array
}

// findMembers fills e.members for all multi-valued indexes: what can fail
// does so before anything of the row is written.
func (e *Encoder) findMembers() error {
	for i := range e.plan.indexes {
		idx := &e.plan.indexes[i]
		if idx.multi == nil {
			continue
		}
		at := idx.multi.column
		cells, err := e.membersOf(&e.plan.columns[at], &e.cells[at], e.members[idx.multi.members][:0])
		if err != nil {
			return err
		}
		if !idx.unique {
			cells = e.lastOfKey(&idx.parts[idx.multi.part], cells)
		}
		e.members[idx.multi.members] = cells
	}
	return nil
}

// lastOfKey drops members whose key a later one has too: 0 and -0. TiDB writes
// one after the other to the same key; in a unique index it refuses the row as
// one that collides with itself.
func (e *Encoder) lastOfKey(part *indexPart, cells []cell) []cell {
	if part.class != classFloat {
		return cells
	}
	zero, kept := -1, cells[:0]
	for _, c := range cells {
		switch {
		case c.null || c.u != floatBits(0):
		case zero >= 0:
			kept[zero] = c
			continue
		default:
			zero = len(kept)
		}
		kept = append(kept, c)
	}
	return kept
}

func (e *Encoder) membersOf(col *column, c *cell, to []cell) ([]cell, error) {
	if c.null {
		return append(to, cell{null: true}), nil
	}
	j := types.BinaryJSON{TypeCode: c.b[0], Value: c.b[1:]}
	if j.TypeCode != types.JSONTypeCodeArray {
		return nil, fault.New(fault.Sluice, 0, "column %s of a multi-valued index holds no array", col.info.Name.O)
	}
	if e.hashes == nil {
		e.hashes = make(map[string]struct{})
	}
	clear(e.hashes)
	for i := range j.GetElemCount() {
		member := j.ArrayGetElem(i)
		// TiDB tells members apart by this.
		hash := string(member.HashValue(nil))
		if _, met := e.hashes[hash]; met {
			continue
		}
		e.hashes[hash] = struct{}{}
		d := types.NewDatum(member.GetValue())
		var m cell
		if err := e.conv.setCell(&d, &m); err != nil {
			return nil, e.conv.fail(col, nil, err)
		}
		to = append(to, m)
	}
	return to, nil
}

package table

import (
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/fault"
)

// FieldTarget says where one field of a row goes. Exactly one member is set.
type FieldTarget struct {
	// Column is a column of the target, in any case.
	Column string
	// Var is a user variable without its @: the field is read and dropped.
	Var string
}

// Dropped is the offset of a field that goes to no column.
const Dropped = -1

// Mapping assigns the fields of a row to columns. It is immutable.
type Mapping struct {
	offsets []int // per field: column offset, or Dropped
	fieldOf []int // per column offset: field, or -1
}

// Fields returns how many fields a row must have.
func (m *Mapping) Fields() int { return len(m.offsets) }

// Column returns the offset of the column that a field goes to, or Dropped.
func (m *Mapping) Column(field int) int { return m.offsets[field] }

// Field returns the field that a column (by offset) gets, or -1.
func (m *Mapping) Field(column int) int { return m.fieldOf[column] }

// Map checks a list of field targets and returns the mapping. An empty list
// stands for all visible columns in table order. Errors are *fault.Error:
// 1054 for an unknown column, 1110 for one named twice, 3105 for a generated one.
func (t *Target) Map(targets []FieldTarget) (*Mapping, error) {
	m := &Mapping{fieldOf: make([]int, len(t.Info.Columns))}
	for i := range m.fieldOf {
		m.fieldOf[i] = -1
	}
	if len(targets) == 0 {
		for _, col := range t.columns {
			if !col.Hidden && !col.IsGenerated() {
				m.add(col.Offset)
			}
		}
		return m, nil
	}
	for _, target := range targets {
		if target.Column == "" {
			m.add(Dropped)
			continue
		}
		col, err := t.mappable(target.Column)
		if err != nil {
			return nil, err
		}
		if m.fieldOf[col.Offset] >= 0 {
			return nil, fault.New(fault.User, errno.ErrFieldSpecifiedTwice, "Column '%s' specified twice", target.Column)
		}
		m.add(col.Offset)
	}
	return m, nil
}

func (t *Target) mappable(name string) (*model.ColumnInfo, error) {
	col := t.byName[strings.ToLower(name)]
	if col == nil || col.Hidden {
		return nil, fault.New(fault.User, errno.ErrBadField, "Unknown column '%s' in 'field list'", name)
	}
	if col.IsGenerated() {
		return nil, fault.New(fault.User, errno.ErrBadGeneratedColumn,
			"The value specified for generated column '%s' in table '%s' is not allowed.", col.Name.O, t.Info.Name.O)
	}
	return col, nil
}

func (m *Mapping) add(offset int) {
	if offset != Dropped {
		m.fieldOf[offset] = len(m.offsets)
	}
	m.offsets = append(m.offsets, offset)
}

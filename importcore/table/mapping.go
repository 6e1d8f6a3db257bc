package table

import (
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/sluicedb/sluice/importcore/fault"
)

// FieldTarget says where one field of a row goes. Exactly one member is set.
type FieldTarget struct {
	// Column is a column of the target, in any case.
	Column string
	// Var is a user variable without its @: the field is read, for assignments
	// to use, and goes to no column.
	Var string
}

// Assignment is "column = expression" of a SET clause.
type Assignment struct {
	// Column is a column of the target, in any case.
	Column string
	// Expr may name variables of the field list, but no column. It is not changed.
	Expr ast.ExprNode
}

// Assigned is an assignment whose column has been found.
type Assigned struct {
	Column int // offset
	Expr   ast.ExprNode
}

// Dropped is the offset of a field that goes to no column.
const Dropped = -1

// Mapping assigns the fields of a row, and expressions, to columns. It is
// immutable.
type Mapping struct {
	offsets   []int    // per field: column offset, or Dropped
	vars      []string // per field: its variable in lower case, or ""
	receivers []string // per field: see Receiver
	optional  int      // so many of the last fields may be missing
	inner     bool     // a generated column has a field that may not be missing
	fieldOf   []int    // per column offset: field, or -1
	assigned  []Assigned
}

// Fields returns how many fields a row has; all but Optional of them must be there.
func (m *Mapping) Fields() int { return len(m.offsets) }

// Optional returns how many of the last fields may be missing from a row: those
// of generated columns at the table's end, if no list of fields was given.
func (m *Mapping) Optional() int { return m.optional }

// Hint completes the message for a row with too few fields, or is "".
func (m *Mapping) Hint() string {
	if m.inner {
		return "; without a column list generated columns have a field too"
	}
	return ""
}

// Column returns the offset of the column that a field goes to, or Dropped.
func (m *Mapping) Column(field int) int { return m.offsets[field] }

// Receiver names what gets a field: a column, or a variable, with its @, that an
// assignment uses. It is "" if nothing does.
func (m *Mapping) Receiver(field int) string {
	if field >= len(m.offsets) {
		return ""
	}
	return m.receivers[field]
}

// Var returns the variable that a field goes to, in lower case, or "".
func (m *Mapping) Var(field int) string { return m.vars[field] }

// Field returns the field that a column (by offset) gets, or -1.
func (m *Mapping) Field(column int) int { return m.fieldOf[column] }

// Assigned returns the columns that get the value of an expression, in the order
// of the SET clause; not to be changed.
func (m *Mapping) Assigned() []Assigned { return m.assigned }

// Map checks a list of field targets and assignments and returns the mapping.
// An empty list stands for all visible columns in table order; as in TiDB's
// IMPORT INTO, generated columns have a field too, which is read and dropped.
// Errors are *fault.Error: 1054 for an unknown column, 1110 for one named twice
// (also by list and assignment), 3105 for a generated one.
func (t *Target) Map(targets []FieldTarget, assignments ...Assignment) (*Mapping, error) {
	m := t.newMapper()
	if len(targets) == 0 {
		t.mapAll(m.Mapping)
		for i, f := range m.fieldOf {
			m.taken[i] = f >= 0
		}
	}
	for _, target := range targets {
		if target.Column == "" {
			m.add(Dropped, strings.ToLower(target.Var))
			continue
		}
		col, err := m.assignable(target.Column)
		if err != nil {
			return nil, err
		}
		m.add(col.Offset, "")
	}
	return m.assign(assignments)
}

// MapHeader is Map for a list of names as a file gives them: each names a
// column, in any case. The field of a generated column is read and dropped, as
// it is without a list. A column without a field gets its default.
func (t *Target) MapHeader(names []string, assignments ...Assignment) (*Mapping, error) {
	m := t.newMapper()
	for _, name := range names {
		col, err := m.claim(name)
		switch {
		case err != nil:
			return nil, err
		case col.IsGenerated():
			m.add(Dropped, "")
		default:
			m.add(col.Offset, "")
		}
	}
	return m.assign(assignments)
}

// mapper is a mapping under construction.
type mapper struct {
	*Mapping
	target *Target
	taken  []bool // per column offset
}

func (t *Target) newMapper() *mapper {
	m := &mapper{Mapping: &Mapping{fieldOf: make([]int, len(t.Info.Columns))}, target: t, taken: make([]bool, len(t.Info.Columns))}
	for i := range m.fieldOf {
		m.fieldOf[i] = -1
	}
	return m
}

// claim finds a column by name, which may be done once.
func (m *mapper) claim(name string) (*model.ColumnInfo, error) {
	col := m.target.byName[strings.ToLower(name)]
	if col == nil || col.Hidden {
		return nil, fault.New(fault.User, errno.ErrBadField, "Unknown column '%s' in 'field list'", name)
	}
	if m.taken[col.Offset] {
		return nil, fault.New(fault.User, errno.ErrFieldSpecifiedTwice, "Column '%s' specified twice", name)
	}
	m.taken[col.Offset] = true
	return col, nil
}

// assignable is claim for a column that has to take a value.
func (m *mapper) assignable(name string) (*model.ColumnInfo, error) {
	col, err := m.claim(name)
	if err == nil && col.IsGenerated() {
		return nil, fault.New(fault.User, errno.ErrBadGeneratedColumn,
			"The value specified for generated column '%s' in table '%s' is not allowed.", col.Name.O, m.target.Info.Name.O)
	}
	return col, err
}

// assign adds the SET clause, which completes the mapping.
func (m *mapper) assign(assignments []Assignment) (*Mapping, error) {
	used := variables{}
	for _, a := range assignments {
		col, err := m.assignable(a.Column)
		if err != nil {
			return nil, err
		}
		m.assigned = append(m.assigned, Assigned{Column: col.Offset, Expr: a.Expr})
		a.Expr.Accept(used)
	}
	for i, offset := range m.offsets {
		name := ""
		switch {
		case offset != Dropped:
			name = m.target.Info.Columns[offset].Name.O
		case used[m.vars[i]]:
			name = "@" + m.vars[i]
		}
		m.receivers = append(m.receivers, name)
	}
	return m.Mapping, nil
}

// variables collects those of expressions, in lower case. It implements ast.Visitor.
type variables map[string]bool

// Enter implements ast.Visitor.
func (v variables) Enter(n ast.Node) (ast.Node, bool) {
	if x, ok := n.(*ast.VariableExpr); ok && !x.IsSystem {
		v[strings.ToLower(x.Name)] = true
	}
	return n, false
}

// Leave implements ast.Visitor.
func (v variables) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// mapAll gives every visible column a field.
func (t *Target) mapAll(m *Mapping) {
	for _, col := range t.columns {
		switch {
		case col.Hidden:
		case col.IsGenerated():
			m.add(Dropped, "")
			m.optional++
		default:
			m.add(col.Offset, "")
			m.inner = m.inner || m.optional > 0
			m.optional = 0
		}
	}
}

func (m *Mapping) add(offset int, variable string) {
	if offset != Dropped {
		m.fieldOf[offset] = len(m.offsets)
	}
	m.offsets = append(m.offsets, offset)
	m.vars = append(m.vars, variable)
}

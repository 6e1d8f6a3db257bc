package logical

import (
	"slices"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// form is a layout compiled for a table: what a row's fields become.
type form struct {
	layout *Layout
	fields []kept
	names  []string // per field of the layout: the column as the table spells it, "" without one
	head   string   // INSERT INTO t (...) VALUES
	tail   string

	defaults []format.Field // as many as the layout has
}

// kept is a field that goes to a column.
type kept struct {
	field int
	class class
}

// compile looks a layout's columns up. Errors are *fault.Error: 1054 for an unknown column, 1110 for one named twice.
func (t *Table) compile(layout *Layout, duplicates OnDuplicate) (*form, error) {
	f := &form{layout: layout}
	columns, seen := "", map[*column]bool{}
	first := ""
	for i, name := range layout.Columns {
		f.names = append(f.names, "")
		f.defaults = append(f.defaults, format.Field{Kind: format.Default})
		if name == "" {
			continue
		}
		c := t.find(name)
		switch {
		case c == nil:
			return nil, fault.New(fault.User, mysql.ER_BAD_FIELD_ERROR, "Unknown column '%s' in 'field list'", name)
		case seen[c]:
			return nil, fault.New(fault.User, mysql.ER_FIELD_SPECIFIED_TWICE, "Column '%s' specified twice", name)
		case c.always:
			continue
		}
		seen[c] = true
		f.names[i] = c.name
		f.fields = append(f.fields, kept{field: i, class: c.class})
		if columns != "" {
			columns += ", "
		}
		columns += sqlconn.QuoteName(c.name)
		if first == "" {
			first = sqlconn.QuoteName(c.name)
		}
	}
	verb := "INSERT"
	if duplicates == DuplicateReplace {
		verb = "REPLACE"
	}
	f.head = verb + " INTO " + t.String() + " (" + columns + ") VALUES "
	if duplicates == DuplicateIgnore && first != "" {
		f.tail = " ON DUPLICATE KEY UPDATE " + first + " = " + first
	}
	return f, nil
}

// appendRow appends a row's values in parentheses. The error of a row with too few or too many fields has no place.
func (f *form) appendRow(dst []byte, fields []format.Field) ([]byte, error) {
	if len(fields) == 0 {
		fields = f.defaults // the row () of a dump
	}
	if want := len(f.layout.Columns); len(fields) > want {
		return dst, fault.New(fault.Source, codeTooManyFields, "the row has %d fields, but there are %d columns for them", len(fields), want)
	} else if least := want - f.layout.Optional; len(fields) < least {
		return dst, fault.New(fault.Source, codeTooFewFields, "the row has %d fields, but %d are needed", len(fields), least)
	}
	dst = append(dst, '(')
	for i, k := range f.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		if k.field >= len(fields) {
			dst = append(dst, "DEFAULT"...)
			continue
		}
		dst = appendLiteral(dst, fields[k.field], k.class)
	}
	return append(dst, ')'), nil
}

// batch is rows of one block that go into one transaction, as the text of their statement.
type batch struct {
	form    *form
	text    []byte  // head, then the rows with commas between
	ends    []int   // per row: where it ends in text
	rows    []int32 // per row: its number in the block
	first   int32   // number in the block of the first row that the batch is about, rejects included
	next    int32   // behind the last one
	rejects []reject
}

// keptText is the capacity up to which a batch's text is kept: longer rows are rare.
const keptText = 4 << 20

func (b *batch) reset(f *form, first int32) {
	if cap(b.text) > keptText {
		b.text = nil
	}
	b.form, b.text, b.first, b.next = f, append(b.text[:0], f.head...), first, first
	b.ends, b.rows, b.rejects = b.ends[:0], b.rows[:0], nil
}

// add appends a row; an error leaves the batch as it was.
func (b *batch) add(fields []format.Field, row int32) error {
	was := len(b.text)
	if len(b.ends) > 0 {
		b.text = append(b.text, ',')
	}
	text, err := b.form.appendRow(b.text, fields)
	if err != nil {
		b.text = text[:was]
		return err
	}
	b.text = text
	b.ends, b.rows = append(b.ends, len(text)), append(b.rows, row)
	return nil
}

// drop removes the last row.
func (b *batch) drop() {
	n := len(b.ends) - 1
	b.ends, b.rows = b.ends[:n], b.rows[:n]
	b.text = b.text[:len(b.form.head)]
	if n > 0 {
		b.text = b.text[:b.ends[n-1]]
	}
}

// size is the length of the last row's text.
func (b *batch) size() int {
	n := len(b.ends)
	if n == 1 {
		return b.ends[0] - len(b.form.head)
	}
	return b.ends[n-1] - b.ends[n-2]
}

// sql is the statement of the batch's rows from lo to hi.
func (b *batch) sql(lo, hi int) string {
	start := len(b.form.head)
	if lo > 0 {
		start = b.ends[lo-1] + 1
	}
	rows := b.text[start:b.ends[hi-1]]
	return string(slices.Concat([]byte(b.form.head), rows, []byte(b.form.tail)))
}

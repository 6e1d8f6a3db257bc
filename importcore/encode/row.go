package encode

import (
	"encoding/binary"
	"math"
	"slices"
)

// Row format version 2:
//
//	128 | flags | #notNull u16 | #null u16 | notNull ids | null ids | offsets | data
//
// Ids are sorted in each of the two lists; an offset is the end of a value,
// counted from the start of data; all numbers are little-endian. Ids take one
// byte and offsets two, or four each when flag 1 is set: when an id is above
// 255 or data is longer than 65535 bytes.
const (
	rowVersion   = 128
	rowFlagLarge = 1
	rowHeader    = 6
)

// rowCol is one column of a row in id order.
type rowCol struct {
	id       uint32
	cell     int // index of its cell
	class    class
	skipNull bool // a NULL is left out
}

// rowPlan is the columns of one kind of row: of records, or of the restored
// data in an index value.
type rowPlan struct {
	cols  []rowCol
	large bool // some id is above 255
}

func newRowPlan(cols []rowCol) rowPlan {
	slices.SortFunc(cols, func(a, b rowCol) int { return int(a.id) - int(b.id) })
	p := rowPlan{cols: cols}
	p.large = len(cols) > 0 && cols[len(cols)-1].id > math.MaxUint8
	return p
}

// appendRow appends the row of cells.
func (p *rowPlan) appendRow(dst []byte, cells []cell) []byte {
	if p.large && p.needsLarge(cells) {
		return p.appendLarge(dst, cells)
	}
	start := len(dst)
	out, ok := p.appendSmall(dst, cells)
	if !ok {
		return p.appendLarge(out[:start], cells)
	}
	return out
}

// needsLarge reports whether an id above 255 is in the row.
func (p *rowPlan) needsLarge(cells []cell) bool {
	for i := len(p.cols) - 1; i >= 0 && p.cols[i].id > math.MaxUint8; i-- {
		if !p.cols[i].skipNull || !cells[p.cols[i].cell].null {
			return true
		}
	}
	return false
}

// appendSmall appends the row with narrow ids and offsets. It reports false,
// with anything in dst after its old length, when data gets too long for them.
func (p *rowPlan) appendSmall(dst []byte, cells []cell) ([]byte, bool) {
	start := len(dst)
	dst = append(dst, rowVersion, 0, 0, 0, 0, 0)
	nulls := 0
	for i := range p.cols {
		col := &p.cols[i]
		if !cells[col.cell].null {
			dst = append(dst, byte(col.id))
		} else if !col.skipNull {
			nulls++
		}
	}
	notNulls := len(dst) - start - rowHeader
	for i := 0; nulls > 0 && i < len(p.cols); i++ {
		col := &p.cols[i]
		if cells[col.cell].null && !col.skipNull {
			dst = append(dst, byte(col.id))
		}
	}
	binary.LittleEndian.PutUint16(dst[start+2:], uint16(notNulls))
	binary.LittleEndian.PutUint16(dst[start+4:], uint16(nulls))

	offset := len(dst)
	data := offset + 2*notNulls
	dst = slices.Grow(dst, 2*notNulls)[:data]
	for i := range p.cols {
		col := &p.cols[i]
		c := &cells[col.cell]
		if c.null {
			continue
		}
		dst = appendValue(dst, col.class, c)
		if len(dst)-data > math.MaxUint16 {
			return dst, false
		}
		binary.LittleEndian.PutUint16(dst[offset:], uint16(len(dst)-data))
		offset += 2
	}
	return dst, true
}

// appendLarge appends the row with wide ids and offsets.
func (p *rowPlan) appendLarge(dst []byte, cells []cell) []byte {
	start := len(dst)
	dst = append(dst, rowVersion, rowFlagLarge, 0, 0, 0, 0)
	notNulls, nulls := 0, 0
	for i := range p.cols {
		if col := &p.cols[i]; !cells[col.cell].null {
			dst = binary.LittleEndian.AppendUint32(dst, col.id)
			notNulls++
		}
	}
	for i := range p.cols {
		if col := &p.cols[i]; cells[col.cell].null && !col.skipNull {
			dst = binary.LittleEndian.AppendUint32(dst, col.id)
			nulls++
		}
	}
	binary.LittleEndian.PutUint16(dst[start+2:], uint16(notNulls))
	binary.LittleEndian.PutUint16(dst[start+4:], uint16(nulls))

	offset := len(dst)
	data := offset + 4*notNulls
	dst = slices.Grow(dst, 4*notNulls)[:data]
	for i := range p.cols {
		col := &p.cols[i]
		c := &cells[col.cell]
		if c.null {
			continue
		}
		dst = appendValue(dst, col.class, c)
		binary.LittleEndian.PutUint32(dst[offset:], uint32(len(dst)-data))
		offset += 4
	}
	return dst
}

// compileRow lists the columns that records hold: all but those that can be
// read back from the key.
func (p *Plan) compileRow() {
	var cols []rowCol
	for i := range p.columns {
		col := &p.columns[i]
		if p.inHandle(i) {
			continue
		}
		cols = append(cols, rowCol{id: uint32(col.info.ID), cell: i, class: col.class, skipNull: col.skipNull})
	}
	p.row = newRowPlan(cols)
}

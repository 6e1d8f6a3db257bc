package encode

import (
	"encoding/binary"
	"math"
	"math/bits"
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
	notNull  bool // the cell is never NULL
}

// rowPlan is the columns of one kind of row: of records, or of the restored
// data in an index value.
type rowPlan struct {
	cols  []rowCol
	large bool // some id is above 255

	fixed    int    // most bytes of a narrow row but for those in sized
	sized    []int  // cells that are byte ranges
	template []byte // header and ids, if no cell is ever NULL; else nil
}

func newRowPlan(cols []rowCol) rowPlan {
	slices.SortFunc(cols, func(a, b rowCol) int { return int(a.id) - int(b.id) })
	p := rowPlan{cols: cols}
	p.large = len(cols) > 0 && cols[len(cols)-1].id > math.MaxUint8
	p.fixed = rowHeader + len(cols)*(1+2+8)
	template, always := []byte{rowVersion, 0, byte(len(cols)), byte(len(cols) >> 8), 0, 0}, true
	for i := range cols {
		if cols[i].class == classBytes || cols[i].class == classDecimal {
			p.sized = append(p.sized, cols[i].cell)
		}
		template = append(template, byte(cols[i].id))
		always = always && cols[i].notNull
	}
	if always {
		p.template = template
	}
	return p
}

// appendRow appends the row of cells.
func (p *rowPlan) appendRow(dst []byte, cells []cell) []byte {
	if size := p.narrowSize(cells); size > 0 {
		dst = slices.Grow(dst, size+slack)
		return dst[:p.write(dst[:cap(dst)], len(dst), cells)]
	}
	return p.appendAny(dst, cells)
}

// narrowSize returns how many bytes the row takes at most, or 0 if it may
// need wide ids or offsets.
func (p *rowPlan) narrowSize(cells []cell) int {
	size := p.fixed
	for _, i := range p.sized {
		size += len(cells[i].b)
	}
	if p.large || size > math.MaxUint16 {
		return 0
	}
	return size
}

// write puts a row of narrow ids and offsets at b[n:] and returns its end. b
// has narrowSize and slack bytes of room there.
func (p *rowPlan) write(b []byte, n int, cells []cell) int {
	notNulls := len(p.cols)
	if p.template != nil {
		n += copy(b[n:], p.template)
	} else {
		n, notNulls = p.writeHeader(b, n, cells)
	}
	offsets := b[n : n+2*notNulls]
	n += 2 * notNulls
	data := n
	for i := range p.cols {
		col := &p.cols[i]
		c := &cells[col.cell]
		if c.null {
			continue
		}
		switch col.class {
		case classInt, classDuration:
			binary.LittleEndian.PutUint64(b[n:], c.u)
			n += int(intBytes[bits.Len64(c.u^uint64(int64(c.u)>>63))])
		case classUint:
			binary.LittleEndian.PutUint64(b[n:], c.u)
			n += int(uintBytes[bits.Len64(c.u)])
		case classFloat:
			binary.BigEndian.PutUint64(b[n:], c.u)
			n += 8
		default:
			n += copy(b[n:], c.b)
		}
		binary.LittleEndian.PutUint16(offsets, uint16(n-data))
		offsets = offsets[2:]
	}
	return n
}

// writeHeader puts header and ids at b[n:]. It returns their end and the number of cells that aren't NULL.
func (p *rowPlan) writeHeader(b []byte, n int, cells []cell) (end, notNulls int) {
	header := b[n : n+rowHeader]
	n += rowHeader
	ids, nulls := n, 0
	for i := range p.cols {
		col := &p.cols[i]
		b[n] = byte(col.id)
		if !cells[col.cell].null {
			n++
		} else if !col.skipNull {
			nulls++
		}
	}
	notNulls = n - ids
	for i := 0; nulls > 0 && i < len(p.cols); i++ {
		col := &p.cols[i]
		if cells[col.cell].null && !col.skipNull {
			b[n] = byte(col.id)
			n++
		}
	}
	copy(header, []byte{rowVersion, 0, byte(notNulls), byte(notNulls >> 8), byte(nulls), byte(nulls >> 8)})
	return n, notNulls
}

// intBytes and uintBytes are the bytes that an integer takes in a record, by
// the number of its significant bits (of the magnitude, for signed ones).
var intBytes, uintBytes = func() (signed, unsigned [65]uint8) {
	for n := range signed {
		signed[n], unsigned[n] = 8, 8
		switch {
		case n <= 8:
			unsigned[n] = 1
		case n <= 16:
			unsigned[n] = 2
		case n <= 32:
			unsigned[n] = 4
		}
		switch {
		case n <= 7:
			signed[n] = 1
		case n <= 15:
			signed[n] = 2
		case n <= 31:
			signed[n] = 4
		}
	}
	return signed, unsigned
}()

// appendAny appends the row of cells, whatever its size.
func (p *rowPlan) appendAny(dst []byte, cells []cell) []byte {
	data := p.dataSize(cells)
	if data > math.MaxUint16 || p.large && p.needsLarge(cells) {
		// All at once: what grows bit by bit is there twice.
		return p.appendLarge(slices.Grow(dst, rowHeader+8*len(p.cols)+data), cells)
	}
	dst = slices.Grow(dst, p.fixed+data+slack)
	return dst[:p.write(dst[:cap(dst)], len(dst), cells)]
}

// dataSize returns how many bytes the values take.
func (p *rowPlan) dataSize(cells []cell) (size int) {
	for i := range p.cols {
		col := &p.cols[i]
		c := &cells[col.cell]
		if c.null {
			continue
		}
		switch col.class {
		case classInt, classDuration:
			size += int(intBytes[bits.Len64(c.u^uint64(int64(c.u)>>63))])
		case classUint:
			size += int(uintBytes[bits.Len64(c.u)])
		case classFloat:
			size += 8
		default:
			size += len(c.b)
		}
	}
	return size
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
// read back from the key, and those that are computed when they are read.
func (p *Plan) compileRow() {
	var cols []rowCol
	for i := range p.columns {
		col := &p.columns[i]
		if p.inHandle(i) || col.info.IsVirtualGenerated() {
			continue
		}
		cols = append(cols, rowCol{id: uint32(col.info.ID), cell: i, class: col.class, skipNull: col.skipNull, notNull: col.neverNull()})
	}
	p.row = newRowPlan(cols)
}

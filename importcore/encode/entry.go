package encode

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/sluicedb/sluice/importcore/kv"
)

// quickIndex is an index of the common kind: the table has an integer handle
// and no part is keyed by a collation's weights. Then the size of an entry is
// bounded beforehand and it is written without growing the arena in between.
type quickIndex struct {
	ok  bool
	cut bool // some part has a prefix length, so parts are copies of cells

	fixed    int    // most bytes of an entry but for those of byte ranges
	flags    []byte // per part: what stands in front of its value
	cells    []int  // per part: its cell, in e.parts if cut, else in e.cells
	sized    []int  // cells of parts that are byte ranges
	restored rowPlan
}

// compileQuick sees whether idx, which is complete otherwise, is of the common kind.
func (idx *index) compileQuick() {
	q := quickIndex{ok: !idx.global && idx.multi == nil}
	for i := range idx.parts {
		q.ok = q.ok && idx.parts[i].sort != keyCollated
		q.cut = q.cut || idx.parts[i].limit >= 0
	}
	// Key: prefix, parts, flag and handle. Value: length, restored row, handle or zeros.
	q.fixed = len(idx.prefix) + len(idx.parts)*9 + 9 + 1 + minRestoredValue + slack
	for i := range idx.parts {
		part := &idx.parts[i]
		at := part.column
		if q.cut {
			at = i
		}
		q.cells = append(q.cells, at)
		q.flags = append(q.flags, keyFlags[part.class])
		if part.class == classBytes || part.class == classDecimal {
			q.sized = append(q.sized, at)
			q.fixed += keyBytesSize(0)
		}
	}
	if len(idx.restored.cols) > 0 {
		cols := slices.Clone(idx.restored.cols)
		for i := range cols {
			cols[i].cell = q.cells[cols[i].cell]
		}
		q.restored = newRowPlan(cols)
		q.ok = q.ok && !q.restored.large
		q.fixed += q.restored.fixed
	}
	idx.quick = q
}

// quickEntry is appendEntry for indexes of the common kind. It reports false,
// with nothing done, if the values are too long for it.
func (e *Encoder) quickEntry(idx *index, a *kv.Arena) bool {
	q := &idx.quick
	cells := e.cells
	if q.cut {
		cells = e.cutParts(idx)
	}
	size := q.fixed
	for _, i := range q.sized {
		size += 2*len(cells[i].b) + len(cells[i].b)/8*2 // in the key, in groups, and restored
	}
	if size > math.MaxUint16 {
		return false
	}
	a.Buf = slices.Grow(a.Buf, size)
	b := a.Buf[:cap(a.Buf)]
	n := len(a.Buf)
	n += copy(b[n:], idx.prefix)
	n, distinct := q.writeParts(idx, b, n, cells)
	if !distinct {
		b[n] = flagInt
		binary.BigEndian.PutUint64(b[n+1:], uint64(e.intHandle)^(1<<63))
		n += 9
	}
	a.Buf = b[:n]
	a.EndKey()
	a.Buf = b[:q.writeValue(b, n, cells, e.intHandle, distinct)]
	a.EndPair()
	return true
}

// cutParts returns copies of the cells of idx, cut to their prefixes.
func (e *Encoder) cutParts(idx *index) []cell {
	cells := e.parts[:0]
	for i := range idx.parts {
		cells = append(cells, e.cells[idx.parts[i].column])
		if !cells[i].null {
			idx.parts[i].truncate(&cells[i])
		}
	}
	e.parts = cells
	return cells
}

// keyFlags are the flags in front of values in keys, by class.
var keyFlags = [...]byte{
	classInt: flagInt, classUint: flagUint, classFloat: flagFloat,
	classDuration: flagDuration, classBytes: flagBytes, classDecimal: flagDecimal,
}

// writeParts puts the parts of a key at b[n:]. It returns their end and
// whether the key is unique without the handle.
func (q *quickIndex) writeParts(idx *index, b []byte, n int, cells []cell) (end int, distinct bool) {
	distinct = idx.unique
	for i := range idx.parts {
		part := &idx.parts[i]
		c := &cells[q.cells[i]]
		if c.null {
			b[n] = flagNull
			n++
			distinct = false
			continue
		}
		b[n] = q.flags[i]
		n++
		switch part.class {
		case classInt, classDuration:
			binary.BigEndian.PutUint64(b[n:], c.u^(1<<63))
			n += 8
		case classUint, classFloat:
			binary.BigEndian.PutUint64(b[n:], c.u)
			n += 8
		case classDecimal:
			n += copy(b[n:], c.b)
		default:
			text := c.b
			if part.sort == keyTrimmed {
				text = trimSpaces(text)
			}
			n = writeKeyBytes(b, n, text)
		}
	}
	return n, distinct
}

// writeValue puts the value of an entry at b[n:] and returns its end.
func (q *quickIndex) writeValue(b []byte, n int, cells []cell, handle int64, distinct bool) int {
	if len(q.restored.cols) == 0 {
		if !distinct {
			b[n] = plainIndexValue
			return n + 1
		}
		binary.BigEndian.PutUint64(b[n:], uint64(handle))
		return n + 8
	}
	start := n
	n = q.restored.write(b, n+1, cells)
	tail := n
	if distinct {
		binary.BigEndian.PutUint64(b[n:], uint64(handle))
		n += 8
	} else {
		for ; n-start < minRestoredValue; n++ {
			b[n] = 0
		}
	}
	b[start] = byte(n - tail)
	return n
}

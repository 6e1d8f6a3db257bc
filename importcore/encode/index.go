package encode

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/collate"

	"github.com/sluicedb/sluice/importcore/kv"
)

// An index entry is "distinct" when the index is unique and no part is NULL:
// then the handle is in the value, otherwise it ends the key.
//
// Keys hold strings as sort keys, from which the string can't always be told;
// then the value has "restored data", a row (see row.go) of such columns.
//
// Values of tables with an integer handle:
//
//	distinct, nothing restored:  handle, 8 bytes
//	other,    nothing restored:  '0'
//	restored:                    tail length | row | tail
//	                             tail = handle if distinct, else zeros up to a total of 10
//
// Values of tables with a common handle (version 1):
//
//	0 | 125 | 1 | [127 | length u16 | handle]  if distinct | [row]  if anything is restored
//
// Values of global indexes, over all partitions of a table, have
//
//	126 | id of the partition, as an integer in a key
//
// in front of the row, whether there is one or not; with an integer handle they
// have the form with length and tail.
const (
	plainIndexValue    = '0'
	minRestoredValue   = 10
	commonVersionFlag  = 125
	commonVersion      = 1
	commonHandleMarker = 127
	partitionMarker    = 126
)

// sortKey is how a string is keyed.
type sortKey uint8

const (
	keyRaw      sortKey = iota // as it is
	keyTrimmed                 // without trailing spaces
	keyCollated                // by the collation's weights
)

// indexPart is one column of an index.
type indexPart struct {
	column     int
	class      class
	limit      int  // prefix length; -1 means the whole value
	limitBytes bool // limit counts bytes, otherwise characters
	sort       sortKey
	collator   int // keyCollated: index into Plan.collators
}

// index is one index of the plan.
type index struct {
	prefix []byte       // of its keys
	multi  *multiValued // nil: one entry per row
	unique bool
	global bool // over all partitions: keys are the table's, values name the partition
	parts  []indexPart

	restored rowPlan          // empty: nothing is restored
	restore  []restoredColumn // per cell of restored

	quick quickIndex
}

// restoredColumn says what one cell of the restored data holds.
type restoredColumn struct {
	part   int        // index part it comes from, or -1: a column of the handle
	column int        // for -1
	limit  *indexPart // for -1: how it is cut
	tail   bool       // the number of trailing spaces instead of the string
}

// compileParts builds the parts of an index.
func (p *Plan) compileParts(idx *model.IndexInfo) []indexPart {
	parts := make([]indexPart, len(idx.Columns))
	for i, ic := range idx.Columns {
		parts[i] = p.compilePart(ic)
	}
	return parts
}

func (p *Plan) compilePart(ic *model.IndexColumn) indexPart {
	col := &p.columns[ic.Offset]
	part := indexPart{column: ic.Offset, class: col.class, limit: -1}
	if col.info.FieldType.IsArray() {
		part.class = memberClass(col.info.FieldType.ArrayType())
		return part
	}
	if col.class != classBytes {
		return part
	}
	info := col.info
	if ic.Length != types.UnspecifiedLength {
		part.limit = ic.Length
		part.limitBytes = info.GetCharset() == charset.CharsetBin || info.GetCharset() == charset.CharsetASCII
	}
	if !p.cfg.Target.NewCollation {
		return part
	}
	switch info.GetCollate() {
	case charset.CollationBin, "utf8mb4_0900_bin":
	case charset.CollationUTF8MB4, charset.CollationUTF8, charset.CollationASCII, charset.CollationLatin1:
		part.sort = keyTrimmed
	default:
		part.sort = keyCollated
		part.collator = len(p.collators)
		p.collators = append(p.collators, collate.GetCollator(info.GetCollate()))
	}
	return part
}

// truncate cuts a prefix column down to its prefix. A string that is longer
// than that and not valid UTF-8 (which latin1 columns take) gets U+FFFD for
// each bad byte of the prefix, because TiDB goes through runes there.
func (part *indexPart) truncate(c *cell) {
	if part.limit < 0 || len(c.b) <= part.limit {
		return
	}
	if part.limitBytes {
		c.b = c.b[:part.limit]
		return
	}
	end := 0
	for n := 0; n < part.limit && end < len(c.b); n++ {
		_, size := utf8.DecodeRune(c.b[end:])
		end += size
	}
	if end == len(c.b) {
		return
	}
	if c.b = c.b[:end]; !utf8.Valid(c.b) {
		c.b = []byte(string([]rune(string(c.b))))
	}
}

// appendKey appends the part of a key that a cell makes.
func (e *Encoder) appendKey(dst []byte, part *indexPart, c *cell) []byte {
	if c.null {
		return append(dst, flagNull)
	}
	if part.class != classBytes {
		return appendKeyNumber(dst, part.class, c)
	}
	dst = append(dst, flagBytes)
	switch part.sort {
	case keyTrimmed:
		return appendKeyBytes(dst, trimSpaces(c.b))
	case keyCollated:
		// Collators read the string and return a key of their own.
		return appendKeyBytes(dst, e.collators[part.collator].Key(unsafe.String(unsafe.SliceData(c.b), len(c.b))))
	default:
		return appendKeyBytes(dst, c.b)
	}
}

func (p *Plan) compileIndex(info *model.IndexInfo) index {
	idx := index{unique: info.Unique, global: info.Global, parts: p.compileParts(info)}
	idx.prefix = append(append([]byte(nil), p.shared...), 'i')
	idx.prefix = appendKeyInt(idx.prefix, info.ID)
	p.compileMultiValued(&idx, info)
	if p.handle.kind == handleCommon {
		p.restoreCommon(&idx)
	} else {
		p.restoreInt(&idx)
		idx.compileQuick()
	}
	return idx
}

// restoreInt plans the restored data of a table with an integer handle: all
// columns of the index, if one of them needs it.
func (p *Plan) restoreInt(idx *index) {
	needed := false
	for i := range idx.parts {
		needed = needed || types.NeedRestoredData(&p.columns[idx.parts[i].column].info.FieldType)
	}
	if !needed {
		return
	}
	var cols []rowCol
	for i := range idx.parts {
		col := &p.columns[idx.parts[i].column]
		cols = append(cols, rowCol{id: uint32(col.info.ID), cell: i, class: idx.parts[i].class, notNull: col.neverNull()})
		idx.restore = append(idx.restore, restoredColumn{part: i})
	}
	idx.restored = newRowPlan(cols)
}

// restoreCommon plans the restored data of a table with a common handle: the
// columns that need it, first of the index and then of the handle.
func (p *Plan) restoreCommon(idx *index) {
	var cols []rowCol
	add := func(offset int, r restoredColumn, tailClass class) {
		col := &p.columns[offset]
		class := col.class
		if r.tail = collate.IsBinCollation(col.info.GetCollate()); r.tail {
			class = tailClass
		}
		cols = append(cols, rowCol{id: uint32(col.info.ID), cell: len(idx.restore), class: class})
		idx.restore = append(idx.restore, r)
	}
	for i := range idx.parts {
		info := p.columns[idx.parts[i].column].info
		if !mysql.HasPriKeyFlag(info.GetFlag()) && types.NeedRestoredData(&info.FieldType) {
			add(info.Offset, restoredColumn{part: i}, classUint)
		}
	}
	if p.cfg.Target.NewCollation {
		for i := range p.handle.parts {
			part := &p.handle.parts[i]
			if types.NeedRestoredData(&p.columns[part.column].info.FieldType) {
				r := restoredColumn{part: -1, column: part.column, limit: longerPart(part, idx.parts)}
				add(part.column, r, classInt)
			}
		}
	}
	idx.restored = newRowPlan(cols)
}

// longerPart returns the part that keeps more of a handle's column: the
// handle's own, or the index's part of the same column.
func longerPart(part *indexPart, parts []indexPart) *indexPart {
	for i := range parts {
		if other := &parts[i]; other.column == part.column {
			if part.limit < 0 || (other.limit >= 0 && other.limit <= part.limit) {
				return part
			}
			return other
		}
	}
	return part
}

// appendEntry adds the index's pair for the current row to a.
func (e *Encoder) appendEntry(idx *index, a *kv.Arena) {
	if idx.quick.ok && e.quickEntry(idx, a) {
		return
	}
	distinct := idx.unique
	cells := e.parts[:0]
	a.Buf = append(a.Buf, idx.prefix...)
	for i := range idx.parts {
		part := &idx.parts[i]
		cells = append(cells, e.cells[part.column])
		c := &cells[i]
		if c.null {
			distinct = false
		} else {
			part.truncate(c)
		}
		a.Buf = e.appendKey(a.Buf, part, c)
	}
	e.parts = cells
	common := e.plan.handle.kind == handleCommon
	if !distinct {
		if common {
			a.Buf = append(a.Buf, e.common...)
		} else {
			a.Buf = appendKeyInt(append(a.Buf, flagInt), e.intHandle)
		}
	}
	a.EndKey()
	if common {
		e.appendCommonValue(idx, distinct, a)
	} else {
		e.appendIntValue(idx, distinct, a)
	}
	a.EndPair()
}

func (e *Encoder) appendIntValue(idx *index, distinct bool, a *kv.Arena) {
	if len(idx.restored.cols) == 0 && !idx.global {
		if distinct {
			a.Buf = binary.BigEndian.AppendUint64(a.Buf, uint64(e.intHandle))
		} else {
			a.Buf = append(a.Buf, plainIndexValue)
		}
		return
	}
	start := len(a.Buf)
	a.Buf = append(a.Buf, 0)
	if idx.global {
		a.Buf = appendKeyInt(append(a.Buf, partitionMarker), e.part.id)
	}
	if len(idx.restored.cols) > 0 {
		a.Buf = idx.restored.appendRow(a.Buf, e.restoredCells(idx))
	}
	tail := len(a.Buf)
	if distinct {
		a.Buf = binary.BigEndian.AppendUint64(a.Buf, uint64(e.intHandle))
	} else {
		for len(a.Buf)-start < minRestoredValue {
			a.Buf = append(a.Buf, 0)
		}
	}
	a.Buf[start] = byte(len(a.Buf) - tail)
}

func (e *Encoder) appendCommonValue(idx *index, distinct bool, a *kv.Arena) {
	a.Buf = append(a.Buf, 0, commonVersionFlag, commonVersion)
	if distinct {
		a.Buf = append(a.Buf, commonHandleMarker)
		a.Buf = binary.BigEndian.AppendUint16(a.Buf, uint16(len(e.common)))
		a.Buf = append(a.Buf, e.common...)
	}
	if idx.global {
		a.Buf = appendKeyInt(append(a.Buf, partitionMarker), e.part.id)
	}
	if len(idx.restored.cols) > 0 {
		a.Buf = idx.restored.appendRow(a.Buf, e.restoredCells(idx))
	}
}

// restoredCells builds the cells of the index's restored data in e.restored.
func (e *Encoder) restoredCells(idx *index) []cell {
	cells := e.restored[:0]
	for i := range idx.restore {
		r := &idx.restore[i]
		var c cell
		if r.part >= 0 {
			c = e.parts[r.part]
		} else {
			c = e.cells[r.column]
			r.limit.truncate(&c)
		}
		if r.tail {
			// A NULL has no trailing spaces, but the number is written all the same.
			n := 0
			if !c.null {
				n = len(c.b) - len(trimSpaces(c.b))
			}
			c = cell{u: uint64(n)}
		}
		cells = append(cells, c)
	}
	e.restored = cells
	return cells
}

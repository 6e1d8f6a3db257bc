package encode

import (
	"math"
	"slices"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
)

// handleKind is what identifies a row in its record key.
type handleKind uint8

const (
	handleRowID  handleKind = iota // the hidden _tidb_rowid
	handleColumn                   // an integer primary key
	handleCommon                   // any other clustered primary key, encoded
)

// minCommonHandle is the length that shorter common handles are filled up to
// with zero bytes, so that they can't be taken for integer handles.
const minCommonHandle = 9

// handle says how the plan's rows are identified.
type handle struct {
	kind   handleKind
	column int         // handleColumn
	parts  []indexPart // handleCommon
	shard  shard       // handleRowID
}

// shard spreads consecutive ids: bits of a hash of the id go above the id
// itself, below the sign bit. The hash is of the id alone, so a chunk that is
// encoded again gives the same keys. TiDB draws the bits at random per
// transaction, so any choice is as good as its own.
type shard struct {
	bits  uint64
	shift uint64 // bits of the id below the shard bits
}

// mask covers the part of an id that counts up.
func (s shard) mask() int64 { return int64(uint64(1)<<s.shift - 1) }

// compose returns id with its shard bits and false when id is too big: behind
// the greatest one, counting goes on at the smallest negative number.
func (s shard) compose(id int64) (int64, bool) {
	if s.bits == 0 {
		return id, id > 0
	}
	if id < 0 || id > s.mask() {
		return 0, false
	}
	// The finalizer of SplitMix64.
	h := uint64(id) + 0x9E3779B97F4A7C15
	h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
	h = (h ^ h>>27) * 0x94D049BB133111EB
	h ^= h >> 31
	return int64(h&(uint64(1)<<s.bits-1)<<s.shift) | id, true
}

const rowIDBits = 64

func (p *Plan) compileHandle() {
	info := p.cfg.Target.Info
	switch {
	case info.PKIsHandle:
		p.handle = handle{kind: handleColumn, column: p.cfg.Target.HandleColumn().Offset}
	case info.IsCommonHandle:
		p.handle = handle{kind: handleCommon, parts: p.compileParts(p.cfg.Target.PrimaryIndex())}
	default:
		bits := info.ShardRowIDBits
		p.handle = handle{kind: handleRowID, shard: shard{bits: bits, shift: rowIDBits - bits - 1}}
	}
}

// inHandle reports whether the record key holds all of a column.
func (p *Plan) inHandle(offset int) bool {
	switch p.handle.kind {
	case handleColumn:
		return offset == p.handle.column
	case handleCommon:
		for i := range p.handle.parts {
			if part := &p.handle.parts[i]; part.column == offset {
				return part.limit < 0 && !types.NeedRestoredData(&p.columns[offset].info.FieldType)
			}
		}
	}
	return false
}

// autoKind is how a column makes its own values.
type autoKind uint8

const (
	autoNone autoKind = iota
	autoIncrement
	autoRandom
)

// auto is the column that gets a value from the row id when a row has none.
type auto struct {
	kind       autoKind
	column     int
	zeroIsNull bool // 0 asks for a value too
	unsigned   bool
	float      bool   // FLOAT or DOUBLE
	max        uint64 // greatest value of the column's type; not for float
	shard      shard  // autoRandom
}

// generates reports whether a column makes its own values.
func (p *Plan) generates(info *model.ColumnInfo) bool {
	return info == p.cfg.Target.AutoIncrement() || info == p.cfg.Target.AutoRandom()
}

// OwnIDs returns the AUTO_INCREMENT or AUTO_RANDOM column if every row gets its value from
// the row's id, because neither a field nor an assignment gives one; else nil.
func (p *Plan) OwnIDs() *model.ColumnInfo {
	if p.auto.kind == autoNone || p.columns[p.auto.column].hasValue {
		return nil
	}
	return p.columns[p.auto.column].info
}

func (p *Plan) compileAuto() {
	info, col := p.cfg.Target.Info, p.cfg.Target.AutoIncrement()
	if col != nil {
		p.auto.kind = autoIncrement
	} else if col = p.cfg.Target.AutoRandom(); col != nil {
		p.auto.kind = autoRandom
		bits := info.AutoRandomRangeBits
		if bits == 0 {
			bits = rowIDBits
		}
		shift := bits - info.AutoRandomBits
		if !mysql.HasUnsignedFlag(col.GetFlag()) {
			shift--
		}
		p.auto.shard = shard{bits: info.AutoRandomBits, shift: shift}
	} else {
		return
	}
	p.auto.column = col.Offset
	p.auto.zeroIsNull = p.cfg.SQLMode&mysql.ModeNoAutoValueOnZero == 0
	c := &p.columns[col.Offset]
	if p.auto.float = c.class == classFloat; p.auto.float {
		return
	}
	if p.auto.unsigned = c.unsigned; c.unsigned {
		p.auto.max = c.max
	} else {
		p.auto.max = uint64(c.hi)
	}
}

// fillAuto gives the auto column a value if the row has none, and notes the
// highest value seen.
func (e *Encoder) fillAuto(rowID int64) error {
	a := &e.plan.auto
	c := &e.cells[a.column]
	col := &e.plan.columns[a.column]
	if a.float {
		return e.fillAutoFloat(col, c, rowID)
	}
	if !col.hasValue || c.null || (c.u == 0 && a.zeroIsNull) {
		id, ok := rowID, rowID > 0
		if a.kind == autoRandom {
			id, ok = a.shard.compose(rowID)
		}
		if !ok || uint64(id) > a.max {
			return e.exhausted(col, rowID)
		}
		c.null, c.u = false, uint64(id)
	}
	switch positive := int64(c.u) > 0; {
	case a.kind == autoRandom && positive:
		e.ids.AutoRandom = max(e.ids.AutoRandom, int64(c.u)&a.shard.mask())
	case a.kind == autoIncrement && (positive || a.unsigned):
		e.ids.AutoIncrement = max(e.ids.AutoIncrement, c.u)
	}
	return nil
}

// fillAutoFloat is fillAuto for FLOAT and DOUBLE, of which the nearest integer
// counts.
func (e *Encoder) fillAutoFloat(col *column, c *cell, rowID int64) error {
	a := &e.plan.auto
	missing, id := !col.hasValue || c.null, int64(0)
	if !missing {
		id = int64(math.Round(floatOf(c.u)))
	}
	if id == 0 {
		if missing || a.zeroIsNull {
			id = rowID
		}
		if id < 0 {
			return e.exhausted(col, rowID)
		}
		if err := e.conv.store(col, types.NewIntDatum(id), c); err != nil {
			return err
		}
	}
	e.ids.AutoIncrement = max(e.ids.AutoIncrement, uint64(max(id, 0)))
	return nil
}

func (e *Encoder) exhausted(col *column, rowID int64) error {
	code, what := uint16(errno.ErrAutoincReadFailed), "AUTO_INCREMENT"
	if e.plan.auto.kind == autoRandom {
		code, what = errno.ErrAutoRandReadFailed, "AUTO_RANDOM"
	}
	return fault.New(fault.Source, code, "%s column '%s' is too small for the id %d", what, col.info.Name.O, rowID).
		Place(fault.Position{Column: col.info.Name.O})
}

// setHandle finds the row's handle and leaves it in e.intHandle or e.common.
func (e *Encoder) setHandle(rowID int64) error {
	h := &e.plan.handle
	switch h.kind {
	case handleColumn:
		e.intHandle = int64(e.cells[h.column].u)
	case handleCommon:
		e.common = e.common[:0]
		for i := range h.parts {
			part := &h.parts[i]
			c := e.cells[part.column]
			part.truncate(&c)
			e.common = e.appendKey(e.common, part, &c)
		}
		for len(e.common) < minCommonHandle {
			e.common = append(e.common, 0)
		}
	default:
		id, ok := h.shard.compose(rowID)
		if !ok {
			return fault.New(fault.Source, errno.ErrAutoincReadFailed, "no row ids are left at %d", rowID)
		}
		e.intHandle = id
		e.ids.RowID = max(e.ids.RowID, rowID)
	}
	return nil
}

// appendRecord adds the record pair to a.
func (e *Encoder) appendRecord(a *kv.Arena) {
	p := e.plan
	size := p.row.narrowSize(e.cells)
	a.Buf = slices.Grow(a.Buf, len(e.record)+len(e.common)+8+size+slack)
	a.Buf = append(a.Buf, e.record...)
	a.Buf = e.appendRecordHandle(a.Buf)
	a.EndKey()
	if size > 0 {
		a.Buf = a.Buf[:p.row.write(a.Buf[:cap(a.Buf)], len(a.Buf), e.cells)]
	} else {
		a.Buf = p.row.appendAny(a.Buf, e.cells)
	}
	a.EndPair()
}

func (e *Encoder) appendRecordHandle(dst []byte) []byte {
	if e.plan.handle.kind == handleCommon {
		return append(dst, e.common...)
	}
	return appendKeyInt(dst, e.intHandle)
}

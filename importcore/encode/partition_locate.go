package encode

import (
	"bytes"
	"hash/crc32"
	"strconv"
	"unsafe"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
)

// The locators, one per way of partitioning. They give what TiDB 8.5 gives,
// which differs from MySQL in places: LINEAR means nothing, and KEY hashes the
// text of a value.

// hashOf is PARTITION BY HASH: the remainder of the number, without its sign.
type hashOf struct {
	number numberOf
	n      int64
}

func (l *hashOf) locate(e *Encoder) (int, error) {
	v, null, err := l.number.of(e)
	if err != nil || null {
		return 0, err
	}
	if v %= l.n; v < 0 {
		v = -v
	}
	return int(v), nil
}

// rangeOf is PARTITION BY RANGE. NULL is less than everything.
type rangeOf struct {
	number   numberOf
	unsigned bool
	flip     uint64   // makes numbers order as unsigned ones
	bounds   []uint64 // exclusive, ascending, flipped
	more     bool     // a last partition without bound
}

func (l *rangeOf) locate(e *Encoder) (int, error) {
	v, null, err := l.number.of(e)
	if err != nil || null {
		return 0, err
	}
	at, end, u := 0, len(l.bounds), uint64(v)^l.flip
	for at < end {
		if mid := int(uint(at+end) >> 1); l.bounds[mid] > u {
			end = mid
		} else {
			at = mid + 1
		}
	}
	if at == len(l.bounds) && !l.more {
		return 0, &noPartition{showNumber(v, l.unsigned)}
	}
	return at, nil
}

// listOf is PARTITION BY LIST.
type listOf struct {
	number   numberOf
	unsigned bool
	values   map[int64]int
	null     int // partition of NULL, or -1
	other    int // DEFAULT partition, or -1
}

func (l *listOf) locate(e *Encoder) (int, error) {
	v, null, err := l.number.of(e)
	if err != nil {
		return 0, err
	}
	at, ok := l.null, l.null >= 0
	if !null {
		at, ok = l.values[v]
	}
	switch {
	case ok:
		return at, nil
	case l.other >= 0:
		return l.other, nil
	case null:
		return 0, &noPartition{"NULL"}
	default:
		return 0, &noPartition{showNumber(v, l.unsigned)}
	}
}

func showNumber(v int64, unsigned bool) string {
	if unsigned {
		return strconv.FormatUint(uint64(v), 10)
	}
	return strconv.FormatInt(v, 10)
}

// rangeColumns is PARTITION BY RANGE COLUMNS: rows compare with bounds column
// by column, NULL being less than everything.
type rangeColumns struct {
	parts  []indexPart
	bounds [][]bound // per partition; ends early where MAXVALUE stands
}

// bound is the value of one column: a number made so that it orders as an
// unsigned one, or a sort key.
type bound struct {
	u   uint64
	key []byte
}

func (l *rangeColumns) locate(e *Encoder) (int, error) {
	keys := e.part.keys
	for i := range l.parts {
		if part := &l.parts[i]; part.class == classBytes {
			keys[i] = e.sortKey(part, &e.cells[part.column])
		}
	}
	at, end := 0, len(l.bounds)
	for at < end {
		if mid := int(uint(at+end) >> 1); l.below(e, l.bounds[mid], keys) {
			end = mid
		} else {
			at = mid + 1
		}
	}
	if at == len(l.bounds) {
		return 0, &noPartition{columnsValue}
	}
	return at, nil
}

// below reports whether the row is less than the bounds of a partition.
func (l *rangeColumns) below(e *Encoder, bounds []bound, keys [][]byte) bool {
	for i := range bounds {
		part := &l.parts[i]
		c := &e.cells[part.column]
		if c.null {
			return true
		}
		if part.class == classBytes {
			if order := bytes.Compare(keys[i], bounds[i].key); order != 0 {
				return order < 0
			}
		} else if u := ordered(part.class, c.u); u != bounds[i].u {
			return u < bounds[i].u
		}
	}
	return len(bounds) < len(l.parts)
}

// ordered returns the number of a cell so that it orders as an unsigned one.
func ordered(cl class, u uint64) uint64 {
	if cl == classInt || cl == classDuration {
		return u ^ (1 << 63)
	}
	return u
}

// sortKey returns by what a string orders, valid until the row is done.
func (e *Encoder) sortKey(part *indexPart, c *cell) []byte {
	switch {
	case c.null:
		return nil
	case part.sort == keyTrimmed:
		return trimSpaces(c.b)
	case part.sort == keyCollated:
		return e.collators[part.collator].Key(unsafe.String(unsafe.SliceData(c.b), len(c.b)))
	default:
		return c.b
	}
}

// listColumns is PARTITION BY LIST COLUMNS. Values are compared by the bytes
// that they would have in an index key.
type listColumns struct {
	parts  []indexPart
	values map[string]int
	other  int // DEFAULT partition, or -1
}

func (l *listColumns) locate(e *Encoder) (int, error) {
	e.part.key = e.part.key[:0]
	for i := range l.parts {
		part := &l.parts[i]
		e.part.key = e.appendKey(e.part.key, part, &e.cells[part.column])
	}
	at, ok := l.values[string(e.part.key)]
	switch {
	case ok:
		return at, nil
	case l.other >= 0:
		return l.other, nil
	default:
		return 0, &noPartition{columnsValue}
	}
}

// keyOf is PARTITION BY KEY: the CRC-32 of the values' texts, one behind the
// other, a zero byte for NULL. The text is that of the value which the column
// holds, and times of zeros have no fractional digits in it: so have the
// constants of queries, by which TiDB looks for a row. What an INSERT places an
// odd cell by (see datum.go), or a TIME that became 0 under a lax SQL mode, is
// something that TiDB itself doesn't look for.
type keyOf struct {
	parts []indexPart
	n     uint32
}

var nullText = []byte{0}

func (l *keyOf) locate(e *Encoder) (int, error) {
	crc := uint32(0)
	for i := range l.parts {
		part := &l.parts[i]
		col, c := &e.plan.columns[part.column], &e.cells[part.column]
		switch {
		case c.null:
			crc = crc32.Update(crc, crc32.IEEETable, nullText)
			continue
		case part.class == classInt:
			e.part.key = strconv.AppendInt(e.part.key[:0], int64(c.u), 10)
		case part.class == classUint && mysql.IsIntegerType(col.info.GetType()):
			e.part.key = strconv.AppendUint(e.part.key[:0], c.u, 10)
		case part.class == classBytes:
			crc = crc32.Update(crc, crc32.IEEETable, e.sortKey(part, c))
			continue
		default:
			d, err := e.conv.stored(col, c)
			if err != nil {
				return 0, err
			}
			if d.Kind() == types.KindMysqlTime && c.u == 0 {
				d.SetMysqlTime(withoutFraction(d.GetMysqlTime()))
			}
			if e.part.key, err = d.ToHashKey(); err != nil {
				return 0, err
			}
		}
		crc = crc32.Update(crc, crc32.IEEETable, e.part.key)
	}
	return int(crc % l.n), nil
}

package encode

import (
	"math"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"
)

// datum returns the value that a cell of the column holds, as TiDB's evaluator
// wants it: the inverse of setCell. Strings, JSON and vectors share the cell's
// bytes.
func (cv *converter) datum(col *column, c *cell) (d types.Datum, err error) {
	if c.null {
		return d, nil
	}
	ft := &col.info.FieldType
	switch tp := ft.GetType(); tp {
	case mysql.TypeTiny, mysql.TypeShort, mysql.TypeInt24, mysql.TypeLong, mysql.TypeLonglong:
		if col.unsigned {
			d.SetUint64(c.u)
		} else {
			d.SetInt64(int64(c.u))
		}
	case mysql.TypeYear:
		d.SetInt64(int64(c.u))
	case mysql.TypeFloat:
		d.SetFloat32(float32(c.signed()))
	case mysql.TypeDouble:
		d.SetFloat64(c.signed())
	case mysql.TypeNewDecimal:
		_, dec, precision, frac, err := codec.DecodeDecimal(c.b)
		if err != nil {
			return d, err
		}
		d.SetMysqlDecimal(dec)
		d.SetLength(precision)
		d.SetFrac(frac)
	case mysql.TypeDate, mysql.TypeDatetime, mysql.TypeTimestamp:
		t, err := cv.timeOf(col, c.u)
		if err != nil {
			return d, err
		}
		if c.u == 0 {
			// TiDB's conversion gives the zero time without fractional digits,
			// and functions like DATE_FORMAT tell that from a zero with them.
			t.SetFsp(types.DefaultFsp)
		}
		d.SetMysqlTime(t)
	case mysql.TypeDuration:
		d.SetMysqlDuration(types.Duration{Duration: time.Duration(c.u), Fsp: col.fsp})
	case mysql.TypeEnum:
		var e types.Enum // number 0 is the empty string
		if c.u != 0 {
			if e, err = types.ParseEnumValue(ft.GetElems(), c.u); err != nil {
				return d, err
			}
		}
		d.SetMysqlEnum(e, ft.GetCollate())
	case mysql.TypeSet:
		s, err := types.ParseSetValue(ft.GetElems(), c.u)
		if err != nil {
			return d, err
		}
		d.SetMysqlSet(s, ft.GetCollate())
	case mysql.TypeBit:
		d.SetMysqlBit(types.NewBinaryLiteralFromUint(c.u, (ft.GetFlen()+7)/8))
	case mysql.TypeJSON:
		d.SetMysqlJSON(types.BinaryJSON{TypeCode: c.b[0], Value: c.b[1:]})
	case mysql.TypeTiDBVectorFloat32:
		v, _, err := types.ZeroCopyDeserializeVectorFloat32(c.b)
		if err != nil {
			return d, err
		}
		d.SetVectorFloat32(v)
	default:
		d.SetBytesAsString(c.b, ft.GetCollate(), uint32(max(ft.GetFlen(), 0)))
	}
	return d, nil
}

// timeOf unpacks a time; a TIMESTAMP comes in the job's time zone.
func (cv *converter) timeOf(col *column, packed uint64) (types.Time, error) {
	tp := col.info.GetType()
	t := types.NewTime(types.ZeroCoreTime, tp, col.fsp)
	if err := t.FromPackedUint(packed); err != nil {
		return t, err
	}
	if tp == mysql.TypeTimestamp && cv.loc != time.UTC && !t.IsZero() {
		return t, t.ConvertTimeZone(time.UTC, cv.loc)
	}
	return t, nil
}

// floatOf is the inverse of floatBits.
func floatOf(u uint64) float64 {
	if u&(1<<63) != 0 {
		return math.Float64frombits(u &^ (1 << 63))
	}
	return math.Float64frombits(^u)
}

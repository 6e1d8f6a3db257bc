package encode

import (
	"math"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"
)

// TiDB computes with a row twice: an INSERT with what its conversion has made of
// the values, and every read with what the columns hold. Mostly that is the
// same; a cell is odd where it isn't, because the column doesn't hold
//
//	the sign of a floating-point -0,
//	that a time of zeros had no fractional digits,
//	how many digits a DECIMAL had, if other than the column's: 0 to fit, or far too many zeros.
//
// Texts of such values differ, and so may what is computed from them.

// noteDigits makes the cell of a DECIMAL odd if its digits in front of the point
// or behind it are not those of the column, and keeps their numbers in u.
func (c *cell) noteDigits(dec *types.MyDecimal, precision, scale int) {
	whole := int(dec.GetDigitsInt())
	if whole <= precision-scale && int(dec.GetDigitsFrac()) == scale {
		return
	}
	_, fraction, _ := strings.Cut(dec.String(), ".")
	c.odd = whole > precision-scale || len(fraction) != scale
	c.u = uint64(whole)<<8 | uint64(len(fraction))
}

// withDigits gives the number its digits back. TiDB's decimals can hold them: they did.
func (c *cell) withDigits(dec *types.MyDecimal) (*types.MyDecimal, error) {
	if err := dec.Round(dec, int(c.u&math.MaxUint8), types.ModeTruncate); err != nil {
		return nil, err
	}
	digits, sign := dec.String(), ""
	if dec.IsNegative() {
		digits, sign = digits[1:], "-"
	}
	whole, _, _ := strings.Cut(digits, ".")
	zeros := strings.Repeat("0", max(int(c.u>>8)-len(whole), 0))
	out := new(types.MyDecimal)
	return out, out.FromString([]byte(sign + zeros + digits))
}

// mayBeOdd reports whether the column can have odd cells.
func (col *column) mayBeOdd() bool {
	return col.class == classFloat || col.class == classDecimal || col.class == classUint && isTimeType(col.info.GetType())
}

// inserted returns what an INSERT computes with.
func (cv *converter) inserted(col *column, c *cell) (types.Datum, error) {
	d, err := cv.stored(col, c)
	if err != nil || c.null || !c.odd {
		return d, err
	}
	switch d.Kind() {
	case types.KindFloat32:
		d.SetFloat32(float32(math.Copysign(0, -1)))
	case types.KindFloat64:
		d.SetFloat64(math.Copysign(0, -1))
	case types.KindMysqlTime:
		d.SetMysqlTime(withoutFraction(d.GetMysqlTime()))
	case types.KindMysqlDecimal:
		var dec *types.MyDecimal
		if dec, err = c.withDigits(d.GetMysqlDecimal()); err == nil {
			d.SetMysqlDecimal(dec)
		}
	}
	return d, err
}

// withoutFraction returns a time of zeros as TiDB's conversion makes it.
func withoutFraction(t types.Time) types.Time {
	t.SetFsp(types.DefaultFsp)
	return t
}

// stored returns the value that the column holds, as TiDB's evaluator wants it:
// the inverse of setCell. Strings, JSON and vectors share the cell's bytes.
func (cv *converter) stored(col *column, c *cell) (d types.Datum, err error) {
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
		d.SetFloat32(float32(floatOf(c.u)))
	case mysql.TypeDouble:
		d.SetFloat64(floatOf(c.u))
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

package encode

import (
	"bytes"
	"errors"
	"math"
	"strconv"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// Literals of SQL that are no text are converted as INSERT converts them: 20240101 and "20240101" are different
// values for some columns. Where both spellings give the same, the parsers for text take them.

// maxPlainNumber is how many bytes of a number parsers take: no decimal of TiDB is that long.
const maxPlainNumber = 64

// setLiteral sets the cell of a column to a field that isn't format.Text.
func (e *Encoder) setLiteral(offset int, field *format.Field) error {
	col, c := &e.plan.columns[offset], &e.cells[offset]
	if col.parse != nil && col.sameAsText(field) && col.parse(e, col, field.Bytes, c) {
		c.null = false
		return nil
	}
	d, err := literal(field)
	if err != nil {
		_ = err.Place(fault.Position{Column: col.info.Name.O, Value: fault.ShortValue(field.Bytes)})
		return err
	}
	if err := e.conv.store(col, d, c); err != nil {
		return err
	}
	if c.null {
		return e.setNull(offset, col, c)
	}
	return nil
}

// sameAsText tells whether a literal that the column's parser takes is the same value as the text would be.
func (col *column) sameAsText(field *format.Field) bool {
	tp := col.info.GetType()
	switch field.Kind {
	case format.Number:
		return len(field.Bytes) <= maxPlainNumber &&
			(mysql.IsIntegerType(tp) || tp == mysql.TypeNewDecimal || tp == mysql.TypeFloat || tp == mysql.TypeDouble || tp == mysql.TypeYear)
	case format.Bits:
		return col.class == classBytes && types.IsString(tp)
	case format.Binary:
		return tp != mysql.TypeJSON
	default:
		return false
	}
}

// literal returns the value that TiDB's parser makes of a field that isn't NULL. The value refers to nothing of the field.
func literal(field *format.Field) (d types.Datum, _ *fault.Error) {
	switch field.Kind {
	case format.Number:
		return numberLiteral(string(field.Bytes))
	case format.Bits:
		d.SetBinaryLiteral(bytes.Clone(field.Bytes))
	case format.Binary:
		d.SetString(string(field.Bytes), charset.CollationBin)
	case format.Default:
		return d, fault.New(fault.Source, errno.ErrNotSupportedYet, "DEFAULT can't be read as a value; a column that is left out gets its default")
	default:
		d.SetString(string(field.Bytes), mysql.DefaultCollationName)
	}
	return d, nil
}

// numberLiteral returns the value of a number as SQL has it: an integer as long as that is possible, a decimal, or with an exponent a float.
func numberLiteral(text string) (d types.Datum, _ *fault.Error) {
	negative := text[0] == '-'
	digits := text
	if negative || text[0] == '+' {
		digits = text[1:]
	}
	kind := 'i'
	for i := range len(digits) {
		switch digits[i] {
		case '.':
			kind = 'd'
		case 'e', 'E':
			f, err := strconv.ParseFloat(text, 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsInf(f, 0) {
				return d, fault.New(fault.Source, errno.ErrDataOutOfRange, "the number is out of range")
			}
			d.SetFloat64(f)
			return d, nil
		}
	}
	if u, err := strconv.ParseUint(digits, 10, 64); kind == 'i' && err == nil && (!negative || u <= 1<<63) {
		switch {
		case negative:
			d.SetInt64(-int64(u))
		case u > math.MaxInt64:
			d.SetUint64(u)
		default:
			d.SetInt64(int64(u))
		}
		return d, nil
	}
	dec := new(types.MyDecimal)
	if err := dec.FromString([]byte(text)); err != nil && !errors.Is(err, types.ErrTruncated) {
		return d, fault.New(fault.Source, errno.ErrDataOutOfRange, "the number is out of range")
	}
	d.SetMysqlDecimal(dec)
	return d, nil
}

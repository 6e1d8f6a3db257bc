package archiverows

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/format"
)

// known tells whether values of a column's type can be written.
func known(c *model.ColumnInfo) error {
	switch c.GetType() {
	case mysql.TypeTiny, mysql.TypeShort, mysql.TypeInt24, mysql.TypeLong, mysql.TypeLonglong, mysql.TypeYear, mysql.TypeFloat, mysql.TypeDouble,
		mysql.TypeNewDecimal, mysql.TypeBit, mysql.TypeDate, mysql.TypeDatetime, mysql.TypeTimestamp, mysql.TypeDuration,
		mysql.TypeVarchar, mysql.TypeVarString, mysql.TypeString, mysql.TypeTinyBlob, mysql.TypeBlob, mysql.TypeMediumBlob, mysql.TypeLongBlob,
		mysql.TypeEnum, mysql.TypeSet, mysql.TypeJSON, mysql.TypeTiDBVectorFloat32:
		return nil
	}
	return fmt.Errorf("column %s has the type %s, which isn't known", c.Name.O, c.FieldType.String())
}

// appendValue appends a value that isn't NULL as the text of a literal that a server, whose session's time zone is UTC, turns into the same
// value again. The error is that of a value that isn't one of the column's type.
func appendValue(dst []byte, v *types.Datum, c *model.ColumnInfo) ([]byte, format.Kind, error) {
	switch kind := v.Kind(); kind {
	case types.KindInt64:
		if c.GetType() == mysql.TypeYear {
			return fmt.Appendf(dst, "%04d", v.GetInt64()), format.Text, nil // the text 0 is the year 2000
		}
		return strconv.AppendInt(dst, v.GetInt64(), 10), format.Number, nil
	case types.KindUint64:
		return strconv.AppendUint(dst, v.GetUint64(), 10), format.Number, nil
	case types.KindFloat32:
		// The shortest text of a float is another number as a double, which is what servers read first.
		return appendFloat(dst, float64(v.GetFloat32())), format.Text, nil
	case types.KindFloat64:
		return appendFloat(dst, v.GetFloat64()), format.Text, nil
	case types.KindMysqlDecimal:
		return append(dst, v.GetMysqlDecimal().ToString()...), format.Number, nil
	case types.KindMysqlTime:
		return append(dst, v.GetMysqlTime().String()...), format.Text, nil
	case types.KindMysqlDuration:
		return append(dst, v.GetMysqlDuration().String()...), format.Text, nil
	case types.KindMysqlBit, types.KindBinaryLiteral:
		return append(dst, v.GetBytes()...), format.Bits, nil
	case types.KindString, types.KindBytes:
		if c.GetCharset() == charset.CharsetBin {
			return append(dst, v.GetBytes()...), format.Binary, nil
		}
		return append(dst, v.GetBytes()...), format.Text, nil
	case types.KindMysqlEnum:
		return appendEnum(dst, v.GetMysqlEnum(), c)
	case types.KindMysqlSet:
		return append(dst, v.GetMysqlSet().Name...), format.Text, nil
	case types.KindMysqlJSON:
		return append(dst, v.GetMysqlJSON().String()...), format.Text, nil
	case types.KindVectorFloat32:
		return append(dst, v.GetVectorFloat32().String()...), format.Text, nil
	default:
		return dst, format.Text, fmt.Errorf("the value of column %s has the kind %d", c.Name.O, kind)
	}
}

// appendFloat appends the shortest text from which the number can be read again.
func appendFloat(dst []byte, f float64) []byte { return strconv.AppendFloat(dst, f, 'g', -1, 64) }

// appendEnum appends a member by its name. A column may hold, instead of one, what an invalid value has left when no strict mode was on: it
// reads as an empty text, which a server refuses unless it is a member too. Then it would become that one.
func appendEnum(dst []byte, e types.Enum, c *model.ColumnInfo) ([]byte, format.Kind, error) {
	if e.Value == 0 && slices.Contains(c.GetElems(), "") {
		return dst, format.Text, fmt.Errorf("column %s holds a value that is none of its members", c.Name.O)
	}
	return append(dst, e.Name...), format.Text, nil
}

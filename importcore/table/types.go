package table

import "github.com/pingcap/tidb/pkg/parser/mysql"

// knownType reports whether the encoder has a form for the column type (one of mysql.Type*).
func knownType(tp byte) bool {
	switch tp {
	case mysql.TypeTiny, mysql.TypeShort, mysql.TypeInt24, mysql.TypeLong, mysql.TypeLonglong,
		mysql.TypeFloat, mysql.TypeDouble, mysql.TypeNewDecimal,
		mysql.TypeString, mysql.TypeVarchar, mysql.TypeVarString,
		mysql.TypeTinyBlob, mysql.TypeBlob, mysql.TypeMediumBlob, mysql.TypeLongBlob,
		mysql.TypeDate, mysql.TypeDatetime, mysql.TypeTimestamp, mysql.TypeDuration, mysql.TypeYear,
		mysql.TypeEnum, mysql.TypeSet, mysql.TypeBit, mysql.TypeJSON, mysql.TypeTiDBVectorFloat32:
		return true
	default:
		return false
	}
}

package wire

import (
	"github.com/go-mysql-org/go-mysql/mysql"
)

// QueryText returns the SQL text of a COM_QUERY payload (command byte included),
// which stands behind the query attributes when both sides agreed on
// CLIENT_QUERY_ATTRIBUTES. The text is a slice of payload.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
func QueryText(payload []byte, caps Capability) ([]byte, error) {
	if len(payload) == 0 {
		return nil, malformed("empty command")
	}
	b := payload[1:]
	if !caps.Has(ClientQueryAttributes) {
		return b, nil
	}
	count, n, ok := LenencInt(b)
	if !ok {
		return nil, malformed("query attribute count")
	}
	b = b[n:]
	if _, n, ok = LenencInt(b); !ok { // number of parameter sets, always 1
		return nil, malformed("query attribute sets")
	}
	b = b[n:]
	if count == 0 {
		return b, nil
	}
	return skipAttributes(b, count)
}

// skipAttributes returns what follows count attributes at the start of b.
func skipAttributes(b []byte, count uint64) ([]byte, error) {
	// Each attribute takes at least three bytes, so a count beyond the bytes
	// at hand is a lie; this also bounds the work below.
	if count > uint64(len(b)) {
		return nil, malformed("query attribute count")
	}
	nulls := (int(count) + 7) / 8
	if len(b) < nulls+1 || b[nulls] != 1 {
		return nil, malformed("query attributes without types")
	}
	isNull := func(i int) bool { return b[i/8]&(1<<(i%8)) != 0 }
	rest := b[nulls+1:]
	types := make([]byte, count)
	for i := range types {
		if len(rest) < 2 {
			return nil, malformed("query attribute type")
		}
		types[i] = rest[0]
		_, n, ok := LenencBytes(rest[2:])
		if !ok {
			return nil, malformed("query attribute name")
		}
		rest = rest[2+n:]
	}
	for i, t := range types {
		if isNull(i) {
			continue
		}
		n, ok := binaryValueSize(t, rest)
		if !ok || n > len(rest) {
			return nil, malformed("query attribute value")
		}
		rest = rest[n:]
	}
	return rest, nil
}

// binaryValueSize returns the size in bytes of the binary protocol value of type
// t at the start of b.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html#sect_protocol_binary_resultset_row_value
func binaryValueSize(t byte, b []byte) (int, bool) {
	switch t {
	case mysql.MYSQL_TYPE_NULL:
		return 0, true
	case mysql.MYSQL_TYPE_TINY:
		return 1, true
	case mysql.MYSQL_TYPE_SHORT, mysql.MYSQL_TYPE_YEAR:
		return 2, true
	case mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_FLOAT:
		return 4, true
	case mysql.MYSQL_TYPE_LONGLONG, mysql.MYSQL_TYPE_DOUBLE:
		return 8, true
	case mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_DATETIME, mysql.MYSQL_TYPE_TIMESTAMP, mysql.MYSQL_TYPE_TIME:
		if len(b) == 0 {
			return 0, false
		}
		return 1 + int(b[0]), true
	}
	_, n, ok := LenencBytes(b)
	return n, ok
}

// AppendQuery appends the payload of a COM_QUERY of Sluice's own.
func AppendQuery(dst []byte, caps Capability, sql string) []byte {
	dst = append(dst, byte(ComQuery))
	if caps.Has(ClientQueryAttributes) {
		dst = append(dst, 0, 1) // no attributes, one set
	}
	return append(dst, sql...)
}

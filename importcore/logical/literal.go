package logical

import (
	"encoding/hex"
	"unicode/utf8"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/format"
)

// class is how the values of a column are written.
type class uint8

const (
	// classText: a string in quotes, also for numbers and times: the server converts it as it would any text.
	classText class = iota
	// classBinary: bytes without a character set.
	classBinary
)

// appendLiteral appends a field as an SQL literal for a session in utf8mb4 with backslash escapes.
func appendLiteral(dst []byte, f format.Field, c class) []byte {
	switch {
	case f.Null:
		return append(dst, "NULL"...)
	case f.Kind == format.Default:
		return append(dst, "DEFAULT"...)
	case f.Kind == format.Number:
		return append(dst, f.Bytes...) // what the reader has seen is a number
	case f.Kind == format.Bits:
		return appendHex(dst, f.Bytes)
	case c == classBinary || f.Kind == format.Binary && utf8.Valid(f.Bytes):
		return appendQuoted(append(dst, "_binary"...), f.Bytes)
	case !utf8.Valid(f.Bytes):
		// A string of bytes that aren't text could end the literal elsewhere than here. Hexadecimal
		// literals are binary strings: the column's conversion judges them.
		return appendHex(dst, f.Bytes)
	default:
		return appendQuoted(dst, f.Bytes)
	}
}

func appendHex(dst, b []byte) []byte {
	dst = append(dst, "x'"...)
	return append(hex.AppendEncode(dst, b), '\'')
}

// escapes maps the bytes that are escaped to what follows the backslash. NUL and byte 26 wouldn't have to be, but
// end the reading of statements in some clients' logs.
var escapes = [256]byte{'\'': '\'', '\\': '\\', 0: '0', 26: 'Z'}

func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '\'')
	from := 0
	for i, b := range text {
		if e := escapes[b]; e != 0 {
			dst = append(dst, text[from:i]...)
			dst = append(dst, '\\', e)
			from = i + 1
		}
	}
	dst = append(dst, text[from:]...)
	return append(dst, '\'')
}

// quote is a string literal of text of our own.
func quote(s string) string { return string(appendQuoted(nil, []byte(s))) }

// quoteTable quotes a table's name with its schema's.
func quoteTable(db, table string) string {
	return sqlconn.QuoteName(db) + "." + sqlconn.QuoteName(table)
}

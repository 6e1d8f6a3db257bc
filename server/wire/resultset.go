package wire

import (
	"encoding/binary"
	"strconv"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Column is what a column definition packet says of a column that Sluice makes
// up itself, so without schema and table.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
type Column struct {
	Name     string
	Type     uint8  // mysql.MYSQL_TYPE_*
	Charset  uint16 // collation id
	Length   uint32 // display length in bytes
	Flags    uint16 // mysql.*_FLAG
	Decimals uint8
}

// AppendColumn appends the payload of a column definition packet.
func AppendColumn(dst []byte, c Column) []byte {
	dst = append(dst, "\x03def\x00\x00\x00"...) // catalog; schema, table, original table are empty
	dst = AppendLenencString(dst, c.Name)
	dst = AppendLenencString(dst, c.Name)
	dst = append(dst, 0x0c) // length of the fixed part
	dst = binary.LittleEndian.AppendUint16(dst, c.Charset)
	dst = binary.LittleEndian.AppendUint32(dst, c.Length)
	dst = append(dst, c.Type)
	dst = binary.LittleEndian.AppendUint16(dst, c.Flags)
	return append(dst, c.Decimals, 0, 0)
}

// AppendTextRow appends the payload of a row packet of the text protocol; a nil
// value is NULL.
func AppendTextRow[V ~[]byte](dst []byte, row []V) []byte {
	for _, v := range row {
		if v == nil {
			dst = append(dst, nullByte)
		} else {
			dst = AppendLenencString(dst, []byte(v))
		}
	}
	return dst
}

// WriteResultSet writes a whole text result set and leaves it in w's buffer as
// far as it fits. Each row must have len(columns) values.
func WriteResultSet[V ~[]byte](w *Writer, caps Capability, columns []Column, rows [][]V, end OK) error {
	buf := AppendLenencInt(nil, uint64(len(columns)))
	if err := w.WritePacket(buf); err != nil {
		return err
	}
	for _, c := range columns {
		buf = AppendColumn(buf[:0], c)
		if err := w.WritePacket(buf); err != nil {
			return err
		}
	}
	if !caps.Has(ClientDeprecateEOF) {
		buf = AppendEOF(buf[:0], caps, end)
		if err := w.WritePacket(buf); err != nil {
			return err
		}
	}
	for _, row := range rows {
		buf = AppendTextRow(buf[:0], row)
		if err := w.WritePacket(buf); err != nil {
			return err
		}
	}
	return w.WritePacket(AppendEOF(buf[:0], caps, end))
}

// ReadTextResult decodes the complete answer to one COM_QUERY from stream, which
// must hold exactly that. An ERR packet comes back as *mysql.MyError. Of several
// results the first is returned and the rest checked for an ERR packet only. The
// result does not alias stream and is the caller's.
func ReadTextResult(stream []byte, caps Capability) (*mysql.Result, error) {
	d := streamDecoder{rest: stream, caps: caps}
	first, more, err := d.result()
	for err == nil && more {
		_, more, err = d.result()
	}
	if err != nil {
		return nil, err
	}
	if len(d.rest) > 0 {
		return nil, malformed("bytes behind the result")
	}
	return first, nil
}

// streamDecoder takes packets off the front of a response.
type streamDecoder struct {
	rest []byte
	caps Capability
}

// next returns the next packet; first is the size of its first physical packet.
func (d *streamDecoder) next() (payload []byte, first int, err error) {
	for n := 0; ; n++ {
		if len(d.rest) < HeaderSize {
			return nil, 0, malformed("truncated response")
		}
		size, _ := ParseHeader(d.rest)
		if size > len(d.rest)-HeaderSize {
			return nil, 0, malformed("truncated response")
		}
		part := d.rest[HeaderSize : HeaderSize+size : HeaderSize+size]
		d.rest = d.rest[HeaderSize+size:]
		if n == 0 {
			payload, first = part, size
		} else {
			payload = append(payload, part...)
		}
		if size < MaxPayload {
			break
		}
	}
	if len(payload) == 0 {
		return nil, 0, malformed("empty packet")
	}
	if payload[0] == ErrHeader {
		e, err := ParseErr(payload, d.caps)
		if err != nil {
			return nil, 0, err
		}
		return nil, 0, e
	}
	return payload, first, nil
}

func (d *streamDecoder) result() (res *mysql.Result, more bool, err error) {
	head, _, err := d.next()
	if err != nil {
		return nil, false, err
	}
	if head[0] == OKHeader {
		ok, err := ParseOK(head, d.caps)
		res = &mysql.Result{AffectedRows: ok.AffectedRows, InsertId: ok.LastInsertID,
			Status: uint16(ok.Status), Warnings: ok.Warnings}
		return res, ok.Status.Has(StatusMoreResultsExist), err
	}
	count, n, ok := LenencInt(head)
	// Every definition takes more than a byte, which bounds the allocation.
	if !ok || n != len(head) || count > uint64(len(d.rest)) {
		return nil, false, malformed("column count")
	}
	set := &mysql.Resultset{FieldNames: make(map[string]int, count), Fields: make([]*mysql.Field, count)}
	for i := range set.Fields {
		def, _, err := d.next()
		if err != nil {
			return nil, false, err
		}
		if set.Fields[i], err = parseColumn(def); err != nil {
			return nil, false, err
		}
		set.FieldNames[string(set.Fields[i].Name)] = i
	}
	if !d.caps.Has(ClientDeprecateEOF) {
		if p, size, err := d.next(); err != nil {
			return nil, false, err
		} else if !isEnd(p[0], size, d.caps) {
			return nil, false, malformed("no EOF packet behind the columns")
		}
	}
	end, err := d.rows(set)
	res = &mysql.Result{Status: uint16(end.Status), Warnings: end.Warnings, Resultset: set}
	return res, end.Status.Has(StatusMoreResultsExist), err
}

func (d *streamDecoder) rows(set *mysql.Resultset) (OK, error) {
	for {
		p, size, err := d.next()
		if err != nil {
			return OK{}, err
		}
		if isEnd(p[0], size, d.caps) {
			return parseEnd(p, d.caps)
		}
		row, err := parseTextRow(p, set.Fields)
		if err != nil {
			return OK{}, err
		}
		set.Values = append(set.Values, row)
	}
}

// parseColumn decodes a column definition packet (protocol 4.1).
func parseColumn(p []byte) (*mysql.Field, error) {
	f := &mysql.Field{}
	var catalog []byte
	for _, field := range []*[]byte{&catalog, &f.Schema, &f.Table, &f.OrgTable, &f.Name, &f.OrgName} {
		v, n, ok := LenencBytes(p)
		if !ok {
			return nil, malformed("column definition")
		}
		*field, p = append([]byte(nil), v...), p[n:]
	}
	if len(p) < 1+2+4+1+2+1 {
		return nil, malformed("column definition too short")
	}
	f.Charset = binary.LittleEndian.Uint16(p[1:])
	f.ColumnLength = binary.LittleEndian.Uint32(p[3:])
	f.Type = p[7]
	f.Flag = binary.LittleEndian.Uint16(p[8:])
	f.Decimal = p[10]
	return f, nil
}

func parseTextRow(p []byte, fields []*mysql.Field) ([]mysql.FieldValue, error) {
	row := make([]mysql.FieldValue, len(fields))
	for i, f := range fields {
		if len(p) > 0 && p[0] == nullByte {
			row[i], p = mysql.NewFieldValue(mysql.FieldValueTypeNull, 0, nil), p[1:]
			continue
		}
		v, n, ok := LenencBytes(p)
		if !ok {
			return nil, malformed("row too short")
		}
		row[i], p = textValue(v, f), p[n:]
	}
	if len(p) > 0 {
		return nil, malformed("row too long")
	}
	return row, nil
}

// textValue gives integers the types that go-mysql's getters expect. Everything
// else, and an integer that does not parse, stays text: no digit is ever lost.
func textValue(v []byte, f *mysql.Field) mysql.FieldValue {
	switch f.Type {
	case mysql.MYSQL_TYPE_TINY, mysql.MYSQL_TYPE_SHORT, mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_LONG,
		mysql.MYSQL_TYPE_LONGLONG, mysql.MYSQL_TYPE_YEAR:
		if f.Flag&mysql.UNSIGNED_FLAG != 0 {
			if u, err := strconv.ParseUint(string(v), 10, 64); err == nil {
				return mysql.NewFieldValue(mysql.FieldValueTypeUnsigned, u, nil)
			}
		} else if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return mysql.NewFieldValue(mysql.FieldValueTypeSigned, uint64(i), nil)
		}
	}
	return mysql.NewFieldValue(mysql.FieldValueTypeString, 0, append([]byte{}, v...))
}

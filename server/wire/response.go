package wire

import (
	"encoding/binary"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// OK is the content of an OK packet, or of an EOF packet (then only Status and
// Warnings mean something).
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
type OK struct {
	AffectedRows uint64
	LastInsertID uint64
	Status       Status
	Warnings     uint16
	Info         string
}

// AppendOK appends the payload of an OK packet.
func AppendOK(dst []byte, caps Capability, ok OK) []byte {
	return appendOK(append(dst, OKHeader), caps, ok)
}

func appendOK(dst []byte, caps Capability, ok OK) []byte {
	dst = AppendLenencInt(dst, ok.AffectedRows)
	dst = AppendLenencInt(dst, ok.LastInsertID)
	if caps.Has(ClientProtocol41) {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(ok.Status))
		dst = binary.LittleEndian.AppendUint16(dst, ok.Warnings)
	}
	switch {
	case ok.Info == "" && !caps.Has(ClientSessionTrack):
		return dst
	default:
		// The manual says string<EOF> without session tracking, but servers
		// and clients agree on a length in front in both cases.
		return AppendLenencString(dst, ok.Info)
	}
}

// AppendEOF appends the packet that ends a result set: an OK packet with the EOF
// header for a client that knows CLIENT_DEPRECATE_EOF, an EOF packet otherwise.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html
func AppendEOF(dst []byte, caps Capability, ok OK) []byte {
	dst = append(dst, EOFHeader)
	if caps.Has(ClientDeprecateEOF) {
		return appendOK(dst, caps, ok)
	}
	if caps.Has(ClientProtocol41) {
		dst = binary.LittleEndian.AppendUint16(dst, ok.Warnings)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(ok.Status))
	}
	return dst
}

// AppendErr appends the payload of an ERR packet. State must have five
// characters; another length is sent as HY000. Before capabilities are known,
// pass 0: the state is left out then, as servers do.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
func AppendErr(dst []byte, caps Capability, e *mysql.MyError) []byte {
	dst = append(dst, ErrHeader, byte(e.Code), byte(e.Code>>8))
	if caps.Has(ClientProtocol41) {
		state := e.State
		if len(state) != 5 {
			state = mysql.DEFAULT_MYSQL_STATE
		}
		dst = append(append(dst, '#'), state...)
	}
	return append(dst, e.Message...)
}

// ParseErr decodes an ERR packet.
func ParseErr(payload []byte, caps Capability) (*mysql.MyError, error) {
	if len(payload) < 3 || payload[0] != ErrHeader {
		return nil, malformed("ERR packet too short")
	}
	e := &mysql.MyError{Code: binary.LittleEndian.Uint16(payload[1:]), State: mysql.DEFAULT_MYSQL_STATE}
	rest := payload[3:]
	if caps.Has(ClientProtocol41) && len(rest) >= 6 && rest[0] == '#' {
		e.State, rest = string(rest[1:6]), rest[6:]
	}
	e.Message = string(rest)
	return e, nil
}

// ParseOK decodes an OK packet, or an EOF packet that is an OK packet in
// disguise (CLIENT_DEPRECATE_EOF). Session state changes are not decoded.
func ParseOK(payload []byte, caps Capability) (OK, error) {
	var ok OK
	if len(payload) == 0 {
		return ok, malformed("empty OK packet")
	}
	rest := payload[1:]
	for _, field := range []*uint64{&ok.AffectedRows, &ok.LastInsertID} {
		v, n, good := LenencInt(rest)
		if !good {
			return ok, malformed("OK packet too short")
		}
		*field, rest = v, rest[n:]
	}
	if caps.Has(ClientProtocol41) {
		if len(rest) < 4 {
			return ok, malformed("OK packet without status")
		}
		ok.Status = Status(binary.LittleEndian.Uint16(rest))
		ok.Warnings = binary.LittleEndian.Uint16(rest[2:])
		rest = rest[4:]
	}
	if info, _, good := LenencBytes(rest); good {
		ok.Info = string(info)
	}
	return ok, nil
}

// parseEnd decodes the packet that ends rows or column definitions.
func parseEnd(payload []byte, caps Capability) (OK, error) {
	if caps.Has(ClientDeprecateEOF) {
		return ParseOK(payload, caps)
	}
	if !caps.Has(ClientProtocol41) {
		return OK{}, nil
	}
	if len(payload) < 5 {
		return OK{}, malformed("EOF packet too short")
	}
	return OK{
		Warnings: binary.LittleEndian.Uint16(payload[1:]),
		Status:   Status(binary.LittleEndian.Uint16(payload[3:])),
	}, nil
}

// isEnd reports whether a packet in the place of a row, with the given first
// byte and payload size (of the first physical packet), ends the rows. A row
// whose first value is 16 MiB or longer starts with 0xfe too, but fills its
// first physical packet.
func isEnd(first byte, size int, caps Capability) bool {
	if first != EOFHeader {
		return false
	}
	if caps.Has(ClientDeprecateEOF) {
		return size < MaxPayload
	}
	return size < 9
}

package wire

import (
	"encoding/binary"
)

const (
	// greetingVersion is the only handshake version in use since MySQL 3.22.
	greetingVersion = 10
	// ErrHeader, OKHeader and EOFHeader are the first payload bytes of the
	// generic response packets.
	ErrHeader = 0xff
	OKHeader  = 0x00
	EOFHeader = 0xfe
	// MaxHandshakePacket bounds packets of the connection phase, in bytes. The
	// largest legal one is a response with 64 KiB of connection attributes.
	MaxHandshakePacket = 1 << 18
	// response41Fixed is the fixed part of HandshakeResponse41 (capabilities,
	// maximum packet, charset, filler) and the whole of an SSLRequest, in bytes.
	response41Fixed = 4 + 4 + 1 + 23
)

// Greeting is what the proxy needs of a server's initial handshake packet.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
type Greeting struct {
	ServerVersion string
	ConnectionID  uint32
	Capabilities  Capability
	Status        Status

	capLow, capHigh int // offsets of the two halves; capHigh is 0 when absent
}

// ParseGreeting decodes an initial handshake packet.
func ParseGreeting(payload []byte) (Greeting, error) {
	var g Greeting
	if len(payload) == 0 || payload[0] != greetingVersion {
		return g, malformed("not a version 10 greeting")
	}
	version, rest, ok := cutNul(payload[1:])
	// connection id, first 8 bytes of the salt, filler, lower capabilities
	if !ok || len(rest) < 4+8+1+2 {
		return g, malformed("greeting too short")
	}
	g.ServerVersion = string(version)
	g.ConnectionID = binary.LittleEndian.Uint32(rest)
	g.capLow = len(payload) - len(rest) + 4 + 8 + 1
	g.Capabilities = Capability(binary.LittleEndian.Uint16(payload[g.capLow:]))
	// charset, status, upper capabilities
	if rest = payload[g.capLow+2:]; len(rest) >= 1+2+2 {
		g.Status = Status(binary.LittleEndian.Uint16(rest[1:]))
		g.capHigh = g.capLow + 2 + 1 + 2
		g.Capabilities |= Capability(binary.LittleEndian.Uint16(payload[g.capHigh:])) << 16
	}
	return g, nil
}

// RemoveCapabilities clears remove in payload, which must be the packet that g
// was parsed from, and in g.
func (g *Greeting) RemoveCapabilities(payload []byte, remove Capability) {
	g.Capabilities &^= remove
	binary.LittleEndian.PutUint16(payload[g.capLow:], uint16(g.Capabilities))
	if g.capHigh > 0 {
		binary.LittleEndian.PutUint16(payload[g.capHigh:], uint16(g.Capabilities>>16))
	}
}

// HandshakeResponse is what the proxy notes of a client's handshake response.
// The authentication data is neither decoded nor kept.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
type HandshakeResponse struct {
	Capabilities Capability
	User         string
	// Database is "" when none was given or when the part behind the user name
	// could not be followed; the backend is the judge of that part.
	Database string
	// SSLRequest is set when the packet asks to encrypt instead of answering.
	SSLRequest bool
}

// ParseHandshakeResponse decodes the part of a handshake response that the proxy
// uses. Only a packet without readable capabilities is an error.
func ParseHandshakeResponse(payload []byte) (HandshakeResponse, error) {
	var r HandshakeResponse
	if len(payload) < 2 {
		return r, malformed("handshake response too short")
	}
	r.Capabilities = Capability(binary.LittleEndian.Uint16(payload))
	if !r.Capabilities.Has(ClientProtocol41) {
		// HandshakeResponse320: capabilities, 3 bytes of packet size, user.
		if len(payload) > 5 {
			if user, _, ok := cutNul(payload[5:]); ok {
				r.User = string(user)
			}
		}
		return r, nil
	}
	if len(payload) < response41Fixed {
		return r, malformed("handshake response too short")
	}
	r.Capabilities = Capability(binary.LittleEndian.Uint32(payload))
	if len(payload) == response41Fixed {
		r.SSLRequest = r.Capabilities.Has(ClientSSL)
		return r, nil
	}
	user, rest, ok := cutNul(payload[response41Fixed:])
	if !ok {
		return r, nil
	}
	r.User = string(user)
	if rest, ok = skipAuthData(rest, r.Capabilities); ok && r.Capabilities.Has(ClientConnectWithDB) {
		if db, _, ok := cutNul(rest); ok {
			r.Database = string(db)
		}
	}
	return r, nil
}

// skipAuthData returns what follows the authentication data in b.
func skipAuthData(b []byte, caps Capability) ([]byte, bool) {
	switch {
	case caps.Has(ClientPluginAuthLenencData):
		_, n, ok := LenencBytes(b)
		return b[n:], ok
	case caps.Has(ClientSecureConnection):
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return nil, false
		}
		return b[1+int(b[0]):], true
	}
	_, rest, ok := cutNul(b)
	return rest, ok
}

// RemoveCapabilities clears remove in payload, which must be the packet that r
// was parsed from, and in r.
func (r *HandshakeResponse) RemoveCapabilities(payload []byte, remove Capability) {
	old := r.Capabilities
	r.Capabilities &^= remove
	if old.Has(ClientProtocol41) {
		binary.LittleEndian.PutUint32(payload, uint32(r.Capabilities))
	} else {
		binary.LittleEndian.PutUint16(payload, uint16(r.Capabilities))
	}
}

// ParseChangeUser decodes the user of a COM_CHANGE_USER payload (command byte
// included); "" when it can't be read.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
func ParseChangeUser(payload []byte) (user string) {
	if len(payload) == 0 {
		return ""
	}
	name, _, _ := cutNul(payload[1:])
	return string(name)
}

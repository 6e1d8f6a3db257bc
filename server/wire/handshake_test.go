package wire

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// greeting builds an initial handshake packet as TiDB sends it.
func greeting(caps Capability) []byte {
	b := append([]byte{10}, "8.0.11-TiDB-v8.5.4\x00"...)
	b = append(b, 0x78, 0x56, 0x34, 0x12)
	b = append(b, "saltsalt\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps))
	b = append(b, 46, 2, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps>>16))
	b = append(b, 21)
	b = append(b, make([]byte, 10)...)
	return append(b, "saltsaltsalt\x00mysql_native_password\x00"...)
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	offered := ClientProtocol41 | ClientSSL | ClientCompress | ClientZstdCompression | ClientDeprecateEOF | ClientPluginAuth
	b := greeting(offered)
	g, err := ParseGreeting(b)
	require.NoError(t, err)
	require.Equal(t, "8.0.11-TiDB-v8.5.4", g.ServerVersion)
	require.Equal(t, uint32(0x12345678), g.ConnectionID)
	require.Equal(t, offered, g.Capabilities)
	require.Equal(t, StatusAutocommit, g.Status)

	g.RemoveCapabilities(b, Unsupported)
	require.Equal(t, greeting(ClientProtocol41|ClientDeprecateEOF|ClientPluginAuth), b, "nothing else changes")
	require.Equal(t, ClientProtocol41|ClientDeprecateEOF|ClientPluginAuth, g.Capabilities)
}

func TestGreetingOfAnOldServer(t *testing.T) {
	t.Parallel()
	b := greeting(ClientCompress | ClientProtocol41)
	b = b[:1+19+4+9+2] // ends behind the lower capabilities
	g, err := ParseGreeting(b)
	require.NoError(t, err)
	require.Equal(t, ClientCompress|ClientProtocol41, g.Capabilities)
	g.RemoveCapabilities(b, Unsupported)
	require.Equal(t, ClientProtocol41, g.Capabilities)

	for n := range b {
		_, err := ParseGreeting(b[:n])
		require.ErrorIs(t, err, ErrMalformed, "%d bytes", n)
	}
}

// response41 builds a handshake response.
func response41(caps Capability, tail string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(caps))
	b = append(b, 0, 0, 0, 1, 46)
	b = append(b, make([]byte, 23)...)
	return append(b, tail...)
}

func TestHandshakeResponse(t *testing.T) {
	t.Parallel()
	base := ClientProtocol41 | ClientSecureConnection | ClientConnectWithDB
	for name, c := range map[string]struct {
		packet []byte
		want   HandshakeResponse
	}{
		"password and database": {response41(base, "me\x00\x03abcdb\x00plugin\x00"), HandshakeResponse{base, "me", "db", false}},
		"no password":           {response41(base, "me\x00\x00db\x00"), HandshakeResponse{base, "me", "db", false}},
		"password with length": {response41(base|ClientPluginAuthLenencData, "me\x00\x03abcdb\x00"),
			HandshakeResponse{base | ClientPluginAuthLenencData, "me", "db", false}},
		"password with NUL":   {response41(base&^ClientSecureConnection, "me\x00abc\x00db\x00"), HandshakeResponse{base &^ ClientSecureConnection, "me", "db", false}},
		"no database flag":    {response41(ClientProtocol41, "me\x00abc\x00db\x00"), HandshakeResponse{ClientProtocol41, "me", "", false}},
		"lying length":        {response41(base, "me\x00\xf0abc"), HandshakeResponse{base, "me", "", false}},
		"lying lenenc length": {response41(base|ClientPluginAuthLenencData, "me\x00\xfe"), HandshakeResponse{base | ClientPluginAuthLenencData, "me", "", false}},
		"no NUL":              {response41(base, "me"), HandshakeResponse{base, "", "", false}},
		"TLS":                 {response41(base|ClientSSL, ""), HandshakeResponse{base | ClientSSL, "", "", true}},
		"before 4.1":          {[]byte("\x01\x00\x00\x00\x00old\x00xx"), HandshakeResponse{ClientLongPassword, "old", "", false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseHandshakeResponse(c.packet)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for _, n := range []int{0, 1, 5, 31} {
		_, err := ParseHandshakeResponse(response41(base, "")[:n])
		require.ErrorIs(t, err, ErrMalformed)
	}
}

func TestHandshakeResponseRemove(t *testing.T) {
	t.Parallel()
	b := response41(ClientProtocol41|ClientCompress|ClientZstdCompression, "me\x00")
	r, err := ParseHandshakeResponse(b)
	require.NoError(t, err)
	r.RemoveCapabilities(b, Unsupported)
	require.Equal(t, response41(ClientProtocol41, "me\x00"), b)

	old := []byte("\x21\x00\x00\x00\x00old\x00")
	r, err = ParseHandshakeResponse(old)
	require.NoError(t, err)
	r.RemoveCapabilities(old, Unsupported)
	require.Equal(t, "\x01\x00\x00\x00\x00old\x00", string(old))
}

func TestChangeUser(t *testing.T) {
	t.Parallel()
	require.Equal(t, "me", ParseChangeUser([]byte("\x11me\x00\x00db\x00")))
	require.Empty(t, ParseChangeUser([]byte("\x11me")))
	require.Empty(t, ParseChangeUser(nil))
}

func FuzzHandshake(f *testing.F) {
	f.Add(greeting(ClientProtocol41))
	f.Add(response41(ClientProtocol41|ClientSecureConnection|ClientConnectWithDB, "me\x00\x03abcdb\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := ParseGreeting(b); err == nil {
			g.RemoveCapabilities(b, Unsupported)
			again, err := ParseGreeting(b)
			require.NoError(t, err)
			require.Equal(t, g, again)
			require.Zero(t, again.Capabilities&Unsupported)
		}
		if r, err := ParseHandshakeResponse(b); err == nil && !r.SSLRequest {
			r.RemoveCapabilities(b, Unsupported)
			again, err := ParseHandshakeResponse(b)
			require.NoError(t, err)
			require.Equal(t, r.Capabilities, again.Capabilities)
			require.Equal(t, r.User, again.User)
		}
		ParseChangeUser(b)
	})
}

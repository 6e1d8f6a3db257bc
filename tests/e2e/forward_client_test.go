package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/server/backend"
	"github.com/sluicedb/sluice/server/proxy"
	"github.com/sluicedb/sluice/server/wire"
)

// forwardPatience bounds the life of a raw connection; reaching it is a failure.
const forwardPatience = 10 * time.Minute

const (
	classicCaps = wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth | wire.ClientMultiStatements |
		wire.ClientMultiResults | wire.ClientLocalFiles | wire.ClientTransactions | wire.ClientLongFlag
	modernCaps = classicCaps | wire.ClientDeprecateEOF
)

// startProxy runs a proxy in this process (so that -race sees it) in front of the
// TiDB at address and returns its own address.
func startProxy(t *testing.T, address string, interceptor proxy.Interceptor) string {
	t.Helper()
	pool, err := backend.NewPool(backend.Options{Addresses: []string{address}})
	require.NoError(t, err)
	pool.Start(context.Background())
	server, err := proxy.New(proxy.Options{Dialer: pool, Interceptor: interceptor, Logger: zaptest.NewLogger(t)})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), forwardPatience)
		defer cancel()
		require.NoError(t, server.Shutdown(ctx))
		require.NoError(t, <-served)
		pool.Stop()
	})
	return l.Addr().String()
}

// login is who a raw client is.
type login struct {
	caps           wire.Capability
	user, password string
	plugin         string // "" means the one that the server names
}

// rawClient speaks the protocol byte by byte and keeps a record of all that the
// server sends after the handshake.
type rawClient struct {
	t            testing.TB
	conn         net.Conn
	connectionID uint32
	caps         wire.Capability
	follower     wire.Follower
	seq          byte

	// response is what came since the last command.
	response bytes.Buffer
	record   []step
}

// step is the server's answer to one step of a script.
type step struct {
	name   string
	size   int
	digest [sha256.Size]byte
	head   []byte // the first bytes, to show
}

func (s step) String() string { return fmt.Sprintf("%s: %d bytes %q", s.name, s.size, s.head) }

// connect logs in; the error is the server's refusal.
func connect(t testing.TB, address string, who login) (*rawClient, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(forwardPatience)))
	c := &rawClient{t: t, conn: conn}
	payload, _, err := wire.ReadPacket(conn, wire.MaxHandshakePacket)
	require.NoError(t, err)
	greeting, err := wire.ParseGreeting(payload)
	require.NoError(t, err)
	c.connectionID = greeting.ConnectionID
	c.caps = who.caps & greeting.Capabilities
	c.follower.SetCapabilities(c.caps)
	c.send(1, handshakeResponse(who, salt(payload)))
	for {
		payload, seq, err := wire.ReadPacket(conn, wire.MaxHandshakePacket)
		require.NoError(t, err)
		switch payload[0] {
		case wire.OKHeader:
			return c, nil
		case wire.ErrHeader:
			refusal, err := wire.ParseErr(payload, who.caps)
			require.NoError(t, err)
			return c, refusal
		case wire.EOFHeader: // switch to another plugin, with another salt
			plugin, rest, _ := bytes.Cut(payload[1:], []byte{0})
			require.Equal(t, mysql.AUTH_NATIVE_PASSWORD, string(plugin))
			c.send(seq+1, mysql.CalcPassword(bytes.TrimRight(rest, "\x00"), []byte(who.password)))
		default:
			t.Fatalf("unexpected packet in the handshake: %q", payload)
		}
	}
}

// salt takes the two parts of the salt out of a greeting.
func salt(greeting []byte) []byte {
	at := bytes.IndexByte(greeting, 0) + 1 + 4
	return append(append([]byte(nil), greeting[at:at+8]...), greeting[at+8+1+2+1+2+2+1+10:][:12]...)
}

func handshakeResponse(who login, salt []byte) []byte {
	plugin := who.plugin
	if plugin == "" {
		plugin = mysql.AUTH_NATIVE_PASSWORD
	}
	var auth []byte
	if who.password != "" {
		auth = mysql.CalcPassword(salt, []byte(who.password))
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(who.caps))
	b = append(b, 0, 0, 0, 64, 46)
	b = append(b, make([]byte, 23)...)
	b = append(append(b, who.user...), 0, byte(len(auth)))
	b = append(b, auth...)
	return append(append(b, plugin...), 0)
}

func (c *rawClient) send(seq byte, payload []byte) {
	c.t.Helper()
	frame, next := wire.AppendPacket(nil, payload, seq)
	c.seq = next
	_, err := c.conn.Write(frame)
	require.NoError(c.t, err)
}

// do sends a command and reads its whole response; file is what a LOAD DATA LOCAL
// gets.
func (c *rawClient) do(name string, payload []byte, file ...[]byte) {
	c.t.Helper()
	c.follower.Begin(wire.Command(payload[0]))
	c.send(0, payload)
	c.read(file)
	c.note(name)
}

// read reads until the response is over.
func (c *rawClient) read(file [][]byte) {
	c.t.Helper()
	buf := make([]byte, 64<<10)
	for {
		switch c.follower.Phase() {
		case wire.PhaseIdle:
			return
		case wire.PhaseInfile:
			c.seq = lastSeq(c.response.Bytes()) + 1
			for _, part := range append(file, nil) {
				c.send(c.seq, part)
			}
			c.follower.InfileSent()
		}
		n, err := c.conn.Read(buf)
		c.follower.Feed(buf[:n])
		c.response.Write(buf[:n])
		require.NoError(c.t, err, "response so far: %.300q", c.response.Bytes())
	}
}

// lastSeq returns the sequence number of the last packet in b.
func lastSeq(b []byte) (seq byte) {
	for len(b) >= wire.HeaderSize {
		var size int
		size, seq = wire.ParseHeader(b)
		b = b[min(wire.HeaderSize+size, len(b)):]
	}
	return seq
}

// readPackets reads n packets, whatever the follower thinks.
func (c *rawClient) readPackets(n int) {
	c.t.Helper()
	for range n {
		payload, seq, err := wire.ReadPacket(c.conn, 1<<20)
		require.NoError(c.t, err)
		frame, _ := wire.AppendPacket(nil, payload, seq)
		c.response.Write(frame)
	}
}

// note closes a step of the record.
func (c *rawClient) note(name string) {
	b := c.response.Bytes()
	c.record = append(c.record, step{name, len(b), sha256.Sum256(b), bytes.Clone(b[:min(len(b), 200)])})
	c.response.Reset()
}

// query runs a statement of the text protocol; its text is the step's name.
func (c *rawClient) query(sql string, file ...[]byte) {
	c.t.Helper()
	c.do(fmt.Sprintf("%.60s", sql), append([]byte{byte(wire.ComQuery)}, sql...), file...)
}

// prepare prepares a statement and returns its id, or 0 when it was refused.
func (c *rawClient) prepare(sql string) uint32 {
	c.t.Helper()
	c.do("prepare "+sql, append([]byte{byte(wire.ComStmtPrepare)}, sql...))
	head := c.record[len(c.record)-1].head
	if head[wire.HeaderSize] != wire.OKHeader {
		return 0
	}
	return binary.LittleEndian.Uint32(head[wire.HeaderSize+1:])
}

// statement runs a command about a prepared statement.
func (c *rawClient) statement(cmd wire.Command, id uint32, rest string) {
	c.t.Helper()
	payload := binary.LittleEndian.AppendUint32([]byte{byte(cmd)}, id)
	c.do(fmt.Sprintf("%s %d %.20q", cmd, id, rest), append(payload, rest...))
}

// quit ends the connection and notes what the server still had to say.
func (c *rawClient) quit() {
	c.t.Helper()
	c.send(0, []byte{byte(wire.ComQuit)})
	_, err := c.response.ReadFrom(c.conn)
	require.NoError(c.t, err)
	c.note("quit")
}

// lastErr is the ERR packet that the last step consists of.
func (c *rawClient) lastErr(caps wire.Capability) *mysql.MyError {
	c.t.Helper()
	e, err := wire.ParseErr(c.record[len(c.record)-1].head[wire.HeaderSize:], caps)
	require.NoError(c.t, err)
	return e
}

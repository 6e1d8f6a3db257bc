package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/server/wire"
)

// patience bounds every wait of these tests; reaching it is a failure, so it is longer than any machine is slow.
const patience = 5 * time.Minute

const testCaps = wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth | wire.ClientDeprecateEOF |
	wire.ClientMultiStatements | wire.ClientLocalFiles

// peer is one end of a connection, at the level of packets.
type peer struct {
	t    testing.TB
	conn net.Conn
	seq  byte
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return &peer{t: t, conn: conn}
}

// send writes a packet with the next sequence number.
func (p *peer) send(payload []byte) {
	frame, next := wire.AppendPacket(nil, payload, p.seq)
	p.seq = next
	_, err := p.conn.Write(frame)
	require.NoError(p.t, err)
}

// command starts a new command.
func (p *peer) command(payload string) {
	p.seq = 0
	p.send([]byte(payload))
}

// receive reads a packet, which must have the expected sequence number when it
// is not the first of a command.
func (p *peer) receive() []byte {
	payload, seq, err := wire.ReadPacket(p.conn, 256<<20)
	require.NoError(p.t, err)
	p.seq = seq + 1
	return payload
}

func (p *peer) receiveErr() *mysql.MyError {
	e, err := wire.ParseErr(p.receive(), testCaps)
	require.NoError(p.t, err)
	return e
}

// gone waits for the other side to close.
func (p *peer) gone() {
	n, err := io.Copy(io.Discard, p.conn)
	require.False(p.t, errors.Is(err, context.DeadlineExceeded) || isTimeout(err), "the connection is still open")
	require.Zero(p.t, n)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// greeting is the packet with which the scripted backend begins.
func greeting(caps wire.Capability) []byte {
	b := append([]byte{10}, "8.0.11-TiDB-v8.5.4\x00"...)
	b = append(b, 42, 0, 0, 0)
	b = append(b, "saltsalt\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps))
	b = append(b, 46, 2, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps>>16))
	b = append(b, 21)
	b = append(b, make([]byte, 10)...)
	return append(b, "saltsaltsalt\x00mysql_native_password\x00"...)
}

func response(caps wire.Capability) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(caps))
	b = append(b, 0, 0, 0, 1, 46)
	b = append(b, make([]byte, 23)...)
	return append(b, "me\x00\x04hash"...)
}

func okPacket(status wire.Status) []byte {
	return wire.AppendOK(nil, testCaps, wire.OK{Status: status | wire.StatusAutocommit})
}

// dialer hands out one end of a loopback connection whose other end runs script.
type dialer struct {
	t      testing.TB
	script func(*peer)
	done   sync.WaitGroup
	away   atomic.Bool
}

func (d *dialer) Answers(context.Context, net.Conn) bool { return !d.away.Load() }

func (d *dialer) Dial(context.Context) (net.Conn, error) {
	near, far := loopback(d.t)
	d.done.Add(1)
	go func() {
		defer d.done.Done()
		defer closeQuietly(far)
		d.script(newPeer(d.t, far))
	}()
	return near, nil
}

func closeQuietly(c io.Closer) { _ = c.Close() }

// loopback returns both ends of a TCP connection.
func loopback(t testing.TB) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer closeQuietly(l)
	near, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	far, err = l.Accept()
	require.NoError(t, err)
	return near, far
}

// setup is a proxy between a scripted backend and clients.
type setup struct {
	t      testing.TB
	server *Server
	addr   string
	dialer *dialer
}

// newSetup starts a proxy. Each backend connection authenticates whoever comes
// and then runs script.
func newSetup(t testing.TB, options Options, script func(*peer)) *setup {
	return newRawSetup(t, options, func(p *peer) {
		p.send(greeting(testCaps))
		p.receive()
		p.send(okPacket(0))
		script(p)
	})
}

func newRawSetup(t testing.TB, options Options, script func(*peer)) *setup {
	d := &dialer{t: t, script: script}
	options.Dialer = d
	if options.Logger == nil {
		options.Logger = zaptest.NewLogger(t)
	}
	server, err := New(options)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = server.Shutdown(ctx) // with no patience at all
		require.NoError(t, <-served)
		d.done.Wait()
	})
	return &setup{t: t, server: server, addr: l.Addr().String(), dialer: d}
}

// dial opens a client connection without a handshake.
func (s *setup) dial() *peer {
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { closeQuietly(conn) })
	return newPeer(s.t, conn)
}

// client opens a client connection and logs in.
func (s *setup) client() *peer {
	p := s.dial()
	p.receive()
	p.send(response(testCaps))
	require.Equal(s.t, okPacket(0), p.receive())
	return p
}

// modeQuestion is what the proxy asks before a text is recognised.
const modeQuestion = "\x03SELECT @@sql_mode, @@character_set_client"

// answerMode answers modeQuestion.
func answerMode(p *peer, status wire.Status) error {
	columns := []wire.Column{{Name: "@@sql_mode", Type: mysql.MYSQL_TYPE_VAR_STRING}, {Name: "@@character_set_client", Type: mysql.MYSQL_TYPE_VAR_STRING}}
	w := wire.NewWriter(p.conn, p.seq)
	rows := [][][]byte{{[]byte("ANSI_QUOTES"), []byte("utf8mb4")}}
	err := wire.WriteResultSet(w, testCaps, columns, rows, wire.OK{Status: status | wire.StatusAutocommit})
	return errors.Join(err, w.Flush())
}

// obliging is a backend that answers modeQuestion, and shows every other command
// on seen (if not nil) before it answers OK. "begin" opens a transaction, "commit"
// ends it.
func obliging(seen chan<- string) func(*peer) {
	return func(p *peer) {
		var status wire.Status
		for {
			payload, seq, err := wire.ReadPacket(p.conn, 128<<20)
			if err != nil {
				return
			}
			p.seq = seq + 1
			switch string(payload) {
			case "\x01":
				return
			case modeQuestion:
				if answerMode(p, status) != nil {
					return
				}
				continue
			case "\x03begin":
				status = wire.StatusInTrans
			case "\x03commit":
				status = 0
			}
			if seen != nil {
				seen <- string(payload)
			}
			frame, _ := wire.AppendPacket(nil, okPacket(status), p.seq)
			if _, err := p.conn.Write(frame); err != nil {
				return
			}
		}
	}
}

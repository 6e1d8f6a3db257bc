package proxy

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/server/wire"
)

func TestHandshakeIsRelayedWithoutWhatWeCannotCarry(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 1)
	s := newRawSetup(t, Options{}, func(p *peer) {
		p.send(greeting(testCaps | wire.Unsupported))
		got <- p.receive()
		p.send(okPacket(0))
		obliging(nil)(p)
	})
	c := s.dial()
	require.Equal(t, greeting(testCaps), c.receive())
	c.send(response(testCaps | wire.ClientCompress | wire.ClientZstdCompression))
	require.Equal(t, okPacket(0), c.receive())
	require.Equal(t, response(testCaps), <-got)
}

func TestAuthenticationRoundsAreRelayed(t *testing.T) {
	t.Parallel()
	s := newRawSetup(t, Options{}, func(p *peer) {
		p.send(greeting(testCaps))
		p.receive()
		p.send([]byte("\xfecaching_sha2_password\x00salt"))
		if string(p.receive()) != "scramble" {
			return
		}
		p.send([]byte{1, 4})
		if string(p.receive()) != "more" {
			return
		}
		p.send(okPacket(0))
		obliging(nil)(p)
	})
	c := s.dial()
	c.receive()
	c.send(response(testCaps))
	require.Equal(t, "\xfecaching_sha2_password\x00salt", string(c.receive()))
	c.send([]byte("scramble"))
	require.Equal(t, []byte{1, 4}, c.receive())
	c.send([]byte("more"))
	require.Equal(t, okPacket(0), c.receive())
	c.command("\x0e")
	require.Equal(t, okPacket(0), c.receive())
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	denied := &mysql.MyError{Code: 1045, State: "28000", Message: "Access denied"}
	s := newRawSetup(t, Options{}, func(p *peer) {
		p.send(greeting(testCaps))
		p.receive()
		p.send(wire.AppendErr(nil, testCaps, denied))
	})
	c := s.dial()
	c.receive()
	c.send(response(testCaps))
	require.Equal(t, denied, c.receiveErr())
	c.gone()
}

func TestBackendRefusesBeforeTheGreeting(t *testing.T) {
	t.Parallel()
	full := &mysql.MyError{Code: 1040, State: "HY000", Message: "Too many connections"}
	s := newRawSetup(t, Options{}, func(p *peer) { p.send(wire.AppendErr(nil, 0, full)) })
	c := s.dial()
	require.Equal(t, full, c.receiveErr())
	c.gone()
}

type noBackend struct{}

func (noBackend) Dial(context.Context) (net.Conn, error) {
	return nil, errors.New("no TiDB server is reachable (tried 2)")
}

func (noBackend) Answers(context.Context, net.Conn) bool { return false }

func TestNoBackend(t *testing.T) {
	t.Parallel()
	server, err := New(Options{Dialer: noBackend{}})
	require.NoError(t, err)
	near, far := loopback(t)
	server.start(far)
	e := newPeer(t, near).receiveErr()
	require.Equal(t, uint16(2003), e.Code)
	require.Contains(t, e.Message, "no TiDB server is reachable (tried 2)")
	require.NoError(t, near.Close())
	require.NoError(t, server.Shutdown(t.Context()))
}

func TestTLSRequestIsRefused(t *testing.T) {
	t.Parallel()
	s := newRawSetup(t, Options{}, func(p *peer) { p.send(greeting(testCaps)); p.gone() })
	c := s.dial()
	c.receive()
	c.send(response(testCaps | wire.ClientSSL)[:32])
	e := c.receiveErr()
	require.Equal(t, uint16(1043), e.Code)
	require.Contains(t, e.Message, "TLS")
	c.gone()
}

func TestGarbageInsteadOfAHandshake(t *testing.T) {
	t.Parallel()
	for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\x01\x00\x00\x01x", "\xff\xff\xff\x01"} {
		s := newRawSetup(t, Options{}, func(p *peer) { p.send(greeting(testCaps)); p.gone() })
		c := s.dial()
		c.receive()
		_, err := c.conn.Write([]byte(garbage))
		require.NoError(t, err)
		require.NoError(t, c.conn.(*net.TCPConn).CloseWrite())
		if garbage[0] == 1 {
			require.Equal(t, uint16(1043), c.receiveErr().Code)
		}
		c.gone()
	}
}

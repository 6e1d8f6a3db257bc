package backend

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicedb/sluice/server/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 5 * time.Minute

// tidb is a listener that greets, refuses or keeps silent.
type tidb struct {
	net.Listener
	accepted chan net.Conn
	done     sync.WaitGroup
}

func start(t *testing.T, greeting []byte) *tidb {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &tidb{Listener: l, accepted: make(chan net.Conn, 1000)}
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			frame, _ := wire.AppendPacket(nil, greeting, 0)
			_, _ = conn.Write(frame)
			s.accepted <- conn
		}
	}()
	t.Cleanup(s.stop)
	return s
}

func (s *tidb) stop() {
	_ = s.Close()
	s.done.Wait()
	for len(s.accepted) > 0 {
		_ = (<-s.accepted).Close()
	}
}

func (s *tidb) addr() string { return s.Addr().String() }

func greeting() []byte {
	return append([]byte("\x0a8.0.11\x00"), make([]byte, 40)...)
}

func newPool(t *testing.T, addresses ...string) *Pool {
	t.Helper()
	p, err := NewPool(Options{Addresses: addresses, ProbeInterval: time.Millisecond, ProbeTimeout: patience})
	require.NoError(t, err)
	return p
}

func TestLeastConnections(t *testing.T) {
	t.Parallel()
	a, b := start(t, greeting()), start(t, greeting())
	p := newPool(t, a.addr(), b.addr())
	var conns []net.Conn
	for range 6 {
		conn, err := p.Dial(t.Context())
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	at := func(addr string) (n int) {
		for _, c := range conns {
			if c != nil && c.RemoteAddr().String() == addr {
				n++
			}
		}
		return n
	}
	require.Equal(t, 3, at(a.addr()))
	require.Equal(t, 3, at(b.addr()))
	for i, c := range conns {
		if c.RemoteAddr().String() == b.addr() {
			require.NoError(t, c.Close())
			require.Error(t, c.Close(), "closing twice gives the place back once")
			conns[i] = nil
		}
	}
	for range 3 {
		conn, err := p.Dial(t.Context())
		require.NoError(t, err)
		require.Equal(t, b.addr(), conn.RemoteAddr().String())
		conns = append(conns, conn)
	}
	for _, c := range conns {
		if c != nil {
			require.NoError(t, c.Close())
		}
	}
}

func TestDialGoesOnToTheNextServer(t *testing.T) {
	t.Parallel()
	down, up := start(t, nil), start(t, greeting())
	down.stop()
	p := newPool(t, down.addr(), up.addr())
	conn, err := p.Dial(t.Context())
	require.NoError(t, err)
	require.Equal(t, up.addr(), conn.RemoteAddr().String())
	require.NoError(t, conn.Close())
	require.NoError(t, p.Check())

	up.stop()
	_, err = p.Dial(t.Context())
	require.ErrorIs(t, err, ErrNoBackend)
	require.ErrorContains(t, p.Check(), up.addr())
	require.ErrorContains(t, p.Check(), down.addr())
	_, err = p.Dial(t.Context())
	require.ErrorIs(t, err, ErrNoBackend)
	require.ErrorContains(t, err, "tried 2", "without any healthy server all are tried")
	require.NotContains(t, err.Error(), "127.0.0.1", "clients learn no addresses")
}

func TestDialHonoursTheContext(t *testing.T) {
	t.Parallel()
	p := newPool(t, start(t, greeting()).addr())
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("shutting down")
	cancel(cause)
	_, err := p.Dial(ctx)
	require.ErrorIs(t, err, cause)
	require.NoError(t, p.Check(), "a caller who gives up says nothing about the server")
}

func TestProbe(t *testing.T) {
	t.Parallel()
	refused := append([]byte("\xff\x10\x04"), "Too many connections"...)
	require.NoError(t, probe(t.Context(), start(t, greeting()).addr(), patience))
	require.ErrorContains(t, probe(t.Context(), start(t, refused).addr(), patience), "Too many connections")
	require.ErrorIs(t, probe(t.Context(), start(t, []byte("HTTP")).addr(), patience), wire.ErrMalformed)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, never greets
	require.NoError(t, err)
	require.ErrorContains(t, probe(t.Context(), l.Addr().String(), 20*time.Millisecond), "waiting for the greeting")
	require.NoError(t, l.Close())
	require.Error(t, probe(t.Context(), l.Addr().String(), patience))
}

func TestProbingFindsServersThatComeAndGo(t *testing.T) {
	t.Parallel()
	s := start(t, greeting())
	p := newPool(t, s.addr())
	p.Start(t.Context())
	defer p.Stop()
	<-s.accepted
	require.NoError(t, p.Check())
	s.stop()
	require.Eventually(t, func() bool { return p.Check() != nil }, patience, time.Millisecond)

	l, err := net.Listen("tcp", s.addr())
	require.NoError(t, err)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			frame, _ := wire.AppendPacket(nil, greeting(), 0)
			_, _ = conn.Write(frame)
			_ = conn.Close()
		}
	}()
	require.Eventually(t, func() bool { return p.Check() == nil }, patience, time.Millisecond)
	require.NoError(t, l.Close())
	p.Stop()
	p.Stop()
}

func TestPoolNeedsAddresses(t *testing.T) {
	t.Parallel()
	_, err := NewPool(Options{})
	require.Error(t, err)
}

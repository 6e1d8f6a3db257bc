package proxy

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/server/wire"
)

func TestShutdownWaitsForTransactions(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{}, obliging(nil))
	idle, busy := s.client(), s.client()
	busy.command("\x03begin")
	require.Equal(t, okPacket(wire.StatusInTrans), busy.receive())
	require.Equal(t, 2, s.server.Sessions())
	down := make(chan error, 1)
	go func() { down <- s.server.Shutdown(context.Background()) }()
	idle.gone()
	_, err := net.Dial("tcp", s.addr)
	require.Error(t, err, "nobody new is accepted")
	require.True(t, s.server.Draining())
	select {
	case <-down:
		t.Fatal("did not wait for the transaction")
	default:
	}
	busy.command("\x03insert")
	require.Equal(t, okPacket(wire.StatusInTrans), busy.receive(), "the transaction goes on")
	busy.command("\x03commit")
	require.Equal(t, okPacket(0), busy.receive())
	busy.gone()
	require.NoError(t, <-down)
	require.NoError(t, s.server.Shutdown(context.Background()), "once more does no harm")
}

func TestShutdownDeadlineCutsTransactions(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{}, obliging(nil))
	c := s.client()
	c.command("\x03begin")
	c.receive()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.server.Shutdown(ctx), context.Canceled)
	c.gone()
}

func TestShutdownBeforeServe(t *testing.T) {
	t.Parallel()
	server, err := New(Options{Dialer: noBackend{}})
	require.NoError(t, err)
	require.NoError(t, server.Shutdown(t.Context()))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, server.Serve(l))
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestOptionsNeedADialer(t *testing.T) {
	t.Parallel()
	_, err := New(Options{})
	require.Error(t, err)
}

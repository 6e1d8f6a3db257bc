package door_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground/door"
)

// echo answers every line with itself, through a relay.
func echo(t *testing.T) *door.Relay {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			})
		}
	})
	d, err := door.Listen(t.Context())
	require.NoError(t, err)
	r := door.Serve(d, listener.Addr().String())
	t.Cleanup(func() {
		require.NoError(t, r.Close())
		require.NoError(t, listener.Close())
		serving.Wait()
	})
	return r
}

func dial(t *testing.T, r *door.Relay) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", r.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func ask(conn net.Conn) error {
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && line != "hello\n" {
		err = errors.New(line)
	}
	return err
}

func TestAwayIsRefusedAndBackOnTheSamePort(t *testing.T) {
	t.Parallel()
	r := echo(t)
	conn := dial(t, r)
	require.NoError(t, ask(conn))
	for range 3 {
		require.NoError(t, r.Set(door.Away))
		require.Error(t, ask(conn))
		_, err := net.Dial("tcp4", r.Addr().String())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.NoError(t, r.Set(door.Open))
		conn = dial(t, r)
		require.NoError(t, ask(conn))
	}
}

func TestHangingIsNoAnswerUntilItIsOver(t *testing.T) {
	t.Parallel()
	r := echo(t)
	old := dial(t, r)
	require.NoError(t, ask(old))
	require.NoError(t, r.Set(door.Hanging))
	answered := make(chan error, 2)
	for _, conn := range []net.Conn{old, dial(t, r)} {
		go func() { answered <- ask(conn) }()
	}
	select {
	case err := <-answered:
		require.Fail(t, "an answer while it hangs", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	require.NoError(t, r.Set(door.Open))
	for range 2 {
		require.NoError(t, <-answered)
	}
}

func TestAwayWhileItHangs(t *testing.T) {
	t.Parallel()
	r := echo(t)
	conn := dial(t, r)
	require.NoError(t, r.Set(door.Hanging))
	_, err := conn.Write([]byte("hello\n"))
	require.NoError(t, err)
	require.NoError(t, r.Set(door.Away))
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, r.Set(door.Open))
	require.NoError(t, ask(dial(t, r)))
}

package sqlrelay_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/sqlrelay"
)

// server answers each packet with itself and notes them.
type server struct {
	mu  sync.Mutex
	got []string
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	for {
		p, err := read(conn)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.got = append(s.got, p)
		s.mu.Unlock()
		if _, err := conn.Write(packet(0, p)); err != nil {
			return
		}
	}
}

func (s *server) has() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

func packet(sequence byte, body string) []byte {
	return append([]byte{byte(len(body)), 0, 0, sequence}, body...)
}

func read(conn net.Conn) (string, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return "", err
	}
	body := make([]byte, head[0])
	_, err := io.ReadFull(conn, body)
	return string(body), err
}

// relayed is a client's connection to a server through a relay.
func relayed(t *testing.T, hook sqlrelay.Hook) (client net.Conn, s *server) {
	t.Helper()
	s = &server{}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		if conn, err := listener.Accept(); err == nil {
			s.serve(conn)
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		serving.Wait()
	})
	client, err = net.Dial("tcp4", sqlrelay.Start(t, listener.Addr().String(), hook).Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client, s
}

func ask(conn net.Conn, sequence byte, body string) (string, error) {
	if _, err := conn.Write(packet(sequence, body)); err != nil {
		return "", err
	}
	return read(conn)
}

// TestCommands: the hook gets what are commands, with their statements, and all packets come through.
func TestCommands(t *testing.T) {
	t.Parallel()
	got := make(chan sqlrelay.Command, 8)
	client, _ := relayed(t, func(c sqlrelay.Command) (bool, sqlrelay.Answered) {
		got <- c
		return true, func() bool { return true }
	})
	for _, p := range []struct {
		sequence byte
		body     string
	}{{1, "\x03handshake"}, {0, "\x03COMMIT"}, {0, "\x0e"}, {0, "\x16SELECT ?"}, {0, "\x17\x01\x00\x00\x00"}} {
		answer, err := ask(client, p.sequence, p.body)
		require.NoError(t, err)
		require.Equal(t, p.body, answer)
	}
	for _, want := range []sqlrelay.Command{
		{Op: mysql.COM_QUERY, Text: "COMMIT"}, {Op: mysql.COM_PING}, {Op: mysql.COM_STMT_PREPARE, Text: "SELECT ?"}, {Op: mysql.COM_STMT_EXECUTE, Text: "SELECT ?"},
	} {
		require.Equal(t, want, <-got)
	}
	require.Empty(t, got)
}

// TestCutBefore: a command that isn't sent doesn't reach the server, and ends the connection.
func TestCutBefore(t *testing.T) {
	t.Parallel()
	client, s := relayed(t, func(c sqlrelay.Command) (bool, sqlrelay.Answered) { return c.Text != "COMMIT", nil })
	_, err := ask(client, 0, "\x03BEGIN")
	require.NoError(t, err)
	_, err = ask(client, 0, "\x03COMMIT")
	require.Error(t, err)
	require.Equal(t, []string{"\x03BEGIN"}, s.has())
}

// TestCutBehind: the server has had a command whose answer gets lost.
func TestCutBehind(t *testing.T) {
	t.Parallel()
	var answered atomic.Bool
	client, s := relayed(t, func(c sqlrelay.Command) (bool, sqlrelay.Answered) {
		if c.Text != "COMMIT" {
			return true, nil
		}
		return true, func() bool {
			answered.Store(true)
			return false
		}
	})
	_, err := ask(client, 0, "\x03BEGIN")
	require.NoError(t, err)
	_, err = ask(client, 0, "\x03COMMIT")
	require.Error(t, err)
	require.True(t, answered.Load())
	require.Equal(t, []string{"\x03BEGIN", "\x03COMMIT"}, s.has())
}

package jobs_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/tests/playground"
)

// TestEndWhoseAnswerIsLost: that the connection broke when the end of a job was being recorded doesn't
// make a success a failure: it was recorded.
func TestEndWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	r := newCommitCutter(t, playground.Shared(t).TiDB)
	f := newFakeEngine()
	cfg := config(t, newSchema(), "cut:1")
	cfg.Backends = []string{r.addr}
	e, err := executor.NewWithEngine(cfg, func(context.Context) (executor.Engine, error) { return f, nil })
	require.NoError(t, err)
	closeWith(t, e)
	db, _ := playground.Shared(t).Database(t)
	s := sessionOf(t, e, "root", "", db)
	s.must("CREATE TABLE a (i INT PRIMARY KEY)")
	out := s.background(t.Context(), importA)
	p := <-f.running
	r.armed.Store(true)
	p.end(3, nil)
	require.NoError(t, (<-out).err)
	require.False(t, r.armed.Load(), "no COMMIT was cut")
	require.Equal(t, "finished", s.row("SHOW IMPORT JOB 1")["Status"])
}

// commitCutter stands before TiDB and, once armed, cuts a connection when TiDB has answered its
// COMMIT, but the answer has not arrived.
type commitCutter struct {
	addr  string
	to    string
	armed atomic.Bool
	conns sync.WaitGroup
}

func newCommitCutter(t *testing.T, to string) *commitCutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &commitCutter{addr: listener.Addr().String(), to: to}
	c.conns.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			c.conns.Go(func() { c.serve(client) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		c.conns.Wait()
	})
	return c
}

func (c *commitCutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	var answers sync.WaitGroup
	answers.Go(func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || cut.Load() {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	var head [4]byte
	for {
		if _, err := io.ReadFull(client, head[:]); err != nil {
			break
		}
		body := make([]byte, binary.LittleEndian.Uint32([]byte{head[0], head[1], head[2], 0}))
		if _, err := io.ReadFull(client, body); err != nil {
			break
		}
		if string(body) == "\x03COMMIT" && c.armed.CompareAndSwap(true, false) {
			cut.Store(true)
		}
		if _, err := server.Write(append(head[:], body...)); err != nil {
			break
		}
	}
	_ = server.Close()
	answers.Wait()
}

package proxy

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/server/wire"
)

func TestCommandsAreForwardedUnchanged(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	s := newSetup(t, Options{Interceptor: &ours{}}, obliging(seen))
	c := s.client()
	for _, payload := range []string{
		"\x0e", "\x03select 1", "\x02db", "\x03", "\x16select ?", "\x63unknown", "\x1f", "\x00", "",
		"\x03insert into t values ('" + string(bytes.Repeat([]byte("x"), 40<<10)) + "')",
		"\x03" + string(bytes.Repeat([]byte("y"), inspectPooled-1)),
		"\x03" + string(bytes.Repeat([]byte("z"), inspectPooled+5)),
		"\x03" + string(bytes.Repeat([]byte("m"), wire.MaxPayload-2)),
		"\x03" + string(bytes.Repeat([]byte("M"), wire.MaxPayload-1)),
		"\x03" + string(bytes.Repeat([]byte("N"), 2*wire.MaxPayload+77)),
	} {
		c.command(payload)
		require.Equal(t, okPacket(0), c.receive())
		require.True(t, payload == <-seen, "%.20q of %d bytes arrived changed", payload, len(payload))
	}
	// Without an answer, and pipelined with the next command.
	frame, _ := wire.AppendPacket(nil, []byte("\x19\x01\x00\x00\x00"), 0)
	frame, _ = wire.AppendPacket(frame, []byte("\x0e"), 0)
	_, err := c.conn.Write(frame)
	require.NoError(t, err)
	require.Equal(t, "\x19\x01\x00\x00\x00", <-seen)
}

// pieces writes b to conn in pieces of random size.
func pieces(conn net.Conn, b []byte, random *rand.Rand) error {
	for len(b) > 0 {
		n := min(len(b), 1+random.IntN(3000))
		if _, err := conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func TestResponsesAreForwardedUnchanged(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	rows := make([][][]byte, 5000)
	for i := range rows {
		rows[i] = [][]byte{bytes.Repeat([]byte("r"), random.IntN(600)), nil}
	}
	rows[7][0] = bytes.Repeat([]byte("b"), wire.MaxPayload+3)
	var want bytes.Buffer
	w := wire.NewWriter(&want, 1)
	require.NoError(t, wire.WriteResultSet(w, testCaps, []wire.Column{{Name: "a"}, {Name: "b"}}, rows, wire.OK{}))
	require.NoError(t, w.Flush())
	s := newSetup(t, Options{}, func(p *peer) {
		p.receive()
		if pieces(p.conn, want.Bytes(), random) == nil {
			obliging(nil)(p)
		}
	})
	c := s.client()
	c.command("\x03select")
	got := make([]byte, want.Len())
	_, err := io.ReadFull(c.conn, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want.Bytes(), got))
	c.command("\x0e")
	require.Equal(t, okPacket(0), c.receive())
}

func TestLoadDataLocalIsForwarded(t *testing.T) {
	t.Parallel()
	file := make(chan []byte, 1)
	s := newSetup(t, Options{Interceptor: &ours{}}, func(p *peer) {
		p.receive()
		p.send([]byte("\xfbfile"))
		var got []byte
		for {
			part := p.receive()
			if len(part) == 0 {
				break
			}
			got = append(got, part...)
		}
		file <- got
		p.send(okPacket(0))
		obliging(nil)(p)
	})
	c := s.client()
	c.command("\x03load data local infile 'file' into table t")
	require.Equal(t, "\xfbfile", string(c.receive()))
	// Content that looks like commands, one of ours and one of 16 MiB - 1 among it.
	want := []byte("\x01quit")
	for _, part := range []string{"\x01quit", "\x03OURS", string(bytes.Repeat([]byte("f"), wire.MaxPayload)), "\x0e"} {
		c.send([]byte(part))
		if part != "\x01quit" {
			want = append(want, part...)
		}
	}
	c.send(nil)
	require.Equal(t, okPacket(0), c.receive())
	require.True(t, bytes.Equal(want, <-file))
	c.command("\x0e")
	require.Equal(t, okPacket(0), c.receive())
}

func TestChangeUser(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{}, func(p *peer) {
		p.receive()
		p.send([]byte("\xfemysql_native_password\x00salt"))
		if string(p.receive()) == "\x03OURS looks like a command" {
			p.send(okPacket(0))
			obliging(nil)(p)
		}
	})
	c := s.client()
	c.command("\x11you\x00\x00db\x00")
	c.receive()
	c.send([]byte("\x03OURS looks like a command"))
	require.Equal(t, okPacket(0), c.receive())
	c.command("\x0e")
	require.Equal(t, okPacket(0), c.receive())
}

func TestUnaskedBytesReachTheClient(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{Interceptor: &ours{}}, func(p *peer) {
		p.seq = 0
		p.send([]byte("\xff\x00\x00#HY000idle too long"))
		obliging(nil)(p)
	})
	c := s.client()
	require.Equal(t, "idle too long", c.receiveErr().Message)
	c.command("\x0e")
	require.Equal(t, okPacket(0), c.receive())
	// Nobody knows any more whose answer is whose, so ours are refused.
	c.command("\x03OURS")
	require.Contains(t, c.receiveErr().Message, "out of step")
}

// TiDB answers a packet that is too large while it is still being sent, and closes.
func TestLastWordsOfTheBackend(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{}, func(p *peer) {
		p.seq = 1
		p.send([]byte("\xff\x00\x00#HY000too large"))
		_, _ = io.CopyN(io.Discard, p.conn, 64<<20)
	})
	c := s.client()
	require.Equal(t, "too large", c.receiveErr().Message)
}

func TestBackendClosesIdleConnection(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{}, func(*peer) {})
	s.client().gone()
}

func TestQuit(t *testing.T) {
	t.Parallel()
	quit := make(chan []byte, 1)
	s := newSetup(t, Options{}, func(p *peer) {
		quit <- p.receive()
		p.gone()
	})
	c := s.client()
	c.command("\x01")
	require.Equal(t, []byte{1}, <-quit)
	c.gone()
}

func TestClientLeavesDuringACommand(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	s := newSetup(t, Options{}, func(p *peer) {
		p.receive()
		p.gone() // the query has not been answered
		close(left)
	})
	c := s.client()
	c.command("\x03select sleep(1000)")
	require.NoError(t, c.conn.Close())
	<-left
}

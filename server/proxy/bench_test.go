package proxy

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/server/wire"
)

// echoBackend answers every read with answer, without allocating; good for
// commands that arrive in one piece.
func echoBackend(answer []byte) func(*peer) {
	return func(p *peer) {
		buf := make([]byte, 64<<10)
		for {
			if _, err := p.conn.Read(buf); err != nil {
				return
			}
			if _, err := p.conn.Write(answer); err != nil {
				return
			}
		}
	}
}

func answerOf(rows int) []byte {
	frame, seq := wire.AppendPacket(nil, []byte{1}, 1)
	frame, seq = wire.AppendPacket(frame, wire.AppendColumn(nil, wire.Column{Name: "a"}), seq)
	for range rows {
		frame, seq = wire.AppendPacket(frame, wire.AppendTextRow(nil, [][]byte{[]byte("0123456789012345678901234567890123456789")}), seq)
	}
	frame, _ = wire.AppendPacket(frame, wire.AppendEOF(nil, testCaps, wire.OK{}), seq)
	return frame
}

// roundTrip returns a function that sends one command and reads its answer.
func roundTrip(t testing.TB, conn net.Conn, command string, answer []byte) func() {
	request, _ := wire.AppendPacket(nil, []byte(command), 0)
	buf := make([]byte, len(answer))
	return func() {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForwardingAllocatesNothing is not parallel: it counts the process's
// allocations.
func TestForwardingAllocatesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		command string
		rows    int
	}{
		"point query":  {"\x03select a from t where id = 1", 1},
		"execute":      {"\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00", 1},
		"large result": {"\x03select a from t", 20000},
	} {
		answer := answerOf(c.rows)
		s := newSetup(t, Options{Logger: zap.NewNop(), Interceptor: &ours{}}, echoBackend(answer))
		once := roundTrip(t, s.client().conn, c.command, answer)
		once() // buffers are lent out the first time
		require.Zero(t, testing.AllocsPerRun(300, once), name)
	}
}

func BenchmarkForward(b *testing.B) {
	for name, rows := range map[string]int{"1-row": 1, "20000-rows": 20000} {
		answer := answerOf(rows)
		b.Run("proxy/"+name, func(b *testing.B) {
			s := newSetup(b, Options{Logger: zap.NewNop(), Interceptor: &ours{}}, echoBackend(answer))
			bench(b, roundTrip(b, s.client().conn, "\x03select a from t where id = 1", answer), answer)
		})
		b.Run("tcp-proxy/"+name, func(b *testing.B) {
			client, stop := tcpProxy(b, echoBackend(answer))
			defer stop()
			bench(b, roundTrip(b, client, "\x03select a from t where id = 1", answer), answer)
		})
	}
}

// BenchmarkForwardLargeText is a bulk INSERT: what it costs to look at all of it.
func BenchmarkForwardLargeText(b *testing.B) {
	answer := answerOf(0)
	for name, size := range map[string]int{"64KiB": 64 << 10, "1MiB": 1 << 20, "8MiB": 8 << 20, "24MiB": 24 << 20} {
		b.Run(name, func(b *testing.B) {
			s := newSetup(b, Options{Logger: zap.NewNop(), Interceptor: &ours{}}, func(p *peer) {
				for {
					if _, _, err := wire.ReadPacket(p.conn, 64<<20); err != nil {
						return
					}
					if _, err := p.conn.Write(answer); err != nil {
						return
					}
				}
			})
			once := roundTrip(b, s.client().conn, "\x03INSERT"+strings.Repeat(" ", size), answer)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

func bench(b *testing.B, once func(), answer []byte) {
	b.ReportAllocs()
	b.SetBytes(int64(len(answer)))
	for b.Loop() {
		once()
	}
}

// tcpProxy is the plain copy in both directions to measure against. It hides
// ReadFrom and WriterTo so that the copy is one through memory, too.
func tcpProxy(b *testing.B, script func(*peer)) (client net.Conn, stop func()) {
	client, front := loopback(b)
	back, far := loopback(b)
	done := make(chan struct{}, 3)
	pipe := func(to, from net.Conn) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, pumpBuffer))
		closeQuietly(to)
		closeQuietly(from)
		done <- struct{}{}
	}
	go pipe(back, front)
	go pipe(front, back)
	go func() { script(newPeer(b, far)); closeQuietly(far); done <- struct{}{} }()
	return client, func() {
		closeQuietly(client)
		for range 3 {
			<-done
		}
	}
}

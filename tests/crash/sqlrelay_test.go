package crash_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// sqlRelay stands between one Sluice and TiDB and counts the commands that go through it.
type sqlRelay struct {
	listener net.Listener
	tidb     string
	running  sync.WaitGroup

	mu struct {
		sync.Mutex
		count, at int  // commands since arm; the one to crash at, 0 for never
		answered  bool // TiDB gets that one, and only its answer is lost
		crash     func()
		hit       chan struct{} // closed right before
		conns     []net.Conn
		closed    bool
	}
}

// The first bytes of commands that do nothing.
const comQuit, comPing = 1, 14

func newSQLRelay(t *testing.T, tidb string) *sqlRelay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &sqlRelay{listener: listener, tidb: tidb}
	r.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.serve(conn) })
		}
	})
	return r
}

func (r *sqlRelay) addr() string { return r.listener.Addr().String() }

// close cuts all connections and returns when nothing runs any more.
func (r *sqlRelay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	r.mu.closed = true
	for _, c := range r.mu.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
}

// keep notes connections for close; false after it.
func (r *sqlRelay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.conns = append(r.mu.conns, conns...)
	return !r.mu.closed
}

func (r *sqlRelay) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.tidb)
	if err != nil {
		return
	}
	defer server.Close()
	if !r.keep(client, server) {
		return
	}
	var last atomic.Bool // the answer that comes next is not delivered
	r.running.Go(func() {
		defer client.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := server.Read(buf)
			if last.Load() {
				r.fire()
				return
			}
			if _, writeErr := client.Write(buf[:n]); errors.Join(err, writeErr) != nil {
				return
			}
		}
	})
	in := bufio.NewReader(client)
	for {
		packet, err := readPacket(in)
		if err != nil {
			return
		}
		if isCommand(packet) {
			switch r.command() {
			case dieBefore:
				r.fire()
				return
			case dieAfter:
				last.Store(true)
			}
		}
		if _, err := server.Write(packet); err != nil {
			return
		}
	}
}

// readPacket reads a packet with its header of three bytes of length and one of sequence.
func readPacket(in *bufio.Reader) ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(in, header); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(append(slices.Clone(header[:3]), 0))
	packet := append(header, make([]byte, length)...)
	_, err := io.ReadFull(in, packet[4:])
	return packet, err
}

// isCommand tells whether a packet begins a command that does something; those of a handshake have a sequence.
func isCommand(packet []byte) bool {
	return packet[3] == 0 && len(packet) > 4 && packet[4] != comQuit && packet[4] != comPing
}

// What becomes of Sluice with a command.
const (
	goOn = iota
	dieBefore
	dieAfter
)

// command counts one.
func (r *sqlRelay) command() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.count++
	switch {
	case r.mu.at == 0 || r.mu.count != r.mu.at:
		return goOn
	case r.mu.answered:
		return dieAfter
	}
	return dieBefore
}

func (r *sqlRelay) fire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.at == 0 {
		return // the moment is over: Sluice was killed at its job's end
	}
	r.mu.at = 0
	close(r.mu.hit)
	r.mu.crash()
}

// arm makes Sluice crash at the n-th command from now on, before TiDB has it if n is even, and otherwise when TiDB has
// answered it; 0 is never. The channel is closed then.
func (r *sqlRelay) arm(n int, crash func()) <-chan struct{} { return r.armAt(n, n%2 == 1, crash) }

// armAt is arm for a command that reaches TiDB and is answered, or doesn't.
func (r *sqlRelay) armAt(n int, answered bool, crash func()) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.answered = answered
	r.mu.count, r.mu.at, r.mu.crash, r.mu.hit = 0, n, crash, make(chan struct{})
	return r.mu.hit
}

// counted returns how many commands there were since arm.
func (r *sqlRelay) counted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.count
}

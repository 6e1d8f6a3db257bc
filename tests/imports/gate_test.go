package imports_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// gate stands between one Sluice and TiDB, so that an answer can be kept from
// that Sluice alone. What the Sluice asks always gets through.
type gate struct {
	addr    string
	to      string
	conns   sync.WaitGroup
	closing chan struct{}

	mu struct {
		sync.Mutex
		rules []*keptAnswer
	}
}

// keptAnswer is the answer to a statement that begins with a text, the first
// after skip others.
type keptAnswer struct {
	text string
	skip int
	// kept is closed when TiDB has answered; the Sluice gets the answer after give.
	kept, given chan struct{}
	give        func()
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &gate{addr: listener.Addr().String(), to: to, closing: make(chan struct{})}
	g.conns.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			g.conns.Go(func() { g.serve(client) })
		}
	})
	t.Cleanup(func() {
		close(g.closing)
		require.NoError(t, listener.Close())
		g.conns.Wait()
	})
	return g
}

// keep keeps the answer to a statement.
func (g *gate) keep(text string, skip int) *keptAnswer {
	k := &keptAnswer{text: text, skip: skip, kept: make(chan struct{}), given: make(chan struct{})}
	k.give = sync.OnceFunc(func() { close(k.given) })
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.rules = append(g.mu.rules, k)
	return k
}

// asked returns the rule for a statement, and uses it up.
func (g *gate) asked(text string) *keptAnswer {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, k := range g.mu.rules {
		if !strings.HasPrefix(text, k.text) {
			continue
		}
		if k.skip--; k.skip < 0 {
			g.mu.rules = append(g.mu.rules[:i:i], g.mu.rules[i+1:]...)
			return k
		}
	}
	return nil
}

func (g *gate) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{})
	defer close(done)
	go func() { // ends what the pumps read from
		select {
		case <-g.closing:
		case <-done:
		}
		_ = errors.Join(client.Close(), server.Close())
	}()
	keep := make(chan *keptAnswer, 1)
	var answers sync.WaitGroup
	answers.Go(func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			select {
			case k := <-keep:
				close(k.kept)
				select {
				case <-k.given:
				case <-g.closing:
					return
				}
			default:
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	g.forward(client, server, keep)
	_ = server.Close()
	answers.Wait()
}

// forward sends the client's packets on, and tells of an answer to keep before
// the packet that it answers.
func (g *gate) forward(client io.Reader, server io.Writer, keep chan<- *keptAnswer) {
	const query, prepare, execute = 0x03, 0x16, 0x17
	prepared := ""
	var head [4]byte
	for {
		if _, err := io.ReadFull(client, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32([]byte{head[0], head[1], head[2], 0}))
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if head[3] == 0 && len(body) > 0 {
			text := ""
			switch body[0] {
			case query:
				text = string(body[1:])
			case prepare:
				prepared = string(body[1:])
			case execute:
				text = prepared
			}
			if k := g.asked(text); text != "" && k != nil {
				keep <- k
			}
		}
		if _, err := server.Write(append(head[:], body...)); err != nil {
			return
		}
	}
}

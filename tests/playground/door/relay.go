package door

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
)

// Relay serves a Door for a server that listens by itself somewhere else.
type Relay struct {
	*Door
	to      string
	pumps   Pumps
	running sync.WaitGroup

	mu struct {
		sync.Mutex
		conns  map[net.Conn]struct{}
		closed bool
	}
}

// Pump carries what one side says to the other, until one of them ends or it wants them to.
type Pump func(to io.Writer, from io.Reader)

// Pumps makes those of a new connection: there carries from the client to the server.
type Pumps func() (there, back Pump)

// Serve forwards all connections through the door to a server's address, or the path of its socket, until
// Close, which closes the door too.
func Serve(d *Door, to string) *Relay {
	pass := func(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) }
	return ServeWith(d, to, func() (there, back Pump) { return pass, pass })
}

// ServeWith is Serve with pumps that may look at what they carry. Close waits for them.
func ServeWith(d *Door, to string, pumps Pumps) *Relay {
	r := &Relay{Door: d, to: to, pumps: pumps}
	r.mu.conns = map[net.Conn]struct{}{}
	r.running.Go(func() {
		for {
			client, err := d.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.serve(client) })
		}
	})
	return r
}

// Close cuts all connections and returns when nothing runs any more.
func (r *Relay) Close() error {
	err := r.Door.Close()
	r.mu.Lock()
	r.mu.closed = true
	for c := range r.mu.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
	return err
}

// track notes a connection for Close; false after it.
func (r *Relay) track(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return false
	}
	r.mu.conns[c] = struct{}{}
	return true
}

func (r *Relay) forget(c net.Conn) {
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.conns, c)
}

func (r *Relay) serve(client net.Conn) {
	defer r.forget(client)
	if !r.track(client) {
		return
	}
	var dialer net.Dialer
	network := "tcp4"
	if strings.HasPrefix(r.to, "/") {
		network = "unix"
	}
	server, err := dialer.DialContext(context.Background(), network, r.to)
	if err != nil {
		return
	}
	defer r.forget(server)
	if !r.track(server) {
		return
	}
	there, back := r.pumps()
	var answers sync.WaitGroup
	answers.Go(func() {
		back(client, server) // whoever ends first ends the other
		_ = client.Close()
	})
	there(server, client)
	_ = server.Close()
	answers.Wait()
}

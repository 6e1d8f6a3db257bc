// Package door is what the playground's parts listen behind, so that a part
// can be away or hang, and be back on the same address.
//
// A Door is a net.Listener. While it is Away nothing listens on its address,
// and all connections have been reset, as with a process that was killed; what
// the part holds in memory stays, so a part that is back is one that has lost
// nothing. While it Hangs, connections are made (by the kernel) and never
// answered, and those that there are stand still in both directions, as with a
// process that was stopped. Serve connects a door with a server that must
// listen by itself.
package door

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// State is what a Door does.
type State int32

// The states of a Door.
const (
	Open State = iota
	Away
	Hanging
)

// ParseState returns the state of a name: "open", "away" or "hanging".
func ParseState(name string) (State, error) {
	switch name {
	case "open":
		return Open, nil
	case "away":
		return Away, nil
	case "hanging":
		return Hanging, nil
	}
	return 0, fmt.Errorf("door: unknown state %q", name)
}

// Door is a listener on a loopback port. Its methods are safe for concurrent use.
type Door struct {
	addr  *net.TCPAddr
	state atomic.Int32 // State, written with mu held

	mu struct {
		sync.Mutex
		listener *net.TCPListener // nil while the door is away
		// reserved keeps the port meanwhile: a socket that is bound and doesn't listen.
		reserved int
		conns    map[*conn]struct{}
		changed  chan struct{} // closed when the state changes
		closed   bool
	}
}

// Listen opens a door on a loopback port of the system's choice. The caller closes it.
func Listen(ctx context.Context) (*Door, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("door: %w", err)
	}
	d := &Door{addr: l.Addr().(*net.TCPAddr)}
	d.mu.listener, d.mu.reserved = l.(*net.TCPListener), -1
	d.mu.conns, d.mu.changed = map[*conn]struct{}{}, make(chan struct{})
	return d, nil
}

// Addr implements net.Listener. It is the same in all states.
func (d *Door) Addr() net.Addr { return d.addr }

// Accept implements net.Listener: it waits through all states but the end.
func (d *Door) Accept() (net.Conn, error) {
	for {
		d.mu.Lock()
		listener, changed, closed, state := d.mu.listener, d.mu.changed, d.mu.closed, State(d.state.Load())
		d.mu.Unlock()
		if closed {
			return nil, net.ErrClosed
		}
		if state != Open {
			<-changed
			continue
		}
		raw, err := listener.AcceptTCP()
		if err != nil {
			if d.is(listener) {
				return nil, err
			}
			continue // the door is away, or closed
		}
		c := &conn{Conn: raw, raw: raw, door: d, closed: make(chan struct{})}
		if !d.keep(c) {
			_ = raw.Close()
			continue
		}
		return c, nil
	}
}

// is tells whether the door still listens with l.
func (d *Door) is(l *net.TCPListener) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.listener == l && !d.mu.closed
}

// keep notes a connection; false if the door is away.
func (d *Door) keep(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.listener == nil || d.mu.closed {
		return false
	}
	d.mu.conns[c] = struct{}{}
	return true
}

// Set brings the door into a state. Back from Away it listens on the same port.
func (d *Door) Set(to State) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.closed {
		return net.ErrClosed
	}
	if to == Away && d.mu.listener != nil {
		if err := d.leaveLocked(); err != nil {
			return fmt.Errorf("door: %w", err)
		}
	}
	if to != Away && d.mu.listener == nil {
		if err := d.listenLocked(); err != nil {
			return fmt.Errorf("door: %w", err)
		}
	}
	d.state.Store(int32(to))
	d.changedLocked()
	return nil
}

func (d *Door) changedLocked() {
	close(d.mu.changed)
	d.mu.changed = make(chan struct{})
}

// leaveLocked stops listening and resets all connections.
func (d *Door) leaveLocked() error {
	err := d.mu.listener.Close()
	d.mu.listener = nil
	for c := range d.mu.conns {
		_ = c.raw.SetLinger(0)
		_ = c.raw.Close()
	}
	if err != nil {
		return err
	}
	d.mu.reserved, err = reserve(d.addr)
	return err
}

// listenAttempts bounds the tries to take the port again: that it is reserved may have come too late.
const listenAttempts = 50

func (d *Door) listenLocked() (err error) {
	if d.mu.reserved >= 0 {
		err = syscall.Close(d.mu.reserved)
		d.mu.reserved = -1
	}
	for range listenAttempts {
		var l *net.TCPListener
		if l, err = net.ListenTCP("tcp4", d.addr); err == nil {
			d.mu.listener = l
			return nil
		}
		wait := time.NewTimer(100 * time.Millisecond)
		<-wait.C
	}
	return err
}

// reserve binds a socket that doesn't listen: connections are refused, and the
// system gives the port to nobody else.
func reserve(addr *net.TCPAddr) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	at := &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	err = errors.Join(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1), syscall.Bind(fd, at))
	if err != nil {
		return -1, errors.Join(err, syscall.Close(fd))
	}
	return fd, nil
}

// Close implements net.Listener. Connections are left to those who have them.
func (d *Door) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.closed {
		return nil
	}
	d.mu.closed = true
	d.state.Store(int32(Open))
	d.changedLocked()
	var err error
	if d.mu.reserved >= 0 {
		err = syscall.Close(d.mu.reserved)
	}
	if d.mu.listener != nil {
		err = errors.Join(err, d.mu.listener.Close())
	}
	return err
}

// conn is a connection through a door.
type conn struct {
	net.Conn  // and not what else raw can do: that goes past Read and Write
	raw       *net.TCPConn
	door      *Door
	closed    chan struct{}
	closeOnce sync.Once
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.raw.Read(b)
	c.pass()
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	c.pass()
	return c.raw.Write(b)
}

// pass waits while the door hangs.
func (c *conn) pass() {
	for State(c.door.state.Load()) == Hanging {
		c.door.mu.Lock()
		changed, state := c.door.mu.changed, State(c.door.state.Load())
		c.door.mu.Unlock()
		if state != Hanging {
			return
		}
		select {
		case <-changed:
		case <-c.closed:
			return
		}
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.closeOnce.Do(func() {
		close(c.closed)
		c.door.mu.Lock()
		delete(c.door.mu.conns, c)
		c.door.mu.Unlock()
	})
	return c.raw.Close()
}

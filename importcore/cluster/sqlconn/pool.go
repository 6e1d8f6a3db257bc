// Package sqlconn is a small pool of go-mysql connections of a service
// account, to TiDB or MariaDB:
//
//	pool.go     who has which session
//	dial.go     opening one: the addresses in turn, what is set at connect
//	session.go  statements and transactions
//	watch.go    statements of a server that hangs
//	away.go     which errors say that the cluster is away
//
// # Rules
//
//   - A session has one user at a time and is bound to that user's context.
//     When the context ends, the socket is cut off, so that the user returns at
//     once; then the statement is killed in the cluster, unless it is one of a
//     transaction. Close waits for that.
//   - A statement may take any time, as long as its server takes connections. Otherwise it is
//     cut off, and the next session begins with another server.
//   - A session is used again only if the protocol is in a known state and its
//     user has not discarded it.
//   - Errors may name addresses and the account, never the password.
//
// go-mysql's own pool knows one address only and keeps goroutines of its own.
package sqlconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	defaultSessions = 8

	dialTimeout = 10 * time.Second
	pingTimeout = 5 * time.Second
	killTimeout = 3 * time.Second
)

// errTimeout is the cause of the limits set here: a context of the caller's
// that ends must stay distinguishable from a server that is silent.
var errTimeout = errors.New("no answer in time")

// Config says how to connect.
type Config struct {
	// Addrs are host:port or the path of a socket, tried in turn, the one that
	// answered last first. Required.
	Addrs []string
	// User and Password are the service account's.
	User, Password string
	// Setup are statements that every new session runs first.
	Setup []string
	// Sessions is how many may be open at a time; 0 means 8.
	Sessions int
	// Limit bounds each Use and Transact once it has a session; 0 means no bound.
	Limit time.Duration
	// Silence is how long a statement may take before its server is asked, again and again, whether it
	// is still there; 0 means 15 s.
	Silence time.Duration
}

// Pool lends sessions. At most Config.Sessions are open; whoever needs one more waits. It is
// safe for concurrent use.
type Pool struct {
	cfg     Config
	silence time.Duration
	slots   chan struct{}
	kills   sync.WaitGroup // grows only while the pool is not closed

	mu struct {
		sync.Mutex
		idle   []*Session
		first  int // the address that answered last
		closed bool
	}
}

// New returns a pool that has no connection yet. The caller closes it.
func New(cfg Config) *Pool {
	if cfg.Silence <= 0 {
		cfg.Silence = defaultSilence
	}
	if cfg.Sessions <= 0 {
		cfg.Sessions = defaultSessions
	}
	return &Pool{cfg: cfg, silence: cfg.Silence, slots: make(chan struct{}, cfg.Sessions)}
}

// Use runs f with a session that nobody else uses and that is f's until it
// returns. When ctx ends, f's statements fail with the context's cause. After
// Close the error is net.ErrClosed.
func (p *Pool) Use(ctx context.Context, f func(*Session) error) error {
	return p.UseFor(ctx, p.cfg.Limit, f)
}

// UseFor is Use with another limit than the pool's; 0 means none.
func (p *Pool) UseFor(ctx context.Context, limit time.Duration, f func(*Session) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s, err := p.get(ctx)
	if err != nil {
		<-p.slots
		return err
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w (%v)", errTimeout, limit))
		defer cancel()
	}
	s.ctx, s.open = ctx, false
	stop := context.AfterFunc(ctx, func() { cut(s.conn) })
	defer func() {
		if stop() {
			p.put(s)
		} else {
			p.retire(s)
		}
	}()
	return f(s)
}

// get returns an idle session that still works, or a new one. A ping costs
// less than a statement that may or may not have been run.
func (p *Pool) get(ctx context.Context) (*Session, error) {
	for {
		p.mu.Lock()
		n, closed := len(p.mu.idle), p.mu.closed
		var s *Session
		if n > 0 {
			s, p.mu.idle = p.mu.idle[n-1], p.mu.idle[:n-1]
		}
		p.mu.Unlock()
		switch {
		case closed:
			return nil, net.ErrClosed
		case s == nil:
			return p.dial(ctx)
		}
		err := s.ping(ctx)
		if err == nil {
			return s, nil
		}
		_ = s.conn.Close()
		if errors.Is(err, context.DeadlineExceeded) { // and not one that was closed while it was idle
			p.avoid(s.addr)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

func (p *Pool) put(s *Session) {
	s.ctx = nil // it may lead to all that a job holds
	p.mu.Lock()
	keep := !s.bad && !p.mu.closed
	if keep {
		p.mu.idle = append(p.mu.idle, s)
	}
	p.mu.Unlock()
	if !keep {
		_ = s.conn.Close()
	}
	<-p.slots
}

// retire ends a session whose socket was cut off. Its user does not wait for
// that: a job's lease goes on running out meanwhile. In a transaction nothing is killed: a KILL that finds
// the session between two statements makes TiDB 8.5 close it, and its server ends with a panic when it rolls back with the
// signal still up (session.Close, memory.Tracker.Consume). The statement, which is short or waits for a
// lock, comes to its own end then, and finds nobody to go on with the transaction.
func (p *Pool) retire(s *Session) {
	end := func() {
		if !s.open {
			p.kill(s)
		}
		_ = s.conn.Close()
		<-p.slots
	}
	p.mu.Lock()
	closed := p.mu.closed
	if !closed {
		p.kills.Go(end)
	}
	p.mu.Unlock()
	if closed {
		end()
	}
}

// Close closes what is idle; sessions in use close when their users return.
func (p *Pool) Close() error {
	p.mu.Lock()
	idle := p.mu.idle
	p.mu.idle, p.mu.closed = nil, true
	p.mu.Unlock()
	var errs []error
	for _, s := range idle {
		errs = append(errs, s.conn.Close())
	}
	p.kills.Wait()
	return errors.Join(errs...)
}

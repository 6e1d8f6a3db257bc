package jobstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

const (
	defaultMaxConns = 8
	dialTimeout     = 10 * time.Second
	// callTimeout bounds one statement. A cluster that takes longer is as
	// good as away; the caller decides whether to try again.
	callTimeout = 30 * time.Second
)

// pool hands out connections of the service account. go-mysql's own pool
// knows one address only and keeps goroutines of its own; this one walks
// through the backends and has none.
type pool struct {
	params Params
	// slots bounds the connections in use.
	slots chan struct{}

	mu struct {
		sync.Mutex
		idle   []*conn
		next   int // index of the backend that is tried first
		closed bool
	}
}

// conn is one connection; broken marks it unfit for the pool.
type conn struct {
	*client.Conn
	broken bool
}

func newPool(p Params) *pool {
	if p.MaxConns <= 0 {
		p.MaxConns = defaultMaxConns
	}
	return &pool{params: p, slots: make(chan struct{}, p.MaxConns)}
}

// exec runs one statement with parameters. Any error but the server's own
// leaves the protocol in an unknown state.
func (c *conn) exec(sql string, args ...any) (*mysql.Result, error) {
	r, err := c.Execute(sql, args...)
	if err != nil {
		var e *mysql.MyError
		if !errors.As(err, &e) {
			c.broken = true
		}
		return nil, err
	}
	return r, nil
}

// use runs f with a connection, for as long as one statement may take.
func (p *pool) use(ctx context.Context, f func(*conn) error) error {
	return p.useFor(ctx, callTimeout, f)
}

// useFor is use with another time limit.
func (p *pool) useFor(ctx context.Context, limit time.Duration, f func(*conn) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.slots }()
	c, err := p.get(ctx)
	if err != nil {
		return err
	}
	defer p.put(c)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	err = f(c)
	if !stop() {
		// The deadline may have hit in the middle of a packet.
		c.broken = true
		if err != nil && context.Cause(ctx) != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
	return err
}

// transact is use within a transaction, which is rolled back when f fails.
func (p *pool) transact(ctx context.Context, f func(*conn) error) error {
	return p.use(ctx, func(c *conn) error {
		// The counter's row lock needs a pessimistic transaction, whatever
		// the cluster's default is. MariaDB reads the rest as a comment.
		if _, err := c.exec("BEGIN /*T! PESSIMISTIC */"); err != nil {
			return err
		}
		err := f(c)
		if err == nil {
			_, err = c.exec("COMMIT")
			return err
		}
		if _, rollbackErr := c.exec("ROLLBACK"); rollbackErr != nil {
			c.broken = true
		}
		return err
	})
}

func (p *pool) get(ctx context.Context) (*conn, error) {
	for {
		p.mu.Lock()
		if p.mu.closed {
			p.mu.Unlock()
			return nil, net.ErrClosed
		}
		n := len(p.mu.idle)
		if n == 0 {
			p.mu.Unlock()
			return p.dial(ctx)
		}
		c := p.mu.idle[n-1]
		p.mu.idle = p.mu.idle[:n-1]
		p.mu.Unlock()
		// The server may have closed an idle connection. A ping costs less than
		// a statement that may or may not have been run.
		_ = c.SetDeadline(time.Now().Add(dialTimeout))
		if c.Ping() == nil {
			_ = c.SetDeadline(time.Time{})
			return c, nil
		}
		_ = c.Close()
	}
}

func (p *pool) put(c *conn) {
	p.mu.Lock()
	keep := !c.broken && !p.mu.closed
	if keep {
		p.mu.idle = append(p.mu.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		_ = c.Close()
	}
}

// dial tries every backend once, the one that last answered first.
func (p *pool) dial(ctx context.Context) (*conn, error) {
	if len(p.params.Backends) == 0 {
		return nil, errors.New("no backend is configured")
	}
	p.mu.Lock()
	first := p.mu.next
	p.mu.Unlock()
	var errs []error
	for i := range p.params.Backends {
		at := (first + i) % len(p.params.Backends)
		c, err := p.dialOne(ctx, p.params.Backends[at])
		if err == nil {
			p.mu.Lock()
			p.mu.next = at
			p.mu.Unlock()
			return c, nil
		}
		errs = append(errs, fmt.Errorf("connect to %s: %w", p.params.Backends[at], err))
	}
	return nil, errors.Join(errs...)
}

func (p *pool) dialOne(ctx context.Context, addr string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := &net.Dialer{}
	// The handshake knows no context: its reads are cut by the deadline.
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			err = c.SetDeadline(time.Now().Add(dialTimeout))
		}
		return c, err
	}
	network := "tcp"
	if strings.Contains(addr, "/") {
		network = "unix"
	}
	raw, err := client.ConnectWithDialer(ctx, network, addr, p.params.User, p.params.Password, "", dial)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw}
	if _, err = c.exec("SET SESSION time_zone = '+00:00', autocommit = 1, sql_mode = 'STRICT_TRANS_TABLES'"); err == nil {
		_, err = c.exec("SET NAMES utf8mb4")
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, c.SetDeadline(time.Time{})
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.mu.idle
	p.mu.idle, p.mu.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

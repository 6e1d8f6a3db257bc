package cluster

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
	sqlConnections = 8
	sqlDialTimeout = 10 * time.Second
	sqlKillTimeout = 3 * time.Second
)

// sqlPool holds the service account's connections to TiDB. At most
// sqlConnections are open; whoever needs one more waits.
type sqlPool struct {
	addrs          []string
	user, password string
	slots          chan struct{}

	mu struct {
		sync.Mutex
		idle   []*session
		closed bool
		first  int // the address that answered last
	}
}

func newSQLPool(addrs []string, user, password string) *sqlPool {
	return &sqlPool{addrs: addrs, user: user, password: password, slots: make(chan struct{}, sqlConnections)}
}

// session is one connection, used by one goroutine at a time.
type session struct {
	pool *sqlPool
	addr string
	conn *client.Conn
	raw  net.Conn // the socket below conn
	id   uint64   // of the connection in the cluster
	bad  bool     // to be closed rather than reused
}

// Query runs one statement with the service account and returns its result,
// which the caller owns. args replace ? in it. A statement that is running
// when ctx ends is killed.
func (c *Cluster) Query(ctx context.Context, sql string, args ...any) (*mysql.Result, error) {
	var res *mysql.Result
	err := c.sql.use(ctx, func(s *session) (err error) {
		res, err = s.exec(ctx, sql, args...)
		return err
	})
	return res, err
}

// use runs f with a session that nobody else uses.
func (p *sqlPool) use(ctx context.Context, f func(*session) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.slots }()
	s, err := p.get(ctx)
	if err != nil {
		return err
	}
	err = f(s)
	p.put(s)
	return err
}

// get returns an idle session that still works, or a new one.
func (p *sqlPool) get(ctx context.Context) (*session, error) {
	for {
		s := p.takeIdle()
		if s == nil {
			return p.connect(ctx)
		}
		if err := s.ping(ctx); err == nil {
			return s, nil
		}
		_ = s.conn.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

func (p *sqlPool) takeIdle() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.mu.idle)
	if n == 0 {
		return nil
	}
	s := p.mu.idle[n-1]
	p.mu.idle = p.mu.idle[:n-1]
	return s
}

func (p *sqlPool) put(s *session) {
	p.mu.Lock()
	keep := !s.bad && !p.mu.closed
	if keep {
		p.mu.idle = append(p.mu.idle, s)
	}
	p.mu.Unlock()
	if !keep {
		_ = s.conn.Close()
	}
}

// connect tries the addresses in turn, the one that worked last first.
func (p *sqlPool) connect(ctx context.Context) (*session, error) {
	p.mu.Lock()
	first, closed := p.mu.first, p.mu.closed
	p.mu.Unlock()
	if closed {
		return nil, errors.New("the cluster is closed")
	}
	var errs []error
	for i := range p.addrs {
		at := (first + i) % len(p.addrs)
		s, err := p.dial(ctx, p.addrs[at], sqlDialTimeout)
		if err == nil {
			p.mu.Lock()
			p.mu.first = at
			p.mu.Unlock()
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		errs = append(errs, fmt.Errorf("%s: %w", p.addrs[at], err))
		if sqlCode(err) != 0 {
			break // the server answered: it won't be better elsewhere
		}
	}
	return nil, failed(errors.Join(errs...), "connect to TiDB as %q", p.user)
}

// dial opens a session. The driver's handshake knows no context, so a
// deadline on the socket bounds it and ctx's end closes it.
func (p *sqlPool) dial(ctx context.Context, addr string, timeout time.Duration) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var raw net.Conn
	var dialer net.Dialer
	open := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			raw = conn
			if deadline, ok := ctx.Deadline(); ok {
				err = conn.SetDeadline(deadline)
			}
		}
		return conn, err
	}
	conn, err := client.ConnectWithDialer(ctx, "tcp", addr, p.user, p.password, "", open)
	if err != nil {
		return nil, err
	}
	s := &session{pool: p, addr: addr, conn: conn, raw: raw}
	res, err := conn.Execute("SELECT CONNECTION_ID()")
	if err == nil {
		s.id, err = res.GetUint(0, 0)
	}
	if err == nil {
		err = raw.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) ping(ctx context.Context) error {
	return s.watch(ctx, s.conn.Ping)
}

// exec runs one statement.
func (s *session) exec(ctx context.Context, sql string, args ...any) (*mysql.Result, error) {
	var res *mysql.Result
	err := s.watch(ctx, func() (err error) {
		res, err = s.conn.Execute(sql, args...)
		return err
	})
	return res, err
}

// watch runs f, which talks over the connection. When ctx ends first, the
// running statement is killed and the socket cut off, which ends f.
func (s *session) watch(ctx context.Context, f func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	finished, watched := make(chan struct{}), make(chan struct{})
	killed := false
	go func() {
		defer close(watched)
		select {
		case <-finished:
		case <-ctx.Done():
			killed = true
			s.pool.kill(ctx, s.addr, s.id)
			// Not conn.Close, which must not run beside its other methods.
			_ = s.raw.SetDeadline(time.Unix(1, 0))
		}
	}()
	err := f()
	close(finished)
	<-watched
	if killed {
		// Even without an error: a statement may answer something when it is killed.
		s.bad = true
		return context.Cause(ctx)
	}
	if err != nil && sqlCode(err) == 0 {
		s.bad = true
	}
	return err
}

// kill stops the statement of a connection, as well as it can. The plain form
// of KILL is refused by a server whose connection ids are not unique in the
// cluster, so it can't hit somebody else.
func (p *sqlPool) kill(ctx context.Context, addr string, id uint64) {
	ctx = context.WithoutCancel(ctx)
	s, err := p.dial(ctx, addr, sqlKillTimeout)
	if err != nil {
		return
	}
	_, _ = s.conn.Execute(fmt.Sprintf("KILL QUERY %d", id))
	_ = s.conn.Close()
}

// close closes what is idle; sessions in use close when they are put back.
func (p *sqlPool) close() error {
	p.mu.Lock()
	idle := p.mu.idle
	p.mu.idle, p.mu.closed = nil, true
	p.mu.Unlock()
	var errs []error
	for _, s := range idle {
		errs = append(errs, s.conn.Close())
	}
	return errors.Join(errs...)
}

// quoteName quotes an identifier.
func quoteName(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

// quoteTable quotes a table's full name.
func quoteTable(db, table string) string { return quoteName(db) + "." + quoteName(table) }

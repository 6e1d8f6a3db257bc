package sqlconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/importcore/fault"
)

// dial tries every address once. An address that fails is not the next one to begin with.
func (p *Pool) dial(ctx context.Context) (*Session, error) {
	p.mu.Lock()
	first := p.mu.first
	p.mu.Unlock()
	errs := []error{}
	for i := range p.cfg.Addrs {
		at := (first + i) % len(p.cfg.Addrs)
		s := &Session{pool: p, addr: p.cfg.Addrs[at]}
		conn, err := p.connect(ctx, s.addr, dialTimeout, func(c *client.Conn) error { return p.setup(c, s) })
		if err == nil {
			p.mu.Lock()
			p.mu.first = at
			p.mu.Unlock()
			s.conn = conn
			return s, nil
		}
		p.avoid(s.addr)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.addr, err))
	}
	if len(errs) == 0 {
		errs = append(errs, errors.New("no address is configured"))
	}
	err := fmt.Errorf("connect as %q: %w", p.cfg.User, errors.Join(errs...))
	for _, e := range errs {
		if code := Code(e); code == 0 || fault.IsRetryable(markAnswered(e, code)) {
			return nil, fault.Retryable(err)
		}
	}
	return nil, err
}

// avoid makes the next session begin with another address than one that doesn't
// answer, and closes the idle sessions there: each would cost as long to find out.
func (p *Pool) avoid(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.cfg.Addrs); n > 0 && p.cfg.Addrs[p.mu.first] == addr {
		p.mu.first = (p.mu.first + 1) % n
	}
	p.mu.idle = slices.DeleteFunc(p.mu.idle, func(s *Session) bool {
		if s.addr == addr {
			_ = s.conn.Close()
		}
		return s.addr == addr
	})
}

// setup runs what comes before a session's first use.
func (p *Pool) setup(conn *client.Conn, s *Session) error {
	// The handshake's number is too short for one that is unique in a cluster.
	res, err := conn.Execute("SELECT CONNECTION_ID()")
	if err == nil {
		s.id, err = res.GetUint(0, 0)
	}
	for _, sql := range p.cfg.Setup {
		if err == nil {
			_, err = conn.Execute(sql)
		}
	}
	return err
}

// connect opens a connection and runs f with it. The driver's handshake knows
// no context: ctx's end, or the limit's, cuts off the socket.
func (p *Pool) connect(ctx context.Context, addr string, limit time.Duration, f func(*client.Conn) error) (*client.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeout)
	defer cancel()
	stop := func() bool { return true }
	open := func(ctx context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		raw, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			stop = context.AfterFunc(ctx, func() { cut(raw) })
		}
		return raw, err
	}
	conn, err := client.ConnectWithDialer(ctx, "", addr, p.cfg.User, p.cfg.Password, "", open, mayUpload)
	if err == nil {
		err = f(conn)
	}
	if !stop() || ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil && conn != nil {
		_ = conn.Close()
	}
	return conn, err
}

// mayUpload lets the server ask for files, which it does for Upload alone.
func mayUpload(c *client.Conn) error {
	c.SetCapability(mysql.CLIENT_LOCAL_FILES)
	return nil
}

// kill stops a session's statement, as well as it can. The plain form of KILL
// is refused by a server whose connection ids are not unique in the cluster, so
// it can't hit somebody else.
func (p *Pool) kill(s *Session) {
	conn, err := p.connect(context.WithoutCancel(s.ctx), s.addr, killTimeout, func(c *client.Conn) error {
		_, err := c.Execute(fmt.Sprintf("KILL QUERY %d", s.id))
		return err
	})
	if err == nil {
		_ = conn.Close()
	}
}

// cut makes what reads from or writes to a connection return. Unlike the
// driver's Close it may run beside its other methods.
func cut(conn net.Conn) { _ = conn.SetDeadline(time.Unix(1, 0)) }

// Package backend knows the cluster's TiDB servers and decides which one a new
// connection goes to: the healthy one with the fewest connections of this proxy.
//
// Health is what a client would see: the server accepts TCP and sends a handshake
// greeting. It is probed in the background, and a failed or successful dial
// counts too. When no server is known to be healthy, all are tried, because the
// probes' knowledge is some seconds old and refusing is the worse mistake.
package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options are what a Pool is built from. Zero durations mean the defaults.
type Options struct {
	// Addresses are the TiDB servers' SQL ports as host:port, at least one.
	Addresses []string
	// DialTimeout bounds one attempt to connect. Default 3 s.
	DialTimeout time.Duration
	// ProbeInterval is the pause between health probes of a server, ProbeTimeout
	// bounds one. Defaults 2 s and 1 s.
	ProbeInterval, ProbeTimeout time.Duration
	// Logger may be nil.
	Logger *zap.Logger
}

// Pool chooses among the cluster's TiDB servers. Start begins the probing, Stop
// ends it; Dial works before, between and after.
type Pool struct {
	options Options
	probes  sync.WaitGroup
	cancel  context.CancelFunc // set by Start, called by Stop

	servers []*server // the list itself never changes

	mu sync.Mutex // guards the changing fields of every server
}

// server is one TiDB. Its fields but address are guarded by Pool.mu.
type server struct {
	address string
	healthy bool
	conns   int
	lastErr error // why it is not healthy
}

// ErrNoBackend is wrapped by Dial when no server could be reached.
var ErrNoBackend = errors.New("no TiDB server is reachable")

// NewPool returns a pool that takes every server for healthy until told better.
func NewPool(options Options) (*Pool, error) {
	if len(options.Addresses) == 0 {
		return nil, errors.New("backend: no addresses")
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&options.DialTimeout, 3 * time.Second}, {&options.ProbeInterval, 2 * time.Second}, {&options.ProbeTimeout, time.Second}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if options.Logger == nil {
		options.Logger = zap.NewNop()
	}
	p := &Pool{options: options}
	for _, address := range options.Addresses {
		p.servers = append(p.servers, &server{address: address, healthy: true})
	}
	return p, nil
}

// Dial connects to the best server, or to the next best when that fails. The
// error wraps ErrNoBackend and says how many were tried, but not where they are:
// it is shown to clients that nobody has authenticated yet.
func (p *Pool) Dial(ctx context.Context) (net.Conn, error) {
	candidates := p.ranked()
	for _, s := range candidates {
		conn, err := p.dialOne(ctx, s)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoBackend, context.Cause(ctx))
		}
		p.note(s, err)
	}
	return nil, fmt.Errorf("%w (tried %d)", ErrNoBackend, len(candidates))
}

func (p *Pool) dialOne(ctx context.Context, s *server) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.options.DialTimeout)
	defer cancel()
	p.count(s, 1) // before the dial, so that a burst of clients spreads
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		p.count(s, -1)
		return nil, err
	}
	return &counted{Conn: conn, release: sync.OnceFunc(func() { p.count(s, -1) })}, nil
}

// answersTimeout is how long a server may take to greet somebody who asks whether it is there.
const answersTimeout = 3 * time.Second

// Answers tells whether the server of a connection that Dial has returned takes
// connections at the moment. The connection may have ended.
func (p *Pool) Answers(ctx context.Context, conn net.Conn) bool {
	return probe(ctx, conn.RemoteAddr().String(), answersTimeout) == nil
}

// ranked returns the healthy servers by number of connections; all of them when
// none is healthy.
func (p *Pool) ranked() []*server {
	p.mu.Lock()
	defer p.mu.Unlock()
	ranked := make([]*server, 0, len(p.servers))
	for _, s := range p.servers {
		if s.healthy {
			ranked = append(ranked, s)
		}
	}
	if len(ranked) == 0 {
		ranked = append(ranked, p.servers...)
	}
	conns := make(map[*server]int, len(ranked))
	for _, s := range ranked {
		conns[s] = s.conns
	}
	slices.SortStableFunc(ranked, func(a, b *server) int { return cmp.Compare(conns[a], conns[b]) })
	return ranked
}

func (p *Pool) count(s *server, delta int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.conns += delta
}

// note records what a dial or a probe found.
func (p *Pool) note(s *server, err error) {
	p.mu.Lock()
	changed := s.healthy != (err == nil)
	s.healthy, s.lastErr = err == nil, err
	p.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		p.options.Logger.Warn("TiDB server is not reachable", zap.String("address", s.address), zap.Error(err))
	default:
		p.options.Logger.Info("TiDB server is reachable again", zap.String("address", s.address))
	}
}

// Check returns nil when at least one server is healthy as far as known, and
// otherwise what is wrong with each. It names addresses: for operators only.
func (p *Pool) Check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var findings []error
	for _, s := range p.servers {
		if s.healthy {
			return nil
		}
		findings = append(findings, fmt.Errorf("%s: %w", s.address, s.lastErr))
	}
	return errors.Join(findings...)
}

// counted gives its place in the count back when it is closed.
type counted struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.release()
	return c.Conn.Close()
}

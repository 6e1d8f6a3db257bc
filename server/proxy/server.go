package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
)

// Dialer opens backend connections. backend.Pool is the one in use.
type Dialer interface {
	// Dial connects to one of the cluster's TiDB servers. The caller closes the
	// connection. The error is shown to clients, so it must name no secrets.
	Dial(ctx context.Context) (net.Conn, error)
	// Answers tells whether the server of a connection that Dial has returned takes
	// connections at the moment. The connection may have ended.
	Answers(ctx context.Context, conn net.Conn) bool
}

// Options are what a Server is built from. Zero durations mean the defaults.
type Options struct {
	// Dialer is required.
	Dialer Dialer
	// Interceptor recognises our statements; nil means that nothing is ours.
	Interceptor Interceptor
	// Metrics may be nil: counted, but registered nowhere.
	Metrics *Metrics
	// Logger may be nil: nothing is logged.
	Logger *zap.Logger
	// HandshakeTimeout bounds the time from accepting a client to its handshake
	// response, dialling included. Default 10 s, as MySQL's connect_timeout.
	HandshakeTimeout time.Duration
	// KeepAlive is the pause between pings on the user's backend connection
	// while a statement of ours runs, so that wait_timeout does not end it.
	// Default 30 s.
	KeepAlive time.Duration
	// CancelGrace is how long cancelled statements get at shutdown to put the
	// cluster right before their connections are cut. Default 30 s.
	CancelGrace time.Duration
}

// fill returns o with defaults in place.
func (o Options) fill() (Options, error) {
	if o.Dialer == nil {
		return o, errors.New("proxy: no dialer")
	}
	if o.Interceptor == nil {
		o.Interceptor = nothingIsOurs{}
	}
	if o.Metrics == nil {
		m, err := NewMetrics(prometheus.NewRegistry())
		if err != nil {
			return o, err
		}
		o.Metrics = m
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&o.HandshakeTimeout, 10 * time.Second}, {&o.KeepAlive, 30 * time.Second}, {&o.CancelGrace, 30 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	return o, nil
}

// Server accepts clients and runs their sessions. Serve and Shutdown may be
// called from different goroutines; each Server serves once.
type Server struct {
	options Options
	// ctx ends with cause errDrained when Shutdown stops being patient. Every
	// statement of ours and every dial hangs on it.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// running counts the goroutines of sessions.
	running sync.WaitGroup
	// largeTexts shares out largeTextBudget.
	largeTexts *semaphore.Weighted

	mu struct {
		sync.Mutex
		listener net.Listener
		draining bool
		sessions map[*session]struct{}
		// empty is closed when draining and no session is left.
		empty chan struct{}
	}
}

// New returns a server that accepts nobody yet.
func New(options Options) (*Server, error) {
	options, err := options.fill()
	if err != nil {
		return nil, err
	}
	s := &Server{options: options, largeTexts: semaphore.NewWeighted(largeTextBudget)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.mu.sessions = make(map[*session]struct{})
	s.mu.empty = make(chan struct{})
	return s, nil
}

// maxAcceptPause bounds the pause after a failed Accept: long enough not to spin
// when file descriptors have run out, short enough to go unnoticed otherwise.
const maxAcceptPause = time.Second

// Serve accepts clients on l until Shutdown, which closes l. It returns nil then,
// or the error that ended accepting.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.mu.draining {
		s.mu.Unlock()
		return l.Close()
	}
	s.mu.listener = l
	s.mu.Unlock()
	pause := 5 * time.Millisecond
	for {
		conn, err := l.Accept()
		if err == nil {
			pause = 5 * time.Millisecond
			s.start(conn)
			continue
		}
		if s.Draining() {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		s.options.Logger.Warn("can't accept a connection", zap.Error(err), zap.Duration("retry-in", pause))
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
		}
		pause = min(2*pause, maxAcceptPause)
	}
}

// start runs a session for conn in its own goroutine.
func (s *Server) start(conn net.Conn) {
	sess := newSession(s, conn)
	s.mu.Lock()
	if s.mu.draining {
		s.mu.Unlock()
		sess.end(errDrained)
		return
	}
	s.mu.sessions[sess] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	s.options.Metrics.open.Inc()
	go func() {
		defer s.running.Done()
		defer s.forget(sess)
		sess.serve()
	}()
}

func (s *Server) forget(sess *session) {
	s.options.Metrics.open.Dec()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.sessions, sess)
	s.noteEmptyLocked()
}

func (s *Server) noteEmptyLocked() {
	if !s.mu.draining || len(s.mu.sessions) > 0 {
		return
	}
	select {
	case <-s.mu.empty:
	default:
		close(s.mu.empty)
	}
}

// Draining reports whether Shutdown has begun.
func (s *Server) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.draining
}

// Sessions returns the number of client connections now open.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.sessions)
}

// Shutdown ends the server in order:
//
//  1. It stops accepting, so that balancers go elsewhere.
//  2. It lets commands and transactions under way finish until ctx ends;
//     sessions between transactions are closed at once.
//  3. It cancels statements of ours with the error of a server shutdown and
//     gives them CancelGrace to put the cluster right; other sessions are cut.
//  4. It cuts what is left and waits for every goroutine.
//
// It returns nil when step 2 was enough, otherwise the cause of ctx. Calling it
// again waits for the same end.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, sess := range s.drain() {
		sess.drain()
	}
	select {
	case <-s.mu.empty:
		s.cancel(errDrained)
		s.running.Wait()
		return nil
	case <-ctx.Done():
	}
	s.cancel(errDrained)
	for _, sess := range s.list() {
		sess.end(errDrained)
	}
	grace := time.NewTimer(s.options.CancelGrace)
	defer grace.Stop()
	select {
	case <-s.mu.empty:
	case <-grace.C:
		left := s.list()
		s.options.Logger.Warn("statements did not return in time, cutting their connections", zap.Int("sessions", len(left)))
		for _, sess := range left {
			sess.cut()
		}
	}
	s.running.Wait()
	return context.Cause(ctx)
}

// drain performs step 1 and returns the sessions that are open.
func (s *Server) drain() []*session {
	s.mu.Lock()
	s.mu.draining = true
	listener := s.mu.listener
	s.noteEmptyLocked()
	s.mu.Unlock()
	if listener != nil {
		if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.options.Logger.Warn("closing the listener", zap.Error(err))
		}
	}
	return s.list()
}

func (s *Server) list() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*session, 0, len(s.mu.sessions))
	for sess := range s.mu.sessions {
		list = append(list, sess)
	}
	return list
}

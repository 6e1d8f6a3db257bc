package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/server/wire"
)

// session is one client connection and its backend connection. It is owned by
// the goroutine in serve, which ends both pumps and the statement before it
// returns.
type session struct {
	server *Server
	client net.Conn
	// backend, caps and connectionID are set by the handshake, before the pumps
	// start; backend additionally under mu, because end may come any time.
	backend      net.Conn
	caps         wire.Capability // what both sides agreed on
	connectionID uint64          // TiDB's id of the connection
	log          *zap.Logger
	user         atomic.Pointer[string] // changes with COM_CHANGE_USER
	// workers are the backendPump and the statement of ours, if one runs.
	workers sync.WaitGroup

	mu struct {
		sync.Mutex
		// changed is signalled whenever the turn may have passed on.
		changed sync.Cond
		// follower watches what the backend sends.
		follower wire.Follower
		// writing: bytes that the follower has seen are not yet with the client.
		writing bool
		// ours is the statement of ours that holds the turn, nil most of the time.
		ours *running
		// drain: close when no transaction and no command is under way.
		drain bool
		// reason is why the session ends, set once.
		reason error
	}
}

func newSession(server *Server, client net.Conn) *session {
	s := &session{
		server: server,
		client: client,
		log:    server.options.Logger.With(zap.Stringer("client", client.RemoteAddr())),
	}
	s.user.Store(new(string))
	s.mu.changed.L = &s.mu
	return s
}

// serve runs the session to its end.
func (s *session) serve() {
	metrics := s.server.options.Metrics
	ctx, cancel := context.WithTimeout(s.server.ctx, s.server.options.HandshakeTimeout)
	err := s.handshake(ctx)
	cancel()
	if err != nil {
		metrics.refused.Inc()
		s.end(err)
	} else {
		metrics.accepted.Inc()
		s.workers.Add(1)
		go func() {
			defer s.workers.Done()
			pump := backendPump{session: s}
			s.backendEnded(pump.run())
		}()
		pump := newClientPump(s)
		err := pump.run()
		if !errors.Is(err, errBackendGone) {
			s.end(err)
		}
		// Otherwise what TiDB sent before it closed (an ERR packet, mostly) is
		// still the client's, and the backendPump ends behind it.
		s.workers.Wait()
		s.end(err)
	}
	s.cut()
	s.logEnd()
}

func (s *session) logEnd() {
	s.mu.Lock()
	reason := s.mu.reason
	s.mu.Unlock()
	s.server.options.Metrics.ends.WithLabelValues(endLabel(reason)).Inc()
	for _, usual := range []error{errQuit, errDrained, errClientGone} {
		if errors.Is(reason, usual) {
			s.logger().Debug("session ended", zap.Error(reason))
			return
		}
	}
	s.logger().Info("session ended", zap.Error(reason))
}

// logger adds the user, who may change during a session.
func (s *session) logger() *zap.Logger {
	return s.log.With(zap.Uint64("connection", s.connectionID), zap.String("user", *s.user.Load()))
}

// setBackend publishes the dialled connection, or closes it when the session has
// been ended meanwhile.
func (s *session) setBackend(conn net.Conn) error {
	s.mu.Lock()
	reason := s.mu.reason
	if reason == nil {
		s.backend = conn
	}
	s.mu.Unlock()
	if reason != nil {
		return errors.Join(reason, conn.Close())
	}
	return nil
}

// end makes the session end because of reason; only the first reason counts, unless it is
// that TiDB has gone, see backendEnded. A
// statement of ours is cancelled and keeps the connections until it has answered;
// otherwise they are closed at once.
func (s *session) end(reason error) {
	s.mu.Lock()
	if s.mu.reason == nil {
		s.mu.reason = reason
	} else if !errors.Is(s.mu.reason, errBackendGone) {
		reason = s.mu.reason
	}
	ours := s.mu.ours
	if ours != nil {
		ours.failLocked(reason)
	}
	s.mu.changed.Broadcast()
	s.mu.Unlock()
	if ours == nil {
		s.cut()
		return
	}
	ours.cancel(reason)
}

// backendEnded is called when nothing more comes from the backend. A statement of ours needs it no more: if
// TiDB is away, and has not just closed this one connection (which is what KILL does), the statement goes on, is answered, and
// only then the session ends.
func (s *session) backendEnded(reason error) {
	if !errors.Is(reason, errBackendGone) || !s.ourTurn() || s.server.options.Dialer.Answers(s.server.ctx, s.backend) {
		s.end(reason)
		return
	}
	s.mu.Lock()
	if s.mu.reason == nil {
		s.mu.reason = reason
	}
	ours := s.mu.ours
	if ours != nil {
		ours.failLocked(reason)
	}
	s.mu.changed.Broadcast()
	s.mu.Unlock()
	if ours == nil { // it has ended meanwhile
		s.cut()
		return
	}
	s.logger().Info("TiDB is away, the statement goes on without it", zap.Error(reason))
}

// cut closes both connections. Calling it again does no harm.
func (s *session) cut() {
	s.mu.Lock()
	backend := s.backend
	s.mu.Unlock()
	for _, conn := range []net.Conn{s.client, backend} {
		if conn == nil {
			continue
		}
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.log.Debug("closing a connection", zap.Error(err))
		}
	}
}

// drain asks the session to end as soon as it is between transactions.
func (s *session) drain() {
	s.mu.Lock()
	s.mu.drain = true
	done := s.drainedLocked()
	s.mu.Unlock()
	if done {
		s.end(errDrained)
	}
}

// drainedLocked reports whether a draining session may be closed.
func (s *session) drainedLocked() bool {
	return s.mu.drain && s.turnFreeLocked() && s.mu.follower.Phase() == wire.PhaseIdle &&
		!s.mu.follower.Status().Has(wire.StatusInTrans)
}

// turnFreeLocked reports whether neither a statement of ours nor an unwritten
// chunk holds the turn.
func (s *session) turnFreeLocked() bool { return s.mu.ours == nil && !s.mu.writing }

// ourTurn reports whether a statement of ours runs.
func (s *session) ourTurn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.ours != nil
}

// awaitTurn blocks until a packet from the client may be acted on and returns the
// phase that says what the packet is. It is called with a packet at hand only, so
// it does not keep the clientPump from noticing that an idle client goes away.
func (s *session) awaitTurn() (wire.Phase, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.mu.reason != nil {
			return 0, s.mu.reason
		}
		if s.turnFreeLocked() {
			switch phase := s.mu.follower.Phase(); {
			case s.drainedLocked():
				return 0, errDrained
			case phase != wire.PhaseBackend:
				return phase, nil
			}
		}
		s.mu.changed.Wait()
	}
}

// begin hands the turn to the backend for cmd. To be called before the command's
// first byte is sent: an answer may come before the last one is.
func (s *session) begin(cmd wire.Command) {
	s.mu.Lock()
	s.mu.follower.Begin(cmd)
	s.mu.Unlock()
}

// clientAnswered and infileSent hand the turn to the backend in the middle of a
// command; see wire.Follower.
func (s *session) clientAnswered() {
	s.mu.Lock()
	s.mu.follower.ClientAnswered()
	s.mu.Unlock()
}

func (s *session) infileSent() {
	s.mu.Lock()
	s.mu.follower.InfileSent()
	s.mu.Unlock()
}

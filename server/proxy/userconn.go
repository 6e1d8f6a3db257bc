package proxy

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/server/wire"
)

// maxAnswer bounds the result of a query that a statement puts on the user's
// connection, in bytes. They read settings and privileges, not data.
const maxAnswer = 64 << 20

// errAnswerTooLarge ends the session: the rest of the result is still to come.
var errAnswerTooLarge = errors.New("result of a query on the user's connection is too large")

// answer is what the backend sends to one query of a statement of ours.
type answer struct {
	// stream and err are guarded by session.mu until done is closed, then they
	// belong to who asked.
	stream []byte
	err    error
	done   chan struct{}
}

// userConn is a statement's access to the user's own backend connection. It
// implements executor.Session.
type userConn struct {
	*session
	running *running
	// asking is held from query to answer: the statement and the keep-alive
	// share the connection.
	asking sync.Mutex
}

// ClientAddr implements executor.Session.
func (u *userConn) ClientAddr() string { return u.client.RemoteAddr().String() }

// ConnectionID implements executor.Session.
func (u *userConn) ConnectionID() uint64 { return u.connectionID }

// Query implements executor.Session. When ctx ends before the answer is there,
// the session is closed after the statement has been answered.
func (u *userConn) Query(ctx context.Context, sql string) (*mysql.Result, error) {
	stream, err := u.exchange(ctx, wire.ComQuery, wire.AppendQuery(nil, u.caps, sql))
	if err != nil {
		return nil, err
	}
	res, err := wire.ReadTextResult(stream, u.caps)
	if err != nil && !mysqlError(err) {
		u.lose(err)
	}
	return res, err
}

// exchange sends a command and returns the bytes of the response to it.
func (u *userConn) exchange(ctx context.Context, cmd wire.Command, payload []byte) ([]byte, error) {
	u.asking.Lock()
	defer u.asking.Unlock()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	a := &answer{done: make(chan struct{})}
	if err := u.expect(cmd, a); err != nil {
		return nil, err
	}
	frame, _ := wire.AppendPacket(nil, payload, 0)
	if _, err := u.backend.Write(frame); err != nil {
		u.backendEnded(because(errBackendGone, err))
	}
	select {
	case <-a.done:
		return a.stream, a.err
	case <-ctx.Done():
		err := because(errUserQuery, context.Cause(ctx))
		u.lose(err)
		return nil, err
	}
}

// expect announces that the next bytes from the backend are for a.
func (u *userConn) expect(cmd wire.Command, a *answer) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.mu.reason != nil:
		return u.mu.reason
	case u.running.lost != nil:
		return u.running.lost
	}
	u.mu.follower.Begin(cmd)
	u.running.answer = a
	return nil
}

// lose notes that the connection is not to be used for anything after the
// statement.
func (u *userConn) lose(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.running.lost == nil {
		u.running.lost = err
	}
}

// answeredLocked takes bytes from the backend for the query under way.
func (s *session) answeredLocked(b []byte) error {
	a := s.mu.ours.answer
	if a == nil {
		if s.mu.ours.lost != nil {
			return nil // the rest of an answer that nobody waits for
		}
		return errOutOfStep
	}
	if len(a.stream)+len(b) > maxAnswer {
		return errAnswerTooLarge
	}
	a.stream = append(a.stream, b...)
	s.mu.follower.Feed(b)
	switch s.mu.follower.Phase() {
	case wire.PhaseIdle:
		close(a.done)
		s.mu.ours.answer = nil
	case wire.PhaseBackend:
	default:
		return errOutOfStep
	}
	return nil
}

// keepAlive pings the user's connection every interval until the returned
// function is called, which waits for the pinging to stop. It ends early with the
// statement's context.
func (u *userConn) keepAlive(interval time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(u.running.ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			// The ping hangs on the statement's context, not on ctx: giving it
			// up at the end of the statement would cost the user's connection.
			if _, err := u.exchange(u.running.ctx, wire.ComPing, []byte{byte(wire.ComPing)}); err != nil {
				u.log.Debug("keep-alive of the user's connection failed", zap.Error(err))
				return
			}
		}
	}()
	return func() {
		cancel()
		<-stopped
	}
}

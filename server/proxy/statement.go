package proxy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/server/wire"
)

// running is a statement of ours, from the moment a text may be one until it has
// been answered or handed on to TiDB. While session.mu.ours points to it, it
// holds the turn: it alone writes to the client and talks to the backend.
type running struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	// Guarded by session.mu.
	answer *answer // the query under way on the user's connection
	lost   error   // a query was given up: the connection is of no more use
}

// failLocked makes the query under way fail with reason.
func (r *running) failLocked(reason error) {
	if r.answer != nil {
		r.answer.err = reason
		close(r.answer.done)
		r.answer = nil
	}
}

// intercept takes the turn for a text that may be ours. It returns false when the
// text is not ours after all; the caller forwards it then. Otherwise the client is
// answered, by this call or later by a goroutine of the session; seq is the
// sequence number of the answer's first packet.
func (s *session) intercept(cmd wire.Command, text []byte, seq byte) (ours bool, err error) {
	r := &running{}
	r.ctx, r.cancel = context.WithCancelCause(s.server.ctx)
	if err := s.takeTurn(r); err != nil {
		r.cancel(err)
		return false, err
	}
	user := &userConn{session: s, running: r}
	statement, err := s.recognise(user, text)
	switch {
	case err == nil && statement == nil:
		return false, s.giveTurn(r)
	case err == nil && cmd == wire.ComStmtPrepare:
		err = errUnsupportedPS
	}
	if err != nil {
		_, _, message := executor.MySQLError(err)
		s.logger().Debug("statement refused", zap.String("message", message))
		s.reply(r, seq, nil, err)
		return true, s.giveTurn(r)
	}
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.run(user, statement, seq)
		if err := s.giveTurn(r); err != nil {
			s.end(err)
		}
	}()
	return true, nil
}

// refuseText answers a text that must not be run at all with err; seq is the
// sequence number of the answer.
func (s *session) refuseText(seq byte, err error) error {
	r := &running{}
	r.ctx, r.cancel = context.WithCancelCause(s.server.ctx)
	if err := s.takeTurn(r); err != nil {
		r.cancel(err)
		return err
	}
	s.reply(r, seq, nil, err)
	return s.giveTurn(r)
}

// recognise asks the user's session how it reads text and has it parsed.
func (s *session) recognise(user *userConn, text []byte) (Statement, error) {
	s.mu.Lock()
	stray := s.mu.follower.Stray()
	s.mu.Unlock()
	if stray {
		return nil, fmt.Errorf("%w: reconnect to run statements of Sluice", errOutOfStep)
	}
	res, err := user.Query(user.running.ctx, "SELECT @@sql_mode, @@character_set_client")
	if err != nil {
		return nil, err
	}
	mode := TextMode{}
	if res.Resultset == nil || res.RowNumber() != 1 {
		return nil, fmt.Errorf("%w: no answer to the question for sql_mode", errOutOfStep)
	}
	if mode.SQLMode, err = res.GetString(0, 0); err != nil {
		return nil, err
	}
	if mode.Charset, err = res.GetString(0, 1); err != nil {
		return nil, err
	}
	return s.server.options.Interceptor.Recognise(text, mode)
}

// run executes statement and writes its answer.
func (s *session) run(user *userConn, statement Statement, seq byte) {
	log := s.logger().With(zap.String("statement", statement.Kind()))
	start := time.Now()
	stop := user.keepAlive(s.server.options.KeepAlive)
	result, err := guarded(user.running.ctx, statement, user)
	stop()
	label := "ok"
	if err != nil {
		label = "error"
	}
	// What went wrong is in the executor's log, without credentials.
	log.Info("statement done", zap.String("result", label), zap.Duration("took", time.Since(start)))
	s.server.options.Metrics.statements.WithLabelValues(statement.Kind(), label).Observe(time.Since(start).Seconds())
	s.reply(user.running, seq, result, err)
}

// errPanicked ends the connection: nobody knows what the statement left behind.
var errPanicked = errors.New("internal error: the statement panicked, see the log of Sluice")

func guarded(ctx context.Context, statement Statement, user *userConn) (result *executor.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			user.log.Error("statement panicked", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			user.lose(errPanicked)
			result, err = nil, errPanicked
		}
	}()
	result, err = statement.Run(ctx, user)
	if err == nil && result == nil {
		result = &executor.Result{}
	}
	return result, err
}

// replyTimeout bounds the writing of an answer to a client that does not read,
// when nothing else would end the wait.
const replyTimeout = time.Minute

// reply writes an answer to the client. A client that is gone is noticed by the
// clientPump, so the error here is for the log only.
func (s *session) reply(r *running, seq byte, result *executor.Result, err error) {
	if cause := context.Cause(r.ctx); errors.Is(cause, errClientGone) || errors.Is(cause, errQuit) {
		return
	}
	s.mu.Lock()
	status := s.mu.follower.Status().Session()
	s.mu.Unlock()
	if err := s.client.SetWriteDeadline(time.Now().Add(replyTimeout)); err != nil {
		s.log.Debug("reply not written", zap.Error(err))
		return
	}
	w := wire.NewWriter(s.client, seq)
	var writeErr error
	switch {
	case err != nil:
		writeErr = w.WritePacket(wire.AppendErr(nil, s.caps, toMySQL(r.ctx, err)))
	case len(result.Columns) == 0:
		writeErr = w.WritePacket(wire.AppendOK(nil, s.caps, okOf(result, status)))
	default:
		writeErr = wire.WriteResultSet(w, s.caps, columnsOf(result), result.Rows, okOf(result, status))
	}
	if writeErr == nil {
		writeErr = w.Flush()
	}
	if writeErr == nil {
		writeErr = s.client.SetWriteDeadline(time.Time{})
	}
	if writeErr != nil {
		s.log.Info("answer could not be written", zap.Error(writeErr))
		s.end(because(errClientGone, writeErr))
	}
}

func okOf(result *executor.Result, status wire.Status) wire.OK {
	return wire.OK{AffectedRows: result.AffectedRows, Status: status, Warnings: result.Warnings, Info: result.Info}
}

func columnsOf(result *executor.Result) []wire.Column {
	columns := make([]wire.Column, len(result.Columns))
	for i, c := range result.Columns {
		columns[i] = wire.Column(c)
	}
	return columns
}

// takeTurn gives the turn, which must be free, to r.
func (s *session) takeTurn(r *running) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.reason != nil {
		return s.mu.reason
	}
	s.mu.ours = r
	return nil
}

// giveTurn takes the turn from r and returns the reason why the session can't go
// on, if there is one.
func (s *session) giveTurn(r *running) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.ours = nil
	r.cancel(nil)
	s.mu.changed.Signal()
	switch {
	case s.mu.reason != nil:
		return s.mu.reason
	case r.lost != nil:
		return r.lost
	case s.drainedLocked():
		return errDrained
	}
	return nil
}

// mysqlError reports whether err is an error that the cluster answered.
func mysqlError(err error) bool {
	var my *mysql.MyError
	return errors.As(err, &my)
}

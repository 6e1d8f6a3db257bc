package sqlconn

import (
	"context"
	"errors"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/fence"
)

// Session is one connection, lent by a Pool. It may be used by one goroutine
// at a time, and not after the function that it was lent to has returned.
type Session struct {
	pool *Pool
	addr string
	conn *client.Conn
	id   uint64          // of the connection in the cluster
	ctx  context.Context // of the present use
	bad  bool            // to be closed rather than reused
	open bool            // there may be a transaction
}

// Exec runs one statement and returns its result, which the caller owns. args
// replace ? in it. The error is the server's *mysql.MyError, the cause of a
// context that has ended, or that of a connection which then is not used again; it
// is marked (fault.IsRetryable) if it says that the cluster is away and nothing about
// the statement. Whether that was done is unknown then.
func (s *Session) Exec(sql string, args ...any) (*mysql.Result, error) {
	if err := fence.Check(s.ctx); err != nil {
		return nil, err
	}
	stop := s.pool.watch(s)
	res, err := s.conn.Execute(sql, args...)
	silent := stop()
	if err == nil {
		if silent { // it was about to be cut off
			s.bad = true
		}
		return res, nil
	}
	if code := Code(err); code != 0 {
		return nil, markAnswered(err, code)
	}
	s.bad = true // the protocol is in an unknown state
	if silent {
		s.pool.avoid(s.addr)
		return nil, fault.Retryable(errSilent)
	}
	if s.ctx.Err() != nil {
		if err = context.Cause(s.ctx); !errors.Is(err, errTimeout) {
			return nil, err
		}
	}
	return nil, fault.Retryable(err)
}

// Discard makes the session be closed after its use, because its state is
// another than that of a new one.
func (s *Session) Discard() { s.bad = true }

// Begin starts a transaction with the statement given, of which the dialects have several. Rollback ends it.
func (s *Session) Begin(sql string) error {
	s.open = true
	_, err := s.Exec(sql)
	return err
}

// Rollback ends a transaction. Where that fails the session is closed, which does the same.
func (s *Session) Rollback() error {
	_, err := s.Exec("ROLLBACK")
	if err != nil {
		s.bad = true
		return err
	}
	s.open = false
	return nil
}

// Transact is Use within a pessimistic transaction, which is committed when f
// returns nil and rolled back otherwise.
func (p *Pool) Transact(ctx context.Context, f func(*Session) error) error {
	return p.Use(ctx, func(s *Session) error {
		// Whatever the cluster's default is. MariaDB reads a comment.
		if err := s.Begin("BEGIN /*T! PESSIMISTIC */"); err != nil {
			return err
		}
		err := f(s)
		if err == nil {
			_, err = s.Exec("COMMIT")
		}
		if err != nil {
			_ = s.Rollback()
			return err
		}
		s.open = false
		return nil
	})
}

func (s *Session) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { cut(s.conn) })
	err := s.conn.Ping()
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

// Code returns the number of an error that a server answered, or 0.
func Code(err error) uint16 {
	var e *mysql.MyError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// QuoteName quotes an identifier.
func QuoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

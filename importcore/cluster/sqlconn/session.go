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
	return s.do(func() (*mysql.Result, error) { return s.conn.Execute(sql, args...) })
}

// uploadChunk is the size of a packet of Upload in bytes, with its header.
const uploadChunk = 256 << 10

// Upload is Exec for a statement to which the server answers by asking for a file of the client, such as TiDB's LOAD STATS: it gets the content,
// whatever file the statement names. No other statement's request for a file is ever granted.
// See LOCAL INFILE Request in the manual of MySQL's protocol.
func (s *Session) Upload(sql string, content []byte) error {
	_, err := s.do(func() (*mysql.Result, error) {
		// The driver has read the request when it answers with this error, and goes no further.
		if _, err := s.conn.Execute(sql); !errors.Is(err, mysql.ErrMalformPacket) {
			if err == nil {
				err = errNotAsked
			}
			return nil, err
		}
		packet := make([]byte, min(len(content)+packetHeader, uploadChunk))
		for rest := content; len(rest) > 0; {
			n := copy(packet[packetHeader:], rest)
			rest = rest[n:]
			if err := s.conn.WritePacket(packet[:packetHeader+n]); err != nil {
				return nil, err
			}
		}
		if err := s.conn.WritePacket(packet[:packetHeader]); err != nil { // an empty one ends the file
			return nil, err
		}
		return s.conn.ReadOKPacket()
	})
	return err
}

// packetHeader is the length of what precedes a packet's content.
const packetHeader = 4

var errNotAsked = errors.New("the server has not asked for the content of the statement")

// The schema that a statement was read with was out of date when it was to take effect, so it was undone (ErrInfoSchemaChanged in TiDB's manual). TiDB also
// answers so in the place of any error of a definition that it has not begun with, such as that a table exists, if any other schema has changed meanwhile
// (DDLExec.toErr of TiDB 8.5), and only says what is wrong when it is asked again.
const (
	codeSchemaChanged = 8028
	schemaTries       = 10
)

// do runs what is one statement for the server. If that has undone it because the schema changed it is run again, unless it is one of a transaction,
// which is undone as a whole.
func (s *Session) do(f func() (*mysql.Result, error)) (*mysql.Result, error) {
	for try := 1; ; try++ {
		res, err := s.once(f)
		if Code(err) != codeSchemaChanged || s.open || try == schemaTries {
			return res, err
		}
	}
}

// once is one try of do.
func (s *Session) once(f func() (*mysql.Result, error)) (*mysql.Result, error) {
	if err := fence.Check(s.ctx); err != nil {
		return nil, err
	}
	stop := s.pool.watch(s)
	res, err := f()
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

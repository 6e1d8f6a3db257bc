package proxy

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/executor"
)

// Why a session ends. Each is the label of a metric and tells whose doing it was.
var (
	errQuit        = errors.New("client said good-bye")
	errClientGone  = errors.New("client closed the connection")
	errBackendGone = errors.New("TiDB closed the connection")
	errDrained     = fmt.Errorf("server is shutting down: %w", executor.ErrShutdown)
	errHandshake   = errors.New("handshake failed")
	errTLSRequest  = errors.New("client asks for TLS, which was not offered")
	errOutOfStep   = errors.New("connection is out of step with TiDB")
	errUserQuery   = errors.New("query on the user's connection was given up")
)

// MySQL error numbers that the proxy itself sends; names as in the manual.
const (
	codeServerShutdown   = 1053 // ER_SERVER_SHUTDOWN
	codePacketTooLarge   = 1153 // ER_NET_PACKET_TOO_LARGE
	codeHandshake        = 1043 // ER_HANDSHAKE_ERROR
	codeUnsupportedPS    = 1295 // ER_UNSUPPORTED_PS
	codeQueryInterrupted = 1317 // ER_QUERY_INTERRUPTED
	codeConnHost         = 2003 // CR_CONN_HOST_ERROR
)

var errUnsupportedPS = &mysql.MyError{Code: codeUnsupportedPS, State: "HY000",
	Message: "This command is not supported in the prepared statement protocol yet"}

// interruptions are the causes of a statement's context and what the client sees
// of them. KILL and a client that is gone look as in TiDB.
var interruptions = []struct {
	cause         error
	code          uint16
	state, notice string
}{
	{errDrained, codeServerShutdown, "08S01", "Server shutdown in progress"},
	{errBackendGone, codeQueryInterrupted, "70100", "Query execution was interrupted"},
	{errQuit, codeQueryInterrupted, "70100", "Query execution was interrupted"},
	{errClientGone, codeQueryInterrupted, "70100", "Query execution was interrupted"},
}

// toMySQL is the one place where an error becomes what a client of the proxy
// sees. Of a statement that was interrupted the interruption's code is told, and
// in the text what the statement says about it: it may know what is left to do.
func toMySQL(ctx context.Context, err error) *mysql.MyError {
	code, state, message := executor.MySQLError(err)
	cause := context.Cause(ctx)
	for _, i := range interruptions {
		if cause == nil || !errors.Is(cause, i.cause) {
			continue
		}
		text := i.notice
		if !errors.Is(err, context.Canceled) && !errors.Is(err, i.cause) && message != text {
			text += ": " + message
		}
		return &mysql.MyError{Code: i.code, State: i.state, Message: text}
	}
	return &mysql.MyError{Code: code, State: state, Message: message}
}

// endLabel is the metric label for the reason of a session's end.
func endLabel(err error) string {
	for _, known := range []struct {
		err   error
		label string
	}{
		{errQuit, "quit"}, {errDrained, "shutdown"}, {errHandshake, "handshake"}, {errTLSRequest, "handshake"}, {errOutOfStep, "out_of_step"},
		{errUserQuery, "user_query"}, {errBackendGone, "backend"}, {errClientGone, "client"},
	} {
		if errors.Is(err, known.err) {
			return known.label
		}
	}
	return "error"
}

// because wraps reason around the error that made it known.
func because(reason, err error) error {
	return fmt.Errorf("%w: %w", reason, err)
}

package proxy

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Why a session ends. Each is the label of a metric and tells whose doing it was.
var (
	errClientGone  = errors.New("client closed the connection")
	errBackendGone = errors.New("TiDB closed the connection")
	errDrained     = errors.New("server is shutting down")
	errHandshake   = errors.New("handshake failed")
	errTLSRequest  = errors.New("client asks for TLS, which was not offered")
	errOutOfStep   = errors.New("connection is out of step with TiDB")
	errUserQuery   = errors.New("query on the user's connection was given up")
)

// MySQL error numbers that the proxy itself sends; names as in the manual.
const (
	codeUnknown          = 1105 // ER_UNKNOWN_ERROR
	codeServerShutdown   = 1053 // ER_SERVER_SHUTDOWN
	codeHandshake        = 1043 // ER_HANDSHAKE_ERROR
	codeUnsupportedPS    = 1295 // ER_UNSUPPORTED_PS
	codeQueryInterrupted = 1317 // ER_QUERY_INTERRUPTED
	codeConnHost         = 2003 // CR_CONN_HOST_ERROR
)

var errUnsupportedPS = &mysql.MyError{Code: codeUnsupportedPS, State: "HY000",
	Message: "This command is not supported in the prepared statement protocol yet"}

// coded is how errors of the layers below say what the client should see.
type coded interface {
	MySQLError() (code uint16, state, message string)
}

// toMySQL is the one place where an error becomes what a client sees. A cause of
// the context (shutdown, KILL) wins over the error that it led to.
func toMySQL(ctx context.Context, err error) *mysql.MyError {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
	case errors.Is(cause, errDrained):
		return &mysql.MyError{Code: codeServerShutdown, State: "08S01", Message: "Server shutdown in progress"}
	case errors.Is(cause, errBackendGone), errors.Is(cause, errClientGone):
		return &mysql.MyError{Code: codeQueryInterrupted, State: "70100", Message: "Query execution was interrupted"}
	}
	var c coded
	if errors.As(err, &c) {
		code, state, message := c.MySQLError()
		return &mysql.MyError{Code: code, State: state, Message: message}
	}
	var my *mysql.MyError
	if errors.As(err, &my) {
		return my
	}
	return &mysql.MyError{Code: codeUnknown, State: mysql.DEFAULT_MYSQL_STATE, Message: err.Error()}
}

// endLabel is the metric label for the reason of a session's end.
func endLabel(err error) string {
	for _, known := range []struct {
		err   error
		label string
	}{
		{errDrained, "shutdown"}, {errHandshake, "handshake"}, {errTLSRequest, "handshake"}, {errOutOfStep, "out_of_step"},
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

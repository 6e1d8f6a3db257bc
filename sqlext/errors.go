package sqlext

import (
	"fmt"
	"strconv"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// Error is a refusal with the code that a MySQL client gets. It never holds a
// credential.
type Error struct {
	// Code is a MySQL or TiDB error number.
	Code uint16
	// Message is the text for the user.
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// MySQLError returns what an ERR packet needs: error number, SQLSTATE (five
// characters) and text.
func (e *Error) MySQLError() (code uint16, state, message string) {
	state, ok := mysql.MySQLState[e.Code]
	if !ok {
		state = mysql.DefaultMySQLState
	}
	return e.Code, state, e.Message
}

// newError fills TiDB's own template of code, so that the text stays the
// cluster's.
func newError(code uint16, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(errno.MySQLErrName[code].Raw, args...)}
}

// plainError is TiDB's 1105, which has no template.
func plainError(format string, args ...any) *Error {
	return &Error{Code: errno.ErrUnknown, Message: fmt.Sprintf(format, args...)}
}

func notSupportedYet(what string) *Error {
	return &Error{Code: errno.ErrNotSupportedYet, Message: what + " is not supported yet"}
}

func invalidURI(reason string) *Error {
	return newError(errno.ErrLoadDataInvalidURI, "data source", reason)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

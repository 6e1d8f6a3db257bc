package executor

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/errno"
	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/sqlext"
)

// MySQLError is the one place where an error becomes what a client sees: error
// number, SQLSTATE and text. Any error is fine; unknown ones are 1105. No
// credential of a storage URL gets through.
func MySQLError(err error) (code uint16, state, message string) {
	code, state, message = classify(err)
	if code == 0 {
		code = errno.ErrUnknown
	}
	if state == "" {
		var ok bool
		if state, ok = parsermysql.MySQLState[code]; !ok {
			state = parsermysql.DefaultMySQLState
		}
	}
	return code, state, redactText(message)
}

func classify(err error) (code uint16, state, message string) {
	var (
		stop  *stopError
		coded interface {
			MySQLError() (uint16, string, string)
		}
		theirs *mysql.MyError
	)
	switch {
	case err == nil:
		return 0, "", "unknown error"
	case errors.As(err, &stop):
		// The core adds what is left in the table to the cause that we gave.
		return stop.code, "", err.Error()
	case fault.As(err) != nil:
		f := fault.As(err)
		return f.Code, "", f.Error()
	case errors.As(err, &coded):
		return coded.MySQLError()
	case errors.As(err, &theirs):
		return theirs.Code, theirs.State, theirs.Message
	case errors.Is(err, context.Canceled):
		return errno.ErrQueryInterrupted, "", tidbText(errno.ErrQueryInterrupted)
	default:
		return errno.ErrUnknown, "", err.Error()
	}
}

// codedError fills TiDB's template of code.
func codedError(code uint16, args ...any) *sqlext.Error {
	return &sqlext.Error{Code: code, Message: tidbText(code, args...)}
}

func tidbText(code uint16, args ...any) string {
	return fmt.Sprintf(errno.MySQLErrName[code].Raw, args...)
}

func unknownError(format string, args ...any) *sqlext.Error {
	return &sqlext.Error{Code: errno.ErrUnknown, Message: fmt.Sprintf(format, args...)}
}

func notSupportedYet(what string) *sqlext.Error {
	return &sqlext.Error{Code: errno.ErrNotSupportedYet, Message: what + " is not supported yet"}
}

// stopError is the cause with which a job's context is cancelled. It says how
// the job's row is to end.
type stopError struct {
	status job.Status // "" = the row isn't ours to end
	code   uint16
	text   string
}

// Error implements error.
func (e *stopError) Error() string { return e.text }

// Why a job is stopped before its end.
var (
	errCancelled = &stopError{job.Cancelled, errno.ErrQueryInterrupted, "cancelled by user"}
	errClient    = &stopError{job.Cancelled, errno.ErrQueryInterrupted, "cancelled because the client's connection ended"}
	errShutdown  = &stopError{job.Failed, errno.ErrServerShutdown, "stopped because this Sluice is shutting down"}
	errLeaseLost = &stopError{"", errno.ErrUnknown, "stopped because this Sluice lost the job: " +
		"its row could not be renewed in time or was ended by another"}
)

// urls finds what may hold credentials in a text, secrets what looks like one
// outside of a URL.
var (
	urls    = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s'"` + "`" + `]+`)
	secrets = regexp.MustCompile(`(?i)\b(access[-_]key|secret[-_]access[-_]key|session[-_]token|account[-_]key|sas[-_]token|encryption[-_]key|password)=[^\s&'"` + "`" + `]+`)
)

func redactText(s string) string {
	s = urls.ReplaceAllStringFunc(s, sqlext.RedactURL)
	return secrets.ReplaceAllString(s, "${1}=xxxxxx")
}

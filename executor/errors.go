package executor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/errno"
	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/sqlext"
)

// MySQLError is the one place where an error becomes what a client sees: error
// number, SQLSTATE and text. Any error is fine; unknown ones are 1105. No
// credential of a storage URL gets through. The text is valid UTF-8 and at most
// maxMessage bytes long, whatever a source's bytes have put into the error: the
// cluster has to take it into the job's row.
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
	return code, state, messageText(message)
}

// maxMessage bounds what is told of an error or of a job's warnings, in bytes,
// and messageTail is the part of it that is kept of a longer text's end, where
// stands what is left in the table.
const (
	maxMessage  = 4 << 10
	messageTail = 1 << 10
)

// messageText makes any text fit for a client and a job's row.
func messageText(s string) string {
	s = strings.ToValidUTF8(redactText(s), "\uFFFD")
	if len(s) <= maxMessage {
		return s
	}
	const gap = " ... "
	head, tail := s[:maxMessage-messageTail-len(gap)], s[len(s)-messageTail:]
	// Cut characters are dropped.
	return strings.ToValidUTF8(head, "") + gap + strings.ToValidUTF8(tail, "")
}

func classify(err error) (code uint16, state, message string) {
	var (
		stop  *stopError
		coded interface {
			MySQLError() (uint16, string, string)
		}
		theirs *mysql.MyError
	)
	var failed *jobError
	var left *badRowsError
	switch {
	case err == nil:
		return 0, "", "unknown error"
	case errors.As(err, &failed):
		code, state, message = classify(failed.cause)
		return code, state, fmt.Sprintf("%s job %d: %s", cmp.Or(failed.kind, job.Import), failed.id, message)
	case errors.As(err, &left):
		code, state, message = classify(left.cause)
		return code, state, message + "; " + left.told
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

// jobError is what a blocking statement answers when its job fails: the error
// of the job's row, with the job's id.
type jobError struct {
	id    int64
	cause error
	kind  job.Kind // Import unless given
}

// Error implements error.
func (e *jobError) Error() string {
	return fmt.Sprintf("%s job %d: %v", cmp.Or(e.kind, job.Import), e.id, e.cause)
}

// Unwrap returns the job's own error.
func (e *jobError) Unwrap() error { return e.cause }

// stopError is the cause with which a job's context is cancelled. It says how
// the job's row is to end.
type stopError struct {
	status job.Status // "" = the row isn't ours to end
	code   uint16
	text   string
}

// Error implements error.
func (e *stopError) Error() string { return e.text }

// Unwrap tells the core that a job whose row isn't ours leaves its table alone,
// and that one that goes on later keeps what it has done.
func (e *stopError) Unwrap() error {
	switch e.status {
	case "":
		return importcore.ErrNotOwner
	case job.Paused, job.Pending:
		return importcore.ErrPaused
	}
	return nil
}

// Why a job is stopped before its end.
var (
	errCancelled = &stopError{job.Cancelled, errno.ErrQueryInterrupted, "cancelled by user"}
	errClient    = &stopError{job.Cancelled, errno.ErrQueryInterrupted, "cancelled because the client's connection ended"}
	errPaused    = &stopError{job.Paused, errno.ErrQueryInterrupted, "paused by user: RESUME IMPORT JOB goes on with it"}
	errShutdown  = &stopError{job.Pending, errno.ErrServerShutdown, "this Sluice is shutting down: another one, or this one when it is back, " +
		"goes on with the job, and SHOW IMPORT JOB shows it"}
	errLeaseLost = &stopError{"", errno.ErrUnknown, "stopped because this Sluice lost the job: " +
		"its row could not be renewed in time, and another has ended it or goes on with it"}
)

// errAltered ends an attempt at a job that goes on with other settings at once.
var errAltered = fmt.Errorf("the job's settings have changed: %w", importcore.ErrPaused)

// errSourceChanged says that a job can't go on, or begin again as it is.
var errSourceChanged = fault.New(fault.Source, errno.ErrLoadDataPreCheckFailed,
	"PreCheck failed: the files of the source are not those with which the job was accepted: "+
		"name, size or time of change differ; RETRY IMPORT JOB begins again with what they are now, once the job has ended")

// ErrShutdown is for whoever ends a statement's context because the process is
// to end: as (part of) the context's cause it makes a job of that statement one
// that others go on with, not one that its client has cancelled.
var ErrShutdown error = errShutdown

// stopCause is why a job has to stop whose statement's context has ended.
func stopCause(ctx context.Context) error {
	var stop *stopError
	if errors.As(context.Cause(ctx), &stop) {
		return stop
	}
	return errClient
}

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

// errNeedsSuper is the refusal of what needs SUPER.
func errNeedsSuper() error { return codedError(errno.ErrSpecificAccessDenied, "SUPER") }

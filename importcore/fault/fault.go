// Package fault holds the error type of the import core: what went wrong,
// whose fault it is, where in the source it happened and which MySQL or TiDB
// error code a client should see.
//
// It is a leaf: every room of importcore may import it and it imports none of
// them. Errors are wrapped with fmt.Errorf and %w on their way up; the edge
// (executor) finds the *Error with errors.As and turns it into a MySQL error.
package fault

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Whose says who has to act to make the error go away.
type Whose uint8

// The parties that an error can belong to.
const (
	// User: the statement, an option or a privilege is wrong; repeating it as it is fails again.
	User Whose = iota + 1
	// Source: the data is wrong, missing or unreadable.
	Source
	// Cluster: the cluster refused or broke, and retrying inside the job did not help.
	Cluster
	// Sluice: an invariant of our own is broken; a defect to report.
	Sluice
)

// String returns the word that logs and metrics use.
func (w Whose) String() string {
	switch w {
	case User:
		return "user"
	case Source:
		return "source"
	case Cluster:
		return "cluster"
	case Sluice:
		return "sluice"
	default:
		return "unknown"
	}
}

// Position is a place in the source. Zero members are unknown and not shown.
type Position struct {
	File   string // as the user wrote or would write it, without credentials
	Line   int64  // 1-based line of the row's first byte
	Offset int64  // 0-based byte offset of the row's first byte; shown only with File
	Column string // target column
	Value  string // the field as text, see ShortValue
}

// ValueLimit is the number of bytes of a field that an error shows.
const ValueLimit = 128

// ShortValue returns a field as an error shows it: quoted, with escapes for
// bytes that are not printable text, and cut after ValueLimit bytes.
func ShortValue(field []byte) string {
	if len(field) <= ValueLimit {
		return strconv.Quote(string(field))
	}
	return strconv.Quote(string(field[:ValueLimit])) + fmt.Sprintf("... (%d bytes)", len(field))
}

// Error is an error with its owner, its code and its place.
type Error struct {
	Whose   Whose
	Code    uint16 // MySQL or TiDB error number; 0 stands for 1105 (unknown error)
	Message string // complete sentence without place and cause
	At      Position
	Cause   error // may be nil
}

// New returns an error without place or cause; the message is formatted as by fmt.Sprintf.
func New(whose Whose, code uint16, format string, args ...any) *Error {
	return &Error{Whose: whose, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause, whose text follows the message.
func Wrap(cause error, whose Whose, code uint16, format string, args ...any) *Error {
	e := New(whose, code, format, args...)
	e.Cause = cause
	return e
}

// Place sets the position and returns the error for chaining.
func (e *Error) Place(at Position) *Error {
	e.At = at
	return e
}

// Error returns message, cause and place in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Cause != nil {
		b.WriteString(": ")
		b.WriteString(e.Cause.Error())
	}
	if at := e.At.String(); at != "" {
		b.WriteString(" (")
		b.WriteString(at)
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// String lists the known members: "file a.csv, line 3, offset 120, column c, value "x"".
func (p Position) String() string {
	var parts []string
	if p.File != "" {
		parts = append(parts, "file "+p.File)
	}
	if p.Line > 0 {
		parts = append(parts, "line "+strconv.FormatInt(p.Line, 10))
	}
	if p.File != "" && p.Line > 0 {
		parts = append(parts, "offset "+strconv.FormatInt(p.Offset, 10))
	}
	if p.Column != "" {
		parts = append(parts, "column "+p.Column)
	}
	if p.Value != "" {
		parts = append(parts, "value "+p.Value)
	}
	return strings.Join(parts, ", ")
}

// As returns the outermost *Error in the chain, or nil.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Retry marks a transient error of the cluster or the source for retry loops
// inside the core; it never reaches a user as such.
type Retry struct{ Cause error }

// Error returns the cause's text.
func (r *Retry) Error() string { return r.Cause.Error() }

// Unwrap returns the cause.
func (r *Retry) Unwrap() error { return r.Cause }

// Retryable marks err; nil stays nil.
func Retryable(err error) error {
	if err == nil {
		return nil
	}
	return &Retry{Cause: err}
}

// IsRetryable reports whether err carries the mark.
func IsRetryable(err error) bool {
	var r *Retry
	return errors.As(err, &r)
}

// ErrStoreFull is in the chain of an error with which a TiKV store has answered that its disk is full. Nothing but room
// there makes it better.
var ErrStoreFull = errors.New("the disk of a TiKV store is full")

package badrows

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Class is the kind of an error, in the words of TiDB Lightning's max-error.
type Class uint8

// The classes.
const (
	// Type: a value can't be converted to its column's type, or the row breaks a rule of the table.
	Type Class = iota
	// Syntax: the row isn't one in the file's format, or has too few or too many fields.
	Syntax
	// Charset: a text is not valid in its character set.
	Charset
	// Conflict: the row shares the value of a primary key or unique index with another.
	Conflict
	classes
)

var classNames = [classes]string{"type", "syntax", "charset", "conflict"}

// Classes returns all classes.
func Classes() []Class { return []Class{Type, Syntax, Charset, Conflict} }

// String returns the name that the job's table shows.
func (c Class) String() string {
	if c < classes {
		return classNames[c]
	}
	return "unknown"
}

// Limits of a record's texts, in bytes before escaping.
const (
	MaxValueBytes   = 1 << 10
	MaxMessageBytes = 1 << 10
)

// Record is one row that is left out, and why. All texts are valid UTF-8; New
// and Text see to that.
type Record struct {
	Class   Class
	File    string // without credentials; "" for a row of the target table
	Line    int64  // 1-based line of the row's first byte; 0 = unknown
	Offset  int64  // 0-based byte offset of the row's first byte in File
	Column  string // target column, or the index of a conflict; "" = the row as a whole
	Value   string // what could not be taken: the field, the key or the row's bytes, see Text
	Code    uint16 // MySQL or TiDB error number
	Message string // complete sentence; place and value need not be repeated in it

	err *fault.Error // that New was called with
}

// codeUnknown is what a client sees of an error without a code.
const codeUnknown = 1105

// New makes the record of an error that has its place. value is what could not
// be taken, as it stands in the source; nil takes the error's own.
func New(class Class, f *fault.Error, value []byte) Record {
	r := Record{
		Class: class, File: Text([]byte(f.At.File), MaxMessageBytes), Line: f.At.Line, Offset: f.At.Offset,
		Column: f.At.Column, Code: f.Code, err: f,
	}
	if r.Code == 0 {
		r.Code = codeUnknown
	}
	if value == nil {
		value = []byte(f.At.Value)
	}
	r.Value = Text(value, MaxValueBytes)
	// The place has columns of its own.
	said := fault.Error{Message: f.Message, Cause: f.Cause}
	r.Message = Text([]byte(said.Error()), MaxMessageBytes)
	return r
}

// fault is the record as an error, for the message of a job.
func (r *Record) fault() *fault.Error {
	if r.err != nil {
		return r.err
	}
	at := fault.Position{File: r.File, Line: r.Line, Offset: r.Offset, Column: r.Column}
	if r.Value != "" {
		at.Value = fault.ShortValue([]byte(r.Value))
	}
	return fault.New(fault.Source, r.Code, "%s", r.Message).Place(at)
}

// bytes is what a record takes in memory, about, with its error.
func (r *Record) bytes() int {
	return 256 + len(r.File) + len(r.Column) + len(r.Value) + len(r.Message)
}

// Text returns bytes of the source as text that any client can show: bytes
// that aren't UTF-8 stand as \xNN, and what is longer than limit bytes is cut
// at a character and says how long it was.
func Text(b []byte, limit int) string {
	whole := len(b)
	if whole > limit {
		b = b[:limit]
		// Not within a character; what isn't one may be cut anywhere.
		for n := 1; n < utf8.UTFMax && n < limit; n++ {
			if start := limit - n; utf8.RuneStart(b[start]) {
				if !utf8.FullRune(b[start:]) {
					b = b[:start]
				}
				break
			}
		}
	}
	var sb strings.Builder
	sb.Grow(len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&sb, `\x%02x`, b[0])
		} else {
			sb.Write(b[:n])
		}
		b = b[n:]
	}
	if whole > limit {
		fmt.Fprintf(&sb, "... (%d bytes)", whole)
	}
	return sb.String()
}

// Sink keeps records where a user can read them.
type Sink interface {
	// Put keeps records, in this order; first is the number of the first one in
	// the job, counted from 1. Records and slice are the collector's again when
	// Put returns. It is called by one goroutine at a time and waits until the
	// records are safe. An error ends the job. If the context has ended they may come once more, and may be there already.
	Put(ctx context.Context, first int64, records []Record) error
	// Rewind forgets the records of the job behind the first keep ones: those that a
	// run before this one has put after its last checkpoint. counts are those of what is kept.
	Rewind(ctx context.Context, keep int64, counts Counts) error
}

// Progress is what a Collector has given to its sink, so that another one can go on from it.
type Progress struct {
	// Stored records, Counted of which count towards the limit, and all of them by class.
	Stored  int64  `json:"stored,omitempty"`
	Counted int64  `json:"counted,omitempty"`
	Counts  Counts `json:"counts"`
	// First are the first ones that count, at most maxFirst.
	First []Record `json:"first,omitempty"`
}

// Counts are numbers of records by class.
type Counts [classes]int64

// Add counts one record.
func (c *Counts) Add(class Class) { c[class]++ }

// Total is the number of all records.
func (c Counts) Total() int64 {
	var n int64
	for _, v := range c {
		n += v
	}
	return n
}

// String lists the classes that occur: "2 type, 1 syntax".
func (c Counts) String() string {
	var parts []string
	for i, n := range c {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, Class(i)))
		}
	}
	return strings.Join(parts, ", ")
}

// LimitError ends a job that has more bad rows than its user allows.
type LimitError struct {
	Limit int64
	// First are the first bad rows in the order of the files: at most maxFirst. Of several tables they are those of one; if that only
	// found out that there are too many, there may be none.
	First []Record
	cause *fault.Error
}

// maxFirst is how many rows the message of a LimitError describes.
const maxFirst = 5

func newLimitError(limit int64, first []Record) *LimitError {
	e := &LimitError{Limit: limit, First: append([]Record(nil), first...)}
	var told []string
	for i := range e.First {
		told = append(told, e.First[i].fault().Error())
	}
	text, code := fmt.Sprintf("more than %d rows can't be imported (max_errors = %d)", limit, limit), uint16(codeUnknown)
	if len(first) > 0 {
		text, code = text+"; the first: "+strings.Join(told, "; "), first[0].Code
	}
	e.cause = fault.New(fault.Source, code, "%s", text)
	return e
}

// Error says how many rows were allowed and describes the first ones.
func (e *LimitError) Error() string { return e.cause.Error() }

// Unwrap returns the *fault.Error, whose code is the first row's.
func (e *LimitError) Unwrap() error { return e.cause }

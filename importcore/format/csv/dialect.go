package csv

import (
	"bytes"
	"slices"

	"github.com/sluicedb/sluice/importcore/format"
)

// MaxRowBytes is the longest row, in bytes of the file.
const MaxRowBytes = format.MaxRowBytes

// dialect is a Config in the form that scanning wants. It is read-only.
type dialect struct {
	sep      []byte
	term     []byte // nil: \n, \r or \r\n
	termByte byte   // the byte to jump to: \n, or the terminator's last
	sepByte  byte   // first of sep
	quote    byte
	esc      byte
	hasQuote bool
	hasEsc   bool
	autoTerm bool
	trimLast bool // a separator at the end of a row is none

	// stop marks the bytes that can end or change something in an unquoted field.
	stop [256]bool

	// simpleRows: rows end at a single byte (or automatically) that occurs in no other
	// marker, and the quote occurs in no separator, so counting quotes finds row ends.
	simpleRows bool
	// simpleFields: also the separator is a single byte.
	simpleFields bool

	nulls      [][]byte // NULL texts
	plainNulls [][]byte // those that a field without escape byte can equal
	escNull    bool     // escape byte and N is a NULL text
}

func newDialect(c Config) *dialect {
	d := &dialect{
		sep:      []byte(c.FieldsTerminatedBy),
		term:     []byte(c.LinesTerminatedBy),
		hasQuote: c.FieldsEnclosedBy != "",
		hasEsc:   c.FieldsEscapedBy != "",
		autoTerm: c.LinesTerminatedBy == "",
		trimLast: c.TrimLastSeparator,
		termByte: '\n',
	}
	d.sepByte = d.sep[0]
	d.stop[d.sepByte] = true
	if d.hasQuote {
		d.quote = c.FieldsEnclosedBy[0]
		d.stop[d.quote] = true
	}
	if d.hasEsc {
		d.esc = c.FieldsEscapedBy[0]
		d.stop[d.esc] = true
	}
	if d.autoTerm {
		d.stop['\n'], d.stop['\r'] = true, true
	} else {
		d.termByte = d.term[len(d.term)-1]
		d.stop[d.term[0]] = true
	}
	d.setSimple()
	d.setNulls(c.nullText())
	return d
}

func (d *dialect) setSimple() {
	ends := d.term
	if d.autoTerm {
		ends = []byte("\r\n")
	} else if len(d.term) > 1 {
		return
	}
	others := slices.Clone(d.sep)
	if d.hasQuote {
		if bytes.IndexByte(d.sep, d.quote) >= 0 {
			return
		}
		others = append(others, d.quote)
	}
	if d.hasEsc {
		others = append(others, d.esc)
	}
	d.simpleRows = !bytes.ContainsAny(others, string(ends)) && isASCII(ends)
	d.simpleFields = d.simpleRows && len(d.sep) == 1
}

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 })
}

func (d *dialect) setNulls(texts []string) {
	for _, text := range texts {
		null := []byte(text)
		d.nulls = append(d.nulls, null)
		if !d.hasEsc || bytes.IndexByte(null, d.esc) < 0 {
			d.plainNulls = append(d.plainNulls, null)
		}
		if d.hasEsc && len(null) == 2 && null[0] == d.esc && null[1] == 'N' {
			d.escNull = true
		}
	}
}

func contains(texts [][]byte, field []byte) bool {
	for _, text := range texts {
		if bytes.Equal(text, field) {
			return true
		}
	}
	return false
}

// match says how a marker compares with the data at some place.
type match int8

const (
	matchNo   match = iota
	matchYes        // it is there
	matchPart       // the data end inside of it
)

func matchAt(data, marker []byte) match {
	if len(data) >= len(marker) {
		if bytes.Equal(data[:len(marker)], marker) {
			return matchYes
		}
		return matchNo
	}
	if bytes.Equal(data, marker[:len(data)]) {
		return matchPart
	}
	return matchNo
}

// lineEnd returns the length of the line end at the start of data: 0 if there
// is none, -1 if more data are needed to know.
func (d *dialect) lineEnd(data []byte, final bool) int {
	if d.autoTerm {
		switch {
		case data[0] == '\n':
			return 1
		case data[0] != '\r':
			return 0
		case len(data) > 1 && data[1] == '\n':
			return 2
		default:
			return 1 // a \n in the next block is an empty line, which is skipped
		}
	}
	switch matchAt(data, d.term) {
	case matchYes:
		return len(d.term)
	case matchPart:
		if !final {
			return -1
		}
	}
	return 0
}

// separator is lineEnd for the field separator.
func (d *dialect) separator(data []byte, final bool) int {
	switch matchAt(data, d.sep) {
	case matchYes:
		return len(d.sep)
	case matchPart:
		if !final {
			return -1
		}
	}
	return 0
}

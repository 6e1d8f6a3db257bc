package csv

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/sluicedb/sluice/importcore/format"
)

// fastRow takes the next row if it is plain enough: fields without escape
// bytes and doubled quotes, a line end of one byte or \r\n. It returns false,
// with r.next unchanged, at anything else: odd rows, blank lines, the end.
func (r *reader) fastRow() bool {
	d, data, pos := r.d, r.data, r.next
	n := bytes.IndexByte(data[pos:], d.termByte)
	if n <= 0 || data[pos] <= ' ' || data[pos] >= 0x80 {
		return false // white space is for the row parser to judge
	}
	line := data[pos : pos+n]
	end := pos + n + 1
	if d.autoTerm {
		if line = trimCR(line); bytes.IndexByte(line, '\r') >= 0 {
			return false
		}
	}
	if d.hasEsc && bytes.IndexByte(line, d.esc) >= 0 {
		return false
	}
	r.fields = r.fields[:0]
	if d.hasQuote && bytes.IndexByte(line, d.quote) >= 0 {
		if !r.quotedLine(line) {
			return false
		}
	} else {
		r.fields = splitFields(r.fields, line, d.sep[0])
	}
	if len(d.plainNulls) > 0 {
		for i := range r.fields {
			r.fields[i].Null = contains(d.plainNulls, r.fields[i].Bytes)
		}
	}
	r.start, r.next = pos, end
	return true
}

// quotedLine splits a line that has quotes. It returns false if a quoted
// field is not whole in the line or has doubled quotes.
func (r *reader) quotedLine(line []byte) bool {
	d := r.d
	for {
		if len(line) == 0 || line[0] != d.quote {
			n := bytes.IndexByte(line, d.sep[0])
			field := line
			if n >= 0 {
				field = line[:n:n]
			}
			if bytes.IndexByte(field, d.quote) >= 0 {
				return false
			}
			r.fields = append(r.fields, format.Field{Bytes: field})
			if n < 0 {
				return true
			}
			line = line[n+1:]
			continue
		}
		n := bytes.IndexByte(line[1:], d.quote)
		if n < 0 {
			return false
		}
		r.fields = append(r.fields, format.Field{Bytes: line[1 : n+1 : n+1]})
		line = line[n+2:]
		if len(line) == 0 {
			return true
		}
		if line[0] != d.sep[0] {
			return false
		}
		line = line[1:]
	}
}

const (
	lowBits  = 0x7f7f7f7f7f7f7f7f
	everyLow = 0x0101010101010101
)

// splitFields appends the parts of line between separators, eight bytes at a
// time: a byte of x is zero where the separator is, and the formula sets the
// high bit of exactly the zero bytes (no borrow runs between bytes, so all of
// a word's separators can be taken from one mask).
func splitFields(fields []format.Field, line []byte, sep byte) []format.Field {
	pattern := uint64(sep) * everyLow
	start, i := 0, 0
	for ; i+8 <= len(line); i += 8 {
		x := binary.LittleEndian.Uint64(line[i:]) ^ pattern
		mask := ^(((x & lowBits) + lowBits) | x | lowBits)
		for mask != 0 {
			at := i + bits.TrailingZeros64(mask)>>3
			fields = append(fields, format.Field{Bytes: line[start:at:at]})
			start = at + 1
			mask &= mask - 1
		}
	}
	for ; i < len(line); i++ {
		if line[i] == sep {
			fields = append(fields, format.Field{Bytes: line[start:i:i]})
			start = i + 1
		}
	}
	return append(fields, format.Field{Bytes: line[start:]})
}

package csv

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/sluicedb/sluice/importcore/format"
)

// fastRow takes the next row if it is plain enough: it is one line, and no
// escape byte changes the meaning of a marker. It returns false, with r.next
// unchanged, at anything else: odd rows, blank lines, the end.
func (r *reader) fastRow() bool {
	d, data, pos := r.d, r.data, r.next
	n := bytes.IndexByte(data[pos:], d.termByte)
	if n <= 0 || data[pos] <= ' ' || data[pos] >= 0x80 {
		return false // white space is for the row parser to judge
	}
	line := data[pos : pos+n : pos+n]
	if d.autoTerm {
		if line = trimCR(line); bytes.IndexByte(line, '\r') >= 0 {
			return false
		}
	}
	escaped := d.hasEsc && bytes.IndexByte(line, d.esc) >= 0
	if escaped && !d.harmlessEscapes(line) {
		return false
	}
	r.fields, r.scratch = r.fields[:0], r.scratch[:0]
	if d.hasQuote && bytes.IndexByte(line, d.quote) >= 0 {
		if !r.quotedLine(line, escaped) {
			return false
		}
	} else {
		r.fields = splitFields(r.fields, line, d.sep[0])
		if escaped || len(d.plainNulls) > 0 {
			for i := range r.fields {
				r.fields[i] = r.plainField(r.fields[i].Bytes, escaped)
			}
		}
	}
	r.start, r.next = pos, pos+n+1
	return true
}

// plainField completes a field without doubled quotes; mayEscape says that it may have escape bytes.
func (r *reader) plainField(raw []byte, mayEscape bool) format.Field {
	if mayEscape && bytes.IndexByte(raw, r.d.esc) >= 0 {
		return r.field(raw, true, false)
	}
	return format.Field{Bytes: raw, Null: contains(r.d.plainNulls, raw)}
}

// quotedLine splits a line that has quotes. It returns false if a quoted
// field is not whole in the line, or if a quote is out of place.
func (r *reader) quotedLine(line []byte, escaped bool) bool {
	d := r.d
	for {
		var n int
		if len(line) == 0 || line[0] != d.quote {
			field := line
			if n = bytes.IndexByte(line, d.sep[0]); n >= 0 {
				field = line[:n:n]
			}
			if bytes.IndexByte(field, d.quote) >= 0 {
				return false
			}
			r.fields = append(r.fields, r.plainField(field, escaped))
			if n < 0 {
				return true
			}
			line = line[n+1:]
			continue
		}
		line = line[1:]
		n, doubled := closingQuote(line, d.quote)
		if n < 0 {
			return false
		}
		if field := line[:n:n]; doubled {
			r.fields = append(r.fields, r.field(field, escaped, true))
		} else {
			r.fields = append(r.fields, r.plainField(field, escaped))
		}
		if line = line[n+1:]; len(line) == 0 {
			return true
		}
		if line[0] != d.sep[0] {
			return false
		}
		line = line[1:]
	}
}

// closingQuote returns the index of the first quote that is not doubled, -1
// if there is none, and whether doubled ones come before it.
func closingQuote(text []byte, quote byte) (n int, doubled bool) {
	for n < len(text) {
		i := bytes.IndexByte(text[n:], quote)
		if i < 0 {
			break
		}
		n += i
		if n+1 == len(text) || text[n+1] != quote {
			return n, doubled
		}
		doubled = true
		n += 2
	}
	return -1, doubled
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

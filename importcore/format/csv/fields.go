package csv

import (
	"math/bits"

	"github.com/sluicedb/sluice/importcore/format"
)

// rowEnd is what walk found: the place behind a row, or one of these.
const (
	rowCut = -1 // the marks end inside of the row
	rowOdd = -2 // the row parser has to look at it
)

// fastRow takes the next row by its marks. It returns false, with r.next
// unchanged, at anything that the row parser has to judge: what is malformed,
// blank lines, lone carriage returns, the end.
func (r *reader) fastRow() bool {
	pos, data := r.next, r.data
	if pos >= len(data) || data[pos] <= ' ' || data[pos] >= 0x80 || data[pos] == r.d.termByte {
		return false
	}
	for size := minMarked; ; size *= 4 {
		if pos < r.marks.end {
			end := r.walk(pos)
			if end >= 0 {
				r.start, r.next = pos, end
				return true
			}
			if end == rowOdd || r.marks.end == len(data) {
				return false
			}
		}
		for r.marks.base == pos && pos+size <= r.marks.end {
			size *= 4 // the row is longer than that
		}
		if size > maxMarked {
			return false
		}
		r.marks.fill(data, pos, size)
	}
}

// walk goes from marker to marker through the row at pos, with the rules of
// the row parser, and leaves its fields in r.fields.
func (r *reader) walk(pos int) (end int) {
	d, data := r.d, r.data
	all, base, limit := r.marks.all, r.marks.base, r.marks.end
	fields := r.fields[:0]
	r.scratch = r.scratch[:0]
	i := -1          // word of the next mark
	var x uint64     // the marks in it that are still to come
	var f fieldRange // of a field that has more than its end
	for {
		if i < 0 {
			if pos >= limit {
				return rowCut
			}
			i = (pos - base) / word
			x = all[i] >> (uint(pos-base) % word) << (uint(pos-base) % word)
		}
		if pos < limit && d.hasQuote && data[pos] == d.quote {
			if f = r.quotedField(pos + 1); f.end >= 0 && f.end+1 >= limit {
				return rowCut
			}
			i, end = -1, f.end+1
		} else {
			for x == 0 {
				if i++; i >= len(all) {
					return rowCut
				}
				x = all[i]
			}
			end = base + i*word + bits.TrailingZeros64(x)
			x &= x - 1
			f = fieldRange{start: pos, end: end, from: -1}
			if b := data[end]; b == d.esc && d.hasEsc || b == d.quote && d.hasQuote {
				f = r.unquotedField(pos)
				i, end = -1, f.end
			}
		}
		if f.end < 0 {
			return f.end
		}
		if f.from < 0 && len(d.plainNulls) == 0 {
			fields = append(fields, format.Field{Bytes: data[f.start:f.end:f.end]})
		} else {
			fields = append(fields, r.finish(f))
		}
		b := data[end]
		if pos = end + 1; b == d.sepByte {
			continue
		}
		if b != d.termByte {
			if b != '\r' || !d.autoTerm {
				return rowOdd
			}
			if pos >= limit {
				return rowCut
			}
			if data[pos] != '\n' {
				return rowOdd
			}
			pos++
		}
		r.fields = fields
		return pos
	}
}

// unquotedField reads a field with escape bytes at pos up to the marker behind it.
func (r *reader) unquotedField(pos int) fieldRange {
	d, data := r.d, r.data
	field := fieldRange{start: pos, copied: pos, from: -1}
	at := r.marks.next(r.marks.all, pos)
	for at >= 0 && d.hasEsc && data[at] == d.esc {
		if at+1 >= r.marks.end {
			return fieldRange{end: rowCut}
		}
		r.piece(&field, at, unescaped(data[at+1]))
		at = r.marks.next(r.marks.all, at+2)
	}
	switch {
	case at < 0:
		at = rowCut
	case d.hasQuote && data[at] == d.quote:
		at = rowOdd
	}
	field.end = at
	return field
}

// quotedField reads the field whose opening quote is before pos up to its closing quote.
func (r *reader) quotedField(pos int) fieldRange {
	d, data, limit := r.d, r.data, r.marks.end
	field := fieldRange{start: pos, copied: pos, from: -1}
	for {
		at := r.marks.next(r.marks.quotes, pos)
		if at < 0 || at+1 >= limit {
			return fieldRange{end: rowCut}
		}
		b := data[at+1]
		if data[at] != d.quote {
			b = unescaped(b)
		} else if b != d.quote {
			field.end = at
			return field
		}
		r.piece(&field, at, b)
		pos = at + 2
	}
}

// fieldRange is a field inside the data.
type fieldRange struct {
	start, end int // end may be rowCut or rowOdd instead
	copied     int // up to where its data are in scratch
	from       int // where it starts in scratch, -1 if it needs no copy
}

// piece copies the field up to at, where two bytes stand for b.
func (r *reader) piece(f *fieldRange, at int, b byte) {
	if f.from < 0 {
		f.from = len(r.scratch)
	}
	r.scratch = append(append(r.scratch, r.data[f.copied:at]...), b)
	f.copied = at + 2
}

// finish turns a range into a field.
func (r *reader) finish(f fieldRange) format.Field {
	d, raw := r.d, r.data[f.start:f.end:f.end]
	if f.from < 0 {
		return format.Field{Bytes: raw, Null: contains(d.plainNulls, raw)}
	}
	if d.isEscNull(raw) {
		return format.Field{Bytes: raw, Null: true}
	}
	r.scratch = append(r.scratch, r.data[f.copied:f.end]...)
	text := r.scratch[f.from:len(r.scratch):len(r.scratch)]
	return format.Field{Bytes: text, Null: contains(d.nulls, text) && !d.isEscNull(text)}
}

// isEscNull reports whether a field is the escape byte and N, and that stands for NULL.
func (d *dialect) isEscNull(field []byte) bool {
	return d.escNull && len(field) == 2 && field[0] == d.esc && field[1] == 'N'
}

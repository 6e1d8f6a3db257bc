package csv

import "github.com/sluicedb/sluice/importcore/format"

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
	if pos >= len(data) || data[pos] <= ' ' || data[pos] >= 0x80 {
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
func (r *reader) walk(pos int) int {
	d, data, limit := r.d, r.data, r.marks.end
	r.fields, r.scratch = r.fields[:0], r.scratch[:0]
	for {
		var end int
		if d.hasQuote && pos < limit && data[pos] == d.quote {
			if end = r.quotedField(pos + 1); end >= 0 {
				if end++; end >= limit {
					return rowCut
				}
			}
		} else {
			end = r.unquotedField(pos)
		}
		if end < 0 {
			return end
		}
		switch b := data[end]; {
		case b == d.sep[0]:
			pos = end + 1
		case b == d.termByte:
			return end + 1
		case b != '\r' || !d.autoTerm:
			return rowOdd
		case end+1 >= limit:
			return rowCut
		case data[end+1] == '\n':
			return end + 2
		default:
			return rowOdd
		}
	}
}

// unquotedField adds the field at pos and returns the place of the marker behind it.
func (r *reader) unquotedField(pos int) int {
	d, data := r.d, r.data
	field := fieldBuilder{start: pos, copied: pos, from: -1}
	at := r.marks.next(r.marks.all, pos)
	for at >= 0 && d.hasEsc && data[at] == d.esc {
		if at+1 >= r.marks.end {
			return rowCut
		}
		r.piece(&field, at, unescaped(data[at+1]))
		at = r.marks.next(r.marks.all, at+2)
	}
	switch {
	case at < 0:
		return rowCut
	case d.hasQuote && data[at] == d.quote:
		return rowOdd
	}
	r.endField(&field, at)
	return at
}

// quotedField adds the field whose opening quote is before pos and returns the place of its closing quote.
func (r *reader) quotedField(pos int) int {
	d, data, limit := r.d, r.data, r.marks.end
	field := fieldBuilder{start: pos, copied: pos, from: -1}
	for {
		at := r.marks.next(r.marks.quotes, pos)
		if at < 0 || at+1 >= limit {
			return rowCut
		}
		b := data[at+1]
		if data[at] != d.quote {
			b = unescaped(b)
		} else if b != d.quote {
			r.endField(&field, at)
			return at
		}
		r.piece(&field, at, b)
		pos = at + 2
	}
}

// fieldBuilder is a field that is being read.
type fieldBuilder struct {
	start  int // in the data
	copied int // up to where its data are in scratch
	from   int // where it starts in scratch, -1 if it needs no copy so far
}

// piece copies the field up to at, where two bytes stand for b.
func (r *reader) piece(f *fieldBuilder, at int, b byte) {
	if f.from < 0 {
		f.from = len(r.scratch)
	}
	r.scratch = append(append(r.scratch, r.data[f.copied:at]...), b)
	f.copied = at + 2
}

// endField adds a field that ends at end.
func (r *reader) endField(f *fieldBuilder, end int) {
	d, raw := r.d, r.data[f.start:end:end]
	if f.from < 0 {
		r.fields = append(r.fields, format.Field{Bytes: raw, Null: len(d.plainNulls) > 0 && contains(d.plainNulls, raw)})
		return
	}
	if d.isEscNull(raw) {
		r.fields = append(r.fields, format.Field{Bytes: raw, Null: true})
		return
	}
	r.scratch = append(r.scratch, r.data[f.copied:end]...)
	text := r.scratch[f.from:len(r.scratch):len(r.scratch)]
	r.fields = append(r.fields, format.Field{Bytes: text, Null: contains(d.nulls, text) && !d.isEscNull(text)})
}

// isEscNull reports whether a field is the escape byte and N, and that stands for NULL.
func (d *dialect) isEscNull(field []byte) bool {
	return d.escNull && len(field) == 2 && field[0] == d.esc && field[1] == 'N'
}

package csv

import "bytes"

// outcome is what the row parser found.
type outcome uint8

const (
	foundRow     outcome = iota
	foundNone            // only lines that are no rows, up to the end of the data
	foundPart            // the data end inside a row, and are not final
	badUnclosed          // the data end inside a quoted field
	badDangling          // the data end behind an escape byte
	badMisplaced         // a quote inside an unquoted field, or something behind a closing quote
)

// span is a field inside the data, without its quotes.
type span struct {
	start, end int
	escaped    bool // has escape bytes
	doubled    bool // has doubled quotes
}

// rowParser is the exact parser of one row. Its fields slice is reused.
type rowParser struct {
	d      *dialect
	fields []span
	start  int  // of the row
	end    int  // behind its line end, or the end of the data
	empty  int  // behind the empty lines before the row: they can be dropped, white space can't
	plain  bool // the line has had no quoted field
}

// parse finds the first row at or after pos. final says that the file ends
// where the data end; otherwise foundPart asks for more. After foundRow,
// fields, start and end are set, after a bad outcome start.
func (p *rowParser) parse(data []byte, pos int, final bool) outcome {
	blank := false // lines of white space came by
	p.end, p.empty = pos, pos
	for {
		p.start = pos
		p.fields = p.fields[:0]
		result := p.line(data, pos, final)
		if result != foundRow {
			return result
		}
		if p.isRow(data) {
			return foundRow
		}
		blank = blank || p.fields[0].end > p.fields[0].start
		if !blank {
			p.empty = p.end
		}
		if pos = p.end; pos == len(data) {
			break
		}
	}
	return p.atEnd(final, blank)
}

// isRow tells a row from a line that is to be skipped.
func (p *rowParser) isRow(data []byte) bool {
	if len(p.fields) > 1 || !p.plain {
		return true
	}
	text := data[p.start:p.fields[0].end]
	if p.fields[0].end == p.end { // the file ends without a line end
		return len(text) > 0
	}
	return len(bytes.TrimSpace(text)) > 0
}

// atEnd decides what lines without rows at the end of the data are.
func (p *rowParser) atEnd(final, blank bool) outcome {
	if !final || !blank {
		return foundNone
	}
	p.fields = append(p.fields[:0], span{start: p.end, end: p.end})
	return foundRow
}

// line parses up to the next line end outside of quotes. An empty line has one empty field.
func (p *rowParser) line(data []byte, pos int, final bool) outcome {
	p.plain = true
	for {
		var result outcome
		if pos < len(data) && p.d.hasQuote && data[pos] == p.d.quote && p.d.lineEnd(data[pos:], final) == 0 {
			p.plain = false
			result = p.quoted(data, pos, final)
		} else {
			result = p.unquoted(data, pos, final)
		}
		if result != foundRow {
			return result
		}
		if p.end == len(data) {
			if !final {
				return foundPart
			}
			return foundRow
		}
		if n := p.d.lineEnd(data[p.end:], final); n > 0 {
			p.end += n
			return foundRow
		}
		pos = p.end + len(p.d.sep)
	}
}

// unquoted reads a field up to the marker behind it, at which it leaves end.
func (p *rowParser) unquoted(data []byte, pos int, final bool) outcome {
	d := p.d
	field := span{start: pos}
	for {
		for pos < len(data) && !d.stop[data[pos]] {
			pos++
		}
		if pos == len(data) {
			break
		}
		n := p.marker(data[pos:], final)
		if n < 0 {
			return foundPart
		}
		if n > 0 {
			break
		}
		switch b := data[pos]; {
		case d.hasQuote && b == d.quote:
			return badMisplaced
		case d.hasEsc && b == d.esc:
			if pos+1 == len(data) {
				return ended(final, badDangling)
			}
			field.escaped = true
			pos += 2
		default:
			pos++
		}
	}
	field.end = pos
	p.fields = append(p.fields, field)
	p.end = pos
	return foundRow
}

// quoted reads the field whose opening quote is at pos, and checks that a marker or the end follows.
func (p *rowParser) quoted(data []byte, pos int, final bool) outcome {
	d := p.d
	pos++
	field := span{start: pos}
	for {
		i := indexQuoteOrEscape(data[pos:], d)
		if i < 0 {
			return ended(final, badUnclosed)
		}
		pos += i
		if data[pos] != d.quote { // the escape byte
			if pos+1 == len(data) {
				return ended(final, badDangling)
			}
			field.escaped = true
			pos += 2
			continue
		}
		if pos+1 == len(data) && !final {
			return foundPart
		}
		if pos+1 == len(data) || data[pos+1] != d.quote {
			break
		}
		field.doubled = true
		pos += 2
	}
	field.end = pos
	p.fields = append(p.fields, field)
	p.end = pos + 1
	if p.end == len(data) {
		return foundRow
	}
	switch n := p.marker(data[p.end:], final); {
	case n < 0:
		return foundPart
	case n == 0:
		return badMisplaced
	}
	return foundRow
}

// marker returns the length of the line end or separator at the start of data, 0 or -1 as lineEnd does.
func (p *rowParser) marker(data []byte, final bool) int {
	if n := p.d.lineEnd(data, final); n != 0 {
		return n
	}
	return p.d.separator(data, final)
}

func ended(final bool, bad outcome) outcome {
	if final {
		return bad
	}
	return foundPart
}

func indexQuoteOrEscape(data []byte, d *dialect) int {
	i := bytes.IndexByte(data, d.quote)
	if !d.hasEsc {
		return i
	}
	head := data
	if i >= 0 {
		head = data[:i]
	}
	if j := bytes.IndexByte(head, d.esc); j >= 0 {
		return j
	}
	return i
}

package csv

// resync finds the end of the malformed row that parse has stopped at, if it
// is certain. The outcome is foundRow with end set; foundPart if more data are
// needed to know, never when final; otherwise parse's own, bad.
//
// The row ends with its line if no quoted field is open there. A field that
// starts with a quote is open as long as its quotes don't pair up, whatever
// stands between them; in other fields quotes have no meaning, as they can
// neither open nor close one. If a field is open, the line end may be a part of
// it or not, and so may every line behind: nothing is certain, unless the file
// has no further line.
func (p *rowParser) resync(data []byte, bad outcome, final bool) outcome {
	for pos := p.start; ; {
		at, result := p.anyField(data, pos, final)
		switch {
		case result == badUnclosed:
			return p.lastLine(data, at, bad, final)
		case result != foundRow:
			return result
		case at == len(data):
			p.end = at
			return ended(final, foundRow)
		}
		if n := p.d.lineEnd(data[at:], final); n > 0 {
			p.end = at + n
			return foundRow
		}
		pos = at + len(p.d.sep)
	}
}

// anyField finds the marker behind the field at pos, well-formed or not, or the
// end of the data. badUnclosed means that at is a line end inside of quotes.
func (p *rowParser) anyField(data []byte, pos int, final bool) (at int, result outcome) {
	d := p.d
	quoted := pos < len(data) && d.hasQuote && data[pos] == d.quote && d.lineEnd(data[pos:], final) == 0
	open := false
	for pos < len(data) {
		var end int
		if open {
			end = d.lineEnd(data[pos:], final)
		} else {
			end = p.marker(data[pos:], final)
		}
		switch b := data[pos]; {
		case end < 0:
			return pos, foundPart
		case end > 0 && open:
			return pos, badUnclosed
		case end > 0:
			return pos, foundRow
		case d.hasEsc && b == d.esc:
			if pos += 2; pos > len(data) {
				return len(data), ended(final, foundRow)
			}
		default:
			if quoted && b == d.quote {
				open = !open
			}
			pos++
		}
	}
	return len(data), ended(final, foundRow)
}

// lastLine decides about a row with a field that is open at the line end at
// pos: it reaches to the end of the file if only line ends follow.
func (p *rowParser) lastLine(data []byte, pos int, bad outcome, final bool) outcome {
	for pos < len(data) {
		n := p.d.lineEnd(data[pos:], final)
		if n < 0 {
			return foundPart
		}
		if n == 0 {
			return bad
		}
		pos += n
	}
	p.end = pos
	return ended(final, foundRow)
}

package csv

import (
	"bytes"
	"math/bits"
)

// rowScanner finds the ends of rows in a buffer without looking at fields
// where it can, see the package doc.
type rowScanner struct {
	d      *dialect
	parser rowParser
	marks  marks
	// resync makes scan go on behind malformed rows. Then a row with a quote is
	// always the row parser's: counting quotes doesn't tell a malformed one.
	resync bool

	// What the buffer holds at all; saves a search per line.
	hasQuote, hasEsc, hasCR bool
}

// borders is what scan found in a buffer.
type borders struct {
	end    int     // behind the last whole row (and empty lines behind it)
	rows   int64   // rows before end
	broken outcome // not foundRow if the row at end is malformed; then scanning stopped there
	at     int     // start of the malformed row
}

// scan finds the rows of data from pos on. If final, all of data is taken or found broken.
func (s *rowScanner) scan(data []byte, pos int, final bool) borders {
	b := borders{end: pos}
	if s.d.simpleRows {
		rest := data[pos:]
		s.hasQuote = s.d.hasQuote && bytes.IndexByte(rest, s.d.quote) >= 0
		s.hasEsc = s.d.hasEsc && bytes.IndexByte(rest, s.d.esc) >= 0
		s.hasCR = s.d.autoTerm && bytes.IndexByte(rest, '\r') >= 0
		if fastMarks && !s.hasEsc && !s.hasCR && !(s.resync && s.hasQuote) {
			s.markedLines(data, &b)
		}
		for s.lines(data, &b) && s.exact(data, &b, false) {
		}
	} else {
		for s.exact(data, &b, false) {
		}
	}
	if final && b.broken == foundRow {
		for s.exact(data, &b, true) {
		}
	}
	return b
}

// exact takes the next row with the row parser and reports whether it got one.
func (s *rowScanner) exact(data []byte, b *borders, final bool) bool {
	switch result := s.parser.parse(data, b.end, final); result {
	case foundRow:
		b.end = s.parser.end
		b.rows++
		return true
	case foundNone:
		if b.end = s.parser.empty; final {
			b.end = len(data)
		}
	case foundPart:
		b.end = s.parser.empty
	default:
		return s.malformed(data, b, result, final)
	}
	return false
}

// malformed counts a row that the row parser can't take as one, if it is to be
// passed over and can be.
func (s *rowScanner) malformed(data []byte, b *borders, what outcome, final bool) bool {
	result := what
	if s.resync {
		result = s.parser.resync(data, what, final)
	}
	switch result {
	case foundRow:
		b.end = s.parser.end
		b.rows++
		return true
	case foundPart:
		b.end = s.parser.empty
	default:
		b.broken, b.at = what, s.parser.start
	}
	return false
}

// scanned is how many bytes markedLines marks at a time.
const scanned = 4 * minMarked

// longRow is the length in bytes from which on searching for line ends and
// quotes is faster than marking them.
const longRow = 2 << 10

// markedLines takes rows as lines does, 64 bytes at a time, in data without
// escape bytes and carriage returns. It stops at a row that starts as a line of
// white space may, where rows are so long that searching is faster, and at the
// end of the data.
func (s *rowScanner) markedLines(data []byte, b *borders) {
	s.marks.m = &markers{s.d.termByte, s.d.termByte, s.d.termByte, s.d.termByte, s.d.termByte}
	if s.hasQuote {
		s.marks.m[3], s.marks.m[4] = s.d.quote, s.d.quote
	}
	for b.end < len(data) && s.startsRow(data[b.end]) {
		s.marks.fill(data, b.end, scanned)
		before := b.rows
		var open uint64 // all ones if a quote is open before the word
		for i, ends := range s.marks.all {
			if s.hasQuote {
				// Bit n of inside: the number of quotes up to n is odd.
				inside := s.marks.quotes[i]
				ends &^= inside
				for shift := 1; shift < word; shift *= 2 {
					inside ^= inside << shift
				}
				inside ^= open
				open = uint64(int64(inside) >> 63)
				ends &^= inside
			}
			for ; ends != 0; ends &= ends - 1 {
				b.end = s.marks.base + i*word + bits.TrailingZeros64(ends) + 1
				b.rows++
				if b.end == len(data) || !s.startsRow(data[b.end]) {
					return
				}
			}
		}
		if b.rows-before < scanned/longRow {
			return
		}
	}
}

// startsRow reports whether a line that starts with c is certainly a row.
func (s *rowScanner) startsRow(c byte) bool { return c > ' ' && c < 0x80 && c != s.d.termByte }

// lines takes rows as long as they can be told by line ends and quotes. It
// returns true if the row at b.end needs the row parser, false if the
// data end in it.
func (s *rowScanner) lines(data []byte, b *borders) bool {
	d := s.d
	pos := b.end // start of the line; ahead of b.end only by lines of white space
	for {
		n := bytes.IndexByte(data[pos:], d.termByte)
		if n < 0 {
			return s.hasCR && bytes.IndexByte(data[pos:], '\r') >= 0
		}
		line := data[pos : pos+n]
		next := pos + n + 1
		if s.hasCR {
			if line = trimCR(line); bytes.IndexByte(line, '\r') >= 0 {
				return true
			}
		}
		switch s.classify(line) {
		case lineUnsure:
			return true
		case lineBlank:
			if len(line) == 0 && pos == b.end {
				b.end = next
			}
			pos = next
			continue
		}
		if s.hasEsc && !d.harmlessEscapes(line) {
			return true
		}
		if s.resync && s.hasQuote && bytes.IndexByte(line, d.quote) >= 0 {
			return true
		}
		if s.hasQuote && oddQuotes(line, d.quote) {
			var known bool
			if next, known = s.closingLine(data, next); !known {
				return s.hasEsc || s.hasCR
			}
			if next < 0 {
				return true
			}
		}
		b.end = next
		b.rows++
		pos = next
	}
}

// closingLine finds the end of a row whose quotes are open at pos. known is
// false if the data end before; the end is -1 if the row parser has to look.
func (s *rowScanner) closingLine(data []byte, pos int) (end int, known bool) {
	for {
		n := bytes.IndexByte(data[pos:], s.d.termByte)
		if n < 0 {
			return 0, false
		}
		line := data[pos : pos+n]
		pos += n + 1
		if s.hasEsc && !s.d.harmlessEscapes(trimCR(line)) {
			return -1, true
		}
		if s.hasCR && bytes.IndexByte(trimCR(line), '\r') >= 0 {
			return -1, true
		}
		if oddQuotes(line, s.d.quote) {
			return pos, true
		}
	}
}

// harmlessEscapes reports whether no escape byte of a line changes where the
// line ends or what its quotes and separators mean, so that they need not be
// looked at until fields are unescaped. A byte that happens to be the first of a
// longer separator counts as one.
func (d *dialect) harmlessEscapes(line []byte) bool {
	for {
		n := bytes.IndexByte(line, d.esc)
		if n < 0 {
			return true
		}
		if n+1 == len(line) {
			return false
		}
		if b := line[n+1]; b == d.sep[0] || d.hasQuote && b == d.quote {
			return false
		}
		line = line[n+2:]
	}
}

// lineClass says whether a line, without its end, is a row.
type lineClass uint8

const (
	lineRow    lineClass = iota
	lineBlank            // empty, or white space without separator
	lineUnsure           // white space, some of it quotes or escape bytes
)

func (s *rowScanner) classify(line []byte) lineClass {
	if len(line) == 0 {
		return lineBlank
	}
	if c := line[0]; c > ' ' && c < 0x80 || len(bytes.TrimSpace(line)) > 0 {
		return lineRow
	}
	if s.hasQuote && bytes.IndexByte(line, s.d.quote) >= 0 || s.hasEsc && bytes.IndexByte(line, s.d.esc) >= 0 {
		return lineUnsure
	}
	if bytes.Contains(line, s.d.sep) {
		return lineRow
	}
	return lineBlank
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

func oddQuotes(line []byte, quote byte) bool {
	return bytes.Count(line, []byte{quote})%2 == 1
}

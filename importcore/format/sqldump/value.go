package sqldump

import (
	"bytes"
	"encoding/hex"

	"github.com/sluicedb/sluice/importcore/format"
)

// values reads the fields of a row from behind its parenthesis on, and returns the place behind the closing one.
func (r *reader) values(pos int) (end int, _ *syntaxError) {
	data := r.data
	r.fields, r.scratch = r.fields[:0], r.scratch[:0]
	if pos < len(data) && data[pos] == ')' {
		return pos + 1, nil // () is a row of defaults
	}
	for {
		for pos < len(data) && data[pos] <= ' ' {
			pos++
		}
		if pos >= len(data) {
			return 0, &syntaxError{at: pos, text: "the row has no closing parenthesis"}
		}
		var f format.Field
		var err *syntaxError
		switch c := data[pos]; {
		case c == '\'':
			f.Bytes, pos, err = r.text(pos)
		case isDigit(c) || c == '-' && pos+1 < len(data) && data[pos+1] != '-':
			f, pos, err = r.number(pos)
		default:
			f, pos, err = r.other(pos)
		}
		if err != nil {
			return 0, err
		}
		r.fields = append(r.fields, f)
		if pos < len(data) && data[pos] != ',' && data[pos] != ')' {
			if pos, err = r.toSeparator(pos); err != nil {
				return 0, err
			}
		}
		switch {
		case pos >= len(data):
			return 0, &syntaxError{at: pos, text: "the row has no closing parenthesis"}
		case data[pos] == ')':
			return pos + 1, nil
		}
		pos++
	}
}

// toSeparator passes over white space and comments behind a value.
func (r *reader) toSeparator(pos int) (int, *syntaxError) {
	next, err := r.blank(r.data, pos)
	if err != nil {
		return 0, asSyntax(err)
	}
	if next < len(r.data) && r.data[next] != ',' && r.data[next] != ')' {
		return 0, &syntaxError{at: next, text: "a value is followed by something else; only literals can be read, no expressions"}
	}
	return next, nil
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// text reads the string whose quote is at pos.
func (r *reader) text(pos int) ([]byte, int, *syntaxError) {
	q := r.data[pos]
	end, escapes, doubled, err := r.quoted(r.data, pos+1, q)
	if err != nil {
		return nil, 0, asSyntax(err)
	}
	raw := r.data[pos+1 : end-1 : end-1]
	if !escapes && !doubled {
		return raw, end, nil
	}
	from := len(r.scratch)
	r.scratch = r.unescape(r.scratch, raw, q, r.backslash)
	return r.scratch[from:len(r.scratch):len(r.scratch)], end, nil
}

// number reads a number with its sign, or a literal that begins as one: 0x4142, 0b01.
func (r *reader) number(pos int) (f format.Field, end int, _ *syntaxError) {
	data, start := r.data, pos
	if data[pos] == '-' || data[pos] == '+' {
		pos++
	} else if data[pos] == '0' && pos+1 < len(data) && (data[pos+1] == 'x' || data[pos+1] == 'b') {
		return r.prefixed(pos)
	}
	digits := 0
	for pos < len(data) && isDigit(data[pos]) {
		pos++
		digits++
	}
	if pos < len(data) && data[pos] == '.' {
		for pos++; pos < len(data) && isDigit(data[pos]); pos++ {
			digits++
		}
	}
	if digits > 0 && pos < len(data) && data[pos]|0x20 == 'e' {
		exponent := pos + 1
		if exponent < len(data) && (data[exponent] == '-' || data[exponent] == '+') {
			exponent++
		}
		for pos = exponent; pos < len(data) && isDigit(data[pos]); pos++ {
		}
		if pos == exponent {
			digits = 0
		}
	}
	if digits == 0 || pos < len(data) && isWord(data[pos]) {
		return f, 0, &syntaxError{at: start, text: "a value is no literal"}
	}
	return format.Field{Bytes: data[start:pos:pos], Kind: format.Number}, pos, nil
}

// prefixed reads 0x... or 0b....
func (r *reader) prefixed(pos int) (f format.Field, end int, _ *syntaxError) {
	end = pos + 2
	for end < len(r.data) && isWord(r.data[end]) {
		end++
	}
	digits := r.data[pos+2 : end]
	if len(digits) == 0 {
		return f, 0, &syntaxError{at: pos, text: "a hexadecimal or bit literal has no digits"}
	}
	return r.bits(r.data[pos+1], digits, pos, end, true)
}

// bits is the value of a hexadecimal (x) or bit (b) literal. Without half, hexadecimal digits come in pairs.
func (r *reader) bits(base byte, digits []byte, pos, end int, half bool) (f format.Field, _ int, _ *syntaxError) {
	from := len(r.scratch)
	if base|0x20 == 'x' {
		if len(digits)%2 == 1 {
			if !half {
				return f, 0, &syntaxError{at: pos, text: "a hexadecimal literal has an odd number of digits"}
			}
			digits = append([]byte{'0'}, digits...)
		}
		size := hex.DecodedLen(len(digits))
		r.scratch = append(r.scratch, make([]byte, size)...)
		if _, err := hex.Decode(r.scratch[from:], digits); err != nil {
			return f, 0, &syntaxError{at: pos, text: "a hexadecimal literal has other characters than digits"}
		}
	} else {
		for len(digits) > 0 {
			n := (len(digits)-1)%8 + 1
			var v byte
			for _, c := range digits[:n] {
				if c != '0' && c != '1' {
					return f, 0, &syntaxError{at: pos, text: "a bit literal has other characters than 0 and 1"}
				}
				v = v<<1 | (c - '0')
			}
			r.scratch = append(r.scratch, v)
			digits = digits[n:]
		}
	}
	return format.Field{Bytes: r.scratch[from:len(r.scratch):len(r.scratch)], Kind: format.Bits}, end, nil
}

// other reads a value that begins with neither a quote nor a digit.
func (r *reader) other(pos int) (f format.Field, end int, err *syntaxError) {
	data := r.data
	switch c := data[pos]; {
	case c == '"' && !r.ansi:
		f.Bytes, end, err = r.text(pos)
		return f, end, err
	case c == '+' || c == '.':
		return r.number(pos)
	case c == '\\' && pos+1 < len(data) && data[pos+1] == 'N':
		return format.Field{Null: true}, pos + 2, nil
	case c == '/' || c == '#' || c == '-':
		next, blankErr := r.blank(data, pos)
		if blankErr != nil || next == pos || next == len(data) {
			break
		}
		return r.behindComment(next)
	}
	end = pos
	for end < len(data) && isWord(data[end]) {
		end++
	}
	if end == pos {
		return f, 0, &syntaxError{at: pos, text: "a value is no literal"}
	}
	return r.word(pos, end)
}

// behindComment reads the value at pos, of any kind.
func (r *reader) behindComment(pos int) (f format.Field, end int, err *syntaxError) {
	switch c := r.data[pos]; {
	case c == '\'':
		f.Bytes, end, err = r.text(pos)
		return f, end, err
	case isDigit(c) || c == '-':
		return r.number(pos)
	}
	return r.other(pos)
}

// word reads a value that begins with the word at [pos, end).
func (r *reader) word(pos, end int) (f format.Field, _ int, _ *syntaxError) {
	word := r.data[pos:end]
	quoted := end < len(r.data) && (r.data[end] == '\'' || r.data[end] == '"' && !r.ansi)
	switch {
	case equalWord(word, "NULL"):
		return format.Field{Null: true}, end, nil
	case equalWord(word, "TRUE"):
		return format.Field{Bytes: []byte("1"), Kind: format.Number}, end, nil
	case equalWord(word, "FALSE"):
		return format.Field{Bytes: []byte("0"), Kind: format.Number}, end, nil
	case equalWord(word, "DEFAULT"):
		return format.Field{Kind: format.Default}, end, nil
	case word[0] == '_':
		return r.introduced(pos, end)
	case equalWord(word, "CONVERT"):
		return r.converted(pos, end)
	case quoted && equalWord(word, "N"):
		text, end, err := r.text(end)
		return format.Field{Bytes: text}, end, err
	case quoted && len(word) == 1 && (word[0]|0x20 == 'x' || word[0]|0x20 == 'b'):
		n := bytes.IndexByte(r.data[end+1:], r.data[end])
		if n >= 0 {
			return r.bits(word[0], r.data[end+1:end+1+n], pos, end+n+2, false)
		}
	}
	return f, 0, &syntaxError{at: pos, text: "a value is no literal; expressions can't be read"}
}

// introduced reads a literal behind a character set: _binary'...'.
func (r *reader) introduced(pos, end int) (f format.Field, _ int, _ *syntaxError) {
	kind := format.Text
	switch word := r.data[pos:end]; {
	case equalWord(word, "_BINARY"):
		kind = format.Binary
	case equalWord(word, "_UTF8MB4"), equalWord(word, "_UTF8"), equalWord(word, "_UTF8MB3"), equalWord(word, "_ASCII"):
	default:
		return f, 0, &syntaxError{at: pos, text: "a text in another character set than utf8mb4, or an expression"}
	}
	next, err := r.blank(r.data, end)
	if err != nil || next == len(r.data) {
		return f, 0, &syntaxError{at: pos, text: "a value is no literal"}
	}
	switch c := r.data[next]; {
	case c == '\'' || c == '"' && !r.ansi:
		text, end, err := r.text(next)
		return format.Field{Bytes: text, Kind: kind}, end, err
	case c == '0' || c|0x20 == 'x' || c|0x20 == 'b':
		f, end, err := r.other0(next)
		if err == nil && f.Kind != format.Bits {
			err = &syntaxError{at: pos, text: "a value is no literal"}
		}
		f.Kind = kind // it isn't a number any more
		return f, end, err
	}
	return f, 0, &syntaxError{at: pos, text: "a value is no literal"}
}

// other0 reads a hexadecimal or bit literal.
func (r *reader) other0(pos int) (format.Field, int, *syntaxError) {
	if r.data[pos] == '0' {
		return r.number(pos)
	}
	return r.other(pos)
}

// converted reads CONVERT('...' USING utf8mb4).
func (r *reader) converted(pos, end int) (f format.Field, _ int, _ *syntaxError) {
	no := &syntaxError{at: pos, text: "a value is no literal; expressions can't be read"}
	next, err := r.blank(r.data, end)
	if err != nil || next == len(r.data) || r.data[next] != '(' {
		return f, 0, no
	}
	if next, err = r.blank(r.data, next+1); err != nil || next == len(r.data) {
		return f, 0, no
	}
	switch c := r.data[next]; {
	case c == '\'' || c == '"' && !r.ansi:
		text, after, err := r.text(next)
		if err != nil {
			return f, 0, err
		}
		f.Bytes, end = text, after
	default:
		value, after, err := r.other(next)
		if err != nil || value.Kind == format.Number || value.Kind == format.Default {
			return f, 0, no
		}
		f, end = value, after
		f.Kind = format.Text
	}
	for _, want := range []string{"USING", "UTF8MB4", ")"} {
		if end, err = r.blank(r.data, end); err != nil || end == len(r.data) {
			return f, 0, no
		}
		from := end
		for end < len(r.data) && isWord(r.data[end]) {
			end++
		}
		if want == ")" {
			if end != from || r.data[end] != ')' {
				return f, 0, no
			}
			return f, end + 1, nil
		}
		if word := r.data[from:end]; !equalWord(word, want) && (want != "UTF8MB4" || !equalWord(word, "UTF8")) {
			return f, 0, no
		}
	}
	return f, 0, no
}

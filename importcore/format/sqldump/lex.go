package sqldump

import (
	"bytes"
	"errors"
)

// lexer finds the ends of what SQL text is made of. Its functions return errMore if the data end before that is certain; with
// final, nothing follows the data.
type lexer struct {
	backslash bool // is an escape in strings
	ansi      bool // double quotes enclose names
	final     bool
}

// errMore says that more data are needed.
var errMore = errors.New("more data are needed")

// syntaxError is what is wrong at a place of the data.
type syntaxError struct {
	at   int
	text string
}

// Error implements error.
func (e *syntaxError) Error() string { return e.text }

func wrong(at int, text string) error { return &syntaxError{at: at, text: text} }

// unfinished is the error at the end of the data, inside of what begins at a place.
func (l *lexer) unfinished(at int, what string) error {
	if l.final {
		return wrong(at, "the file ends within "+what)
	}
	return errMore
}

// plainSteps is how far a string is looked at byte by byte before searching for its end is faster.
const plainSteps = 24

// quoted returns the end of what is enclosed in q, from behind the first q on. escapes tells whether it has backslash
// escapes, doubled whether it may have doubled quotes or escapes, so that it isn't its own text.
func (l *lexer) quoted(data []byte, pos int, q byte) (end int, escapes, doubled bool, err error) {
	start := pos - 1
	back := l.backslash && q != '`' && !(q == '"' && l.ansi)
	limit := min(len(data), pos+plainSteps)
	for pos < len(data) {
		for pos < limit && data[pos] != q && !(back && data[pos] == '\\') {
			pos++
		}
		if pos == limit {
			if pos = l.search(data, pos, q, back); pos < 0 {
				break
			}
			limit = min(len(data), pos+plainSteps)
		}
		if data[pos] == '\\' && back {
			escapes = true
			pos += 2
			limit = max(limit, pos)
			continue
		}
		if pos+1 == len(data) && !l.final {
			return 0, false, false, errMore
		}
		if pos+1 == len(data) || data[pos+1] != q {
			return pos + 1, escapes, doubled, nil
		}
		doubled = true
		pos += 2
		limit = max(limit, pos)
	}
	return 0, false, false, l.unfinished(start, "a quoted text")
}

// search returns the place of the next q, or of a backslash before it; -1 if there is neither. It goes in steps, because a text
// with many backslashes would be searched for its end again and again.
func (l *lexer) search(data []byte, pos int, q byte, back bool) int {
	for ; pos < len(data); pos += searchStep {
		step := data[pos:min(len(data), pos+searchStep)]
		n := bytes.IndexByte(step, q)
		if back {
			head := step
			if n >= 0 {
				head = step[:n]
			}
			if m := bytes.IndexByte(head, '\\'); m >= 0 {
				n = m
			}
		}
		if n >= 0 {
			return pos + n
		}
	}
	return -1
}

const searchStep = 4 << 10

// blank returns the place behind white space and comments. Comments of the form /*! are code.
func (l *lexer) blank(data []byte, pos int) (int, error) {
	for pos < len(data) {
		switch c := data[pos]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			pos++
		case c == '#' || c == '-' || c == '/':
			end, err := l.comment(data, pos)
			if err != nil || end == pos {
				return pos, err
			}
			pos = end
		default:
			return pos, nil
		}
	}
	return pos, nil
}

// comment returns the place behind the comment at pos, or pos if there is none.
func (l *lexer) comment(data []byte, pos int) (int, error) {
	rest := data[pos:]
	switch {
	case rest[0] == '#':
		return l.line(data, pos)
	case len(rest) < 3 && !l.final:
		return 0, errMore
	case bytes.HasPrefix(rest, []byte("--")) && (len(rest) == 2 || rest[2] <= ' '):
		return l.line(data, pos)
	case bytes.HasPrefix(rest, []byte("/*")) && !isCode(rest):
		if n := bytes.Index(rest[2:], []byte("*/")); n >= 0 {
			return pos + 2 + n + 2, nil
		}
		return 0, l.unfinished(pos, "a comment")
	}
	return pos, nil
}

// isCode tells whether a comment is one that MySQL or TiDB executes.
func isCode(comment []byte) bool {
	return bytes.HasPrefix(comment, []byte("/*!")) || bytes.HasPrefix(comment, []byte("/*T!"))
}

func (l *lexer) line(data []byte, pos int) (int, error) {
	if n := bytes.IndexByte(data[pos:], '\n'); n >= 0 {
		return pos + n + 1, nil
	}
	if l.final {
		return len(data), nil
	}
	return 0, errMore
}

// special marks the bytes that matter between parentheses outside of quotes.
var special = func() (set [256]bool) {
	for _, c := range []byte("'\"`()/#-;") {
		set[c] = true
	}
	return set
}()

// row returns the end of the row whose parenthesis opens at pos.
func (l *lexer) row(data []byte, pos int) (int, error) {
	start, depth := pos, 0
	for pos < len(data) {
		c := data[pos]
		if !special[c] {
			pos++
			continue
		}
		switch c {
		case '(':
			depth++
			pos++
		case ')':
			pos++
			if depth--; depth == 0 {
				return pos, nil
			}
		case '\'', '"', '`':
			end, _, _, err := l.quoted(data, pos+1, c)
			if err != nil {
				return 0, err
			}
			pos = end
		case ';':
			return 0, wrong(start, "the row has no closing parenthesis")
		default:
			end, err := l.comment(data, pos)
			if err != nil {
				return 0, err
			}
			pos = max(end, pos+1)
		}
	}
	return 0, l.unfinished(start, "a row")
}

// statement returns the place behind the statement at pos and its delimiter, and where the delimiter starts.
func (l *lexer) statement(data []byte, pos int, delimiter string) (text, end int, err error) {
	start := pos
	for pos < len(data) {
		switch c := data[pos]; {
		case c == delimiter[0]:
			if len(data)-pos < len(delimiter) && !l.final {
				return 0, 0, errMore
			}
			if bytes.HasPrefix(data[pos:], []byte(delimiter)) {
				return pos, pos + len(delimiter), nil
			}
			pos++
		case c == '\'' || c == '"' || c == '`':
			if pos, _, _, err = l.quoted(data, pos+1, c); err != nil {
				return 0, 0, err
			}
		case c == '#' || c == '-' || c == '/':
			after, err := l.comment(data, pos)
			if err != nil {
				return 0, 0, err
			}
			pos = max(after, pos+1)
		default:
			pos++
		}
	}
	return 0, 0, l.unfinished(start, "a statement")
}

// isWord tells whether a byte may be in a word.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// word returns the end of the word at pos, which is pos if there is none.
func (l *lexer) word(data []byte, pos int) (int, error) {
	for pos < len(data) && isWord(data[pos]) {
		pos++
	}
	if pos == len(data) && !l.final {
		return 0, errMore
	}
	return pos, nil
}

// name reads the identifier at pos, quoted or not.
func (l *lexer) name(data []byte, pos int) (name string, end int, err error) {
	if pos == len(data) {
		return "", 0, l.unfinished(pos, "a statement")
	}
	if q := data[pos]; q == '`' || q == '"' {
		// Names have no escapes, whatever the SQL mode.
		end, _, doubled, err := (&lexer{ansi: true, final: l.final}).quoted(data, pos+1, q)
		if err != nil {
			return "", 0, err
		}
		text := data[pos+1 : end-1]
		if doubled {
			text = bytes.ReplaceAll(text, []byte{q, q}, []byte{q})
		}
		return string(text), end, nil
	}
	end, err = l.word(data, pos)
	if err == nil && end == pos {
		err = wrong(pos, "a name is missing")
	}
	return string(data[pos:max(pos, end)]), end, err
}

package sqldump

import (
	"bytes"
	"strings"
)

// token is a word, a string or a mark of a statement.
type token struct {
	kind tokenKind
	text string // of a string, its value
	at   int    // in the statement's text
}

type tokenKind uint8

const (
	tokenWord   tokenKind = iota // with variables' @, names without quotes, and numbers
	tokenName                    // in backticks
	tokenString                  // in quotes
	tokenMark                    // any other byte, and :=
)

// is compares a word or mark in any case.
func (t token) is(word string) bool {
	return (t.kind == tokenWord || t.kind == tokenMark) && strings.EqualFold(t.text, word)
}

// tokens divides a whole statement, of which it returns most at most. Code in comments counts as if it were none.
func (l *lexer) tokens(text []byte, most int) (list []token) {
	whole := *l
	whole.final = true
	for pos := 0; pos < len(text) && len(list) < most; {
		c := text[pos]
		switch {
		case c <= ' ':
			pos++
		case isCode(text[pos:]):
			pos = behindVersion(text, pos)
		case bytes.HasPrefix(text[pos:], []byte("*/")):
			pos += 2
		case c == '\'' || c == '"' || c == '`':
			end, _, _, err := whole.quoted(text, pos+1, c)
			if err != nil {
				return list
			}
			t := token{kind: tokenString, at: pos}
			if c == '`' || c == '"' && l.ansi {
				t.kind = tokenName
			}
			t.text = string(whole.unquoted(text[pos:end]))
			list, pos = append(list, t), end
		case isWord(c) || c == '@':
			end := pos + 1
			for end < len(text) && (isWord(text[end]) || text[end] == '@' || text[end] == '.') {
				end++
			}
			list, pos = append(list, token{kind: tokenWord, text: string(text[pos:end]), at: pos}), end
		default:
			if end, err := whole.comment(text, pos); err != nil || end > pos {
				if err != nil {
					return list
				}
				pos = end
				continue
			}
			end := pos + 1
			if c == ':' && end < len(text) && text[end] == '=' {
				end++
			}
			list, pos = append(list, token{kind: tokenMark, text: string(text[pos:end]), at: pos}), end
		}
	}
	return list
}

// behindVersion returns the place of the code in the comment at pos.
func behindVersion(text []byte, pos int) int {
	pos += bytes.IndexByte(text[pos:], '!') + 1
	for n := 0; n < 6 && pos < len(text) && text[pos] >= '0' && text[pos] <= '9'; n++ {
		pos++
	}
	if pos < len(text) && text[pos] == '[' { // a feature of TiDB
		if n := bytes.IndexByte(text[pos:], ']'); n >= 0 {
			pos += n + 1
		}
	}
	return pos
}

// unquoted returns the text of a quoted name or string.
func (l *lexer) unquoted(raw []byte) []byte {
	q := raw[0]
	raw = raw[1 : len(raw)-1]
	return l.unescape(nil, raw, q, l.backslash && q == '\'' || l.backslash && q == '"' && !l.ansi)
}

// unescape appends what raw stands for inside of quotes q to dst. See
// https://dev.mysql.com/doc/refman/8.0/en/string-literals.html for the escapes.
func (l *lexer) unescape(dst, raw []byte, q byte, backslash bool) []byte {
	for len(raw) > 0 {
		i := 0
		for i < len(raw) && raw[i] != q && !(backslash && raw[i] == '\\') {
			i++
		}
		dst = append(dst, raw[:i]...)
		if i+1 >= len(raw) {
			break
		}
		c := raw[i+1]
		if raw[i] == '\\' && backslash {
			switch c {
			case '0':
				c = 0
			case 'b':
				c = '\b'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'Z':
				c = 26
			case '%', '_':
				dst = append(dst, '\\')
			}
		}
		dst = append(dst, c)
		raw = raw[i+2:]
	}
	return dst
}

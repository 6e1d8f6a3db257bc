package sqlext

import "bytes"

// MaybeOurs tells whether a text of one or more statements can hold one of
// ours. False is final: for every text for which Parse returns a statement or
// an error, MaybeOurs is true. It allocates nothing, and looks at the first
// words of each statement only; statements after the first are found by their
// ';' without regard to quotes, which can only turn a "no" into a "maybe".
//
// The rules for blanks and comments are those of TiDB's lexer
// (pkg/parser/lexer.go of the TiDB module), which differ from MySQL's: bytes
// 0x85 and 0xA0 are blanks, /*! ... */ is always executed.
func MaybeOurs(sql []byte) bool {
	// Blanks and comments may be walked once per ';' inside them. The budget
	// keeps hostile texts linear: past it, the parser decides.
	budget := 8*len(sql) + 64
	for {
		ours, walked := startsLikeOurs(sql)
		budget -= walked
		if ours || budget < 0 {
			return true
		}
		i := bytes.IndexByte(sql, ';')
		if i < 0 {
			return false
		}
		sql = sql[i+1:]
	}
}

// startsLikeOurs looks at one statement's first words. walked is the number of
// bytes that it had to look at.
func startsLikeOurs(sql []byte) (ours bool, walked int) {
	rest, certain := skipBlank(sql)
	if !certain {
		return true, 0
	}
	word, rest := cutWord(rest)
	switch {
	case len(word) < 4 || len(word) > 8:
		return false, len(sql) - len(rest)
	case foldEqual(word, "IMPORT"):
		return true, 0
	case foldEqual(word, "RESTORE"):
		ours, rest = nextWordIs(rest, "DATABASE", "SCHEMA", "TABLE", "")
	case foldEqual(word, "SHOW"):
		ours, rest = nextWordIs(rest, "IMPORT", "RESTORES", "RAW", "")
	case foldEqual(word, "CANCEL"), foldEqual(word, "PAUSE"), foldEqual(word, "RESUME"),
		foldEqual(word, "RETRY"), foldEqual(word, "ALTER"), foldEqual(word, "REPAIR"):
		ours, rest = nextWordIs(rest, "IMPORT", "", "", "")
	case foldEqual(word, "EXPLAIN"), foldEqual(word, "DESC"), foldEqual(word, "DESCRIBE"):
		// ANALYZE and FORMAT may stand before the statement explained.
		ours, rest = nextWordIs(rest, "IMPORT", "RESTORE", "ANALYZE", "FORMAT")
	}
	return ours, len(sql) - len(rest)
}

// nextWordIs compares the next word with up to four. An empty one equals no
// word, as every word has a byte; what follows ALTER and is no word (a
// back-quoted name, say) belongs to no statement of ours.
func nextWordIs(sql []byte, a, b, c, d string) (is bool, rest []byte) {
	rest, certain := skipBlank(sql)
	if !certain {
		return true, rest
	}
	word, rest := cutWord(rest)
	is = len(word) > 0 && (foldEqual(word, a) || foldEqual(word, b) || foldEqual(word, c) || foldEqual(word, d))
	return is, rest
}

// skipBlank drops blanks and comments. It opens /*! (and drops the stray */
// that closes it). certain is false for /*T!, where only TiDB's lexer knows
// whether the feature list makes it a comment.
func skipBlank(sql []byte) (rest []byte, certain bool) {
	for len(sql) > 0 {
		c := sql[0]
		switch {
		case isBlank(c):
			sql = sql[1:]
		case c == '#':
			sql = skipLine(sql)
		case c == '-' && len(sql) >= 2 && sql[1] == '-' && (len(sql) == 2 || isBlank(sql[2])):
			sql = skipLine(sql)
		case c == '*' && len(sql) >= 2 && sql[1] == '/':
			sql = sql[2:]
		case c == '/' && len(sql) >= 2 && sql[1] == '*':
			if len(sql) >= 4 && sql[2] == 'T' && sql[3] == '!' {
				return sql, false
			}
			if len(sql) >= 3 && sql[2] == '!' {
				sql = skipVersion(sql[3:])
				continue
			}
			sql = skipComment(sql[2:])
		default:
			return sql, true
		}
	}
	return nil, true
}

// isBlank is unicode.IsSpace of a single byte taken as a code point, which is
// what TiDB's lexer asks.
func isBlank(c byte) bool {
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0
}

func skipLine(sql []byte) []byte {
	i := bytes.IndexByte(sql, '\n')
	if i < 0 {
		return nil
	}
	return sql[i:]
}

// skipVersion drops the five digits of /*!50110. Fewer than five are no
// version but the statement's first token.
func skipVersion(sql []byte) []byte {
	if len(sql) < 5 {
		return sql
	}
	for _, c := range sql[:5] {
		if c < '0' || c > '9' {
			return sql
		}
	}
	return sql[5:]
}

// skipComment drops up to and including the closing */. The byte after /* is
// never the slash that closes, so /*/ stays open.
func skipComment(sql []byte) []byte {
	for {
		i := bytes.IndexByte(sql, '*')
		if i < 0 || i+1 >= len(sql) {
			return nil
		}
		if sql[i+1] == '/' {
			return sql[i+2:]
		}
		sql = sql[i+1:]
	}
}

// cutWord takes the letters, digits, _, $ and bytes of 0x80 and more from the
// front, as the lexer does for an identifier.
func cutWord(sql []byte) (word, rest []byte) {
	i := 0
	for i < len(sql) && isWordByte(sql[i]) {
		i++
	}
	return sql[:i], sql[i:]
}

func isWordByte(c byte) bool {
	return (c|0x20 >= 'a' && c|0x20 <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c >= 0x80
}

// foldEqual compares with an upper-case ASCII word.
func foldEqual(b []byte, upper string) bool {
	if len(b) != len(upper) {
		return false
	}
	for i := range b {
		c := b[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

package sqldump

import (
	"strings"
)

// Setting is a variable of the session as a dump has set it. The zero value is the job's own.
type Setting struct {
	Given bool
	Text  string
}

// Settings are the variables of which it depends what rows mean. A job's own hold where they aren't given.
type Settings struct {
	// SQLMode matters for NO_BACKSLASH_ESCAPES, ANSI_QUOTES and NO_AUTO_VALUE_ON_ZERO. What it says of values that don't fit is the job's.
	SQLMode Setting
	// TimeZone is what TIMESTAMP values are written in.
	TimeZone Setting
	// Charset is that of the file's text.
	Charset Setting
}

// has tells whether an SQL mode is in force; own tells for the job's.
func (s *Settings) has(mode string, own bool) bool {
	if !s.SQLMode.Given {
		return own
	}
	for _, m := range strings.Split(s.SQLMode.Text, ",") {
		if m = strings.TrimSpace(m); strings.EqualFold(m, mode) || mode == ansiQuotes && strings.EqualFold(m, "ANSI") {
			return true
		}
	}
	return false
}

// NoAutoValueOnZero tells whether the dump says that 0 is no wish for a generated value.
func (s *Settings) NoAutoValueOnZero() bool { return s.has("NO_AUTO_VALUE_ON_ZERO", false) }

const (
	noBackslashEscapes = "NO_BACKSLASH_ESCAPES"
	ansiQuotes         = "ANSI_QUOTES"
)

// unknown is a setting whose value only a server could tell.
const unknown = "\x00unknown"

// session is what SET has done so far.
type session struct {
	Settings
	vars map[string]Setting // user variables by name in lower case
	// collation is collation_connection, which says nothing of rows, but views keep it.
	collation Setting
	resumed   bool // statements before the place where reading began aren't known
}

// problem says why rows can't be read with the present settings, or "".
func (s *session) problem() string {
	switch {
	case s.SQLMode.Text == unknown:
		return "the sql_mode"
	case s.TimeZone.Text == unknown:
		return "the time_zone"
	case s.Charset.Text == unknown:
		return "the character set"
	}
	return ""
}

// foreignCharset returns the character set of the text if it isn't UTF-8 or a part of it, else "".
func (s *session) foreignCharset() string {
	switch strings.ToLower(s.Charset.Text) {
	case "", "utf8mb4", "utf8", "utf8mb3", "binary", "ascii", unknown:
		return ""
	}
	return s.Charset.Text
}

// set obeys a SET statement, given its tokens behind the word.
func (s *session) set(list []token) {
	if len(list) > 0 && list[0].is("NAMES") {
		s.collation = Setting{}
		s.Charset = s.value(list[1:min(2, len(list))])
		return
	}
	if len(list) > 2 && list[0].is("CHARACTER") || len(list) > 1 && list[0].is("CHARSET") {
		s.Charset = s.value(list[len(list)-1:])
		return
	}
	for len(list) > 0 {
		var one []token
		one, list = cutAtComma(list)
		s.assign(one)
	}
}

// cutAtComma divides tokens at the first comma outside of parentheses.
func cutAtComma(list []token) (one, rest []token) {
	depth := 0
	for i, t := range list {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case t.is(",") && depth == 0:
			return list[:i], list[i+1:]
		}
	}
	return list, nil
}

// assign obeys "[scope] name = expression".
func (s *session) assign(list []token) {
	for i, t := range list {
		if !t.is("=") && !t.is(":=") {
			continue
		}
		if i == 0 {
			return
		}
		for _, scope := range list[:i] {
			if scope.is("GLOBAL") || scope.is("PERSIST") {
				return // not this session's
			}
		}
		s.store(strings.ToLower(list[i-1].text), s.value(list[i+1:]))
		return
	}
}

func (s *session) store(name string, v Setting) {
	if strings.HasPrefix(name, "@") && !strings.HasPrefix(name, "@@") {
		if s.vars == nil {
			s.vars = map[string]Setting{}
		}
		s.vars[name] = v
		return
	}
	if at := s.variable(name); at != nil {
		*at = v
	}
}

// variable returns the setting of a name such as @@session.time_zone; nil if it doesn't matter.
func (s *session) variable(name string) *Setting {
	name = strings.TrimPrefix(name, "@@")
	for _, scope := range []string{"session.", "local."} {
		name = strings.TrimPrefix(name, scope)
	}
	switch name {
	case "sql_mode":
		return &s.SQLMode
	case "time_zone":
		return &s.TimeZone
	case "character_set_client":
		return &s.Charset
	case "collation_connection":
		return &s.collation
	}
	return nil
}

// value returns what an expression is, as far as that can be told.
func (s *session) value(list []token) Setting {
	if len(list) != 1 {
		return Setting{Given: true, Text: unknown}
	}
	t := list[0]
	name := strings.ToLower(t.text)
	switch {
	case t.kind == tokenString:
		return Setting{Given: true, Text: t.text}
	case strings.HasPrefix(name, "@@"):
		if at := s.variable(name); at != nil {
			return *at
		}
		return Setting{Given: true, Text: unknown}
	case strings.HasPrefix(name, "@"):
		v, known := s.vars[name]
		if !known && s.resumed {
			v = Setting{Given: true, Text: unknown}
		}
		return v
	case name == "default":
		return Setting{}
	default:
		return Setting{Given: true, Text: t.text}
	}
}

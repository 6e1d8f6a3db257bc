package sqldump

import (
	"bytes"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/importcore/format"
)

// parser goes from statement to statement. It is used by one goroutine.
type parser struct {
	lexer
	own       format.Heading // the job's SQL mode
	session   session
	delimiter string
	head      head
}

func newParser(cfg Config) parser {
	p := parser{own: format.Heading{NoBackslashEscapes: cfg.NoBackslashEscapes, ANSIQuotes: cfg.ANSIQuotes}, delimiter: ";"}
	p.obey()
	return p
}

// obey makes the session's settings those that text is read with.
func (p *parser) obey() {
	p.backslash = !p.session.has(noBackslashEscapes, p.own.NoBackslashEscapes)
	p.ansi = p.session.has(ansiQuotes, p.own.ANSIQuotes)
}

// head is what comes before the rows of an INSERT.
type head struct {
	text    []byte // of the last one, up to its VALUES: the next one is the same as a rule
	db      string
	table   string
	heading *format.Heading
}

// itemKind is what comes next in a dump.
type itemKind uint8

const (
	itemNone  itemKind = iota // nothing but white space and comments
	itemRows                  // an INSERT, up to its first row
	itemOther                 // any other statement, whole
)

// item is a statement, or the head of an INSERT, at [start, end) of the data.
type item struct {
	kind       itemKind
	start, end int
	text       int  // where the statement's text ends, without its delimiter
	fresh      bool // the head isn't the same as the one before
	head       head // of itemRows
}

// next finds the item at or behind pos, and changes nothing. Between two calls follow must have been called with the item, or
// with itemRows that aren't fresh need not. errMore comes with the place up to which nothing is needed again.
func (p *parser) next(data []byte, pos int) (it item, err error) {
	for {
		start := pos
		if pos, err = p.blank(data, pos); err != nil {
			return item{start: start}, err
		}
		if pos == len(data) {
			return item{start: pos, end: pos}, nil
		}
		if !bytes.HasPrefix(data[pos:], []byte(p.delimiter)) {
			break
		}
		pos += len(p.delimiter)
	}
	it = item{start: pos}
	if t := p.head.text; len(t) > 0 && len(data)-pos > len(t) && bytes.Equal(data[pos:pos+len(t)], t) && !isWord(data[pos+len(t)]) {
		it.kind, it.head = itemRows, p.head
		it.end, err = p.firstRow(data, pos+len(t))
		return it, err
	}
	end, err := p.word(data, pos)
	if err != nil {
		return it, err
	}
	switch word := data[pos:end]; {
	case equalWord(word, "INSERT"), equalWord(word, "REPLACE"):
		it.kind, it.fresh = itemRows, true
		it.head, it.end, err = p.readHead(data, pos, end)
	case equalWord(word, "DELIMITER"):
		it.kind = itemOther
		it.end, err = p.line(data, end)
		it.text = it.end
	default:
		it.kind = itemOther
		it.text, it.end, err = p.statement(data, pos, p.delimiter)
	}
	return it, err
}

// equalWord compares a word, in any case, with one in upper case.
func equalWord(word []byte, upper string) bool {
	return len(word) == len(upper) && strings.EqualFold(string(word), upper)
}

// firstRow returns the place of the parenthesis behind VALUES.
func (p *parser) firstRow(data []byte, pos int) (int, error) {
	pos, err := p.blank(data, pos)
	switch {
	case err != nil:
		return 0, err
	case pos == len(data):
		return 0, p.unfinished(pos, "an INSERT")
	case data[pos] != '(':
		return 0, wrong(pos, "there is no row behind VALUES")
	}
	return pos, nil
}

// readHead reads what comes behind INSERT or REPLACE.
func (p *parser) readHead(data []byte, start, pos int) (h head, end int, err error) {
	var word string
	for {
		if pos, err = p.blank(data, pos); err != nil {
			return h, 0, err
		}
		if word, end, err = p.name(data, pos); err != nil {
			return h, 0, err
		}
		if quoted := data[pos] == '`' || data[pos] == '"'; quoted || !isModifier(word) {
			break
		}
		pos = end
	}
	h.table = word
	if pos, err = p.blank(data, end); err != nil {
		return h, 0, err
	}
	if pos < len(data) && data[pos] == '.' {
		h.db = h.table
		if h.table, pos, err = p.name(data, pos+1); err != nil {
			return h, 0, err
		}
		if pos, err = p.blank(data, pos); err != nil {
			return h, 0, err
		}
	}
	heading := &format.Heading{NoBackslashEscapes: !p.backslash, ANSIQuotes: p.ansi}
	if pos < len(data) && data[pos] == '(' {
		if heading.Columns, pos, err = p.columns(data, pos+1); err != nil {
			return h, 0, err
		}
		if pos, err = p.blank(data, pos); err != nil {
			return h, 0, err
		}
	}
	end, err = p.word(data, pos)
	if err != nil {
		return h, 0, err
	}
	if word := data[pos:end]; !equalWord(word, "VALUES") && !equalWord(word, "VALUE") {
		return h, 0, wrong(start, "only INSERT and REPLACE with VALUES can be read")
	}
	h.text, h.heading = bytes.Clone(data[start:end]), heading
	end, err = p.firstRow(data, end)
	return h, end, err
}

func isModifier(word string) bool {
	switch strings.ToUpper(word) {
	case "INTO", "IGNORE", "LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY":
		return true
	}
	return false
}

// columns reads a list of columns behind its parenthesis.
func (p *parser) columns(data []byte, pos int) (list []string, end int, err error) {
	list = []string{}
	for {
		if pos, err = p.blank(data, pos); err != nil {
			return nil, 0, err
		}
		if pos < len(data) && data[pos] == ')' && len(list) == 0 {
			return list, pos + 1, nil
		}
		var name string
		if name, pos, err = p.name(data, pos); err != nil {
			return nil, 0, err
		}
		list = append(list, name)
		if pos, err = p.blank(data, pos); err != nil {
			return nil, 0, err
		}
		if pos == len(data) {
			return nil, 0, p.unfinished(pos, "an INSERT")
		}
		pos++
		switch data[pos-1] {
		case ',':
		case '.':
			list = list[:len(list)-1] // the table's name
		case ')':
			return list, pos, nil
		default:
			return nil, 0, wrong(pos-1, "a list of columns is malformed")
		}
	}
}

// sameRows tells whether rows below two heads mean the same.
func sameRows(a, b *head) bool {
	if a.heading == b.heading {
		return true
	}
	return a.heading != nil && b.heading != nil && a.table == b.table && a.db == b.db &&
		(a.heading.Columns == nil) == (b.heading.Columns == nil) && slices.Equal(a.heading.Columns, b.heading.Columns) &&
		a.heading.NoBackslashEscapes == b.heading.NoBackslashEscapes && a.heading.ANSIQuotes == b.heading.ANSIQuotes
}

// follow makes an item the present one. What a statement does is in the result; a statement that can't be passed over is an error.
func (p *parser) follow(data []byte, it *item) (verb, error) {
	if it.kind == itemRows {
		if it.fresh {
			if sameRows(&p.head, &it.head) {
				it.head.heading = p.head.heading
			}
			p.head = it.head
		}
		return verb{}, nil
	}
	text := data[it.start:it.text]
	list := p.tokens(text, mostTokens)
	if len(list) > 0 && list[0].is("DELIMITER") {
		p.delimiter = strings.TrimSpace(string(text[len("DELIMITER"):]))
		if p.delimiter == "" {
			p.delimiter = ";"
			return verb{}, wrong(it.start, "DELIMITER has no delimiter")
		}
		return verb{}, nil
	}
	v, ok := classify(list)
	if !ok {
		word := "?"
		if len(list) > 0 {
			word = list[0].text
		}
		return v, wrong(it.start, "a statement that a dump of rows can't have, or that isn't understood: "+strings.ToUpper(clip(word)))
	}
	if v.what == doesSet {
		p.session.set(list[1:])
		p.obey()
		p.head.text = nil // the next one is read with the settings
	}
	return v, nil
}

// mostTokens is how many tokens of a statement are looked at: SET lists, and the beginnings of others.
const mostTokens = 4096

func clip(s string) string {
	if len(s) > 32 {
		return s[:32]
	}
	return s
}

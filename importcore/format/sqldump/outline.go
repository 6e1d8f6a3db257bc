package sqldump

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/source"
)

// Kind is what a statement of a dump makes.
type Kind uint8

// The kinds of statements that an Outline has.
const (
	CreateDatabase Kind = iota + 1
	CreateTable
	CreateView
	CreateSequence
	SetSequence // sets a sequence to its value: DO SETVAL(...), SELECT SETVAL(...)
)

// Outline is what a dump in one file holds.
type Outline struct {
	// Statements make databases, tables, views and sequences, in the file's order. What the file drops again, as mysqldump does with the
	// tables that stand for views until these are made, isn't there.
	Statements []Statement
	// Rows are the sections with rows, in the file's order; a table may have several.
	Rows []Rows
	// Skipped are statements that make something else: triggers, routines, events, users and their privileges.
	Skipped []Skipped
}

// Statement makes what Kind says.
type Statement struct {
	Kind Kind
	// Database is where it is made: named in the text, or by the USE before it; "" if neither does. Name is "" for a database.
	Database, Name string
	// Text is the statement without its delimiter, as the file has it.
	Text string
	// Offset and Line are its place in the file's text.
	Offset, Line int64
	// Collation is collation_connection if the file sets it before, else "". A view keeps it.
	Collation string
}

// Rows is a section with rows of one table.
type Rows struct {
	Database, Table string
	Section         Section
}

// Bytes returns the length of the section's text.
func (r *Rows) Bytes() int64 { return r.Section.End - r.Section.Start }

// Skipped is a statement that was left out.
type Skipped struct {
	// What is in words: trigger, procedure, privileges.
	What, Database, Name string
	Offset, Line         int64
}

// ReadOutline reads a whole file and says what is in it. store gives its text, unpacked. Errors are those of the store, and
// *fault.Error of the source with its place for what isn't understood, as NewSplitter's.
func ReadOutline(ctx context.Context, store source.Store, file *source.File, cfg Config) (_ *Outline, err error) {
	in, err := store.Open(ctx, *file, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	o := outliner{parser: newParser(cfg), in: in, file: file, at: 1, buf: make([]byte, 0, outlineBytes)}
	if err := o.run(ctx); err != nil {
		return nil, err
	}
	return &o.out, nil
}

// outlineBytes are read at a time.
const outlineBytes = 1 << 20

// outliner is a ReadOutline under way.
type outliner struct {
	parser
	in     io.Reader
	file   *source.File
	buf    []byte // what was read and isn't done with
	offset int64  // of buf in the file
	at     int64  // line of buf
	db     string // that of the last USE
	out    Outline
	rows   *Rows // the section that may go on
}

func (o *outliner) run(ctx context.Context) error {
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		it, err := o.take(func() (item, error) { return o.parser.next(o.buf, 0) })
		if err != nil {
			return err
		}
		switch {
		case it.kind == itemNone && o.final:
			return nil
		case it.kind == itemNone:
			o.drop(it.end)
			err = o.more()
		case it.kind == itemRows:
			err = o.insert(ctx, &it)
		default:
			err = o.other(&it)
		}
		if err != nil {
			return err
		}
	}
}

// take repeats what needs more data until it has them. It drops what isn't needed again.
func (o *outliner) take(find func() (item, error)) (item, error) {
	for {
		it, err := find()
		if !errors.Is(err, errMore) {
			return it, o.located(err)
		}
		o.drop(it.start)
		if err := o.more(); err != nil {
			return it, err
		}
	}
}

// more reads on.
func (o *outliner) more() error {
	if len(o.buf) == cap(o.buf) {
		if len(o.buf) >= format.MaxRowBytes {
			return o.located(wrong(0, "the row or statement is too long; is a closing quote missing?"))
		}
		o.buf = append(make([]byte, 0, 2*cap(o.buf)), o.buf...)
	}
	n, err := o.in.Read(o.buf[len(o.buf):cap(o.buf)])
	o.buf = o.buf[:len(o.buf)+n]
	if errors.Is(err, io.EOF) {
		o.final = true
		return nil
	}
	return err
}

// drop gives up the first n bytes of buf.
func (o *outliner) drop(n int) {
	o.offset += int64(n)
	o.at += int64(bytes.Count(o.buf[:n], newline))
	o.buf = o.buf[:copy(o.buf, o.buf[n:])]
}

// located gives an error its place.
func (o *outliner) located(err error) error {
	syntax := (*syntaxError)(nil)
	if !errors.As(err, &syntax) {
		return err
	}
	at := min(syntax.at, len(o.buf))
	return fault.New(fault.Source, 0, "syntax error: %s", syntax.text).Place(fault.Position{
		File: o.file.Path, Offset: o.offset + int64(at), Line: o.at + int64(bytes.Count(o.buf[:at], newline)),
	})
}

// insert takes an INSERT with all its rows.
func (o *outliner) insert(ctx context.Context, it *item) error {
	if what := o.session.problem(); what != "" {
		return o.located(wrong(it.start, "it can't be told what "+what+" is that a SET before these rows sets"))
	}
	if c := o.session.foreignCharset(); c != "" {
		return o.located(wrong(it.start, "the rows are in the character set "+clip(c)+", and only utf8mb4 is supported"))
	}
	if _, err := o.follow(o.buf, it); err != nil {
		return o.located(err)
	}
	db := it.head.db
	if db == "" {
		db = o.db
	}
	if r := o.rows; r == nil || r.Database != db || r.Table != it.head.table || r.Section.Settings != o.session.Settings {
		line := o.at + int64(bytes.Count(o.buf[:it.start], newline))
		o.out.Rows = append(o.out.Rows, Rows{Database: db, Table: it.head.table, Section: Section{
			Start: o.offset + int64(it.start), Line: line, Settings: o.session.Settings,
		}})
		o.rows = &o.out.Rows[len(o.out.Rows)-1]
	}
	o.drop(it.end)
	return o.pass(ctx)
}

// pass goes behind the rows that buf starts with.
func (o *outliner) pass(ctx context.Context) error {
	for ended := false; !ended; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		it, err := o.take(func() (it item, err error) {
			for pos := 0; ; {
				if pos, err = o.lexer.row(o.buf, pos); err != nil {
					return it, err
				}
				next, more, err := o.behindRow(o.buf, pos)
				if err != nil {
					return it, err
				}
				pos = next
				it.start, it.end = pos, pos // the row before it isn't needed again
				if ended = !more; ended {
					return it, nil
				}
			}
		})
		if err != nil {
			return err
		}
		o.drop(it.end)
	}
	o.rows.Section.End = o.offset
	return nil
}

// other takes another statement.
func (o *outliner) other(it *item) error {
	v, err := o.follow(o.buf, it)
	if err != nil {
		return o.located(err)
	}
	if v.db == "" && v.what != doesUse {
		v.db = o.db
	}
	offset, line := o.offset+int64(it.start), o.at+int64(bytes.Count(o.buf[:it.start], newline))
	switch v.what {
	case doesUse:
		o.db, o.rows = v.db, nil
	case doesCreate, doesSetval:
		o.rows = nil
		made := Statement{Kind: v.kind, Database: v.db, Name: v.name, Text: string(bytes.TrimSpace(o.buf[it.start:it.text])), Offset: offset, Line: line}
		if o.session.collation.Text != unknown {
			made.Collation = o.session.collation.Text
		}
		o.out.Statements = append(o.out.Statements, made)
	case doesSkip:
		o.out.Skipped = append(o.out.Skipped, Skipped{What: v.object, Database: v.db, Name: v.name, Offset: offset, Line: line})
	case doesDrop:
		o.rows = nil
		if err := o.dropped(v); err != nil {
			return o.located(wrong(it.start, err.Error()))
		}
	}
	o.drop(it.end)
	return nil
}

// dropped takes what the file has made and now drops out of the outline.
func (o *outliner) dropped(v verb) error {
	if v.kind == CreateDatabase {
		v.db, v.name = v.name, ""
	}
	for _, r := range o.out.Rows {
		if strings.EqualFold(r.Database, v.db) && (v.kind == CreateDatabase || v.kind == CreateTable && strings.EqualFold(r.Table, v.name)) {
			return errors.New("a DROP of what the file has rows for")
		}
	}
	kept := o.out.Statements[:0]
	for _, s := range o.out.Statements {
		same := strings.EqualFold(s.Database, v.db) && strings.EqualFold(s.Name, v.name)
		// A table may stand for a view.
		if !same || v.kind == CreateDatabase || s.Kind == CreateDatabase || v.kind == 0 {
			kept = append(kept, s)
		}
	}
	o.out.Statements = kept
	return nil
}

// SplitStatements calls f for each statement of a text, such as that of a schema file, without its delimiter, with its offset and 1-based
// line, until f fails. Comments between statements are left out. What is no whole statement is a *fault.Error of the source without the file's name. The present SQL mode is the default one.
func SplitStatements(text []byte, f func(statement string, offset, line int64) error) error {
	p := newParser(Config{})
	p.final = true
	for pos := 0; ; {
		it, err := p.split(text, pos)
		line := 1 + int64(bytes.Count(text[:min(it.start, len(text))], newline))
		if syntax := (*syntaxError)(nil); errors.As(err, &syntax) {
			return fault.New(fault.Source, 0, "syntax error: %s", syntax.text).Place(fault.Position{Line: line, Offset: int64(syntax.at)})
		}
		if err != nil || it.kind == itemNone {
			return err
		}
		pos = it.end
		statement := bytes.TrimSpace(text[it.start:it.text])
		if word, _ := p.word(statement, 0); equalWord(statement[:word], "DELIMITER") {
			if p.delimiter = strings.TrimSpace(string(statement[word:])); p.delimiter == "" {
				p.delimiter = ";"
			}
			continue
		}
		if err := f(string(statement), int64(it.start), line); err != nil {
			return err
		}
	}
}

// split finds the whole statement at or behind pos; the last one may lack its delimiter.
func (p *parser) split(text []byte, pos int) (it item, err error) {
	for {
		it.start = pos
		if pos, err = p.blank(text, pos); err != nil {
			return it, err
		}
		if pos == len(text) {
			return item{start: pos, end: pos}, nil
		}
		if !bytes.HasPrefix(text[pos:], []byte(p.delimiter)) {
			break
		}
		pos += len(p.delimiter)
	}
	it = item{kind: itemOther, start: pos}
	if end, _ := p.word(text, pos); equalWord(text[pos:end], "DELIMITER") {
		it.end, err = p.line(text, end)
		it.text = it.end
		return it, err
	}
	whole := append(bytes.Clone(text[pos:]), "\n"+p.delimiter...)
	it.text, it.end, err = p.statement(whole, 0, p.delimiter)
	it.text, it.end = min(pos+it.text, len(text)), min(pos+it.end, len(text))
	return it, err
}

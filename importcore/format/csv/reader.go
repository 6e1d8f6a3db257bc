package csv

import (
	"bytes"
	"io"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/decode"
)

// reader yields the rows of blocks. If separator and line end are single bytes,
// rows are read by their marks (markers.go, fields.go); what is malformed or
// doubtful there, and all rows of other dialects, the row parser takes.
type reader struct {
	d      *dialect
	resync bool // go on behind malformed rows
	parser rowParser
	marks  marks
	fields []format.Field
	// scratch holds the unescaped fields of the present row. When it grows, earlier fields keep the old memory.
	scratch []byte

	block *format.Block
	data  []byte
	text  *decode.Text // what data is a part of; nil if it is the block's own
	next  int          // offset in data, where to look for the next row
	start int          // of the present row
	rows  int64        // given out, the present one included
	err   error        // of this block, lasting

	// What Place has counted so far: lines before counted.
	counted int
	line    int64
}

// NewReader returns a reader for blocks that a splitter of the same
// configuration has cut. Each worker has its own. cfg must be valid. Next
// fails with a *fault.Error of the source and its place at a malformed row; with
// cfg.Recover, it is in a *format.BadRow if reading can go on behind it.
func NewReader(cfg Config) format.RowReader {
	d := newDialect(cfg)
	r := reader{d: d, resync: cfg.Recover, parser: rowParser{d: d}, marks: marks{m: d.markers()}}
	if c := decode.Find(cfg.CharacterSet); c != nil {
		r.text = decode.NewText(c)
		return &decodingReader{reader: r, charset: c.Name()}
	}
	return &r
}

// Reset starts on a block.
func (r *reader) Reset(b *format.Block) {
	r.block, r.data = b, b.Data
	r.next, r.start, r.rows, r.err = 0, 0, 0, nil
	r.counted, r.line = 0, b.FirstLine
	r.marks.base, r.marks.end = 0, 0
	if len(b.Data) > keptScratch && cap(r.scratch) < len(b.Data) {
		r.scratch = make([]byte, 0, len(b.Data)) // growing it would take more
	} else if len(b.Data) <= keptScratch && cap(r.scratch) > keptScratch {
		r.scratch = nil
		clear(r.fields[:cap(r.fields)])
	}
}

// keptScratch is how many bytes of scratch are kept from one block to the next: more than
// blocks have that don't hold long rows.
const keptScratch = 2 << 20

// Next returns the fields of the next row.
func (r *reader) Next() ([]format.Field, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.d.simpleFields && r.fastRow() {
		r.rows++
	} else if _, err := r.exactRow(); err != nil {
		return nil, err
	}
	if r.d.trimLast {
		r.trimLast()
	}
	return r.fields, nil
}

// trimLast takes away the field behind a separator at the end of the present row.
func (r *reader) trimLast() {
	last := len(r.fields) - 1
	if last == 0 || len(r.fields[last].Bytes) > 0 {
		return
	}
	row := r.data[r.start:r.next]
	if r.d.autoTerm {
		row = bytes.TrimSuffix(bytes.TrimSuffix(row, []byte("\n")), []byte("\r"))
	} else {
		row = bytes.TrimSuffix(row, r.d.term)
	}
	if bytes.HasSuffix(row, r.d.sep) { // and no quote
		r.fields = r.fields[:last]
	}
}

// exactRow takes the next row with the row parser.
func (r *reader) exactRow() ([]format.Field, error) {
	switch result := r.parser.parse(r.data, r.next, true); result {
	case foundRow:
		r.start, r.next = r.parser.start, r.parser.end
		r.rows++
	case foundNone:
		r.err = r.atEnd()
		return nil, r.err
	default:
		return nil, r.malformed(result)
	}
	r.fields, r.scratch = r.fields[:0], r.scratch[:0]
	for _, f := range r.parser.fields {
		r.fields = append(r.fields, r.field(r.data[f.start:f.end:f.end], f.escaped, f.doubled))
	}
	return r.fields, nil
}

// malformed is the error of the row that the row parser has refused. It lasts
// unless it is certain where the row ends.
func (r *reader) malformed(what outcome) error {
	r.start, r.next = r.parser.start, len(r.data)
	r.rows++
	place := r.Place()
	at := fault.Position{File: r.block.File.Path, Line: place.Line, Offset: place.Offset}
	if r.resync && r.parser.resync(r.data, what, true) == foundRow {
		r.next = r.parser.end
		return &format.BadRow{Cause: syntaxError(what, at, false)}
	}
	r.err = syntaxError(what, at, r.resync)
	return r.err
}

// Row returns the bytes of the present row.
func (r *reader) Row() []byte { return r.data[r.start:r.next:r.next] }

// atEnd compares the number of rows with the splitter's: two ways to find row
// borders that must agree.
func (r *reader) atEnd() error {
	if r.block.Rows != 0 && r.rows != r.block.Rows {
		return fault.New(fault.Sluice, 0, "the block holds %d rows, but %d were read", r.block.Rows, r.rows).
			Place(fault.Position{File: r.block.File.Path, Line: r.block.FirstLine, Offset: r.block.Offset})
	}
	return io.EOF
}

// field completes a field from its bytes between quotes or markers: unescaped,
// and NULL or not. doubled says that it may have doubled quotes.
func (r *reader) field(raw []byte, escaped, doubled bool) format.Field {
	if !escaped && !doubled {
		return format.Field{Bytes: raw, Null: contains(r.d.nulls, raw)}
	}
	if r.d.isEscNull(raw) {
		return format.Field{Bytes: raw, Null: true}
	}
	from := len(r.scratch)
	r.scratch = r.d.unescape(r.scratch, raw, doubled)
	text := r.scratch[from:len(r.scratch):len(r.scratch)]
	// The text \N was written \\N.
	return format.Field{Bytes: text, Null: contains(r.d.nulls, text) && !r.d.isEscNull(text)}
}

// unescape appends raw to dst without escape bytes and, in a quoted field
// that has them, with doubled quotes halved.
func (d *dialect) unescape(dst, raw []byte, quoted bool) []byte {
	for len(raw) > 0 {
		i := 0
		for i < len(raw) && !(d.hasEsc && raw[i] == d.esc) && !(quoted && raw[i] == d.quote) {
			i++
		}
		dst = append(dst, raw[:i]...)
		if i == len(raw) {
			break
		}
		// The row parser has made sure that a byte follows, and that it is a quote after a quote.
		b := raw[i+1]
		if raw[i] == d.esc && d.hasEsc {
			b = unescaped(b)
		}
		dst = append(dst, b)
		raw = raw[i+2:]
	}
	return dst
}

// unescaped returns what an escaped byte stands for.
func unescaped(b byte) byte {
	switch b {
	case '0':
		return 0
	case 'b':
		return '\b'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'Z':
		return 26
	default:
		return b
	}
}

// Place tells where the present row starts. Lines are counted when asked for,
// from where it was asked last.
func (r *reader) Place() format.RowPlace {
	part := r.data[r.counted:r.start]
	if c := lineByte(r.data); c != 0 {
		r.line += int64(bytes.Count(part, []byte{c}))
	}
	r.counted = r.start
	start := r.start
	if r.text != nil {
		start = r.text.Source(start)
	}
	return format.RowPlace{
		Offset: r.block.Offset + int64(start),
		Line:   r.line,
		Row:    r.block.FirstRow + max(r.rows-1, 0),
	}
}

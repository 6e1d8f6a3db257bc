package sqldump

import (
	"bytes"
	"errors"
	"io"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// reader yields the rows of blocks.
type reader struct {
	parser
	recover bool
	fields  []format.Field
	// scratch holds what fields stand for that aren't their own text. When it grows, earlier fields keep the old memory.
	scratch []byte

	block *format.Block
	data  []byte
	next  int // offset in data, behind the present row
	start int // of the present row
	rows  int64
	err   error // of this block, lasting

	counted int // what Place has counted so far: lines before counted
	line    int64
}

// NewReader returns a reader for blocks that splitters of the same configuration have cut. Each worker has its own. Next fails with a
// *fault.Error of the source and its place at a row that can't be read; with cfg.Recover it is in a *format.BadRow.
func NewReader(cfg Config) format.RowReader {
	r := &reader{parser: newParser(cfg), recover: cfg.Recover}
	r.final = true
	return r
}

// Reset implements format.RowReader.
func (r *reader) Reset(b *format.Block) {
	r.block, r.data = b, b.Data
	r.next, r.start, r.rows, r.err = 0, 0, 0, nil
	r.counted, r.line = 0, b.FirstLine
	r.head = head{heading: b.Heading}
	if h := b.Heading; h != nil {
		r.backslash, r.ansi = !h.NoBackslashEscapes, h.ANSIQuotes
	}
	if len(b.Data) <= keptScratch && cap(r.scratch) > keptScratch {
		r.scratch = nil
		clear(r.fields[:cap(r.fields)])
	} else if len(b.Data) > keptScratch && cap(r.scratch) < len(b.Data) {
		r.scratch = make([]byte, 0, len(b.Data)) // growing it would take more
	}
}

// keptScratch is how many bytes of scratch are kept from one block to the next: more than
// blocks have that don't hold long rows.
const keptScratch = 2 << 20

// Next implements format.RowReader.
func (r *reader) Next() ([]format.Field, error) {
	if r.err != nil {
		return nil, r.err
	}
	pos, err := r.toRow()
	if err != nil {
		r.err = err
		return nil, err
	}
	r.start = pos
	r.rows++
	end, syntax := r.values(pos + 1)
	if syntax == nil {
		r.next = end
		return r.fields, nil
	}
	return nil, r.malformed(syntax)
}

// toRow returns where the next row starts.
func (r *reader) toRow() (int, error) {
	pos := r.next
	if pos == 0 {
		if len(r.data) > 0 && r.data[0] == '(' {
			return 0, nil
		}
		return 0, r.atEnd()
	}
	if pos+1 < len(r.data) && r.data[pos] == ',' && r.data[pos+1] == '(' {
		return pos + 1, nil
	}
	if pos == len(r.data) {
		return 0, r.atEnd()
	}
	next, more, err := r.behindRow(r.data, pos)
	if err == nil && !more {
		var it item
		if it, err = r.parser.next(r.data, next); err == nil && it.kind != itemRows {
			err = wrong(next, "no row")
		}
		if err == nil && it.fresh {
			r.head = head{text: it.head.text, heading: r.block.Heading}
		}
		next = it.end
	}
	if err != nil {
		return 0, fault.Wrap(err, fault.Sluice, 0, "a block of %s at offset %d was counted to hold %d rows, but reading them stopped behind %d",
			r.block.File.Path, r.block.Offset, r.block.Rows, r.rows)
	}
	return next, nil
}

// atEnd compares the number of rows with the splitter's: two ways to find row borders that must agree.
func (r *reader) atEnd() error {
	if r.rows != r.block.Rows {
		return fault.New(fault.Sluice, 0, "the block holds %d rows, but %d were read", r.block.Rows, r.rows).
			Place(fault.Position{File: r.block.File.Path, Line: r.block.FirstLine, Offset: r.block.Offset})
	}
	return io.EOF
}

// malformed is the error of the present row.
func (r *reader) malformed(syntax *syntaxError) error {
	r.next = len(r.data)
	place := r.Place()
	err := fault.New(fault.Source, 0, "syntax error: %s", syntax.text).Place(fault.Position{
		File: r.block.File.Path, Line: place.Line, Offset: place.Offset, Value: fault.ShortValue(around(r.data, syntax.at)),
	})
	if end, rowErr := r.lexer.row(r.data, r.start); rowErr == nil && r.recover {
		r.next = end
		return &format.BadRow{Cause: err}
	}
	r.err = err
	return err
}

// around is what stands at a place, for who looks for what is wrong.
func around(data []byte, at int) []byte {
	const shown = 24
	at = min(at, len(data))
	return data[at:min(len(data), at+shown)]
}

// Row implements format.RowReader.
func (r *reader) Row() []byte { return r.data[r.start:r.next:r.next] }

// Place implements format.RowReader.
func (r *reader) Place() format.RowPlace {
	r.line += int64(bytes.Count(r.data[r.counted:r.start], newline))
	r.counted = r.start
	return format.RowPlace{Offset: r.block.Offset + int64(r.start), Line: r.line, Row: r.block.FirstRow + max(r.rows-1, 0)}
}

// asSyntax returns what is wrong with a value; other errors can't be, because a block ends behind its rows.
func asSyntax(err error) *syntaxError {
	syntax := (*syntaxError)(nil)
	if !errors.As(err, &syntax) {
		syntax = &syntaxError{text: err.Error()}
	}
	return syntax
}

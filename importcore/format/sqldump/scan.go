package sqldump

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/source"
)

// errOther ends a block before something that doesn't go with its rows.
var errOther = errors.New("what follows needs another block")

// found is what scan has found: rows in [start, end) of the data, or none, and then nothing before end is needed again. err tells what
// comes behind them: errMore if the data end there, errOther, nil for the end of the file, or what is wrong.
type found struct {
	start, end          int
	rows                int64
	firstHead, lastHead int64 // offsets in the file of the INSERTs of the first and the last row
	heading             *format.Heading
	err                 error
}

// fill reads into b until it holds whole rows.
func (s *splitter) fill(ctx context.Context, b *format.Block) error {
	if len(s.tail) > cap(b.Data) {
		if err := s.grow(ctx, b, len(s.tail)); err != nil {
			return err
		}
	}
	b.Data = append(b.Data[:0], s.tail...)
	if len(s.tail) > s.pool.BlockBytes() {
		s.tail = nil
	}
	for {
		if err := s.readOn(ctx, b); err != nil {
			return err
		}
		f := s.scan(b.Data)
		more := errors.Is(f.err, errMore)
		if f.err != nil && !more && !errors.Is(f.err, errOther) {
			f.err = s.located(f.err, b.Data)
		}
		switch {
		case f.rows > 0:
			if f.err != nil && !more && !errors.Is(f.err, errOther) {
				s.pending = f.err
			}
			s.finish(b, &f)
			return nil
		case f.err == nil:
			return io.EOF
		case !more:
			return f.err
		}
		s.advance(b.Data[:f.end])
		b.Data = b.Data[:copy(b.Data, b.Data[f.end:])]
		if len(b.Data) == cap(b.Data) {
			if err := s.grow(ctx, b, len(b.Data)+1); err != nil {
				return err
			}
		}
	}
}

// scan finds the rows at the start of the data: all that mean the same.
func (s *splitter) scan(data []byte) (f found) {
	pos, head := 0, s.headAt
	for inRows := s.inRows; ; inRows = true {
		if inRows {
			next, more, err := s.behindRow(data, pos)
			if err != nil {
				f.err = err
				return f
			}
			if pos = next; !more && f.rows == 0 {
				f.end, s.inRows = pos, false
			}
			inRows = more
		}
		if !inRows {
			it, err := s.toRows(data, pos, &f)
			if err != nil || it.kind == itemNone {
				f.err = err
				return f
			}
			pos, head = it.end, s.offset+int64(it.start)
		}
		end, err := s.rowEnd(data, pos)
		if err != nil {
			f.err = err
			return f
		}
		if f.rows == 0 {
			f.start, f.firstHead, f.heading = pos, head, s.head.heading
		}
		f.rows++
		f.end, f.lastHead, pos = end, head, end
	}
}

// behindRow returns where the next row of the statement starts, or the place behind the statement.
func (p *parser) behindRow(data []byte, pos int) (next int, more bool, err error) {
	if pos, err = p.blank(data, pos); err != nil {
		return 0, false, err
	}
	switch {
	case pos == len(data):
		return 0, false, p.unfinished(pos, "an INSERT: it has no "+p.delimiter+" behind its last row")
	case data[pos] == '(': // where reading goes on
		return pos, true, nil
	case bytes.HasPrefix(data[pos:], []byte(p.delimiter)):
		return pos + len(p.delimiter), false, nil
	case data[pos] != ',':
		return 0, false, wrong(pos, "something other than a row follows a row")
	}
	if pos, err = p.blank(data, pos+1); err != nil {
		return 0, false, err
	}
	switch {
	case pos == len(data):
		return 0, false, p.unfinished(pos, "an INSERT")
	case data[pos] != '(':
		return 0, false, wrong(pos, "there is no row behind a comma")
	}
	return pos, true, nil
}

// toRows goes to the next INSERT. It returns itemNone at the end of the file.
func (s *splitter) toRows(data []byte, pos int, f *found) (it item, err error) {
	for {
		it, err = s.next(data, pos)
		if err != nil {
			if f.rows == 0 {
				f.end = it.start
			}
			return it, err
		}
		switch {
		case it.kind == itemNone && !s.final:
			if f.rows == 0 {
				f.end = it.end
			}
			return it, errMore
		case it.kind == itemNone:
			return it, nil
		case f.rows > 0 && (it.kind == itemOther || it.fresh && !sameRows(&s.head, &it.head)):
			return it, errOther
		case it.kind == itemRows:
			if err := s.checkHead(&it); err != nil {
				return it, err
			}
			_, err = s.follow(data, &it)
			return it, err
		}
		v, err := s.follow(data, &it)
		if err == nil {
			err = s.checkVerb(v, it.start)
		}
		if err != nil {
			return it, err
		}
		pos = it.end
		f.end = pos
	}
}

// checkHead makes sure that the rows of an INSERT belong to those before.
func (s *splitter) checkHead(it *item) error {
	if what := s.session.problem(); what != "" {
		return wrong(it.start, "it can't be told what "+what+" is that a SET before these rows sets")
	}
	if c := s.session.foreignCharset(); c != "" {
		return wrong(it.start, "the rows are in the character set "+clip(c)+", and only utf8mb4 is supported")
	}
	if !s.began {
		return nil
	}
	switch was := &s.head; {
	case it.head.table != was.table || it.head.db != was.db:
		return wrong(it.start, "the file has rows of more than one table: `"+was.table+"` and `"+it.head.table+"`")
	case s.used:
		return wrong(it.start, "the file has rows of more than one database: there is a USE between them")
	case s.session.Settings != s.fixed:
		return wrong(it.start, "a SET between rows changes what they mean")
	}
	return nil
}

// checkVerb refuses what would have an effect on the rows before it.
func (s *splitter) checkVerb(v verb, at int) error {
	switch {
	case v.what == doesUse:
		s.used = s.began
	case v.what == doesDrop && s.began && (v.kind == CreateTable || v.kind == CreateDatabase):
		return wrong(at, "a DROP behind rows: the file has those of more than one table, or drops its own")
	}
	return nil
}

// rowEnd is lexer.row, bounded by the longest row.
func (s *splitter) rowEnd(data []byte, pos int) (int, error) {
	end, err := s.lexer.row(data, pos)
	if errors.Is(err, errMore) && len(data)-pos >= format.MaxRowBytes {
		return 0, wrong(pos, "the row is too long; is a closing quote missing?")
	}
	return end, err
}

// readOn fills the block's buffer or reaches the end of what is to be read.
func (s *splitter) readOn(ctx context.Context, b *format.Block) error {
	for len(b.Data) < cap(b.Data) && !s.final {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		room := b.Data[len(b.Data):cap(b.Data)]
		if left := s.end - s.read; s.end >= 0 && int64(len(room)) > left {
			room = room[:left]
		}
		if len(room) == 0 {
			s.final = true
			break
		}
		n, err := s.in.Read(room)
		b.Data = b.Data[:len(b.Data)+n]
		s.read += int64(n)
		if errors.Is(err, io.EOF) {
			s.final = true
			if s.end > s.read {
				return fault.New(fault.Source, 0, "%s ends at byte %d of its text, before the rows that it should have", s.file.Path, s.read)
			}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// grow gives the block at least size bytes.
func (s *splitter) grow(ctx context.Context, b *format.Block, size int) error {
	if size > format.MaxRowBytes {
		return s.located(wrong(0, "the row or statement is too long; is a closing quote missing?"), nil)
	}
	rest := int64(format.MaxRowBytes)
	switch {
	case s.end >= 0:
		rest = min(rest, s.end-s.offset)
	case s.file.Compression == source.Plain:
		rest = min(rest, s.file.Size-s.offset)
	}
	return format.GrowFor(ctx, b, size, rest, fault.Position{File: s.file.Path, Line: s.line, Offset: s.offset})
}

// finish makes b the block of what was found, and keeps what follows for the next one.
func (s *splitter) finish(b *format.Block, f *found) {
	s.tail = append(s.tail[:0], b.Data[f.end:]...)
	s.advance(b.Data[:f.start])
	b.Data = b.Data[f.start:f.end]
	b.File, b.FileIndex = s.file, s.fileIndex
	b.Offset, b.FirstLine, b.FirstRow, b.Rows = s.offset, s.line, s.row, f.rows
	b.Heading, b.Back = f.heading, s.offset-f.firstHead
	if packed, ok := s.in.(format.Packed); ok {
		at := packed.Stored()
		b.Packed, b.Stored, s.stored = true, at-s.stored, at
	}
	s.row += f.rows
	s.inRows, s.headAt, s.began, s.fixed = true, f.lastHead, true, s.session.Settings
	s.advance(b.Data)
}

// advance moves offset and line behind data.
func (s *splitter) advance(data []byte) {
	s.offset += int64(len(data))
	s.line += int64(bytes.Count(data, newline))
}

var newline = []byte{'\n'}

// located gives an error its place; data are what its offset is in.
func (s *splitter) located(err error, data []byte) error {
	syntax := (*syntaxError)(nil)
	if !errors.As(err, &syntax) {
		return err
	}
	at := fault.Position{File: s.file.Path, Offset: s.offset + int64(syntax.at), Line: s.line + int64(bytes.Count(data[:min(syntax.at, len(data))], newline))}
	return fault.New(fault.Source, 0, "syntax error: %s", syntax.text).Place(at)
}

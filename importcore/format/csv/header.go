package csv

import (
	"context"
	"errors"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/source"
)

// Header is the first row of a file, behind the rows to skip, which names the
// columns. It is immutable.
type Header struct {
	// Names are the fields as text, not compared with anything; a name may be empty.
	Names []string
	// At is the header's place in the file.
	At  fault.Position
	end format.RowPlace // of the first row behind it
}

// headerBlockBytes is how much of a file is read for its header at first.
const headerBlockBytes = 16 << 10

// maxHeaderBytes is the longest header: 4096 columns, the most that a table has, with names of 64
// characters of 4 bytes have 1 MiB.
const maxHeaderBytes = 2 << 20

// ReadHeader reads the header of a file; nil if the file has no rows at all.
// cfg must be valid. Errors are those of the store, and *fault.Error of the
// source with its place for a header that is malformed, longer than
// maxHeaderBytes, has a NULL or can't be decoded.
func ReadHeader(ctx context.Context, store source.Store, file *source.File, cfg Config) (_ *Header, err error) {
	cfg.Recover = false
	pool := format.NewBlockPool(headerBlockBytes, 2, format.LimitedRoom(MaxRowBytes))
	s := newSplitter(store, file, 0, cfg, pool)
	s.maxRow = maxHeaderBytes
	if s.in, err = store.Open(ctx, *file, 0); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.in.Close()) }()
	b, err := pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.read(ctx, b); err != nil {
		return nil, err
	}
	pos, err := s.skipHead(ctx, b)
	if err != nil {
		return nil, err
	}
	found, err := s.firstRow(ctx, b, pos)
	if !found || err != nil {
		return nil, err
	}
	return s.header(b)
}

// firstRow makes b the block of the first row from pos on, and of what is before
// it that isn't one, reading as much as that takes. It returns false if there is no row.
func (s *splitter) firstRow(ctx context.Context, b *format.Block, pos int) (bool, error) {
	for {
		data := b.Data[pos:]
		if s.text != nil {
			s.text.Decode(data, s.atEOF)
			data = s.text.Data
		}
		p := &s.scanner.parser
		result := p.parse(data, 0, s.atEOF)
		start, end, empty := p.start, p.end, p.empty
		if s.text != nil {
			start, end, empty = s.text.Source(start), s.text.Source(end), s.text.Source(empty)
		}
		// What seems to be a line end where the data end may be a part of one.
		more := !s.atEOF && pos+end == len(b.Data)
		switch {
		case result == foundRow && !more:
			s.finish(b, pos, pos+end, 1)
			return true, nil
		case result == foundNone && s.atEOF:
			return false, nil
		case result > foundPart:
			return false, s.rowError(b.Data[pos:pos+start], result)
		case result == foundRow:
			empty = 0
		}
		if err := s.makeRoom(ctx, b, &pos, pos+empty); err != nil {
			return false, err
		}
		if err := s.read(ctx, b); err != nil {
			return false, err
		}
	}
}

// header makes the block of one row a header.
func (s *splitter) header(b *format.Block) (*Header, error) {
	r := NewReader(s.cfg)
	r.Reset(b)
	fields, err := r.Next()
	at := r.Place()
	h := &Header{
		At:  fault.Position{File: s.file.Path, Line: at.Line, Offset: at.Offset},
		end: format.RowPlace{Offset: s.offset, Line: s.line},
	}
	if foreign := (*format.ForeignText)(nil); errors.As(err, &foreign) {
		return nil, fault.Wrap(err, fault.Source, 0, "the header can't be decoded").Place(h.At)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if f.Null {
			return nil, fault.New(fault.Source, 0, "the header has a NULL where a column's name should be").Place(h.At)
		}
		h.Names = append(h.Names, string(f.Bytes))
	}
	return h, nil
}

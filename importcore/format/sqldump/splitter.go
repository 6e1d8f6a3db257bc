package sqldump

import (
	"context"
	"io"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/source"
)

// Config is what a job says of its dumps. The zero value is that of a session with the default SQL mode.
type Config struct {
	// NoBackslashEscapes and ANSIQuotes are those of the session's SQL mode. They hold where a dump sets none.
	NoBackslashEscapes, ANSIQuotes bool
	// Recover makes readers go on behind a malformed row, which ends where its parenthesis closes.
	Recover bool
}

// Section is a part of a file that holds rows of one table, from the first byte of an INSERT to behind the last one's
// delimiter. It comes from ReadOutline, and its form in JSON lasts.
type Section struct {
	// Start and End are in bytes of the file's text, Line is the 1-based line of Start.
	Start, End, Line int64
	// Settings are those in force at Start.
	Settings Settings
}

// splitter cuts one file, or a section of it, into blocks.
type splitter struct {
	parser
	store     source.Store
	file      *source.File
	fileIndex int
	pool      *format.BlockPool
	end       int64 // where to stop, in bytes of the text; -1 for the file's end
	section   bool  // the file has other tables too

	in     io.ReadCloser
	stored int64  // bytes of a compressed file that blocks have taken
	read   int64  // offset behind what was read
	tail   []byte // read, but not given out
	offset int64  // in the file, of the tail
	line   int64  // 1-based, same
	row    int64  // number of the next row

	inRows  bool     // offset is behind a row, or at the row where reading goes on; not between statements
	headAt  int64    // where the INSERT of the last row starts
	began   bool     // there was a row
	fixed   Settings // those of all rows
	used    bool     // a USE stands between the rows and here
	pending error    // to return after the block with the rows before it
}

// NewSplitter starts reading file (number fileIndex of the job), or the section of it that isn't nil, into blocks of pool, and returns
// without waiting. from is where a block of an earlier splitter began, or the zero value. store gives the file's text,
// unpacked. The goroutine ends with the file, with ctx or with Close. Errors of Next are those of the store, and *fault.Error with their place of the source for what can't
// be read, and of the user for a row without room.
func NewSplitter(ctx context.Context, store source.Store, file *source.File, fileIndex int, section *Section, from format.RowPlace, cfg Config,
	pool *format.BlockPool,
) (format.Splitter, error) {
	s := newSplitter(store, file, fileIndex, section, cfg, pool)
	if from.Line > 0 {
		if err := s.resume(ctx, from); err != nil {
			return nil, err
		}
	}
	return format.Ahead(ctx, s), nil
}

func newSplitter(store source.Store, file *source.File, fileIndex int, section *Section, cfg Config, pool *format.BlockPool) *splitter {
	s := &splitter{parser: newParser(cfg), store: store, file: file, fileIndex: fileIndex, pool: pool, end: -1, line: 1}
	if section != nil {
		s.section, s.offset, s.line, s.end = true, section.Start, section.Line, section.End
		s.session.Settings = section.Settings
		s.obey()
	}
	return s
}

// resume makes the splitter go on at a row.
func (s *splitter) resume(ctx context.Context, at format.RowPlace) error {
	if !s.section {
		// What SET says comes before the first row.
		head, err := readHead(ctx, s)
		if err != nil {
			return err
		}
		if head == nil {
			return fault.New(fault.Sluice, 0, "no row is where reading %s should go on", s.file.Path)
		}
		s.session.Settings = head.Settings
		s.obey()
	}
	h, err := headAt(ctx, s.store, s.file, at.Offset-at.Back, s.lexer)
	if err != nil {
		return err
	}
	s.head, s.headAt, s.fixed, s.began = *h, at.Offset-at.Back, s.session.Settings, true
	s.session.resumed = true
	s.offset, s.line, s.row, s.inRows = at.Offset, at.Line, at.Row, true
	return nil
}

// Next implements format.Splitter.
func (s *splitter) Next(ctx context.Context) (*format.Block, error) {
	if s.pending != nil {
		return nil, s.pending
	}
	if s.in == nil {
		in, err := s.store.Open(ctx, *s.file, s.offset)
		if err != nil {
			return nil, err
		}
		s.in, s.read = in, s.offset
		if packed, ok := in.(format.Packed); ok {
			s.stored = packed.Stored()
		}
	}
	b, err := s.pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, b); err != nil {
		b.Release()
		return nil, err
	}
	return b, nil
}

// Close implements format.Splitter.
func (s *splitter) Close() error {
	if s.in == nil {
		return nil
	}
	return s.in.Close()
}

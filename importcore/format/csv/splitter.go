package csv

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/source"
)

// splitter reads and cuts one file in its own goroutine, so that reading and
// scanning the next block overlap with encoding. All fields below blocks are
// that goroutine's.
type splitter struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	blocks chan *format.Block
	err    error // why blocks was closed, nil at the end of the file; set before

	store     source.Store
	file      *source.File
	fileIndex int
	cfg       Config
	pool      *format.BlockPool
	scanner   rowScanner

	in       io.ReadCloser
	atEOF    bool
	tail     []byte // read, but behind the last whole row
	offset   int64  // in the file, of the next block
	line     int64  // 1-based, of the next block
	row      int64  // number of the next block's first row
	lineByte byte   // what separates lines for counting
}

// NewSplitter starts reading file (number fileIndex of the job) into blocks of
// pool and returns without waiting. The goroutine ends with the file, with
// ctx or with Close. cfg must be valid; file must not change while the splitter lives.
//
// Errors of Next: those of the store; a malformed row that hides where
// rows end, or one longer than MaxRowBytes (*fault.Error of the source with its
// place); such a malformed row comes in the last block too, so that its reader reports it as well.
func NewSplitter(ctx context.Context, store source.Store, file *source.File, fileIndex int, cfg Config, pool *format.BlockPool) (format.Splitter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	d := newDialect(cfg)
	s := &splitter{
		cancel: cancel, blocks: make(chan *format.Block, 1),
		store: store, file: file, fileIndex: fileIndex, cfg: cfg, pool: pool,
		scanner: rowScanner{d: d, parser: rowParser{d: d}, resync: cfg.Recover},
		line:    1,
	}
	s.done.Go(func() {
		s.err = s.run(ctx)
		close(s.blocks)
	})
	return s, nil
}

// Next returns the next block in file order.
func (s *splitter) Next(ctx context.Context) (*format.Block, error) {
	select {
	case b, ok := <-s.blocks:
		if ok {
			return b, nil
		}
		if s.err != nil {
			return nil, s.err
		}
		return nil, io.EOF
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close stops reading and waits for the goroutine. Blocks given out stay valid.
func (s *splitter) Close() error {
	s.cancel()
	s.done.Wait()
	for b := range s.blocks {
		b.Release()
	}
	return nil
}

func (s *splitter) run(ctx context.Context) (err error) {
	if s.in, err = s.store.Open(ctx, *s.file, 0); err != nil {
		return err
	}
	defer func() {
		if e := s.in.Close(); err == nil {
			err = e
		}
	}()
	for first := true; ; first = false {
		b, err := s.pool.Get(ctx)
		if err != nil {
			return err
		}
		broken, err := s.fill(ctx, b, first)
		if err != nil || b.Rows == 0 {
			b.Release()
			return err
		}
		select {
		case s.blocks <- b:
		case <-ctx.Done():
			b.Release()
			return context.Cause(ctx)
		}
		if broken != nil {
			return broken
		}
	}
}

// fill reads into b until it holds whole rows; no rows mean the end of the
// file. broken is the error of a malformed row that ends the block.
func (s *splitter) fill(ctx context.Context, b *format.Block, first bool) (broken, err error) {
	b.Grow(len(s.tail)) // the tail of a grown block may be longer than a block
	b.Data = append(b.Data[:0], s.tail...)
	scanned := 0
	for {
		if err := s.read(ctx, b); err != nil {
			return nil, err
		}
		if first {
			if scanned, err = s.skipHead(ctx, b); err != nil {
				return nil, err
			}
			first = false
		}
		found := s.scanner.scan(b.Data, scanned, s.atEOF)
		if found.broken != foundRow {
			broken = s.rowError(b.Data[scanned:found.at], found.broken)
			s.finish(b, scanned, len(b.Data), found.rows+1)
			return broken, nil
		}
		if found.rows > 0 || s.atEOF {
			s.finish(b, scanned, found.end, found.rows)
			return nil, nil
		}
		if err := s.makeRoom(b, &scanned, found.end); err != nil {
			return nil, err
		}
	}
}

// makeRoom drops empty lines before end and, if that is not enough, grows the
// block for a row longer than it.
func (s *splitter) makeRoom(b *format.Block, scanned *int, end int) error {
	s.advance(b.Data[*scanned:end])
	n := copy(b.Data, b.Data[end:])
	b.Data = b.Data[:n]
	*scanned = 0
	if n < cap(b.Data) {
		return nil
	}
	if n >= MaxRowBytes {
		return fault.New(fault.Source, 0, "the row is longer than %d bytes; is a closing quote missing?", MaxRowBytes).
			Place(fault.Position{File: s.file.Path, Line: s.line, Offset: s.offset})
	}
	b.Grow(min(2*cap(b.Data), MaxRowBytes))
	return nil
}

// read fills the block's buffer or reaches the end of the file.
func (s *splitter) read(ctx context.Context, b *format.Block) error {
	for len(b.Data) < cap(b.Data) && !s.atEOF {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, err := s.in.Read(b.Data[len(b.Data):cap(b.Data)])
		b.Data = b.Data[:len(b.Data)+n]
		if errors.Is(err, io.EOF) {
			s.atEOF = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// finish makes b the block of data[start:end] and keeps what follows for the next one.
func (s *splitter) finish(b *format.Block, start, end int, rows int64) {
	s.tail = append(s.tail[:0], b.Data[end:]...)
	b.Data = b.Data[start:end]
	b.File, b.FileIndex = s.file, s.fileIndex
	b.Offset, b.FirstLine, b.FirstRow, b.Rows = s.offset, s.line, s.row, rows
	s.row += rows
	s.advance(b.Data)
}

// advance moves offset and line behind data.
func (s *splitter) advance(data []byte) {
	s.offset += int64(len(data))
	if s.lineByte == 0 {
		s.lineByte = lineByte(data)
	}
	if s.lineByte != 0 {
		s.line += int64(bytes.Count(data, []byte{s.lineByte}))
	}
}

// rowError is the error of a malformed row behind the rows in before.
func (s *splitter) rowError(before []byte, what outcome) error {
	at := fault.Position{File: s.file.Path, Offset: s.offset + int64(len(before)), Line: s.line}
	if c := lineByte(before); c != 0 {
		at.Line += int64(bytes.Count(before, []byte{c}))
	}
	return syntaxError(what, at, s.scanner.resync)
}

var utf8BOM = []byte("\xef\xbb\xbf")

// skipHead passes over the byte order mark and the rows to skip, and returns
// where in b.Data the rest starts.
func (s *splitter) skipHead(ctx context.Context, b *format.Block) (pos int, err error) {
	if bytes.HasPrefix(b.Data, utf8BOM) {
		pos = len(utf8BOM)
	}
	for left := s.cfg.SkipRows; left > 0; {
		if n := s.lineLength(b.Data[pos:]); n > 0 {
			pos += n
			left--
			continue
		}
		if s.atEOF {
			pos = len(b.Data)
			break
		}
		// No line end but perhaps a part of one at the end: keep that, and read on.
		keep := min(len(b.Data)-pos, max(len(s.cfg.LinesTerminatedBy)-1, 1))
		s.advance(b.Data[:len(b.Data)-keep])
		b.Data = b.Data[:copy(b.Data, b.Data[len(b.Data)-keep:])]
		pos = 0
		if err := s.read(ctx, b); err != nil {
			return 0, err
		}
	}
	s.advance(b.Data[:pos])
	return pos, nil
}

// lineLength returns the length of the line at the start of data with its
// end, regardless of quotes; 0 if more data are needed.
func (s *splitter) lineLength(data []byte) int {
	if term := s.cfg.LinesTerminatedBy; term != "" {
		if i := bytes.Index(data, []byte(term)); i >= 0 {
			return i + len(term)
		}
		return 0
	}
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0:
		return 0
	case data[i] == '\n':
		return i + 1
	case i+1 == len(data):
		if s.atEOF {
			return i + 1
		}
		return 0
	case data[i+1] == '\n':
		return i + 2
	default:
		return i + 1
	}
}

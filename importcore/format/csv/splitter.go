package csv

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/decode"
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
	maxRow    int // bytes
	scanner   rowScanner
	text      *decode.Text // nil if the file's bytes are what is looked at

	in       io.ReadCloser
	atEOF    bool
	resumed  bool   // the head of the file is behind us
	tail     []byte // read, but behind the last whole row
	offset   int64  // in the file, of the next block
	line     int64  // 1-based, of the next block
	row      int64  // number of the next block's first row
	lineByte byte   // what separates lines for counting
	stored   int64  // bytes of a compressed file that blocks have taken
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
	return newSplitter(store, file, fileIndex, cfg, pool).start(ctx), nil
}

// NewSplitterBehind is NewSplitter for a file whose header has been read with
// the same configuration: the first row is the one behind it.
func NewSplitterBehind(ctx context.Context, h *Header, store source.Store, file *source.File, fileIndex int, cfg Config, pool *format.BlockPool) (format.Splitter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := newSplitter(store, file, fileIndex, cfg, pool)
	s.offset, s.line = h.end.Offset, h.end.Line
	return s.start(ctx), nil
}

// NewSplitterAt is NewSplitter for the rest of a file: at is where a block of an
// earlier splitter with the same configuration began.
func NewSplitterAt(ctx context.Context, at format.RowPlace, store source.Store, file *source.File, fileIndex int, cfg Config, pool *format.BlockPool) (format.Splitter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := newSplitter(store, file, fileIndex, cfg, pool)
	s.offset, s.line, s.row, s.resumed = at.Offset, at.Line, at.Row, true
	return s.start(ctx), nil
}

func newSplitter(store source.Store, file *source.File, fileIndex int, cfg Config, pool *format.BlockPool) *splitter {
	d := newDialect(cfg)
	s := &splitter{
		store: store, file: file, fileIndex: fileIndex, cfg: cfg, pool: pool, maxRow: MaxRowBytes,
		scanner: rowScanner{d: d, parser: rowParser{d: d}, resync: cfg.Recover},
		line:    1,
	}
	if c := decode.Find(cfg.CharacterSet); c != nil {
		s.text = decode.NewText(c)
	}
	return s
}

// start starts the goroutine.
func (s *splitter) start(ctx context.Context) *splitter {
	s.blocks = make(chan *format.Block, 1)
	ctx, s.cancel = context.WithCancel(ctx)
	s.done.Go(func() {
		s.err = s.run(ctx)
		close(s.blocks)
	})
	return s
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
	if s.in, err = s.store.Open(ctx, *s.file, s.offset); err != nil {
		return err
	}
	defer func() {
		if e := s.in.Close(); err == nil {
			err = e
		}
	}()
	if packed, ok := s.in.(format.Packed); ok {
		s.stored = packed.Stored()
	}
	for first := s.offset == 0 && !s.resumed; ; first = false {
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
	// The tail of a grown block may be longer than a block.
	if len(s.tail) > cap(b.Data) {
		if err := s.grow(ctx, b, len(s.tail)); err != nil {
			return nil, err
		}
	}
	b.Data = append(b.Data[:0], s.tail...)
	if len(s.tail) > s.pool.BlockBytes() {
		s.tail = nil
	}
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
		found := s.scan(b.Data, scanned)
		if found.broken != foundRow {
			broken = s.rowError(b.Data[scanned:found.at], found.broken)
			s.finish(b, scanned, len(b.Data), found.rows+1)
			return broken, nil
		}
		if found.rows > 0 || s.atEOF {
			s.finish(b, scanned, found.end, found.rows)
			return nil, nil
		}
		if err := s.makeRoom(ctx, b, &scanned, found.end); err != nil {
			return nil, err
		}
	}
}

// scan finds the rows of data from pos on. In other character sets than UTF-8,
// bytes may look like markers that are none, so it looks at what they stand for.
func (s *splitter) scan(data []byte, pos int) borders {
	if s.text == nil {
		return s.scanner.scan(data, pos, s.atEOF)
	}
	s.text.Decode(data[pos:], s.atEOF)
	found := s.scanner.scan(s.text.Data, 0, s.atEOF)
	found.end, found.at = pos+s.text.Source(found.end), pos+s.text.Source(found.at)
	return found
}

// makeRoom drops empty lines before end and, if that is not enough, grows the
// block for a row longer than it.
func (s *splitter) makeRoom(ctx context.Context, b *format.Block, scanned *int, end int) error {
	s.advance(b.Data[*scanned:end])
	n := copy(b.Data, b.Data[end:])
	b.Data = b.Data[:n]
	*scanned = 0
	if n < cap(b.Data) {
		return nil
	}
	if n >= s.maxRow {
		return fault.New(fault.Source, 0, "the row is longer than %d bytes; is a closing quote missing?", s.maxRow).
			Place(fault.Position{File: s.file.Path, Line: s.line, Offset: s.offset})
	}
	return s.grow(ctx, b, n+1)
}

// grow gives the block at least size bytes.
func (s *splitter) grow(ctx context.Context, b *format.Block, size int) error {
	rest := int64(s.maxRow)
	if s.file.Compression == source.Plain {
		rest = min(rest, s.file.Size-s.offset)
	}
	return format.GrowFor(ctx, b, size, rest, fault.Position{File: s.file.Path, Line: s.line, Offset: s.offset})
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
	if packed, ok := s.in.(format.Packed); ok {
		at := packed.Stored()
		b.Packed, b.Stored, s.stored = true, at-s.stored, at
	}
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

// skipHead passes over the byte order mark and the rows to skip, and returns
// where in b.Data the rest starts.
func (s *splitter) skipHead(ctx context.Context, b *format.Block) (pos int, err error) {
	if pos, err = s.byteOrderMark(b.Data); err != nil {
		return 0, err
	}
	for left := s.cfg.SkipRows; ; {
		n, lines, rest := s.skipLines(b.Data[pos:], left)
		pos += n
		if left -= lines; left == 0 {
			break
		}
		if s.atEOF {
			pos = len(b.Data)
			break
		}
		// No line end but perhaps a part of one at the end: keep that, and read on.
		pos += rest
		s.advance(b.Data[:pos])
		b.Data = b.Data[:copy(b.Data, b.Data[pos:])]
		pos = 0
		if err := s.read(ctx, b); err != nil {
			return 0, err
		}
	}
	s.advance(b.Data[:pos])
	return pos, nil
}

const (
	utf8BOM    = "\xef\xbb\xbf"
	gb18030BOM = "\x84\x31\x95\x33"
)

// byteOrderMark returns the length of the mark that a file starts with. That of
// UTF-8 says that another character set is not the file's.
func (s *splitter) byteOrderMark(head []byte) (int, error) {
	switch {
	case !bytes.HasPrefix(head, []byte(utf8BOM)):
		if s.cfg.CharacterSet == "gb18030" && bytes.HasPrefix(head, []byte(gb18030BOM)) {
			return len(gb18030BOM), nil
		}
		return 0, nil
	case s.text != nil:
		return 0, fault.New(fault.Source, 0, "the file starts with the byte order mark of UTF-8, but its character set was said to be %s", s.cfg.CharacterSet).
			Place(fault.Position{File: s.file.Path, Line: 1})
	}
	return len(utf8BOM), nil
}

// skipLines returns the length of the first lines of data, at most n, and how
// many they are. If there are not enough, the line behind them starts with rest
// bytes that can't be a part of its end.
func (s *splitter) skipLines(data []byte, n int64) (length int, lines int64, rest int) {
	text := data
	if s.text != nil && n > 0 {
		s.text.Decode(data, s.atEOF)
		text = s.text.Data
	}
	for lines < n {
		line := s.lineLength(text[length:])
		if line == 0 {
			break
		}
		length += line
		lines++
	}
	rest = max(len(text)-length-max(len(s.cfg.LinesTerminatedBy)-1, 1), 0)
	if s.text != nil && n > 0 {
		end := s.text.Source(length + rest)
		length = s.text.Source(length)
		rest = end - length
	}
	return length, lines, rest
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

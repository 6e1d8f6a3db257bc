// Package compress unpacks source files. To those who read them, a compressed file is the text in it: blocks, lines
// and offsets are the text's, and only sizes are the file's own.
//
// A stream is unpacked from front to back, so that reading from an offset of the text means to unpack what is
// before it again; a file of many gigabytes is better cut into several. Readers of many parts of one file share its streams (Shared).
//
// # What is checked
//
// gzip has a checksum and the length of each member, zstd (as its tool and Dumpling write it) a checksum of each frame, Snappy one
// of each 64 KiB. They stand behind what they protect, so a damaged text may be seen before its error. What they reveal, and a file that ends too early, is an error with the offset in the file at which
// it was met, not the end of the text. Of what the format doesn't protect nothing can be known: a Snappy stream that was cut exactly
// between two chunks looks whole.
//
// # Memory
//
// A zstd frame says how much of the text has to be kept to unpack it, up to gigabytes. A stream takes what its store was told that it may.
package compress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/docker/go-units"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
)

const (
	// readBytes of a file are read at a time.
	readBytes = 64 << 10
	// overhead is what a stream holds besides zstd's window, at most, in bytes.
	overhead = 1 << 20
	// MinMemory is enough for one stream of what zstd makes without --ultra and --long, gzip and Snappy.
	MinMemory = 8<<20 + overhead
	// maxSnappyBlock is what a chunk of the framing format unpacks to at most.
	maxSnappyBlock = 64 << 10
	// codeCantRead is TiDB's number for files that can't be read.
	codeCantRead = 8160
)

// Store is a source.Store whose Open unpacks files that are compressed. List and Close are those of the store below.
type Store struct {
	source.Store
	memory int64
}

// NewStore returns a store over s, which it doesn't own. Each stream holds memory bytes at most, or MinMemory if that is more.
func NewStore(s source.Store, memory int64) *Store {
	return &Store{Store: s, memory: max(memory, MinMemory)}
}

// Open returns a stream of a file's text from an offset of the text on; see source.Store. For a compressed file it is a
// *Stream. Its errors besides the store's are *fault.Error: of the source (8160) for a file that is damaged, with the file's name and offset,
// of the user for a zstd file that needs more memory, and of Sluice for an offset behind the text's end.
func (s *Store) Open(ctx context.Context, file source.File, offset int64) (io.ReadCloser, error) {
	if file.Compression == source.Plain {
		return s.Store.Open(ctx, file, offset)
	}
	raw, err := s.Store.Open(ctx, file, 0)
	if err != nil {
		return nil, err
	}
	stream := &Stream{file: &file, in: raw, memory: s.memory}
	stream.buffered = bufio.NewReaderSize(&stream.counter, readBytes)
	stream.counter.in = raw
	if err := stream.skip(offset); err != nil {
		return nil, errors.Join(err, stream.Close())
	}
	return stream, nil
}

// counter counts what was read of a file and remembers the store's error, which decoders may hide.
type counter struct {
	in  io.Reader
	n   int64
	err error // other than io.EOF
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// Stream is the text of one compressed file. It is used by one goroutine.
type Stream struct {
	file     *source.File
	in       io.Closer
	counter  counter
	buffered *bufio.Reader
	memory   int64
	text     io.Reader // nil until the first byte is read
	close    func()    // of text; may be nil
	offset   int64     // of the next byte of the text
	err      error     // lasting
}

// Stored returns how many bytes of the file, as it is stored, have been used so far.
func (s *Stream) Stored() int64 { return s.counter.n - int64(s.buffered.Buffered()) }

// Read implements io.Reader. It ends with io.EOF only behind the last byte of a file that is whole.
func (s *Stream) Read(p []byte) (n int, err error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.text == nil {
		s.err = s.begin()
	}
	if s.err == nil {
		n, s.err = s.text.Read(p)
		s.offset += int64(n)
	}
	if s.err != nil && !errors.Is(s.err, io.EOF) {
		s.err = s.explain(s.err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, s.err
}

// begin reads the head of the file.
func (s *Stream) begin() error {
	if _, err := s.buffered.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // no format is that short
		}
		return err
	}
	switch s.file.Compression {
	case source.Gzip:
		r, err := gzip.NewReader(s.buffered)
		if err != nil {
			return cut(err)
		}
		s.text, s.close = r, func() { _ = r.Close() } // which only repeats what Read has said
	case source.Zstd:
		r, err := zstd.NewReader(s.buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(uint64(s.memory-overhead)))
		if err != nil {
			return cut(err)
		}
		s.text, s.close = r, r.Close
	case source.Snappy:
		s.text = s2.NewReader(s.buffered, s2.ReaderMaxBlockSize(maxSnappyBlock))
	default:
		return fmt.Errorf("compression %s is not known", s.file.Compression)
	}
	return nil
}

// cut turns the end of a file in its head into an error.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// explain gives an error its place.
func (s *Stream) explain(err error) error {
	if s.counter.err != nil {
		return s.counter.err
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return fault.Wrap(err, fault.User, 0, "%s was compressed so that unpacking it takes more memory than its job has for that, %s "+
			"(zstd with --long or --ultra); give jobs more memory, or compress the file without that",
			s.file.Path, units.BytesSize(float64(s.memory-overhead)))
	}
	what := "is damaged: " + err.Error()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		what = "is damaged: it ends too early"
	}
	return fault.New(fault.Source, codeCantRead, "Failed to read source files. Reason: the %s file %s %s (at byte %d of the file's %d, %d of its text). "+
		"Please check the file location is correct", s.file.Compression, s.file.Path, what, s.Stored(), s.file.Size, s.offset)
}

// skip moves to an offset of the text.
func (s *Stream) skip(offset int64) error {
	if offset == 0 {
		return nil
	}
	_, err := io.CopyN(io.Discard, s, offset)
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Sluice, 0, "offset %d lies behind the %d bytes of text in %s", offset, s.offset, s.file.Path)
	}
	return err
}

// Close frees what unpacking took and closes the file.
func (s *Stream) Close() error {
	if s.close != nil {
		s.close()
		s.close = nil
	}
	s.text, s.err = nil, io.ErrClosedPipe
	return s.in.Close()
}

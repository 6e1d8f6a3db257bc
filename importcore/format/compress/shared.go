package compress

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/sluicedb/sluice/importcore/source"
)

// keptText is how much of the text that it has given a stream keeps, in bytes, for a reader that begins a little before the
// place where another one has stopped: whoever looks for the first row of a part reads 16 KiB.
const keptText = 128 << 10

// skipBytes are passed over at a time, between two looks at the context.
const skipBytes = 1 << 20

// Shared is a Store for files of which many parts are read, each by a reader of its own: dumps of thousands of tables in one file.
// A compressed file's stream that a reader closes stays open where it is, and a later reader of a part behind that place goes on with it,
// where Store would unpack the file again from its beginning. Readers that take the parts in the file's order, n at a time, unpack
// the file n times or less.
type Shared struct {
	// Store has List. Close of a Shared doesn't close it.
	source.Store
	texts *Store
	ctx   context.Context //nolint:containedctx // of the streams, which outlive the readers that open them
	most  int

	mu struct {
		sync.Mutex
		closed bool
		idle   []*resumable
	}
}

// NewShared returns a Shared over a store, which it doesn't own, that keeps so many streams at most which nobody reads. They take what
// the store's streams take, and 256 KiB more. Streams end with ctx. The caller closes it.
func NewShared(ctx context.Context, s *Store, most int) *Shared {
	return &Shared{Store: s, texts: s, ctx: ctx, most: most}
}

// resumable is a stream with the end of the text that it has given.
type resumable struct {
	*Stream
	path string
	kept []byte
}

// read reads on, and keeps what it gives.
func (r *resumable) read(p []byte) (int, error) {
	n, err := r.Read(p)
	r.kept = append(r.kept, p[:n]...)
	if len(r.kept) > 2*keptText {
		r.kept = append(r.kept[:0], r.kept[len(r.kept)-keptText:]...)
	}
	return n, err
}

// least is the first offset that a reader may go on from.
func (r *resumable) least() int64 { return r.offset - int64(len(r.kept)) }

// Open implements source.Store. Its errors are those of Store.Open.
func (s *Shared) Open(ctx context.Context, file source.File, offset int64) (io.ReadCloser, error) {
	if file.Compression == source.Plain {
		return s.texts.Open(ctx, file, offset)
	}
	r := s.take(file.Path, offset)
	if r != nil {
		if err := s.unchanged(ctx, file); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	} else {
		in, err := s.texts.Open(s.ctx, file, 0)
		if err != nil {
			return nil, err
		}
		r = &resumable{Stream: in.(*Stream), path: file.Path} //nolint:forcetypeassert // of compressed files it is one
	}
	if err := r.forward(ctx, offset); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &sharedReader{shared: s, stream: r, again: r.kept[max(0, offset-r.least()):]}, nil
}

// unchanged is the look that a store takes at a file when it opens it.
func (s *Shared) unchanged(ctx context.Context, file source.File) error {
	in, err := s.texts.Store.Open(ctx, file, 0)
	if err != nil {
		return err
	}
	return in.Close()
}

// take returns the idle stream that is nearest to an offset, nil if none leads there.
func (s *Shared) take(path string, offset int64) *resumable {
	s.mu.Lock()
	defer s.mu.Unlock()
	best := -1
	for i, r := range s.mu.idle {
		if r.path == path && r.least() <= offset && (best < 0 || r.offset > s.mu.idle[best].offset) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	r := s.mu.idle[best]
	s.mu.idle = slices.Delete(s.mu.idle, best, best+1)
	return r
}

// put keeps a stream, or closes the one that is the farthest behind if there are too many.
func (s *Shared) put(r *resumable) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed || r.err != nil {
		return r.Close()
	}
	s.mu.idle = append(s.mu.idle, r)
	if len(s.mu.idle) <= s.most {
		return nil
	}
	last := 0
	for i, other := range s.mu.idle {
		if other.offset < s.mu.idle[last].offset {
			last = i
		}
	}
	r = s.mu.idle[last]
	s.mu.idle = slices.Delete(s.mu.idle, last, last+1)
	return r.Close()
}

// Close closes the streams that nobody reads. Others are closed with their readers.
func (s *Shared) Close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.mu.idle {
		err = errors.Join(err, r.Close())
	}
	s.mu.closed, s.mu.idle = true, nil
	return err
}

// forward reads up to an offset of the text.
func (r *resumable) forward(ctx context.Context, offset int64) error {
	if offset <= r.offset {
		return nil
	}
	r.kept = r.kept[:0]
	for r.offset < offset {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := r.skip(min(offset-r.offset, skipBytes)); err != nil {
			return err
		}
	}
	return nil
}

// sharedReader is what Shared.Open gives, for one goroutine.
type sharedReader struct {
	shared *Shared
	stream *resumable // nil once closed
	again  []byte     // of what the stream has kept, and this reader hasn't had
}

// Stored implements format.Packed.
func (r *sharedReader) Stored() int64 { return r.stream.Stored() }

// Read implements io.Reader.
func (r *sharedReader) Read(p []byte) (int, error) {
	if r.stream == nil {
		return 0, io.ErrClosedPipe
	}
	if len(r.again) > 0 {
		n := copy(p, r.again)
		r.again = r.again[n:]
		return n, nil
	}
	return r.stream.read(p)
}

// Close implements io.Closer.
func (r *sharedReader) Close() error {
	if r.stream == nil {
		return nil
	}
	stream := r.stream
	r.stream = nil
	return r.shared.put(stream)
}

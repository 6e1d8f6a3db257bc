package source

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sluicedb/sluice/importcore/fault"
)

// How much a request of a stream that isn't read ahead asks for, in bytes: such a
// stream is seldom read to its end, and each request asks for more than the one before. Of an answer
// that nobody wants any more so much is read that the connection can be used again.
const (
	firstPlain = 64 << 10
	mostPlain  = 4 << 20
	mostDrain  = 64 << 10
)

// Open implements Store.
func (o *objects) Open(ctx context.Context, file File, offset int64) (io.ReadCloser, error) {
	if offset < 0 || offset > file.Size {
		return nil, fault.New(fault.Sluice, 0, "offset %d lies outside of the %d bytes of %s", offset, file.Size, file.Path)
	}
	s := &objectStream{ctx: ctx, store: o, file: file, offset: offset, part: firstPlain}
	if offset < file.Size {
		// The first bytes show whether there is such a file.
		return s, s.try(func(ctx context.Context) (bool, error) { return false, s.request(ctx) })
	}
	now := File{}
	err := s.try(func(ctx context.Context) (_ bool, err error) {
		now, err = o.bucket.stat(ctx, file.Key)
		return false, err
	})
	if err == nil && (now.Size != file.Size || now.ETag != file.ETag) {
		err = o.changed(file.Path)
	}
	return s, err
}

// objectStream reads a file from an offset to its end. It has one request under way.
type objectStream struct {
	ctx    context.Context
	store  *objects
	file   File
	offset int64 // of the next byte
	end    int64 // of the request under way, or the last one
	part   int64 // bytes that it has asked for
	body   *body // nil: none
}

// Read implements io.Reader. It ends with io.EOF only behind the file's last byte.
func (s *objectStream) Read(p []byte) (n int, err error) {
	if s.offset == s.file.Size {
		return 0, io.EOF
	}
	err = s.try(func(ctx context.Context) (bool, error) {
		if s.body == nil {
			s.part = min(8*s.part, mostPlain)
			if err := s.request(ctx); err != nil {
				return false, err
			}
		}
		read, err := s.body.Read(p[:min(int64(len(p)), s.end-s.offset)])
		n, s.offset = read, s.offset+int64(read)
		switch {
		case s.offset == s.end:
			s.drop()
		case err != nil && read == 0:
			s.drop()
			return false, err
		case err != nil:
			s.drop()
		}
		return read > 0, nil
	})
	return n, err
}

func (s *objectStream) request(ctx context.Context) (err error) {
	s.end = min(s.offset+s.part, s.file.Size)
	s.body, err = s.store.open(ctx, &s.file, s.offset, s.end)
	return err
}

func (s *objectStream) try(do func(context.Context) (bool, error)) error {
	return s.store.tryAt(s.ctx, s.file.Path, func() int64 { return s.offset }, do)
}

func (s *objectStream) drop() {
	if s.body != nil {
		s.body.close()
		s.body = nil
	}
}

// Close implements io.Closer.
func (s *objectStream) Close() error {
	if s.body != nil && s.end-s.offset <= mostDrain {
		_, _ = io.CopyN(io.Discard, s.body, s.end-s.offset)
	}
	s.drop()
	return nil
}

// fetch reads a part of a file, [from, from+len(p)), from as many requests as it takes.
func (o *objects) fetch(ctx context.Context, file *File, from int64, p []byte) error {
	got := 0
	return o.tryAt(ctx, file.Path, func() int64 { return from + int64(got) }, func(ctx context.Context) (progress bool, err error) {
		b, err := o.open(ctx, file, from+int64(got), from+int64(len(p)))
		if err != nil {
			return false, err
		}
		defer b.close()
		n, err := io.ReadFull(b, p[got:])
		got += n
		return n > 0, err
	})
}

// body is the answer to one request, which ends if nothing comes for too long.
type body struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	guard  *time.Timer
	stall  time.Duration
}

func (o *objects) open(ctx context.Context, file *File, from, to int64) (*body, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	guard := o.watch.guard(cancel)
	in, err := o.bucket.get(ctx, file, from, to)
	if err != nil {
		guard.Stop()
		cancel(nil)
		return nil, stalled(ctx, err)
	}
	return &body{ReadCloser: in, ctx: ctx, cancel: cancel, guard: guard, stall: o.watch.stall}, nil
}

// Read implements io.Reader. The end of the answer is no end of the file.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.guard.Reset(b.stall)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, stalled(b.ctx, err)
}

func (b *body) close() {
	b.guard.Stop()
	_ = b.ReadCloser.Close() // what was read is good, however the connection ends
	b.cancel(nil)
}

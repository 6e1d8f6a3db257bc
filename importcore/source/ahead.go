package source

import (
	"context"
	"io"
	"sync"
)

// aheadParts is how many requests a job has under way at most, and so how many
// parts it has in memory.
const aheadParts = 8

// Bounds of a part, in bytes. A store's answer takes some ten milliseconds to begin,
// whatever the size.
const (
	leastPart = 64 << 10
	mostPart  = 8 << 20
)

// Ahead is a Store for who reads files one after the other, from their beginnings
// (or near) to their ends. While a file is read, its next parts, and the files behind
// it, are already under way, so that neither the time that an answer takes nor the speed
// of one connection bounds the speed of the whole. What is read in another order
// is read as the Store below would.
type Ahead struct {
	*objects
	ctx   context.Context
	files []File
	index map[string]int // by key
	part  int64
	free  chan []byte // buffers of part bytes; nil ones are made when they are needed

	mu   sync.Mutex
	busy bool // a stream reads from parts
	run  *aheadRun
}

// aheadRun is a row of parts without gaps, beginning somewhere in the files.
type aheadRun struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	parts  chan *aheadPart // in order; closed at the end
	head   *aheadPart      // taken from parts, and not read to its end
}

// aheadPart is a part of a file on its way into memory.
type aheadPart struct {
	file   int
	offset int64
	data   []byte
	ready  chan struct{}
	err    error // set before ready is closed
}

// NewAhead returns a Store that reads files, which are those of store's List, in
// their order, with at most memory bytes in its buffers. It is store itself if that is not Remote. What is under way ends with ctx
// or with stop, which must be called, before store is closed.
func NewAhead(ctx context.Context, store Store, files []File, memory int64) (_ Store, stop func()) {
	o := objectsOf(store)
	if o == nil {
		return store, func() {}
	}
	a := &Ahead{objects: o, ctx: ctx, files: files, index: make(map[string]int, len(files)), free: make(chan []byte, aheadParts)}
	a.part = min(max(memory/aheadParts, leastPart), mostPart)
	for i := range files {
		a.index[files[i].Key] = i
	}
	for range max(1, min(aheadParts, memory/a.part)) {
		a.free <- nil
	}
	return a, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.endLocked()
	}
}

// Open implements Store.
func (a *Ahead) Open(ctx context.Context, file File, offset int64) (io.ReadCloser, error) {
	i, known := a.index[file.Key]
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy || !known || offset < 0 || offset >= file.Size {
		return a.objects.Open(ctx, file, offset)
	}
	if !a.atLocked(i, offset) {
		a.endLocked()
		a.beginLocked(i, offset)
	}
	a.busy = true
	return &aheadStream{ctx: ctx, ahead: a, run: a.run, file: i, offset: offset}, nil
}

// atLocked tells whether the next part that the present run has holds the offset of the file.
func (a *Ahead) atLocked(file int, offset int64) bool {
	if a.run == nil {
		return false
	}
	if a.run.head == nil {
		select {
		case a.run.head = <-a.run.parts:
		case <-a.ctx.Done():
		}
	}
	head := a.run.head
	return head != nil && head.file == file && head.offset <= offset && offset < head.offset+int64(len(head.data))
}

// beginLocked begins a run.
func (a *Ahead) beginLocked(file int, offset int64) {
	ctx, cancel := context.WithCancel(a.ctx)
	r := &aheadRun{cancel: cancel, parts: make(chan *aheadPart, aheadParts)}
	a.run = r
	r.done.Go(func() {
		defer close(r.parts)
		for ; file < len(a.files); file, offset = file+1, 0 {
			for f := &a.files[file]; offset < f.Size; {
				p := &aheadPart{file: file, offset: offset, ready: make(chan struct{})}
				select {
				case p.data = <-a.free:
				case <-ctx.Done():
					return
				}
				if p.data == nil {
					p.data = make([]byte, a.part)
				}
				p.data = p.data[:min(a.part, f.Size-offset)]
				offset += int64(len(p.data))
				r.done.Go(func() {
					defer close(p.ready)
					p.err = a.fetch(ctx, f, p.offset, p.data)
				})
				r.parts <- p // has room for all buffers
			}
		}
	})
}

// endLocked ends the present run and takes its buffers back.
func (a *Ahead) endLocked() {
	r := a.run
	if a.run = nil; r == nil {
		return
	}
	r.cancel()
	r.done.Wait()
	if r.head != nil {
		a.giveBack(r.head)
	}
	for p := range r.parts {
		a.giveBack(p)
	}
}

func (a *Ahead) giveBack(p *aheadPart) { a.free <- p.data[:cap(p.data)] }

// aheadStream reads one file from a run. While it lives, the run is its own.
type aheadStream struct {
	ctx    context.Context
	ahead  *Ahead
	run    *aheadRun
	file   int
	offset int64 // of the next byte
	closed bool
}

// Read implements io.Reader. It ends with io.EOF only behind the file's last byte.
func (s *aheadStream) Read(p []byte) (int, error) {
	if s.offset == s.ahead.files[s.file].Size {
		return 0, io.EOF
	}
	if s.run.head == nil {
		select {
		case s.run.head = <-s.run.parts:
		case <-s.ctx.Done():
			return 0, context.Cause(s.ctx)
		}
		if s.run.head == nil {
			return 0, context.Cause(s.ahead.ctx) // only then are parts missing
		}
	}
	head := s.run.head
	select {
	case <-head.ready:
	case <-s.ctx.Done():
		return 0, context.Cause(s.ctx)
	}
	if head.err != nil {
		return 0, head.err
	}
	n := copy(p, head.data[s.offset-head.offset:])
	if s.offset += int64(n); s.offset == head.offset+int64(len(head.data)) {
		s.run.head = nil
		s.ahead.giveBack(head)
	}
	return n, nil
}

// Close implements io.Closer. What was read of a file that isn't read to its end is given up.
func (s *aheadStream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	a := s.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy = false
	if s.offset < a.files[s.file].Size {
		a.endLocked()
	}
	return nil
}

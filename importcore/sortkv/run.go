package sortkv

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// run is a sorted set of pairs with strictly increasing keys in two files: the
// keys parts of its pages one after the other, and their values parts. Where a
// page lies, its checksums and its first key are known in memory only, so no
// damage can hide in them. A run is immutable once finished, and owned by the
// Sorter, which closes the files.
type run struct {
	name   string // path of the files, without suffix
	bytes  int64  // size of the files
	keys   vfs.File
	values vfs.File
	blocks []block
	// pageBytes is the size of the largest page.
	pageBytes int
	// indexBytes is the memory that blocks takes.
	indexBytes int64
}

// block is what is known of one page of a run.
type block struct {
	first  []byte
	keys   part
	values part
	pairs  int
	bytes  int64 // of keys and values, unshortened
}

// part is a place in a file.
type part struct {
	off    int64
	stored uint32 // bytes in the file; fewer than size if compressed
	size   uint32 // bytes in the page
	crc    uint32 // CRC32C of what is stored
}

const (
	keysSuffix   = ".keys.run"
	valuesSuffix = ".values.run"
	// entryBytes is what a page takes in the index: block and, after Finish, sample, without the key that both have.
	entryBytes = 24 + 2*24 + 16 + 40
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// runWriter writes one run. Its files are never synced, see the package doc.
type runWriter struct {
	fs     vfs.FS
	run    *run
	page   *page
	codec  codec
	stored []byte // scratch: a part, compressed
}

// newRunWriter creates the files. The page is lent until finish or abort.
func newRunWriter(fs vfs.FS, name string, c codec, p *page) (_ *runWriter, err error) {
	w := &runWriter{fs: fs, run: &run{name: name}, page: p, codec: c}
	defer func() {
		if err != nil {
			w.abort()
		}
	}()
	if w.run.keys, err = fs.Create(name+keysSuffix, vfs.WriteCategoryUnspecified); err != nil {
		return nil, err
	}
	if w.run.values, err = fs.Create(name+valuesSuffix, vfs.WriteCategoryUnspecified); err != nil {
		return nil, err
	}
	return w, nil
}

// add appends a pair, which shares (at least) the first shared bytes of its key with
// the pair before it. wrote tells that a page was written.
func (w *runWriter) add(shared int, key, value []byte) (wrote bool, err error) {
	if w.page.add(shared, key, value) {
		return false, nil
	}
	if w.page.pairs > 0 {
		if err := w.write(w.page); err != nil {
			return true, err
		}
		w.page.reset()
		if w.page.add(0, key, value) {
			return true, nil
		}
	}
	g := &page{buf: make([]byte, spaceOf(len(key), len(value)))}
	g.reset()
	g.add(0, key, value)
	return true, w.write(g)
}

// write puts a page behind those written before.
func (w *runWriter) write(p *page) error {
	b := block{first: append([]byte{}, p.firstKey()...), pairs: p.pairs, bytes: p.bytes}
	var keysEnd, valuesEnd int64
	if n := len(w.run.blocks); n > 0 {
		last := &w.run.blocks[n-1]
		keysEnd, valuesEnd = last.keys.off+int64(last.keys.stored), last.values.off+int64(last.values.stored)
	}
	var err error
	if b.keys, err = w.writePart(w.run.keys, keysEnd, p.buf[:p.keys]); err != nil {
		return err
	}
	if b.values, err = w.writePart(w.run.values, valuesEnd, p.buf[p.vals:len(p.buf)-pageSlack]); err != nil {
		return err
	}
	w.run.blocks = append(w.run.blocks, b)
	w.run.bytes += int64(b.keys.stored) + int64(b.values.stored)
	w.run.pageBytes = max(w.run.pageBytes, len(p.buf))
	w.run.indexBytes += entryBytes + int64(len(b.first))
	return nil
}

func (w *runWriter) writePart(f vfs.File, off int64, data []byte) (part, error) {
	p := part{off: off, size: uint32(len(data))}
	if len(data) == 0 {
		return p, nil
	}
	if w.codec != nil {
		w.stored = w.codec.compress(w.stored[:0], data)
		if len(w.stored) < len(data)-len(data)/8 {
			data = w.stored
		}
	}
	p.stored, p.crc = uint32(len(data)), crc32.Checksum(data, castagnoli)
	n, err := f.Write(data)
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	return p, err
}

// finish writes out the rest and returns the run, its files closed.
func (w *runWriter) finish() (*run, error) {
	if w.page.pairs > 0 {
		if err := w.write(w.page); err != nil {
			w.abort()
			return nil, err
		}
	}
	if err := w.run.close(); err != nil {
		w.abort()
		return nil, err
	}
	return w.run, nil
}

// abort closes and removes what was written so far; errors no longer matter.
func (w *runWriter) abort() {
	_ = w.run.close()
	_ = w.fs.Remove(w.run.name + keysSuffix)
	_ = w.fs.Remove(w.run.name + valuesSuffix)
}

// open opens the files for reading, which several cursors share.
func (r *run) open(fs vfs.FS) (err error) {
	if r.keys, err = fs.Open(r.name+keysSuffix, vfs.SequentialReadsOption); err != nil {
		return err
	}
	r.values, err = fs.Open(r.name+valuesSuffix, vfs.SequentialReadsOption)
	return err
}

// close closes what is open.
func (r *run) close() error {
	var errs [2]error
	for i, f := range []*vfs.File{&r.keys, &r.values} {
		if *f != nil {
			errs[i] = (*f).Close()
			*f = nil
		}
	}
	return errors.Join(errs[:]...)
}

// runSource gives the pages of a run to a cursor: it reads each into the same memory.
type runSource struct {
	*run
	ctx    context.Context
	dir    string // for errors
	page   *page  // of at least run.pageBytes; lent
	at     int    // index of the present page
	codec  codec
	stored *[]byte // scratch: a part, compressed; shared by the sources of an iterator
}

func (s *runSource) len() int              { return len(s.blocks) }
func (s *runSource) firstKey(i int) []byte { return s.blocks[i].first }

func (s *runSource) load(i int) (*page, bool, error) {
	if err := context.Cause(s.ctx); err != nil {
		return nil, false, err
	}
	b := &s.blocks[i]
	s.at, s.page.pairs = i, b.pairs
	if err := s.read(s.run.keys, b.keys, s.page.buf[:b.keys.size], keysSuffix); err != nil {
		return nil, false, err
	}
	return s.page, b.values.size == 0, nil
}

func (s *runSource) loadValues() error {
	b := &s.blocks[s.at]
	end := len(s.page.buf) - pageSlack
	return s.read(s.run.values, b.values, s.page.buf[end-int(b.values.size):end], valuesSuffix)
}

// errDamaged marks data of a run that are not what was written.
var errDamaged = errors.New("the file is damaged")

// read fills to with a part, verified.
func (s *runSource) read(f vfs.File, p part, to []byte, suffix string) error {
	data := to
	if p.stored != p.size {
		if cap(*s.stored) < int(p.stored) {
			*s.stored = make([]byte, p.stored, s.pageBytes)
		}
		data = (*s.stored)[:p.stored]
	}
	n, err := f.ReadAt(data, p.off)
	switch {
	case n < len(data) && err == nil:
		err = io.ErrUnexpectedEOF
	case n == len(data) && (err == nil || errors.Is(err, io.EOF)):
		err = nil
		if crc32.Checksum(data, castagnoli) != p.crc {
			err = errDamaged
		} else if p.stored != p.size {
			err = s.codec.decompress(to, data)
		}
	}
	if err != nil {
		return readError(s.dir, fmt.Errorf("%s%s, %d bytes at %d: %w", s.name, suffix, p.stored, p.off, err))
	}
	return nil
}

func runName(n int) string { return fmt.Sprintf("%06d", n) }

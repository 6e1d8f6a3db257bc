package sortkv

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// runInfo is what memory holds of a run that is not being read. It is kept
// small, because a terabyte in little memory is tens of thousands of runs.
type runInfo struct {
	number int32  // names the files
	footer uint32 // CRC32C, tells it from another one of that name
	giant  uint32
	index  uint32 // memory for a cursor on the index, bytes
	bytes  int64  // size of the files
	pairs  int64
}

// run is a sorted set of pairs with strictly increasing keys in two files: the
// keys parts of its pages one after the other, with the index and the footer, and their
// values parts. It is open for reading, which several cursors may do.
type run struct {
	name   string // path of the files, without suffix
	foot   footer
	keys   vfs.File
	values vfs.File
}

const (
	keysSuffix   = ".keys.run"
	valuesSuffix = ".values.run"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged marks data of a run that are not what was written.
var errDamaged = errors.New("the file is damaged")

// runWriter writes one run.
type runWriter struct {
	fs     vfs.FS
	name   string // path of the files, without suffix
	keys   vfs.File
	values vfs.File
	page   *page
	index  indexWriter
	foot   footer
	codec  codec
	stored []byte // scratch: a part, compressed
	first  []byte // scratch: a key
}

// newRunWriter creates the files. The page is lent until finish or abort.
func newRunWriter(fs vfs.FS, name string, c codec, foot footer, p *page) (_ *runWriter, err error) {
	w := &runWriter{fs: fs, name: name, page: p, codec: c, foot: foot}
	w.foot.version, w.foot.pageBytes = runVersion, uint32(len(p.buf))
	w.index.blockBytes = max(len(p.buf)/blockShare, minBlockBytes)
	w.index.write = func(block []byte) (part, error) { return write(w.keys, &w.foot.keysBytes, block, len(block)) }
	defer func() {
		if err != nil {
			w.abort()
		}
	}()
	if w.keys, err = fs.Create(name+keysSuffix, vfs.WriteCategoryUnspecified); err != nil {
		return nil, err
	}
	if w.values, err = fs.Create(name+valuesSuffix, vfs.WriteCategoryUnspecified); err != nil {
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
	w.foot.giantBytes = max(w.foot.giantBytes, uint32(len(value)))
	return true, w.writeGiant(key, value)
}

// write puts a page behind those written before.
func (w *runWriter) write(p *page) error {
	w.first = append(w.first[:0], p.firstKey()...) // what is given to a file's Write may be changed by it
	e := entry{first: w.first, pairs: int64(p.pairs), bytes: p.bytes}
	return w.writeParts(e, p.buf[:p.keys], p.buf[p.vals:len(p.buf)-pageSlack])
}

// writeGiant writes a pair that is larger than a page as a page of its own, without a copy of its value.
func (w *runWriter) writeGiant(key, value []byte) error {
	w.first = append(w.first[:0], key...)
	e := entry{first: w.first, pairs: 1, bytes: int64(len(key) + len(value))}
	return w.writeParts(e, appendLoneEntry(nil, key, value), value)
}

// writeParts writes the two parts of a page, which e tells of.
func (w *runWriter) writeParts(e entry, keys, values []byte) (err error) {
	if e.keys, err = w.writePart(w.keys, &w.foot.keysBytes, keys); err != nil {
		return err
	}
	if e.values, err = w.writePart(w.values, &w.foot.valueBytes, values); err != nil {
		return err
	}
	w.foot.pages++
	w.foot.pairs += e.pairs
	w.foot.bytes += e.bytes
	return w.index.add(0, e)
}

// writePart writes a part of a page, compressed if that makes it smaller.
func (w *runWriter) writePart(f vfs.File, end *int64, data []byte) (part, error) {
	if w.codec != nil && len(data) > 0 {
		w.stored = w.codec.compress(w.stored[:0], data)
		if len(w.stored) < len(data)-len(data)/8 {
			return write(f, end, w.stored, len(data))
		}
	}
	return write(f, end, data, len(data))
}

// write appends what is stored of size bytes to a file that has end bytes.
func write(f vfs.File, end *int64, stored []byte, size int) (part, error) {
	p := part{off: *end, stored: uint32(len(stored)), size: uint32(size)}
	if size == 0 {
		return p, nil
	}
	p.crc = crc32.Checksum(stored, castagnoli)
	n, err := f.Write(stored)
	if err == nil && n < len(stored) {
		err = io.ErrShortWrite
	}
	*end += int64(n)
	return p, err
}

// finish writes out the rest and closes the files.
func (w *runWriter) finish() (foot footer, err error) {
	defer func() {
		if err != nil {
			w.abort()
		}
	}()
	if w.page.pairs > 0 {
		if err := w.write(w.page); err != nil {
			return foot, err
		}
	}
	root, depth, err := w.index.finish()
	if err != nil {
		return foot, err
	}
	w.foot.root, w.foot.depth, w.foot.blockBytes = root.keys, uint32(depth), uint32(w.index.largest)
	var end int64
	if _, err := write(w.keys, &end, w.foot.encode(), footerBytes); err != nil {
		return foot, err
	}
	return w.foot, w.close()
}

func (w *runWriter) close() error { return closeFiles(&w.keys, &w.values) }

// abort closes and removes what was written so far; errors no longer matter.
func (w *runWriter) abort() {
	_ = w.close()
	_ = removeRun(w.fs, w.name)
}

// removeRun removes the files of a run.
func removeRun(fs vfs.FS, name string) error {
	return errors.Join(fs.Remove(name+keysSuffix), fs.Remove(name+valuesSuffix))
}

// openRun opens a run for reading and verifies its footer.
func openRun(fs vfs.FS, name string) (_ *run, err error) {
	r := &run{name: name}
	defer func() {
		if err != nil {
			_ = r.close()
		}
	}()
	if r.keys, err = fs.Open(name+keysSuffix, vfs.SequentialReadsOption); err != nil {
		return nil, err
	}
	if r.foot, err = readFooter(r.keys); err != nil {
		return nil, fmt.Errorf("%s%s: %w", name, keysSuffix, err)
	}
	r.values, err = fs.Open(name+valuesSuffix, vfs.SequentialReadsOption)
	return r, err
}

// close closes what is open.
func (r *run) close() error { return closeFiles(&r.keys, &r.values) }

func closeFiles(files ...*vfs.File) error {
	var errs []error
	for _, f := range files {
		if *f != nil {
			errs = append(errs, (*f).Close())
			*f = nil
		}
	}
	return errors.Join(errs...)
}

// needs returns the memory that reading the run takes, in bytes: its page, and a
// block of each level of the index.
func (i runInfo) needs(pageBytes int) int64 { return int64(pageBytes) + int64(i.index) }

func runName(n int32) string { return fmt.Sprintf("%06d", n) }

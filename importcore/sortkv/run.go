package sortkv

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// runBlockBytes is the size of a run's blocks before compression, and of its
	// index blocks (which makes the index two levels deep for runs above about 25
	// MiB, so that an iterator never holds a whole index). Larger blocks save
	// little and cost each of (iterators x runs) memory.
	runBlockBytes = 32 << 10
	// runFormat: see the package doc.
	runFormat = sstable.TableFormatPebblev4
	// writeBufferBytes is collected before a write to the file.
	writeBufferBytes = 256 << 10
	// iterBytesPerRun is what an iterator needs for one run: a data block, its
	// compressed form while it is read, and two index blocks.
	iterBytesPerRun = 4 * runBlockBytes
)

// run is one sorted file with strictly increasing keys. It is immutable once
// finished, and owned by the Sorter, which closes the reader.
type run struct {
	path    string
	bytes   int64 // size of the file
	reader  *sstable.Reader
	samples []sample
}

// runWriter writes one run.
type runWriter struct {
	fs   vfs.FS
	path string
	w    *sstable.Writer
}

func newRunWriter(fs vfs.FS, path string, c Compression) (*runWriter, error) {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	w := sstable.NewWriter(&runFile{f: f, buf: make([]byte, 0, writeBufferBytes)}, sstable.WriterOptions{
		BlockSize:      runBlockBytes,
		IndexBlockSize: runBlockBytes,
		Compression:    c.profile(),
		TableFormat:    runFormat,
	})
	return &runWriter{fs: fs, path: path, w: w}, nil
}

// finish completes the file and returns its size in bytes.
func (w *runWriter) finish() (int64, error) {
	if err := w.w.Close(); err != nil {
		return 0, err
	}
	meta, err := w.w.Metadata()
	if err != nil {
		return 0, err
	}
	return int64(meta.Size), nil
}

// abort closes and removes what was written so far; errors no longer matter.
func (w *runWriter) abort() {
	_ = w.w.Close()
	_ = w.fs.Remove(w.path)
}

// runFile is the table writer's file: buffered and never synced, see the
// package doc. It implements objstorage.Writable.
type runFile struct {
	f   vfs.File
	buf []byte
}

// Write copies p into the buffer, writing it out when it is full.
func (r *runFile) Write(p []byte) error {
	if len(r.buf)+len(p) > cap(r.buf) {
		if err := r.flush(); err != nil {
			return err
		}
	}
	if len(p) >= cap(r.buf) {
		// Writers may change p and so may we not: the contract of vfs.File.Write allows neither to keep it.
		_, err := r.f.Write(p)
		return err
	}
	r.buf = append(r.buf, p...)
	return nil
}

func (r *runFile) flush() error {
	if len(r.buf) == 0 {
		return nil
	}
	_, err := r.f.Write(r.buf)
	r.buf = r.buf[:0]
	return err
}

// Finish writes out the rest and closes the file.
func (r *runFile) Finish() error {
	if err := r.flush(); err != nil {
		_ = r.f.Close()
		return err
	}
	return r.f.Close()
}

// Abort closes the file as it is.
func (r *runFile) Abort() { _ = r.f.Close() }

var _ objstorage.Writable = (*runFile)(nil)

// open opens the reader, which several iterators share. Block checksums are
// verified on each read.
func (r *run) open(ctx context.Context, fs vfs.FS) error {
	f, err := fs.Open(r.path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		_ = f.Close()
		return err
	}
	r.reader, err = sstable.NewReader(ctx, readable, sstable.ReaderOptions{})
	if err != nil {
		_ = readable.Close()
	}
	return err
}

// runCursor walks a part of a run.
type runCursor struct {
	dir  string // for errors
	iter sstable.Iterator
	key  []byte   // nil at the end
	pair lazyPair // the pair of key
}

// lazyPair is what is used of pebble's internal pair, whose type can't be named here.
type lazyPair interface {
	Value(buf []byte) (value []byte, callerOwned bool, err error)
}

// cursor returns a cursor on the first pair of [start, end), nil meaning unbounded.
func (r *run) cursor(ctx context.Context, start, end []byte, pool *block.BufferPool) (*runCursor, error) {
	iter, err := r.reader.NewPointIter(ctx, sstable.IterOptions{
		Lower:                start,
		Upper:                end,
		FilterBlockSizeLimit: sstable.NeverUseFilterBlock,
		Env:                  sstable.ReadEnv{Block: block.ReadEnv{BufferPool: pool}},
		ReaderProvider:       sstable.MakeTrivialReaderProvider(r.reader),
	})
	if err != nil {
		return nil, err
	}
	c := &runCursor{iter: iter}
	first := iter.SeekGE(start, 0) // a nil start sorts before all keys
	if first != nil {
		c.key, c.pair = first.K.UserKey, first
	} else if err := iter.Error(); err != nil {
		_ = iter.Close()
		return nil, err
	}
	return c, nil
}

func (c *runCursor) next() error {
	if kv := c.iter.Next(); kv != nil {
		c.key, c.pair = kv.K.UserKey, kv
		return nil
	}
	c.key = nil
	if err := c.iter.Error(); err != nil {
		return readError(c.dir, err)
	}
	return nil
}

func (c *runCursor) value() ([]byte, error) {
	v, _, err := c.pair.Value(nil)
	if err != nil {
		return nil, readError(c.dir, err)
	}
	return v, nil
}

func (c *runCursor) close() error {
	if err := c.iter.Close(); err != nil {
		return readError(c.dir, err)
	}
	return nil
}

func runName(n int) string { return fmt.Sprintf("%06d.sst", n) }

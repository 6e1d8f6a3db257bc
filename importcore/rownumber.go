package importcore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
	"github.com/sluicedb/sluice/importcore/source"
)

// encodeRow encodes a row into the worker's arena. If conflicts are to be
// resolved, each key gets the row's number, which is decided once per worker.
func (w *worker) encodeRow(fields []format.Field, rowID int64) error {
	if w.single == nil {
		return w.encoder.EncodeRow(fields, rowID, w.arena)
	}
	w.single.Reset()
	if err := w.encoder.EncodeRow(fields, rowID, w.single); err != nil {
		return err
	}
	w.arena.AddNumbered(w.single, uint64(rowID-w.firstRowID))
	return nil
}

// newSingle returns an arena for one row at a time if pairs carry the numbers of rows.
func (r *run) newSingle() *kv.Arena {
	if !r.numbered {
		return nil
	}
	return &kv.Arena{}
}

// suffixBytes is the sorter's option for the same.
func (r *run) suffixBytes() int {
	if !r.numbered {
		return 0
	}
	return kv.NumberBytes
}

// sortOptions are those of the sorter of the job's pairs.
func (r *run) sortOptions(memory memorySplit) sortkv.Options {
	return sortkv.Options{
		Dir: r.dir.path, FS: r.sortFS, MemoryBudget: memory.sort, ArenaBytes: memory.arenaBytes, SuffixBytes: r.suffixBytes(),
		Compression: r.core.compression, PrefixSkip: len(r.plan.encoding.SharedPrefix()), Logger: r.log,
	}
}

// blockIndexFile is its name in the sort directory.
const blockIndexFile = "blocks.index"

// blockIndex knows where the rows of every block are, so that the place of a
// row is found by its number. Entries are of one size and beyond a few of them in a
// file, so memory does not grow with the source. It is filled by one goroutine, in order.
type blockIndex struct {
	dir   string
	keep  int    // bytes of entries in memory; 0 means blockIndexBytes
	buf   []byte // the last entries
	count int64  // of all entries
	saved int64  // entries in the file
	file  *os.File
}

// blockEntry is one block: its first row in the job, its rows, and where it is.
type blockEntry struct {
	row, rows            int64
	file                 int
	offset, line, length int64
	back                 int64 // see format.Block
}

// The upper halves of two words hold Back.
const (
	backFrom  = 32
	backShift = 31
	backMask  = 1<<backShift - 1
)

const (
	blockEntryBytes = 6 * 8
	blockIndexBytes = 64 << 10 // of entries in memory, bytes
)

// add appends a block. Without an index, nil, it does nothing.
func (x *blockIndex) add(b *format.Block, row int64) error {
	if x == nil {
		return nil
	}
	// Files and lengths leave room for Back, of which the index had nothing at first.
	low, high := b.Back&backMask, b.Back>>backShift
	for _, v := range []int64{row, b.Rows, int64(b.FileIndex) | high<<backFrom, b.Offset, b.FirstLine, int64(len(b.Data)) | low<<backFrom} {
		x.buf = binary.LittleEndian.AppendUint64(x.buf, uint64(v))
	}
	x.count++
	if keep := x.keep; len(x.buf) < keep || keep == 0 && len(x.buf) < blockIndexBytes {
		return nil
	}
	return x.save()
}

// save brings the entries in memory to the file.
func (x *blockIndex) save() (err error) {
	if len(x.buf) == 0 {
		return nil
	}
	if x.file == nil {
		if x.file, err = os.OpenFile(filepath.Join(x.dir, blockIndexFile), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return x.failed(err)
		}
	}
	if _, err := x.file.Write(x.buf); err != nil {
		return x.failed(err)
	}
	x.saved = x.count
	x.buf = x.buf[:0]
	return nil
}

// flush brings the entries so far to the file and returns their number. sync, which may be called
// while more are added, makes them outlive the machine's next start.
func (x *blockIndex) flush() (entries int64, sync func() error, err error) {
	if x == nil {
		return 0, func() error { return nil }, nil
	}
	if err := x.save(); err != nil {
		return 0, nil, err
	}
	file := x.file
	return x.count, func() error {
		if file == nil {
			return nil
		}
		if err := file.Sync(); err != nil {
			return x.failed(err)
		}
		return nil
	}, nil
}

// reopen takes up the first entries of the file that an index before has synced.
func (x *blockIndex) reopen(entries int64) (err error) {
	if x == nil || entries == 0 {
		return nil
	}
	if x.file, err = os.OpenFile(filepath.Join(x.dir, blockIndexFile), os.O_RDWR, 0); err != nil {
		return x.failed(err)
	}
	size := entries * blockEntryBytes
	info, err := x.file.Stat()
	if err == nil && info.Size() < size {
		err = fmt.Errorf("%s: %w", x.file.Name(), io.ErrUnexpectedEOF)
	}
	if err == nil {
		err = x.file.Truncate(size)
	}
	if err == nil {
		_, err = x.file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return x.failed(err)
	}
	x.count, x.saved = entries, entries
	return nil
}

func (x *blockIndex) failed(err error) error {
	const codeErrorOnWrite = 1026 // ER_ERROR_ON_WRITE
	return fault.Wrap(err, fault.User, codeErrorOnWrite, "the index of blocks in the sort directory %s can't be read or written", x.dir)
}

// entry returns the i-th block.
func (x *blockIndex) entry(i int64) (e blockEntry, err error) {
	var stored [blockEntryBytes]byte
	if i >= x.saved {
		copy(stored[:], x.buf[(i-x.saved)*blockEntryBytes:])
	} else if _, err := x.file.ReadAt(stored[:], i*blockEntryBytes); err != nil {
		return e, x.failed(err)
	}
	for n, to := range []*int64{&e.row, &e.rows, nil, &e.offset, &e.line, &e.length} {
		v := int64(binary.LittleEndian.Uint64(stored[8*n:]))
		if to != nil {
			*to = v
		} else {
			e.file = int(v & (1<<backFrom - 1))
			e.back = v >> backFrom << backShift
		}
	}
	e.back |= e.length >> backFrom
	e.length &= 1<<backFrom - 1
	return e, nil
}

// find returns the block of a row.
func (x *blockIndex) find(row int64) (blockEntry, error) {
	low, high := int64(0), x.count // the last entry that starts at or before row
	for low+1 < high {
		mid := (low + high) / 2
		e, err := x.entry(mid)
		if err != nil {
			return e, err
		}
		if e.row <= row {
			low = mid
		} else {
			high = mid
		}
	}
	if x.count > 0 {
		e, err := x.entry(low)
		if err != nil || row >= e.row && row < e.row+e.rows {
			return e, err
		}
	}
	return blockEntry{}, fault.New(fault.Sluice, 0, "no block of the source holds row %d", row)
}

// Close closes the file, which goes with the sort directory.
func (x *blockIndex) Close() error {
	if x == nil || x.file == nil {
		return nil
	}
	f := x.file
	x.file = nil
	return f.Close()
}

// rowReader reads rows of the source again by their numbers. In ascending
// order each block is read once at most. It is used by one goroutine.
type rowReader struct {
	run     *run
	texts   source.Store
	readers rowReaders
	reader  format.RowReader // of the present block
	in      io.ReadCloser    // of a compressed file, which is unpacked once for rows in ascending order; nil: none
	inFile  *source.File
	inAt    int64 // offset of in
	block   format.Block
	laid    *layout // of the present block
	first   int64   // row of the job that the present block starts with
	next    int64   // row of the job that reader.Next would return
	end     int64   // behind the present block's last row
	fields  []format.Field
	bad     bool // the row that was read last can't be split into fields
}

func (r *run) newRowReader() *rowReader {
	return &rowReader{run: r, texts: r.plan.texts(r.plan.store), readers: r.plan.newReaders()}
}

// read moves to a row, the fields of which are valid until the next call.
func (x *rowReader) read(ctx context.Context, row int64) error {
	if row < x.next-1 || row >= x.end {
		if err := x.load(ctx, row); err != nil {
			return err
		}
	}
	for x.next <= row {
		fields, err := x.reader.Next()
		if foreign := (*format.ForeignText)(nil); errors.As(err, &foreign) {
			err = nil // the row was left out for that, or it doesn't matter
		}
		var broken *format.BadRow
		if x.bad = errors.As(err, &broken); err != nil && !x.bad {
			return fmt.Errorf("reading row %d of the source again: %w", row, err)
		}
		x.fields = fields
		x.next++
	}
	return nil
}

// load reads the block of a row.
func (x *rowReader) load(ctx context.Context, row int64) error {
	e, err := x.run.blocks.find(row)
	if err != nil {
		return err
	}
	if e.file != x.block.FileIndex || e.row != x.first || x.end == 0 {
		file := &x.run.plan.Files[e.file]
		data := x.block.Data[:0]
		if int64(cap(data)) < e.length {
			data = make([]byte, 0, e.length)
		}
		if err := x.fill(ctx, file, e.offset, data[:e.length]); err != nil {
			return fault.Wrap(err, fault.Source, 0, "%s can't be read again", file.Path)
		}
		heading, err := x.heading(ctx, file, &e)
		if err != nil {
			return err
		}
		x.block = format.Block{
			File: file, FileIndex: e.file, Offset: e.offset, FirstLine: e.line, Rows: e.rows, Data: data[:e.length], Heading: heading, Back: e.back,
		}
		if x.run.plan.known != nil {
			if x.laid, err = x.run.plan.layoutOf(&x.block); err != nil {
				return err
			}
		}
		x.reader = x.readers.of(&x.block)
	}
	x.reader.Reset(&x.block)
	x.first, x.next, x.end = e.row, e.row, e.row+e.rows
	return nil
}

// fill reads the text of a file at an offset.
func (x *rowReader) fill(ctx context.Context, file *source.File, offset int64, data []byte) (err error) {
	ahead := x.in != nil && x.inFile == file && x.inAt <= offset
	if !ahead {
		if err = x.close(); err == nil {
			x.in, err = x.texts.Open(ctx, *file, offset)
		}
	} else {
		_, err = io.CopyN(io.Discard, x.in, offset-x.inAt)
	}
	if err != nil {
		return errors.Join(err, x.close())
	}
	if _, err = io.ReadFull(x.in, data); err != nil || file.Compression == source.Plain {
		return errors.Join(err, x.close())
	}
	x.inFile, x.inAt = file, offset+int64(len(data))
	return nil
}

// close ends reading. A reader of files that aren't compressed needs none.
func (x *rowReader) close() error {
	if x.in == nil {
		return nil
	}
	in := x.in
	x.in = nil
	return in.Close()
}

// drop ends the use of the reader.
func (x *rowReader) drop() { _ = x.close() } // what was read of the file is good

// heading reads what an SQL file says of a block's rows.
func (x *rowReader) heading(ctx context.Context, file *source.File, e *blockEntry) (*format.Heading, error) {
	p := x.run.plan
	if !p.isSQL(e.file) {
		return nil, nil
	}
	if x.block.Heading != nil && x.block.FileIndex == e.file && x.block.Offset-x.block.Back == e.offset-e.back {
		return x.block.Heading, nil
	}
	return sqldump.HeadingAt(ctx, x.texts, file, e.offset, e.back, p.heads[e.file].Settings, p.Task.dumps())
}

// layout returns that of the row that was read last.
func (x *rowReader) layout() *layout { return x.laid }

// position returns where the row that was read last is.
func (x *rowReader) position() fault.Position {
	at := x.reader.Place()
	return fault.Position{File: x.block.File.Path, Line: at.Line, Offset: at.Offset}
}

package sortkv

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// The index of a run is a tree of blocks in the file of the keys, each behind
// what it leads to. A block is entries one after the other, in key order; an
// entry of a leaf leads to a page, one of another block to a block a level
// below. The footer (footer.go) leads to the root, and every place is kept
// with the CRC32C of what is there. So memory holds nothing of a run that is not
// being read, and a cursor one block of each level.
//
// An entry is
//
//	first key: length (uvarint), bytes
//	page's keys, or block: offset, bytes stored, bytes (uvarints), CRC32C (4, little-endian)
//	page's values: the same; all zero in an entry for a block
//	pairs, bytes of keys and values (uvarints)

// part is a place in a file.
type part struct {
	off    int64
	stored uint32 // bytes in the file; fewer than size if compressed
	size   uint32 // bytes in the page
	crc    uint32 // CRC32C of what is stored
}

// entry leads to a page or to a block of entries.
type entry struct {
	first  []byte // key
	keys   part   // of the page; or the block
	values part
	pairs  int64
	bytes  int64 // of keys and values, unshortened
}

// Blocks are as large as a sixteenth of a page, so that reading an index
// takes little beside the pages, but one holds two entries at least.
const (
	blockShare    = 16
	minBlockBytes = 512
	// maxBlockBytes is what a block with keys of the greatest length can have; see indexWriter.add.
	maxBlockBytes = 2 * (maxKeyBytes + maxEntryBytes)
	// maxEntryBytes is the size of an entry without its key.
	maxEntryBytes = 11*binary.MaxVarintLen64 + 2*4
	// maxDepth is more levels than a file can have with blocks of two entries.
	maxDepth = 62
)

func appendPart(b []byte, p part) []byte {
	b = binary.AppendUvarint(b, uint64(p.off))
	b = binary.AppendUvarint(b, uint64(p.stored))
	b = binary.AppendUvarint(b, uint64(p.size))
	return binary.LittleEndian.AppendUint32(b, p.crc)
}

func appendEntry(b []byte, e entry) []byte {
	b = binary.AppendUvarint(b, uint64(len(e.first)))
	b = append(b, e.first...)
	b = appendPart(appendPart(b, e.keys), e.values)
	b = binary.AppendUvarint(b, uint64(e.pairs))
	return binary.AppendUvarint(b, uint64(e.bytes))
}

// decoder reads numbers from the front of a slice; bad is set if they aren't there.
type decoder struct {
	rest []byte
	bad  bool
}

// uvarint reads a number of at most limit.
func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > limit {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.bad, d.rest = true, nil
		return make([]byte, n)
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) part() (p part) {
	const mostBytes, mostOffset = 1<<32 - 1, 1<<62 - 1
	p.off = int64(d.uvarint(mostOffset))
	p.stored, p.size = uint32(d.uvarint(mostBytes)), uint32(d.uvarint(mostBytes))
	p.crc = binary.LittleEndian.Uint32(d.bytes(4))
	d.bad = d.bad || p.stored > p.size
	return p
}

// decodeEntry reads the entry at the front of a block; its key is a part of the
// block. Nothing says that it leads anywhere.
func decodeEntry(block []byte) (e entry, rest []byte, err error) {
	const most = 1<<63 - 1
	d := decoder{rest: block}
	e.first = d.bytes(int(d.uvarint(maxKeyBytes)))
	e.keys, e.values = d.part(), d.part()
	e.pairs, e.bytes = int64(d.uvarint(most)), int64(d.uvarint(most))
	if d.bad || e.pairs == 0 {
		return entry{}, nil, errDamaged
	}
	return e, d.rest, nil
}

// indexWriter makes the index of a run while its pages are written.
type indexWriter struct {
	blockBytes int // at which a block is full
	levels     []indexBlock
	largest    int // block, bytes
	// write puts a block behind what the file has.
	write func(block []byte) (part, error)
}

// indexBlock is a block in the making. Its summary is the entry that will lead to it.
type indexBlock struct {
	buf     []byte
	entries int
	summary entry
}

// add appends an entry to a level, 0 being the leaves.
func (w *indexWriter) add(level int, e entry) error {
	if level == len(w.levels) {
		w.levels = append(w.levels, indexBlock{})
	}
	b := &w.levels[level]
	if b.entries == 0 {
		b.summary = entry{first: append(b.summary.first[:0], e.first...)}
	}
	b.buf = appendEntry(b.buf, e)
	b.entries++
	b.summary.pairs += e.pairs
	b.summary.bytes += e.bytes
	if len(b.buf) < w.blockBytes || b.entries < 2 {
		return nil
	}
	return w.end(level)
}

// end writes the block of a level.
func (w *indexWriter) end(level int) error {
	b := &w.levels[level]
	if b.entries == 0 {
		return nil
	}
	e, err := w.put(b)
	if err != nil {
		return err
	}
	return w.add(level+1, e)
}

func (w *indexWriter) put(b *indexBlock) (entry, error) {
	var err error
	w.largest = max(w.largest, len(b.buf))
	b.summary.keys, err = w.write(b.buf)
	b.buf, b.entries = b.buf[:0], 0
	return b.summary, err
}

// finish writes what is left and returns the entry for the root and the number of levels.
func (w *indexWriter) finish() (root entry, depth int, err error) {
	for level := 0; level < len(w.levels)-1; level++ {
		if err := w.end(level); err != nil {
			return root, 0, err
		}
	}
	depth = len(w.levels)
	root, err = w.put(&w.levels[depth-1])
	return root, depth, err
}

// indexCursor goes over the pages of a run by their entries, in key order.
type indexCursor struct {
	run    *run
	levels []indexLevel // 0: the leaves
	// following is the entry that next will move past, unless ended.
	following entry
	ended     bool
}

// indexLevel is one block on the way from the root to following.
type indexLevel struct {
	buf  []byte // memory for a block
	rest []byte // the block's entries behind the one that is in use
}

// indexBytes returns the memory that an indexCursor takes.
func (r *run) indexBytes() int64 { return int64(r.foot.depth) * int64(r.foot.blockBytes) }

// newIndexCursor returns a cursor before no entry: seek is to follow. The memory
// has indexBytes.
func newIndexCursor(r *run, memory []byte) indexCursor {
	x := indexCursor{run: r, levels: make([]indexLevel, r.foot.depth)}
	for i := range x.levels {
		x.levels[i].buf = memory[i*int(r.foot.blockBytes):][:r.foot.blockBytes]
	}
	return x
}

// seek makes the last entry following for whose first key before holds, and
// without such an entry, or with before being nil, the first one.
func (x *indexCursor) seek(before func(first []byte) bool) error {
	at := x.run.foot.root
	for level := len(x.levels) - 1; level >= 0; level-- {
		l := &x.levels[level]
		e, err := x.open(l, at)
		for err == nil && before != nil && len(l.rest) > 0 {
			var next entry
			var rest []byte
			if next, rest, err = decodeEntry(l.rest); err != nil || !before(next.first) {
				break
			}
			e, l.rest = next, rest
		}
		if err != nil {
			return x.damaged(err)
		}
		at, x.following = e.keys, e
	}
	return x.check()
}

// open reads a block and returns its first entry.
func (x *indexCursor) open(l *indexLevel, at part) (e entry, err error) {
	if at.size == 0 || at.stored != at.size || int(at.size) > len(l.buf) {
		return e, errDamaged
	}
	block := l.buf[:at.size]
	if err := readVerified(x.run.keys, at, block); err != nil {
		return e, err
	}
	e, l.rest, err = decodeEntry(block)
	return e, err
}

// next moves on.
func (x *indexCursor) next() (err error) {
	if x.following, err = x.after(0); err != nil || x.ended {
		return err
	}
	return x.check()
}

// after returns the entry of a level that comes next, or sets ended.
func (x *indexCursor) after(level int) (e entry, err error) {
	if level == len(x.levels) {
		x.ended = true
		return e, nil
	}
	l := &x.levels[level]
	if len(l.rest) == 0 {
		up, err := x.after(level + 1)
		if err != nil || x.ended {
			return e, err
		}
		if e, err = x.open(l, up.keys); err != nil {
			return e, x.damaged(err)
		}
		return e, nil
	}
	if e, l.rest, err = decodeEntry(l.rest); err != nil {
		return e, x.damaged(err)
	}
	return e, nil
}

// check makes sure that memory for the page that follows is what its run's footer says.
func (x *indexCursor) check() error {
	keys, values := int64(x.following.keys.size), int64(x.following.values.size)
	foot := &x.run.foot
	if keys == 0 || keys+values+pageSlack > int64(foot.pageBytes) &&
		(x.following.pairs != 1 || values > int64(foot.giantBytes) || keys > longHeader+maxKeyBytes) {
		return x.damaged(errDamaged)
	}
	return nil
}

func (x *indexCursor) damaged(err error) error {
	return fmt.Errorf("the index in %s%s: %w", x.run.name, keysSuffix, err)
}

// readVerified fills to with what is stored of a part.
func readVerified(f io.ReaderAt, p part, to []byte) error {
	n, err := f.ReadAt(to, p.off)
	if n < len(to) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("%d bytes at %d: %w", p.stored, p.off, err)
	}
	if crc32.Checksum(to, castagnoli) != p.crc {
		return fmt.Errorf("%d bytes at %d: %w", p.stored, p.off, errDamaged)
	}
	return nil
}

package blocktable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Table is an open table: its index is in memory.
type Table struct {
	// Entries is the number of pairs that the table says it has.
	Entries int64
	// Size is that of the file in bytes.
	Size int64

	version uint32
	blocks  []handle // of data, in key order
}

// Opener returns a stream of a file from an offset to its end. Who calls it closes the stream.
type Opener func(offset int64) (io.ReadCloser, error)

// tailLen is how much of a file's end is read at once: the index of most files is in it.
const tailLen = 256 << 10

// tail is the end of a file.
type tail struct {
	from int64
	data []byte
}

// Open reads footer, properties and index of a file of size bytes. Errors say what is wrong with the table;
// open's own are returned as they are.
func Open(size int64, open Opener) (*Table, error) {
	if size < FooterLen {
		return nil, errNotTable
	}
	end, err := readTail(size, min(size, tailLen), open)
	if err != nil {
		return nil, err
	}
	f, err := readFooter(end.data[len(end.data)-FooterLen:])
	if err != nil {
		return nil, err
	}
	limit := size - FooterLen
	if err := errors.Join(f.metaindex.within(limit), f.index.within(limit)); err != nil {
		return nil, err
	}
	if begin := int64(min(f.metaindex.offset, f.index.offset)); begin < end.from {
		if end, err = readTail(size, size-begin, open); err != nil {
			return nil, err
		}
	}
	t := &Table{version: f.version, Size: size}
	meta, err := t.metaBlocks(end, f.metaindex)
	if err != nil {
		return nil, err
	}
	props, err := t.properties(meta, size, end, open)
	if err != nil {
		return nil, err
	}
	return t, t.readIndex(end, f.index, props)
}

func readTail(size, length int64, open Opener) (*tail, error) {
	in, err := open(size - length)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	// The buffer grows with what really comes.
	var buf bytes.Buffer
	n, err := io.Copy(&buf, io.LimitReader(in, length))
	if err == nil && n < length {
		err = io.ErrUnexpectedEOF
	}
	return &tail{from: size - length, data: buf.Bytes()}, err
}

// block returns the content of a block in the tail.
func (t *Table) block(end *tail, h handle) ([]byte, error) {
	if int64(h.offset) < end.from || h.end() > uint64(end.from)+uint64(len(end.data)) {
		return nil, fmt.Errorf("a block of %d bytes at %d is not where it should be", h.size, h.offset)
	}
	return unpack(end.data[int64(h.offset)-end.from:int64(h.end())-end.from], nil, t.version)
}

// metaBlocks returns the places of the table's other blocks by name.
func (t *Table) metaBlocks(end *tail, at handle) (map[string]handle, error) {
	block, err := t.block(end, at)
	if err != nil {
		return nil, fmt.Errorf("metaindex: %w", err)
	}
	it, err := newBlockIter(block)
	if err != nil {
		return nil, err
	}
	meta := map[string]handle{}
	for it.next() {
		h, _, err := readHandle(it.val)
		if err != nil {
			return nil, err
		}
		meta[string(it.key)] = h
	}
	for _, name := range []string{"rocksdb.range_del", "rocksdb.compression_dict"} {
		if _, ok := meta[name]; ok {
			return nil, fmt.Errorf("tables with %s are not supported", name)
		}
	}
	return meta, it.err
}

// properties returns what the table says of itself. They are numbers and names in bytes.
func (t *Table) properties(meta map[string]handle, size int64, end *tail, open Opener) (map[string][]byte, error) {
	at, ok := meta["rocksdb.properties"]
	if !ok {
		return nil, errors.New("the table has no properties")
	}
	if err := at.within(size); err != nil {
		return nil, err
	}
	if int64(at.offset) < end.from {
		var err error
		if end, err = readTail(size, size-int64(at.offset), open); err != nil {
			return nil, err
		}
	}
	block, err := t.block(end, at)
	if err != nil {
		return nil, fmt.Errorf("properties: %w", err)
	}
	it, err := newBlockIter(block)
	if err != nil {
		return nil, err
	}
	props := map[string][]byte{}
	for it.next() {
		props[string(it.key)] = it.val
	}
	if it.err != nil {
		return nil, it.err
	}
	if c := string(props["rocksdb.comparator"]); c != "leveldb.BytewiseComparator" {
		return nil, fmt.Errorf("tables in the order %q are not supported", c)
	}
	entries, n := binary.Uvarint(props["rocksdb.num.entries"])
	if n <= 0 || entries > 1<<62 {
		return nil, errors.New("the table doesn't say how many entries it has")
	}
	t.Entries = int64(entries)
	return props, nil
}

// readIndex finds the data blocks.
func (t *Table) readIndex(end *tail, at handle, props map[string][]byte) error {
	if kind := props["rocksdb.block.based.table.index.type"]; len(kind) == 4 && binary.LittleEndian.Uint32(kind) > 1 {
		return fmt.Errorf("an index of type %d is not supported", binary.LittleEndian.Uint32(kind))
	}
	block, err := t.block(end, at)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	it, err := newBlockIter(block)
	if err != nil {
		return err
	}
	delta, _ := binary.Uvarint(props["rocksdb.index.value.is.delta.encoded"])
	it.handles = delta == 1
	next := uint64(0)
	for it.next() {
		h := it.at
		if !it.handles {
			if h, _, err = readHandle(it.val); err != nil {
				return err
			}
		}
		if err := h.within(int64(at.offset)); err != nil {
			return err
		}
		if h.offset < next {
			return fmt.Errorf("the data block at %d is not behind the one before", h.offset)
		}
		next = h.end()
		t.blocks = append(t.blocks, h)
	}
	return it.err
}

package blocktable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The types of entries: a key's last but seven byte says it.
const (
	kindValue   = 1
	internalLen = 8
)

// Iter walks over a table's pairs in key order. It is used by one goroutine.
type Iter struct {
	table *Table
	in    io.Reader
	at    int64 // how much of in was read
	next  int   // data block

	raw, buf []byte
	block    *blockIter
	last     []byte // the key before, to check the order
	seen     int64
	err      error
}

// Iter returns an iterator that reads the pairs from a stream of the whole file, which stays the caller's to close. At
// its end the stream is behind the last data block.
func (t *Table) Iter(in io.Reader) *Iter { return &Iter{table: t, in: in} }

// Next moves to the next pair; false at the end or after an error.
func (it *Iter) Next() bool {
	for it.err == nil {
		if it.block != nil {
			if it.block.next() {
				it.err = it.check()
				return it.err == nil
			}
			if it.err = it.block.err; it.err != nil {
				return false
			}
		}
		if it.next == len(it.table.blocks) {
			if it.seen != it.table.Entries {
				it.err = fmt.Errorf("the table has %d entries instead of %d", it.seen, it.table.Entries)
			}
			return false
		}
		it.err = it.load(it.table.blocks[it.next])
		it.next++
	}
	return false
}

// check looks at the entry that the iterator stands on.
func (it *Iter) check() error {
	key := it.block.key
	if len(key) < internalLen {
		return errors.New("a key is too short")
	}
	if kind := key[len(key)-internalLen]; kind != kindValue {
		return fmt.Errorf("entries of type %d are not supported", kind)
	}
	user := key[:len(key)-internalLen]
	if it.seen > 0 && bytes.Compare(user, it.last) <= 0 {
		return fmt.Errorf("key %x is not behind key %x", user, it.last)
	}
	it.last = append(it.last[:0], user...)
	it.seen++
	return nil
}

// load reads a data block.
func (it *Iter) load(h handle) error {
	if skip := int64(h.offset) - it.at; skip > 0 {
		n, err := io.CopyN(io.Discard, it.in, skip)
		it.at += n
		if err != nil {
			return early(err)
		}
	}
	size := int(h.size) + trailerLen
	if cap(it.raw) < size {
		it.raw = make([]byte, size)
	}
	it.raw = it.raw[:size]
	n, err := io.ReadFull(it.in, it.raw)
	it.at += int64(n)
	if err != nil {
		return early(err)
	}
	content, err := unpack(it.raw, it.buf, it.table.version)
	if err != nil {
		return fmt.Errorf("data block at %d: %w", h.offset, err)
	}
	if it.raw[h.size] != byte(compressionNone) && cap(content) > cap(it.buf) {
		it.buf = content
	}
	entries, err := entriesOf(content)
	if err != nil {
		return fmt.Errorf("data block at %d: %w", h.offset, err)
	}
	if it.block == nil {
		it.block = &blockIter{}
	}
	// A block's first key shares nothing with the one before.
	it.block.rest, it.block.key = entries, it.block.key[:0]
	return nil
}

// early makes the end of a stream an error.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Key returns the present pair's key, valid until the next call of Next.
func (it *Iter) Key() []byte { return it.block.key[:len(it.block.key)-internalLen] }

// Value returns the present pair's value, valid until the next call of Next.
func (it *Iter) Value() []byte { return it.block.val }

// Err returns what made Next return false, nil at the table's end.
func (it *Iter) Err() error { return it.err }

package sst

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/sstable"
)

// Reader reads one file from memory.
type Reader struct{ table *sstable.Reader }

// NewReader opens a file, whichever way its blocks are compressed, and checks the
// checksums of all of them. data can be changed afterwards; the caller closes the
// Reader.
func NewReader(data []byte) (*Reader, error) {
	data, err := recompress(data, plainBlock)
	if err != nil {
		return nil, err
	}
	table, err := sstable.NewMemReader(data, sstable.ReaderOptions{Comparer: pebble.DefaultComparer})
	if err != nil {
		return nil, err
	}
	return &Reader{table: table}, nil
}

// Close gives back what the Reader holds.
func (r *Reader) Close() error { return r.table.Close() }

// UserProperties returns what the writer's collectors have left in the file.
func (r *Reader) UserProperties() map[string]string { return r.table.Properties.UserProperties }

// Finder looks single keys up.
type Finder struct {
	r  *Reader
	it sstable.Iterator
}

// Finder returns a Finder, for one goroutine, that closes the Reader with itself.
func (r *Reader) Finder() (*Finder, error) {
	it, err := r.table.NewIter(nil, nil)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &Finder{r: r, it: it}, nil
}

// Get returns the value of a key, valid until the next call, and whether there is one.
func (f *Finder) Get(key []byte) (value []byte, found bool, err error) {
	at, lazy := f.it.SeekGE(key, 0)
	if at == nil || !bytes.Equal(at.UserKey, key) {
		return nil, false, f.it.Error()
	}
	value, _, err = lazy.Value(nil)
	return value, err == nil, err
}

// Close closes the Finder and its Reader.
func (f *Finder) Close() error { return errors.Join(f.it.Close(), f.r.Close()) }

// Each calls fn for every entry in order. The slices are valid during the call.
func (r *Reader) Each(fn func(key, value []byte) error) (err error) {
	it, err := r.table.NewIter(nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for key, lazy := it.First(); key != nil; key, lazy = it.Next() {
		if key.Kind() != pebble.InternalKeyKindSet {
			return fmt.Errorf("key %x has kind %s, TiKV's files have SET only", key.UserKey, key.Kind())
		}
		value, _, err := lazy.Value(nil)
		if err != nil {
			return err
		}
		if err := fn(key.UserKey, value); err != nil {
			return err
		}
	}
	return it.Error()
}

package sst

import (
	"bytes"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/bloom"
	"github.com/cockroachdb/pebble/sstable"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
)

// The column families that a transaction's data is in.
const (
	Default = "default"
	Write   = "write"
)

// Sizes of TiKV's tables.
const (
	blockSize     = 32 << 10 // rocksdb.{defaultcf,writecf}.block-size
	bitsPerFilter = 10
)

// Writer makes one file. Its methods are for one goroutine.
type Writer struct {
	out     *memory
	table   *sstable.Writer
	blocks  blockType // of the file; the table is written plain
	ended   bool
	entries int
	bytes   uint64
}

// NewWriter begins a file of a column family. Compression is what a backup asks
// for; UNKNOWN means TiKV's own choice.
func NewWriter(family string, compression backuppb.CompressionType) (*Writer, error) {
	t, err := blockTypeOf(compression)
	if err != nil {
		return nil, err
	}
	w := &Writer{out: new(memory), blocks: t}
	o := sstable.WriterOptions{
		BlockSize:      blockSize,
		Compression:    sstable.NoCompression, // see recompress
		IndexBlockSize: math.MaxInt32,         // TiKV's tables have one index block
		Comparer:       pebble.DefaultComparer,
		MergerName:     "nullptr", // TiKV merges nothing
		TableFormat:    sstable.TableFormatRocksDBv2,
		TablePropertyCollectors: []func() sstable.TablePropertyCollector{
			func() sstable.TablePropertyCollector { return new(rangeProperties) },
		},
	}
	switch family {
	case Default:
	case Write:
		o.Comparer = comparerWithoutTS()
		o.FilterPolicy, o.FilterType = bloom.FilterPolicy(bitsPerFilter), sstable.TableFilter
		o.TablePropertyCollectors = append(o.TablePropertyCollectors,
			func() sstable.TablePropertyCollector { return new(versionProperties) })
	default:
		return nil, fmt.Errorf("no column family %q", family)
	}
	w.table = sstable.NewWriter(w.out, o)
	return w, nil
}

// comparerWithoutTS orders keys by their bytes; the part that the filter knows
// of a key ends before its timestamp.
func comparerWithoutTS() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Split = func(key []byte) int { return max(len(key)-tsLen, 0) }
	return &c
}

// Add appends an entry. Keys are data keys in ascending order; both slices are
// copied.
func (w *Writer) Add(key, value []byte) error {
	if err := w.table.Set(key, value); err != nil {
		return err
	}
	w.entries++
	w.bytes += uint64(len(key) + len(value))
	return nil
}

// Entries returns how many entries were added.
func (w *Writer) Entries() int { return w.entries }

// Bytes returns how many bytes of keys and values were added.
func (w *Writer) Bytes() uint64 { return w.bytes }

// Finish ends the file and returns its bytes, which are the caller's. It is called
// once, and not after Discard.
func (w *Writer) Finish() ([]byte, error) {
	w.ended = true
	if err := w.table.Close(); err != nil {
		return nil, err
	}
	return recompress(w.out.buf.Bytes(), w.blocks)
}

// Discard ends the Writer without a file. A Writer that has ended is left as it is.
func (w *Writer) Discard() {
	if !w.ended {
		w.ended = true
		_ = w.table.Close() // it writes to memory only
	}
}

// memory is a file in memory, as Pebble writes to it.
type memory struct{ buf bytes.Buffer }

func (m *memory) Write(p []byte) error {
	m.buf.Write(p)
	return nil
}

func (*memory) Finish() error { return nil }
func (*memory) Abort()        {}

// Package sortkv sorts pairs with bounded memory.
package sortkv

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/kv"
)

// Compression is how runs are compressed on disk.
type Compression uint8

// The compressions of runs.
const (
	CompressionDefault Compression = iota
	CompressionNone
	CompressionSnappy
	CompressionZstd
)

// Options configures a Sorter.
type Options struct {
	Dir          string
	MemoryBudget int64
	PrefixSkip   int
	ArenaBytes   int
	Compression  Compression
	FS           vfs.FS
	Logger       *zap.Logger
}

// Range is a part of the key space with estimates of what is in it.
type Range struct {
	Start []byte // inclusive: first key
	End   []byte // exclusive
	Bytes int64
	Keys  int64
}

// DuplicateKeyError says that the pairs hold one key twice.
type DuplicateKeyError struct{ Key, Value1, Value2 []byte }

// Error names the key in hexadecimal.
func (e *DuplicateKeyError) Error() string { return fmt.Sprintf("duplicate key %x", e.Key) }

// Sorter takes arenas of pairs.
type Sorter struct{}

// Sorted is the frozen result.
type Sorted struct{}

// Iterator is a merged view.
type Iterator struct{}

var errUnderConstruction = errors.New("under construction")

// New returns a sorter.
func New(opts Options) (*Sorter, error) { return nil, errUnderConstruction }

// ArenaBytes returns the number of bytes at which an arena is full and should be given to Add.
func (s *Sorter) ArenaBytes() int { return 0 }

// Arena returns an empty arena.
func (s *Sorter) Arena(ctx context.Context) (*kv.Arena, error) { return nil, errUnderConstruction }

// Discard gives an arena back without its pairs.
func (s *Sorter) Discard(a *kv.Arena) {}

// Add takes ownership of the arena.
func (s *Sorter) Add(ctx context.Context, a *kv.Arena) error { return errUnderConstruction }

// Finish freezes.
func (s *Sorter) Finish(ctx context.Context) (*Sorted, error) { return nil, errUnderConstruction }

// Close removes files.
func (s *Sorter) Close() error { return nil }

// Checksum of everything added.
func (r *Sorted) Checksum() kv.Checksum { return kv.Checksum{} }

// Ranges cuts the key space.
func (r *Sorted) Ranges(maxBytes, maxKeys int64) []Range { return nil }

// FindDuplicate looks for an equal key.
func (r *Sorted) FindDuplicate(ctx context.Context) error { return errUnderConstruction }

// Iter returns a merged view of [start,end).
func (r *Sorted) Iter(ctx context.Context, start, end []byte) (*Iterator, error) {
	return nil, errUnderConstruction
}

// Spilled returns the bytes written to disk.
func (r *Sorted) Spilled() int64 { return 0 }

// Next moves to the next pair.
func (it *Iterator) Next() bool { return false }

// Key is valid until Next.
func (it *Iterator) Key() []byte { return nil }

// Value is valid until Next.
func (it *Iterator) Value() []byte { return nil }

// Err is the first error.
func (it *Iterator) Err() error { return nil }

// Close ends the iterator.
func (it *Iterator) Close() error { return nil }

package sortkv

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Sizes in bytes.
const (
	minMemoryBudget = 256 << 10
	minArenaBytes   = 4 << 10
	// Arenas by default. They should fit the second-level cache of a processor, so that
	// sorting and rewriting one hardly touches memory, and their number is that of
	// the chunks that a merge has to deal with, so they grow with the budget a little.
	leastArenaBytes = 16 << 10
	mostArenaBytes  = 2 << 20
	// Pages are as small as the budget asks for, because an iterator needs one for each run.
	minPageBytes = 4 << 10
	maxPageBytes = 64 << 10
)

// Options configures a Sorter. Only Dir and MemoryBudget are required.
type Options struct {
	// Dir is an existing or creatable directory. The sorter makes its own
	// directory in it, named sort-*, on the first spill and removes it on Close.
	Dir string
	// MemoryBudget bounds arenas, spill buffers and iterators, in bytes; at least 256 KiB.
	MemoryBudget int64
	// PrefixSkip is given to arenas, see kv.Arena. Sorting is right with any
	// value and fastest if all keys of an arena share just as many leading
	// bytes; merging finds its own.
	PrefixSkip int
	// ArenaBytes is the size of pairs and references at which an arena is to
	// be given to Add. At most MemoryBudget/8; 0 stands for MemoryBudget/64,
	// but 16 KiB to 2 MiB. An arena in use takes twice that from the budget;
	// if encoders together hold more than half of the budget so, runs get small and many.
	ArenaBytes int
	// SuffixBytes is how many bytes at the end of every key aren't part of it but
	// tell pairs with one key apart and order them; see "Suffixes" in the package's doc.
	SuffixBytes int
	// Compression of runs.
	Compression Compression
	// FS is where Dir lives; nil is the operating system's file system.
	FS vfs.FS
	// Logger gets one line per spill; nil is silent.
	Logger *zap.Logger
}

// pageBytes returns the size of pages.
func (o Options) pageBytes() int {
	return int(min(max(o.MemoryBudget/1024, minPageBytes), maxPageBytes))
}

// withDefaults returns the options completed and checked.
func (o Options) withDefaults() (Options, error) {
	if o.MemoryBudget < minMemoryBudget {
		return o, fault.New(fault.User, 0, "the sort memory budget of %d bytes is below the minimum of %d", o.MemoryBudget, minMemoryBudget)
	}
	if o.Dir == "" {
		return o, fault.New(fault.User, 0, "the sort directory must be set")
	}
	if o.ArenaBytes == 0 {
		o.ArenaBytes = int(min(max(o.MemoryBudget/64, leastArenaBytes), mostArenaBytes))
	}
	if o.ArenaBytes < minArenaBytes || int64(o.ArenaBytes) > o.MemoryBudget/8 {
		return o, fault.New(fault.User, 0, "the arena size of %d bytes must be between %d and an eighth of the sort memory budget of %d", o.ArenaBytes, minArenaBytes, o.MemoryBudget)
	}
	if o.PrefixSkip < 0 || o.SuffixBytes < 0 {
		return o, fmt.Errorf("sortkv: negative PrefixSkip %d or SuffixBytes %d", o.PrefixSkip, o.SuffixBytes)
	}
	if o.Compression > CompressionZstd {
		return o, fmt.Errorf("sortkv: unknown compression %d", o.Compression)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o, nil
}

package conflict

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/sortkv"
)

// Strategy says which rows of a group are lost.
type Strategy uint8

// The strategies, see the package's doc.
const (
	// Find loses no row and finds the first one that INSERT would refuse.
	Find Strategy = iota
	Replace
	Ignore
	Capture
)

// TableRow stands for a row of the table in Collision.Other.
const TableRow int64 = -1

// KeyRange is a part of the key space in which two equal keys are a conflict:
// the records, or a unique index, of a table or of one of its partitions.
type KeyRange struct {
	Start, End []byte // without row number; End is exclusive
	// Index numbers what the keys belong to: 0 for records, then the table's
	// unique indexes in the order in which INSERT checks them. Partitions share it.
	Index int
}

// Table is the table itself, if it has rows. Its methods are called by several goroutines.
type Table interface {
	// Lookup returns for each key that the table has what RecordKey needs of its value, and nil for the
	// others, all as of one moment.
	Lookup(ctx context.Context, keys [][]byte) ([][]byte, error)
	// RecordKey returns the key of the record that a pair belongs to. It may be
	// nil for an entry that holds the handle in its key, since then the record key collides too.
	RecordKey(key, value []byte) ([]byte, error)
}

// Config is a decision to be made. All but Table, OnLost and Logger are required.
type Config struct {
	// Sorted holds the pairs, numbered by kv.Arena.AddNumbered.
	Sorted *sortkv.Sorted
	// Keys in ascending order, without overlap.
	Keys     []KeyRange
	Strategy Strategy
	// Table is nil for a table that is known to be empty.
	Table Table
	// OnLost, if set, is called for every row that is lost, in their order. Key is
	// valid during the call only.
	OnLost func(Collision) error
	// Scanned, if set, is told how many of the parts that the keys are divided into have been looked
	// at. It is called from several goroutines.
	Scanned func(done, parts int)
	// Dir is the sort directory. MemoryBudget in bytes is for the second sort and
	// the sets of numbers; at least MinMemoryBudget.
	Dir          string
	MemoryBudget int64
	// FS is where the second sort finds Dir; nil is the operating system's file system.
	FS vfs.FS
	// Threads is how many goroutines look for groups.
	Threads int
	Logger  *zap.Logger
}

// sortBudget is the part of a budget that is for the second sort. A sixteenth
// each is for the sets; the rest is for what isn't counted.
func sortBudget(memoryBudget int64) int64 { return memoryBudget / 4 * 3 }

// MinMemoryBudget is the least that a decision needs, in bytes.
const MinMemoryBudget = 1 << 20

// Collision is a row that shares a key with another one.
type Collision struct {
	Row int64
	// Other is a row with the same key, or TableRow: for Replace the one that
	// takes Row's place, for Ignore and Find the one before it, for Capture any.
	Other int64
	// Index and Key say which: of several keys the one that INSERT checks first.
	Index int
	Key   []byte
}

// Count is how many collisions there were in the keys of one index.
type Count struct {
	// Groups of rows that share a key, and the Rows in them, of the source only.
	Groups, Rows int64
	// TableRows are groups with a row of the table.
	TableRows int64
}

// Result is a decision. The caller closes it after its last use of Survivors.
type Result struct {
	// Lost holds the rows that are left out, frozen.
	Lost *Bits
	// Counts by KeyRange.Index; indexes without conflict may be missing at the end.
	Counts []Count
	// First holds the first few rows that are lost, or for Find the row that
	// INSERT would refuse first, if there is one.
	First []Collision
	// tableRows holds what EachTableRow goes over; nil if there is nothing.
	tableRows *sortkv.Sorted

	sorted *sortkv.Sorted
	close  []func() error
}

// Restore returns a decision that was made before about the same pairs: lost, which the
// result closes, are the rows that are left out. It has neither counts nor rows of the table.
func Restore(sorted *sortkv.Sorted, lost *Bits) *Result {
	return &Result{Lost: lost, sorted: sorted, close: []func() error{lost.Close}}
}

// firstKept is how many lost rows Result.First names.
const firstKept = 3

// NumberOf returns the row number that the suffix of a key holds.
func NumberOf(suffix []byte) int64 { return int64(binary.BigEndian.Uint64(suffix)) }

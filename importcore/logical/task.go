package logical

import (
	"context"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// OnDuplicate says what becomes of a row that shares the value of a primary key or unique index with one that is there.
type OnDuplicate uint8

// The strategies.
const (
	// DuplicateError ends the import at such a row, with MaxErrors too.
	DuplicateError OnDuplicate = iota
	// DuplicateReplace keeps the last row by file and position: what REPLACE leaves.
	DuplicateReplace
	// DuplicateIgnore keeps the first one; what it does not ignore is errors of values.
	DuplicateIgnore
)

// Source is the rows of one table. Files and the numbers of rows in them must be the same whenever the same job is gone on with.
type Source interface {
	// Files is how many files there are, in the order in which their rows count.
	Files() int
	// Open cuts a file into blocks of the pool, from the place of a block that an earlier splitter of the file has given
	// out, or from its beginning if from is zero. The file's number is in the blocks.
	Open(ctx context.Context, file int, from format.RowPlace, pool *format.BlockPool) (format.Splitter, error)
	// Reader returns a new reader for the blocks of all files. Each lane has two of its own.
	Reader() format.RowReader
	// Layout says where the fields of a block's rows go. The same pointer stands for the same layout.
	Layout(block *format.Block) (*Layout, error)
}

// Layout says where the fields of a row go. It must not change.
type Layout struct {
	// Columns has a name for each field, in any case; "" drops the field. Generated columns are dropped too.
	Columns []string
	// Optional is how many of the last fields may be missing.
	Optional int
}

// Sizes of what is sent at once.
const (
	// DefaultBatchBytes is the length of a batch's text; tests/logical has a benchmark of it.
	DefaultBatchBytes = 1 << 20
	// DefaultBatchRows bounds what a server has to hold of a transaction.
	DefaultBatchRows = 20000
	// DefaultLanes is how many connections bring in the rows of a table without an order.
	DefaultLanes = 4
	// MaxLanes is the highest number of lanes.
	MaxLanes = 64
	// blockPart: a block of so many parts of a batch's text becomes one batch, as a rule.
	blockParts, blockOf = 3, 4
	minBlockBytes       = 16 << 10
)

// Task is one table's import. Import does not change it.
type Task struct {
	// Job tells this job from all others that may ever write into the server, at most 64 characters of ASCII: a job's number alone
	// isn't enough where several clusters' jobs go.
	Job string
	// Table is where the rows go, from Target.Table.
	Table *Table
	// Source is where they come from.
	Source Source
	// Basis is another text when files, their order, or options that rows depend on are others; then the job is not gone on with.
	Basis string
	// Begun says that an earlier Import of the job is known to have brought rows in: a ledger that knows nothing of it is an error then.
	Begun bool
	// OnDuplicate is what becomes of rows that collide.
	OnDuplicate OnDuplicate
	// MaxErrors is how many bad rows are left out and recorded before the import fails.
	MaxErrors int64
	// ErrorLimit, if it is set, is MaxErrors for several imports together, which all have it.
	ErrorLimit *badrows.Limit
	// BadRows gets the records of rows that are left out whenever Import ends; required with MaxErrors.
	BadRows badrows.Sink
	// Lanes, BatchBytes and BatchRows; 0 means the default. BatchBytes is lessened to what the server takes.
	Lanes, BatchBytes, BatchRows int
	// Room is the memory for rows longer than a block; nil allows MaxRowBytes.
	Room format.Room
	// Claimed, if set, is told what earlier runs of the job have brought in, before the first batch of this one.
	Claimed func(Counts)
	// Committed, if set, is told of each batch that is in the table for good. It is called by all lanes at once.
	Committed func(Counts)
}

// MaxRowBytes is the longest row without a Room of the task.
const MaxRowBytes = 32 << 20

// Summary is what an import has done, all runs of the job together.
type Summary struct {
	Counts
	// WarningSamples are some warnings of the server, with their places. Only those of the last run.
	WarningSamples []string
}

// withDefaults checks a task and completes it.
func (t Task) withDefaults(maxPacket int) (Task, error) {
	switch {
	case t.Job == "" || len(t.Job) > 64:
		return t, fault.New(fault.Sluice, 0, "a job's name has 1 to 64 characters")
	case t.Table == nil || t.Source == nil:
		return t, fault.New(fault.Sluice, 0, "an import needs a table and a source")
	}
	if t.ErrorLimit == nil {
		t.ErrorLimit = badrows.NewLimit(t.MaxErrors)
	}
	if t.leavesOut() && t.BadRows == nil {
		return t, fault.New(fault.Sluice, 0, "MaxErrors needs BadRows")
	}
	if t.Lanes <= 0 {
		t.Lanes = DefaultLanes
	}
	t.Lanes = min(t.Lanes, MaxLanes)
	if t.OnDuplicate != DuplicateError && t.Table.Unique {
		t.Lanes = 1
	}
	if t.BatchBytes <= 0 {
		t.BatchBytes = DefaultBatchBytes
	}
	// The rest of the packet is for the statement's head and a row that crosses the limit.
	t.BatchBytes = min(t.BatchBytes, maxPacket/2)
	if t.BatchRows <= 0 {
		t.BatchRows = DefaultBatchRows
	}
	if t.Room == nil {
		t.Room = format.LimitedRoom(MaxRowBytes)
	}
	return t, nil
}

// leavesOut tells whether bad rows may be left out.
func (t *Task) leavesOut() bool { return t.ErrorLimit.Most() > 0 }

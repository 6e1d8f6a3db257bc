package importcore

import (
	"context"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/importcore/table"
)

// ChecksumLevel says what a checksum that differs from the cluster's, or one
// that the cluster could not compute, means for the job.
type ChecksumLevel uint8

// The levels of IMPORT INTO's option CHECKSUM_TABLE.
const (
	// ChecksumRequired fails the job when the sums differ or the cluster's is not to be had.
	ChecksumRequired ChecksumLevel = iota
	// ChecksumOptional fails the job when the sums differ, and only warns when the cluster's is not to be had.
	ChecksumOptional
	// ChecksumOff does not ask the cluster.
	ChecksumOff
)

// AnalyzeLevel says what statistics mean for the job.
type AnalyzeLevel uint8

// The levels of RESTORE's option ANALYZE.
const (
	// AnalyzeOptional collects them, and only warns when that fails.
	AnalyzeOptional AnalyzeLevel = iota
	// AnalyzeRequired fails the job when they can't be collected.
	AnalyzeRequired
	// AnalyzeOff collects none.
	AnalyzeOff
)

// OnDuplicate says what becomes of rows that share the value of a primary key
// or a unique index, with each other or with rows that the table has.
type OnDuplicate uint8

// The strategies of the option ON_DUPLICATE.
const (
	// DuplicateError fails the import and names both rows.
	DuplicateError OnDuplicate = iota
	// DuplicateReplace keeps the last row by file and position: what REPLACE,
	// row by row, leaves.
	DuplicateReplace
	// DuplicateIgnore keeps the first: what INSERT IGNORE, row by row, leaves.
	DuplicateIgnore
	// DuplicateCapture keeps none of the source's rows that collide, and records them all.
	DuplicateCapture
)

// String returns the strategy as the option has it.
func (d OnDuplicate) String() string {
	switch d {
	case DuplicateReplace:
		return "replace"
	case DuplicateIgnore:
		return "ignore"
	case DuplicateCapture:
		return "capture"
	default:
		return "error"
	}
}

// ImportTask is one import as the caller wants it. The core does not change it.
type ImportTask struct {
	// JobID names the job in logs and errors.
	JobID int64
	// Part tells the imports of one job apart that run at the same time: the number of a restore's table, counted from 1. 0
	// is the only import of its job.
	Part int
	// DB and Table name the target; the table must exist and be empty, unless AllowNonEmpty.
	DB, Table string
	// Partitions names those that the rows go to, as in INSERT INTO t PARTITION
	// (...): they must be empty, and a row of another one is an error. Empty means the table.
	Partitions []string
	// Location is where the files are: an absolute path or a pattern in its last element; with Files, their folder.
	Location string
	// Files, if there are any, are read in their order instead of what Location names, each once. They are as the list of
	// source.OpenFolder has them; one that has changed since is an error.
	Files []DataFile
	// Texts, if it is set, gives the text of Files instead of a store that is opened for this import alone. It stays the caller's.
	Texts source.Store
	// Format is that of the files, without Files.
	Format Format
	// CSV says how files of FormatCSV are read.
	CSV csv.Config
	// HeaderNames says that the first row of each file of FormatCSV names the columns that its
	// fields go to. Columns must be empty then.
	HeaderNames bool
	// Columns says where each field goes, in field order; empty means the
	// table's visible columns in their order, or those that the statements of an SQL file list.
	Columns []table.FieldTarget
	// Assignments are columns that get the value of an expression instead of a field.
	Assignments []table.Assignment
	// SysVars are variables of the session that expressions depend on, by name;
	// see encode.Config. User is what USER() gives, CurrentDB what DATABASE() does.
	SysVars         map[string]string
	User, CurrentDB string
	// IgnoreForeignKeys is foreign_key_checks = 0. Otherwise the rows are checked
	// once all are there.
	IgnoreForeignKeys bool
	// SQLMode decides, as for INSERT, what a value that does not fit means.
	SQLMode mysql.SQLMode
	// Now is the job's NOW(); zero means the cluster's clock when the job is planned.
	Now time.Time
	// TimeZone is what TIMESTAMP values are written in; nil means UTC.
	TimeZone *time.Location
	// Threads is the number of encoding workers and of regions written at a time; at least 1.
	Threads int
	// MaxWriteSpeed is in bytes per second and TiKV store; 0 means no limit.
	MaxWriteSpeed int64
	// MaxLatency is what a small read at a TiKV store may take before the store is written to more slowly, see
	// ingest.Care; 0 means any time.
	MaxLatency time.Duration
	// Checksum is what the comparison with the cluster means.
	Checksum ChecksumLevel
	// ChecksumConcurrency is as in cluster.ChecksumTable.
	ChecksumConcurrency int
	// Analyze is what the collection of statistics means.
	Analyze AnalyzeLevel
	// DisableImportMode leaves the stores in normal mode.
	DisableImportMode bool
	// LeaseFrom is how many bytes of pairs are worth a change to the cluster (see cluster.Lease): with fewer, import mode,
	// schedulers and garbage collection stay as they are. For each of very many small tables these changes would take longer than
	// their rows, and what they keep away is no matter of moments, or is met by trying again. 0 means any number.
	LeaseFrom int64
	// OnDuplicate is what becomes of rows that collide.
	OnDuplicate OnDuplicate
	// MaxErrors is how many bad rows are recorded and left out before the job fails.
	MaxErrors int64
	// BadRows keeps the records of rows that are left out; required with MaxErrors.
	BadRows badrows.Sink
	// ErrorLimit, if it is set, is MaxErrors for several imports together, which all have it.
	ErrorLimit *badrows.Limit
	// AllowNonEmpty lets the import add to a table that has rows.
	AllowNonEmpty bool
	// KeepPartial leaves what a failed job has ingested in the table.
	KeepPartial bool
	// Owned tells whether the job is still the caller's to run: nil, or an error
	// that wraps ErrNotOwner or says why that is not known. It is asked before
	// a table is emptied; nil means that it always is.
	Owned func(ctx context.Context) error
	// Hold returns, at once as a rule, when nobody else can take the job for so
	// long that what is sent now has had its effect by then. An error says that
	// nothing may be sent any more. It is asked before everything that changes
	// the table's rows; nil means that nobody ever can.
	Hold func(ctx context.Context) error
	// Checkpoints keeps what the job has done, so that it can go on after its process
	// died or was paused. With nil it can't.
	Checkpoints Checkpoints
	// Observer may be nil.
	Observer Observer
	// DiskQuota is how many bytes the job may have in the sort directory; 0 means any number. When what is
	// encoded reaches it, that is brought into the table, before the rest of the source is encoded (see rounds.go). A job
	// that can't do that, or needs more for one part, ends with ErrDiskFull.
	DiskQuota int64
	// SkipPrechecks names the checks that Inspect leaves out.
	SkipPrechecks []precheck.Name
	// MemoryBudget is what the job may hold in memory for blocks, pairs and
	// merging, in bytes; 0 means the core's.
	MemoryBudget int64
}

// Checkpoints keeps the checkpoint of one job where any process finds it.
type Checkpoints interface {
	// Load returns what Save was given last; nothing if that was nothing or Save was never called.
	Load(ctx context.Context) ([]byte, error)
	// Save returns when data is safe in the place of what was there. It is called by
	// one goroutine at a time. An error ends the job.
	Save(ctx context.Context, data []byte) error
}

// Step is what a running import is at.
type Step uint8

// The steps, in the order in which a job goes through them.
const (
	StepPrepare   Step = iota // nothing of the source read yet
	StepEncode                // source files are read, encoded and sorted
	StepSort                  // runs on the disk are merged and searched for equal keys; left out without runs
	StepConflicts             // rows that share a key are looked for; left out unless the job may have some
	StepIngest                // sorted pairs are written to the stores
	StepChecksum              // auto IDs are rebased, the table's checksum is compared
	StepAnalyze               // statistics are collected
	StepDone
)

// String returns the step's name as SHOW IMPORT JOBS and metrics have it.
func (s Step) String() string {
	switch s {
	case StepPrepare:
		return "prepare"
	case StepEncode:
		return "encode"
	case StepSort:
		return "sort"
	case StepConflicts:
		return "conflicts"
	case StepIngest:
		return "ingest"
	case StepChecksum:
		return "checksum"
	case StepAnalyze:
		return "analyze"
	case StepDone:
		return "done"
	default:
		return "unknown"
	}
}

// Progress is where a job is. Numbers only grow, but Rows is 0 again when the
// job has failed and none of its rows is in the table, and what is encoded when the source is read
// again from its beginning.
type Progress struct {
	Step Step
	// Steps are all but StepPrepare and StepDone, in their order.
	Steps []StepProgress
	// SourceBytes of SourceTotal bytes of the files have been encoded into Rows rows, runs of the job before this one included.
	SourceBytes, SourceTotal int64
	Rows                     int64
	// Round is the present one's number if the source is imported in several (see ImportTask.DiskQuota), else 0.
	Round int64
	// FilesRead of Files source files have been read to their end.
	Files, FilesRead int64
	// PairBytes is the size of the keys and values made, IngestedBytes of those in the cluster for good.
	PairBytes, IngestedBytes int64
	// SpilledBytes have been written to the sort directory by this run of the job.
	SpilledBytes int64
	// Waits are of this run of the job.
	Waits Waits
	// Slowdowns is how often a store was slow and got less because of MaxLatency, in this run; HeldBack is what the one that
	// is held back most may get at present, in bytes per second, 0 if none is.
	Slowdowns, HeldBack int64
}

// StepProgress is where a step is.
type StepProgress struct {
	Step Step
	// Done of Size bytes: of the source for StepEncode, of keys and values for the others. Size is
	// an expectation until the step begins; 0 means that there is nothing to do. Of a step that is Blind nothing is known before its end.
	Done, Size int64
	Blind      bool
	// Tail is the end of the step before it: all was sent, and the stores still have to ingest the last Size bytes.
	Tail bool
	// MaxSpeed is what max_write_speed lets the cluster take, in bytes per second; 0 is no limit.
	MaxSpeed float64
	// Did is what this run of the job has done of it, in bytes. Rows are those that this run has encoded, for
	// StepEncode, and for others those of the job once it has come to the step's end in this run.
	Did, Rows int64
	// Took and CPU are of this run of the job. CPU is that of the process in steps during which no other
	// import ran in it; 0 means that it isn't known.
	Took, CPU time.Duration
}

// Waits is for how long the goroutines of an import waited, all together.
type Waits struct {
	// Source: encoders for the source to be read. Memory: encoders for memory to become free. Disk: encoders that wrote
	// sorted runs or waited for a checkpoint.
	Source, Memory, Disk time.Duration
	// Store: for a store to take pairs or to ingest them. Limit: for max_write_speed and max_latency. Backoff: after errors of stores.
	Store, Limit, Backoff time.Duration
}

// Observer is told of single pieces of an import's work, by several goroutines. Its methods must not block.
type Observer interface {
	// Encoded is called for every block of the source.
	Encoded(bytes int64)
	// Stored is called for every SST that was written to the stores, and for every one that was ingested.
	Stored(stage ingest.Stage, took time.Duration)
	// Answered is called for every read that was made for MaxLatency.
	Answered(took time.Duration)
}

// Event tells that a job entered a step, or that something happened in it
// that its user should hear of. Sinks get events in order, one at a time.
type Event struct {
	JobID   int64
	Time    time.Time
	Step    Step
	Warning string // empty for a change of step
}

// Summary is what a finished import did.
type Summary struct {
	Rows        int64
	SourceBytes int64
	// Local is the checksum of the pairs that were made, Remote the cluster's.
	Local, Remote kv.Checksum
	// RemoteKnown is false when the cluster was not asked or did not answer.
	RemoteKnown bool
	// SpilledBytes were written to the sort directory; 0 when the pairs fitted the memory budget.
	SpilledBytes int64
	// LostRows are rows of the source that were left out because they collided;
	// Rows doesn't count them. DeletedRows of the table were replaced.
	LostRows, DeletedRows int64
	// BadRows are rows of the source that were left out and recorded because of MaxErrors.
	BadRows int64
	// Regions is the number of ingests that the pairs took.
	Regions int64
	// Rounds is in how many parts the source was imported, because of DiskQuota.
	Rounds   int64
	Warnings []string
}

// Plan is a task whose files, table and mapping have been looked at and found
// good. It holds no resources of the cluster. It is used for one Import.
type Plan struct {
	Task ImportTask
	// Files in the order in which they are read.
	Files []source.File
	// SourceBytes is the sum of the files' sizes.
	SourceBytes int64
	// TableID is that of the table when it was planned; the import fails when it has changed.
	TableID int64

	data     []DataFile // what else is known of Files
	store    source.Store
	target   *table.Target
	layouts  []*layout       // by file; nil for a file with neither header nor rows
	headers  []*csv.Header   // by file, with HeaderNames, of FormatCSV
	heads    []*sqldump.Head // by file, of FormatSQL
	known    *layouts        // all layouts so far
	encoding *encode.Plan    // of any layout, for what is the same in all of them
	filled   bool            // the table has, or had when the job began, rows
	saved    checkpoint.State
	progress progress
	troubles troubles
	held     heldBack
}

// Now is what NOW() gives for every row of the job.
func (p *Plan) Now() time.Time { return time.UnixMilli(p.saved.Now) }

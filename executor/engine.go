package executor

import (
	"context"
	"time"

	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/executor/forecast"
	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/sqlext"
)

// Engine is what the executor needs of the import core. core.go is the real
// one; tests put faults behind it.
type Engine interface {
	// Readable tells whether the source's files can be read by this process, and
	// are those that the task was accepted with: nil, errSourceChanged, or what
	// keeps it from them.
	Readable(ctx context.Context, s *Spec) error
	// Inspect makes all prechecks of an import that begins and changes nothing. A full
	// inspection takes a sample of rows in any case. The error is that of an
	// invalid task or of the context; what stands against the import is in the findings.
	Inspect(ctx context.Context, t Task, full bool) (Inspection, error)
	// Plan looks at source and target, and makes the prechecks without which there is
	// no import. It changes nothing. The caller runs or closes the plan.
	Plan(ctx context.Context, t Task) (Plan, error)
	// Abandon gives up what a job that was interrupted has done: see importcore.Core.Abandon.
	Abandon(ctx context.Context, t Task) (fate string, err error)
	// Forget removes what a restore with this checkpoint, which nobody goes on with any more, has noted beside its rows: see restore.Restorer.Forget.
	Forget(ctx context.Context, checkpoint []byte) error
	// Sweep removes what jobs that are over have left in this machine's sort directory.
	Sweep(over func(jobID int64) bool)
	// Named returns what the cluster itself knows of changes that Sluice has made to it.
	Named(ctx context.Context) ([]cluster.Change, error)
	// Undo undoes a change that its owner has left behind.
	Undo(ctx context.Context, c cluster.Change) error
	// Close disconnects. No plan may be running.
	Close() error
}

// Inspection is what the prechecks of an import have found.
type Inspection struct {
	Findings []precheck.Finding
	// TableID is that of the target, 0 if that is not known.
	TableID int64
	// Plan is nil if there can't be one; the caller closes it.
	Plan Plan
	// Estimate says what the import would take; nil if that is unknown.
	Estimate *importcore.Estimate
	// Contents is what a restore would restore; nil for imports, and unless the inspection is a full one.
	Contents *restore.Contents
}

// Plan is a checked task. It is used for one Run.
type Plan interface {
	// Facts are what the prechecks saw.
	Facts() Facts
	// Run does the import and ends the use of the plan. It stops soon after
	// ctx is cancelled; its error then wraps the context's cause.
	Run(ctx context.Context) (Summary, error)
	// Progress may be called at any time, from any goroutine.
	Progress() Progress
	// Close ends the use of a plan that is not run.
	Close() error
}

// Facts are what a job's row has to hold of its source and its target.
type Facts struct {
	TableID     int64
	SourceBytes int64
	// Source is another one when a file's name, size or time of change is.
	Source string
	// Now is the job's NOW().
	Now time.Time
	// Tables are those that a restore writes; nil for imports.
	Tables []job.Table
}

// Spec is an import or a restore as the statement and its session want it: what any process
// needs to run it, and all of it. See durable.go for its form in the job's row.
type Spec struct {
	DB, Table  string
	Partitions []string
	Location   string
	// Keeper has the credentials that Location lacks in the job's row.
	Keeper      Keeper
	Format      sqlext.Format
	Fields      []sqlext.Field
	Assignments []sqlext.Assignment
	Options     sqlext.Options
	SQLMode     parsermysql.SQLMode
	// SysVars are the session's variables that expressions depend on, by name;
	// User is its USER(), CurrentDB its DATABASE(), IgnoreForeignKeys its foreign_key_checks = 0.
	SysVars   map[string]string
	User      string
	CurrentDB string
	// Account is its CURRENT_USER(): views of a restore that name no definer are its. "" in rows of imports.
	Account           string `json:",omitempty"`
	IgnoreForeignKeys bool
	TimeZone          *time.Location
	// Restore is set for a restore, which then has no DB, Table, Partitions, Fields or Assignments; its Location is a folder. Options are
	// those that restores have in common with imports.
	Restore *RestoreSpec `json:",omitempty"`
	// Source and Now are those of the plan with which the job was accepted, see
	// Facts; zero before.
	Source string
	Now    time.Time
}

// Task is a Spec for one run in this process.
type Task struct {
	JobID int64
	Spec
	Threads       int
	MemoryBudget  int64
	MaxWriteSpeed int64
	// MaxLatency is importcore.ImportTask's.
	MaxLatency time.Duration
	// DiskQuota is in bytes; 0 means any number.
	DiskQuota int64
	// BadRows keeps rows that are left out, Checkpoints what is done; nil until
	// the job has a row.
	BadRows     badrows.Sink
	Checkpoints Checkpoints
	// BadRowsOf keeps those of a restore's tables, each by a sink of its own; numbers count from 1.
	BadRowsOf func(number int64, db, table string) badrows.Sink
	// Reserve takes the tables that a restore is to write, Tell is told of them; both are nil before the job exists.
	Reserve func(context.Context, []job.Table) error
	Tell    func(job.Table)
	// LastRestores is jobstore.Store's; nil if there are no jobs.
	LastRestores func(context.Context, []job.Table) (map[string]job.LastRestore, error)
	// Observer may be nil.
	Observer importcore.Observer
	// Owned and Hold are importcore.ImportTask's; nil before the job exists.
	Owned, Hold func(context.Context) error
}

// Checkpoints keeps what a job has done, where any process finds it.
type Checkpoints interface {
	// Load returns what was saved last, nothing if that was nothing.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces it. Saving nothing forgets it.
	Save(ctx context.Context, data []byte) error
}

// Progress is what a running plan tells.
type Progress struct {
	// Phase and Step as in job.Progress.
	Phase job.Phase
	Step  string
	// Steps are the job's, in their order; number At is under way. Before the first one and behind the
	// last At is -1. The end of a step may be one of its own: then its name is Step and more.
	Steps []forecast.Step
	At    int
	// SourceBytes is the size of the source, Rows what has been imported of it.
	SourceBytes int64
	Rows        int64
	// Counted is what the core has counted, for metrics.
	Counted importcore.Progress
}

// Summary is what a finished job did.
type Summary struct {
	Rows int64
	// Checksum is an import's, Restored what a restore did; the other one is zero.
	Checksum job.Checksum
	Restored *Restored
	Warnings []string
}

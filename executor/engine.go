package executor

import (
	"context"
	"time"

	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/sqlext"
)

// Engine is what the executor needs of the import core. core.go is the real
// one; tests put faults behind it.
type Engine interface {
	// Plan runs all prechecks and looks at the source. It changes nothing. The
	// caller runs or closes the plan.
	Plan(ctx context.Context, t Task) (Plan, error)
	// Close disconnects. No plan may be running.
	Close() error
}

// Plan is a checked task. It is used for one Run.
type Plan interface {
	// TableID and SourceBytes are what the prechecks saw.
	TableID() int64
	SourceBytes() int64
	// Run does the import and ends the use of the plan. It stops soon after
	// ctx is cancelled; its error then wraps the context's cause.
	Run(ctx context.Context) (Summary, error)
	// Progress may be called at any time, from any goroutine.
	Progress() job.Progress
	// Close ends the use of a plan that is not run.
	Close() error
}

// Task is an import as the statement, the session and the configuration want it.
type Task struct {
	JobID       int64
	DB, Table   string
	Partitions  []string
	Location    string
	Fields      []sqlext.Field
	Assignments []sqlext.Assignment
	Options     sqlext.Options
	SQLMode     parsermysql.SQLMode
	// SysVars are the session's variables that expressions depend on, by name;
	// User is its USER(), CurrentDB its DATABASE(), IgnoreForeignKeys its foreign_key_checks = 0.
	SysVars           map[string]string
	User              string
	CurrentDB         string
	IgnoreForeignKeys bool
	TimeZone          *time.Location
	Threads           int
	MemoryBudget      int64
	MaxWriteSpeed     int64
	// BadRows keeps rows that are left out; nil until the job has a row.
	BadRows badrows.Sink
	// Owned and Hold are importcore.ImportTask's; nil before the job exists.
	Owned, Hold func(context.Context) error
}

// Summary is what a finished import did.
type Summary struct {
	Rows     int64
	Checksum job.Checksum
	Warnings []string
}

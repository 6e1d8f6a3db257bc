// Package job says what a job is: its record, its states and who may write it.
// It holds plain types only; executor/jobstore keeps them in the cluster.
//
// # States
//
//	              claim              end
//	accepted -> pending ---------> running ---------> finished
//	            | ^ ^ |            | | | |
//	            | | | +----------- | | | +----------> failed -----+
//	            | | | +----------- | | +------------> cancelled --+
//	            | | |              | |                            |
//	            | | +--- release --+ |                            | retry
//	            | | +----------------|----------------------------+
//	   pause,   | |                  | pause, seen by the owner
//	   no owner | | resume           | (shown as pausing meanwhile)
//	            v |                  v
//	            paused <-------------+ --- cancel ---> cancelled
//
// Every arrow is one conditional update of the row: it takes effect only if the
// row is still in the state, and still belongs to the owner and term, that the
// writer believes it to be in. A finished job stays so; only RETRY leaves the
// other two last states.
//
// # Ownership
//
// A job is run by the Sluice that holds its Lease: instance name and term. The
// owner renews it while it works. A job without an owner ("") is pending or
// paused. A pending one is there for any Sluice to adopt, which raises the term,
// so that nothing that an earlier owner writes late can match the row. A job
// comes to be without an owner when its own gives it up (pause, shutdown), or
// when others find that the owner is gone: see executor/takeover.go.
//
// # One job per table
//
// A job that has not ended, a paused one too, holds its tables (Table), which no two
// jobs of the store can. So two Sluices that accept jobs for one table at the same moment
// can't both succeed.
package job

import (
	"time"
)

// Status is a job's state. Its text is what SHOW IMPORT JOBS prints.
type Status string

// The states of a job.
const (
	Pending   Status = "pending"
	Running   Status = "running"
	Paused    Status = "paused"
	Finished  Status = "finished"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

// Pausing and Cancelling are what is shown of a job that was asked to be paused or
// cancelled, until it is. No row is in these states.
const (
	Pausing    Status = "pausing"
	Cancelling Status = "cancelling"
)

// transitions is the picture of the package's doc.
var transitions = map[Status][]Status{
	Pending:   {Running, Paused, Failed, Cancelled},
	Running:   {Finished, Failed, Cancelled, Paused, Pending},
	Paused:    {Pending, Cancelled},
	Failed:    {Pending},
	Cancelled: {Pending},
}

// CanBecome tells whether there is an arrow from s to next.
func (s Status) CanBecome(next Status) bool {
	for _, t := range transitions[s] {
		if t == next {
			return true
		}
	}
	return false
}

// Active tells whether the job still holds its table.
func (s Status) Active() bool { return s == Pending || s == Running || s == Paused }

// Valid tells whether s is one of the states.
func (s Status) Valid() bool {
	switch s {
	case Pending, Running, Paused, Finished, Failed, Cancelled:
		return true
	}
	return false
}

// Phase is what a running job is at, in TiDB's words.
type Phase string

// The phases of IMPORT INTO with local sort.
const (
	PhaseNone       Phase = ""
	PhaseImporting  Phase = "importing"
	PhaseValidating Phase = "validating"
)

// FormatVersion is the version of what a job's row means. A Sluice doesn't touch
// jobs of a newer one than it knows. Since DurableVersion the row has the task
// with which another process can run the job; since 3 there are kinds of jobs.
const (
	FormatVersion  = 3
	DurableVersion = 2
)

// Kind is what a job does.
type Kind string

// The kinds of jobs.
const (
	Import  Kind = "import"
	Restore Kind = "restore"
)

// Job is a job's record. Times are UTC by the cluster's clock with
// microseconds; a zero time is NULL.
type Job struct {
	// ID is small, positive and never used twice.
	ID int64
	// Kind is Import unless given.
	Kind Kind
	// GroupKey is the user's name for a group of jobs, "" for none.
	GroupKey string
	// DataSource is the location without credentials.
	DataSource string
	// DB, Table and TableID name an import's target as it was when the job was accepted; a restore has none of them.
	DB, Table string
	TableID   int64
	// Targets is what a restore was asked for, as SQL; "" for imports.
	Targets string
	// Tables are those that a restore writes. They are written with the job, and read by Store.Tables only.
	Tables []Table
	// Result is JSON: what the finished job has to tell beside its other columns; "" if that is nothing.
	Result string
	// Statement is the SQL without credentials.
	Statement string
	// Options is JSON: what the user specified, without credentials.
	Options string
	// Task is what another process needs to run the job, see executor/durable.go;
	// "" if it can't. It is written with the job and read by Store.Task only.
	Task string
	// FormatVersion is that of the Sluice that accepted the job.
	FormatVersion int
	// Status is the job's state.
	Status Status
	// What the owner last told; a job that has ended keeps it.
	Progress
	// SourceBytes is the size of all source files.
	SourceBytes int64
	// ErrorRows is the number of rows that were recorded as wrong.
	ErrorRows int64
	// ErrorCode and Message tell why a job failed or was cancelled; Message of
	// a finished job holds its warnings. No credentials.
	ErrorCode uint16
	Message   string
	// Connection is the cluster's id of the connection that asked for the job; 0 = not known.
	Connection int64
	// CreatedBy is the account (user@host) that asked for the job.
	CreatedBy string
	// CreateTime, StartTime, EndTime and UpdateTime.
	CreateTime, StartTime, EndTime, UpdateTime time.Time
	// Lease says who runs the job; LeaseUntil when others may take it.
	Lease      Lease
	LeaseUntil time.Time
	Control
}

// Shown is the status that SHOW prints.
func (j *Job) Shown() Status {
	switch {
	case j.CancelRequested && (j.Status == Pending || j.Status == Running):
		return Cancelling
	case j.PauseRequested && j.Status == Running:
		return Pausing
	}
	return j.Status
}

// Control is what users ask the owner of a job for.
type Control struct {
	// CancelRequested and PauseRequested ask it to stop the job. A cancellation
	// wins over a pause.
	CancelRequested, PauseRequested bool
	// Settings counts the changes of the job's Task since it was accepted.
	Settings int64
}

// Lease is the right to write a job's row.
type Lease struct {
	// JobID is the job's id.
	JobID int64
	// Owner is the instance name of a Sluice.
	Owner string
	// Term counts the owners of the job from 1.
	Term int64
}

// Progress is what the owner writes while the job runs.
type Progress struct {
	// Phase is TiDB's word for what the job is at, Step the core's own.
	Phase Phase
	Step  string
	// Rows is the number of rows imported so far; nil when unknown.
	Rows *int64
	// Step and job as a whole. A step that has no size is all zero.
	Current Meter
	Total   Meter
	// Percent of the whole job, 0 to 100. It never falls, but for RETRY.
	Percent float64
	// Spent is what the job has put into its steps so far, in their order.
	Spent []Spent
}

// Spent is what all runs of a job together have put into one of its steps. Its form in
// JSON is that of the job's row.
type Spent struct {
	Step string `json:"step"`
	// Seconds in which the job was at the step, what was done again included.
	Seconds float64 `json:"seconds"`
	// Bytes of the step's own kind that are done.
	Bytes int64 `json:"bytes"`
	// Percent of the step that was shown last; 0 if it has no size.
	Percent float64 `json:"percent,omitempty"`
	// Limited tells that a speed limit held for the step.
	Limited bool `json:"limited,omitempty"`
}

// Meter is how far something has come.
type Meter struct {
	// Done of Size bytes. For the whole job these are of the source.
	Done, Size int64
	// Percent is set for steps only: it doesn't fall when Done does.
	Percent float64
	// Speed is in bytes per second; 0 when it is not known yet.
	Speed int64
	// Left is the expected rest of the time; 0 when it is not known.
	Left time.Duration
}

// Outcome is how a job ended.
type Outcome struct {
	// Status is Finished, Failed or Cancelled.
	Status Status
	// ErrorCode and Message as in Job.
	ErrorCode uint16
	Message   string
	// Rows is nil when unknown.
	Rows *int64
	// Progress is what the job shows from now on, but for Rows; nil leaves what its owner told last.
	Progress *Progress
	// Checksum is that of the pairs that were ingested, nil when there is none.
	Checksum *Checksum
	// Result as in Job; "" leaves it as it is.
	Result string
}

// Checksum is the sum that ADMIN CHECKSUM TABLE has to show for the table.
type Checksum struct {
	Crc64Xor, TotalKvs, TotalBytes uint64
}

package sqlext

import "strings"

// PauseImportJob is PAUSE IMPORT JOB n.
type PauseImportJob struct {
	// ID is the job's id.
	ID int64
}

// ResumeImportJob is RESUME IMPORT JOB n, for a paused job.
type ResumeImportJob struct {
	// ID is the job's id.
	ID int64
}

// RetryImportJob is RETRY IMPORT JOB n, for a job that failed or was cancelled.
type RetryImportJob struct {
	// ID is the job's id.
	ID int64
}

// AlterImportJob is ALTER IMPORT JOB n SET option = value [, ...].
type AlterImportJob struct {
	// ID is the job's id.
	ID int64
	// Options holds the values of those that Options.Specified names: thread,
	// max_write_speed, max_latency, disk_quota and job_priority.
	Options Options

	redacted string
}

// Apply changes the options of a job as the statement wants it.
func (s *AlterImportJob) Apply(to *Options) {
	if to.Specified == nil {
		to.Specified = map[string]any{}
	}
	for name, value := range s.Options.Specified {
		alterable[name](to, &s.Options)
		to.Specified[name] = value
	}
}

// alterable are the options that can be changed while a job runs, with what brings one from the statement's to the job's.
var alterable = map[string]func(to, from *Options){
	"thread":          func(to, from *Options) { to.Thread = from.Thread },
	"max_write_speed": func(to, from *Options) { to.MaxWriteSpeed = from.MaxWriteSpeed },
	"max_latency":     func(to, from *Options) { to.MaxLatency = from.MaxLatency },
	"disk_quota":      func(to, from *Options) { to.DiskQuota = from.DiskQuota },
	"job_priority":    func(to, from *Options) { to.Priority = from.Priority },
}

// ShowImportErrors is SHOW IMPORT JOB n ERRORS [LIMIT [offset,] count].
type ShowImportErrors struct {
	// ID is the job's id.
	ID int64
	// Offset is the number of rows to leave out at the front, Count how many to
	// show at most; negative means all.
	Offset, Count int64
}

// ShowImportEvents is SHOW IMPORT JOB n EVENTS.
type ShowImportEvents struct {
	// ID is the job's id.
	ID int64
}

// ShowImportTables is SHOW IMPORT JOB n TABLES.
type ShowImportTables struct {
	// ID is the job's id.
	ID int64
}

// ShowImportGroups is SHOW IMPORT GROUPS, or SHOW IMPORT GROUP 'key'.
type ShowImportGroups struct {
	// Key names one group; nil means all of them.
	Key *string
}

// ShowImportClusterState is SHOW IMPORT CLUSTER STATE.
type ShowImportClusterState struct{}

// RepairImportClusterState is REPAIR IMPORT CLUSTER STATE.
type RepairImportClusterState struct{}

// Redacted implements Statement.
func (s *PauseImportJob) Redacted() string { return "PAUSE IMPORT JOB " + itoa(s.ID) }

// Redacted implements Statement.
func (s *ResumeImportJob) Redacted() string { return "RESUME IMPORT JOB " + itoa(s.ID) }

// Redacted implements Statement.
func (s *RetryImportJob) Redacted() string { return "RETRY IMPORT JOB " + itoa(s.ID) }

// Redacted implements Statement.
func (s *AlterImportJob) Redacted() string { return s.redacted }

// Redacted implements Statement.
func (s *ShowImportErrors) Redacted() string {
	text := "SHOW IMPORT JOB " + itoa(s.ID) + " ERRORS"
	if s.Count >= 0 {
		text += " LIMIT " + itoa(s.Offset) + ", " + itoa(s.Count)
	}
	return text
}

// Redacted implements Statement.
func (s *ShowImportEvents) Redacted() string { return "SHOW IMPORT JOB " + itoa(s.ID) + " EVENTS" }

// Redacted implements Statement.
func (s *ShowImportTables) Redacted() string { return "SHOW IMPORT JOB " + itoa(s.ID) + " TABLES" }

// Redacted implements Statement.
func (s *ShowImportGroups) Redacted() string {
	if s.Key == nil {
		return "SHOW IMPORT GROUPS"
	}
	return "SHOW IMPORT GROUP " + quoteText(*s.Key)
}

// Redacted implements Statement.
func (*ShowImportClusterState) Redacted() string { return "SHOW IMPORT CLUSTER STATE" }

// Redacted implements Statement.
func (*RepairImportClusterState) Redacted() string { return "REPAIR IMPORT CLUSTER STATE" }

func (*PauseImportJob) statement()           {}
func (*ResumeImportJob) statement()          {}
func (*RetryImportJob) statement()           {}
func (*AlterImportJob) statement()           {}
func (*ShowImportErrors) statement()         {}
func (*ShowImportEvents) statement()         {}
func (*ShowImportTables) statement()         {}
func (*ShowImportGroups) statement()         {}
func (*ShowImportClusterState) statement()   {}
func (*RepairImportClusterState) statement() {}

// quoteText writes a text as a literal, for sessions without NO_BACKSLASH_ESCAPES.
func quoteText(s string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(s) + "'"
}

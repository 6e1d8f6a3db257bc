package job

import "strings"

// Table is one that a job writes, or a view or sequence that it makes. While the job has not ended no other job can have it.
type Table struct {
	// DB and Name are the target's.
	DB, Name string
	// ID is the cluster's, 0 while there is no such table.
	ID int64
	// State is what the job's owner last told of it, "" before it told anything.
	State string
	// Rows have been imported, of Bytes in the table's files.
	Rows, Bytes int64
	// Message is the table's error or warning.
	Message string
}

// NameKey is what must be unique among the tables that restores hold, which may not exist yet: TiDB compares names without case.
func (t *Table) NameKey() string { return strings.ToLower(t.DB) + "." + strings.ToLower(t.Name) }

// LastRestore is the newest job that has restored something into a table.
type LastRestore struct {
	JobID int64
	// Finished tells that it has restored all of it; else a part of that may be there. Result is that of its row, see Job.
	Finished bool
	Result   string
}

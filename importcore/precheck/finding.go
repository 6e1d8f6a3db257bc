// Package precheck says, before an import begins, what would make it fail or suffer.
//
// A Check looks at one thing and returns a Finding: passed, or what is wrong with
// which severity. Run makes all checks at once and never stops at the first that
// fails, so that a user hears of everything in one go; Failure makes one error
// of the critical findings. What can't be asked for on a cluster is a warning that
// says so, never a pass.
//
//	finding.go   Name, Severity, Finding
//	run.go       Check, Run
//	failure.go   the error of a statement whose checks fail
//	version.go, space.go, emptyregions.go, distribution.go, followers.go, disk.go, placement.go, sortdir.go,
//	samplerows.go: one check each, over numbers that the caller brings
//
// Checks that are a part of planning an import (files, table, mapping, emptiness) are made in
// importcore, which knows how; they take part here as any other.
package precheck

import (
	"fmt"
	"slices"
)

// Name names a check, in results and for the option skip_prechecks.
type Name string

// The checks, in the order in which they are reported.
const (
	Privileges         Name = "privileges"          // the user may import into the table
	ActiveJob          Name = "active_job"          // no other job works on the table
	SourceFile         Name = "source_file"         // the files are there
	Schema             Name = "schema"              // the table can be imported into, and the fields have columns
	CSVHeader          Name = "csv_header"          // so have those that the files' headers name
	TargetEmpty        Name = "target_empty"        // the table, or the partitions, has no rows
	SampleRows         Name = "sample_rows"         // rows of some files fit the table
	LargeFile          Name = "large_file"          // one file keeps all workers busy
	ClusterVersion     Name = "cluster_version"     // TiDB and all stores are of a version that imports are tried on
	ClusterSpace       Name = "cluster_space"       // the stores have room for all replicas
	EmptyRegions       Name = "empty_regions"       // no store has too many
	RegionDistribution Name = "region_distribution" // no store has far fewer regions than another
	LogBackup          Name = "log_backup"          // no task of log backup (PITR), which doesn't see what is ingested
	Changefeed         Name = "changefeed"          // no changefeed of TiCDC, which doesn't either
	LocalDisk          Name = "local_disk"          // the sort directory's disk has room for what doesn't fit into memory
	DiskPlacement      Name = "disk_placement"      // the sort directory is on another disk than the source
	SortDirectory      Name = "sort_directory"      // the sort directory can be written to
	LastBackup         Name = "last_backup"         // the tables hold all archives that an incremental one continues
)

// needed are the checks without whose answer there is no import.
var needed = []Name{Privileges, ActiveJob, SourceFile, Schema, CSVHeader, TargetEmpty}

// all is every check.
var all = append(slices.Clone(needed), SampleRows, LargeFile, ClusterVersion, ClusterSpace, EmptyRegions, RegionDistribution,
	LogBackup, Changefeed, LocalDisk, DiskPlacement, SortDirectory, LastBackup)

// Skippable returns the checks that can be left out, in the order of reports.
// The others answer what an import can't do without.
func Skippable() []Name { return slices.Clone(all[len(needed):]) }

// OfSurroundings tells whether a check is about the cluster and the machine rather
// than about what is imported, so that its warning is the same for one import after the other.
func (n Name) OfSurroundings() bool {
	return n == ClusterVersion || n == EmptyRegions || n == RegionDistribution || n == DiskPlacement
}

// Severity is what a check that doesn't pass means.
type Severity uint8

// The severities.
const (
	// Warning lets the import begin.
	Warning Severity = iota
	// Critical keeps it from beginning.
	Critical
)

// String returns the word that results have.
func (s Severity) String() string {
	if s == Critical {
		return "critical"
	}
	return "warning"
}

// Finding is the outcome of a check. It is a plain value.
type Finding struct {
	Check Name
	// Severity counts if neither Passed nor Skipped.
	Severity Severity
	Passed   bool
	// Skipped says that the check was not made, because the user didn't want it.
	Skipped bool
	// Message says what was found, also when the check passed. It has no credentials.
	Message string
	// Err is the error that the import would end with, for checks that have a
	// code and text of their own; nil for others.
	Err error
}

// Status returns passed, skipped, warning or critical.
func (f *Finding) Status() string {
	switch {
	case f.Skipped:
		return "skipped"
	case f.Passed:
		return "passed"
	default:
		return f.Severity.String()
	}
}

// fails tells whether the finding keeps the import from beginning.
func (f *Finding) fails() bool { return !f.Passed && !f.Skipped && f.Severity == Critical }

// Pass is the finding that all is well; the message is formatted as by fmt.Sprintf.
func Pass(format string, args ...any) Finding {
	return Finding{Passed: true, Message: fmt.Sprintf(format, args...)}
}

// Warn is a finding that lets the import begin.
func Warn(format string, args ...any) Finding {
	return Finding{Severity: Warning, Message: fmt.Sprintf(format, args...)}
}

// Fail is a finding that keeps the import from beginning.
func Fail(format string, args ...any) Finding {
	return Finding{Severity: Critical, Message: fmt.Sprintf(format, args...)}
}

// FailWith is Fail with the error that the import would end with.
func FailWith(err error) Finding {
	return Finding{Severity: Critical, Message: err.Error(), Err: err}
}

// Unknown is the finding of a check that could not be made.
func Unknown(err error) Finding { return Warn("could not be checked: %v", err) }

// Blocked is the finding of a check that needs what another one has not found.
func Blocked(by Name) Finding { return Warn("could not be checked, because %s failed", by) }

// Counted is "1 file" or "2 files".
func Counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// Warnings returns the findings that are to be heeded though the import begins.
func Warnings(findings []Finding) []Finding {
	var out []Finding
	for _, f := range findings {
		if f.Status() == "warning" {
			out = append(out, f)
		}
	}
	return out
}

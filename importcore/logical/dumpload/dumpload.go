// Package dumpload brings a dump, as Dumpling, mydumper and TiDB Lightning know it, into a server that isn't TiDB, by SQL alone:
//
//	plan.go  the schema files read; what the server can't have, all of it, before anything is made
//	run.go   databases, tables, rows, views
//
// Tables that are there keep their definition and may hold rows. Rows arrive exactly once (package logical), so that a load that was
// interrupted is begun again with the same job's name, on any machine, and goes on where it was.
package dumpload

import (
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/source"
)

// Task is one load.
type Task struct {
	// Job is logical.Task.Job.
	Job string
	// Store gives the files' text, unpacked, and Listing says what they are, after its ReadWhole.
	Store   source.Store
	Listing *dump.Listing
	// Params say where the rows go, and in what session. Its time zone and NO_AUTO_VALUE_ON_ZERO give way to what SQL files say.
	Params logical.Params
	// CSV says how CSV files are written; CSVHeader, that their first rows name the columns.
	CSV       csv.Config
	CSVHeader bool
	// OnDuplicate is what becomes of rows that collide with each other or with those that tables have.
	OnDuplicate logical.OnDuplicate
	// Lanes, BatchBytes and BatchRows are those of logical.Task.
	Lanes, BatchBytes, BatchRows int
	// Committed, if set, is told of each batch.
	Committed func(logical.Counts)
}

// Summary is what a load has done.
type Summary struct {
	Databases, Tables, Views int
	// Rows of all tables.
	Rows logical.Counts
	// Warnings say what the server goes without, what was there already, and which values it has changed.
	Warnings []string
}

// zone is a dump's time zone: an offset or a name.
func zone(text string) (*time.Location, error) {
	if at, err := time.Parse("-07:00", text); err == nil {
		_, offset := at.Zone()
		return time.FixedZone(text, offset), nil
	}
	return time.LoadLocation(text)
}

// loadMode is what a dump's rows need: 0 in an AUTO_INCREMENT column is a value there.
const loadMode = mysql.ModeNoAutoValueOnZero

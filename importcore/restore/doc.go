// Package restore brings whole databases from a dump, or from an archive of BR, into the cluster, by one job
// with many tables: package dump says what there is, dump/schema what to create, and
// importcore.Core imports the rows of each table.
//
//	task.go       what is asked for; Restorer
//	selection.go  which objects of the source, and where they go
//	plan.go       Plan: the source and the target looked at
//	choose.go     the objects of the source that a selection means, and their order
//	contents.go   what a plan tells of itself; location.go: whether this process can read the source
//	schemas.go    schema files read; dumps in one file
//	unmask.go     the names that mydumper keeps out of the names of files
//	headers.go    CSV files' headers against the tables' columns
//	target.go     what exists already; all findings at once
//	losses.go     what the target leaves out of definitions, or can't use: told before
//	warnings.go   what is told beside the result, by whoever ends the job: of the prechecks, of tables, and what the server says of its statements
//	run.go        the order of things in a job
//	define.go     databases, sequences, tables and views are created
//	data.go       rows, several tables at a time
//	together.go   small tables of a dump, many by one import
//	server.go     what is asked of the target by SQL, whichever way the rows take
//	bysql.go      rows by SQL (package logical), into TiDB or a server that isn't
//	rows.go       where these rows come from
//	archiverows.go  the rows of an archive by SQL: read and decoded here
//	port.go       definitions for a server that isn't TiDB
//	abandonsql.go abandon.go for rows that went in by SQL
//	made.go       what is certainly the job's: marks in its statements, ids; marks.go: on a server without a history of its schema
//	archive.go    an archive of BR in the place of a dump: its objects listed like one's, their definitions
//	incremental.go  one that continues others: which, and what it goes into
//	changes.go    what became of schemas between two archives
//	chain.go      whether the target is what the archives before have left
//	alter.go      it becomes what the archive has, but for the rows
//	archivedata.go  its tables, downloaded by the stores all at once (package archive/physical)
//	statistics.go tiflash.go placement.go  what else an archive has of its tables
//	system.go     accounts, privileges and bindings (package systables)
//	compact.go    the stores' compaction at the end
//	state.go      the job's checkpoint
//	abandon.go    what becomes of the target when the job doesn't end well
//	progress.go   where the job is
//
// # Order
//
// All tables are checked before anything is created. Databases come first, then sequences, which defaults
// of tables may use, then tables, then rows, then views, which may use all of these. Foreign keys are checked when all rows
// are there. Small tables come first, several at a time, and the smallest many by one import (importcore.ImportTogether); large ones have the job's threads and memory to themselves.
//
// From an archive all rows are brought in by one run over the keys of all tables, compared with the archive's sums, and
// keep their timestamps. Its tables must not be there: the job makes them, and nobody else's rows can be in them.
//
// # When it doesn't end well
//
// The checkpoint holds, for each object, whether the job is about to make it or has made it, and of each table that is
// being imported the import's own checkpoint. A job that is paused, or whose process died, goes on from there. One that
// fails or is cancelled drops what it has made and empties the tables that it found, by the
// rules of importcore's clean-up: nothing that others have written goes with it. Nor does what others have made: see made.go. A table
// of an archive in which others have written since (all its own versions are of the backup's timestamp or before) is kept and named.
package restore

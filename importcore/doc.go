// Package importcore is the engine: it takes a task (what to read, where it
// goes, how) and runs its steps against a cluster. It knows no client
// connection and no SQL text; the executor stands in between.
//
// # The way of a row
//
// The data path is a straight line through the sub packages, wired only here:
//
//	source --bytes--> format/csv --blocks, fields--> encode --pairs--> sortkv --ranges--> ingest --SSTs--> TiKV
//
// One goroutine per job walks the files in order and cuts them into blocks of
// whole rows, so every row has its number in the job before any worker sees it:
// row IDs don't depend on how many workers there are. Task.Threads workers read
// rows out of blocks and encode them into arenas, which sortkv sorts and, when
// the budget is used up, writes as runs. When the last row is in, the runs are
// merged range by range, and each range is written to every peer of its region
// and ingested.
//
// # The steps of a job
//
//	prepare   files listed, table loaded and found empty, mapping compiled (Plan)
//	encode    every row encoded and sorted; equal keys found; rows that collide resolved, and those that the
//	          table has and the task replaces deleted; nothing else of the cluster touched yet
//	ingest    leases taken (import mode, schedulers); regions split, scattered; ranges ingested
//	checksum  auto IDs rebased; the table's checksum compared with the sum of the pairs
//	analyze   statistics; a failure here is a warning
//
// An error before pairs have been sent leaves the target as it was. After a later
// one the table is emptied again (see cleanup.go), unless the task wants to keep
// what is there or the table had rows before; the error says what it holds.
// Leases are given back on every way out.
//
// Before all of that, Inspect makes the prechecks of a task (prechecks.go, package precheck)
// and estimates what it takes from a sample of its rows (sample.go, estimate.go).
//
// With a disk quota encode and ingest take turns, for one part of the source after the other (rounds.go).
//
// # Rows that collide
//
// By default pairs carry nothing but themselves, and two equal keys end the
// job: the source is read again for the places of both rows (findduplicate.go). With
// ON_DUPLICATE or for a table that has rows, every key is followed by the number of its
// row while it is sorted, package conflict decides which rows stay, and
// the ingest leaves out the others (rownumber.go, conflict_step.go, tablerows.go, content.go).
//
// # Errors
//
// Every error that leaves the package is, or wraps, a *fault.Error, or is the
// cause of the cancelled context.
package importcore

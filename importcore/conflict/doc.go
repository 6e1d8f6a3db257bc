// Package conflict decides which rows of an import stay when several share the
// value of a primary key or a unique index, with each other or with a row that
// the table has, and leaves out all pairs of those that don't.
//
// # What comes in
//
// The job's pairs, sorted by package sortkv with the number of their row as an 8-byte
// suffix of each key (kv.Arena.AddNumbered). Rows are numbered in the order of the files, so
// pairs with one key stand together in that order, whatever the number of workers,
// files and runs was.
//
// # The way of a decision
//
//	sorted pairs --keys--> groups (scan.go) --(row, group)--> second sort --row order--> lost rows (decide.go)
//	lost rows --> a set of row numbers (bits.go) --> the sum of their pairs (left.go), iterators without them (left.go)
//
// A group is two or more rows with one key, or one with a key that the table has. Only record
// keys and the keys of unique indexes are looked at. A unique entry with a NULL, like
// an entry of another index, holds the row's handle in its key, so two of them are
// equal only if the record keys are, and such a group changes nothing.
//
// Which rows are lost follows what TiDB does row by row:
//
//   - Replace: REPLACE inserts every row after deleting what is in its way, so
//     a row stays if it is the last one of all its groups. Rows of the table
//     that share a key with any row are deleted.
//   - Ignore: INSERT IGNORE keeps a row unless an earlier one that was kept, or one of the
//     table, has one of its keys. This can't be seen in a group alone: rows are
//     gone through in order, with a set of groups that somebody has taken.
//   - Capture: every row of every group is lost.
//   - Find: nothing is lost; the first row that INSERT would refuse is named.
//
// # Memory
//
// Nothing grows with the number of conflicts but files: groups are never held as a
// whole, the second sort has a budget, and the sets of rows and groups keep as many pages
// of 32768 numbers in memory as they may, the others in a file. A page with none or
// all of its numbers takes no room. What is always in memory is 16 bytes for each page.
//
// # What is checked
//
// The record pairs left out must be as many as the rows lost, and an iterator that meets a key
// twice after all ends with an error, so that a mistake here can't change a table silently.
package conflict

// Package sortkv sorts the pairs of a job with bounded memory: arenas in,
// merged ranges out.
//
// # Flow
//
//	Arena -> (encoder fills it) -> Add: checksum, sort -> resident arenas
//	resident arenas >= half of the budget -> merged into one run on disk
//	Finish -> Sorted: resident arenas + runs -> Ranges, Iter (merged views)
//
// Every pair is copied once into its arena by the encoder. Sorting moves
// 24-byte references. What fits the budget is never written; what does not is
// written exactly once: there is no intermediate merge, so an iterator merges
// all runs and the arenas that were still resident at Finish.
//
// # Why SST runs and not a DB
//
// A run is one sstable made by pebble's table writer, without a pebble DB
// around it. A DB would write each pair to a WAL and a skiplist, flush it and
// compact it again, and would fold equal keys, which must be errors here. The
// job's data are write-once and read-once in order, so a sorted file with an
// index and a checksum per block is all that is needed. Pebble's table gives
// just that: blocks are verified (CRC32C) on every read, so a damaged or torn
// run is an error, never wrong data. Runs are not synced to disk: they die
// with the process, and a lost write shows as a checksum error.
//
// # Format of runs, measured
//
// Row-oriented table format (Pebble v4), 32 KiB blocks, Snappy. Processor time
// per pair on demo-like pairs (BenchmarkSpill: checksum, sort, merge
// and write; BenchmarkMergeRuns: read and merge), on a shared 2-core machine, so
// good to about 10 %:
//
//	             write     read     file
//	v4, Snappy   645 ns    152 ns   0.120 of the pairs' bytes
//	v7, Snappy   704 ns    139 ns   0.184 (columnar blocks)
//	v4, none     680 ns    126 ns   0.863 (shared key heads are cut)
//	v4, zstd     816 ns    188 ns   0.064
//
// (The values of that benchmark compress unusually well.) The columnar format
// has nothing to offer for opaque keys: it writes slower and larger.
// Snappy costs little more than nothing and divides what goes to disk; zstd is
// for slow disks.
//
// # Memory
//
// Options.MemoryBudget is split so: one sixteenth is set aside for the block
// buffers of table writers; the rest is shared by arenas and iterators. Arenas
// are spilled when those that wait (resident) reach half of it, so the other half
// serves the encoders while a run is written. After Finish the resident
// arenas stay (at most half), and iterators take the other half; see
// Sorted.Iter. An arena that one huge pair has grown counts with its real
// size. Arena, and Iter past the first iterator, wait while the budget is
// used up: this is the back pressure of the pipeline.
//
// # Duplicates
//
// Two pairs with one key, with equal or different values, mean that two rows of
// the source share a key. They are found while sorting an arena (Add), while
// spilling (Add, Arena), by Finish if nothing was spilled, by
// FindDuplicate, and in any case by the iterator that meets them, always as a
// *DuplicateKeyError. Nothing is dropped.
package sortkv

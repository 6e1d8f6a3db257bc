// Package sortkv sorts the pairs of a job with bounded memory: arenas in,
// merged ranges out.
//
// # Flow
//
//	Arena -> (encoder fills it) -> Add: checksum, sort -> chunk (pages in memory)
//	chunks >= 3/4 of the budget -> merged into one run on disk
//	Finish -> Sorted: resident chunks + runs -> Ranges, FindDuplicate, Iter (merged views)
//
// What fits the budget is never written; what does not is written exactly
// once: there is no intermediate merge, so an iterator merges all runs and the
// chunks that were still resident at Finish.
//
// # Pages
//
// An arena is small enough to be in the processor's cache when it is sorted, and
// is rewritten right then in key order into pages of 64 KiB (less for small
// budgets); its references are dropped and the arena goes back to an encoder. From then on
// everything is read from front to back. A page keeps keys and values apart,
// each key without what it shares with the key before it; the layout is in
// page.go. A chunk is a list of pages, and a run is the same pages in two files,
// one with the keys' parts and one with the values' parts. A merge into a run
// gives each page back as soon as it is read, so encoders can go on meanwhile.
//
// The rejected option was to merge sorted references into arenas: every
// comparison and every copy then is a cache miss, which cost more than the
// copy into pages.
//
// # Merging
//
// A loser tree with offset-value codes: each key is known by where and how it
// leaves the key given out last, eight bytes that decide nearly every
// comparison although keys of a table share long heads; pages hold just these
// offsets, and the tree gives them out again, so that neither reading a page nor
// writing one compares keys. The tree is a Huffman tree: a run, with many pairs, is
// near its root, a chunk far from it. See cursor.go and merge.go.
//
// # Why an own format for runs
//
// A run needs no search by key, no properties, no versions, and lives no longer
// than the process. Runs made by pebble's table writer cost at least twice the processor
// time to write and to read (its blocks mix keys and values, restart
// points are searched, each pair passes several interfaces). A pebble DB around them was
// never an option: a WAL, a skiplist and compactions write each pair again and
// again, and equal keys, which must be errors here, are folded.
//
// With keys and values in different files, the search for duplicates reads the keys alone.
// Where each page lies and its CRC32C (Castagnoli) are kept in memory only, for both parts.
// Every read is verified against them, so a damaged, torn, short or exchanged file is
// always an error, never wrong data. Runs are not synced to disk: they die with
// the process, and a lost write shows as a wrong checksum. The index in memory is some 170 bytes
// for each page, a quarter of a percent of the data, and is taken from the budget.
//
// # Figures
//
// BenchmarkLife: 3,000,000 pairs (253 MB) of 1,000,000 demo-like rows, filled by two
// goroutines. Processor time per pair on a busy 2-core machine, the two
// programs in turn; single runs differ by 15 %. "Before" is sorted arenas of references and pebble
// tables with Snappy.
//
//	budget           add     duplicates   merge    sum       written / pair bytes   peak heap
//	64 MiB, before   944 ns  155 ns       154 ns   1253 ns   0.58 (Snappy)          77 MiB
//	64 MiB           272 ns   41 ns        69 ns    382 ns   0.69                   64 MiB
//	96 MiB           240 ns   45 ns        70 ns    356 ns   0.52                   93 MiB
//
// Of add, the checksum takes about 13 ns, sorting 50 and rewriting 55; the rest is the
// spill of four fifths of the pairs (at 64 MiB). If everything stays in memory (512 MiB), merging
// nearly 200 chunks costs 100 ns and more: many sources are what a merge pays for.
//
// Runs are not compressed by default: keys are short already, and Snappy and zstd (see
// BenchmarkSpill, BenchmarkMergeRuns) are for slow disks and texts that compress well.
//
// # Memory
//
// Options.MemoryBudget is split so: one sixteenth is set aside for what is not
// counted (keys of cursors, scratch of codecs); the rest is shared by arenas, pages
// of chunks, of spills and of iterators, and indexes of runs. An arena is lent only if
// there is memory for it and for the pages that its pairs become, so Add never
// waits. Chunks are spilled when they reach three quarters of the budget, or when an arena
// is asked for and nothing is left. After Finish iterators take what chunks leave; should
// eight iterators lack memory because of many runs, Finish spills the chunks
// as well. A run after which not even one iterator would have room beside the indexes
// is a *FullError, since only closing the sorter gives that memory back. An arena or page
// that one huge pair has grown counts with its real size. Arena, and Iter past the first iterator, wait while the budget is
// used up: this is the back pressure of the pipeline.
//
// # Duplicates
//
// Two pairs with one key, with equal or different values, mean that two rows of
// the source share a key. They are found while an arena is sorted and rewritten
// (Add), while spilling (Add, Arena, Finish), by Finish if nothing was spilled, by
// FindDuplicate, and in any case by the iterator that meets them, always as a
// *DuplicateKeyError. Nothing is dropped.
//
// # Suffixes
//
// With Options.SuffixBytes every key ends in that many bytes that are not part of it: the
// number of its row, for those who have to see all pairs of one key. Sorting, spilling and
// merging know nothing of it, a key and its suffix are one string to them. It is cut off at
// the edges: the checksum, Ranges, the bounds of iterators and Iterator.Key are without it,
// Iterator.Suffix has it. Only two equal keys with equal suffixes are a *DuplicateKeyError then.
//
// This orders pairs by key and then by suffix as long as no key is the start of another one,
// which is so for the keys of a table: their parts tell where they end.
package sortkv

// Package sortkv sorts the pairs of a job with bounded memory: arenas in,
// merged ranges out.
//
// # Flow
//
//	Arena -> (encoder fills it) -> Add: checksum, sort -> chunk (pages in memory)
//	chunks >= 3/4 of the budget -> merged into one run on disk
//	Finish -> Sorted: resident chunks + runs -> Ranges, FindDuplicate, Iter (merged views)
//
// What fits the budget is never written; what does not is written once, as long as
// there is memory for four iterators that merge all runs and the chunks that were still
// resident at Finish, and there are no more than 400 runs. If there are more, Finish
// merges the smallest ones until there are as few.
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
// # Runs
//
// With keys and values in different files, the search for duplicates reads the keys alone.
// The file of the keys also has a tree of index blocks, which tell where each page lies, with its CRC32C
// (Castagnoli) for both parts, and ends in a footer; see index.go and footer.go. Every read
// is verified against them, so a damaged, torn, short or exchanged file is
// always an error, never wrong data. Memory keeps 32 bytes for each run; who reads one has
// a page and one index block of each level. Runs are synced to disk for
// a manifest alone, see Sync; a lost write shows as a wrong checksum.
//
// So the budget does not bound what can be sorted, it says how often it is written. A run has
// about two thirds of the budget B, and can be read along with B / 288 KiB others, 400 at most. Merges of
// a pass share the memory for 400 pages or what B has; each takes 64 runs or more, as many merges at a
// time as there are processors. With B = 99 MiB, a job's part of 128 MiB, runs have 69 MiB:
// 350 can be read, which is 24 GiB, and so two passes are enough for 1.4 TiB of runs, three for 90 TiB.
// The 32 bytes for each run are in the sixteenth of the budget that is not counted up to 14 TiB.
//
// # Why an own format for runs
//
// A run needs no search by key, no properties and no versions. Runs made by pebble's table writer cost at least twice the processor
// time to write and to read (its blocks mix keys and values, restart
// points are searched, each pair passes several interfaces). A pebble DB around them was
// never an option: a WAL, a skiplist and compactions write each pair again and
// again, and equal keys, which must be errors here, are folded.
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
// of chunks, of spills and of iterators, index blocks of iterators, and samples for Ranges (another sixteenth at most). An arena is lent only if
// there is memory for it and for the pages that its pairs become, so Add never
// waits. Chunks are spilled when they reach three quarters of the budget, or when an arena
// is asked for and nothing is left. After Finish iterators take what chunks leave; should
// eight iterators lack memory because of many runs, Finish spills the chunks
// as well. An arena or page
// that one huge pair has grown counts with its real size; of values that are larger than a page an iterator holds one at a time, and
// counts with two copies of the largest in its user's hands. Arena, and Iter past the first iterator, wait while the budget is
// used up: this is the back pressure of the pipeline. Reserve takes a part of the budget for
// something else; chunks are spilled for it, and whoever holds an arena without need gives it back, see Hurry.
//
// # Duplicates
//
// Two pairs with one key, with equal or different values, mean that two rows of
// the source share a key. They are found while an arena is sorted and rewritten
// (Add), while spilling or merging runs (Add, Arena, Finish), by Finish if nothing was spilled, by
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

// Package badrows collects the rows that a job leaves out, with the reason for
// each, and ends the job when there are more than its user allows.
//
// # Order
//
// Workers meet bad rows in any order. What is recorded, and which row is the
// one too many, must not depend on how many workers there are, so records leave
// the collector in the order of the files:
//
//	worker of block 7 --Add, Done--> deposit ------+
//	worker of block 6 --Add, Done--> deposit --+   |
//	worker of block 5 --Add, Done--------------+---+--> batch --Put--> Sink
//	           ^ the head: all blocks before it are done
//
// The worker of the head block writes through; others buffer, leave what they
// have as a deposit and go on. Whoever ends the head block also takes the
// deposits behind it. Only the one whose turn it is talks to the sink, so no
// lock is held over a write.
//
// # Memory
//
// A worker holds at most one block's buffer, all deposits together are bounded,
// and a record's texts are. Where a bound is reached, a worker waits until its
// block is the head. Since workers take blocks in order, the head block is
// always with a worker, and that one never waits for others: there is progress.
// A sink that is slow slows down the workers that have bad rows.
//
// # Limit
//
// The record beyond the limit is recorded too, and then the job ends with a
// *LimitError that describes the first ones. Blocks behind it are not looked at.
//
// Records that come after the blocks (conflicts) go straight to the batch.
package badrows

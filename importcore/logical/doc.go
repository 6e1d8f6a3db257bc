// Package logical brings the rows of a source into any server that speaks MySQL's protocol and has transactions (MariaDB,
// MySQL, TiDB), by INSERT and REPLACE, each row exactly once:
//
//	target.go     the server: what it is, its sessions, its settings
//	table.go      a table as information_schema describes it
//	task.go       what is to be brought where, and what came of it
//	literal.go    fields → SQL literals
//	statement.go  rows → the text of a batch
//	feed.go       files → blocks, in order, without what is done
//	lane.go       blocks → batches; one lane per connection
//	apply.go      a batch in its transaction; the row that spoils it
//	state.go      what a lane has done, as its ledger row says it
//	ledger.go     the ledger's tables and statements
//	job.go        jobs of many tables
//	rejects.go    rows that are left out
//	foreignkey.go rows without parents, looked for when all are there
//	fault.go      what an error of the server means
//
// # Exactly once
//
// A connection may break when COMMIT has been sent: whether the batch is in the table is not known then. A process may be
// killed or stopped at any moment, another one goes on with its job, and the first may wake up and send what it had in hand.
// So what is done is written where the rows are, in the same transaction:
//
//	BEGIN
//	INSERT INTO t VALUES (...), (...)                              -- a batch
//	UPDATE sluice.logical_ledger SET seq = seq + 1, state = '...'  -- the lane's row: which rows are in the table now
//	 WHERE ... AND lane = 3 AND term = 7 AND seq = 41
//	COMMIT
//
// Who begins, or goes on, claims the table's ledger rows: each gets a higher term. A transaction of an earlier claim finds no
// row to update and is rolled back; one that is being committed is waited for, by its lock. After an error that leaves open
// what became of a COMMIT, the lane's row is read under its lock before anything else: its seq tells whether the batch is in.
// If it tells neither (the server has failed over to a replica without the last transactions), everything goes back to what the
// ledger says. Nothing else, no checkpoint and no memory, is believed.
//
// The rows of a file are numbered, whatever blocks it is cut into. A lane's state says: all rows before a place are in
// (the floor, the start of a block), and beyond it these ranges of row numbers. Who goes on reads from the highest floor and
// leaves out the rows of all lanes' ranges. A feeder that is far ahead of the floor waits, so that states stay short.
//
// Tables of engines without transactions are refused: nothing could be promised for them.
//
// # Order
//
// With replace and ignore, and keys that rows could share, there is one lane, and it takes the rows in the order of the files.
// IGNORE is not used: it would also turn errors of values into other values. INSERT ... ON DUPLICATE KEY UPDATE c = c leaves
// out what collides, and nothing else.
//
// # Values
//
// A value arrives as an INSERT of the same text in the same session would bring it. Text is written as it is, between
// quotes; what goes into binary columns with the introducer _binary; what isn't UTF-8 in hexadecimal, so that the server judges it.
//
// # Bad rows
//
// A statement that fails because of a row is divided, in its transaction, until the row is found: where the server
// names it ("at row 5") at once. It ends the job with file, line, offset, column and value; with MaxErrors it is noted in
// sluice.logical_rejects, in the transaction that leaves it out, and given to the task's sink whenever an import ends. Imports may share
// a limit; each counts what the ledger says that earlier runs have left out.
//
// # Memory
//
// Blocks come from a pool, one more than lanes. A lane holds a batch's text, and once more while it is sent.
package logical

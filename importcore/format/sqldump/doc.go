// Package sqldump reads SQL dumps: files with INSERT statements as mysqldump, Dumpling, mydumper and MySQL's other tools write
// them.
//
// # What is read
//
// INSERT [IGNORE] and REPLACE with VALUES. A row is a row, whatever the statement would do about duplicates: that is the job's
// to decide. The table's name in a statement is not compared with the target's, but all rows of a file are of one table; a file with
// those of several is read in parts (ReadOutline). Fields go to the columns that their statement lists.
//
// Values are literals: strings with all of MySQL's escapes, with introducers (_binary, _utf8mb4), hexadecimal and bit literals,
// numbers, NULL, TRUE, FALSE, DEFAULT, and CONVERT('...' USING utf8mb4), which mydumper writes. Other expressions are an error of their row.
//
// # Statements around them
//
// What a dump says besides its rows is passed over where the rows mean the same without it: LOCK TABLES, DISABLE KEYS, transactions, CREATE, DROP before the
// first row. SET is obeyed as far as it says what rows mean (settings.go). Any other statement is an error with its place, as leaving it out could
// leave data out.
//
// # Two passes
//
// As for csv: the Splitter finds where rows end, which takes a look at quotes and parentheses only; readers divide them into fields. A block may hold the
// rows of many statements if these list the same columns. Where a block begins in the middle of a statement, Block.Back leads to the statement's
// head, so that it can be read again from its place.
//
// # Malformed rows
//
// A row ends where its parenthesis closes, so what is wrong in it costs that row alone. A quote or a parenthesis that isn't closed ends the reading of its file, and
// so does a statement without its end: a dump that was cut off is never taken for a whole one.
package sqldump

// Package csv reads delimited text as TiDB's IMPORT INTO does.
//
// # Dialect
//
// What the parser of TiDB's IMPORT INTO (v8.5) accepts is accepted with the
// same fields; what it refuses is refused; a test in tests/csvoracle runs
// both side by side. The rules that surprise:
//
//   - A quote opens a quoted field only as its first byte. Anywhere else in an
//     unquoted field it is an error, and so is anything but a separator or line
//     end behind a closing quote.
//   - A doubled quote inside a quoted field stands for one quote.
//   - The escape byte works in quoted and unquoted fields and takes away the
//     meaning of any byte, of line ends too. \0 \b \n \r \t \Z stand for NUL,
//     backspace, line feed, carriage return, tab and byte 26; any other escaped byte for itself.
//   - A field that is exactly \N is NULL, quoted or not, if \N is among the NULL
//     texts; \\N never is. Other NULL texts are compared with the unescaped
//     field, quoted or not.
//   - Empty lines are no rows, nor are lines of white space without a
//     separator and quote (Unicode's white space). But white space at the end of the file
//     without a line end is a row, and so is the end of the file behind lines of white
//     space: one row with one empty field. (A quirk of TiDB, kept.)
//   - A UTF-8 byte order mark at the start of the file is skipped.
//
// Differences, on purpose: with automatic line ends, \r\n counts as one skipped line
// (TiDB counts two, so with skip_rows=2 it would import what should have been skipped);
// an escape byte equal to the quote or a separator is refused (TiDB
// would read "a""b" as a, backspace); rows are limited to MaxRowBytes (TiDB: 120 MiB).
//
// # Other character sets
//
// A file in gbk, gb18030 or latin1 has the rows that the same text has in UTF-8.
// The second and fourth bytes of characters may look like a backslash, a
// separator or a quote, so both passes look at the decoded text (package
// decode). Blocks hold the file's own bytes all the same, cut where rows of the text end:
// a block can be read again by its place, and workers do most of the decoding.
// (TiDB divides the bytes, and takes the second byte of some characters for an escape.)
//
// # Two passes
//
// The Splitter finds row borders in one sequential pass: it jumps from line
// end to line end and counts quotes between them, which tells inside from
// outside as long as there is no escape byte; rows with one (and dialects with
// longer or overlapping markers) go through the exact row parser. Readers mark
// all special bytes of a stretch of the block, 64 at a time, and go from mark
// to mark; what looks odd there goes through the same row parser.
// Where a row is malformed the splitter may see borders behind it
// that do not exist, but the row itself is in a block, and its reader
// reports it. A reader also compares the number of its rows with the splitter's.
//
// # Malformed rows
//
// By default the first malformed row ends the reading of its file. With
// Config.Recover it is passed over where its end is certain: at the end of its
// line, if no quoted field is open there (resync.go has the rule), or at the
// end of the file, if no line follows. So a row with something between a closing quote
// and the next separator, or with a quote inside an unquoted field, costs that
// row alone. A quote that is never closed, or closed by a quote of a later row,
// leaves open what is a row and what is a field: such a row and the rest
// of the file are one error, and reading ends. Rows are never guessed.
//
// Counting quotes is no way to find borders where rows may be malformed, so
// with Recover the splitter gives every row that has a quote to the row parser.
package csv

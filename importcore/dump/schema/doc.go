// Package schema turns the text of a dump's schema files into statements for the
// target: TiDB's parser reads them, the names are replaced by the target's, and the
// statement is written anew.
//
//	read.go     a file's text → its statements
//	define.go   databases, tables and views
//	sequence.go sequences
//	names.go    the names of the target in a statement
//	compare.go  a table of the dump beside the target's
//
// A file holds, beside the statement that it is for, settings of a session (SET), DROPs of placeholders and the like,
// which are left out. A statement of any other kind is an error: nothing of a dump is passed over in silence.
package schema

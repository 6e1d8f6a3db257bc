// Package define writes the statements that make what an archive's schemas describe:
// databases, tables, views, sequences and placement policies, as they were backed up.
//
//	table.go      CREATE TABLE: its lines and options
//	making.go     CREATE TABLE and what follows it, so that columns get the ids that they had
//	column.go     one column
//	partition.go  the PARTITION BY clause
//	collation.go  what a session has to have set for it
//	other.go      databases, views, sequences, policies
//
// The statements are for a session with an empty sql_mode and time_zone '+00:00', in which
// schemas hold timestamps, and with the collation that Collation says. Names are quoted, and versions of features are in TiDB's comments, as in SHOW CREATE TABLE, with which tests
// compare them. Next automatic ids are a part of them; TTL jobs are switched off.
package define

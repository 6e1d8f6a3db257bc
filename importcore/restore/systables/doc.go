// Package systables brings what an archive of BR holds of the schema mysql into a cluster, as far as it is the users': accounts and
// roles, their privileges, bindings of plans, and the lists of what the optimizer must not do.
//
//	tables.go  the tables, and the rows of an archive that are restored
//	fit.go     whether the cluster's tables can take them
//	insert.go  the rows by SQL, in one transaction
//
// # Which rows
//
// A backup of everything has the schema mysql as __TiDB_BR_Temporary_mysql. Restored are the tables that Names tells. What TiDB keeps there of itself
// (statistics, jobs, timers, garbage collection, its own variables) belongs to the cluster that it was backed up from, and stays there.
//
// Accounts are only added. The cluster keeps some as they are: root, cloud_admin, and those that the caller names. Rows that name one of these, even as a
// role that another account has, are left out. Any other account that exists is an error, because nobody can tell which of the two is meant.
// Of bindings, those stay whose statement has one in the cluster. Lists have no keys: what is added differs from all that they have.
//
// # All or nothing
//
// All rows go in by one transaction with plain INSERTs. So somebody who doesn't know how it ended sees that by the accounts.
//
// # Secrets
//
// The session's tidb_redact_log keeps values out of the server's logs, and of what it tells of statements. Beside that, hashes of passwords are never part of a
// statement that may be slow or fail: they are put into variables of the session first, by a statement of their own. Errors of the server may quote
// values, so only those are passed on that are known to name keys.
package systables

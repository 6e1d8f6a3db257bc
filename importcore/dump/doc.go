// Package dump finds out what is in a folder that mydumper, Dumpling or a tool
// with their file names has written: databases, tables, views and sequences with
// their schema files and data files.
//
//	name.go     one file's path → what it is
//	listing.go  all files → objects, skipped files, problems
//	rules.go    what files are by rules of the user instead
//	order.go    the order of a table's data files
//	whole.go    dumps in one file, as mysqldump writes them
//	metadata.go the file that the dumping tool writes about itself
//
// # Names
//
// A file's name, and not the SQL text inside, says what it belongs to (the default file
// routing of tidb-lightning, and what mydumper and Dumpling write):
//
//	{db}-schema-create.sql            CREATE DATABASE
//	{db}.{table}-schema.sql           CREATE TABLE
//	{db}.{view}-schema-view.sql       CREATE VIEW; {db}.{view}-schema.sql is then a placeholder
//	{db}.{seq}-schema-sequence.sql    CREATE SEQUENCE
//	{db}.{table}.sql, .csv            rows
//	{db}.{table}.{number}.sql, .csv   rows, in the order of the numbers
//	...-schema-triggers.sql, -schema-post.sql, *.sql.bak   skipped
//
// Case doesn't matter. Sub-folders are read, and their names mean nothing. %XX in the names of
// databases and tables is undone once. Files may be compressed, schema files too. A table's name
// may hold dots, a database's not. mydumper calls the files of databases and tables with other names mydumper_ and a number, see Masked.
//
// # One file
//
// In a folder without any schema file an SQL file with another name, such as shop.sql, is a whole dump of its own. Its statements say
// what belongs to which database; what they leave open belongs to the database that the file is called after, or that the caller names.
package dump

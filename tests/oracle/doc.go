// Package oracle holds the tests in which TiDB judges Sluice.
//
// # Twins
//
// TestTwins is the judge of whole imports. Each shape of table is made twice.
// TiDB fills the one by INSERTs (a string literal in each cell is what a field
// of a CSV file is to it), an IMPORT INTO through the sluice binary fills the
// other from files with the same rows. Then the raw pairs of both are read from
// the store and must be equal byte for byte, but for the ids of tables and
// partitions; the checksum that TiDB computes must be that of the pairs of the
// INSERTs, ADMIN CHECK TABLE clean, and the SELECTs equal. A row that TiDB
// refuses must be refused with the same code: by the encoder, and, for one row
// of each shape, by the whole statement, which must leave the table empty.
//
//	twin_test.go                   the procedure for a shape
//	import_test.go, pairs_test.go  files and statement; pairs and comparison
//	lane_test.go, report_test.go   sessions; totals, refusals, seed
//	types_test.go, random_test.go  types with edge values; random values
//	matrix_test.go, kinds_test.go  every type in every kind of table
//	special*_test.go               tables that are special as a whole
//	exception_test.go              where the INSERT's pairs are those that TiDB itself can't use
//	mutant_test.go                 the proof that the judge can fail
//
// The long form (make test-oracle) takes all shapes, the short one (make test)
// a sample with a fixed seed.
//
// # The encoder alone
//
// judge_test.go, shapes_test.go and partition_test.go hold the encoder's pairs
// against those of INSERTs without an import, for what a twin can't show.
package oracle

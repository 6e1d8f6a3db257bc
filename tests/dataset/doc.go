// Package dataset makes the demo table: a CSV file with the shape of a real
// order table, its CREATE TABLE, and sums over it that a SELECT can confirm.
// Tables lists it together with tables of other shapes for benchmarks.
//
// The file is a pure function of the number of rows and the seed, so the demo,
// the tests and the benchmarks can name a file by these two and compare
// results over time. Row i holds
//
//	id          i+1 sent through a permutation of 1..rows: unsorted, dense
//	code        9 base-36 digits of another permutation: unique, unsorted
//	amount      -99999.99 .. 99999.99, two decimals
//	created_at  a second between 2015 and 2024
//	grp         0..999, indexed, so about rows/1000 rows per value
//	note        30 to 150 bytes of text with commas, quotes and multi-byte runes
//
// Layout: demo.go writes the file, permute.go shuffles, sums.go compares;
// tables.go lists the tables of other shapes, shapes.go and wide.go write them.
package dataset

// Package sst reads and writes the SST files of TiKV's backups and imports:
// RocksDB's block-based tables of format version 2, as any RocksDB reads them.
//
// # What is in a file
//
// A file belongs to one column family. Keys are data keys in both (key.go):
//
//	'z' | memcomparable form of the raw key | 8 bytes: bitwise NOT of a timestamp
//
// In the write family the timestamp is the commit_ts and the value is a record
// (record.go): which kind of change, its start_ts, and the value itself if it
// has up to ShortValueMax bytes. A longer value stands in the default family,
// as it is, under the same raw key with the start_ts.
//
// # Tables
//
// writer.go, reader.go and properties.go use Pebble's sstable package, which
// writes and reads RocksDB's format 2. Its blocks are plain there; table.go and
// recompress.go copy them to and from the form that TiKV has them in, compressed
// by one of the ways in compression.go.
package sst

// Package blocktable reads RocksDB's block-based tables, the form of the SST
// files in a BR archive, from their first pair to their last.
//
// # Layout
//
//	data blocks | other blocks (filter, properties, ...) | metaindex | index | footer
//
//	footer (53 bytes)  checksum type (1), metaindex handle, index handle, zeroes, format version (4), magic (8)
//	handle             offset and size of a block, both varints
//	block in the file  bytes, compressed or not | compression type (1) | masked CRC-32C of both (4)
//	block              entries | offset of each restart (4 each) | number of restarts (4)
//	entry              bytes shared with the key before, bytes of its own, bytes of the value: varints; key's rest; value
//	key                user key | type (1) | sequence number (7)
//
// All numbers are little-endian. An index entry's value is the handle of a data
// block; the index is in key order, and the data blocks lie in the file in this order
// too, so that a table is read in one stream.
//
// # Why not a library
//
// The tables that TiKV writes for a backup may be compressed with LZ4 (its default where the
// client doesn't say), which Pebble, the Go library for this format, can't read. What it can read it judges in tests.
//
// # What is refused
//
// Everything that TiKV doesn't write into a backup and that would have to be looked at to read the
// right pairs: range deletions, merge operands, a compression dictionary, an index of several levels.
//
// References: https://github.com/facebook/rocksdb/wiki/Rocksdb-BlockBasedTable-Format and table/format.cc of RocksDB.
package blocktable

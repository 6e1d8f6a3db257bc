// Package archive reads the backups that BR, or TiDB's BACKUP statement, has
// made: what is in them, and the pairs of their files.
//
// # What is in an archive
//
//	backupmeta                     protobuf BackupMeta (kvproto's brpb)
//	backupmeta.{schema,datafile,ddl}.%09d   parts of it, since version 2: trees of protobuf MetaFile
//	backupmeta.schema.stats.%09d   statistics
//	{store}/..._{default,write}.sst         the data: RocksDB tables, see package blocktable
//	backup.lock, checkpoints/      a backup that is, or was, being made
//
// The SSTs of a key range come in pairs, one for each column family of TiKV that has
// entries there. Their keys are
//
//	'z' | memcomparable form of the raw key | 8 bytes: bitwise NOT of a timestamp
//
// In the write file a value is a record: the kind of change, its start_ts, and short values themselves; a long value stands in
// the default file under the same raw key and that start_ts. A backup holds one version of each key,
// the newest; only one that continues another has records of deletion.
//
// # Files of this package
//
//	archive.go     Open: listing, backupmeta, what is refused
//	meta.go        protobuf, both versions; sums of the parts
//	cipher.go      keys, decryption
//	schema.go      databases and tables
//	files.go       which files hold which table
//	stream.go      a file's bytes, decrypted and compared with their sum
//	pairs.go       both column families of a range merged
//	rows.go        rows of a table, one after the other
//	rowdecoder.go  a pair of a table decoded into datums
//	rewrite.go     ids of the archive → ids of the target
//	global.go      the same in the values of indexes over all partitions
//
// # What is trusted
//
// Nothing: everything is compared with the sums that the archive has of itself, and its numbers are checked before they
// are used. An error that a file causes names it.
package archive

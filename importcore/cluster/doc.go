// Package cluster is the target cluster as the import core sees it: PD, TiKV
// and TiDB behind one type, *Cluster, made of these parts:
//
//	cluster.go     Config, Open (find, connect, check the version), Close
//	discover.go    PD and status addresses, asked from TiDB
//	sql.go         statements with the service account, see package sqlconn
//	schema.go      a table's schema, is it empty, has it changed
//	checksum.go    ADMIN CHECKSUM TABLE and ANALYZE
//	autoid.go      making the allocators of IDs go on after an import
//	committs.go    a timestamp that nobody else commits at
//	look.go        looking at what is in regions: sums, part by part
//	others.go      was anything in a table written by others than one ingest?
//	savestats.go   statistics of many tables at once, statistics.go of one
//	truncate.go    emptying a table
//	rewritten.go   what was restored from an archive: checksums, timestamps
//	partitions.go  what is special about a part of a table: emptying, checksum
//	stores.go      the stores and the connections to them
//	usage.go       how full the stores are, empty regions, replicas
//	followers.go   who copies what is written: log backup, TiCDC
//	limits.go      at which size a region is split
//	regions.go     looking up regions
//	split.go       cutting regions at given keys
//	scatter.go     spreading regions over the stores
//	lease.go       changes to the cluster that end by themselves, and their keeper
//	lease_*.go     one kind of lease each
//
// # Leases
//
// Everything that an import changes in a cluster besides data is a lease: it
// has an owner, ends by itself unless it is renewed, is renewed by one
// goroutine until it is released, and is released on every way out, also when
// the job's context has ended. What is held can be listed.
//
//	kind             in the cluster                          ends after  renewed every
//	safe-point       PD service GC safe point                5 min       100 s
//	import-mode      TiKV import mode, each store            10 min      3 min
//	schedulers       PD region label rule schedule=deny      5 min       100 s
//	partition-range  TiKV force-partition range, each store  1 h         12 min
//
// Import mode has no owner in TiKV: one switch to normal ends it for everybody.
// Inside this process the last lease switches back. Between processes nothing
// can be done but renewing: whoever still needs it switches it on again with
// the next renewal.
//
// # Errors
//
// What comes out of here is a *fault.Error that says what was being done, or
// the error of a context that has ended. Addresses of servers may be part of
// it, passwords never. All keys are raw unless their name or comment says enc,
// see package region.
package cluster

// Package physical restores tables of an archive into a TiDB cluster: its stores
// download the archive's files themselves, with the ids in their keys rewritten, and
// ingest them.
//
//	archive.Rules ids of the archive → ids of the target, by name (NewPlan)
//	     │
//	parts of the archive, in the order of their new keys
//	     │  regions cut by the size of the files, scattered; every error of a region handled (package ingest)
//	Download to every peer, MultiIngest to the leader (Plan.Run); indexes over all partitions are sent pair by pair (global.go)
//	     │
//	the cluster's checksum as it would be with the archive's keys = the archive's own (Plan.Verify)
//
// The tables must be there, empty, and nobody else's. Pairs keep the timestamps that they had, so the
// cluster's have to be greater than the backup's (cluster.RaiseTSO) for them to be seen. What a run has
// brought in is told range by range; going on from there, or bringing in the same pairs again, changes nothing.
package physical

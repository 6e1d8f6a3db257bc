// Package tikv is the TiKV half of the embedded cluster: one to three stores
// that clients reach over the real protocols (tikvpb with BatchCommands,
// import_sstpb, brpb, debugpb, the status port), in front of one storage engine.
//
// # Layout
//
//   - engine.go, state.go, destroy.go
//     TiDB's unistore (badger, MVCC, locks, coprocessor), what a kept cluster
//     needs beside it, and the removal of key ranges
//   - regions.go, split.go, storeview.go, view.go
//     the regions of the cluster, with TiKV's epochs, leaders and splits;
//     unistore and the PD half both look at them from their side
//   - store.go, kv.go, batch.go, inject.go
//     a store: its gRPC server, where TiKV's behaviour replaces unistore's
//   - import*.go, sstfile.go, ingest*.go, rowformat.go, duplicate.go, download.go,
//     rewrite.go
//     the ImportSST service
//   - backup*.go, cipher.go
//     the Backup service
//   - checksum.go   the checksum coprocessor
//   - status.go, debug.go
//     the status port and the debug service
//
// # What is real and what is not
//
// All stores share the one engine, so there is no replication: a follower
// always has the leader's data. Everything a client can see of replication is
// kept, though: each region has a peer on every store and one leader, requests
// to another peer fail, files written for an ingest belong to the store that
// received them, and an ingest wants them on every peer. What would crash a
// TiKV process or damage data there is recorded as a violation, see
// Cluster.Violations, and fails the request.
//
// # Invariants
//
//   - The regions cover the key space without gap or overlap at every moment.
//   - A region's metapb.Region is never changed in place; a change puts a new
//     region object into the map, so a request works on what it has checked.
//   - Keys are raw inside the engine and memcomparable in region borders.
package tikv

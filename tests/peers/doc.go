// Package peers runs the import tools that Sluice stands beside, so that tests
// can hold them against the playground and benchmarks can hold Sluice against
// them: tidb-lightning (lightning.go) and TiDB's own IMPORT INTO (importinto.go).
//
// The package's tests are the proof that the playground is honest: both tools
// check the cluster they import into, compare checksums, and know nothing of
// the playground.
package peers

// Package peers runs the import tools that Sluice stands beside, so that tests
// can hold them against the playground and benchmarks can hold Sluice against
// them: tidb-lightning (lightning.go), TiDB's own IMPORT INTO (importinto.go), dumpling
// (dumpling.go) and br (br.go).
//
// The package's tests are the proof that the playground is honest: the tools
// check the cluster they import into, compare checksums, and know nothing of
// the playground.
package peers

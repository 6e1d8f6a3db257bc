// Package playground starts an embedded TiDB cluster for tests, benchmarks and
// the demo: PD, one to three TiKV stores and a TiDB server, each reached over
// its real network protocol on loopback ports of the system's choice.
//
// The cluster is a process of its own (cmd/playground), so that a test links
// none of TiDB's server, several clusters run side by side, and the memory of
// what is tested is measured apart. The process ends when its standard input
// does: a test that is killed leaves nothing behind.
//
//	func TestMain(m *testing.M) { os.Exit(playground.Main(m, playground.Options{})) }
//
//	func TestX(t *testing.T) {
//		cluster := playground.Shared(t) // one for the package, or
//		cluster := playground.ForTest(t, playground.Options{Stores: 3})
//
// Layout: cluster.go starts and stops the process, build.go builds programs
// once for all test packages, control.go steers a running cluster (faults, PD
// without a leader, splits, state), wire.go is the JSON that both sides of the
// control port speak, testing.go binds clusters to tests.
//
// The folders beside this one hold the parts: pd, tikv (with the ImportSST and
// Backup services), sst (TiKV's files), tidb, control (the server side of control.go), fault (rules of what
// shall go wrong) and topology (the seam between pd and tikv).
package playground

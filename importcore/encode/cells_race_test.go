//go:build race

package encode

// cellsPerType is small under the race detector, which makes a cell ten times
// as dear and has nothing to find in one goroutine; "make test/cells" has them all.
const cellsPerType = 4_000

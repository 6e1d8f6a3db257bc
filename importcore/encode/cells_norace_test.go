//go:build !race

package encode

// cellsPerType is how many generated cells of each type both encoders get.
const cellsPerType = 1_000_000

// Package crash_test interrupts jobs at every moment of their life, lets them go
// on, and wants what an undisturbed job leaves: inside a process (engine_test.go), and by killing
// Sluice's process (process_test.go).
package crash_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/sluicedb/sluice/tests/playground"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(reporting{m}, playground.Options{Stores: 1, RegionSplitSize: 64 << 10, RegionSplitKeys: 600}))
}

// reporting runs the tests and then reports.
type reporting struct{ m *testing.M }

func (r reporting) Run() int {
	code := r.m.Run()
	for _, r := range []*tally{report, faultReport} {
		if err := r.finish(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

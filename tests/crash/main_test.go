// Package crash_test interrupts jobs at every moment of their life, lets them go
// on, and wants what an undisturbed job leaves.
package crash_test

import (
	"os"
	"testing"

	"github.com/sluicedb/sluice/tests/playground"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(m, playground.Options{Stores: 1, RegionSplitSize: 64 << 10, RegionSplitKeys: 600}))
}

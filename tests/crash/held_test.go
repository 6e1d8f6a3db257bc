package crash_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
)

// TestNothingIsHeldForTheDead: what a process held in the cluster when it died is given back by whoever goes on with its
// job, or gives it up, and not only when its time is over.
func TestNothingIsHeldForTheDead(t *testing.T) {
	t.Parallel()
	pg := playground.ForTest(t, processCluster)
	for name, moments := range map[string][]moment{
		"plain":           {{"ImportSST/Write", 2}, {"ImportSST/RemoveForcePartitionRange", 1}, {"Coprocessor/checksum", 1}},
		"filled, replace": {{"Coprocessor/checksum", 1}}, // the table's, beside its rows
	} {
		b := newProcessBench(t, pg, processKindNamed(t, name), 0)
		for _, at := range moments {
			for what, cancelled := range map[string]bool{", goes on": false, ", cancelled": true} {
				t.Run(name+", "+at.String()+what, func(t *testing.T) {
					c := &killCase{processBench: b, T: t, at: at, detached: true, cancelled: cancelled}
					c.run()
				})
			}
		}
	}
}

func processKindNamed(t *testing.T, name string) (k processKind) {
	t.Helper()
	for _, k = range allKinds() {
		if k.name == name {
			return k
		}
	}
	require.FailNow(t, "no such kind")
	return k
}

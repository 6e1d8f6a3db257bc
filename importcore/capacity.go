package importcore

import (
	"github.com/docker/go-units"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// runBytesPerSource is how many bytes of sorted runs a byte of the source
// becomes, as the tables of the benchmarks have it: the records take about
// half of what they are in the file, and each index entry a third of that.
func runBytesPerSource(indexes int) float64 { return 0.6 + 0.3*float64(indexes) }

// checkCapacity refuses a source that is too large to be sorted with the job's
// memory budget, and names one that will do. What a source becomes is an
// estimate, so a source is refused only when it is well above.
func checkCapacity(task ImportTask, sourceBytes int64, indexes int) error {
	estimate := int64(float64(sourceBytes) * runBytesPerSource(indexes))
	fits := func(budget int64) bool {
		return estimate <= 2*sortkv.Capacity(splitMemory(budget, task.Threads).sort)
	}
	if fits(task.MemoryBudget) {
		return nil
	}
	needed := task.MemoryBudget
	for !fits(needed) {
		needed *= 2
	}
	return fault.New(fault.User, codePrecheckFailed,
		"PreCheck failed: a memory budget of %s can't sort a source of %s: set import.memory-budget to %s or more",
		units.BytesSize(float64(task.MemoryBudget)), units.BytesSize(float64(sourceBytes)), units.BytesSize(float64(needed)))
}

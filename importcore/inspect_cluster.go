package importcore

import (
	"context"

	"github.com/sluicedb/sluice/importcore/precheck"
)

// Need is what the rows of many tables are expected to take, in bytes.
type Need struct {
	// Pairs is the size of all pairs, before compression; of Spill there is at most that much in the sort directory at a time.
	Pairs, Spill int64
}

// PairsOf returns the size of the pairs that so many bytes of a source become, as a rule of thumb, in a table with so many indexes beside its rows.
func PairsOf(source int64, indexes int) int64 { return int64(thumb(indexes) * float64(source)) }

// SpillOf returns how much of so many bytes of pairs goes to the sort directory if sorting has a memory budget and a disk quota (0: none).
func SpillOf(pairs, memory, quota int64) int64 {
	runs := int64(runShare * float64(pairs))
	if runs <= memory {
		return 0
	}
	if quota > 0 {
		runs = min(runs, quota) // the rest waits for another round
	}
	return runs
}

// InspectCluster makes those prechecks that a job with many tables makes once: of the cluster, the sort directory, and the room that need takes
// there, but for those in skip. It changes nothing. The error is that of a context that has ended.
func (c *Core) InspectCluster(ctx context.Context, need Need, skip []precheck.Name) ([]precheck.Finding, error) {
	in := newInspector(ctx, c, ImportTask{}, false)
	return precheck.Run(ctx, []precheck.Check{
		{Name: precheck.ClusterVersion, Run: in.checkVersion},
		{Name: precheck.ClusterSpace, Run: func(context.Context) precheck.Finding { return in.space(precheck.SpaceNeed{Pairs: need.Pairs}) }},
		{Name: precheck.EmptyRegions, Run: in.checkEmptyRegions},
		{Name: precheck.RegionDistribution, Run: in.checkDistribution},
		{Name: precheck.LogBackup, Run: in.checkLogBackup},
		{Name: precheck.Changefeed, Run: in.checkChangefeed},
		{Name: precheck.LocalDisk, Run: func(context.Context) precheck.Finding {
			return precheck.Disk(c.cfg.SortDir, need.Spill, precheck.FreeBytes)
		}},
		{Name: precheck.SortDirectory, Run: in.checkSortDir},
	}, skip)
}

package importcore

import (
	"context"

	"github.com/sluicedb/sluice/importcore/precheck"
)

// InspectCluster makes those prechecks that have nothing to do with a source or a table, for a job that has many tables, but for
// those in skip. It changes nothing. The error is that of a context that has ended.
func (c *Core) InspectCluster(ctx context.Context, skip []precheck.Name) ([]precheck.Finding, error) {
	in := newInspector(ctx, c, ImportTask{}, false)
	return precheck.Run(ctx, []precheck.Check{
		{Name: precheck.ClusterVersion, Run: in.checkVersion},
		{Name: precheck.EmptyRegions, Run: in.checkEmptyRegions},
		{Name: precheck.RegionDistribution, Run: in.checkDistribution},
		{Name: precheck.LogBackup, Run: in.checkLogBackup},
		{Name: precheck.Changefeed, Run: in.checkChangefeed},
		{Name: precheck.SortDirectory, Run: in.checkSortDir},
	}, skip)
}

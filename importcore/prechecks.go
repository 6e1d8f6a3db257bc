package importcore

import (
	"context"
	"path/filepath"

	"github.com/docker/go-units"

	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/source"
)

// checks returns the checks in their order.
func (in *inspector) checks() []precheck.Check {
	list := []precheck.Check{
		{Name: precheck.SourceFile, Run: in.checkSource},
		{Name: precheck.Schema, Run: in.checkSchema},
	}
	if in.plan.Task.HeaderNames {
		list = append(list, precheck.Check{Name: precheck.CSVHeader, Run: in.checkHeader})
	}
	list = append(list, precheck.Check{Name: precheck.TargetEmpty, Run: in.checkTargetEmpty})
	if in.full {
		list = append(list, precheck.Check{Name: precheck.SampleRows, Run: in.checkSample})
	}
	return append(list,
		precheck.Check{Name: precheck.LargeFile, Run: in.checkLargeFile},
		precheck.Check{Name: precheck.ClusterVersion, Run: in.checkVersion},
		precheck.Check{Name: precheck.ClusterSpace, Run: in.checkSpace},
		precheck.Check{Name: precheck.EmptyRegions, Run: in.checkEmptyRegions},
		precheck.Check{Name: precheck.RegionDistribution, Run: in.checkDistribution},
		precheck.Check{Name: precheck.LogBackup, Run: in.checkLogBackup},
		precheck.Check{Name: precheck.Changefeed, Run: in.checkChangefeed},
		precheck.Check{Name: precheck.LocalDisk, Run: in.checkLocalDisk},
		precheck.Check{Name: precheck.DiskPlacement, Run: in.checkPlacement},
		precheck.Check{Name: precheck.SortDirectory, Run: in.checkSortDir},
	)
}

func (in *inspector) checkSource(context.Context) precheck.Finding {
	if err := in.source(); err != nil {
		return precheck.FailWith(err)
	}
	return precheck.Pass("%s with %s", precheck.Counted(int64(len(in.plan.Files)), "file"), units.BytesSize(float64(in.plan.SourceBytes)))
}

func (in *inspector) checkSchema(context.Context) precheck.Finding {
	err := in.table()
	if err == nil && in.plan.Task.has(FormatSQL) && in.source() != nil {
		return precheck.Blocked(precheck.SourceFile)
	}
	if err == nil {
		err = in.plan.target.CheckEncodable()
	}
	if err == nil && !in.plan.Task.HeaderNames {
		err = in.mapped()
	}
	if err != nil {
		return precheck.FailWith(err)
	}
	return precheck.Pass("the fields have columns to go to; besides the rows there are entries of %d indexes to make", len(in.plan.target.Indexes()))
}

func (in *inspector) checkHeader(context.Context) precheck.Finding {
	if in.source() != nil {
		return precheck.Blocked(precheck.SourceFile)
	}
	if in.table() != nil || in.plan.target.CheckEncodable() != nil {
		return precheck.Blocked(precheck.Schema)
	}
	if err := in.mapped(); err != nil {
		return precheck.FailWith(err)
	}
	return precheck.Pass("the files' headers name columns of the table")
}

func (in *inspector) checkTargetEmpty(context.Context) precheck.Finding {
	if in.table() != nil {
		return precheck.Blocked(precheck.Schema)
	}
	switch err := in.empty(); {
	case err != nil:
		return precheck.FailWith(err)
	case in.plan.filled:
		return precheck.Pass("there are rows, and allow_non_empty adds to them")
	case len(in.plan.Task.Partitions) > 0:
		return precheck.Pass("the partitions are empty")
	default:
		return precheck.Pass("the table is empty")
	}
}

// blocked names the check that keeps a look at rows from being taken, "" if none does.
func (in *inspector) blocked() precheck.Name {
	switch {
	case in.source() != nil:
		return precheck.SourceFile
	case in.mapped() != nil && in.plan.Task.HeaderNames:
		return precheck.CSVHeader
	case in.mapped() != nil:
		return precheck.Schema
	}
	return ""
}

func (in *inspector) checkSample(context.Context) precheck.Finding {
	if by := in.blocked(); by != "" {
		return precheck.Blocked(by)
	}
	s, err := in.sample()
	if err != nil {
		return precheck.FailWith(err)
	}
	return precheck.Rows(s.Sample, in.plan.Task.MaxErrors)
}

func (in *inspector) checkLargeFile(context.Context) precheck.Finding {
	if in.source() != nil {
		return precheck.Blocked(precheck.SourceFile)
	}
	var largest int64
	for _, f := range in.plan.Files {
		largest = max(largest, f.Size)
	}
	return precheck.Pass("the largest file has %s; files of any size are cut between rows, also with line breaks in fields, and keep all threads (%d) busy",
		units.BytesSize(float64(largest)), in.plan.Task.Threads)
}

func (in *inspector) checkVersion(ctx context.Context) precheck.Finding {
	unsupported, err := in.core.cluster.Unsupported(ctx)
	if err != nil {
		return precheck.Unknown(err)
	}
	return precheck.Version(unsupported)
}

func (in *inspector) checkSpace(context.Context) precheck.Finding {
	if by := in.blocked(); by != "" {
		return precheck.Blocked(by)
	}
	e := in.estimate()
	need := precheck.SpaceNeed{Pairs: e.PairBytes, Rows: e.RecordBytes}
	if flash := in.plan.target.Info.TiFlashReplica; flash != nil {
		need.TiFlashReplicas = int64(flash.Count)
	}
	return in.space(need)
}

// space compares what is needed, without the number of TiKV's replicas, with what the stores have.
func (in *inspector) space(need precheck.SpaceNeed) precheck.Finding {
	stores, err := in.usage()
	if err != nil {
		return precheck.Unknown(err)
	}
	replicas, err := in.replicas()
	if err != nil {
		return precheck.Unknown(err)
	}
	need.Replicas = int64(replicas)
	return precheck.Space(need, stores)
}

func (in *inspector) checkEmptyRegions(ctx context.Context) precheck.Finding {
	stores, err := in.usage()
	if err != nil {
		return precheck.Unknown(err)
	}
	perStore, err := in.core.cluster.EmptyRegions(ctx)
	if err != nil {
		return precheck.Unknown(err)
	}
	return precheck.Empty(perStore, stores)
}

func (in *inspector) checkDistribution(context.Context) precheck.Finding {
	stores, err := in.usage()
	if err != nil {
		return precheck.Unknown(err)
	}
	return precheck.Distribution(stores)
}

func (in *inspector) checkLogBackup(context.Context) precheck.Finding {
	f, err := in.followers()
	if err != nil {
		return precheck.Unknown(err)
	}
	return precheck.LogBackups(f)
}

func (in *inspector) checkChangefeed(context.Context) precheck.Finding {
	f, err := in.followers()
	if err != nil {
		return precheck.Unknown(err)
	}
	return precheck.Changefeeds(f)
}

func (in *inspector) checkLocalDisk(context.Context) precheck.Finding {
	if by := in.blocked(); by != "" {
		return precheck.Blocked(by)
	}
	need, dir, quota := in.estimate().Spill, in.core.cfg.SortDir, in.plan.Task.DiskQuota
	if quota > 0 && need > quota {
		return precheck.Fail("sorting needs about %s in %s, where the job may have %s (disk_quota or import.disk-quota); "+
			"with on_duplicate, allow_non_empty or partitions the source can't be imported in parts",
			units.BytesSize(float64(need)), dir, units.BytesSize(float64(quota)))
	}
	return precheck.Disk(dir, need, precheck.FreeBytes)
}

func (in *inspector) checkPlacement(context.Context) precheck.Finding {
	if by := in.blocked(); by != "" {
		return precheck.Blocked(by)
	}
	if source.Remote(in.plan.store) {
		return precheck.Pass("the source is on no disk of this machine")
	}
	return precheck.Placement(filepath.Dir(in.plan.Files[0].Path), in.core.cfg.SortDir, in.estimate().Spill)
}

func (in *inspector) checkSortDir(context.Context) precheck.Finding {
	return precheck.SortDir(in.core.cfg.SortDir)
}

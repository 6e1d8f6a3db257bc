package restore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive/physical"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/importcore/source"
)

const (
	// downloads is how many key ranges are restored at a time: most of that is waiting for stores.
	downloads = 16
	// saveEvery is how often it is saved which ranges are done.
	saveEvery = 2 * time.Second
)

// bringInArchive has the stores download and ingest the pairs of all tables at once, and compares what is there with the archive.
func (p *Plan) bringInArchive(ctx context.Context) error {
	tables := p.unfinished()
	plan, err := p.planDownloads(ctx, tables)
	if err != nil {
		return err
	}
	if plan.Bytes() > 0 {
		if err := p.r.core.Cluster().RaiseTSO(ctx, p.backupTS); err != nil {
			return err
		}
		if err := p.checkBases(ctx, tables, p.archived.archive.StartTS, true); err != nil {
			return err
		}
		p.keeper.change(func() {
			for _, t := range tables {
				t.state.Sent = true
			}
		})
		if err := p.keeper.save(ctx); err != nil {
			return err
		}
		if err := p.downloadLeased(ctx, plan); err != nil {
			return err
		}
	}
	if err := p.checkBases(ctx, tables, p.backupTS, false); err != nil {
		return err
	}
	if err := p.verify(ctx, plan, tables); err != nil {
		return err
	}
	if err := p.completeTables(ctx); err != nil {
		return err
	}
	// The sums are of the keys that the rows were sent to. What others have done to tables or partitions meanwhile may have left these behind.
	now, err := p.planDownloads(ctx, tables)
	if err != nil {
		return err
	}
	if moved := plan.Moved(now); len(moved) > 0 {
		return replaced("tables, or partitions or indexes of them, " + enumerate(moved))
	}
	if err := p.endTables(ctx, tables); err != nil {
		return err
	}
	return p.restoreReplicas(ctx)
}

// unfinished are the tables that still have to be restored.
func (p *Plan) unfinished() (list []*table) {
	for _, t := range p.tables {
		if !t.state.Done {
			list = append(list, t)
		}
	}
	return list
}

// planDownloads finds out which keys the tables' rows get.
func (p *Plan) planDownloads(ctx context.Context, tables []*table) (*physical.Plan, error) {
	infos, err := p.loadTables(ctx, tables)
	if err != nil {
		return nil, err
	}
	targets := make([]physical.Target, len(tables))
	for i, t := range tables {
		if infos[i].ID != t.state.ID {
			return nil, replaced("table " + t.to.String())
		}
		t.info = infos[i]
		targets[i] = physical.Target{From: p.archived.objects[lower(t.from[0])], DB: t.to.DB, To: infos[i], Base: !t.state.Own, Later: t.later}
	}
	return physical.NewPlan(p.archived.archive, targets)
}

// downloadLeased keeps the cluster from moving regions around meanwhile, if there is enough to download.
func (p *Plan) downloadLeased(ctx context.Context, plan *physical.Plan) error {
	if plan.Bytes() < leaseFrom {
		return p.download(ctx, plan)
	}
	c := p.r.core.Cluster()
	owner := cluster.JobOwner(p.task.JobID, fmt.Sprint(time.Now().UnixNano()))
	spans := plan.Spans()
	take := []func() (*cluster.Lease, error){
		func() (*cluster.Lease, error) { return c.AcquireSchedulerPause(ctx, owner, spans) },
		func() (*cluster.Lease, error) {
			return c.AcquirePartitionRange(ctx, owner, cluster.KeyRange{Start: spans[0].Start, End: spans[len(spans)-1].End})
		},
	}
	if !p.task.Options.DisableImportMode {
		take = append(take, func() (*cluster.Lease, error) { return c.AcquireImportMode(ctx, owner) })
	}
	leaseCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var leases []*cluster.Lease
	defer func() {
		if err := c.Release(context.WithoutCancel(ctx), leases...); err != nil {
			p.log().Warn("a change to the cluster could not be undone yet: it is noted as left behind, and ends by itself", zap.Error(err))
		}
	}()
	var watches sync.WaitGroup
	ended := make(chan struct{})
	defer watches.Wait()
	defer close(ended)
	for _, f := range take {
		lease, err := f()
		if err != nil {
			return err
		}
		leases = append(leases, lease)
		watches.Go(func() {
			select {
			case <-lease.Lost():
				cancel(fault.Wrap(lease.Err(), fault.Cluster, 0, "lease %s on the cluster was lost", lease.Info().Kind))
			case <-ended:
			}
		})
	}
	err := p.download(leaseCtx, plan)
	if err != nil && ctx.Err() == nil && leaseCtx.Err() != nil {
		err = context.Cause(leaseCtx)
	}
	return err
}

// download brings in what is not in the cluster yet, and saves every now and then how far that is.
func (p *Plan) download(ctx context.Context, plan *physical.Plan) error {
	limits, err := p.r.core.Cluster().RegionLimits(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var changed atomic.Bool
	var saving sync.WaitGroup
	ended := make(chan struct{})
	saving.Go(func() {
		ticker := time.NewTicker(saveEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			if changed.Swap(false) {
				if err := p.keeper.save(ctx); err != nil {
					cancel(err)
					return
				}
			}
		}
	})
	concurrency := p.task.Options.Concurrency
	if concurrency <= 0 {
		concurrency = max(downloads, p.task.Threads)
	}
	var place *backuppb.StorageBackend // nil: the archive's own
	if p.task.Options.KeepCredentials {
		place = source.WithoutCredentials(p.folder.Backend())
	}
	_, err = plan.Run(ctx, p.r.core.Cluster(), ingest.DownloadOptions{Storage: place, Options: ingest.Options{
		Concurrency: concurrency, RegionSplitSize: limits.SplitSize, WriteSpeedLimit: p.task.MaxWriteSpeed, Care: p.care(plan),
		Permit: p.task.Hold, Hold: p.task.Hold, Sent: p.progress.sent, Logger: p.log(),
		Done: func(start, end []byte, _, _ int64) {
			p.keeper.change(func() { p.saved.Ranges = p.saved.Ranges.Add(checkpoint.Range{Start: start, End: end}) })
			changed.Store(true)
		},
	}}, p.saved.Ranges)
	close(ended)
	saving.Wait()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// care is how the downloads keep to the task's MaxLatency.
func (p *Plan) care(plan *physical.Plan) ingest.Care {
	if p.task.MaxLatency <= 0 {
		return ingest.Care{}
	}
	probe := p.r.core.Cluster().NewProbe(plan.Spans()[0].Start)
	return ingest.Care{MaxLatency: p.task.MaxLatency, Read: func(ctx context.Context, store uint64, patience time.Duration) (time.Duration, error) {
		took, err := probe.Read(ctx, store, patience)
		if err == nil && p.task.Observer != nil {
			p.task.Observer.Answered(took)
		}
		return took, err
	}}
}

// verify compares the tables with the archive's sums.
func (p *Plan) verify(ctx context.Context, plan *physical.Plan, tables []*table) error {
	if p.task.Options.Checksum == importcore.ChecksumOff || len(tables) == 0 {
		return nil
	}
	sums, err := plan.Verify(ctx, p.r.core.Cluster(), cluster.JobOwner(p.task.JobID, "restore"), p.task.Options.ChecksumConcurrency)
	if err == nil || sums != nil || p.task.Options.Checksum == importcore.ChecksumRequired || ctx.Err() != nil || importcore.IsAway(ctx, err) {
		return err
	}
	p.warn("the cluster's checksums are not to be had, so the rows are not verified: %v", err)
	return nil
}

const (
	// endedTogether is how many tables get their statistics by one statement, and endings how many such groups there are at a time.
	endedTogether = 50
	endings       = 4
)

// endTables does what follows when the tables' pairs are there.
func (p *Plan) endTables(ctx context.Context, tables []*table) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(endings)
	for some := range slices.Chunk(tables, endedTogether) {
		group.Go(fault.Contain(func() error { return p.endSome(ctx, some) }))
	}
	return group.Wait()
}

func (p *Plan) endSome(ctx context.Context, tables []*table) error {
	for _, t := range tables {
		if !t.state.Own {
			if err := p.endBase(ctx, t); err != nil {
				return inTable(t.to, err, "")
			}
			continue
		}
		next := p.archived.objects[lower(t.from[0])].Info.AutoIncIDExtra
		if next <= 1 {
			continue
		}
		if err := p.r.core.Cluster().RebaseAutoIDs(ctx, t.to.DB, t.to.Table, cluster.AutoIDs{RowID: next - 1}); err != nil {
			return inTable(t.to, err, "")
		}
	}
	if err := p.statistics(ctx, tables); err != nil {
		return err
	}
	for _, t := range tables {
		rows := p.archivedRows(t)
		p.keeper.change(func() { t.state.Done, t.state.Rows = true, rows })
		p.progress.tableDone(0, rows)
		p.tell(Event{Table: t.to, State: TableDone, Rows: rows, Bytes: t.bytes})
	}
	return nil
}

// archivedRows is how many rows the archive has of a table.
func (p *Plan) archivedRows(t *table) (rows int64) {
	for _, part := range p.archived.objects[lower(t.from[0])].Parts {
		if tablecodec.IsRecordKey(part.Start) {
			rows += int64(part.Sum.Pairs)
		}
	}
	return rows
}

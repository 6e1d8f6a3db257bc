package importcore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/fence"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// ingest writes the sorted pairs into the cluster.
func (r *run) ingest(ctx context.Context, src *content, memory memorySplit) error {
	if src.Checksum().Pairs == 0 {
		if r.saved.Sent() {
			r.left = leftUnverified
		}
		return nil
	}
	task := r.plan.Task
	// The table may have changed while the source was encoded.
	if err := r.core.cluster.CheckTableUnchanged(ctx, task.DB, task.Table, r.plan.target.Info); err != nil {
		return err
	}
	if !r.saved.Sent() {
		if err := r.checkStillEmpty(ctx); err != nil {
			return err
		}
		if err := r.reserveIDs(ctx); err != nil {
			return err
		}
	}
	limits, err := r.core.cluster.RegionLimits(ctx)
	if err != nil {
		return err
	}
	ranges := cutToSpans(src.Ranges(limits.SplitSize, limits.SplitKeys), spansOf(r.plan.encoding.Tables()))
	if err := r.ingestLeased(ctx, src, ranges, limits, memory); err != nil {
		return err
	}
	// Nothing is held any more when it is saved that the ingest is over: who goes on from there takes no leases.
	if err := r.core.cluster.CheckTableUnchanged(ctx, task.DB, task.Table, r.plan.target.Info); err != nil {
		return err
	}
	if r.end != nil {
		return nil // see nextRound
	}
	r.left = leftUnverified
	return r.saveComplete(ctx)
}

// ingestLeased does the ingest and holds the leases for it, if it is worth them.
func (r *run) ingestLeased(ctx context.Context, src *content, ranges []sortkv.Range, limits cluster.RegionLimits, memory memorySplit) error {
	if !r.leased() {
		return r.ingestUnder(ctx, src, ranges, limits, memory)
	}
	leaseCtx, giveBack, err := r.takeLeases(ctx, ranges)
	if err != nil {
		return err
	}
	defer giveBack()
	err = r.ingestUnder(leaseCtx, src, ranges, limits, memory)
	if err != nil && ctx.Err() == nil && leaseCtx.Err() != nil {
		err = context.Cause(leaseCtx) // which lease was lost
	}
	return err
}

// ingestUnder does the ingest while the leases are held.
func (r *run) ingestUnder(ctx context.Context, src *content, ranges []sortkv.Range,
	limits cluster.RegionLimits, memory memorySplit) error {
	if !r.saved.Sent() {
		if err := r.commitTS(ctx); err != nil {
			return err
		}
	}
	if r.saved.Ingest == nil {
		if err := r.saveBegin(ctx, src.Checksum()); err != nil {
			return err
		}
	}
	defer func() {
		if r.sent.Load() {
			r.left = leftPart
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	keeper, stop := &doneKeeper{run: r}, make(chan struct{})
	var keeping sync.WaitGroup
	keeping.Go(func() { keeper.keep(ctx, stop, cancel) })
	stats, err := ingest.Run(ctx, r.core.cluster, src, r.missing(ranges), r.ingestOptions(src, limits, memory, keeper))
	close(stop)
	keeping.Wait()
	r.plan.held.end(time.Now())
	if errors.Is(err, ingest.ErrStopped) {
		return ErrPaused
	}
	if err != nil {
		return r.describeDuplicate(err)
	}
	r.summary.Regions += int64(stats.SSTs)
	return nil
}

func (r *run) ingestOptions(src *content, limits cluster.RegionLimits, memory memorySplit, keeper *doneKeeper) ingest.Options {
	r.plan.progress.underWay.Store(int64(r.plan.Task.Threads) * limits.SplitSize)
	want := src.Checksum()
	pairs, size := r.saved.Ingest.Done.Total()
	return ingest.Options{
		Concurrency:     r.plan.Task.Threads,
		RegionSplitSize: limits.SplitSize,
		RegionSplitKeys: limits.SplitKeys,
		WriteSpeedLimit: r.plan.Task.MaxWriteSpeed,
		Care:            r.care(),
		Total:           ingest.Total{Pairs: int64(want.Pairs) - pairs, Bytes: int64(want.Bytes) - size},
		CommitTS:        r.committed.ts,
		MemoryBudget:    memory.ingest,
		Permit:          r.permit,
		Hold:            r.hold,
		Stop:            r.pausing,
		Done:            keeper.done,
		Sent:            r.plan.progress.tellSent,
		Waits:           &r.plan.progress.ingestWaits,
		Observer:        r.observer(),
		Logger:          r.log,
	}
}

// missing returns the parts of the ranges that are not in the cluster yet.
func (r *run) missing(ranges []sortkv.Range) []ingest.Range {
	var out []ingest.Range
	for _, rg := range ranges {
		for _, part := range r.saved.Ingest.Done.Missing(rg.Start, rg.End) {
			out = append(out, ingest.Range{Start: part[0], End: part[1], Bytes: rg.Bytes, Keys: rg.Keys})
		}
	}
	return out
}

// permit is asked before pairs are sent to the table.
func (r *run) permit(ctx context.Context) error {
	if err := errors.Join(r.hold(ctx), context.Cause(ctx)); err != nil {
		return err
	}
	r.sent.Store(true)
	return nil
}

// hold returns when the rows of the table may be changed for the job.
func (r *run) hold(ctx context.Context) error {
	if r.plan.Task.Hold == nil {
		return nil
	}
	return r.plan.Task.Hold(ctx)
}

// fenced returns a context for what changes the table or the cluster by other ways than
// ingest: nothing of it is sent once the job may be another's.
func (r *run) fenced(ctx context.Context) context.Context { return fence.With(ctx, r.hold) }

// release gives leases back. It is in a hurry when the job is to stop.
func (r *run) release(ctx context.Context, leases []*cluster.Lease) error {
	ctx, hurry := context.WithCancel(r.fenced(ctx))
	defer hurry()
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-r.pausing:
			hurry()
		case <-ended:
		}
	})
	defer watch.Wait()
	defer close(ended)
	return r.core.cluster.Release(ctx, leases...)
}

// leased tells whether the job is large enough to change the cluster for it.
func (r *run) leased() bool { return int64(r.summary.Local.Bytes) >= r.plan.Task.LeaseFrom }

// takeLeases prepares the cluster for the ingest. The returned context is
// cancelled when a lease that matters is lost; giveBack undoes everything,
// whatever became of the job.
func (r *run) takeLeases(ctx context.Context, ranges []sortkv.Range) (_ context.Context, giveBack func(), err error) {
	leaseCtx, cancel := context.WithCancelCause(ctx)
	var leases []*cluster.Lease
	stopWatch := make(chan struct{})
	var watches sync.WaitGroup
	giveBack = func() {
		close(stopWatch)
		watches.Wait()
		if err := r.release(ctx, leases); err != nil {
			r.log.Warn("a change to the cluster could not be undone yet: it is noted as left behind, and ends by itself", zap.Error(err))
		}
		cancel(nil)
	}
	owner := cluster.JobOwner(r.plan.Task.JobID, uuid.NewString()[:8])
	// Where files are cut matters to nobody in between, so one range will do.
	keys := cluster.KeyRange{Start: ranges[0].Start, End: ranges[len(ranges)-1].End}
	acquire := []func() (*cluster.Lease, error){
		func() (*cluster.Lease, error) {
			return r.core.cluster.AcquireSchedulerPause(r.fenced(leaseCtx), owner, joined(ranges))
		},
		func() (*cluster.Lease, error) {
			return r.core.cluster.AcquirePartitionRange(r.fenced(leaseCtx), owner, keys)
		},
	}
	if !r.plan.Task.DisableImportMode {
		acquire = append(acquire, func() (*cluster.Lease, error) { return r.core.cluster.AcquireImportMode(r.fenced(leaseCtx), owner) })
	}
	for _, take := range acquire {
		lease, err := take()
		if err != nil {
			giveBack()
			return nil, nil, err
		}
		leases = append(leases, lease)
		watches.Go(func() {
			select {
			case <-lease.Lost():
				cancel(fault.Wrap(lease.Err(), fault.Cluster, 0, "lease %s on the cluster was lost", lease.Info().Kind))
			case <-stopWatch:
			}
		})
	}
	return leaseCtx, giveBack, nil
}

// finish does what comes after the pairs: auto IDs, checksum, statistics.
func (r *run) finish(ctx context.Context) error {
	r.enter(StepChecksum)
	task := r.plan.Task
	if err := r.core.cluster.RebaseAutoIDs(r.fenced(ctx), task.DB, task.Table, r.ids); err != nil {
		return err
	}
	if err := r.compareChecksum(ctx); err != nil {
		return err
	}
	if err := r.checkForeignKeys(ctx); err != nil {
		return err
	}
	if r.left != "" {
		r.left = leftAll
	}
	if err := r.analyze(ctx); err != nil {
		return err
	}
	r.enter(StepDone)
	return nil
}

// analyze collects statistics.
func (r *run) analyze(ctx context.Context) error {
	task := r.plan.Task
	if task.Analyze == AnalyzeOff {
		return nil
	}
	r.enter(StepAnalyze)
	err := r.core.cluster.Analyze(r.fenced(ctx), task.DB, task.Table, task.Partitions...)
	switch {
	case err == nil:
		return nil
	// The context of a job that isn't ours any more may end a moment later.
	case ctx.Err() != nil || errors.Is(err, ErrNotOwner) || r.interrupted(ctx, err) != nil, task.Analyze == AnalyzeRequired:
		return err
	}
	r.warn("the rows are imported, but the table could not be analysed", err)
	return nil
}

func (r *run) compareChecksum(ctx context.Context) error {
	task := r.plan.Task
	needed := r.mayCollide()
	if task.Checksum == ChecksumOff && !needed || r.unverified {
		return nil
	}
	remote, err := r.remoteChecksum(ctx)
	if err != nil {
		if task.Checksum != ChecksumRequired && !needed && ctx.Err() == nil && r.interrupted(ctx, err) == nil {
			r.warn("the cluster's checksum is not to be had, so the rows are not verified", err)
			return nil
		}
		return err
	}
	r.summary.Remote, r.summary.RemoteKnown = remote, true
	local := r.summary.Local
	local.Merge(r.before)
	if local != remote {
		if needed && remote.Pairs < local.Pairs {
			return r.collided(local, remote)
		}
		return fault.New(fault.Cluster, 0,
			"checksum mismatched remote vs local => (checksum: %d vs %d) (total_kvs: %d vs %d) (total_bytes:%d vs %d)",
			remote.Sum, local.Sum, remote.Pairs, local.Pairs, remote.Bytes, local.Bytes)
	}
	return nil
}

package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
)

// # Jobs without an owner
//
// Every Sluice looks about once a second, with one cheap query, at the jobs that
// are pending or running:
//
//   - One whose owner is gone is given back in its place. An owner is gone when
//     it has let its lease expire, and one more lease has passed for requests
//     under way; at once, when its process is known to have ended on this machine
//     (see processID); and with the lease, when it had the name of this instance.
//   - One without an owner that is to be cancelled or paused is, if nothing
//     has to be put right in the cluster for that.
//   - Any other without an owner is adopted, if its source can be read here. Who
//     has a job already waits a little with that, so that an idle Sluice gets it.
//   - One whose source nobody can read ends as failed after takeoverTimeout.
//
// Each step is a conditional update: of several Sluices that see the same, one
// succeeds and the others find that it is done.

const (
	// watchInterval is how often a Sluice looks for jobs without an owner.
	watchInterval = time.Second
	// openInterval is how often it looks for job tables while there are none, or
	// no cluster.
	openInterval = 5 * time.Second
	// busyPatience is how long a Sluice that has jobs leaves others to idle ones.
	busyPatience = 5 * watchInterval
	// refusalPause is how long a Sluice that can't read a source doesn't look again.
	refusalPause = 10 * watchInterval
)

// watcher is the state of the goroutine that looks for jobs without an owner.
type watcher struct {
	e *Executor
	// refused are the jobs that this Sluice can't take, by lease.
	refused map[job.Lease]refusal
	opened  time.Time // when the store was last tried to be opened
	cleaned time.Time // when old jobs were last removed
	tidied  time.Time // when changes to the cluster were last looked at
}

type refusal struct {
	since, last time.Time
	why         error
}

// watch runs until the Executor closes.
func (e *Executor) watch() {
	defer e.wg.Done()
	w := &watcher{e: e, refused: map[job.Lease]refusal{}}
	tick := time.NewTicker(min(watchInterval, e.cfg.Lease/4))
	defer tick.Stop()
	for {
		w.look()
		select {
		case <-e.quit:
			return
		case <-tick.C:
		case <-e.wake:
		}
	}
}

// wakeWatcher makes the watcher look now.
func (e *Executor) wakeWatcher() {
	select {
	case e.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// look does what is to do once. Errors are the cluster's; the next look tries again.
func (w *watcher) look() {
	ctx, cancel := context.WithTimeout(w.e.quitting, max(w.e.cfg.Lease/2, openInterval))
	defer cancel()
	store, err := w.store(ctx)
	if store == nil || err != nil {
		return
	}
	held, err := store.Held(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.e.log.Warn("jobs without an owner can't be looked for", zap.Error(err))
		}
		return
	}
	seen := make(map[job.Lease]bool, len(held))
	for i := range held {
		h := &held[i]
		if h.FormatVersion > job.FormatVersion || w.e.hasJob(h.Lease.JobID) {
			continue
		}
		if err := w.tend(ctx, store, h); err != nil && !errors.Is(err, jobstore.ErrLost) && ctx.Err() == nil {
			w.e.log.Warn("a job without an owner can't be seen to", zap.Int64("job", h.Lease.JobID), zap.Error(err))
		}
		seen[h.Lease] = true
	}
	for l := range w.refused {
		if !seen[l] {
			delete(w.refused, l)
		}
	}
	w.tidy(ctx, store)
	w.removeOld(ctx, store)
}

// store opens one in a cluster that has job tables: nobody but this Sluice may
// be left to go on with their jobs.
func (w *watcher) store(ctx context.Context) (*jobstore.Store, error) {
	if store := w.e.services.openStore(); store != nil {
		return store, nil
	}
	if time.Since(w.opened) < openInterval {
		return nil, nil
	}
	w.opened = time.Now()
	store, err := w.e.services.getExistingStore(ctx)
	if err != nil && !errors.Is(err, jobstore.ErrNoTables) && ctx.Err() == nil {
		w.e.log.Warn("the job tables can't be looked at", zap.Error(err))
	}
	return store, err
}

// tend does what a job needs that is not one of this process's.
func (w *watcher) tend(ctx context.Context, store *jobstore.Store, h *jobstore.Held) error {
	if h.Lease.Owner != "" {
		if !w.e.gone(h) {
			return nil
		}
		if done, err := w.release(ctx, store, h); done || err != nil {
			return err
		}
	}
	switch {
	case h.CancelRequested && !h.Checkpoint:
		w.e.log.Info("a job without an owner is cancelled", zap.Int64("job", h.Lease.JobID))
		return store.End(ctx, h.Lease, job.Outcome{Status: job.Cancelled, ErrorCode: errCancelled.code, Message: errCancelled.text + remains(h)})
	case h.PauseRequested && !h.CancelRequested:
		return store.Pause(ctx, h.Lease, errPaused.text)
	}
	return w.adopt(ctx, store, h)
}

// gone tells whether the owner of a job has ended or lost the cluster.
func (e *Executor) gone(h *jobstore.Held) bool {
	return h.Abandoned || h.Lease.Owner == e.cfg.Instance && h.Expired || processEnded(h.Process)
}

// release gives a job back whose owner is gone, and changes h accordingly. One
// that can't go on ends instead: done.
func (w *watcher) release(ctx context.Context, store *jobstore.Store, h *jobstore.Held) (done bool, err error) {
	owner := h.Lease.Owner
	if h.FormatVersion < job.DurableVersion {
		return true, w.fail(ctx, store, h, fmt.Errorf("the Sluice that ran this job (%s) stopped or lost the cluster", owner))
	}
	if err := store.Release(ctx, h.Lease, ""); err != nil {
		return true, err
	}
	w.e.log.Warn("a job was taken from an owner that is gone", zap.Int64("job", h.Lease.JobID), zap.String("owner", owner),
		zap.Int64("term", h.Lease.Term))
	h.Lease.Owner, h.Status, h.Waiting = "", job.Pending, 0
	w.tidied = time.Time{} // what it held in the cluster is nobody's now
	return false, nil
}

// adopt makes a job this process's and runs it, if it can.
func (w *watcher) adopt(ctx context.Context, store *jobstore.Store, h *jobstore.Held) error {
	if last, ok := w.refused[h.Lease]; ok && time.Since(last.last) < refusalPause {
		return nil
	}
	if w.e.busy() && h.Waiting < busyPatience && !h.CancelRequested || !w.e.backoff.over(h.Lease.JobID, time.Now()) {
		return nil
	}
	task, err := store.Task(ctx, h.Lease.JobID)
	if err != nil {
		return err
	}
	spec, missing, err := w.e.decode(h.Lease.JobID, task)
	if err != nil {
		return w.fail(ctx, store, h, fmt.Errorf("no other Sluice can go on with this job: %w", err))
	}
	_, engine, err := w.e.services.get(ctx)
	if err != nil {
		return err
	}
	if err := engine.Readable(ctx, spec); err != nil && !h.CancelRequested {
		if missing && !errors.Is(err, errSourceChanged) {
			err = errKept(h.Lease.JobID, spec.Keeper, err)
		}
		return w.refuse(ctx, store, h, err)
	}
	lease, err := store.Adopt(ctx, h.Lease)
	if err != nil {
		return err
	}
	record, err := store.Get(ctx, lease.JobID)
	if err != nil {
		return err // the lease expires, and the job is found again
	}
	record.Task = task
	r := w.e.newRunner(context.Background(), store, engine, record, spec)
	r.began = begun{checkpoint: h.Checkpoint, cancel: h.CancelRequested}
	return r.start()
}

// refuse notes that this Sluice can't run a job. When nobody could for long
// enough, it ends.
func (w *watcher) refuse(ctx context.Context, store *jobstore.Store, h *jobstore.Held, why error) error {
	now := time.Now()
	r, known := w.refused[h.Lease]
	if !known {
		r.since = now
		w.e.log.Info("a job without an owner can't be run here", zap.Int64("job", h.Lease.JobID), zap.String("why", messageText(why.Error())))
	}
	r.last, r.why = now, why
	w.refused[h.Lease] = r
	limit := w.e.cfg.TakeoverTimeout
	if now.Sub(r.since) < limit || h.Waiting < limit {
		return nil
	}
	return w.fail(ctx, store, h, fmt.Errorf("for %v no Sluice could go on with this job; here: %w", limit, why))
}

// fail ends a job that nobody can run.
func (w *watcher) fail(ctx context.Context, store *jobstore.Store, h *jobstore.Held, why error) error {
	o := job.Outcome{Status: job.Failed, ErrorCode: errno.ErrUnknown, Message: messageText(why.Error() + remains(h))}
	if h.CancelRequested {
		o.Status = job.Cancelled
	}
	w.e.log.Warn("a job without an owner ends", zap.Int64("job", h.Lease.JobID), zap.String("message", o.Message))
	return store.End(ctx, h.Lease, o)
}

// remains says what a job that its owner can't put right any more may have left.
func remains(h *jobstore.Held) string {
	written := h.Checkpoint || h.Status == job.Running
	switch {
	case h.Kind == job.Restore && written:
		return "; what was to be restored may be there in part: drop it before it is used or restored again"
	case h.Kind == job.Restore:
		return "; nothing was changed"
	case h.Checkpoint, h.Status == job.Running, h.Step != "" && h.Step != "prepare" && h.Step != "encode" && h.Step != "sort":
		return "; the table may hold a part of the rows: TRUNCATE it before it is used or imported again"
	}
	return "; the table is as it was"
}

// hasJob tells whether this process runs a job, or has not yet let go of one that
// it lost.
func (e *Executor) hasJob(id int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mu.jobs[id] != nil
}

// busy tells whether this process has a job.
func (e *Executor) busy() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.mu.jobs) > 0
}

package executor

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
)

// cleanInterval is how often jobs that ended long ago are looked for.
const cleanInterval = 10 * time.Minute

// removeOld removes the jobs that ended longer ago than they are kept, with
// their errors and checkpoints, and what they have noted elsewhere, and what jobs that are over have left on this
// machine. All Sluices of a cluster do it; it doesn't matter who is first.
func (w *watcher) removeOld(ctx context.Context, store *jobstore.Store) {
	if time.Since(w.cleaned) < cleanInterval {
		return
	}
	w.cleaned = time.Now()
	if _, engine := w.e.services.current(); engine != nil {
		engine.Sweep(func(id int64) bool { return over(ctx, store, id) })
	}
	retention := w.e.cfg.Retention
	if retention <= 0 {
		return
	}
	n, err := store.RemoveEnded(ctx, retention, func(ctx context.Context, checkpoint []byte) error {
		_, engine, err := w.e.services.get(ctx)
		if err != nil {
			return err
		}
		return engine.Forget(ctx, checkpoint)
	})
	if err != nil && ctx.Err() == nil {
		w.e.log.Warn("old jobs can't be removed", zap.Error(err))
	}
	if n > 0 {
		w.e.log.Info("removed jobs that ended long ago", zap.Int64("jobs", n), zap.Duration("retention", retention))
	}
}

// over tells whether a job certainly doesn't go on from what it has left.
func over(ctx context.Context, store *jobstore.Store, id int64) bool {
	j, err := store.Get(ctx, id)
	switch {
	case errors.Is(err, jobstore.ErrNotFound):
		return true
	case err != nil || j.Status.Active():
		return false
	case j.Status == job.Finished:
		return true
	}
	checkpoint, err := store.LoadCheckpoint(ctx, id)
	return err == nil && len(checkpoint) == 0
}

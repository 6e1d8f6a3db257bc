package executor

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/jobstore"
)

// cleanInterval is how often jobs that ended long ago are looked for.
const cleanInterval = 10 * time.Minute

// removeOld removes the jobs that ended longer ago than they are kept, with
// their errors and checkpoints. All Sluices of a cluster do it; it doesn't matter
// who is first.
func (w *watcher) removeOld(ctx context.Context, store *jobstore.Store) {
	retention := w.e.cfg.Retention
	if time.Since(w.cleaned) < cleanInterval {
		return
	}
	w.cleaned = time.Now()
	w.sweep(ctx, store)
	if retention <= 0 {
		return
	}
	n, err := store.RemoveEnded(ctx, retention)
	if err != nil && ctx.Err() == nil {
		w.e.log.Warn("old jobs can't be removed", zap.Error(err))
	}
	if n > 0 {
		w.e.log.Info("removed jobs that ended long ago", zap.Int64("jobs", n), zap.Duration("retention", retention))
	}
}

// sweep removes what jobs that were ended by others have left in the sort directory.
func (w *watcher) sweep(ctx context.Context, store *jobstore.Store) {
	_, engine := w.e.services.current()
	if engine == nil {
		return // no job has been here yet
	}
	engine.Sweep(func(jobID int64) bool {
		j, err := store.Get(ctx, jobID)
		return errors.Is(err, jobstore.ErrNotFound) || err == nil && !j.Status.Active()
	})
}

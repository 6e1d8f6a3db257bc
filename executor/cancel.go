package executor

import (
	"context"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
)

// cancelPoll is how often a CANCEL looks whether another Sluice has stopped
// its job. That one looks every progressInterval.
const cancelPoll = 200 * time.Millisecond

// cancelJob is CANCEL IMPORT JOB n. It answers when the job has really stopped,
// whichever Sluice runs it.
func (e *Executor) cancelJob(ctx context.Context, s Session, id int64) (*Result, error) {
	state, store, super, err := e.askForJobs(ctx, s)
	if err != nil {
		return nil, err
	}
	if _, err := visibleJob(ctx, store, id, state.account, super); err != nil {
		return nil, err
	}
	active, err := store.RequestCancel(ctx, id)
	if err != nil {
		return nil, err
	}
	if !active {
		return nil, codedError(errno.ErrLoadDataInvalidOperation, "CANCEL")
	}
	e.log.Info("cancellation of an import job requested", zap.Int64("job", id), zap.String("by", state.account))
	e.mu.Lock()
	mine := e.mu.jobs[id]
	e.mu.Unlock()
	if mine != nil {
		// No need to wait for the heartbeat to find the mark.
		mine.stop(errCancelled)
		select {
		case <-mine.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return e.awaitCancelled(ctx, store, id)
}

func (e *Executor) awaitCancelled(ctx context.Context, store *jobstore.Store, id int64) (*Result, error) {
	tick := time.NewTicker(cancelPoll)
	defer tick.Stop()
	for {
		j, err := store.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		switch {
		case j.Status == job.Cancelled:
			return &Result{}, nil
		case !j.Status.Active():
			// It ended on its own before it could be stopped.
			return nil, codedError(errno.ErrLoadDataInvalidOperation, "CANCEL")
		}
		select {
		case <-tick.C:
		case <-e.quit:
			return nil, codedError(errno.ErrServerShutdown)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		// An owner that went away stops nothing; its job is ended here.
		if _, err := e.failAbandoned(ctx, store); err != nil {
			return nil, err
		}
	}
}

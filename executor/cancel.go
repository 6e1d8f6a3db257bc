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

const (
	// stopPoll is how often a statement looks whether another Sluice has stopped
	// its job. That one looks every controlInterval.
	stopPoll = 100 * time.Millisecond
	// cancelPatience is how long CANCEL waits for the end of the job. The job itself
	// stops at once, but emptying its table may take any time, or wait for others' transactions.
	cancelPatience = 1500 * time.Millisecond
)

// cancelJob is CANCEL IMPORT JOB n. It answers when the job is cancelled and cleaned
// up, whichever Sluice runs it, or after cancelPatience: that it will be is certain by then.
func (e *Executor) cancelJob(ctx context.Context, s Session, id int64) (*Result, error) {
	return e.stopJob(ctx, s, id, stopping{"CANCEL", job.Cancelled, errCancelled, cancelPatience, (*jobstore.Store).RequestCancel})
}

// pauseJob is PAUSE IMPORT JOB n. It answers when the job is paused: its owner
// has stopped and holds nothing in the cluster.
func (e *Executor) pauseJob(ctx context.Context, s Session, id int64) (*Result, error) {
	// One that nobody could go on with would hold its table for ever.
	store, _, _, err := e.controlled(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if task, err := store.Task(ctx, id); err != nil || task == "" {
		return nil, errors.Join(err, unknownError("job %d can't be paused: %v", id, errNoTask))
	}
	return e.stopJob(ctx, s, id, stopping{"PAUSE", job.Paused, errPaused, 0, (*jobstore.Store).RequestPause})
}

// stopping is a way to stop a job.
type stopping struct {
	verb  string
	to    job.Status
	cause error
	// patience is how long the statement waits for the state, 0 means as long as it takes.
	patience time.Duration
	request  func(store *jobstore.Store, ctx context.Context, id int64, by string) (bool, error)
}

func (e *Executor) stopJob(ctx context.Context, s Session, id int64, how stopping) (*Result, error) {
	var tired <-chan time.Time
	if how.patience > 0 {
		timer := time.NewTimer(how.patience)
		defer timer.Stop()
		tired = timer.C
	}
	store, _, state, err := e.controlled(ctx, s, id)
	if err != nil {
		return nil, err
	}
	active, err := how.request(store, ctx, id, state.account)
	if err != nil {
		return nil, err
	}
	if !active {
		return nil, errWrongState(how.verb)
	}
	e.log.Info("an import job is to stop", zap.Int64("job", id), zap.String("how", how.verb), zap.Uint64("connection", s.ConnectionID()))
	e.mu.Lock()
	mine := e.mu.jobs[id]
	e.mu.Unlock()
	if mine != nil {
		// No need to wait for the heartbeat to find the mark.
		mine.stopFor(how.cause)
		select {
		case <-mine.done:
		case <-tired:
			return goesOn(id), nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	e.wakeWatcher()
	return e.await(ctx, store, id, how, tired)
}

// goesOn is the answer of a CANCEL that is certain to have its way later.
func goesOn(id int64) *Result {
	return &Result{Info: fmt.Sprintf("job %d is stopped and cleaned up behind: SHOW IMPORT JOB %d tells when that is done", id, id)}
}

// await returns when a job is in the state that a statement wants.
func (e *Executor) await(ctx context.Context, store *jobstore.Store, id int64, how stopping, tired <-chan time.Time) (*Result, error) {
	tick := time.NewTicker(stopPoll)
	defer tick.Stop()
	for {
		j, err := store.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		switch {
		case j.Status == how.to, how.to == job.Paused && j.Status.Active() && !j.PauseRequested: // resumed already
			return &Result{}, nil
		case !j.Status.Active():
			// It ended on its own before it could be stopped.
			return nil, errWrongState(how.verb)
		}
		select {
		case <-tick.C:
		case <-tired:
			return goesOn(id), nil
		case <-e.quit:
			return nil, codedError(errno.ErrServerShutdown)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// controlled gathers what a statement needs that changes a job, and makes sure
// that the user may: it is his own, or he has SUPER.
func (e *Executor) controlled(ctx context.Context, s Session, id int64) (*jobstore.Store, *job.Job, *sessionState, error) {
	state, store, super, err := e.askForJobs(ctx, s)
	if err != nil {
		return nil, nil, nil, err
	}
	j, err := visibleJob(ctx, store, id, state.account, super)
	return store, &j, state, err
}

// errWrongState is the refusal of what a job's state doesn't allow.
func errWrongState(verb string) error {
	return codedError(errno.ErrLoadDataInvalidOperation, verb)
}

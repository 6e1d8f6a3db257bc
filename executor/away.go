package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
)

// # When a part of the cluster is away
//
// Requests are tried again where they are made, for as long as that place knows what
// it asks for. What is not answered by then ends the attempt at the job, not the job: it keeps what
// it has done, and this process begins another attempt from the checkpoint, again and again. A
// client that waits for the job goes on waiting. After Config.AwayPatience without a step forward the
// job is given back, as pending and with a message: any Sluice tries it then, less and less often.

// DefaultAwayPatience is long enough for a cluster that is restarted.
const DefaultAwayPatience = 10 * time.Minute

const (
	// attempts come after pauses that double from firstAway to mostAway.
	firstAway = 500 * time.Millisecond
	mostAway  = 10 * time.Second
)

// codeDiskFull is MySQL's ER_DISK_FULL.
const codeDiskFull = 1021

// away is what a runner knows of the attempts that have ended because of the cluster.
type away struct {
	since time.Time // of the first one without a step forward; zero if the last one has made one
	pause time.Duration
	noted bool // as an event
}

// again waits before the next attempt at a job whose last one has ended with err. Its error is that
// with which the job ends, or is left to others.
func (r *runner) again(err error) error {
	r.began.checkpoint = true // whoever can't plan it from now on leaves it as it is
	var pending error
	switch {
	case r.ctx.Err() != nil:
	case errors.Is(err, errAltered):
		r.log.Info("import job goes on with other settings")
		return nil
	case errors.Is(err, importcore.ErrDiskFull):
		return &stopError{job.Paused, codeDiskFull, fmt.Sprintf("%v: RESUME IMPORT JOB %d goes on with it when there is room, CANCEL IMPORT JOB %d gives up "+
			"and frees what it takes", err, r.record.ID, r.record.ID)}
	default:
		pending = r.waitOut(err)
	}
	if r.ctx.Err() != nil {
		return r.giveUp(context.Cause(r.ctx))
	}
	return pending
}

// waitOut waits while a part of the cluster is away.
func (r *runner) waitOut(err error) error {
	now := time.Now()
	if r.stepped() || r.away.since.IsZero() {
		r.away = away{since: now}
	}
	if patience := r.e.cfg.AwayPatience; now.Sub(r.away.since) > patience {
		pause := r.e.backoff.failed(r.record.ID, now)
		code, _, text := MySQLError(err)
		r.log.Warn("the cluster doesn't let the job go on; it is given back", zap.Duration("next", pause), zap.Error(err))
		return &stopError{job.Pending, code, fmt.Sprintf("%s: for %v the job got no further; it is tried again when the cluster is back", text, patience)}
	}
	r.away.pause = min(max(firstAway, 2*r.away.pause), mostAway)
	r.log.Warn("a part of the cluster is away; the job goes on when it is back", zap.Duration("after", r.away.pause), zap.Error(err))
	if !r.away.noted { // one event for all attempts, and none while it is the job store that is away
		_, _, text := MySQLError(err)
		r.away.noted = r.store.Waits(r.ctx, r.record.Lease, text) == nil
	}
	_ = pause(r.ctx, r.away.pause) // the caller looks at the context
	return nil
}

// stepped tells whether the job has saved a checkpoint since the last call.
func (r *runner) stepped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	stepped := r.mu.stepped
	r.mu.stepped = false
	return stepped
}

// giveUp ends a job that is stopped between two attempts: one that is cancelled
// puts right what it has done.
func (r *runner) giveUp(cause error) error {
	var stop *stopError
	if !errors.As(cause, &stop) || stop.status != job.Cancelled {
		return cause
	}
	fate, err := r.putRight(context.WithoutCancel(r.ctx))
	switch {
	case err != nil:
		return fmt.Errorf("%w, but what it had written could not be put right: %w", cause, err)
	case fate != "":
		return r.withFate(cause, fate)
	}
	return cause
}

// withFate adds to the reason of a job's end what has become of what it had written.
func (r *runner) withFate(cause error, fate string) error {
	if r.record.Kind == job.Restore {
		return fmt.Errorf("%w; %s", cause, fate)
	}
	return fmt.Errorf("%w; table %s %s", cause, targetOf(&r.record), fate)
}

// putRight puts the table back as it was before the job. While the cluster is away it tries again.
func (r *runner) putRight(ctx context.Context) (fate string, err error) {
	limited, cancel := context.WithTimeout(ctx, r.e.cfg.AwayPatience)
	defer cancel()
	for wait := firstAway; ; wait = min(2*wait, mostAway) {
		fate, err = r.engine.Abandon(ctx, r.task)
		if !importcore.IsAway(ctx, err) || pause(limited, wait) != nil {
			return fate, err
		}
	}
}

// goesOn tells whether an attempt that ended with err has left a job that can go on.
func (r *runner) goesOn(err error) bool {
	if errors.Is(err, errAltered) || errors.Is(err, importcore.ErrDiskFull) || errors.Is(err, importcore.ErrAway) {
		return true
	}
	// Outside of the core nothing has begun that would have to be kept.
	return errors.Is(err, errNotPlanned) && importcore.IsAway(r.ctx, err)
}

// errNotPlanned says that an attempt has not begun.
var errNotPlanned = errors.New("the job can't be looked at")

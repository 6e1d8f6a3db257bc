package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/fault"
)

const (
	// progressInterval is how often the owner renews its lease and writes the
	// job's progress: Imported_Rows as other Sluices see it is about that old.
	progressInterval = time.Second
	// controlInterval is how often it looks in between what users ask for, which is
	// a part of the time that PAUSE, CANCEL and ALTER take at another Sluice.
	controlInterval = progressInterval / 4
	// persistLimit bounds the attempts to write what must not get lost of a job:
	// as long as nobody can have given it up.
	persistLimit = 2 * jobstore.DefaultLease
	// persistRetry is the first pause between them, which doubles up to persistPause.
	persistRetry = 50 * time.Millisecond
	persistPause = time.Second
	// holdLimit is how long a job waits, without writing, for a lease that can't
	// be renewed, holdPoll how often it looks.
	holdLimit = 10 * time.Minute
	holdPoll  = 100 * time.Millisecond
)

// heartbeat renews the lease until quit is closed. It stops the job when
// somebody asked for that, or when the row is no longer this process's. A lease that has expired is renewed like any other as long as
// nobody has given the job up: a slow cluster makes no job fail. Until then
// hold keeps the job from writing.
func (r *runner) heartbeat(quit <-chan struct{}) {
	tick := time.NewTicker(min(progressInterval, r.store.Lease()/4))
	defer tick.Stop()
	look := time.NewTicker(controlInterval)
	defer look.Stop()
	for {
		select {
		case <-quit:
			return
		case <-look.C:
			if wanted, err := r.asked(); err == nil {
				r.obey(wanted)
			}
			continue
		case <-tick.C:
		}
		wanted, err := r.renew()
		switch {
		case err == nil:
			r.obey(wanted)
			r.writeTables(context.WithoutCancel(r.ctx))
		case errors.Is(err, jobstore.ErrLost):
			r.lose()
			return
		default:
			r.log.Warn("the job's lease can't be renewed", zap.Error(err))
		}
	}
}

// obey does what users ask of the job.
func (r *runner) obey(wanted job.Control) {
	switch {
	case wanted.CancelRequested:
		r.stopFor(errCancelled)
	case wanted.PauseRequested:
		r.stopFor(errPaused)
	default:
		r.alter(wanted.Settings)
	}
}

// stopFor stops the job because users want that. One that is run only to put right what it has left is cancelled
// already, and would leave the table as it is if it were stopped.
func (r *runner) stopFor(cause error) {
	if !r.began.cancel {
		r.stop(cause)
	}
}

// asked reads what users ask of the job.
func (r *runner) asked() (job.Control, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), r.store.Lease()/4)
	defer cancel()
	return r.store.Asked(ctx, r.record.Lease)
}

func (r *runner) renew() (wanted job.Control, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), r.store.Lease()/2)
	defer cancel()
	asked := time.Now()
	wanted, err = r.store.Renew(ctx, r.record.Lease, r.progress())
	if err == nil {
		r.mu.Lock()
		r.mu.renewed = asked
		r.mu.Unlock()
	}
	return wanted, err
}

// certain tells whether nobody else can take the job for the next lease and
// more, which is time for a request to arrive.
func (r *runner) certain() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.mu.renewed) < r.store.Lease()*2/3
}

// hold is importcore.ImportTask's Hold.
func (r *runner) hold(ctx context.Context) error {
	if r.certain() {
		return r.given()
	}
	defer r.waited(time.Now())
	for began := time.Now(); !r.certain(); {
		if err := r.given(); err != nil {
			return err
		}
		if time.Since(began) > holdLimit {
			r.lose()
			return errLeaseLost
		}
		if err := pause(ctx, holdPoll); err != nil {
			return err
		}
	}
	return r.given()
}

// waited counts the time since then as one in which the job waited for its lease.
func (r *runner) waited(since time.Time) {
	r.e.metrics.waits.WithLabelValues(waitLease).Add(time.Since(since).Seconds())
}

// lose gives the job up, whatever else has stopped it before.
func (r *runner) lose() {
	r.over()
	r.stop(errLeaseLost)
}

// over notes that the core is done with the job, so that nothing that it has
// left behind goes on under a lease that this process gives back.
func (r *runner) over() {
	r.mu.Lock()
	r.mu.lost = true
	r.mu.Unlock()
}

// given returns why the job was given up, if it was. It stays so: others may
// be about to take it.
func (r *runner) given() error {
	r.mu.Lock()
	lost := r.mu.lost
	r.mu.Unlock()
	if lost {
		return errLeaseLost
	}
	if cause := context.Cause(r.ctx); errors.Is(cause, importcore.ErrNotOwner) {
		return cause
	}
	return nil
}

// owned is importcore.ImportTask's Owned: it renews the lease, so that what
// follows may rely on it for a while.
func (r *runner) owned(ctx context.Context) error {
	if err := r.given(); err != nil {
		return err
	}
	err := persist(ctx, func(context.Context) error {
		_, err := r.renew()
		return err
	})
	if errors.Is(err, jobstore.ErrLost) {
		r.lose()
		return errLeaseLost
	}
	return err
}

// persist calls write, again and again while the cluster is away, until it
// succeeds, the row is no longer ours (jobstore.ErrLost) or persistLimit has
// passed. When ctx ends, its cause is the error.
func persist(ctx context.Context, write func(context.Context) error) error {
	return persistFor(ctx, persistLimit, write)
}

// persistFor is persist with another limit. That it is over says something about the cluster only.
func persistFor(ctx context.Context, limit time.Duration, write func(context.Context) error) error {
	limited, cancel := context.WithTimeoutCause(ctx, limit, fault.Retryable(fmt.Errorf("not done within %v", limit)))
	defer cancel()
	for wait := persistRetry; ; wait = min(2*wait, persistPause) {
		err := write(limited)
		switch {
		case err == nil, errors.Is(err, jobstore.ErrLost):
			return err
		case pause(limited, wait) == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		default:
			return err
		}
	}
}

// pause waits for d, or until ctx ends, whose cause it returns then.
func pause(ctx context.Context, d time.Duration) error {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

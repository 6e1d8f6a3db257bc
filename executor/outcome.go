package executor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
)

// finish writes what becomes of the job and sets r.err.
func (r *runner) finish(summary Summary, err error) {
	if err == nil {
		err = r.given()
	}
	outcome := r.outcome(summary, err)
	r.err = err
	r.over()
	switch outcome.Status {
	case "":
		r.log.Error("import job lost", zap.String("reason", redactText(err.Error())))
		return
	case job.Paused, job.Pending:
		r.leave(outcome)
		return
	}
	switch endErr := r.end(outcome); {
	case errors.Is(endErr, jobstore.ErrLost):
		// It is another's: that is how this run ended, whatever the first request said that could not go on for that reason, and also if
		// nothing was left to do here.
		r.err = errLeaseLost
		r.log.Error("import job lost", zap.String("reason", redactText(cmp.Or(err, error(errLeaseLost)).Error())))
		return
	case endErr != nil:
		r.log.Error("the end of the job can't be recorded", zap.String("state", string(outcome.Status)), zap.Error(endErr))
		if err == nil {
			r.err = fmt.Errorf("the import finished with %d rows, but its job row can't be updated: %w", summary.Rows, endErr)
		}
	}
	r.e.metrics.jobs.WithLabelValues(string(outcome.Status)).Inc()
	r.counted.ended(outcome.Status)
	if outcome.Status == job.Finished {
		r.e.locations.forget(r.record.ID)
		r.e.metrics.rows.Add(float64(summary.Rows))
	}
	if p := (*fault.Panic)(nil); errors.As(err, &p) {
		r.log.Error("panic in an import job", zap.Error(p), zap.ByteString("stack", p.Stack))
	}
	r.log.Info("import job ended", zap.String("state", string(outcome.Status)), zap.Int64("rows", summary.Rows),
		zap.Uint16("code", outcome.ErrorCode), zap.String("message", outcome.Message))
}

// leave gives the job up for somebody to go on with it later.
func (r *runner) leave(o job.Outcome) {
	message := o.Message
	if errors.Is(r.err, errShutdown) {
		message = "" // it is over when another Sluice has the job
	}
	err := persist(context.WithoutCancel(r.ctx), func(ctx context.Context) error {
		// Once more where the job is: its percentage is kept.
		if _, err := r.store.Renew(ctx, r.record.Lease, r.progress()); err != nil {
			return err
		}
		if o.Status == job.Paused {
			return r.store.Pause(ctx, r.record.Lease, o.Message)
		}
		return r.store.Release(ctx, r.record.Lease, message)
	})
	if err != nil {
		r.log.Error("the job can't be given back; it will be when its lease is over", zap.Error(err))
	}
	r.log.Info("import job given back", zap.String("state", string(o.Status)), zap.String("message", o.Message))
}

// outcome is what becomes of the job; an empty status means that it isn't ours to say.
func (r *runner) outcome(summary Summary, err error) job.Outcome {
	if err == nil {
		messages := append(append([]string(nil), r.warnings...), summary.Warnings...)
		if left := r.badRows.told("rows left out and recorded"); left != "" {
			messages = append(messages, left)
		}
		progress := r.lastProgress(true)
		o := job.Outcome{Status: job.Finished, Rows: &summary.Rows, Progress: &progress, Message: messageText(strings.Join(messages, "; "))}
		if summary.Restored == nil {
			o.Checksum = &summary.Checksum
		} else if result, err := json.Marshal(summary.Restored); err == nil { // it has numbers only
			o.Result = string(result)
		}
		return o
	}
	last := r.lastProgress(false)
	o := job.Outcome{Status: job.Failed, Rows: last.Rows, Progress: &last}
	o.ErrorCode, _, o.Message = MySQLError(err)
	stop := r.stopped(err)
	switch {
	case stop == nil && (errors.Is(err, importcore.ErrCantGoOn) || errors.Is(err, source.ErrAway)) && !r.began.cancel:
		o.Status = job.Paused // nothing was touched, or is lost: it can go on when that is over
	case stop == nil && r.began.cancel:
		o.Status = job.Cancelled
		o.Message = errCancelled.text + ", but what it had written could not be put right: " + o.Message
	case stop == nil:
	default:
		o.Status, o.ErrorCode = stop.status, stop.code
		if !strings.Contains(o.Message, stop.text) {
			o.Message = stop.text + ": " + o.Message
		}
	}
	return o
}

// lastProgress is what the job shows when it has ended.
func (r *runner) lastProgress(finished bool) job.Progress {
	last := r.progress()
	r.mu.Lock()
	plan, m := r.mu.plan, r.mu.meter
	r.mu.Unlock()
	if finished && plan != nil {
		return m.finished(plan.Progress())
	}
	last.Current.Left, last.Total.Left = 0, 0
	return last
}

// stopped tells why the job was stopped, if that is what ended it.
func (r *runner) stopped(err error) *stopError {
	var stop *stopError
	if errors.As(r.given(), &stop) {
		return stop
	}
	if errors.As(err, &stop) {
		return stop
	}
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(r.ctx), &stop) {
		return stop
	}
	return nil
}

// end writes the last state. When an earlier try has done it, whose answer did not arrive, that is no
// loss of the job.
func (r *runner) end(o job.Outcome) error {
	return persist(context.WithoutCancel(r.ctx), func(ctx context.Context) error {
		err := r.store.End(ctx, r.record.Lease, o)
		if errors.Is(err, jobstore.ErrLost) {
			now, getErr := r.store.Get(ctx, r.record.ID)
			if getErr == nil && now.Lease == r.record.Lease && now.Status == o.Status {
				return nil
			}
		}
		return err
	})
}

// checkpoints keeps a job's in the store.
type checkpoints struct{ r *runner }

// Load implements Checkpoints.
func (c *checkpoints) Load(ctx context.Context) (data []byte, err error) {
	err = persist(ctx, func(ctx context.Context) error {
		data, err = c.r.store.LoadCheckpoint(ctx, c.r.record.ID)
		return err
	})
	return data, err
}

// Save implements Checkpoints. While the cluster is away it tries again, for as
// long as the job would wait with its rows.
func (c *checkpoints) Save(ctx context.Context, data []byte) error {
	err := persistFor(ctx, holdLimit, func(ctx context.Context) error { return c.r.store.SaveCheckpoint(ctx, c.r.record.Lease, data) })
	if errors.Is(err, jobstore.ErrLost) {
		return errLeaseLost
	}
	if err == nil {
		c.r.mu.Lock()
		c.r.mu.stepped = true
		c.r.mu.Unlock()
		if len(data) > 0 {
			c.r.e.metrics.checkpoints.Inc()
		}
	}
	return err
}

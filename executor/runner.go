package executor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore/fault"
)

// runner is one job that this process owns, from its acceptance to its end.
// Two goroutines work for it: run, and the heartbeat that run starts and waits
// for.
type runner struct {
	e      *Executor
	store  *jobstore.Store
	engine Engine
	task   Task
	record job.Job
	log    *zap.Logger
	// warnings go into the message of a finished job.
	warnings []string
	// badRows keeps the rows that the job leaves out.
	badRows *badRowSink

	ctx  context.Context // of the job, cancelled with a *stopError
	stop func(error)     // idempotent: the first cause counts
	done chan struct{}
	// err is why the job didn't finish; set before done is closed.
	err error

	mu struct {
		sync.Mutex
		renewed time.Time // when the lease was last renewed, at the earliest
		claimed bool
		plan    Plan // nil until the import runs
	}
}

// start registers the job and runs it in a goroutine of the executor. On an
// error the job's row has been ended.
func (e *Executor) start(ctx context.Context, store *jobstore.Store, engine Engine, record job.Job, task Task,
	warnings []string) (*runner, error) {
	r := &runner{
		e: e, store: store, engine: engine, task: task, record: record, warnings: warnings,
		log:  e.log.With(zap.Int64("job", record.ID), zap.String("table", record.DB+"."+record.Table)),
		done: make(chan struct{}),
	}
	r.badRows = &badRowSink{store: store, lease: record.Lease, metric: e.metrics.badRows}
	r.task.BadRows = r.badRows
	// The job outlives the statement that asked for it; wait ends it when a
	// blocking statement's context ends.
	jobCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r.ctx, r.stop = jobCtx, cancel
	r.task.Owned, r.task.Hold = r.owned, r.hold

	e.mu.Lock()
	closing := e.mu.closing
	if !closing {
		e.mu.jobs[record.ID] = r
		e.wg.Add(1)
	}
	e.mu.Unlock()
	if closing {
		cancel(errShutdown)
		err := r.end(job.Outcome{Status: job.Failed, ErrorCode: errShutdown.code, Message: errShutdown.text})
		return nil, errors.Join(errShutdown, err)
	}
	e.metrics.running.Inc()
	r.log.Info("import job accepted", zap.Int64("source_bytes", record.SourceBytes), zap.String("created_by", record.CreatedBy))
	go r.run()
	return r, nil
}

// wait returns when the job has ended. If ctx ends first, the job is cancelled
// and wait returns after it has stopped.
func (r *runner) wait(ctx context.Context) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		r.stop(stopCause(ctx))
		<-r.done
	}
	return r.err
}

func (r *runner) run() {
	defer r.e.wg.Done()
	defer close(r.done)
	defer r.unregister()
	defer r.stop(nil)
	beating := make(chan struct{})
	quit := make(chan struct{})
	go func() {
		defer close(beating)
		r.heartbeat(quit)
	}()
	summary, err := r.work()
	close(quit)
	<-beating
	r.finish(summary, r.badRows.wrap(err))
}

func (r *runner) unregister() {
	r.e.mu.Lock()
	delete(r.e.mu.jobs, r.record.ID)
	r.e.mu.Unlock()
	r.e.metrics.running.Dec()
}

// work waits for a slot and does the import. A panic fails the job, not the
// process.
func (r *runner) work() (summary Summary, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("panic in an import job", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			err = fmt.Errorf("internal error of Sluice: panic: %v; the table may hold a part of the rows", p)
		}
	}()
	select {
	case r.e.slots <- struct{}{}:
	case <-r.ctx.Done():
		return Summary{}, context.Cause(r.ctx)
	}
	defer func() { <-r.e.slots }()
	claimed := time.Now()
	if err := r.store.Claim(r.ctx, r.record.Lease); err != nil {
		if errors.Is(err, jobstore.ErrLost) {
			err = errLeaseLost
		}
		return Summary{}, err
	}
	r.mu.Lock()
	r.mu.claimed, r.mu.renewed = true, claimed
	r.mu.Unlock()
	// The table was free and empty when the statement was checked; now that
	// the row reserves it, it must still be.
	plan, err := r.engine.Plan(r.ctx, r.task)
	if err != nil {
		return Summary{}, err
	}
	if plan.TableID() != r.record.TableID {
		err := unknownError("table %s.%s was dropped or truncated while the import was being prepared", r.record.DB, r.record.Table)
		return Summary{}, errors.Join(err, plan.Close())
	}
	r.mu.Lock()
	r.mu.plan = plan
	r.mu.Unlock()
	return plan.Run(r.ctx)
}

// progress is what is known of the job.
func (r *runner) progress() job.Progress {
	r.mu.Lock()
	plan, claimed := r.mu.plan, r.mu.claimed
	r.mu.Unlock()
	switch {
	case plan != nil:
		return plan.Progress()
	case claimed:
		return job.Progress{Phase: job.PhaseImporting}
	default:
		return job.Progress{}
	}
}

// finish writes the job's end and sets r.err.
func (r *runner) finish(summary Summary, err error) {
	outcome := r.outcome(summary, err)
	r.err = err
	if outcome.Status == "" {
		r.log.Error("import job lost", zap.String("reason", redactText(err.Error())))
		return
	}
	if endErr := r.end(outcome); endErr != nil {
		r.log.Error("the end of the job can't be recorded", zap.String("state", string(outcome.Status)), zap.Error(endErr))
		if err == nil {
			r.err = fmt.Errorf("the import finished with %d rows, but its job row can't be updated: %w", summary.Rows, endErr)
		}
	}
	r.e.metrics.jobs.WithLabelValues(string(outcome.Status)).Inc()
	if outcome.Status == job.Finished {
		r.e.metrics.rows.Add(float64(summary.Rows))
	}
	if p := (*fault.Panic)(nil); errors.As(err, &p) {
		r.log.Error("panic in an import job", zap.Error(p), zap.ByteString("stack", p.Stack))
	}
	r.log.Info("import job ended", zap.String("state", string(outcome.Status)), zap.Int64("rows", summary.Rows),
		zap.Uint16("code", outcome.ErrorCode), zap.String("message", outcome.Message))
}

// outcome is how the row ends; an empty status means that it isn't ours to end.
func (r *runner) outcome(summary Summary, err error) job.Outcome {
	if err == nil {
		messages := append(append([]string(nil), r.warnings...), summary.Warnings...)
		if left := r.badRows.told("rows left out and recorded"); left != "" {
			messages = append(messages, left)
		}
		return job.Outcome{Status: job.Finished, Rows: &summary.Rows, Checksum: &summary.Checksum,
			Message: messageText(strings.Join(messages, "; "))}
	}
	o := job.Outcome{Status: job.Failed, Rows: r.progress().Rows}
	o.ErrorCode, _, o.Message = MySQLError(err)
	if stop := r.stopped(err); stop != nil {
		o.Status, o.ErrorCode = stop.status, stop.code
		if !strings.Contains(o.Message, stop.text) {
			o.Message = stop.text + ": " + o.Message
		}
	}
	return o
}

// stopped tells why the job was stopped, if that is what ended it.
func (r *runner) stopped(err error) *stopError {
	var stop *stopError
	if errors.As(err, &stop) {
		return stop
	}
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(r.ctx), &stop) {
		return stop
	}
	return nil
}

// end writes the last state.
func (r *runner) end(o job.Outcome) error {
	return persist(context.WithoutCancel(r.ctx), func(ctx context.Context) error { return r.store.End(ctx, r.record.Lease, o) })
}

// live overlays a row of this process's job with what it knows better than the
// row: rows and phase of this moment.
func (e *Executor) live(j *job.Job) {
	e.mu.Lock()
	r := e.mu.jobs[j.ID]
	e.mu.Unlock()
	if r == nil || j.Status != job.Running || j.Lease != r.record.Lease {
		return
	}
	p := r.progress()
	j.Phase, j.Step, j.Rows = p.Phase, p.Step, p.Rows
}

// errNeedsSuper is the refusal of what needs SUPER.
func errNeedsSuper() error { return codedError(errno.ErrSpecificAccessDenied, "SUPER") }

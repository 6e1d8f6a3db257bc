package executor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/forecast"
	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/sqlext"
)

// runner is one job that this process owns, from its acceptance or adoption to
// the moment when it has ended or is given back. Two goroutines work for it: run,
// and the heartbeat that run starts and waits for.
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
	// began is what an earlier owner of the job has left.
	began begun
	// counted goes into the metrics.
	counted counted
	away    away
	// tables is what a restore tells of them.
	tables toldTables

	ctx  context.Context // of the job, cancelled with a *stopError
	stop func(error)     // idempotent: the first cause counts
	done chan struct{}
	// err is why the job didn't finish; set before done is closed.
	err error

	mu struct {
		sync.Mutex
		renewed time.Time // when the lease was last renewed, at the earliest
		claimed bool
		stepped bool // a checkpoint was saved, see stepped
		lost    bool // another has the job, or may have it
		plan    Plan // nil until the import runs
		meter   *meter
		// wanted numbers the settings of the job's row, settings those in use.
		wanted, settings int64
		restart          context.CancelCauseFunc // nil until the import runs
	}
}

// begun is what a job brings with it that had an owner before.
type begun struct {
	checkpoint bool
	// cancel: the job is run only to put right what it has left.
	cancel bool
}

// newRunner makes the runner of a job that this process owns.
func (e *Executor) newRunner(ctx context.Context, store *jobstore.Store, engine Engine, record job.Job, spec *Spec) *runner {
	r := &runner{
		e: e, store: store, engine: engine, record: record, task: e.task(record.ID, spec), warnings: e.threadWarning(spec.Options.Thread),
		log:  e.log.With(zap.Int64("job", record.ID), zap.String("table", targetOf(&record))),
		done: make(chan struct{}),
	}
	r.mu.meter = newMeter(forecast.Costs{}, record.Progress)
	r.counted.metrics = e.metrics
	r.mu.wanted, r.mu.settings = record.Settings, record.Settings
	r.badRows = &badRowSink{store: store, lease: record.Lease, metric: e.metrics.badRows}
	r.task.BadRows = r.badRows.of(0, record.DB, record.Table)
	r.task.Checkpoints, r.task.Observer = &checkpoints{r}, e.metrics
	// The job outlives the statement that asked for it; wait ends it when a
	// blocking statement's context ends.
	jobCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r.ctx, r.stop = jobCtx, cancel
	r.task.Owned, r.task.Hold = r.owned, r.hold
	if spec.Restore != nil {
		r.task.Reserve, r.task.Tell = r.reserve, r.tables.tell
		r.task.BadRowsOf = r.badRows.of
	}
	return r
}

// start registers the job and runs it in a goroutine of the executor. On an
// error the job has been given back, or ended.
func (r *runner) start() error {
	e := r.e
	e.mu.Lock()
	closing := e.mu.closing
	if !closing {
		e.mu.jobs[r.record.ID] = r
		e.wg.Add(1)
	}
	e.mu.Unlock()
	if closing {
		r.stop(errShutdown)
		r.finish(Summary{}, errShutdown)
		return r.err
	}
	e.metrics.running.Inc()
	r.log.Info("import job taken", zap.Int64("term", r.record.Lease.Term), zap.Int64("source_bytes", r.record.SourceBytes),
		zap.String("created_by", r.record.CreatedBy))
	go r.run()
	return nil
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
	defer r.giveBackMemory() // nobody waits for that
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
	r.writeTables(context.WithoutCancel(r.ctx))
	r.badRows.settle(context.WithoutCancel(r.ctx), r.record.Lease.Term > 1)
	r.finish(summary, r.badRows.wrap(err))
}

func (r *runner) unregister() {
	r.e.mu.Lock()
	delete(r.e.mu.jobs, r.record.ID)
	r.e.mu.Unlock()
	r.e.metrics.running.Dec()
}

// giveBackMemory returns to the system what jobs have used, if this process has none any more. Go's
// runtime by itself keeps some of it for as long as nothing happens.
func (r *runner) giveBackMemory() {
	r.mu.Lock()
	r.mu.plan = nil
	r.mu.Unlock()
	r.e.mu.Lock()
	jobs := len(r.e.mu.jobs)
	r.e.mu.Unlock()
	if jobs == 0 {
		runtime.GC() // pools keep what they have until the second collection
		debug.FreeOSMemory()
	}
}

// work waits for a slot and does the import. A panic fails the job, not the
// process.
func (r *runner) work() (summary Summary, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("panic in an import job", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			err = fmt.Errorf("internal error of Sluice: panic: %v; what it writes to may hold a part of the rows", p)
		}
	}()
	if r.began.cancel {
		return Summary{}, r.abandon()
	}
	free, err := r.slot()
	if err != nil {
		return Summary{}, r.notBegun(err)
	}
	defer free()
	r.learn(r.ctx)
	if err := r.claim(); err != nil {
		return Summary{}, r.notBegun(err)
	}
	for {
		summary, err = r.attempt()
		if !r.goesOn(err) {
			return summary, err
		}
		if err := r.again(err); err != nil {
			return Summary{}, err
		}
	}
}

// attempt does the import with the settings of this moment. It ends with
// errAltered when there are others.
func (r *runner) attempt() (Summary, error) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	if err := r.settings(cancel); err != nil {
		return Summary{}, r.cantGoOn(err)
	}
	plan, err := r.plan(ctx)
	if err != nil {
		return Summary{}, err
	}
	r.e.backoff.forget(r.record.ID)
	r.mu.Lock()
	r.mu.plan = plan
	r.mu.meter.begin()
	r.mu.Unlock()
	now := plan.Progress()
	r.counted.begin(&now.Counted)
	return plan.Run(ctx)
}

// settings takes up those that the job's row has now. restart ends the attempt
// when they change again.
func (r *runner) settings(restart context.CancelCauseFunc) error {
	r.mu.Lock()
	r.mu.restart = restart
	wanted, have := r.mu.wanted, r.mu.settings
	r.mu.Unlock()
	if wanted == have {
		return nil
	}
	var task string
	err := persist(r.ctx, func(ctx context.Context) (err error) {
		task, err = r.store.Task(ctx, r.record.ID)
		return err
	})
	if err != nil {
		return err
	}
	spec, missing, err := r.e.decode(r.record.ID, task)
	if err != nil {
		return err
	}
	if missing { // the job goes on with what it was taken with
		spec.Location = r.task.Location
	}
	to := r.e.task(r.record.ID, spec)
	r.task.Spec, r.task.Threads, r.task.MaxWriteSpeed, r.task.MaxLatency, r.task.DiskQuota = to.Spec, to.Threads, to.MaxWriteSpeed, to.MaxLatency, to.DiskQuota
	r.warnings = r.e.threadWarning(spec.Options.Thread)
	r.mu.Lock()
	r.mu.settings = wanted
	r.mu.Unlock()
	return nil
}

// alter is called with the number of the settings in the job's row.
func (r *runner) alter(settings int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if settings <= r.mu.wanted {
		return
	}
	r.mu.wanted = settings
	if r.mu.restart != nil {
		r.mu.restart(errAltered)
	}
}

// slot waits for the job's turn, with the priority that it has at the moment.
func (r *runner) slot() (free func(), err error) {
	for {
		ctx, cancel := context.WithCancelCause(r.ctx)
		if err = r.settings(cancel); err == nil {
			priority := r.task.Options.Priority
			free, err = r.e.queue.enter(ctx, priorities[priority], r.record.ID, func() {
				r.log.Info("import job waits for its turn", zap.String("priority", string(priority)))
			})
		}
		cancel(nil)
		if !errors.Is(err, errAltered) || r.ctx.Err() != nil {
			return free, err
		}
	}
}

// priorities in numbers: a higher one comes first.
var priorities = map[sqlext.Priority]int{sqlext.PriorityLow: -1, sqlext.PriorityMedium: 0, sqlext.PriorityHigh: 1}

func (r *runner) claim() error {
	var claimed time.Time
	err := persistFor(r.ctx, holdLimit, func(ctx context.Context) error {
		claimed = time.Now()
		return r.store.Claim(ctx, r.record.Lease)
	})
	if errors.Is(err, jobstore.ErrLost) {
		return errLeaseLost
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.mu.claimed, r.mu.renewed = true, claimed
	r.mu.Unlock()
	r.log.Info("import job claimed", zap.Int64("term", r.record.Lease.Term), zap.Bool("checkpoint", r.began.checkpoint),
		zap.Float64("percent", r.record.Percent))
	return nil
}

// abandon puts right what a job has left that is cancelled while nobody runs it.
func (r *runner) abandon() error {
	if err := r.claim(); err != nil {
		return r.notBegun(err)
	}
	fate, err := r.putRight(r.ctx)
	switch {
	case importcore.IsAway(r.ctx, err):
		return tryAgain(err)
	case err != nil:
		return err
	case fate != "":
		return r.withFate(errCancelled, fate)
	}
	return errCancelled
}

// notBegun is the end of a job before its turn. If it is cancelled and has left something, whoever takes it from here
// puts that right: it was adopted, so its row says that it is to be cancelled.
func (r *runner) notBegun(err error) error {
	switch {
	case r.began.checkpoint && errors.Is(context.Cause(r.ctx), errCancelled):
		return &stopError{job.Pending, errCancelled.code, errCancelled.text}
	case importcore.IsAway(r.ctx, err):
		return tryAgain(err)
	}
	return err
}

// tryAgain leaves the job to whoever takes it next, because the cluster was away.
func tryAgain(err error) error {
	code, _, text := MySQLError(err)
	return &stopError{job.Pending, code, text + ": it is tried again"}
}

// cantGoOn decides about a job with a checkpoint that can't be planned: it keeps what it
// has done and waits for somebody to look after it, or for the cluster.
func (r *runner) cantGoOn(err error) error {
	switch {
	case r.ctx.Err() != nil && r.began.checkpoint:
		return r.giveUp(context.Cause(r.ctx))
	case r.ctx.Err() != nil:
		return err
	case importcore.IsAway(r.ctx, err):
		return fmt.Errorf("%w: %w", errNotPlanned, err)
	case !r.began.checkpoint:
		return err
	}
	code, _, text := MySQLError(err)
	status := job.Paused
	if f := fault.As(err); f != nil && f.Whose == fault.Cluster {
		status = job.Pending
		pause := r.e.backoff.failed(r.record.ID, time.Now())
		r.log.Warn("the cluster doesn't let the job go on; it is tried again", zap.Duration("after", pause), zap.Error(err))
	}
	return &stopError{status, code, text}
}

// plan repeats the prechecks: the table was free and empty when the statement
// was checked; now that the row reserves it, it must still be.
func (r *runner) plan(ctx context.Context) (Plan, error) {
	plan, err := r.engine.Plan(ctx, r.task)
	if err != nil {
		return nil, r.cantGoOn(err)
	}
	facts := plan.Facts()
	switch {
	case facts.TableID != r.record.TableID:
		err = unknownError("table %s.%s was dropped or truncated while the import was being prepared", r.record.DB, r.record.Table)
	case r.task.Source != "" && facts.Source != r.task.Source:
		err = errSourceChanged
	default:
		return plan, nil
	}
	return nil, r.cantGoOn(errors.Join(err, plan.Close()))
}

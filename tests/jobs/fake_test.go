package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/tests/playground"
)

// fakeEngine imports nothing. Its plans tell when they run and end when they
// are told, so that every moment of a job's life can be held.
type fakeEngine struct {
	// tableIDs are handed out plan by plan; the last stays.
	tableID func(plan int64, t executor.Task) int64
	planErr func(plan int64) error
	// unreadable is what keeps the engine from the source of a location.
	unreadable func(location string) error
	abandonErr error
	// abandoning is called before a job is cleaned up behind.
	abandoning func(ctx context.Context) error
	plans      atomic.Int64
	running    chan *fakePlan
	closed     atomic.Bool
	// cleaned gets the tasks of jobs that are cleaned up behind.
	cleaned chan executor.Task
}

type fakePlan struct {
	engine *fakeEngine
	task   executor.Task
	id     int64
	rows   atomic.Int64
	finish chan func() (executor.Summary, error)
	// stopped gets the cause when the plan is stopped.
	stopped chan error
	// deaf plans end only when told.
	deaf atomic.Bool
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{running: make(chan *fakePlan, 16), cleaned: make(chan executor.Task, 16)}
}

// Inspect implements executor.Engine.
func (f *fakeEngine) Inspect(ctx context.Context, t executor.Task, _ bool) (executor.Inspection, error) {
	p, err := f.Plan(ctx, t)
	return executor.Inspection{Plan: p}, err
}

// Plan implements executor.Engine.
func (f *fakeEngine) Plan(_ context.Context, t executor.Task) (executor.Plan, error) {
	n := f.plans.Add(1)
	if f.planErr != nil {
		if err := f.planErr(n); err != nil {
			return nil, err
		}
	}
	p := &fakePlan{engine: f, task: t, id: 1000, finish: make(chan func() (executor.Summary, error), 1),
		stopped: make(chan error, 1)}
	for _, c := range t.Table {
		p.id = p.id*31 + int64(c)
	}
	if f.tableID != nil {
		p.id = f.tableID(n, t)
	}
	return p, nil
}

// Close implements executor.Engine.
func (f *fakeEngine) Close() error {
	f.closed.Store(true)
	return nil
}

// Readable implements executor.Engine.
func (f *fakeEngine) Readable(_ context.Context, s *executor.Spec) error {
	if f.unreadable == nil {
		return nil
	}
	return f.unreadable(s.Location)
}

// Abandon implements executor.Engine.
func (f *fakeEngine) Abandon(ctx context.Context, t executor.Task) (string, error) {
	if f.abandoning != nil {
		if err := f.abandoning(ctx); err != nil {
			return "", err
		}
	}
	f.cleaned <- t
	return "was emptied again", errors.Join(f.abandonErr, t.Checkpoints.Save(ctx, nil))
}

// Forget implements executor.Engine.
func (f *fakeEngine) Forget(context.Context, []byte) error { return nil }

// Sweep implements executor.Engine.
func (f *fakeEngine) Sweep(func(jobID int64) bool) {}

// Named implements executor.Engine.
func (f *fakeEngine) Named(context.Context) ([]cluster.Change, error) { return nil, nil }

// Undo implements executor.Engine.
func (f *fakeEngine) Undo(context.Context, cluster.Change) error { return nil }

// Facts implements executor.Plan.
func (p *fakePlan) Facts() executor.Facts {
	return executor.Facts{TableID: p.id, SourceBytes: 8, Source: "files"}
}

// Close implements executor.Plan.
func (p *fakePlan) Close() error { return nil }

// Progress implements executor.Plan.
func (p *fakePlan) Progress() executor.Progress {
	return executor.Progress{Phase: job.PhaseImporting, Step: "encode", At: -1, Rows: p.rows.Load(), SourceBytes: 8}
}

// Run implements executor.Plan.
func (p *fakePlan) Run(ctx context.Context) (executor.Summary, error) {
	p.engine.running <- p
	done := ctx.Done()
	if p.deaf.Load() {
		done = nil
	}
	select {
	case f := <-p.finish:
		return f()
	case <-done:
		p.stopped <- context.Cause(ctx)
		return executor.Summary{}, fmt.Errorf("encode: %w", context.Cause(ctx))
	}
}

func (p *fakePlan) end(rows int64, err error) {
	p.finish <- func() (executor.Summary, error) { return executor.Summary{Rows: rows}, err }
}

// fakeExecutor runs jobs on the fake engine; schema may be shared.
func fakeExecutor(t *testing.T, f *fakeEngine, schema, instance string) *executor.Executor {
	t.Helper()
	return fakeExecutorWith(t, f, config(t, schema, instance))
}

// fakeExecutorWith is fakeExecutor with a configuration of its own.
func fakeExecutorWith(t *testing.T, f *fakeEngine, cfg executor.Config) *executor.Executor {
	t.Helper()
	e, err := executor.NewWithEngine(cfg, func(context.Context) (executor.Engine, error) { return f, nil })
	require.NoError(t, err)
	closeWith(t, e)
	return e
}

// withTableA is a session of root in a new database, which has the table of importA.
func withTableA(t *testing.T, e *executor.Executor) (s *session, db string) {
	t.Helper()
	db, _ = playground.Shared(t).Database(t)
	s = sessionOf(t, e, "root", "", db)
	s.must("CREATE TABLE a (i INT PRIMARY KEY)")
	return s, db
}

// fakeSetup is an executor, its engine, a session of root and two tables.
func fakeSetup(t *testing.T) (f *fakeEngine, e *executor.Executor, s *session, schema string) {
	t.Helper()
	f, schema = newFakeEngine(), newSchema()
	e = fakeExecutor(t, f, schema, "fake:1")
	s, _ = withTableA(t, e)
	s.must("CREATE TABLE b (i INT PRIMARY KEY)")
	return f, e, s, schema
}

// answer is what a statement that runs in the background ends with.
type answer struct {
	result *executor.Result
	err    error
}

// background runs a statement in a goroutine that the test waits for.
func (s *session) background(ctx context.Context, sql string) <-chan answer {
	out := make(chan answer, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err := s.run(ctx, sql)
		out <- answer{r, err}
	}()
	s.t.Cleanup(func() { <-done })
	return out
}

var errBoom = errors.New("boom at s3://b/p?secret-access-key=SSSS")

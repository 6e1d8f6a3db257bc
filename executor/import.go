package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/executor/privilege"
	"github.com/sluicedb/sluice/sqlext"
)

// importInto accepts a job and runs it. The order matters: first what the
// session and the user may do, so that nobody learns of files or tables that
// he may not touch; then the prechecks; then the job's row, which reserves the
// table; then, under that reservation, the prechecks again (see runner).
func (e *Executor) importInto(ctx context.Context, s Session, st *sqlext.ImportInto) (*Result, error) {
	state, err := askSession(ctx, s)
	if err != nil {
		return nil, err
	}
	task, err := e.checkedTask(ctx, s, st, state)
	if err != nil {
		return nil, err
	}
	store, engine, err := e.services.get(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := engine.Plan(ctx, task)
	if err != nil {
		return nil, err
	}
	record, err := e.record(st, state, task, plan)
	if err = errors.Join(err, plan.Close()); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	// A client that leaves now must not leave a row behind that nobody knows of:
	// the job is created and then cancelled.
	created, err := e.createJob(context.WithoutCancel(ctx), store, record)
	if err != nil {
		return nil, err
	}
	task.JobID = created.ID
	warnings := e.threadWarning(st, task.Threads)
	r, err := e.start(ctx, store, engine, created, task, warnings)
	if err != nil {
		return nil, err
	}
	if st.Options.Detached {
		return jobResult([]job.Job{created}, state.timeZone), nil
	}
	if err := r.wait(ctx); err != nil {
		return nil, &jobError{id: created.ID, cause: err}
	}
	ended, err := store.Get(ctx, created.ID)
	if err != nil {
		return nil, fmt.Errorf("import job %d finished, but its row can't be read: %w", created.ID, err)
	}
	return jobResult([]job.Job{ended}, state.timeZone), nil
}

// checkedTask makes every check that needs no look at the files.
func (e *Executor) checkedTask(ctx context.Context, s Session, st *sqlext.ImportInto, state *sessionState) (Task, error) {
	if state.inTxn {
		return Task{}, unknownError("cannot run IMPORT INTO in explicit transaction")
	}
	if state.snapshot != "" {
		return Task{}, unknownError("can not execute IMPORT statement when 'tidb_snapshot' is set")
	}
	if err := checkCharset(st.Redacted()+st.Location.Raw, state.charset); err != nil {
		return Task{}, err
	}
	target := privilege.ImportTarget{DB: st.DB, Table: st.Table, Local: st.Location.IsLocal()}
	if err := privilege.CheckImport(ctx, s, target); err != nil {
		return Task{}, err
	}
	db := st.DB
	if db == "" {
		db = state.db
	}
	if e.isSystemSchema(db) {
		return Task{}, codedError(errno.ErrLoadDataPreCheckFailed, "target table is a system table")
	}
	if err := checkSupported(st); err != nil {
		return Task{}, err
	}
	return Task{
		DB: db, Table: st.Table, Partitions: st.Partitions, Location: st.Location.Raw, Fields: st.Fields, Options: st.Options,
		Assignments: st.Assignments, SysVars: state.sysVars, User: state.user, CurrentDB: state.db, IgnoreForeignKeys: !state.foreignKeys,
		SQLMode: state.sqlMode, TimeZone: state.timeZone, Threads: e.threads(st.Options.Thread),
		MemoryBudget: e.cfg.MemoryBudget, MaxWriteSpeed: st.Options.MaxWriteSpeed,
	}, nil
}

func (e *Executor) isSystemSchema(db string) bool {
	switch strings.ToLower(db) {
	case "mysql", "information_schema", "performance_schema", "metrics_schema", "sys":
		return true
	}
	return strings.EqualFold(db, e.cfg.Schema)
}

// threads is TiDB's rule: half of the CPUs unless given, never more than there
// are.
func (e *Executor) threads(wanted int64) int {
	if wanted == 0 {
		return max(1, e.cfg.Threads/2)
	}
	return int(min(wanted, int64(e.cfg.Threads)))
}

// threadWarning tells of a lowered THREAD, which TiDB doesn't.
func (e *Executor) threadWarning(st *sqlext.ImportInto, got int) []string {
	if st.Options.Thread <= int64(got) {
		return nil
	}
	e.log.Warn("thread lowered", zap.Int64("wanted", st.Options.Thread), zap.Int("got", got))
	return []string{fmt.Sprintf("thread was lowered from %d to %d, the most that this Sluice allows", st.Options.Thread, got)}
}

// record describes the job for its row.
func (e *Executor) record(st *sqlext.ImportInto, state *sessionState, task Task, plan Plan) (job.Job, error) {
	options, err := json.Marshal(st.Options.Specified)
	if err != nil {
		return job.Job{}, fmt.Errorf("options of the job: %w", err)
	}
	return job.Job{
		DataSource: st.Location.Redacted(), DB: task.DB, Table: task.Table, TableID: plan.TableID(),
		Statement: redactText(st.Redacted()), Options: string(options), SourceBytes: plan.SourceBytes(),
		CreatedBy: state.account,
	}, nil
}

// createJob reserves the table. A table that a dead owner still holds is freed
// first.
func (e *Executor) createJob(ctx context.Context, store *jobstore.Store, record job.Job) (job.Job, error) {
	created, err := store.Create(ctx, record)
	if errors.Is(err, jobstore.ErrTableBusy) {
		n, abandonedErr := e.failAbandoned(ctx, store)
		if abandonedErr != nil {
			return job.Job{}, abandonedErr
		}
		if n > 0 {
			created, err = store.Create(ctx, record)
		}
	}
	if errors.Is(err, jobstore.ErrTableBusy) {
		return job.Job{}, codedError(errno.ErrLoadDataPreCheckFailed, "there is active job on the target table already")
	}
	return created, err
}

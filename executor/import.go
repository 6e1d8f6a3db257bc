package executor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/executor/privilege"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/sqlext"
)

// importInto accepts a job and runs it. The order matters: first what the
// session and the user may do, so that nobody learns of files or tables that
// he may not touch; then the prechecks; then the job's row, which reserves the
// table; then, under that reservation, the prechecks again (see runner).
func (e *Executor) importInto(ctx context.Context, s Session, st *sqlext.ImportInto) (*Result, error) {
	if st.DryRun() {
		return e.explainImport(ctx, s, st)
	}
	state, err := askSession(ctx, s)
	if err != nil {
		return nil, err
	}
	spec, err := e.checkedSpec(ctx, s, st, state)
	if err != nil {
		return nil, err
	}
	store, engine, err := e.services.get(ctx)
	if err != nil {
		return nil, err
	}
	record, warnings, err := e.accept(ctx, engine, st, state, spec)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	// A client that leaves now must not leave a row behind that nobody knows of:
	// the job is created and then cancelled.
	created, err := createJob(context.WithoutCancel(ctx), store, record)
	if err != nil {
		return nil, err
	}
	e.log.Info("import job accepted", zap.Int64("job", created.ID), zap.String("table", created.DB+"."+created.Table),
		zap.Int64("source_bytes", created.SourceBytes), zap.String("created_by", created.CreatedBy), zap.String("group", created.GroupKey))
	ended, err := e.runAccepted(ctx, store, engine, created, spec, warnings)
	if err != nil {
		return nil, err
	}
	return jobResult([]job.Job{ended}, state.timeZone), nil
}

// checkedSpec makes every check that needs no look at the files.
func (e *Executor) checkedSpec(ctx context.Context, s Session, st *sqlext.ImportInto, state *sessionState) (*Spec, error) {
	if state.inTxn {
		return nil, unknownError("cannot run IMPORT INTO in explicit transaction")
	}
	if state.snapshot != "" {
		return nil, unknownError("can not execute IMPORT statement when 'tidb_snapshot' is set")
	}
	if err := checkCharset(st.Redacted()+st.Location.Raw, state.charset); err != nil {
		return nil, err
	}
	if state.server != "" {
		return nil, needsTiDB("IMPORT INTO", state.server)
	}
	target := privilege.ImportTarget{DB: st.DB, Table: st.Table, Local: st.Location.ReadsDisk()}
	if err := privilege.CheckImport(ctx, s, target); err != nil {
		return nil, err
	}
	db := st.DB
	if db == "" {
		db = state.db
	}
	if e.isSystemSchema(db) {
		return nil, codedError(errno.ErrLoadDataPreCheckFailed, "target table is a system table")
	}
	if err := checkSupported(st); err != nil {
		return nil, err
	}
	return &Spec{
		DB: db, Table: st.Table, Partitions: st.Partitions, Location: st.Location.Raw, Format: st.Format, Fields: st.Fields,
		Assignments: st.Assignments, Options: st.Options, SQLMode: state.sqlMode, SysVars: state.sysVars, User: state.user,
		CurrentDB: state.db, IgnoreForeignKeys: !state.foreignKeys, TimeZone: state.timeZone,
	}, nil
}

// task is what this process makes of a Spec.
func (e *Executor) task(id int64, spec *Spec) Task {
	t := Task{JobID: id, Spec: *spec, Threads: e.threads(spec.Options.Thread), MemoryBudget: e.cfg.JobMemory / int64(e.cfg.Concurrency),
		MaxWriteSpeed: spec.Options.MaxWriteSpeed, MaxLatency: e.maxLatency(&spec.Options),
		DiskQuota: cmp.Or(spec.Options.DiskQuota, e.cfg.DiskQuota)}
	if store := e.services.openStore(); store != nil && spec.Restore != nil {
		t.LastRestores = store.LastRestores
	}
	return t
}

// maxLatency is what the job's options say, or else this process's configuration.
func (e *Executor) maxLatency(o *sqlext.Options) time.Duration {
	if o.MaxLatency != nil {
		return *o.MaxLatency
	}
	return e.cfg.MaxLatency
}

func (e *Executor) isSystemSchema(db string) bool {
	switch strings.ToLower(db) {
	case "mysql", "information_schema", "performance_schema", "metrics_schema", "sys":
		return true
	}
	return strings.EqualFold(db, e.cfg.Schema) || strings.EqualFold(db, logical.Schema)
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
func (e *Executor) threadWarning(wanted int64) []string {
	got := e.threads(wanted)
	if wanted <= int64(got) {
		return nil
	}
	e.log.Warn("thread lowered", zap.Int64("wanted", wanted), zap.Int("got", got))
	return []string{fmt.Sprintf("thread was lowered from %d to %d, the most that this Sluice allows", wanted, got)}
}

// accept makes the prechecks and describes the job for its row. warnings are for its message.
func (e *Executor) accept(ctx context.Context, engine Engine, st *sqlext.ImportInto, state *sessionState, spec *Spec) (
	_ job.Job, warnings []string, err error) {
	facts, warnings, err := e.precheck(ctx, engine, spec)
	if err != nil {
		return job.Job{}, nil, err
	}
	options, err := json.Marshal(st.Options.Specified)
	if err != nil {
		return job.Job{}, nil, fmt.Errorf("options of the job: %w", err)
	}
	spec.Source, spec.Now = facts.Source, facts.Now
	durable, err := settle(spec, Keeper{Instance: e.cfg.Instance, Process: processID()})
	if err != nil {
		return job.Job{}, nil, fmt.Errorf("task of the job: %w", err)
	}
	return job.Job{
		GroupKey: st.Options.GroupKey, DataSource: st.Location.Redacted(), DB: spec.DB, Table: spec.Table, TableID: facts.TableID,
		Statement: redactText(st.Redacted()), Options: string(options), Task: durable, SourceBytes: facts.SourceBytes,
		CreatedBy: state.account,
	}, warnings, nil
}

// createJob reserves the table.
func createJob(ctx context.Context, store *jobstore.Store, record job.Job) (job.Job, error) {
	created, err := store.Create(ctx, record)
	if errors.Is(err, jobstore.ErrTableBusy) {
		return job.Job{}, errTableBusy()
	}
	created.Task = record.Task
	return created, err
}

func errTableBusy() error {
	return codedError(errno.ErrLoadDataPreCheckFailed, "there is active job on the target table already")
}

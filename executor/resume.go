package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/executor/privilege"
	"github.com/sluicedb/sluice/sqlext"
)

// resumeJob is RESUME IMPORT JOB n: the job is pending again, and whichever
// Sluice can read its source goes on with it.
func (e *Executor) resumeJob(ctx context.Context, s Session, id int64) (*Result, error) {
	store, j, state, err := e.controlled(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if j.Status == job.Paused {
		task, err := store.Task(ctx, id)
		if err == nil {
			err = e.checkReadable(ctx, id, task)
		}
		if err != nil {
			return nil, err
		}
	}
	done, err := store.Resume(ctx, id, state.account)
	if err == nil && !done {
		err = errWrongState("RESUME")
	}
	if err != nil {
		return nil, err
	}
	e.log.Info("an import job goes on", zap.Int64("job", id), zap.Uint64("connection", s.ConnectionID()))
	e.wakeWatcher()
	return &Result{}, nil
}

// retryJob is RETRY IMPORT JOB n for a job that failed or was cancelled. One that
// has a checkpoint has left rows in its table, and can only go on from there.
// Any other begins anew, under the prechecks of a new import and with the files
// as they are now.
func (e *Executor) retryJob(ctx context.Context, s Session, id int64) (*Result, error) {
	store, j, state, err := e.controlled(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if j.Status != job.Failed && j.Status != job.Cancelled {
		return nil, errWrongState("RETRY")
	}
	spec, err := e.spec(ctx, store, id)
	if err != nil {
		return nil, err
	}
	if err := checkRights(ctx, s, spec, state); err != nil {
		return nil, err
	}
	_, engine, err := e.services.get(ctx)
	if err != nil {
		return nil, err
	}
	checkpoint, err := store.LoadCheckpoint(ctx, id)
	if err != nil {
		return nil, err
	}
	fresh := len(checkpoint) == 0
	if fresh {
		spec.Source, spec.Now = "", time.Time{}
		facts, _, err := e.precheck(ctx, engine, spec) // warnings are in the log
		if err != nil {
			return nil, err
		}
		spec.Source, spec.Now, j.TableID, j.SourceBytes, j.Tables = facts.Source, facts.Now, facts.TableID, facts.SourceBytes, facts.Tables
	}
	if j.Task, err = encodeSpec(spec); err != nil {
		return nil, err
	}
	done, err := store.Retry(ctx, j, fresh, state.account)
	switch {
	case errors.Is(err, jobstore.ErrTableBusy) && spec.Restore == nil:
		return nil, errTableBusy()
	case errors.Is(err, jobstore.ErrTableBusy):
		return nil, refusedTable(err)
	case err != nil:
		return nil, err
	case !done:
		return nil, errWrongState("RETRY")
	}
	e.log.Info("an import job is tried again", zap.Int64("job", id), zap.Bool("fresh", fresh), zap.Uint64("connection", s.ConnectionID()))
	e.wakeWatcher()
	return &Result{}, nil
}

// spec reads what a job's row says of its task.
func (e *Executor) spec(ctx context.Context, store *jobstore.Store, id int64) (*Spec, error) {
	task, err := store.Task(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := e.checkReadable(ctx, id, task); err != nil {
		return nil, err
	}
	spec, _, err := e.decode(id, task)
	if err != nil {
		return nil, unknownError("job %d can't be run again: %v", id, err)
	}
	return spec, nil
}

// checkRights makes sure that the user may do what a job does that he wants to be tried again: it is like a new one.
func checkRights(ctx context.Context, s Session, spec *Spec, state *sessionState) error {
	if spec.Restore != nil {
		return privilege.CheckRestore(ctx, s, state.server == "", readsDisk(spec.Location))
	}
	return privilege.CheckImport(ctx, s, privilege.ImportTarget{DB: spec.DB, Table: spec.Table, Local: readsDisk(spec.Location)})
}

func readsDisk(location string) bool {
	l, err := sqlext.ParseLocation(location)
	return err == nil && l.ReadsDisk()
}

// alterJob is ALTER IMPORT JOB n SET option = value, ...: the job goes on, or
// begins, with the new values.
func (e *Executor) alterJob(ctx context.Context, s Session, st *sqlext.AlterImportJob) (*Result, error) {
	store, _, state, err := e.controlled(ctx, s, st.ID)
	if err == nil {
		err = checkDiskQuota(&st.Options)
	}
	if err != nil {
		return nil, err
	}
	done, err := store.Alter(ctx, st.ID, state.account, st.Redacted(), func(options, task string) (string, string, error) { return alter(options, task, st) })
	if err == nil && !done {
		err = errWrongState("ALTER")
	}
	if err != nil {
		return nil, err
	}
	e.log.Info("an import job is altered", zap.Int64("job", st.ID), zap.String("sql", st.Redacted()), zap.Uint64("connection", s.ConnectionID()))
	return &Result{}, nil
}

// alter returns options and task of a job's row with what a statement changes.
func alter(options, task string, st *sqlext.AlterImportJob) (string, string, error) {
	spec, err := decodeSpec(task)
	if err != nil {
		return "", "", unknownError("job %d can't be altered: %v", st.ID, err)
	}
	st.Apply(&spec.Options)
	specified, err := json.Marshal(spec.Options.Specified)
	if err != nil {
		return "", "", fmt.Errorf("options of the job: %w", err)
	}
	task, err = encodeSpec(spec)
	return string(specified), task, err
}

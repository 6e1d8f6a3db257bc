package jobstore

import (
	"context"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// What users ask for: requests to the owner of a job, and the arrows that start
// at a job without one. by is the user's account.

// RequestCancel asks for a job to be stopped for good. A paused job becomes
// pending, for whoever sees to that. It returns false when the job has already
// ended.
func (s *Store) RequestCancel(ctx context.Context, id int64, by string) (bool, error) {
	return s.request(ctx, "request cancel", id, event{kind: job.EventCancelAsked, account: by}, "cancel_requested = 1, lease_until = CASE WHEN status = 'paused' THEN "+now+
		" ELSE lease_until END, status = CASE WHEN status = 'paused' THEN 'pending' ELSE status END", job.Pending, job.Running, job.Paused)
}

// RequestPause asks for a job to be paused. It returns false when it can't be:
// it is paused, or has ended.
func (s *Store) RequestPause(ctx context.Context, id int64, by string) (bool, error) {
	return s.request(ctx, "request pause", id, event{kind: job.EventPauseAsked, account: by}, "pause_requested = 1", job.Pending, job.Running)
}

// Resume makes a paused job pending again, for any Sluice to adopt. It returns
// false when the job is not paused.
func (s *Store) Resume(ctx context.Context, id int64, by string) (bool, error) {
	return s.request(ctx, "resume job", id, event{kind: job.EventResumed, account: by}, "status = 'pending', pause_requested = 0, message = '', lease_until = "+now, job.Paused)
}

func (s *Store) request(ctx context.Context, what string, id int64, e event, set string, from ...job.Status) (done bool, err error) {
	args := []any{id}
	for _, f := range from {
		args = append(args, string(f))
	}
	err = s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("UPDATE "+s.schema+".jobs SET "+set+", update_time = "+now+
			" WHERE id = ? AND status IN ("+placeholders(len(from))+")", args...)
		if err != nil {
			return err
		}
		if done = r.AffectedRows > 0; done {
			return s.note(c, id, e)
		}
		_, err = s.get(c, id) // is it the state, or is there no such job?
		return err
	})
	return done && err == nil, wrap(what, err)
}

// Retry makes a failed or cancelled job pending again, for any Sluice to adopt.
// Of j it reads what may have changed: TableID, Tables, SourceBytes and Task. fresh
// tells that the job begins from the beginning, without a checkpoint and without
// the bad rows that it recorded; otherwise a restore keeps the tables that it had. It returns false when the job is in another
// state, and ErrTableBusy when another active job holds one of the tables.
func (s *Store) Retry(ctx context.Context, j *job.Job, fresh bool, by string) (done bool, err error) {
	err = s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		set := "status = 'pending', table_id = ?, result = NULL, source_bytes = ?, task = ?, error_code = 0, message = '', " +
			"cancel_requested = 0, pause_requested = 0, start_time = NULL, end_time = NULL, " + leave
		if fresh {
			set += ", phase = '', step = '', imported_rows = NULL, error_rows = 0, percent = 0, step_done = 0, step_size = 0, step_percent = 0, " +
				"total_done = 0, steps = NULL"
		}
		r, err := c.Exec("UPDATE "+s.schema+".jobs SET "+set+", update_time = "+now+" WHERE id = ? AND status IN ('failed', 'cancelled')",
			j.TableID, j.SourceBytes, nullable(j.Task), j.ID)
		if err != nil || r.AffectedRows == 0 {
			return err
		}
		done = true
		if err := s.reserveAgain(c, j, fresh); err != nil {
			return err
		}
		if err := s.note(c, j.ID, event{kind: job.EventRetried, account: by}); err != nil || !fresh {
			return err
		}
		for _, table := range []string{"checkpoints", "job_errors"} {
			if _, err := c.Exec("DELETE FROM "+s.schema+"."+table+" WHERE job_id = ?", j.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if isDuplicateKey(err) {
		return false, s.busy(ctx, j.ID, j)
	}
	return done && err == nil, wrap("retry job", err)
}

// Alter replaces options and task of a job that has not ended by what change
// makes of them, and tells the owner. what is the text of it, without secrets. It returns false when the job has ended.
func (s *Store) Alter(ctx context.Context, id int64, by, what string, change func(options, task string) (string, string, error)) (done bool, err error) {
	err = s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT options, task FROM "+s.schema+".jobs WHERE id = ? AND status IN ('pending', 'running', 'paused') FOR UPDATE", id)
		if err != nil || r.RowNumber() == 0 {
			return err
		}
		var options, task string
		sc := rowScanner{r: r}
		sc.string(&options)
		sc.string(&task)
		if sc.err != nil {
			return sc.err
		}
		if options, task, err = change(options, task); err != nil {
			return err
		}
		_, err = c.Exec("UPDATE "+s.schema+".jobs SET options = ?, task = ?, settings = settings + 1, update_time = "+now+" WHERE id = ?",
			options, nullable(task), id)
		if err != nil {
			return err
		}
		done = true
		return s.note(c, id, event{kind: job.EventAltered, account: by, message: what})
	})
	return done && err == nil, wrap("alter job", err)
}

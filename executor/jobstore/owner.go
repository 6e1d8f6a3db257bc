package jobstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// What the owner of a job writes. All of it goes through compare-and-set: with
// the lease of a job that has no owner it works on one that still has none.

// Claim moves a pending job to running. ErrLost when it was cancelled, paused or
// given up meanwhile. It may be repeated when its outcome is unknown.
func (s *Store) Claim(ctx context.Context, l job.Lease) error {
	return s.change(ctx, "claim job", "status = ?, phase = ?, start_time = COALESCE(start_time, "+now+"), lease_until = "+s.until(),
		[]any{string(job.Running), string(job.PhaseImporting)}, l, event{kind: job.EventStarted}, job.Pending, job.Running)
}

// Renew extends the lease and writes the job's progress. It returns what users
// ask the owner for. ErrLost means that the job is no longer the caller's.
func (s *Store) Renew(ctx context.Context, l job.Lease, p job.Progress) (wanted job.Control, err error) {
	err = s.pool.Use(ctx, func(c *sqlconn.Session) error {
		set, args, err := setProgress(p)
		if err != nil {
			return err
		}
		r, err := c.Exec("UPDATE "+s.schema+".jobs SET "+set+", update_time = "+now+", lease_until = "+s.until()+
			" WHERE id = ? AND owner = ? AND term = ? AND status IN ('pending', 'running')", append(args, l.JobID, l.Owner, l.Term)...)
		if err != nil {
			return err
		}
		if r.AffectedRows == 0 {
			return ErrLost
		}
		r, err = c.Exec("SELECT cancel_requested, pause_requested, settings FROM "+s.schema+".jobs WHERE id = ?", l.JobID)
		if err != nil {
			return err
		}
		sc := rowScanner{r: r}
		sc.control(&wanted)
		return sc.err
	})
	return wanted, wrap("renew job's lease", err)
}

// Asked returns what users ask the owner of a job for, like Renew, and writes nothing.
// ErrLost means that the job is no longer the caller's.
func (s *Store) Asked(ctx context.Context, l job.Lease) (wanted job.Control, err error) {
	err = s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT cancel_requested, pause_requested, settings FROM "+s.schema+".jobs WHERE id = ? AND owner = ? AND term = ?",
			l.JobID, l.Owner, l.Term)
		if err != nil {
			return err
		}
		if r.RowNumber() == 0 {
			return ErrLost
		}
		sc := rowScanner{r: r}
		sc.control(&wanted)
		return sc.err
	})
	return wanted, wrap("read what a job is asked for", err)
}

// setProgress is the assignment of a job's progress. Rows that are not known
// leave the number as it is.
func setProgress(p job.Progress) (set string, args []any, err error) {
	steps, err := json.Marshal(p.Spent)
	if err != nil {
		return "", nil, fmt.Errorf("steps of the job: %w", err)
	}
	return "phase = ?, step = ?, imported_rows = COALESCE(?, imported_rows), step_done = ?, step_size = ?, step_speed = ?, " +
			"step_seconds_left = ?, total_done = ?, total_speed = ?, total_seconds_left = ?, percent = GREATEST(percent, ?), " +
			"step_percent = ?, steps = ?",
		[]any{string(p.Phase), p.Step, nullableInt(p.Rows), p.Current.Done, p.Current.Size, p.Current.Speed,
			seconds(p.Current.Left), p.Total.Done, p.Total.Speed, seconds(p.Total.Left), p.Percent, p.Current.Percent, string(steps)}, nil
}

// End moves a job to its last state and frees its tables. Its checkpoint, if the core has left one, stays
// unless the job has finished: the table holds rows of the job, and a RETRY must not bring them in again. ErrLost when the job is no longer the caller's. Unlike
// TiDB, a cancelled job gets an end time too: without one it reads as if it
// still ran.
func (s *Store) End(ctx context.Context, l job.Lease, o job.Outcome) error {
	var from []job.Status
	for _, status := range []job.Status{job.Pending, job.Running, job.Paused} {
		if status.CanBecome(o.Status) {
			from = append(from, status)
		}
	}
	if o.Status.Active() || len(from) == 0 {
		return fmt.Errorf("end job: %q is no last state", o.Status)
	}
	progress, args, err := setLast(&o)
	if err != nil {
		return err
	}
	set := progress + ", status = ?, error_code = ?, message = ?, step_seconds_left = 0, total_seconds_left = 0"
	args = append(args, string(o.Status), int64(o.ErrorCode), o.Message)
	if sum := o.Checksum; sum != nil {
		set += ", checksum = ?, total_kvs = ?, total_bytes = ?"
		args = append(args, sum.Crc64Xor, sum.TotalKvs, sum.TotalBytes)
	}
	if o.Result != "" {
		set += ", result = ?"
		args = append(args, o.Result)
	}
	set += ", end_time = " + now
	return wrap("end job", s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		err := s.changeBy(c, set, args, l, event{kind: job.EventKind(o.Status), message: o.Message}, from...)
		if err != nil {
			return err
		}
		if _, err = c.Exec("UPDATE "+s.schema+".job_tables SET active = NULL WHERE job_id = ?", l.JobID); err != nil || o.Status != job.Finished {
			return err
		}
		_, err = c.Exec("DELETE FROM "+s.schema+".checkpoints WHERE job_id = ?", l.JobID)
		return err
	}))
}

// setLast is the assignment of what a job that ends shows of its progress.
func setLast(o *job.Outcome) (set string, args []any, err error) {
	if o.Progress != nil {
		p := *o.Progress
		p.Rows = o.Rows
		return setProgress(p)
	}
	set, args = "imported_rows = COALESCE(?, imported_rows)", []any{nullableInt(o.Rows)}
	if o.Status == job.Finished {
		set += ", phase = '', step = '', percent = 100, total_done = source_bytes"
	}
	return set, args, nil
}

// Pause leaves a job, with what it has done, to whoever resumes it. message says
// what there is to say. If its cancellation has been asked for meanwhile the job
// becomes pending instead, for whoever sees to that.
func (s *Store) Pause(ctx context.Context, l job.Lease, message string) error {
	return s.change(ctx, "pause job", "status = CASE WHEN cancel_requested <> 0 THEN 'pending' ELSE 'paused' END, message = ?, "+
		leave, []any{message}, l, event{kind: job.EventPaused, message: message}, job.Pending, job.Running)
}

// Release gives a job back: it becomes pending and any Sluice may adopt it. message says what there is to say.
func (s *Store) Release(ctx context.Context, l job.Lease, message string) error {
	return s.change(ctx, "give the job back", "status = 'pending', message = ?, "+leave, []any{message}, l,
		event{kind: job.EventGivenBack, message: message}, job.Pending, job.Running)
}

// leave makes a job one without an owner, since now.
const leave = "owner = '', process = '', step_speed = 0, step_seconds_left = 0, total_speed = 0, total_seconds_left = 0, lease_until = " + now

// change is the compare-and-set that all of a job's ways from state to state under a lease go through, with the event
// that it is.
func (s *Store) change(ctx context.Context, what, set string, args []any, l job.Lease, e event, from ...job.Status) error {
	return wrap(what, s.pool.Transact(ctx, func(c *sqlconn.Session) error { return s.changeBy(c, set, args, l, e, from...) }))
}

func (s *Store) changeBy(c *sqlconn.Session, set string, args []any, l job.Lease, e event, from ...job.Status) error {
	args = append(args, l.JobID, l.Owner, l.Term)
	for _, f := range from {
		args = append(args, string(f))
	}
	r, err := c.Exec("UPDATE "+s.schema+".jobs SET "+set+", update_time = "+now+
		" WHERE id = ? AND owner = ? AND term = ? AND status IN ("+placeholders(len(from))+")", args...)
	if err != nil {
		return err
	}
	if r.AffectedRows == 0 {
		return ErrLost
	}
	return s.note(c, l.JobID, e)
}

// placeholders are the marks of n parameters.
func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

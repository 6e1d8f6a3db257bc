package jobstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// removeBatch is how many rows one statement removes: transactions stay small,
// however many errors a job has recorded.
const removeBatch = 1000

// RemoveEnded removes the jobs that ended at least retention ago, with everything that is kept of them, and returns their number. forget is called
// with the checkpoint of each restore that has one, and removes what that leads to; meanwhile nobody can try the job again. A job for which it has an
// error stays, without its recorded errors and events, and the others go. A job's row goes last, so that what an interruption leaves is found again.
func (s *Store) RemoveEnded(ctx context.Context, retention time.Duration, forget func(ctx context.Context, checkpoint []byte) error) (int64, error) {
	old := fmt.Sprintf("status IN ('finished', 'failed', 'cancelled') AND end_time < %s - INTERVAL %d MICROSECOND", now, retention.Microseconds())
	ids, err := s.oldJobs(ctx, old)
	var removed int64
	for _, id := range ids {
		gone, jobErr := s.removeJob(ctx, id, old, forget)
		if jobErr != nil {
			err = errors.Join(err, fmt.Errorf("job %d: %w", id, jobErr))
		}
		if gone {
			removed++
		}
		if ctx.Err() != nil {
			break
		}
	}
	return removed, wrap("remove old jobs", err)
}

func (s *Store) oldJobs(ctx context.Context, old string) (ids []int64, err error) {
	err = s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT id FROM " + s.schema + ".jobs WHERE " + old + " ORDER BY id")
		if err != nil {
			return err
		}
		ids = make([]int64, r.RowNumber())
		for i := range ids {
			if ids[i], err = r.GetInt(i, 0); err != nil {
				return err
			}
		}
		return nil
	})
	return ids, err
}

func (s *Store) removeJob(ctx context.Context, id int64, old string, forget func(context.Context, []byte) error) (gone bool, err error) {
	if err := s.removeRecords(ctx, id, old); err != nil {
		return false, err
	}
	// All at once, and with the row locked: a job that is tried again meanwhile would begin anew without its checkpoint.
	err = s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT kind FROM "+s.schema+".jobs WHERE id = ? AND "+old+" FOR UPDATE", id)
		if err != nil || r.RowNumber() == 0 {
			return err
		}
		kind, err := r.GetString(0, 0)
		if err != nil {
			return err
		}
		if job.Kind(kind) == job.Restore {
			checkpoint, err := s.checkpoint(c, id)
			if err == nil && len(checkpoint) > 0 {
				err = forget(ctx, checkpoint)
			}
			if err != nil {
				return err
			}
		}
		for _, table := range []string{"job_tables", "checkpoints"} {
			if _, err := c.Exec("DELETE FROM "+s.schema+"."+table+" WHERE job_id = ?", id); err != nil {
				return err
			}
		}
		_, err = c.Exec("DELETE FROM "+s.schema+".jobs WHERE id = ?", id)
		gone = err == nil
		return err
	})
	return gone && err == nil, err
}

// removeRecords removes what may be too much for one transaction.
func (s *Store) removeRecords(ctx context.Context, id int64, old string) error {
	return s.pool.Use(ctx, func(c *sqlconn.Session) error {
		for _, table := range []string{"job_errors", "job_events"} {
			for left := true; left; {
				// A job that is tried again meanwhile is not old any more.
				r, err := c.Exec(fmt.Sprintf("DELETE FROM %[1]s.%[4]s WHERE job_id = ? AND EXISTS (SELECT 1 FROM %[1]s.jobs WHERE id = ? AND %[2]s) LIMIT %[3]d",
					s.schema, old, removeBatch, table), id, id)
				if err != nil {
					return err
				}
				left = r.AffectedRows == removeBatch
			}
		}
		return nil
	})
}

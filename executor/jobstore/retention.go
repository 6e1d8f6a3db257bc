package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// removeBatch is how many rows one statement removes: transactions stay small,
// however many errors a job has recorded.
const removeBatch = 1000

// RemoveEnded removes the jobs that ended at least retention ago, with
// everything that is kept of them, and returns their number. A job's row goes last,
// so that what an interruption leaves is found again.
func (s *Store) RemoveEnded(ctx context.Context, retention time.Duration) (int64, error) {
	var removed int64
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		old := fmt.Sprintf("status IN ('finished', 'failed', 'cancelled') AND end_time < %s - INTERVAL %d MICROSECOND", now, retention.Microseconds())
		r, err := c.Exec("SELECT id FROM " + s.schema + ".jobs WHERE " + old + " ORDER BY id")
		if err != nil {
			return err
		}
		ids := make([]int64, r.RowNumber())
		for i := range ids {
			if ids[i], err = r.GetInt(i, 0); err != nil {
				return err
			}
		}
		for _, id := range ids {
			gone, err := s.removeJob(c, id, old)
			if err != nil {
				return err
			}
			removed += gone
		}
		return nil
	})
	return removed, wrap("remove old jobs", err)
}

func (s *Store) removeJob(c *sqlconn.Session, id int64, old string) (gone int64, err error) {
	for _, table := range []string{"job_errors", "job_events", "job_tables", "checkpoints"} {
		for left := true; left; {
			// A job that is tried again meanwhile is not old any more.
			r, err := c.Exec(fmt.Sprintf("DELETE FROM %[1]s.%[4]s WHERE job_id = ? AND EXISTS (SELECT 1 FROM %[1]s.jobs WHERE id = ? AND %[2]s) LIMIT %[3]d",
				s.schema, old, removeBatch, table), id, id)
			if err != nil {
				return 0, err
			}
			left = r.AffectedRows == removeBatch
		}
	}
	r, err := c.Exec("DELETE FROM "+s.schema+".jobs WHERE id = ? AND "+old, id)
	if err != nil {
		return 0, err
	}
	return int64(r.AffectedRows), nil
}

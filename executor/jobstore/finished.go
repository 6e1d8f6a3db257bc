package jobstore

import (
	"context"
	"fmt"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// Finished returns what the steps of the last jobs that finished have taken, the newest job
// first, of up to limit jobs.
func (s *Store) Finished(ctx context.Context, limit int) ([][]job.Spent, error) {
	var jobs [][]job.Spent
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec(fmt.Sprintf("SELECT steps FROM %s.jobs WHERE status = 'finished' AND steps IS NOT NULL "+
			"ORDER BY lease_until DESC LIMIT %d", s.schema, limit))
		if err != nil {
			return err
		}
		jobs = make([][]job.Spent, r.RowNumber())
		for i := range jobs {
			sc := rowScanner{r: r, row: i}
			if sc.spent(&jobs[i]); sc.err != nil {
				return sc.err
			}
		}
		return nil
	})
	return jobs, wrap("read what jobs took", err)
}

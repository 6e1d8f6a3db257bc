package jobstore

import (
	"context"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// ActiveOn returns the id of the job that holds the table with this id, 0 if none does.
func (s *Store) ActiveOn(ctx context.Context, tableID int64) (id int64, err error) {
	key := (&job.Job{TableID: tableID}).ActiveKey()
	err = s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT id FROM "+s.schema+".jobs WHERE active_key = ?", key)
		if err != nil || r.RowNumber() == 0 {
			return err
		}
		id, err = r.GetInt(0, 0)
		return err
	})
	return id, wrap("find the job of a table", err)
}

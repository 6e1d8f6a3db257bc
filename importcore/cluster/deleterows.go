package cluster

import (
	"context"
	"fmt"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// deleteIdle is for how many seconds the rows stay locked when nothing is heard of
// this process any more: less than it takes others to go on with its job.
const deleteIdle = 15

// DeleteRows deletes the rows that fulfil a condition, which is SQL with times in UTC,
// in one transaction. Unless there are just as many as expected nothing is
// deleted and the error says so.
func (c *Cluster) DeleteRows(ctx context.Context, db, table, where string, expected int) error {
	name := quoteTable(db, table)
	err := c.sql.Transact(ctx, func(s *sqlconn.Session) error {
		s.Discard() // has settings of its own
		if _, err := s.Exec(fmt.Sprintf("SET SESSION time_zone = '+00:00', sql_mode = '', wait_timeout = %d", deleteIdle)); err != nil {
			return err
		}
		res, err := s.Exec("DELETE FROM " + name + " WHERE " + where)
		if err != nil {
			return err
		}
		if res.AffectedRows != uint64(expected) {
			return fault.New(fault.Cluster, 0, "%d rows of table %s are in the way of the source's, but %d were found: is somebody writing to it?",
				expected, name, res.AffectedRows)
		}
		return nil
	})
	return tableError(err, "delete rows of table %s that the source replaces", name)
}

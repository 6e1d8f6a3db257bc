package cluster

import (
	"context"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

const (
	truncateTries = 3
	truncateWait  = time.Second
)

// TableID returns the id that the table has now; ok is false when there is no
// table of that name. TRUNCATE and DROP with a new CREATE change it.
func (c *Cluster) TableID(ctx context.Context, db, table string) (id int64, ok bool, err error) {
	text, err := c.tableID(ctx, db, table)
	if f := fault.As(err); f != nil && f.Code == codeNoSuchTable {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	id, err = strconv.ParseInt(text, 10, 64)
	return id, err == nil, failed(err, "read the id of table %s", quoteTable(db, table))
}

// Truncate empties the table if it still has the given id, by TRUNCATE TABLE:
// one change of the schema, whatever the number of rows, after which the table
// has another id. So what is still on its way to the old id's keys never shows
// up, and the old keys go with the next garbage collection. TiDB waits for the
// transactions that use the table.
//
// A table that rows of other tables refer to by a foreign key is emptied only
// if no such row is there; otherwise it is left alone, which is an error. An
// answer that was lost is no reason to truncate again: the id tells.
func (c *Cluster) Truncate(ctx context.Context, db, table string, id int64) error {
	name := quoteTable(db, table)
	for try := 1; ; try++ {
		now, ok, err := c.TableID(ctx, db, table)
		if err != nil {
			return err
		}
		if !ok || now != id {
			return nil
		}
		err = c.truncateOnce(ctx, db, table)
		if err == nil {
			return nil
		}
		if try == truncateTries || ctx.Err() != nil {
			return failed(err, "truncate table %s", name)
		}
		c.log.Warn("cluster: truncate failed", zap.String("table", name), zap.Int("try", try), zap.Error(err))
		if err := pause(ctx, truncateWait); err != nil {
			return err
		}
	}
}

func (c *Cluster) truncateOnce(ctx context.Context, db, table string) error {
	const codeReferred = 1701
	stmt := "TRUNCATE TABLE " + quoteTable(db, table)
	return c.sql.Use(ctx, func(s *sqlconn.Session) error {
		_, err := s.Exec(stmt)
		if sqlconn.Code(err) != codeReferred {
			return err
		}
		if err := checkNotReferred(s, db, table); err != nil {
			return err
		}
		s.Discard() // has a setting of its own
		if _, err := s.Exec("SET SESSION foreign_key_checks = 0"); err != nil {
			return err
		}
		_, err = s.Exec(stmt)
		return err
	})
}

// checkNotReferred looks for rows that refer to the table by a foreign key. The
// table itself is left out: its own rows go with it.
func checkNotReferred(s *sqlconn.Session, db, table string) error {
	res, err := s.Exec("SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE "+
		"WHERE LOWER(REFERENCED_TABLE_SCHEMA) = LOWER(?) AND LOWER(REFERENCED_TABLE_NAME) = LOWER(?) "+
		"AND NOT (TABLE_SCHEMA = REFERENCED_TABLE_SCHEMA AND TABLE_NAME = REFERENCED_TABLE_NAME)", db, table)
	if err != nil {
		return err
	}
	type key struct{ child, name string }
	refers := make(map[key]string) // to the condition for rows that refer to something
	for i := range res.RowNumber() {
		var parts [4]string
		for col := range parts {
			value, err := res.GetString(i, col)
			if err != nil {
				return err
			}
			parts[col] = strings.Clone(value) // the driver reuses its buffers
		}
		k := key{quoteTable(parts[0], parts[1]), parts[2]}
		if refers[k] != "" {
			refers[k] += " AND "
		}
		refers[k] += sqlconn.QuoteName(parts[3]) + " IS NOT NULL"
	}
	for k, where := range refers {
		rows, err := s.Exec("SELECT 1 FROM " + k.child + " WHERE " + where + " LIMIT 1")
		if err != nil {
			return err
		}
		if rows.RowNumber() > 0 {
			return fault.New(fault.User, 0, "rows of table %s refer to it by the foreign key %s", k.child, k.name)
		}
	}
	return nil
}

package cluster

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// AutoIDs are the largest ids that an import used; 0 means none.
type AutoIDs struct {
	// RowID is the largest _tidb_rowid, without shard bits.
	RowID int64
	// AutoIncrement is the largest value of the AUTO_INCREMENT column.
	AutoIncrement uint64
	// AutoRandom is the largest counter part of the AUTO_RANDOM column.
	AutoRandom int64
}

// codeNoPartition is MySQL's ER_NO_PARTITION_FOR_GIVEN_VALUE.
const codeNoPartition = 1526

// The allocators as SHOW TABLE ... NEXT_ROW_ID names them. Unless the table has
// AUTO_ID_CACHE 1, _TIDB_ROWID serves both purposes and the other one, although
// it is shown, is not used.
const (
	allocRowID         = "_TIDB_ROWID"
	allocAutoIncrement = "AUTO_INCREMENT"
	allocAutoRandom    = "AUTO_RANDOM"
)

// idStep moves one allocator.
type idStep struct {
	alloc  string
	used   uint64
	rebase func(ctx context.Context, name string, used uint64) error
}

// RebaseAutoIDs makes the table's allocators go on after ids, and checks that
// they do. They never go back. It alters the table where there is something to
// move, so CheckTableUnchanged belongs before it.
func (c *Cluster) RebaseAutoIDs(ctx context.Context, db, table string, ids AutoIDs) error {
	if ids == (AutoIDs{}) {
		return nil
	}
	name := quoteTable(db, table)
	info, err := c.loadTable(ctx, db, table)
	if err != nil {
		return err
	}
	next, err := c.nextIDs(ctx, name)
	if err != nil {
		return err
	}
	steps := []idStep{
		{allocRowID, uint64(max(ids.RowID, 0)), func(ctx context.Context, name string, used uint64) error { return c.rebaseRowID(ctx, name, info, used) }},
		{allocAutoIncrement, ids.AutoIncrement, c.rebaseAutoIncrement},
		{allocAutoRandom, uint64(max(ids.AutoRandom, 0)), c.rebaseAutoRandom},
	}
	if !info.SepAutoInc() {
		both := max(uint64(max(ids.RowID, 0)), ids.AutoIncrement)
		steps = []idStep{{allocRowID, both, c.rebaseAutoIncrement}, steps[2]}
	}
	for _, s := range steps {
		at, exists := next[s.alloc]
		if s.used == 0 || !exists || at > s.used {
			continue
		}
		if err := s.rebase(ctx, name, s.used); err != nil {
			return failed(err, "set %s of table %s to go on after %d", s.alloc, name, s.used)
		}
		if next, err = c.nextIDs(ctx, name); err != nil {
			return err
		}
		if next[s.alloc] <= s.used && s.used < math.MaxInt64 {
			return fault.New(fault.Cluster, 0, "%s of table %s stayed at %d although %d is in use",
				s.alloc, name, next[s.alloc], s.used)
		}
	}
	return nil
}

// UsedIDs returns what makes RebaseAutoIDs bring a new table's allocators to
// where the allocators of this one are now.
func (c *Cluster) UsedIDs(ctx context.Context, db, table string) (AutoIDs, error) {
	next, err := c.nextIDs(ctx, quoteTable(db, table))
	if err != nil {
		return AutoIDs{}, err
	}
	used := func(alloc string) uint64 { return max(next[alloc], 1) - 1 }
	return AutoIDs{
		RowID:         int64(min(used(allocRowID), math.MaxInt64)),
		AutoIncrement: used(allocAutoIncrement),
		AutoRandom:    int64(min(used(allocAutoRandom), math.MaxInt64)),
	}, nil
}

// nextIDs returns the next id that each allocator of the table will give out.
func (c *Cluster) nextIDs(ctx context.Context, name string) (map[string]uint64, error) {
	res, err := c.Query(ctx, "SHOW TABLE "+name+" NEXT_ROW_ID")
	if err != nil {
		return nil, failed(err, "read the next ids of table %s", name)
	}
	next := make(map[string]uint64, res.RowNumber())
	for i := range res.RowNumber() {
		kind, err := res.GetStringByName(i, "ID_TYPE")
		if err != nil {
			return nil, failed(err, "read the next ids of table %s", name)
		}
		// An unsigned id beyond the signed range arrives as a negative number.
		id, err := res.GetIntByName(i, "NEXT_GLOBAL_ROW_ID")
		if err != nil {
			return nil, failed(err, "read the next ids of table %s", name)
		}
		next[kind] = uint64(id)
	}
	return next, nil
}

func (c *Cluster) rebaseAutoIncrement(ctx context.Context, name string, used uint64) error {
	_, err := c.Query(ctx, fmt.Sprintf("ALTER TABLE %s AUTO_INCREMENT = %d", name, after(used)))
	return err
}

// rebaseRowID moves the allocator of row IDs where it is not the one of
// AUTO_INCREMENT. Only a row with an explicit _tidb_rowid does that, and it
// does when the row is made up, not when it is committed. It has a small value for the AUTO_INCREMENT column, which would get the next one.
func (c *Cluster) rebaseRowID(ctx context.Context, name string, info *model.TableInfo, used uint64) error {
	columns, values := "_tidb_rowid", strconv.FormatUint(used, 10)
	if auto := info.GetAutoIncrementColInfo(); auto != nil {
		columns, values = columns+", "+sqlconn.QuoteName(auto.Name.O), values+", 1"
	}
	return c.sql.Use(ctx, func(s *sqlconn.Session) error {
		s.Discard()
		if _, err := s.Exec("SET SESSION sql_mode = '', foreign_key_checks = 0, tidb_opt_write_row_id = 1"); err != nil {
			return err
		}
		if err := s.Begin("BEGIN OPTIMISTIC"); err != nil { // which does not look for duplicates before the end
			return err
		}
		_, err := s.Exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", name, columns, values))
		if sqlconn.Code(err) == codeNoPartition {
			err = nil // the row fits none, but it was made up
		}
		if undone := s.Rollback(); err == nil {
			err = undone
		}
		return err
	})
}

// rebaseAutoRandom moves the counter. It can't be set beyond its bits: when
// the last id is in use, it is set to that one.
func (c *Cluster) rebaseAutoRandom(ctx context.Context, name string, used uint64) error {
	alter := func(to uint64) (*mysql.Result, error) {
		return c.Query(ctx, fmt.Sprintf("ALTER TABLE %s AUTO_RANDOM_BASE = %d", name, to))
	}
	const codeInvalidAutoRandom = 8216
	_, err := alter(after(used))
	if sqlconn.Code(err) == codeInvalidAutoRandom {
		_, err = alter(used)
	}
	return err
}

// after returns the id after used. At the ends of the signed and the unsigned
// range there is none, and the allocator is left to fail there by itself.
func after(used uint64) uint64 {
	if used == math.MaxInt64 || used == math.MaxUint64 {
		return used
	}
	return used + 1
}

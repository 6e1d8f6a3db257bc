package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// codeNoSuchTable is MySQL's ER_NO_SUCH_TABLE.
const codeNoSuchTable = 1146

const (
	schemaTries = 10
	schemaWait  = 300 * time.Millisecond
)

// LoadTable returns the table's schema as TiDB holds it, with the ids of
// columns and indexes, and whether the cluster compares strings by the new
// collations, which decides how they are encoded. Columns and indexes in the
// middle of a change are part of it: State tells. A table that does not exist
// or must not be read is TiDB's own error, with its code (1146, 1049, 1142);
// a view is returned as one (IsView). The caller owns the result.
func (c *Cluster) LoadTable(ctx context.Context, db, table string) (info *model.TableInfo, newCollation bool, err error) {
	newCollation, err = c.newCollation(ctx)
	if err != nil {
		return nil, false, err
	}
	info, err = c.loadTable(ctx, db, table)
	return info, newCollation, err
}

// What Cluster.collations holds.
const (
	collationsOld = 1
	collationsNew = 2
)

// newCollation tells which collations the cluster uses. That is decided when a cluster is made, and never changes.
func (c *Cluster) newCollation(ctx context.Context) (bool, error) {
	if known := c.collations.Load(); known != 0 {
		return known == collationsNew, nil
	}
	values, err := c.queryStrings(ctx,
		"SELECT VARIABLE_VALUE FROM mysql.tidb WHERE VARIABLE_NAME = 'new_collation_enabled'")
	if err != nil {
		return false, failed(err, "ask which collations the cluster uses")
	}
	if len(values) == 1 && values[0] == "True" {
		c.collations.Store(collationsNew)
		return true, nil
	}
	c.collations.Store(collationsOld)
	return false, nil
}

// loadTable finds the table's id by SQL, which knows all names, and reads the
// schema by that id from the status port.
func (c *Cluster) loadTable(ctx context.Context, db, table string) (*model.TableInfo, error) {
	if _, err := c.Query(ctx, "SELECT 1 FROM "+quoteTable(db, table)+" LIMIT 0"); err != nil {
		return nil, tableError(err, "read table %s", quoteTable(db, table))
	}
	id, err := c.tableID(ctx, db, table)
	if err != nil {
		return nil, err
	}
	info := &model.TableInfo{}
	// Another server than the one that made the table may answer, and know it a
	// moment later.
	for try := 1; ; try++ {
		err = c.tidbStatus(ctx, fmt.Sprintf("/schema?table_id=%s", id), info)
		var answered *statusError
		unknown := errors.As(err, &answered) && answered.Code == http.StatusBadRequest
		if err == nil || !unknown || try == schemaTries {
			break
		}
		if err := pause(ctx, schemaWait); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, failed(err, "read the schema of table %s", quoteTable(db, table))
	}
	if fmt.Sprint(info.ID) != id {
		return nil, fault.New(fault.Cluster, 0, "TiDB returned the schema of table %d instead of %s", info.ID, id)
	}
	return info, nil
}

func (c *Cluster) tableID(ctx context.Context, db, table string) (string, error) {
	// The second form costs a look at all tables and is for servers that
	// compare names by their case.
	for _, where := range []string{
		"TABLE_SCHEMA = ? AND TABLE_NAME = ?",
		"LOWER(TABLE_SCHEMA) = LOWER(?) AND LOWER(TABLE_NAME) = LOWER(?)",
	} {
		ids, err := c.queryStrings(ctx,
			"SELECT TIDB_TABLE_ID FROM information_schema.TABLES WHERE "+where, db, table)
		if err != nil {
			return "", failed(err, "find the id of table %s", quoteTable(db, table))
		}
		if len(ids) == 1 {
			return ids[0], nil
		}
	}
	return "", fault.New(fault.User, codeNoSuchTable, "Table '%s.%s' doesn't exist", db, table)
}

// tableError is failed for a statement whose failure is the user's to mend
// when the server says that the table is not there or not open to it.
func tableError(err error, doing string, args ...any) error {
	const (
		badDB, dbDenied, tableDenied = 1049, 1044, 1142
	)
	switch code := sqlconn.Code(err); code {
	case codeNoSuchTable, badDB, dbDenied, tableDenied:
		return fault.Wrap(err, fault.User, code, "cannot %s", fmt.Sprintf(doing, args...))
	}
	return failed(err, doing, args...)
}

// TableIsEmpty reports whether the table has neither records nor entries in
// any of the named indexes. Index entries come before records in key order, so
// an import that broke off may have left entries whose records are missing:
// TiDB shows no row of such a table as long as it reads the records. With
// partitions only those are looked at.
func (c *Cluster) TableIsEmpty(ctx context.Context, db, table string, partitions, indexes []string) (bool, error) {
	statements := []string{
		"SET SESSION tidb_opt_use_invisible_indexes = ON",
		// Indexes over all partitions can't be read in the other mode.
		"SET SESSION tidb_partition_prune_mode = 'dynamic'",
	}
	from := quoteTable(db, table)
	if len(partitions) > 0 {
		from += " PARTITION (" + partitionList(partitions) + ")"
	}
	for _, hint := range append([]string{"USE INDEX ()"}, forceIndexes(indexes)...) {
		statements = append(statements, "SELECT 1 FROM "+from+" "+hint+" LIMIT 1")
	}
	empty := true
	err := c.sql.Use(ctx, func(s *sqlconn.Session) error {
		s.Discard() // has a setting of its own
		for _, sql := range statements {
			res, err := s.Exec(sql)
			if err != nil {
				return err
			}
			if res.Resultset != nil && res.RowNumber() > 0 {
				empty = false
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return false, tableError(err, "read table %s", quoteTable(db, table))
	}
	return empty, nil
}

func forceIndexes(names []string) []string {
	hints := make([]string, 0, len(names))
	for _, name := range names {
		hints = append(hints, "FORCE INDEX ("+sqlconn.QuoteName(name)+")")
	}
	return hints
}

// CheckTableUnchanged returns an error unless the table is still the one that
// LoadTable returned as was: same id (TRUNCATE and DROP give a new one) and
// same columns, indexes and partitions. A change that does not matter to
// stored rows, such as of a comment or of auto IDs, is none. It is asked
// before the ingest and after it, because nothing else keeps DDL away.
func (c *Cluster) CheckTableUnchanged(ctx context.Context, db, table string, was *model.TableInfo) error {
	now, err := c.loadTable(ctx, db, table)
	if err != nil {
		return err
	}
	return unchanged(db, table, was, now)
}

// difference names what differs between two states of a table and matters to
// the form of its rows, or returns "".
func difference(was, now *model.TableInfo) string {
	if was.ID != now.ID {
		return "ids"
	}
	if was.UpdateTS == now.UpdateTS && was.Revision == now.Revision {
		return ""
	}
	parts := Structure(now)
	for i, part := range Structure(was) {
		a, errA := json.Marshal(part.Value)
		b, errB := json.Marshal(parts[i].Value)
		if errA != nil || errB != nil || string(a) != string(b) {
			return part.Name
		}
	}
	return ""
}

// Part is one part of a table's structure.
type Part struct {
	Name  string
	Value any // has a form in JSON
}

// Structure returns the parts of a table's structure that matter to the form of its rows.
func Structure(t *model.TableInfo) []Part {
	return []Part{
		{"columns", t.Columns},
		{"indexes", t.Indices},
		{"partitions", t.Partition},
		{"check constraints", t.Constraints},
		{"foreign keys", t.ForeignKeys},
		{"caching", t.TableCacheStatusType},
		{"primary keys", [2]bool{t.PKIsHandle, t.IsCommonHandle}},
		{"row id bits", [3]uint64{t.ShardRowIDBits, t.AutoRandomBits, t.AutoRandomRangeBits}},
		{"states", t.State},
	}
}

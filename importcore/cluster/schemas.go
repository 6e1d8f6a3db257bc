package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/fault"
)

// TableName names a table. Case makes no difference.
type TableName struct{ DB, Table string }

func (n TableName) lower() TableName {
	return TableName{strings.ToLower(n.DB), strings.ToLower(n.Table)}
}

const (
	// namesAtOnce bounds how many names one statement has, and idsAtOnce how many schemas one answer of a status port.
	namesAtOnce = 500
	idsAtOnce   = 100
	// loaders is how many tables are loaded at a time one by one.
	loaders = 6
)

// LoadTables is LoadTable for many tables, with few questions, for those that the service account has made itself: it doesn't look whether
// it may read them. The schemas are in the order of the names; a table that does not exist is the same error as there.
func (c *Cluster) LoadTables(ctx context.Context, names []TableName) (infos []*model.TableInfo, newCollation bool, err error) {
	if newCollation, err = c.newCollation(ctx); err != nil {
		return nil, false, err
	}
	ids, err := c.TableIDs(ctx, names)
	if err != nil {
		return nil, false, err
	}
	var known []int64
	for _, name := range names {
		if id, ok := ids[name.lower()]; ok {
			known = append(known, id)
		}
	}
	schemas := make(map[int64]*model.TableInfo, len(known))
	for chunk := range slices.Chunk(known, idsAtOnce) {
		if err := c.schemasByID(ctx, chunk, schemas); err != nil {
			return nil, false, err
		}
	}
	infos = make([]*model.TableInfo, len(names))
	// What is missing is looked for again, each on its own: another server than the one that made the table may have answered.
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loaders)
	for i, name := range names {
		id, ok := ids[name.lower()]
		if infos[i] = schemas[id]; ok && infos[i] != nil {
			continue
		}
		group.Go(func() (err error) {
			infos[i], err = c.loadTable(ctx, name.DB, name.Table)
			return err
		})
	}
	return infos, newCollation, group.Wait()
}

// TableIDs returns the ids that those of the tables have now which are there, by their names in lower case.
func (c *Cluster) TableIDs(ctx context.Context, names []TableName) (map[TableName]int64, error) {
	byDB := map[string][]string{}
	for _, n := range names {
		byDB[n.DB] = append(byDB[n.DB], n.Table)
	}
	ids := make(map[TableName]int64, len(names))
	for db, tables := range byDB {
		for chunk := range slices.Chunk(tables, namesAtOnce) {
			if err := c.idsIn(ctx, db, chunk, ids); err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

// idsIn adds the ids of tables of one database.
func (c *Cluster) idsIn(ctx context.Context, db string, tables []string, ids map[TableName]int64) error {
	args := []any{db}
	for _, t := range tables {
		args = append(args, t)
	}
	// TiDB looks up names of this form, whatever their case, without a look at all tables.
	res, err := c.Query(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, TIDB_TABLE_ID FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME IN (?"+
		strings.Repeat(", ?", len(tables)-1)+")", args...)
	if err != nil {
		return failed(err, "find the ids of tables")
	}
	defer res.Close()
	for i := range res.RowNumber() {
		schema, err1 := res.GetString(i, 0)
		name, err2 := res.GetString(i, 1)
		id, err3 := res.GetInt(i, 2)
		if err := errors.Join(err1, err2, err3); err != nil {
			return failed(err, "find the ids of tables")
		}
		ids[TableName{strings.ToLower(strings.Clone(schema)), strings.ToLower(strings.Clone(name))}] = id // the driver reuses its buffers
	}
	return nil
}

// schemasByID adds the schemas that one TiDB server knows for ids. Releases that have no such question, before v7.5 or so, answer something else
// or refuse it, and nothing is added.
func (c *Cluster) schemasByID(ctx context.Context, ids []int64, to map[int64]*model.TableInfo) error {
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = strconv.FormatInt(id, 10)
	}
	var answer json.RawMessage
	err := c.tidbStatus(ctx, "/schema?table_ids="+strings.Join(text, ","), &answer)
	if refused := (*statusError)(nil); errors.As(err, &refused) {
		return nil
	}
	if err != nil {
		return failed(err, "read the schemas of %d tables", len(ids))
	}
	var found map[int64]*model.TableInfo
	if json.Unmarshal(answer, &found) != nil {
		return nil // a list of databases, from a server that doesn't know the question
	}
	for id, info := range found {
		if info == nil || info.ID != id {
			return fault.New(fault.Cluster, 0, "TiDB returned another table's schema for the one of table %d", id)
		}
		to[id] = info
	}
	return nil
}

// CheckTablesUnchanged is CheckTableUnchanged for tables that LoadTables has returned.
func (c *Cluster) CheckTablesUnchanged(ctx context.Context, names []TableName, was []*model.TableInfo) error {
	now, _, err := c.LoadTables(ctx, names)
	if err != nil {
		return err
	}
	for i, info := range now {
		if err := unchanged(names[i].DB, names[i].Table, was[i], info); err != nil {
			return err
		}
	}
	return nil
}

// unchanged is the error of a table that differs from what it was.
func unchanged(db, table string, was, now *model.TableInfo) error {
	if what := difference(was, now); what != "" {
		return fault.New(fault.User, 0, "table %s was changed while it was being imported into: its %s differ", quoteTable(db, table), what)
	}
	return nil
}

package cluster

import (
	"context"
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// codeNoReferencedRow is MySQL's ER_NO_REFERENCED_ROW_2.
const codeNoReferencedRow = 1452

// CheckForeignKey looks for a row of the table that a foreign key doesn't
// allow: none of its columns is NULL, and the parent has no such row. The error
// for one is TiDB's 1452 with the row's values. Parent and child are read at one
// moment; rows that others take from the parent later are TiDB's to refuse.
func (c *Cluster) CheckForeignKey(ctx context.Context, db, table string, fk *model.FKInfo) error {
	parent := quoteTable(fk.RefSchema.O, fk.RefTable.O)
	var columns, joined, present []string
	for i := range fk.Cols {
		child := "c." + sqlconn.QuoteName(fk.Cols[i].O)
		columns = append(columns, child)
		joined = append(joined, child+" = p."+sqlconn.QuoteName(fk.RefCols[i].O))
		present = append(present, child+" IS NOT NULL")
	}
	missing := "p." + sqlconn.QuoteName(fk.RefCols[0].O) + " IS NULL"
	sql := fmt.Sprintf("SELECT %s FROM %s AS c LEFT JOIN %s AS p ON %s WHERE %s AND %s LIMIT 1",
		strings.Join(columns, ", "), quoteTable(db, table), parent,
		strings.Join(joined, " AND "), strings.Join(present, " AND "), missing)
	res, err := c.Query(ctx, sql)
	if err != nil {
		return tableError(err, "check foreign key %s of table %s", fk.Name.O, quoteTable(db, table))
	}
	defer res.Close()
	if res.RowNumber() == 0 {
		return nil
	}
	var values []string
	for i := range columns {
		v, err := res.GetString(0, i)
		if err != nil {
			return failed(err, "check foreign key %s of table %s", fk.Name.O, quoteTable(db, table))
		}
		values = append(values, fault.ShortValue([]byte(v)))
	}
	return fault.New(fault.Source, codeNoReferencedRow,
		"Cannot add or update a child row: a foreign key constraint fails (%s, CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s)): "+
			"the parent has no row for (%s)", quoteTable(db, table), sqlconn.QuoteName(fk.Name.O), quoteNames(fk.Cols), parent,
		quoteNames(fk.RefCols), strings.Join(values, ", "))
}

func quoteNames(names []pmodel.CIStr) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = sqlconn.QuoteName(n.O)
	}
	return strings.Join(quoted, ", ")
}

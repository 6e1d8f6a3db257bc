package logical

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// codeNoParent is MySQL's ER_NO_REFERENCED_ROW_2.
const codeNoParent = 1452

// CheckForeignKeys looks for a row of a table whose parent is missing, which an import with IgnoreForeignKeys may leave. It is an
// error of the source with the foreign key and the values.
func (t *Target) CheckForeignKeys(ctx context.Context, table *Table) error {
	return t.patiently(ctx, func() error {
		return t.pool.Use(ctx, func(s *sqlconn.Session) error { return checkForeignKeys(s, table) })
	})
}

// foreignKey is one of a table's.
type foreignKey struct {
	name, parent     string // parent is quoted
	columns, parents []string
}

func checkForeignKeys(s *sqlconn.Session, table *Table) error {
	res, err := s.Exec("SELECT constraint_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name " +
		"FROM information_schema.key_column_usage WHERE table_schema = " + quote(table.DB) + " AND table_name = " + quote(table.Name) +
		" AND referenced_table_name IS NOT NULL ORDER BY constraint_name, ordinal_position")
	if err != nil {
		return err
	}
	var keys []*foreignKey
	for i := range res.RowNumber() {
		var name, column, db, parent, parentColumn string
		if err := scan(res, i, &name, &column, &db, &parent, &parentColumn); err != nil {
			return err
		}
		if len(keys) == 0 || keys[len(keys)-1].name != name {
			keys = append(keys, &foreignKey{name: name, parent: quoteTable(db, parent)})
		}
		k := keys[len(keys)-1]
		k.columns, k.parents = append(k.columns, sqlconn.QuoteName(column)), append(k.parents, sqlconn.QuoteName(parentColumn))
	}
	for _, k := range keys {
		if err := k.check(s, table); err != nil {
			return err
		}
	}
	return nil
}

// check looks for a child without a parent. A NULL in a key needs none.
func (k *foreignKey) check(s *sqlconn.Session, table *Table) error {
	var on, given, shown []string
	for i, c := range k.columns {
		on = append(on, "c."+c+" = p."+k.parents[i])
		given = append(given, "c."+c+" IS NOT NULL")
		shown = append(shown, "c."+c)
	}
	res, err := s.Exec(fmt.Sprintf("SELECT %s FROM %s c LEFT JOIN %s p ON %s WHERE %s AND p.%s IS NULL LIMIT 1", strings.Join(shown, ", "),
		table, k.parent, strings.Join(on, " AND "), strings.Join(given, " AND "), k.parents[0]))
	if err != nil || res.RowNumber() == 0 {
		return err
	}
	var values []string
	for i := range k.columns {
		v, err := res.GetString(0, i)
		if err != nil {
			return err
		}
		values = append(values, fault.ShortValue([]byte(v)))
	}
	return fault.New(fault.Source, codeNoParent, "the foreign key %s of table %s fails: %s has no row for (%s) = (%s)", sqlconn.QuoteName(k.name), table, k.parent,
		strings.Join(k.columns, ", "), strings.Join(values, ", "))
}

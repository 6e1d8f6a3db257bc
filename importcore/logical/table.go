package logical

import (
	"context"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Table is a table as the server describes it. It is immutable.
type Table struct {
	// DB and Name are as the server spells them.
	DB, Name string
	// Unique tells whether there is a primary key or unique index.
	Unique bool
	// Triggers are the names of triggers that INSERT and REPLACE run.
	Triggers []string

	columns []*column // in the table's order
}

// column is one column of a table.
type column struct {
	name      string
	kind      string // column_type
	charset   string // "" without
	class     class
	text      bool // in a character set
	always    bool // generated: takes no values
	invisible bool
}

// Columns returns the names of the columns that an INSERT without a list gives values to: not the generated and not the invisible ones.
func (t *Table) Columns() []string {
	var names []string
	for _, c := range t.columns {
		if !c.always && !c.invisible {
			names = append(names, c.name)
		}
	}
	return names
}

// ColumnType is what a column holds, in the server's words.
type ColumnType struct {
	// Name, Type and Charset are column_name, column_type and character_set_name of information_schema.columns; Charset is "" if there is none.
	Name, Type, Charset string
}

// Types returns all columns in the table's order.
func (t *Table) Types() []ColumnType {
	out := make([]ColumnType, len(t.columns))
	for i, c := range t.columns {
		out[i] = ColumnType{Name: c.name, Type: c.kind, Charset: c.charset}
	}
	return out
}

// Layout returns where fields go that no list assigns: to the visible columns in their order. As in TiDB's IMPORT INTO, generated columns have
// a field too, which is dropped; at the table's end it may be missing.
func (t *Table) Layout() *Layout {
	l := &Layout{}
	for _, c := range t.columns {
		if c.invisible {
			continue
		}
		l.Columns = append(l.Columns, c.name)
		if l.Optional++; !c.always {
			l.Optional = 0
		}
	}
	return l
}

// String returns the table's quoted name.
func (t *Table) String() string { return quoteTable(t.DB, t.Name) }

func (t *Table) find(name string) *column {
	for _, c := range t.columns {
		if strings.EqualFold(c.name, name) {
			return c
		}
	}
	return nil
}

// binaryTypes are those of information_schema.columns.data_type whose values are bytes. JSON isn't one: it takes no binary strings.
var binaryTypes = map[string]bool{
	"binary": true, "varbinary": true, "tinyblob": true, "blob": true, "mediumblob": true, "longblob": true, "bit": true,
	"geometry": true, "point": true, "linestring": true, "polygon": true, "multipoint": true, "multilinestring": true,
	"multipolygon": true, "geometrycollection": true, "geomcollection": true,
}

// Table reads a table's description from information_schema. It is an error of the user's if there is no such table (1146), if it
// is a view or something else that isn't a table (1347), or if its engine has no transactions.
func (t *Target) Table(ctx context.Context, db, name string) (*Table, error) {
	var table *Table
	err := t.pool.Use(ctx, func(s *sqlconn.Session) (err error) {
		table, err = t.describe(s, db, name)
		return err
	})
	if err != nil && fault.As(err) == nil {
		err = fault.Wrap(err, fault.Cluster, sqlconn.Code(err), "read the description of table %s", quoteTable(db, name))
	}
	return table, err
}

func (t *Target) describe(s *sqlconn.Session, db, name string) (*Table, error) {
	where := " WHERE table_schema = " + quote(db) + " AND table_name = " + quote(name)
	res, err := s.Exec("SELECT table_schema, table_name, table_type, COALESCE(engine, '') FROM information_schema.tables" + where)
	if err != nil {
		return nil, err
	}
	if res.RowNumber() == 0 {
		return nil, fault.New(fault.User, mysql.ER_NO_SUCH_TABLE, "Table '%s.%s' doesn't exist", db, name)
	}
	table := &Table{}
	var kind, engine string
	if err := scan(res, 0, &table.DB, &table.Name, &kind, &engine); err != nil {
		return nil, err
	}
	if kind != "BASE TABLE" && kind != "SYSTEM VERSIONED" {
		return nil, fault.New(fault.User, mysql.ER_WRONG_OBJECT, "'%s.%s' is not BASE TABLE", db, name)
	}
	for _, read := range []func() error{
		func() error { return t.checkEngine(s, table, engine) },
		func() error { return table.readColumns(s, where) },
		func() error { return table.readKeys(s, where) },
		func() error { return table.readTriggers(s) },
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return table, nil
}

// checkEngine refuses engines whose statements can't be rolled back: nothing could be promised of a batch there.
func (t *Target) checkEngine(s *sqlconn.Session, table *Table, engine string) error {
	if t.kind == TiDB {
		return nil
	}
	res, err := s.Exec("SELECT COALESCE(transactions, '') FROM information_schema.engines WHERE engine = " + quote(engine))
	if err != nil {
		return err
	}
	var yes string
	if res.RowNumber() > 0 {
		if err := scan(res, 0, &yes); err != nil {
			return err
		}
	}
	if !strings.EqualFold(yes, "YES") {
		return fault.New(fault.User, mysql.ER_ILLEGAL_HA,
			"table %s has the engine %s, which has no transactions: rows could be lost or doubled there; an import needs InnoDB or another engine with transactions",
			table, engine)
	}
	return nil
}

func (t *Table) readColumns(s *sqlconn.Session, where string) error {
	res, err := s.Exec("SELECT column_name, LOWER(data_type), COALESCE(character_set_name, ''), LOWER(extra), column_type " +
		"FROM information_schema.columns" + where + " ORDER BY ordinal_position")
	if err != nil {
		return err
	}
	for i := range res.RowNumber() {
		var name, kind, charset, extra, whole string
		if err := scan(res, i, &name, &kind, &charset, &extra, &whole); err != nil {
			return err
		}
		c := &column{name: name, kind: whole, charset: charset, text: charset != "" && charset != "binary"}
		if binaryTypes[kind] {
			c.class = classBinary
		}
		// "DEFAULT_GENERATED" stands for a default that is an expression. MariaDB's row start and end columns have "STORED GENERATED".
		c.always = strings.Contains(strings.ReplaceAll(extra, "default_generated", ""), "generated")
		c.invisible = strings.Contains(extra, "invisible")
		t.columns = append(t.columns, c)
	}
	return nil
}

func (t *Table) readKeys(s *sqlconn.Session, where string) error {
	res, err := s.Exec("SELECT COUNT(*) FROM information_schema.statistics" + where + " AND non_unique = 0")
	if err != nil {
		return err
	}
	n, err := res.GetInt(0, 0)
	t.Unique = n > 0
	return err
}

func (t *Table) readTriggers(s *sqlconn.Session) error {
	res, err := s.Exec("SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = " + quote(t.DB) +
		" AND event_object_table = " + quote(t.Name) + " ORDER BY trigger_name")
	if err != nil {
		return err
	}
	for i := range res.RowNumber() {
		name, err := res.GetString(i, 0)
		if err != nil {
			return err
		}
		t.Triggers = append(t.Triggers, name)
	}
	return nil
}

// scan reads the first columns of a row of a result.
func scan(res *mysql.Result, row int, into ...*string) error {
	for i, to := range into {
		s, err := res.GetString(row, i)
		if err != nil {
			return err
		}
		*to = s
	}
	return nil
}

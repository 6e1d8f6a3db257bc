package schema

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/model"
)

// Database returns the statement that makes the database of a schema file under another name.
func Database(f *File, to string) (sql string, err error) {
	nodes, err := f.statements()
	if err != nil {
		return "", err
	}
	for _, node := range nodes {
		if create, ok := node.(*ast.CreateDatabaseStmt); ok {
			create.Name, create.IfNotExists = model.NewCIStr(to), true
			return f.text(create, 0)
		}
		if !harmless(node) {
			return "", f.bad("it holds, beside CREATE DATABASE, a statement that is not restored: %s", short(node.Text()))
		}
	}
	return "", f.bad("it holds no CREATE DATABASE")
}

// PlainDatabase returns the statement that makes a database of which a dump doesn't say how.
func PlainDatabase(to string) string {
	return "CREATE DATABASE IF NOT EXISTS `" + strings.ReplaceAll(to, "`", "``") + "`"
}

// Table is a table of a dump.
type Table struct {
	// SQL makes it in the target; it fails if the table is there.
	SQL string
	// Later are ALTER TABLEs that complete it, in order; what they change is empty. Dumps have none.
	Later []string
	// TTL tells that it has a TTL, which SQL leaves switched off.
	TTL bool
	// ForeignKeys tells that it has some.
	ForeignKeys bool
	// Checks tells that it has CHECK constraints, enforced or not.
	Checks bool
	// Indexes is how many indexes it has; a primary key counts as the key of its rows.
	Indexes int
	// Columns are its columns as the dump defines them, in order.
	Columns []*ast.ColumnDef

	charset string // of columns that don't name theirs; "" if the dump doesn't say
}

// ReadTable reads the schema file of a table. The file's name, and not the text inside, says which table that is: from.
// Names that the text has without a database are those of from's.
func ReadTable(f *File, from Object, names Names) (*Table, error) {
	create, err := only[*ast.CreateTableStmt](f, "CREATE TABLE", nil)
	if err != nil {
		return nil, err
	}
	switch {
	case create.ReferTable != nil:
		return nil, f.bad("CREATE TABLE ... LIKE depends on another table")
	case create.Select != nil:
		return nil, f.bad("CREATE TABLE ... SELECT depends on other tables")
	case create.TemporaryKeyword != ast.TemporaryNone:
		return nil, f.bad("a temporary table takes no rows of an import")
	}
	own := called(create.Table, from)
	create.IfNotExists = false
	t := &Table{Columns: create.Cols, charset: defaultCharset(create.Options)}
	for _, o := range create.Options {
		t.TTL = t.TTL || o.Tp == ast.TableOptionTTL
	}
	t.ForeignKeys, t.Checks = hasForeignKeys(create), hasChecks(create)
	t.Indexes = countIndexes(create)
	rename(create, own.DB, names.of(own, from))
	t.SQL, err = f.text(create, format.RestoreWithTTLEnableOff)
	return t, err
}

// ReadAlter returns an ALTER TABLE for the target; its text may call the table by any name.
func ReadAlter(f *File, from Object, names Names) (sql string, err error) {
	alter, err := only[*ast.AlterTableStmt](f, "ALTER TABLE", nil)
	if err != nil {
		return "", err
	}
	own := called(alter.Table, from)
	rename(alter, own.DB, names.of(own, from))
	return f.text(alter, format.RestoreWithTTLEnableOff)
}

func countIndexes(create *ast.CreateTableStmt) (n int) {
	for _, c := range create.Constraints {
		switch c.Tp {
		case ast.ConstraintKey, ast.ConstraintIndex, ast.ConstraintUniq, ast.ConstraintUniqKey, ast.ConstraintUniqIndex:
			n++
		}
	}
	for _, col := range create.Cols {
		if slices.ContainsFunc(col.Options, func(o *ast.ColumnOption) bool { return o.Tp == ast.ColumnOptionUniqKey }) {
			n++
		}
	}
	return n
}

func hasForeignKeys(create *ast.CreateTableStmt) bool {
	return slices.ContainsFunc(create.Constraints, func(c *ast.Constraint) bool { return c.Tp == ast.ConstraintForeignKey }) ||
		slices.ContainsFunc(create.Cols, func(c *ast.ColumnDef) bool {
			return slices.ContainsFunc(c.Options, func(o *ast.ColumnOption) bool { return o.Tp == ast.ColumnOptionReference })
		})
}

func hasChecks(create *ast.CreateTableStmt) bool {
	return slices.ContainsFunc(create.Constraints, func(c *ast.Constraint) bool { return c.Tp == ast.ConstraintCheck }) ||
		slices.ContainsFunc(create.Cols, func(c *ast.ColumnDef) bool {
			return slices.ContainsFunc(c.Options, func(o *ast.ColumnOption) bool { return o.Tp == ast.ColumnOptionCheck })
		})
}

// called is what the text calls the object of a file.
func called(name *ast.TableName, from Object) Object {
	own := Object{from.DB, name.Name.O}
	if name.Schema.O != "" {
		own.DB = name.Schema.O
	}
	return own
}

// of takes the object that the text calls own for the one that the file's name says.
func (n Names) of(own, from Object) Names {
	return func(o Object) Object {
		if strings.EqualFold(o.DB, own.DB) && strings.EqualFold(o.Name, own.Name) {
			o = from
		}
		return n(o)
	}
}

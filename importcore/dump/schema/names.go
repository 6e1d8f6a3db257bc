package schema

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/model"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// Object names a table, view or sequence.
type Object struct{ DB, Name string }

// Names returns the target of an object of the source; an object that isn't restored is its own.
type Names func(Object) Object

// renamer replaces the names of objects in a statement.
type renamer struct {
	db    string // of the source: that of names without one
	names Names
	// local are names that stand for parts of the statement itself.
	local map[string]bool
}

// rename puts the target's names into a statement of a source's database.
func rename(node ast.Node, db string, names Names) {
	c := &collector{local: map[string]bool{}}
	node.Accept(c)
	node.Accept(&renamer{db: db, names: names, local: c.local})
}

// collector finds the names of common table expressions.
type collector struct{ local map[string]bool }

// Enter implements ast.Visitor.
func (c *collector) Enter(n ast.Node) (ast.Node, bool) {
	if with, ok := n.(*ast.WithClause); ok {
		for _, cte := range with.CTEs {
			c.local[cte.Name.L] = true
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (c *collector) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// Enter implements ast.Visitor.
func (r *renamer) Enter(n ast.Node) (ast.Node, bool) {
	// A table of a query that has another name in the target keeps its own as its alias: columns go by it.
	if src, ok := n.(*ast.TableSource); ok && src.AsName.O == "" {
		if t, ok := src.Source.(*ast.TableName); ok && !r.isLocal(t) {
			from := r.source(t)
			if to := r.names(from); to.Name != from.Name {
				src.AsName = t.Name
			}
		}
	}
	return n, false
}

// Leave implements ast.Visitor.
func (r *renamer) Leave(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.TableName:
		if !r.isLocal(n) {
			to := r.names(r.source(n))
			n.Schema, n.Name = model.NewCIStr(to.DB), model.NewCIStr(to.Name)
		}
	case *ast.ColumnName:
		r.column(n)
	case *ast.SelectField:
		if w := n.WildCard; w != nil && w.Schema.O != "" {
			w.Schema, w.Table = r.qualifier(w.Schema, w.Table)
		}
	}
	return n, true
}

func (r *renamer) column(c *ast.ColumnName) {
	if c.Schema.O != "" {
		c.Schema, c.Table = r.qualifier(c.Schema, c.Table)
	}
}

// qualifier is what a column's name is qualified with in the target.
func (r *renamer) qualifier(db, table model.CIStr) (model.CIStr, model.CIStr) {
	to := r.names(Object{db.O, table.O})
	if to.Name != table.O {
		return model.CIStr{}, table // the alias, see Enter
	}
	return model.NewCIStr(to.DB), table
}

func (r *renamer) isLocal(t *ast.TableName) bool { return t.Schema.O == "" && r.local[t.Name.L] }

func (r *renamer) source(t *ast.TableName) Object {
	if t.Schema.O == "" {
		return Object{r.db, t.Name.O}
	}
	return Object{t.Schema.O, t.Name.O}
}

// String returns the name as statements have it.
func (o Object) String() string { return sqlconn.QuoteName(o.DB) + "." + sqlconn.QuoteName(o.Name) }

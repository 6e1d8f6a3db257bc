package schema

import (
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/model"
)

// partitions refuses ways to divide a table that only TiDB, or only TiDB and MariaDB, know.
func (p *porter) partitions(by *ast.PartitionOptions) {
	if by == nil {
		return
	}
	if by.Interval != nil {
		p.refuse("the INTERVAL of its partitions")
	}
	if by.Tp != model.PartitionTypeList || p.to.MariaDB {
		return
	}
	for _, d := range by.Definitions {
		if in, ok := d.Clause.(*ast.PartitionDefinitionClauseIn); ok && holdsDefault(in) {
			p.refuse("the default partition %s", d.Name.O)
		}
	}
}

// holdsDefault tells whether a partition takes what none of the others does.
func holdsDefault(in *ast.PartitionDefinitionClauseIn) bool {
	if len(in.Values) == 0 {
		return true
	}
	return slices.ContainsFunc(in.Values, func(row []ast.ExprNode) bool {
		return slices.ContainsFunc(row, func(e ast.ExprNode) bool {
			_, ok := e.(*ast.DefaultExpr)
			return ok
		})
	})
}

// autoIncrement refuses a column whose numbers InnoDB could not find the last one of: it has to lead an index.
func (p *porter) autoIncrement(create *ast.CreateTableStmt) {
	has := func(c *ast.ColumnDef, kinds ...ast.ColumnOptionType) bool {
		return slices.ContainsFunc(c.Options, func(o *ast.ColumnOption) bool { return slices.Contains(kinds, o.Tp) })
	}
	for _, c := range create.Cols {
		if !has(c, ast.ColumnOptionAutoIncrement) || has(c, ast.ColumnOptionPrimaryKey, ast.ColumnOptionUniqKey) {
			continue
		}
		if !slices.ContainsFunc(create.Constraints, func(k *ast.Constraint) bool { return leadsKey(k, c.Name.Name.L) }) {
			p.refuse("AUTO_INCREMENT of column %s, which no index begins with", c.Name.Name.O)
		}
	}
}

func leadsKey(k *ast.Constraint, column string) bool {
	switch k.Tp {
	case ast.ConstraintPrimaryKey, ast.ConstraintKey, ast.ConstraintIndex, ast.ConstraintUniq, ast.ConstraintUniqKey, ast.ConstraintUniqIndex:
		return len(k.Keys) > 0 && k.Keys[0].Column != nil && k.Keys[0].Column.Name.L == column
	}
	return false
}

// checks leaves out those that aren't enforced, for MariaDB, which enforces all.
func (p *porter) checks(create *ast.CreateTableStmt) {
	create.Constraints = slices.DeleteFunc(create.Constraints, func(c *ast.Constraint) bool {
		idle := c.Tp == ast.ConstraintCheck && !c.Enforced
		if idle {
			p.leave("the CHECK constraint %s, which is not enforced", c.Name)
		}
		return idle
	})
	for _, c := range create.Cols {
		c.Options = slices.DeleteFunc(c.Options, func(o *ast.ColumnOption) bool {
			idle := o.Tp == ast.ColumnOptionCheck && !o.Enforced
			if idle {
				p.leave("a CHECK constraint of column %s, which is not enforced", c.Name.Name.O)
			}
			return idle
		})
	}
}

// dropEnforced removes the word ENFORCED, which MariaDB doesn't know, from behind the constraints of a statement that File.text has written: in it, names are
// in backquotes, and backslashes escape in texts.
func dropEnforced(sql string) string {
	const word = " ENFORCED"
	var out strings.Builder
	quote := byte(0)
	for i := 0; i < len(sql); i++ {
		c := sql[i]
		switch {
		case quote == 0 && strings.HasPrefix(sql[i:], word):
			i += len(word) - 1
			continue
		case quote == 0 && (c == '\'' || c == '`'):
			quote = c
		case quote == '\'' && c == '\\' && i+1 < len(sql):
			out.WriteByte(c)
			i++
			c = sql[i]
		case c == quote:
			quote = 0 // one that is doubled begins another text right away
		}
		out.WriteByte(c)
	}
	return out.String()
}

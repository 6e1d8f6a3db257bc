package schema

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// Server is what is known of a server that isn't TiDB.
type Server struct {
	// Name is how users know it: MariaDB 10.11.
	Name string
	// MariaDB tells it from MySQL.
	MariaDB bool
	// Collations are those that it has, in lower case.
	Collations map[string]bool
}

// Portable is a table's statement for a server that isn't TiDB.
type Portable struct {
	// SQL makes the table there.
	SQL string
	// Refused are the parts that the server can't have, each as a noun phrase: without them rows would be others, or keys missing.
	Refused []string
	// Left are parts that the server goes without: they say how TiDB keeps the rows, not what they are.
	Left []string
}

// ForServer turns the statement of a table, as ReadTable returns it, into one for a server that isn't TiDB. The file names the source in errors.
func (f *File) ForServer(sql string, to Server) (*Portable, error) {
	own := &File{Path: f.Path, Line: f.Line, Text: sql, Mode: RunMode(f.Mode)}
	create, err := only[*ast.CreateTableStmt](own, "CREATE TABLE", nil)
	if err != nil {
		return nil, err
	}
	p := &porter{to: to, out: &Portable{}}
	for _, col := range create.Cols {
		p.column(col)
	}
	for _, c := range create.Constraints {
		p.constraint(c)
	}
	for _, o := range create.Options {
		p.option(o)
	}
	p.partitions(create.Partition)
	p.autoIncrement(create)
	if to.MariaDB {
		p.checks(create)
	}
	// What only TiDB knows goes into comments that only TiDB reads.
	p.out.SQL, err = own.text(create, format.RestoreTiDBSpecialComment)
	if to.MariaDB {
		p.out.SQL = dropEnforced(p.out.SQL)
	}
	return p.out, err
}

// porter looks at the parts of one table.
type porter struct {
	to  Server
	out *Portable
}

func (p *porter) refuse(what string, args ...any) {
	p.out.Refused = append(p.out.Refused, fmt.Sprintf(what, args...))
}

func (p *porter) leave(what string, args ...any) {
	p.out.Left = append(p.out.Left, fmt.Sprintf(what, args...))
}

func (p *porter) column(col *ast.ColumnDef) {
	name := col.Name.Name.O
	if col.Tp.GetType() == mysql.TypeTiDBVectorFloat32 {
		p.refuse("the type VECTOR of column %s", name)
	}
	p.charset(col.Tp.GetCharset(), "column "+name)
	p.collation(col.Tp.GetCollate(), "column "+name)
	for _, o := range col.Options {
		switch o.Tp {
		case ast.ColumnOptionCollate:
			p.collation(o.StrValue, "column "+name)
		case ast.ColumnOptionAutoRandom:
			p.leave("AUTO_RANDOM of column %s", name)
		case ast.ColumnOptionDefaultValue:
			if !p.to.MariaDB && drawsFromSequence(o.Expr) {
				p.refuse("the sequence in the default of column %s", name)
			}
		}
	}
}

func (p *porter) constraint(c *ast.Constraint) {
	if c.Tp == ast.ConstraintVector {
		p.refuse("the vector index %s", c.Name)
		return
	}
	for _, key := range c.Keys {
		switch cast, _ := key.Expr.(*ast.FuncCastExpr); {
		case key.Expr == nil || !p.to.MariaDB:
		case cast != nil && cast.Tp.IsArray():
			p.refuse("the multi-valued index %s", c.Name)
		default:
			p.refuse("the expression in index %s", c.Name)
		}
	}
	if c.Option == nil {
		return
	}
	if c.Option.Global {
		p.refuse("the index %s, which is unique beyond its partitions", c.Name)
	}
	if c.Option.Visibility != ast.IndexVisibilityDefault && p.to.MariaDB {
		if c.Option.Visibility == ast.IndexVisibilityInvisible {
			p.leave("INVISIBLE of index %s", c.Name)
		}
		c.Option.Visibility = ast.IndexVisibilityDefault // MariaDB has other words for it
	}
}

func (p *porter) option(o *ast.TableOption) {
	switch o.Tp {
	case ast.TableOptionCharset:
		p.charset(o.StrValue, "the table")
	case ast.TableOptionCollate:
		p.collation(o.StrValue, "the table")
	case ast.TableOptionTTL:
		p.leave("TTL")
	case ast.TableOptionPlacementPolicy:
		p.leave("the placement policy %s", o.StrValue)
	case ast.TableOptionShardRowID:
		p.leave("SHARD_ROW_ID_BITS")
	}
}

// collation refuses one that the server doesn't know; it would store and compare text in another way.
func (p *porter) collation(name, where string) {
	name = strings.ToLower(name)
	if name != "" && name != charset.CollationBin && !p.to.Collations[name] {
		p.refuse("the collation %s of %s", name, where)
	}
}

// charset refuses a character set without any collation on the server.
func (p *porter) charset(name, where string) {
	name = strings.ToLower(name)
	if name == "" || name == charset.CharsetBin {
		return
	}
	for c := range p.to.Collations {
		if strings.HasPrefix(c, name+"_") {
			return
		}
	}
	p.refuse("the character set %s of %s", name, where)
}

// drawsFromSequence tells whether an expression takes a sequence's next value.
func drawsFromSequence(e ast.ExprNode) bool {
	f, ok := e.(*ast.FuncCallExpr)
	return ok && (f.FnName.L == ast.NextVal || f.FnName.L == ast.LastVal)
}

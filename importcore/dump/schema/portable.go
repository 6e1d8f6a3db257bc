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
	// Engines are those that it has, in lower case, and whether they have transactions; nil if that isn't known.
	Engines map[string]bool
	// Engine is the one of tables that name none.
	Engine string
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
	engine := to.Engine
	for _, o := range create.Options {
		p.option(o)
		if o.Tp == ast.TableOptionEngine && o.StrValue != "" {
			engine = o.StrValue
		}
	}
	p.engine(engine)
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

// engine refuses one without transactions: no row could be promised to be there once.
func (p *porter) engine(name string) {
	if p.to.Engines == nil {
		return
	}
	switch safe, known := p.to.Engines[strings.ToLower(name)]; {
	case !known:
		p.refuse("the engine %s", name)
	case !safe:
		p.refuse("the engine %s, which has no transactions: rows could be lost or doubled there", name)
	}
}

// collation refuses one that the server doesn't know; it would store and compare text in another way.
func (p *porter) collation(name, where string) {
	name = strings.ToLower(name)
	if name != "" && name != charset.CollationBin && !p.to.Collations[name] {
		p.refuse("the collation %s of %s", name, where)
	}
}

// charset refuses a character set that the server doesn't have.
func (p *porter) charset(name, where string) {
	if !p.to.hasCharset(name) {
		p.refuse("the character set %s of %s", strings.ToLower(name), where)
	}
}

// hasCharset tells whether there is a collation of a character set.
func (s *Server) hasCharset(name string) bool {
	name = strings.ToLower(name)
	if name == "" || name == charset.CharsetBin {
		return true
	}
	for c := range s.Collations {
		if strings.HasPrefix(c, name+"_") {
			return true
		}
	}
	return false
}

// DatabaseForServer is Database for a server that isn't TiDB. Of its options the default character set and collation stay, if the server has
// them; what it does without is left, each as a noun phrase: databases have no rows.
func DatabaseForServer(f *File, name string, to Server) (sql string, left []string, err error) {
	sql, err = Database(f, name)
	if err != nil {
		return "", nil, err
	}
	own := &File{Path: f.Path, Line: f.Line, Text: sql, Mode: RunMode(f.Mode)}
	create, err := only[*ast.CreateDatabaseStmt](own, "CREATE DATABASE", nil)
	if err != nil {
		return "", nil, err
	}
	var kept []*ast.DatabaseOption
	for _, o := range create.Options {
		value := strings.ToLower(o.Value)
		switch {
		case o.Tp == ast.DatabaseOptionCharset && to.hasCharset(value), o.Tp == ast.DatabaseOptionCollate && (value == charset.CollationBin || to.Collations[value]):
			kept = append(kept, o)
		case o.Tp == ast.DatabaseOptionCharset:
			left = append(left, "the default character set "+value)
		case o.Tp == ast.DatabaseOptionCollate:
			left = append(left, "the default collation "+value)
		case o.Tp == ast.DatabaseOptionPlacementPolicy:
			left = append(left, "the placement policy "+o.Value)
		case o.Tp == ast.DatabaseOptionEncryption && !strings.EqualFold(value, "n"):
			left = append(left, "encryption")
		}
	}
	create.Options = kept
	sql, err = own.text(create, 0)
	return sql, left, err
}

// drawsFromSequence tells whether an expression takes a sequence's next value.
func drawsFromSequence(e ast.ExprNode) bool {
	f, ok := e.(*ast.FuncCallExpr)
	return ok && (f.FnName.L == ast.NextVal || f.FnName.L == ast.LastVal)
}

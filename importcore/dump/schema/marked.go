package schema

import (
	"slices"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// Marked gives a statement that makes a table or a sequence, as ForServer and ReadSequence return it, the comment mark in the place of its own, by which it is known who has made it on
// a server that keeps no history. restore is the ALTER TABLE that gives it its own comment, "" if it has none, back. mark is no longer than a comment may be.
func Marked(sql, mark string, to Server) (marked, restore string, err error) {
	f := &File{Text: sql, Mode: RunMode(mysql.ModeNone)}
	nodes, err := f.statements()
	if err != nil {
		return "", "", err
	}
	if len(nodes) != 1 {
		return "", "", f.bad("it holds %d statements where one is expected", len(nodes))
	}
	var options *[]*ast.TableOption
	var name *ast.TableName
	switch node := nodes[0].(type) {
	case *ast.CreateTableStmt:
		options, name = &node.Options, node.Table
	case *ast.CreateSequenceStmt:
		options, name = &node.TblOptions, node.Name
	default:
		return "", "", f.bad("it makes neither a table nor a sequence")
	}
	own := &ast.TableOption{Tp: ast.TableOptionComment}
	for _, o := range *options {
		if o.Tp == ast.TableOptionComment {
			own.StrValue = o.StrValue
		}
	}
	back := &ast.AlterTableStmt{Table: name, Specs: []*ast.AlterTableSpec{{Tp: ast.AlterTableOption, Options: []*ast.TableOption{own}}}}
	if restore, err = f.text(back, 0); err != nil {
		return "", "", err
	}
	*options = append(slices.DeleteFunc(*options, func(o *ast.TableOption) bool { return o.Tp == ast.TableOptionComment }),
		&ast.TableOption{Tp: ast.TableOptionComment, StrValue: mark})
	marked, err = f.text(nodes[0], format.RestoreTiDBSpecialComment)
	if to.MariaDB {
		marked = dropEnforced(marked)
	}
	return marked, restore, err
}

package encode

import (
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/ast"
)

// drawing are the functions that give another value each time they are asked.
// NOW() isn't among them: a job has one moment for all of its rows.
var drawing = map[string]bool{
	ast.Rand: true, ast.UUID: true, ast.UUIDShort: true, ast.RandomBytes: true,
	ast.NextVal: true, ast.Sysdate: true,
}

// DrawnColumns returns the offsets of the columns that get drawn values, or values
// computed from such: encoding a row again gives others.
func (p *Plan) DrawnColumns() map[int]bool {
	drawn := make(map[int]bool)
	if p.compute == nil {
		return drawn
	}
	for _, columns := range [][]computedColumn{p.compute.sets, p.compute.defaults, p.compute.generated} {
		for _, col := range columns {
			v := &drawFinder{table: p.cfg.Target.Info, drawn: drawn}
			col.expr.Accept(v)
			if v.found {
				drawn[col.offset] = true
			}
		}
	}
	return drawn
}

// DrawnDefaults returns the offsets of the columns that get drawn values in a row that leaves all columns out. It may name more
// than there are: what it costs is that a job keeps what it could do again.
func DrawnDefaults(info *model.TableInfo) map[int]bool {
	drawn := make(map[int]bool)
	for _, col := range info.Columns {
		text, isText := col.DefaultValue.(string)
		if !col.DefaultIsExpr || !isText {
			continue
		}
		text = strings.ToLower(text)
		for name := range drawing {
			if strings.Contains(text, name) {
				drawn[col.Offset] = true
			}
		}
	}
	return drawn
}

// drawFinder looks for functions that draw and for columns that got drawn values.
type drawFinder struct {
	table *model.TableInfo
	drawn map[int]bool
	found bool
}

// Enter implements ast.Visitor.
func (v *drawFinder) Enter(node ast.Node) (ast.Node, bool) {
	switch n := node.(type) {
	case *ast.FuncCallExpr:
		v.found = v.found || drawing[n.FnName.L]
	case *ast.ColumnName:
		if col := v.table.FindPublicColumnByName(n.Name.L); col != nil {
			v.found = v.found || v.drawn[col.Offset]
		}
	}
	return node, v.found
}

// Leave implements ast.Visitor.
func (v *drawFinder) Leave(node ast.Node) (ast.Node, bool) { return node, true }

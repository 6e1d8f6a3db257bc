package define

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// partitions is the PARTITION BY clause, empty for a table without partitions.
func partitions(p *model.PartitionInfo) string {
	if p == nil {
		return ""
	}
	by := p.Type.String()
	switch {
	case p.Type == pmodel.PartitionTypeKey:
		by += " (" + names(p.Columns) + ")"
	case len(p.Columns) > 0:
		by += " COLUMNS(" + names(p.Columns) + ")"
	default:
		by += " (" + inner(p.Expr) + ")"
	}
	defs := make([]string, 0, len(p.Definitions))
	for i := range p.Definitions {
		defs = append(defs, partition(p.Type, &p.Definitions[i]))
	}
	return "\nPARTITION BY " + by + "\n(" + strings.Join(defs, ",\n ") + ")"
}

// inner returns an expression without the parentheses around all of it. TiDB puts some around operators when it
// stores an expression, again with each CREATE TABLE, and tables whose expressions differ don't count as the same.
func inner(expr string) string {
	if !strings.HasPrefix(expr, "(") || !strings.HasSuffix(expr, ")") {
		return expr
	}
	depth, quote := 0, byte(0)
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; {
		case quote != 0 && c == '\\' && quote != '`':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 && i < len(expr)-1 {
				return expr // the first one ends before
			}
		}
	}
	return expr[1 : len(expr)-1]
}

func partition(kind pmodel.PartitionType, d *model.PartitionDefinition) string {
	text := "PARTITION " + sqlconn.QuoteName(d.Name.O)
	switch kind {
	case pmodel.PartitionTypeRange:
		text += " VALUES LESS THAN (" + strings.Join(printables(d.LessThan), ",") + ")"
	case pmodel.PartitionTypeList:
		text += values(d.InValues)
	}
	return text + comment(" COMMENT ", d.Comment) + placement(d.PlacementPolicyRef)
}

// values is what a partition of a LIST holds.
func values(in [][]string) string {
	if len(in) == 0 || len(in) == 1 && len(in[0]) == 1 && strings.EqualFold(in[0][0], "DEFAULT") {
		return " DEFAULT"
	}
	rows := make([]string, 0, len(in))
	for _, row := range in {
		text := strings.Join(printables(row), ",")
		if len(row) > 1 {
			text = "(" + text + ")"
		}
		rows = append(rows, text)
	}
	return " VALUES IN (" + strings.Join(rows, ",") + ")"
}

// printables are literals as schemas hold them, in hexadecimal where they have what can't be in a text.
func printables(literals []string) []string {
	out := make([]string, len(literals))
	for i, l := range literals {
		if strings.IndexFunc(l, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0 {
			out[i] = l
			continue
		}
		if n := len(l); n >= 2 && l[0] == '\'' && l[n-1] == '\'' {
			l = l[1 : n-1]
		}
		out[i] = fmt.Sprintf("0x%x", l)
	}
	return out
}

package define

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	field_types "github.com/pingcap/tidb/pkg/parser/types"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// column is the line of a column.
func column(t *model.TableInfo, c *model.ColumnInfo) string {
	var b strings.Builder
	b.WriteString(sqlconn.QuoteName(c.Name.O) + " " + c.GetTypeDesc())
	if field_types.HasCharset(&c.FieldType) {
		// What a column has follows from the table's in some cases, but saying it is never wrong.
		fmt.Fprintf(&b, " CHARACTER SET %s COLLATE %s", c.GetCharset(), c.GetCollate())
	}
	switch {
	case c.IsGenerated() && c.GeneratedStored:
		b.WriteString(" GENERATED ALWAYS AS (" + c.GeneratedExprString + ") STORED")
	case c.IsGenerated():
		b.WriteString(" GENERATED ALWAYS AS (" + c.GeneratedExprString + ") VIRTUAL")
	}
	flags := c.GetFlag()
	switch {
	case mysql.HasNotNullFlag(flags):
		b.WriteString(" NOT NULL")
	case c.GetType() == mysql.TypeTimestamp:
		b.WriteString(" NULL")
	}
	if mysql.HasAutoIncrementFlag(flags) {
		b.WriteString(" AUTO_INCREMENT")
	} else {
		b.WriteString(defaultOf(c))
	}
	if mysql.HasOnUpdateNowFlag(flags) {
		b.WriteString(" ON UPDATE CURRENT_TIMESTAMP" + fraction(c))
	}
	if t.PKIsHandle && t.AutoRandomBits > 0 && mysql.HasPriKeyFlag(flags) || t.AutoRandomBits > 0 && leads(t, c) {
		b.WriteString(autoRandom(t))
	}
	b.WriteString(comment(" COMMENT ", c.Comment))
	return b.String()
}

// leads tells whether a column is the first of a clustered primary key that isn't an integer alone.
func leads(t *model.TableInfo, c *model.ColumnInfo) bool {
	if !t.IsCommonHandle {
		return false
	}
	for _, x := range t.Indices {
		if x.Primary && len(x.Columns) > 0 && x.Columns[0].Name.L == c.Name.L {
			return true
		}
	}
	return false
}

func autoRandom(t *model.TableInfo) string {
	if t.AutoRandomRangeBits == 0 || t.AutoRandomRangeBits == defaultRange {
		return fmt.Sprintf(" /*T![auto_rand] AUTO_RANDOM(%d) */", t.AutoRandomBits)
	}
	return fmt.Sprintf(" /*T![auto_rand] AUTO_RANDOM(%d, %d) */", t.AutoRandomBits, t.AutoRandomRangeBits)
}

// defaultOf is the DEFAULT clause.
func defaultOf(c *model.ColumnInfo) string {
	if c.IsGenerated() || mysql.HasNoDefaultValueFlag(c.GetFlag()) {
		return ""
	}
	value := c.GetDefaultValue()
	if value == nil {
		if mysql.HasNotNullFlag(c.GetFlag()) {
			return ""
		}
		return " DEFAULT NULL"
	}
	text := fmt.Sprint(value)
	timed := types.IsTypeTime(c.GetType())
	switch {
	case timed && strings.EqualFold(text, ast.CurrentTimestamp):
		return " DEFAULT CURRENT_TIMESTAMP" + fraction(c)
	case timed && strings.EqualFold(text, ast.CurrentDate):
		return " DEFAULT (CURRENT_DATE" + fraction(c) + ")"
	case c.DefaultIsExpr:
		return " DEFAULT (" + text + ")"
	case c.GetType() == mysql.TypeBit:
		return " DEFAULT " + types.BinaryLiteral(text).ToBitLiteralString(true)
	default:
		return " DEFAULT " + literal(text)
	}
}

// fraction is the number of digits of a time in parentheses, if there are some.
func fraction(c *model.ColumnInfo) string {
	if c.GetDecimal() > 0 {
		return fmt.Sprintf("(%d)", c.GetDecimal())
	}
	return ""
}

func comment(before, text string) string {
	if text == "" {
		return ""
	}
	return before + literal(text)
}

// literal is a string for a session whose sql_mode changes nothing about strings.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\x00", `\0`).Replace(text) + "'"
}

func defaultCollation(name string) string {
	collate, err := charset.GetDefaultCollation(name)
	if err != nil {
		return name
	}
	return collate
}

func timeUnit(unit int) string { return ast.TimeUnitType(unit).String() }

package schema

import (
	"fmt"
	"slices"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/types"
)

// Differences says why the rows of a dump's table don't fit a table that exists, column by column; nothing if they do. The
// existing table may have wider columns, and more of them behind the dump's if these have defaults.
func (t *Table) Differences(existing *model.TableInfo) (found []string) {
	at := -1 // of the column before, in the existing table
	seen := map[string]bool{}
	for _, c := range t.Columns {
		name := c.Name.Name
		seen[name.L] = true
		i := slices.IndexFunc(existing.Columns, func(have *model.ColumnInfo) bool { return have.Name.L == name.L && have.State == model.StatePublic })
		switch {
		case i < 0:
			found = append(found, fmt.Sprintf("it has no column %s", name.O))
			continue
		case i < at:
			found = append(found, fmt.Sprintf("column %s comes in another order", name.O))
		case Generated(c) != existing.Columns[i].IsGenerated():
			found = append(found, fmt.Sprintf("column %s is generated in one of both only", name.O))
		}
		at = max(at, i)
		if have := &existing.Columns[i].FieldType; !takes(have, c.Tp) {
			found = append(found, fmt.Sprintf("column %s is %s, and %s in the dump", name.O, typeText(have), typeText(c.Tp)))
		}
	}
	for _, have := range existing.Columns {
		if !seen[have.Name.L] && have.State == model.StatePublic && mysql.HasNoDefaultValueFlag(have.GetFlag()) && !have.IsGenerated() &&
			!mysql.HasAutoIncrementFlag(have.GetFlag()) {
			found = append(found, fmt.Sprintf("column %s, which the dump doesn't have, has no default", have.Name.O))
		}
	}
	return found
}

// typeText is a type in messages. The parser shows the width that a YEAR without one has as -1.
func typeText(t *types.FieldType) string {
	if t.GetType() == mysql.TypeYear {
		return "year(4)"
	}
	return t.String()
}

// Generated tells whether a column takes no values, because it is computed.
func Generated(c *ast.ColumnDef) bool {
	return slices.ContainsFunc(c.Options, func(o *ast.ColumnOption) bool { return o.Tp == ast.ColumnOptionGenerated })
}

// families are types whose members take what smaller ones hold, by their size.
var families = map[byte]struct {
	family string
	size   int
}{
	mysql.TypeTiny: {"int", 1}, mysql.TypeShort: {"int", 2}, mysql.TypeInt24: {"int", 3}, mysql.TypeLong: {"int", 4}, mysql.TypeLonglong: {"int", 8},
	mysql.TypeTinyBlob: {"blob", 1}, mysql.TypeBlob: {"blob", 2}, mysql.TypeMediumBlob: {"blob", 3}, mysql.TypeLongBlob: {"blob", 4},
}

// takes tells whether a column holds all that one of the dump's type does, and in the same form.
func takes(have, dump *types.FieldType) bool {
	h, d := families[have.GetType()], families[dump.GetType()]
	if h.family != d.family || h.size < d.size || h.family == "" && have.GetType() != dump.GetType() {
		return false
	}
	switch have.GetType() {
	case mysql.TypeTiny, mysql.TypeShort, mysql.TypeInt24, mysql.TypeLong, mysql.TypeLonglong:
		return unsigned(have) == unsigned(dump)
	case mysql.TypeEnum, mysql.TypeSet:
		a, b := have.GetElems(), dump.GetElems()
		return len(a) >= len(b) && slices.Equal(a[:len(b)], b)
	case mysql.TypeNewDecimal:
		return unsigned(have) == unsigned(dump) && decimals(have) >= decimals(dump) && length(have)-decimals(have) >= length(dump)-decimals(dump)
	case mysql.TypeDatetime, mysql.TypeTimestamp, mysql.TypeDuration:
		return max(have.GetDecimal(), 0) >= max(dump.GetDecimal(), 0)
	case mysql.TypeFloat, mysql.TypeDouble:
		return unsigned(have) == unsigned(dump) && (have.GetDecimal() == types.UnspecifiedLength || have.GetDecimal() == dump.GetDecimal())
	case mysql.TypeVarchar, mysql.TypeVarString, mysql.TypeBit:
		return binary(have) == binary(dump) && length(have) >= length(dump)
	case mysql.TypeString: // padded to its length if it is binary
		return binary(have) == binary(dump) && (length(have) == length(dump) || !binary(have) && length(have) > length(dump))
	case mysql.TypeTinyBlob, mysql.TypeBlob, mysql.TypeMediumBlob, mysql.TypeLongBlob:
		return binary(have) == binary(dump)
	}
	return true
}

func unsigned(t *types.FieldType) bool { return mysql.HasUnsignedFlag(t.GetFlag()) }

// binary tells whether a string's bytes are no characters. The parser leaves the character set of a text open if the dump does.
func binary(t *types.FieldType) bool { return t.GetCharset() == "binary" }

func length(t *types.FieldType) int {
	if n := t.GetFlen(); n != types.UnspecifiedLength {
		return n
	}
	n, _ := mysql.GetDefaultFieldLengthAndDecimal(t.GetType())
	return n
}

func decimals(t *types.FieldType) int {
	if n := t.GetDecimal(); n != types.UnspecifiedLength {
		return n
	}
	_, n := mysql.GetDefaultFieldLengthAndDecimal(t.GetType())
	return n
}

// DiffersFrom says in which column a table differs from another one of the dump whose rows it is to take too; "" if in none.
func (t *Table) DiffersFrom(other *Table) string {
	if len(t.Columns) != len(other.Columns) {
		return fmt.Sprintf("they have %d and %d columns", len(t.Columns), len(other.Columns))
	}
	for i, c := range t.Columns {
		o := other.Columns[i]
		if c.Name.Name.L != o.Name.Name.L || Generated(c) != Generated(o) || !takes(c.Tp, o.Tp) {
			return fmt.Sprintf("column %d is %s %s, and elsewhere %s %s", i+1, c.Name.Name.O, typeText(c.Tp), o.Name.Name.O, typeText(o.Tp))
		}
	}
	return ""
}

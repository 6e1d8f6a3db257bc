package schema

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/types"
)

// Existing is a column of a table that exists, in its server's words (information_schema.columns).
type Existing struct {
	Name string
	// Type is its column_type, such as decimal(10,2) unsigned.
	Type string
	// Charset is its character_set_name, "" if it has none.
	Charset string
}

// Losses says which columns of an existing table could not keep all values of the source's as they are, if they got them by INSERT: servers round
// and cut some of them without an error. Each names both types. Columns that the table doesn't have are none of them.
func (t *Table) Losses(existing []Existing) (found []string) {
	for _, c := range t.Columns {
		i := slices.IndexFunc(existing, func(have Existing) bool { return strings.EqualFold(have.Name, c.Name.Name.O) })
		if i < 0 || Generated(c) {
			continue
		}
		have := &existing[i]
		fits := func(mode mysql.SQLMode) bool {
			tp := typeOf(have.Type, mode)
			return tp != nil && holds(tp, c.Tp, have.Charset)
		}
		// TiDB writes the backslashes of an ENUM as they are, others escape them.
		if !fits(0) && !(strings.Contains(have.Type, `\`) && fits(mysql.ModeNoBackslashEscapes)) {
			found = append(found, fmt.Sprintf("column %s is %s, and %s in the source", c.Name.Name.O, have.Type, typeText(c.Tp)))
		} else if from := t.charsetOf(c); lacksCharacters(have.Charset, from) {
			found = append(found, fmt.Sprintf("column %s has the character set %s, and %s in the source", c.Name.Name.O, have.Charset, from))
		}
	}
	return found
}

// typeOf reads a column_type by an SQL mode. It returns nil for one that TiDB doesn't know.
func typeOf(text string, mode mysql.SQLMode) *types.FieldType {
	f := &File{Mode: mode, Text: "CREATE TABLE t (c " + text + ")"}
	create, err := only[*ast.CreateTableStmt](f, "CREATE TABLE", nil)
	if err != nil || len(create.Cols) != 1 {
		return nil
	}
	return create.Cols[0].Tp
}

// charsetOf is the character set of a column of the source, "" if it has none or the source doesn't say.
func (t *Table) charsetOf(c *ast.ColumnDef) string {
	if !isText(c.Tp) {
		return ""
	}
	if set := c.Tp.GetCharset(); set != "" {
		return set
	}
	collate := c.Tp.GetCollate()
	for _, o := range c.Options {
		if o.Tp == ast.ColumnOptionCollate {
			collate = o.StrValue
		}
	}
	if collate != "" {
		return setOf(collate)
	}
	return t.charset
}

// defaultCharset is what a table's options say of columns that say nothing themselves.
func defaultCharset(options []*ast.TableOption) (name string) {
	for _, o := range options {
		switch o.Tp {
		case ast.TableOptionCharset:
			name = o.StrValue
		case ast.TableOptionCollate:
			if name == "" {
				name = setOf(o.StrValue)
			}
		}
	}
	return name
}

// setOf is the character set of a collation.
func setOf(collation string) string {
	set, _, _ := strings.Cut(strings.ToLower(collation), "_")
	return set
}

// all are character sets of all of Unicode's characters, and basic those of its first plane.
var (
	allOfUnicode   = []string{charset.CharsetUTF8MB4, "utf16", "utf16le", "utf32", "gb18030"}
	basicOfUnicode = []string{charset.CharsetUTF8, "utf8mb3", "ucs2"}
)

// lacksCharacters tells whether a character set is known not to have all characters of another one.
func lacksCharacters(have, from string) bool {
	have, from = strings.ToLower(have), strings.ToLower(from)
	switch {
	case have == "" || from == "" || have == from || from == charset.CharsetASCII || slices.Contains(allOfUnicode, have):
		return false
	case slices.Contains(basicOfUnicode, have):
		return slices.Contains(allOfUnicode, from)
	}
	return true
}

// holds tells whether a column that gets values as their text has room for all those of another type, each as it is. set is the character set of the column.
func holds(have, from *types.FieldType, set string) bool {
	same := have.GetType() == from.GetType()
	switch from.GetType() {
	case mysql.TypeTiny, mysql.TypeShort, mysql.TypeInt24, mysql.TypeLong, mysql.TypeLonglong:
		return holdsInt(have, from)
	case mysql.TypeNewDecimal:
		return same && signed(have, from) && holdsDigits(have, decimals(from), length(from)-decimals(from))
	case mysql.TypeFloat, mysql.TypeDouble:
		return (same || have.GetType() == mysql.TypeDouble) && signed(have, from) && (have.GetDecimal() == types.UnspecifiedLength ||
			from.GetDecimal() != types.UnspecifiedLength && holdsDigits(have, from.GetDecimal(), from.GetFlen()-from.GetDecimal()))
	case mysql.TypeDate, mysql.TypeNewDate:
		return same || have.GetType() == mysql.TypeDatetime
	case mysql.TypeDatetime, mysql.TypeTimestamp, mysql.TypeDuration:
		return same && max(have.GetDecimal(), 0) >= max(from.GetDecimal(), 0)
	case mysql.TypeBit:
		return same && length(have) >= length(from)
	case mysql.TypeEnum, mysql.TypeSet:
		if same {
			return !slices.ContainsFunc(from.GetElems(), func(e string) bool { return !slices.Contains(have.GetElems(), e) })
		}
		return isString(have) && !binary(have) && room(have, set) >= longest(from)
	case mysql.TypeJSON:
		return same || have.GetType() == mysql.TypeLongBlob && slices.Contains(allOfUnicode, strings.ToLower(set))
	case mysql.TypeTiDBVectorFloat32:
		return same && (have.GetFlen() == types.UnspecifiedLength || have.GetFlen() == from.GetFlen())
	}
	if isString(from) {
		return holdsString(have, from, set)
	}
	return same
}

// signed tells whether a column takes a sign if the other one does.
func signed(have, from *types.FieldType) bool { return unsigned(from) || !unsigned(have) }

func holdsDigits(have *types.FieldType, behind, before int) bool {
	return decimals(have) >= behind && length(have)-decimals(have) >= before
}

// intDigits is how many digits the integers of so many bytes have.
var intDigits = map[int]int{1: 3, 2: 5, 3: 8, 4: 10, 8: 20}

func holdsInt(have, from *types.FieldType) bool {
	size := families[from.GetType()].size
	switch have.GetType() {
	case mysql.TypeTiny, mysql.TypeShort, mysql.TypeInt24, mysql.TypeLong, mysql.TypeLonglong:
		own := families[have.GetType()].size
		if unsigned(from) && !unsigned(have) {
			return own > size
		}
		return signed(have, from) && own >= size
	case mysql.TypeNewDecimal:
		return signed(have, from) && holdsDigits(have, 0, intDigits[size])
	case mysql.TypeDouble: // 53 bits
		return signed(have, from) && have.GetDecimal() == types.UnspecifiedLength && size <= 4
	}
	return false
}

func isString(t *types.FieldType) bool {
	switch t.GetType() {
	case mysql.TypeString, mysql.TypeVarchar, mysql.TypeVarString:
		return true
	}
	return families[t.GetType()].family == "blob"
}

func isText(t *types.FieldType) bool { return isString(t) && !binary(t) }

func holdsString(have, from *types.FieldType, set string) bool {
	if !isString(have) || binary(have) != binary(from) {
		return false
	}
	if h, f := families[have.GetType()], families[from.GetType()]; h.family != "" && h.family == f.family {
		return h.size >= f.size
	}
	if have.GetType() == mysql.TypeString { // spaces at the end are cut, or zeros are put there
		return from.GetType() == mysql.TypeString && (length(have) == length(from) || !binary(have) && length(have) > length(from))
	}
	if f := families[from.GetType()]; f.family != "" {
		return room(have, set) >= blobBytes(f.size)
	}
	return room(have, set) >= length(from)
}

// blobBytes is the capacity of a BLOB or TEXT whose length takes so many bytes.
func blobBytes(size int) int { return 1<<(8*size) - 1 }

// room is how many characters, or bytes, a column of strings has room for at least.
func room(t *types.FieldType, set string) int {
	f := families[t.GetType()]
	if f.family == "" {
		return length(t)
	}
	wide := map[string]int{"": 1, "ascii": 1, "latin1": 1, "gbk": 2, "utf8": 3, "utf8mb3": 3}[strings.ToLower(set)]
	if wide == 0 {
		wide = 4
	}
	return blobBytes(f.size) / wide
}

// longest is the length of the longest value of an ENUM or SET, in characters.
func longest(t *types.FieldType) (n int) {
	for _, e := range t.GetElems() {
		if chars := utf8.RuneCountInString(e); t.GetType() == mysql.TypeSet {
			n += chars + 1
		} else {
			n = max(n, chars)
		}
	}
	return n
}

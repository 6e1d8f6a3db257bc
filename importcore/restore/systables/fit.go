package systables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// Tables are what the cluster needs for the rows.
func (t *Tables) Tables() (names []string) {
	for _, of := range t.tables {
		names = append(names, of.name)
	}
	return names
}

// Probe is a statement that changes nothing, and fails for an account that may not do to a table what Insert does.
func Probe(table string) string {
	name := sqlconn.QuoteName(Schema) + "." + sqlconn.QuoteName(table)
	return "EXPLAIN INSERT INTO " + name + " SELECT * FROM " + name
}

// Misfits tells what of a table of the cluster can't take the archive's rows. As with br, columns go by their names; the cluster may have more of them
// in tables that TiDB's versions have added some to, and no fewer. Collations may differ: rows that are equal by the cluster's are an error of Insert.
func (t *Tables) Misfits(name string, cluster *model.TableInfo) (list []string) {
	at := slices.IndexFunc(t.tables, func(of *table) bool { return of.name == name })
	if at < 0 {
		return nil
	}
	of := t.tables[at]
	add := func(format string, args ...any) {
		list = append(list, fmt.Sprintf("%s.%s", Schema, name)+fmt.Sprintf(format, args...))
	}
	for _, c := range of.columns {
		have := writable(cluster, c.Name.L)
		switch {
		case have == nil:
			add(" has no column %s, which the archive's has", c.Name.O)
		case !holds(&have.FieldType, &c.FieldType):
			add(".%s is %s, and in the archive %s", c.Name.O, have.FieldType.String(), c.FieldType.String())
		}
	}
	for _, c := range cluster.Columns {
		if _, ok := of.at[c.Name.L]; !ok && !of.grows && !c.IsGenerated() && c.State == model.StatePublic {
			add(" has a column %s, which the archive's doesn't have", c.Name.O)
		}
	}
	return list
}

// writable returns a column that rows are written to, or nil.
func writable(info *model.TableInfo, name string) *model.ColumnInfo {
	for _, c := range info.Columns {
		if c.Name.L == name && c.State == model.StatePublic && !c.IsGenerated() {
			return c
		}
	}
	return nil
}

// holds tells whether a column can hold all values of another one as they are.
func holds(to, from *types.FieldType) bool {
	if to.GetType() != from.GetType() || mysql.HasUnsignedFlag(to.GetFlag()) != mysql.HasUnsignedFlag(from.GetFlag()) ||
		mysql.HasNotNullFlag(to.GetFlag()) && !mysql.HasNotNullFlag(from.GetFlag()) {
		return false
	}
	if to.GetFlen() < from.GetFlen() || to.GetDecimal() < from.GetDecimal() || !strings.HasPrefix(to.GetCharset(), from.GetCharset()) { // utf8 goes into utf8mb4
		return false
	}
	for _, member := range from.GetElems() {
		if !slices.Contains(to.GetElems(), member) {
			return false
		}
	}
	return true
}

package define

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// defaultRange is the number of bits of an AUTO_RANDOM value that isn't said.
const defaultRange = 64

// Table returns the CREATE TABLE of a table, under its own name. A table that can't be made by SQL, or not so that its rows can
// be used, is an error of the user.
func Table(t *model.TableInfo) (string, error) {
	if err := supported(t); err != nil {
		return "", err
	}
	create := "CREATE TABLE "
	if t.TempTableType == model.TempTableGlobal {
		create = "CREATE GLOBAL TEMPORARY TABLE "
	}
	return create + sqlconn.QuoteName(t.Name.O) + " (\n  " + strings.Join(lines(t), ",\n  ") + "\n)" + options(t) + partitions(t.GetPartitionInfo()) + ttl(t.TTLInfo), nil
}

func supported(t *model.TableInfo) error {
	refuse := func(format string, args ...any) error {
		return fault.New(fault.User, 0, "table %s of the archive can't be restored yet: %s", t.Name.O, fmt.Sprintf(format, args...))
	}
	for _, x := range t.Indices {
		if x.VectorInfo != nil || x.IsTiFlashLocalIndex() {
			return refuse("its index %s is kept by TiFlash", x.Name.O)
		}
	}
	if t.TempTableType == model.TempTableLocal || t.State != model.StatePublic {
		return refuse("it is no complete table")
	}
	for _, c := range t.Columns {
		if c.State != model.StatePublic {
			return refuse("its column %s was being changed", c.Name.O)
		}
	}
	return nil
}

// lines are what is between the parentheses.
func lines(t *model.TableInfo) []string {
	var out []string
	for _, c := range t.Columns {
		if !c.Hidden {
			out = append(out, column(t, c))
		}
	}
	if pk := t.GetPkColInfo(); t.PKIsHandle && pk != nil {
		out = append(out, integerKey(pk))
	}
	for _, x := range indexes(t) {
		out = append(out, index(t, x))
	}
	return append(out, constraints(t)...)
}

// integerKey is the line of a primary key that is the rows' handle.
func integerKey(pk *model.ColumnInfo) string {
	return "PRIMARY KEY (" + sqlconn.QuoteName(pk.Name.O) + ") /*T![clustered_index] CLUSTERED */"
}

// constraints are the lines of foreign keys and conditions.
func constraints(t *model.TableInfo) []string {
	var out []string
	for _, fk := range t.ForeignKeys {
		out = append(out, foreignKey(fk))
	}
	for _, c := range t.Constraints {
		if c.State == model.StatePublic {
			line := "CONSTRAINT " + sqlconn.QuoteName(c.Name.O) + " CHECK ((" + c.ExprString + "))"
			if !c.Enforced {
				line += " /*!80016 NOT ENFORCED */"
			}
			out = append(out, line)
		}
	}
	return out
}

// indexes are those that have entries. One that was being added is left out.
func indexes(t *model.TableInfo) (out []*model.IndexInfo) {
	for _, x := range t.Indices {
		if x.State == model.StatePublic {
			out = append(out, x)
		}
	}
	return out
}

func index(t *model.TableInfo, x *model.IndexInfo) string {
	var b strings.Builder
	switch {
	case x.Primary:
		b.WriteString("PRIMARY KEY")
	case x.Unique:
		b.WriteString("UNIQUE KEY " + sqlconn.QuoteName(x.Name.O))
	default:
		b.WriteString("KEY " + sqlconn.QuoteName(x.Name.O))
	}
	parts := make([]string, 0, len(x.Columns))
	for _, c := range x.Columns {
		switch of := t.Columns[c.Offset]; {
		case of.Hidden:
			parts = append(parts, "("+of.GeneratedExprString+")")
		case c.Length != types.UnspecifiedLength:
			parts = append(parts, fmt.Sprintf("%s(%d)", sqlconn.QuoteName(c.Name.O), c.Length))
		default:
			parts = append(parts, sqlconn.QuoteName(c.Name.O))
		}
	}
	b.WriteString(" (" + strings.Join(parts, ",") + ")")
	if x.Invisible {
		b.WriteString(" /*!80000 INVISIBLE */")
	}
	b.WriteString(comment(" COMMENT ", x.Comment))
	switch {
	case x.Primary && t.HasClusteredIndex():
		b.WriteString(" /*T![clustered_index] CLUSTERED */")
	case x.Primary:
		b.WriteString(" /*T![clustered_index] NONCLUSTERED */")
	}
	if x.Global {
		b.WriteString(" /*T![global_index] GLOBAL */")
	}
	return b.String()
}

func foreignKey(fk *model.FKInfo) string {
	refers := sqlconn.QuoteName(fk.RefTable.O)
	if fk.RefSchema.O != "" {
		refers = sqlconn.QuoteName(fk.RefSchema.O) + "." + refers
	}
	line := fmt.Sprintf("CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s)", sqlconn.QuoteName(fk.Name.O), names(fk.Cols), refers, names(fk.RefCols))
	if on := pmodel.ReferOptionType(fk.OnDelete); on != 0 {
		line += " ON DELETE " + on.String()
	}
	if on := pmodel.ReferOptionType(fk.OnUpdate); on != 0 {
		line += " ON UPDATE " + on.String()
	}
	return line
}

// names lists names for a pair of parentheses.
func names(list []pmodel.CIStr) string {
	quoted := make([]string, len(list))
	for i, n := range list {
		quoted[i] = sqlconn.QuoteName(n.O)
	}
	return strings.Join(quoted, ",")
}

// options are what follows the parentheses.
func options(t *model.TableInfo) string {
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	charset, collate := defaults(t)
	add(" ENGINE=InnoDB DEFAULT CHARSET=%s COLLATE=%s", charset, collate)
	if t.Compression != "" {
		add(" COMPRESSION=%s", literal(t.Compression))
	}
	if t.AutoIncID > 1 {
		add(" AUTO_INCREMENT=%d", t.AutoIncID)
	}
	if t.AutoIDCache != 0 {
		add(" /*T![auto_id_cache] AUTO_ID_CACHE=%d */", t.AutoIDCache)
	}
	if t.AutoRandID > 1 {
		add(" /*T![auto_rand_base] AUTO_RANDOM_BASE=%d */", t.AutoRandID)
	}
	if t.ShardRowIDBits > 0 {
		add(" /*T! SHARD_ROW_ID_BITS=%d */", t.ShardRowIDBits)
	}
	if t.PreSplitRegions > 0 && (t.ShardRowIDBits > 0 || t.AutoRandomBits > 0) {
		add(" /*T! PRE_SPLIT_REGIONS=%d */", t.PreSplitRegions)
	}
	b.WriteString(comment(" COMMENT=", t.Comment))
	if t.TempTableType == model.TempTableGlobal {
		b.WriteString(" ON COMMIT DELETE ROWS")
	}
	b.WriteString(placement(t.PlacementPolicyRef))
	return b.String()
}

// defaults are a table's character set and collation.
func defaults(t *model.TableInfo) (charset, collate string) {
	charset, collate = t.Charset, t.Collate
	if charset == "" {
		charset = mysql.DefaultCharset
	}
	if collate == "" {
		collate = mysql.DefaultCollationName
		if charset != mysql.DefaultCharset {
			collate = defaultCollation(charset)
		}
	}
	return charset, collate
}

func placement(p *model.PolicyRefInfo) string {
	if p == nil {
		return ""
	}
	return " /*T![placement] PLACEMENT POLICY=" + sqlconn.QuoteName(p.Name.O) + " */"
}

// ttl is the clause for rows that end, whose jobs don't run after a restore: they would remove what was just brought back.
func ttl(t *model.TTLInfo) string {
	if t == nil {
		return ""
	}
	unit := ""
	if u := timeUnit(t.IntervalTimeUnit); u != "" {
		unit = " " + u
	}
	text := fmt.Sprintf("TTL=%s + INTERVAL %s%s TTL_ENABLE='OFF'", sqlconn.QuoteName(t.ColumnName.O), t.IntervalExprStr, unit)
	if t.JobInterval != "" {
		text += " TTL_JOB_INTERVAL=" + literal(t.JobInterval)
	}
	return " /*T![ttl] " + text + " */"
}

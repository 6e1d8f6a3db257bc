package archive

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Rule says how the keys of the archive that begin with Old are to begin in the target. Both are raw: t{id}_r or t{id}_i{index}.
type Rule struct{ Old, New []byte }

// Rules are a table's, in the order of Old. No key has more than one.
type Rules []Rule

// Of returns the rules that hold for keys in [start, end) of the archive.
func (r Rules) Of(start, end []byte) Rules {
	var out Rules
	for _, rule := range r {
		if string(rule.Old) < string(end) && string(After(rule.Old)) > string(start) {
			out = append(out, rule)
		}
	}
	return out
}

// After returns the first key behind all that begin with a prefix, which must not be 0xff throughout.
func After(prefix []byte) []byte {
	next := slices.Clone(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return nil
}

// Rewrite returns the key as the target has it; ok is false if no rule is for it.
func (r Rules) Rewrite(key []byte) (rewritten []byte, ok bool) {
	for _, rule := range r {
		if rest, found := strings.CutPrefix(string(key), string(rule.Old)); found {
			return append(slices.Clone(rule.New), rest...), true
		}
	}
	return nil, false
}

// NewRules maps the ids of a table of the archive to those of a table of the target. Partitions and indexes are the same if
// their names are. What would make rows unreadable there is an error of the user: the structure has to be
// the same, down to the ids of columns, which are part of each row. The values of indexes over all partitions are rewritten by Global.
func NewRules(from, to *model.TableInfo) (Rules, error) {
	if err := sameColumns(from, to); err != nil {
		return nil, err
	}
	indexes, err := sameIndexes(from, to)
	if err != nil {
		return nil, err
	}
	ids, err := samePartitions(from, to)
	if err != nil {
		return nil, err
	}
	var rules Rules
	add := func(old, now []byte) { rules = append(rules, Rule{old, now}) }
	for _, p := range ids {
		add(tablecodec.GenTableRecordPrefix(p[0]), tablecodec.GenTableRecordPrefix(p[1]))
		for _, x := range indexes {
			if !x.global {
				add(tablecodec.EncodeTableIndexPrefix(p[0], x.old), tablecodec.EncodeTableIndexPrefix(p[1], x.now))
			}
		}
	}
	for _, x := range indexes {
		if !x.global {
			continue
		}
		add(tablecodec.EncodeTableIndexPrefix(from.ID, x.old), tablecodec.EncodeTableIndexPrefix(to.ID, x.now))
	}
	slices.SortFunc(rules, func(a, b Rule) int { return cmp.Compare(string(a.Old), string(b.Old)) })
	return rules, nil
}

func mismatch(t *model.TableInfo, format string, args ...any) error {
	return fault.New(fault.User, 0, "the table %s of the archive doesn't fit its target: %s", t.Name.O, fmt.Sprintf(format, args...))
}

func sameColumns(from, to *model.TableInfo) error {
	if from.PKIsHandle != to.PKIsHandle || from.IsCommonHandle != to.IsCommonHandle {
		return mismatch(from, "one has a clustered primary key and the other has not")
	}
	if from.IsCommonHandle && from.CommonHandleVersion != to.CommonHandleVersion {
		return mismatch(from, "their clustered primary keys have different forms (%d and %d)", from.CommonHandleVersion, to.CommonHandleVersion)
	}
	a, b := visible(from), visible(to)
	if len(a) != len(b) {
		return mismatch(from, "it has %d columns and the target %d", len(a), len(b))
	}
	for i, c := range a {
		if c.Name.L != b[i].Name.L {
			return mismatch(from, "its column %d is %s, that of the target %s", i+1, c.Name.O, b[i].Name.O)
		}
		if err := sameColumn(from, c, b[i]); err != nil {
			return err
		}
	}
	for _, c := range from.Columns {
		o := model.FindColumnInfo(to.Columns, c.Name.L)
		if !c.Hidden || c.State != model.StatePublic {
			continue
		}
		if o == nil {
			return mismatch(from, "the target has no column %s", c.Name.O)
		}
		if err := sameColumn(from, c, o); err != nil {
			return err
		}
	}
	return freeIDs(from, to)
}

// visible are the columns that a table has for users, in their order. Those of expressions in indexes stand somewhere among them.
func visible(t *model.TableInfo) []*model.ColumnInfo {
	var out []*model.ColumnInfo
	for _, c := range t.Columns {
		if c.State == model.StatePublic && !c.Hidden {
			out = append(out, c)
		}
	}
	return out
}

func sameColumn(from *model.TableInfo, c, o *model.ColumnInfo) error {
	switch {
	case !c.FieldType.Equal(&o.FieldType) || !slices.Equal(c.GetElems(), o.GetElems()):
		return mismatch(from, "its column %s is %s, that of the target %s", c.Name.O, c.FieldType.String(), o.FieldType.String())
	case c.GeneratedExprString != o.GeneratedExprString || c.GeneratedStored != o.GeneratedStored:
		return mismatch(from, "its column %s is generated in another way than that of the target", c.Name.O)
	case computed(c):
		return nil
	case c.ID != o.ID:
		return mismatch(from, "its column %s has the id %d, that of the target %d: its rows name columns by these", c.Name.O, c.ID, o.ID)
	case fmt.Sprint(c.GetOriginDefaultValue()) != fmt.Sprint(o.GetOriginDefaultValue()), c.GetOriginDefaultValue() != nil && zoned(c) != zoned(o):
		return mismatch(from, "rows that lack its column %s have another value there than in the target", c.Name.O)
	}
	return nil
}

// computed tells whether a column has no values in rows.
func computed(c *model.ColumnInfo) bool { return c.IsGenerated() && !c.GeneratedStored }

// zoned tells whether the value that a TIMESTAMP has in rows without it is in the server's time zone and not in UTC, as once.
func zoned(c *model.ColumnInfo) bool {
	return c.GetType() == mysql.TypeTimestamp && c.Version < model.ColumnInfoVersion1
}

// freeIDs makes sure that rows hold nothing under the ids of columns that the archive's table doesn't have: dropping a column leaves its values
// in the rows, so one that has its id, or gets it some day, would show them.
func freeIDs(from, to *model.TableInfo) error {
	last, now, used := from.MaxColumnID, to.MaxColumnID, map[int64]bool{}
	for _, c := range from.Columns {
		last, used[c.ID] = max(last, c.ID), computed(c)
	}
	for _, c := range to.Columns {
		now = max(now, c.ID)
		if computed(c) && c.ID <= last && !used[c.ID] {
			return mismatch(from, "the target's column %s has the id %d, which another column has or had", c.Name.O, c.ID)
		}
	}
	if now < last {
		return mismatch(from, "its columns had ids up to %d, those of the target up to %d: a column that is added later would show what rows have of one that was dropped",
			last, now)
	}
	return nil
}

// indexPair is an index in both tables.
type indexPair struct {
	name     string
	old, now int64
	global   bool
}

// sameIndexes pairs the indexes that have entries.
func sameIndexes(from, to *model.TableInfo) ([]indexPair, error) {
	now := map[string]*model.IndexInfo{}
	for _, x := range to.Indices {
		now[x.Name.L] = x
	}
	var pairs []indexPair
	for _, x := range from.Indices {
		if x.State != model.StatePublic {
			continue
		}
		o := now[x.Name.L]
		if o == nil || o.State != model.StatePublic {
			return nil, mismatch(from, "the target has no index %s", x.Name.O)
		}
		delete(now, x.Name.L)
		if x.Unique != o.Unique || x.Primary != o.Primary || x.Global != o.Global || x.MVIndex != o.MVIndex || !sameParts(from, to, x, o) {
			return nil, mismatch(from, "its index %s is another one than that of the target", x.Name.O)
		}
		pairs = append(pairs, indexPair{x.Name.O, x.ID, o.ID, x.Global})
	}
	for _, x := range now {
		return nil, mismatch(from, "it has no index %s, which the target has", x.Name.O)
	}
	return pairs, nil
}

func sameParts(from, to *model.TableInfo, a, b *model.IndexInfo) bool {
	return slices.EqualFunc(a.Columns, b.Columns, func(x, y *model.IndexColumn) bool {
		return x.Length == y.Length && y.Offset < len(to.Columns) && from.Columns[x.Offset].Name.L == to.Columns[y.Offset].Name.L
	})
}

// samePartitions returns the ids that rows lie under: old and new.
func samePartitions(from, to *model.TableInfo) ([][2]int64, error) {
	a, b := from.GetPartitionInfo(), to.GetPartitionInfo()
	if a == nil && b == nil {
		return [][2]int64{{from.ID, to.ID}}, nil
	}
	if a == nil || b == nil || a.Type != b.Type || a.Expr != b.Expr || len(a.Definitions) != len(b.Definitions) {
		return nil, mismatch(from, "they are not partitioned in the same way")
	}
	var ids [][2]int64
	for i, d := range a.Definitions {
		at := slices.IndexFunc(b.Definitions, func(o model.PartitionDefinition) bool { return o.Name.L == d.Name.L })
		if at < 0 {
			return nil, mismatch(from, "the target has no partition %s", d.Name.O)
		}
		// Which rows of a HASH or KEY table are in a partition follows from its place.
		o := b.Definitions[at]
		if at != i || !slices.Equal(d.LessThan, o.LessThan) || !slices.EqualFunc(d.InValues, o.InValues, slices.Equal[[]string]) {
			return nil, mismatch(from, "its partition %s holds other rows than that of the target", d.Name.O)
		}
		ids = append(ids, [2]int64{d.ID, o.ID})
	}
	return ids, nil
}

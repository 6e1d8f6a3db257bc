package define

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/table"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Making is how a table is made so that rows that were written elsewhere can be read in it.
//
// Rows name columns by ids, which a server hands out in the order in which columns come into being. A table whose columns were
// changed after it had been made is therefore made in the order of the ids, with placeholders where columns were dropped, and then
// changed into what it is to be. All of that is done while it has no rows, so nothing is rewritten.
type Making struct {
	// Create is the CREATE TABLE, Alter the ALTER TABLEs that follow it, in order. All of them have the table's own name.
	Create string
	Alter  []string
}

// Make returns how a table is made with the ids that its columns had, and the same values for rows that lack some of them. A table
// that can't be made by SQL, or not so, is an error of the user.
func Make(t *model.TableInfo) (*Making, error) {
	create, err := Table(t)
	if err != nil {
		return nil, err
	}
	m := &maker{t: t, byID: map[int64]*model.ColumnInfo{}, written: map[int64]string{}, indexes: indexes(t), last: t.MaxColumnID}
	for _, c := range t.Columns {
		m.byID[c.ID], m.last = c, max(m.last, c.ID)
	}
	m.plan()
	if m.plain() {
		m.dropDefaults()
		return &Making{Create: create, Alter: m.alter}, nil
	}
	if err := m.possible(); err != nil {
		return nil, err
	}
	out := &Making{Create: m.create()}
	m.remaining()
	m.drop()
	m.settle()
	m.dropDefaults()
	m.rest()
	out.Alter = m.alter
	return out, nil
}

// maxGaps is how many placeholders a table has at a time: with the columns they are fewer than a table may have.
const maxGaps = 400

// maker builds a Making. It is used once.
type maker struct {
	t       *model.TableInfo
	indexes []*model.IndexInfo
	byID    map[int64]*model.ColumnInfo
	last    int64 // the greatest id that a column has or had

	// begin is up to which id the CREATE TABLE makes visible columns and placeholders.
	begin int64
	// first are the offsets of the indexes that the CREATE TABLE has.
	first []int
	// next is the id that the next column gets.
	next int64

	alter   []string
	gaps    []string         // placeholders that are there
	order   []int64          // ids of visible columns, as they stand
	written map[int64]string // their definitions
	indexed map[int]bool     // offsets of indexes that are there
}

// plan finds out what is part of the CREATE TABLE.
func (m *maker) plan() {
	for gaps := 0; m.begin < m.last; m.begin++ {
		c := m.byID[m.begin+1]
		if c == nil {
			if gaps++; gaps > maxGaps {
				break
			}
			continue
		}
		if c.Hidden || stored(c) && c.GetOriginDefaultValue() != nil || !stored(c) && !m.inOrder(m.begin, m.dependedOn(m.last)) {
			break
		}
	}
	m.next, m.indexed = m.begin+1, map[int]bool{}
	settled := m.inOrder(m.begin, nil)
	for i := range m.indexes {
		next, ok := m.hasColumns(i, m.next)
		if !ok || next > m.next && !settled {
			break
		}
		m.first, m.next, m.indexed[i] = append(m.first, i), next, true
	}
	for i := range m.indexes { // those without which there can't be such a table
		if _, ok := m.hasColumns(i, m.next); ok && !m.indexed[i] && m.needed(i) {
			m.first, m.indexed[i] = append(m.first, i), true
		}
	}
}

// inOrder tells whether the visible columns with ids up to the given one, or those of them that are among some, are wanted in the order of
// their ids.
func (m *maker) inOrder(upTo int64, among map[string]bool) bool {
	before := int64(0)
	for _, c := range m.visible() {
		if c.ID > upTo || among != nil && !among[c.Name.L] {
			continue
		}
		if c.ID < before {
			return false
		}
		before = c.ID
	}
	return true
}

// dependedOn are the columns, by their names in lower case, that other ones with ids up to the given one are computed of. A server changes
// nothing about these any more, not their place either.
func (m *maker) dependedOn(upTo int64) map[string]bool {
	names := map[string]bool{}
	for _, c := range m.t.Columns {
		for name := range c.Dependences {
			names[name] = names[name] || c.ID <= upTo
		}
	}
	return names
}

// hasColumns tells whether the index's columns are there once the columns below next are, and returns the next id when the columns
// of its expressions have got theirs: just those that they had.
func (m *maker) hasColumns(i int, next int64) (int64, bool) {
	for _, part := range m.indexes[i].Columns {
		switch c := m.t.Columns[part.Offset]; {
		case c.Hidden && c.ID == next:
			next++
		case c.Hidden || c.ID >= next:
			return next, false
		}
	}
	return next, true
}

// needed tells whether an index must be there from the beginning.
func (m *maker) needed(i int) bool {
	x := m.indexes[i]
	return x.Primary && m.t.IsCommonHandle || len(x.Columns) > 0 && mysql.HasAutoIncrementFlag(m.t.Columns[x.Columns[0].Offset].GetFlag())
}

// stored tells whether rows have values of a column.
func stored(c *model.ColumnInfo) bool { return !c.IsGenerated() || c.GeneratedStored }

// plain tells whether one CREATE TABLE gives all columns their ids.
func (m *maker) plain() bool {
	if m.next != m.last+1 || len(m.first) < len(m.indexes) || len(m.visible()) != int(m.begin) {
		return false
	}
	return slices.IsSortedFunc(m.visible(), func(a, b *model.ColumnInfo) int { return int(a.ID - b.ID) })
}

// visible are the columns that users see, in order.
func (m *maker) visible() []*model.ColumnInfo {
	var out []*model.ColumnInfo
	for _, c := range m.t.Columns {
		if !c.Hidden {
			out = append(out, c)
		}
	}
	return out
}

// possible refuses what no order of statements leads to.
func (m *maker) possible() error {
	refuse := func(c *model.ColumnInfo, why string) error {
		return fault.New(fault.User, 0, "table %s of the archive can't be restored yet: its columns were changed after it had been made, "+
			"and column %s (id %d), %s, can't be added to a table", m.t.Name.O, c.Name.O, c.ID, why)
	}
	for _, c := range m.visible() {
		if c.ID <= m.begin {
			continue
		}
		switch by := m.t.GetPartitionInfo(); {
		case c.IsGenerated() && c.GeneratedStored:
			return refuse(c, "which is generated and stored")
		case m.t.PKIsHandle && mysql.HasPriKeyFlag(c.GetFlag()):
			return refuse(c, "which is the primary key")
		case mysql.HasAutoIncrementFlag(c.GetFlag()):
			return refuse(c, "which is AUTO_INCREMENT")
		case by != nil && (strings.Contains(strings.ToLower(by.Expr), "`"+c.Name.L+"`") || slices.ContainsFunc(by.Columns, func(n pmodel.CIStr) bool { return n.L == c.Name.L })):
			return refuse(c, "by which it is partitioned")
		}
	}
	for i, x := range m.indexes {
		if !m.indexed[i] && m.needed(i) {
			return refuse(m.t.Columns[x.Columns[0].Offset], "in the index "+x.Name.O)
		}
	}
	return nil
}

// create is the CREATE TABLE. It leaves out what needs columns that are added later.
func (m *maker) create() string {
	t := m.t
	var lines []string
	for id := int64(1); id <= m.begin; id++ {
		c := m.byID[id]
		if c == nil {
			lines = append(lines, m.gap(id))
			continue
		}
		m.written[id] = column(t, c)
		m.order, lines = append(m.order, id), append(lines, m.written[id])
	}
	if pk := t.GetPkColInfo(); t.PKIsHandle && pk != nil {
		lines = append(lines, integerKey(pk))
	}
	for _, i := range m.first {
		lines = append(lines, index(t, m.indexes[i]))
	}
	if m.whole() {
		lines = append(lines, constraints(t)...)
	}
	text := "CREATE TABLE " + sqlconn.QuoteName(t.Name.O) + " (\n  " + strings.Join(lines, ",\n  ") + "\n)" + options(t) + partitions(t.GetPartitionInfo())
	if m.whole() {
		text += ttl(t.TTLInfo)
	}
	return text
}

// whole tells whether all visible columns are in the CREATE TABLE.
func (m *maker) whole() bool {
	return !slices.ContainsFunc(m.visible(), func(c *model.ColumnInfo) bool { return c.ID > m.begin })
}

// gap is the line of a placeholder.
func (m *maker) gap(id int64) string {
	m.gaps = append(m.gaps, sqlconn.QuoteName(fmt.Sprintf("_sluice_gap_%d", id)))
	return m.gaps[len(m.gaps)-1] + " TINYINT"
}

func (m *maker) add(format string, args ...any) {
	m.alter = append(m.alter, "ALTER TABLE "+sqlconn.QuoteName(m.t.Name.O)+" "+fmt.Sprintf(format, args...))
}

// remaining adds the columns that the CREATE TABLE hasn't made, in the order of their ids.
func (m *maker) remaining() {
	for ; m.next <= m.last; m.next++ {
		c := m.byID[m.next]
		if c != nil && !stored(c) {
			m.settle() // what it is computed of can't be changed later
		}
		if c != nil && c.Hidden {
			if m.addIndexes(c) {
				continue
			}
			c = nil // its index comes last, and it gets an id that no column has had
		}
		if c == nil {
			m.addGap()
			continue
		}
		m.written[c.ID] = m.added(c)
		m.add("ADD COLUMN %s%s", m.written[c.ID], m.place(c))
		m.insert(c)
	}
}

// addGap adds a placeholder for the next column.
func (m *maker) addGap() {
	if len(m.gaps) >= maxGaps {
		m.drop()
	}
	m.add("ADD COLUMN %s", m.gap(m.next))
}

// before is the column that a column comes behind, of those that are there.
func (m *maker) before(c *model.ColumnInfo) (last *model.ColumnInfo) {
	for _, other := range m.visible() {
		if other == c {
			break
		}
		if m.written[other.ID] != "" {
			last = other
		}
	}
	return last
}

// place is where a statement puts a column.
func (m *maker) place(c *model.ColumnInfo) string {
	if last := m.before(c); last != nil {
		return " AFTER " + sqlconn.QuoteName(last.Name.O)
	}
	return " FIRST"
}

// insert notes that a column has come to its place.
func (m *maker) insert(c *model.ColumnInfo) {
	at := 0
	if last := m.before(c); last != nil {
		at = slices.Index(m.order, last.ID) + 1
	}
	m.order = slices.Insert(m.order, at, c.ID)
}

// addIndexes adds the index whose expression a hidden column holds, after all that come before it, if the column so gets its id.
func (m *maker) addIndexes(c *model.ColumnInfo) bool {
	next, list := m.next, []int(nil)
	for i, x := range m.indexes {
		if m.indexed[i] {
			continue
		}
		var ok bool
		if next, ok = m.hasColumns(i, next); !ok {
			return false
		}
		list = append(list, i)
		if slices.ContainsFunc(x.Columns, func(p *model.IndexColumn) bool { return m.t.Columns[p.Offset] == c }) {
			break
		}
	}
	if next == m.next {
		return false
	}
	for _, i := range list {
		m.addIndex(i)
	}
	m.next = next - 1
	return true
}

func (m *maker) addIndex(i int) {
	m.indexed[i] = true
	m.add("ADD %s", index(m.t, m.indexes[i]))
}

// added is the line of a column that is added so that rows without it have the value in it that they had: the default is that of
// the moment when it is added, and settle puts the present one in its place.
func (m *maker) added(c *model.ColumnInfo) string {
	if !stored(c) {
		return column(m.t, c)
	}
	as := *c
	as.FieldType = *c.FieldType.Clone()
	as.DefaultIsExpr, as.DefaultValue, as.DefaultValueBit = false, nil, nil
	as.DelFlag(mysql.OnUpdateNowFlag | mysql.NoDefaultValueFlag)
	switch value := c.GetOriginDefaultValue(); {
	case value == nil:
		as.DelFlag(mysql.NotNullFlag)
	case mysql.HasNotNullFlag(c.GetFlag()) && value == zero(c):
		as.AddFlag(mysql.NoDefaultValueFlag) // which is what a server takes if there is no default, in the same form
	case as.SetDefaultValue(value) != nil:
		as.AddFlag(mysql.NoDefaultValueFlag) // a value of another type; that the tables differ is seen before rows come
	}
	return column(m.t, &as)
}

// zero is the value of a column that is NOT NULL and has no default, in rows that lack it.
func zero(c *model.ColumnInfo) any {
	value := table.GetZeroValue(c)
	text, err := value.ToString()
	if err != nil {
		return nil
	}
	return text
}

// drop drops the placeholders.
func (m *maker) drop() {
	if len(m.gaps) > 0 {
		m.add("DROP COLUMN %s", strings.Join(m.gaps, ", DROP COLUMN "))
		m.gaps = nil
	}
}

// settle gives the columns that are there their definitions and places.
func (m *maker) settle() {
	fixed := m.dependedOn(m.next - 1)
	var there []*model.ColumnInfo
	for _, c := range m.visible() {
		if m.written[c.ID] != "" {
			there = append(there, c)
		}
	}
	stay := m.longestRising(there, fixed)
	for _, c := range there {
		switch text := column(m.t, c); {
		case !stay[c.ID]:
			m.add("MODIFY COLUMN %s%s", text, m.place(c))
			m.order = slices.DeleteFunc(m.order, func(id int64) bool { return id == c.ID })
			m.insert(c)
			m.written[c.ID] = text
		case text != m.written[c.ID]:
			m.add("MODIFY COLUMN %s", text)
			m.written[c.ID] = text
		}
	}
}

// dropDefaults takes the default away from columns that have none although they may be NULL, which no definition says.
func (m *maker) dropDefaults() {
	for _, c := range m.visible() {
		if flags := c.GetFlag(); mysql.HasNoDefaultValueFlag(flags) && !mysql.HasNotNullFlag(flags) && !c.IsGenerated() && !mysql.HasAutoIncrementFlag(flags) {
			m.add("ALTER COLUMN %s DROP DEFAULT", sqlconn.QuoteName(c.Name.O))
		}
	}
}

// longestRising returns the ids of as many columns as possible that stand in the wanted order already, with all that can't be moved.
func (m *maker) longestRising(wanted []*model.ColumnInfo, fixed map[string]bool) map[int64]bool {
	at := make(map[int64]int, len(m.order))
	for i, id := range m.order {
		at[id] = i
	}
	weight, before := make([]int, len(wanted)), make([]int, len(wanted))
	end := -1
	for i, c := range wanted {
		own := 1
		if fixed[c.Name.L] {
			own = len(wanted)
		}
		weight[i], before[i] = own, -1
		for j := range i {
			if at[wanted[j].ID] < at[c.ID] && weight[j]+own > weight[i] {
				weight[i], before[i] = weight[j]+own, j
			}
		}
		if end < 0 || weight[i] > weight[end] {
			end = i
		}
	}
	stay := map[int64]bool{}
	for ; end >= 0; end = before[end] {
		stay[wanted[end].ID] = true
	}
	return stay
}

// rest adds what the CREATE TABLE could not have.
func (m *maker) rest() {
	for i := range m.indexes {
		if !m.indexed[i] {
			m.addIndex(i)
		}
	}
	if m.whole() {
		return
	}
	for _, line := range constraints(m.t) {
		m.add("ADD %s", line)
	}
	if text := ttl(m.t.TTLInfo); text != "" {
		m.add("%s", text)
	}
}

package define

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Changing is how a table that holds rows becomes the one that an archive has, without a row being written: a server that wrote some
// would give them a later timestamp than the archive's changes have, which would then be behind them. So indexes whose entries the table
// hasn't yet come last, when all rows are there, and so does what looks at the rows. Statements call the table by the archive's name.
type Changing struct {
	// Before are ALTER TABLEs for the time before the archive's changes are brought in, After those for the time behind that; in order.
	Before, After []string
	// Later are the names, in lower case, of the archive's indexes that After makes: until then the table has none of their entries.
	Later map[string]bool
}

// Change returns how a table becomes another one, and nothing if it is like that already: what is left of changes that were begun is found by
// asking again. old tells of an index of want whether the table held its entries when the changes began: one that was dropped and made anew
// did not, though it may look the same. What can't be done so is an error of the user.
func Change(now, want *model.TableInfo, old func(*model.IndexInfo) bool) (*Changing, error) {
	for _, t := range []*model.TableInfo{now, want} {
		if err := supported(t); err != nil {
			return nil, err
		}
	}
	c := &changer{now: now, want: want, nowByID: map[int64]*model.ColumnInfo{}, out: &Changing{Later: map[string]bool{}}}
	soft := *want
	soft.Columns = make([]*model.ColumnInfo, len(want.Columns))
	c.maker = maker{t: &soft, byID: map[int64]*model.ColumnInfo{}, written: map[int64]string{}, indexes: indexes(want), indexed: map[int]bool{}, last: want.MaxColumnID}
	for _, col := range now.Columns {
		c.nowByID[col.ID] = col
	}
	for i, col := range want.Columns {
		soft.Columns[i] = c.soften(col)
		c.byID[col.ID], c.last = soft.Columns[i], max(c.last, col.ID)
	}
	c.begin, c.next = now.MaxColumnID, now.MaxColumnID+1
	for _, step := range []func() error{c.same, c.columnsFit, c.keepIndexes(old), c.possible} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.before()
	c.after()
	c.out.Before = c.alter
	return c.out, nil
}

// changer builds a Changing. It is used once. The maker's table is want without what is only true when all rows are there.
type changer struct {
	maker
	now, want *model.TableInfo
	nowByID   map[int64]*model.ColumnInfo
	dropped   []*model.IndexInfo // of now
	kept      []string           // what is changed about indexes that stay
	later     []*model.IndexInfo // of want
	out       *Changing
}

func (c *changer) refuse(format string, args ...any) error {
	return fault.New(fault.User, 0, "table %s can't be changed as it was before the archive was made: %s", c.want.Name.O, fmt.Sprintf(format, args...))
}

// wanted is what a column of now becomes; nil if it goes. A placeholder may have the id that the archive's table has for an expression.
func (c *changer) wanted(was *model.ColumnInfo) *model.ColumnInfo {
	if col := c.byID[was.ID]; col != nil && !col.Hidden && !was.Hidden {
		return col
	}
	return nil
}

// soften returns a column as it can be while rows of before are there.
func (c *changer) soften(col *model.ColumnInfo) *model.ColumnInfo {
	was := c.nowByID[col.ID]
	if was == nil || mysql.HasNotNullFlag(was.GetFlag()) || !mysql.HasNotNullFlag(col.GetFlag()) {
		return col
	}
	soft := *col
	soft.FieldType = *col.FieldType.Clone()
	soft.DelFlag(mysql.NotNullFlag)
	return &soft
}

// same refuses what no ALTER TABLE without new rows changes.
func (c *changer) same() error {
	a, b := c.now, c.want
	parts := func(t *model.TableInfo) string {
		p := t.GetPartitionInfo()
		if p == nil {
			return ""
		}
		p = p.Clone()
		for i := range p.Definitions {
			p.Definitions[i].PlacementPolicyRef = nil
		}
		return partitions(p)
	}
	rest := func(t *model.TableInfo) string {
		bare := *t
		bare.AutoIncID, bare.AutoRandID, bare.Comment, bare.PlacementPolicyRef, bare.ShardRowIDBits, bare.AutoIDCache = 0, 0, "", nil, 0, 0
		return options(&bare)
	}
	switch {
	case a.PKIsHandle != b.PKIsHandle || a.IsCommonHandle != b.IsCommonHandle || a.CommonHandleVersion != b.CommonHandleVersion:
		return c.refuse("its clustered primary key is another one")
	case parts(a) != parts(b):
		return c.refuse("its partitions are others")
	case rest(a) != rest(b):
		return c.refuse("it had%s, and has%s", rest(b), rest(a))
	case a.AutoRandomBits != b.AutoRandomBits || a.AutoRandomRangeBits != b.AutoRandomRangeBits:
		return c.refuse("its AUTO_RANDOM is another one")
	}
	return nil
}

// columnsFit looks at the columns that stay.
func (c *changer) columnsFit() error {
	for _, col := range c.want.Columns {
		was := c.nowByID[col.ID]
		switch {
		case col.Hidden:
		case was == nil && col.ID <= c.begin:
			return c.refuse("its column %s has the id %d, which is behind those of the columns that it has or had (%d)", col.Name.O, col.ID, c.begin)
		case was == nil:
		case was.Hidden:
			return c.refuse("its column %s has the id %d, which is that of an expression", col.Name.O, col.ID)
		default:
			if err := c.stays(was, col); err != nil {
				return err
			}
		}
	}
	return nil
}

// stays refuses to change a column so that rows or entries of indexes would have to be written.
func (c *changer) stays(was, col *model.ColumnInfo) error {
	taken := model.FindColumnInfo(c.now.Columns, col.Name.L)
	switch {
	case taken != nil && taken != was && c.wanted(taken) != nil:
		return c.refuse("its column %s has the name that column %s is to get", taken.Name.O, was.Name.O)
	case was.IsGenerated() != col.IsGenerated() || was.GeneratedExprString != col.GeneratedExprString || was.GeneratedStored != col.GeneratedStored:
		return c.refuse("its column %s is computed in another way", col.Name.O)
	case mysql.HasAutoIncrementFlag(was.GetFlag()) != mysql.HasAutoIncrementFlag(col.GetFlag()):
		return c.refuse("AUTO_INCREMENT of its column %s is changed", col.Name.O)
	case !holds(col, was):
		return c.refuse("its column %s is %s, and was to become %s", col.Name.O, was.GetTypeDesc(), col.GetTypeDesc())
	}
	return nil
}

// holds tells whether values of a column's rows and indexes stay what they are in another one, by the types alone.
func holds(col, was *model.ColumnInfo) bool {
	if was.GetType() == col.GetType() && was.GetFlen() == col.GetFlen() && was.GetDecimal() == col.GetDecimal() && sign(was) == sign(col) &&
		was.GetCharset() == col.GetCharset() && was.GetCollate() == col.GetCollate() && slices.Equal(was.GetElems(), col.GetElems()) {
		return true
	}
	if sign(was) != sign(col) || was.GetCharset() != col.GetCharset() || was.GetCollate() != col.GetCollate() {
		return false
	}
	a, b := width[was.GetType()], width[col.GetType()]
	switch was.GetType() {
	case mysql.TypeTiny, mysql.TypeShort, mysql.TypeInt24, mysql.TypeLong, mysql.TypeLonglong:
		return b > 0 && a <= b
	case mysql.TypeVarchar, mysql.TypeString:
		return was.GetType() == col.GetType() && was.GetFlen() <= col.GetFlen() && !binaryPadded(col)
	case mysql.TypeTinyBlob, mysql.TypeBlob, mysql.TypeMediumBlob, mysql.TypeLongBlob:
		return width[col.GetType()] == 0 && isBlob(col) && was.GetFlen() <= col.GetFlen()
	case mysql.TypeEnum, mysql.TypeSet:
		elems := col.GetElems()
		return was.GetType() == col.GetType() && len(elems) >= len(was.GetElems()) && slices.Equal(elems[:len(was.GetElems())], was.GetElems())
	}
	return false
}

// width orders the types of integers.
var width = map[byte]int{mysql.TypeTiny: 1, mysql.TypeShort: 2, mysql.TypeInt24: 3, mysql.TypeLong: 4, mysql.TypeLonglong: 5}

func sign(c *model.ColumnInfo) bool { return mysql.HasUnsignedFlag(c.GetFlag()) }

// binaryPadded tells whether values are filled up with zero bytes to the column's length.
func binaryPadded(c *model.ColumnInfo) bool {
	return c.GetType() == mysql.TypeString && mysql.HasBinaryFlag(c.GetFlag()) && c.GetCharset() == "binary"
}

func isBlob(c *model.ColumnInfo) bool {
	switch c.GetType() {
	case mysql.TypeTinyBlob, mysql.TypeBlob, mysql.TypeMediumBlob, mysql.TypeLongBlob:
		return true
	}
	return false
}

// keepIndexes finds out which indexes stay, which go, and which come later.
func (c *changer) keepIndexes(old func(*model.IndexInfo) bool) func() error {
	return func() error {
		stay := map[string]bool{}
		for i, x := range c.indexes {
			c.indexed[i] = true // none is made before the rows are there
			if was := c.now.FindIndexByName(x.Name.L); was != nil && c.sameIndex(was, x) && (old(x) || x.Primary && c.want.IsCommonHandle) {
				c.keep(was, x, stay)
			}
		}
		for _, x := range c.indexes {
			switch was := c.renamed(x, stay); {
			case stay[x.Name.L]:
			case was != nil && old(x):
				c.kept = append(c.kept, fmt.Sprintf("RENAME INDEX %s TO %s", sqlconn.QuoteName(was.Name.O), sqlconn.QuoteName(x.Name.O)))
				c.keep(was, x, stay)
			case x.Primary && c.want.IsCommonHandle:
				return c.refuse("its clustered primary key is another one")
			default:
				c.later = append(c.later, x)
				c.out.Later[x.Name.L] = true
			}
		}
		for _, x := range c.now.Indices {
			if !stay[x.Name.L] {
				c.dropped = append(c.dropped, x)
			}
		}
		return c.keepsAutoIncrement(stay)
	}
}

// keep notes that an index stays.
func (c *changer) keep(was, x *model.IndexInfo, stay map[string]bool) {
	stay[was.Name.L] = true
	if was.Invisible != x.Invisible {
		c.kept = append(c.kept, fmt.Sprintf("ALTER INDEX %s %s", sqlconn.QuoteName(x.Name.O), map[bool]string{true: "INVISIBLE", false: "VISIBLE"}[x.Invisible]))
	}
}

// renamed is the index that has the entries of one whose name is free; nil if there is none.
func (c *changer) renamed(x *model.IndexInfo, stay map[string]bool) *model.IndexInfo {
	if x.Primary || c.now.FindIndexByName(x.Name.L) != nil {
		return nil
	}
	for _, was := range c.now.Indices {
		if !stay[was.Name.L] && c.want.FindIndexByName(was.Name.L) == nil && c.sameIndex(was, x) {
			return was
		}
	}
	return nil
}

// keepsAutoIncrement makes sure that a column that gives ids always is the first one of an index.
func (c *changer) keepsAutoIncrement(stay map[string]bool) error {
	for _, col := range c.now.Columns {
		if !mysql.HasAutoIncrementFlag(col.GetFlag()) || c.now.PKIsHandle && mysql.HasPriKeyFlag(col.GetFlag()) {
			continue
		}
		leads := func(x *model.IndexInfo) bool { return x.Columns[0].Name.L == col.Name.L }
		if slices.ContainsFunc(c.dropped, leads) && !slices.ContainsFunc(c.now.Indices, func(x *model.IndexInfo) bool { return stay[x.Name.L] && leads(x) }) {
			return c.refuse("the index of its AUTO_INCREMENT column %s was made anew", col.Name.O)
		}
	}
	return nil
}

// sameIndex compares an index of now with one of want.
func (c *changer) sameIndex(was, x *model.IndexInfo) bool {
	if was.Unique != x.Unique || was.Primary != x.Primary || was.Global != x.Global || was.MVIndex != x.MVIndex || was.Comment != x.Comment || was.State != model.StatePublic {
		return false
	}
	return slices.EqualFunc(was.Columns, x.Columns, func(a, b *model.IndexColumn) bool {
		from, to := c.now.Columns[a.Offset], c.want.Columns[b.Offset]
		if from.Hidden || to.Hidden {
			return from.Hidden && to.Hidden && from.GeneratedExprString == to.GeneratedExprString && from.FieldType.Equal(&to.FieldType)
		}
		return from.ID == to.ID && a.Length == b.Length
	})
}

// before makes the statements for the time before the rows.
func (c *changer) before() {
	for _, line := range missing(constraintNames(c.now), constraintNames(c.want)) {
		c.add("%s", line.drop)
	}
	for _, x := range c.dropped {
		if x.Primary {
			c.add("DROP PRIMARY KEY")
		} else {
			c.add("DROP INDEX %s", sqlconn.QuoteName(x.Name.O))
		}
	}
	c.dropColumns()
	for _, was := range c.now.Columns {
		col := c.wanted(was)
		if col == nil {
			continue
		}
		if was.Name.O != col.Name.O {
			c.add("RENAME COLUMN %s TO %s", sqlconn.QuoteName(was.Name.O), sqlconn.QuoteName(col.Name.O))
		}
		named := *was
		named.Name = col.Name
		c.order, c.written[was.ID] = append(c.order, was.ID), column(c.now, &named)
	}
	c.remaining()
	c.drop()
	c.settle()
	for _, col := range c.visible() {
		flags := col.GetFlag()
		was := c.nowByID[col.ID]
		if mysql.HasNoDefaultValueFlag(flags) && !mysql.HasNotNullFlag(flags) && !col.IsGenerated() && !mysql.HasAutoIncrementFlag(flags) &&
			(was == nil || !mysql.HasNoDefaultValueFlag(was.GetFlag())) {
			c.add("ALTER COLUMN %s DROP DEFAULT", sqlconn.QuoteName(col.Name.O))
		}
	}
	for _, text := range c.kept {
		c.add("%s", text)
	}
	c.changeOptions()
}

// dropColumns drops what want hasn't: first the columns that are computed of others.
func (c *changer) dropColumns() {
	var gone []*model.ColumnInfo
	for _, col := range c.now.Columns {
		if !col.Hidden && c.wanted(col) == nil {
			gone = append(gone, col)
		}
	}
	slices.SortStableFunc(gone, func(a, b *model.ColumnInfo) int {
		return map[bool]int{true: 0, false: 1}[a.IsGenerated()] - map[bool]int{true: 0, false: 1}[b.IsGenerated()]
	})
	for _, col := range gone {
		c.add("DROP COLUMN %s", sqlconn.QuoteName(col.Name.O))
	}
}

// changeOptions gives the table what it says of itself.
func (c *changer) changeOptions() {
	a, b := c.now, c.want
	if a.Comment != b.Comment {
		c.add("COMMENT = %s", literal(b.Comment))
	}
	if a.ShardRowIDBits != b.ShardRowIDBits {
		c.add("SHARD_ROW_ID_BITS = %d", b.ShardRowIDBits)
	}
	if a.AutoIDCache != b.AutoIDCache {
		c.add("AUTO_ID_CACHE = %d", b.AutoIDCache)
	}
	switch was, is := ttl(a.TTLInfo), ttl(b.TTLInfo); {
	case was == is:
	case is == "":
		c.add("REMOVE TTL")
	default:
		c.add("%s", is)
	}
}

// after makes the statements for the time when all rows are there.
func (c *changer) after() {
	add := func(format string, args ...any) {
		c.out.After = append(c.out.After, "ALTER TABLE "+sqlconn.QuoteName(c.want.Name.O)+" "+fmt.Sprintf(format, args...))
	}
	for i, col := range c.want.Columns {
		if c.t.Columns[i] != col {
			add("MODIFY COLUMN %s", column(c.want, col))
		}
	}
	for _, x := range c.later {
		add("ADD %s", index(c.want, x))
	}
	for _, line := range missing(constraintNames(c.want), constraintNames(c.now)) {
		add("ADD %s", line.make)
	}
}

// constraint is a foreign key or a condition, as statements make and drop it.
type constraint struct{ make, drop string }

func constraintNames(t *model.TableInfo) []constraint {
	var out []constraint
	for i, line := range constraints(t) {
		drop := "DROP CONSTRAINT "
		if i < len(t.ForeignKeys) {
			drop = "DROP FOREIGN KEY "
		}
		_, name, _ := strings.Cut(line, "CONSTRAINT ")
		out = append(out, constraint{line, drop + firstName(name)})
	}
	return out
}

// firstName is the quoted name that a text begins with.
func firstName(text string) string {
	for i := 1; i < len(text); i++ {
		if text[i] != '`' {
			continue
		}
		if i+1 < len(text) && text[i+1] == '`' {
			i++
			continue
		}
		return text[:i+1]
	}
	return text
}

// missing are those of a list that another one hasn't.
func missing(of, other []constraint) (out []constraint) {
	for _, x := range of {
		if !slices.Contains(other, x) {
			out = append(out, x)
		}
	}
	return out
}

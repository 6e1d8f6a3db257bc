package encode

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
)

// session is what of a session decides about a value.
type session struct {
	mode mysql.SQLMode
	zone string
}

// sessions share the cells of a type among them.
var sessions = []session{
	{strictMode, "UTC"},
	{0, "Asia/Shanghai"},
	{mysql.ModeStrictAllTables | mysql.ModeAllowInvalidDates, "America/New_York"},
	{mysql.ModeNoZeroDate | mysql.ModeNoZeroInDate, "Europe/London"},
}

// general returns the plan without its fast paths: every cell takes TiDB's own
// conversion, every index entry the code that any index can take.
func (p *Plan) general() *Plan {
	g := *p
	g.columns = slices.Clone(p.columns)
	for i := range g.columns {
		g.columns[i].parse = nil
	}
	g.fields = slices.Clone(p.fields)
	for i := range g.fields {
		g.fields[i].parse = nil
		g.fields[i].column = &g.columns[g.fields[i].offset]
	}
	g.indexes = slices.Clone(p.indexes)
	for i := range g.indexes {
		g.indexes[i].quick.ok = false
	}
	return &g
}

// TestFastAndGeneralEncoderAgree holds the fast paths of every type to the
// general one on cellsPerType generated cells, malformed ones among them: the
// same pairs, byte for byte, or the same error, and the same warnings.
func TestFastAndGeneralEncoderAgree(t *testing.T) {
	t.Parallel()
	for _, f := range families() {
		for _, sql := range f.types {
			t.Run(sql, func(t *testing.T) {
				t.Parallel()
				for _, s := range sessions {
					compareEncoders(t, &f, sql, s, cellsPerType/len(sessions))
				}
			})
		}
	}
}

// encoderPair is the same plan twice, with and without fast paths.
type encoderPair struct {
	fast, general   *Encoder
	fastTo, generTo *kv.Arena
}

func compareEncoders(t *testing.T, f *family, sql string, s session, cells int) {
	seed := seedOf(t)
	fail := func(text []byte) string {
		return fmt.Sprintf("%s, sql_mode %d, %s, seed %d: %q", sql, s.mode, s.zone, seed, text)
	}
	r := rand.New(rand.NewSource(seed))
	plan := compile(t, indexedColumn(t, sql), s.mode, mustZone(t, s.zone))
	p := encoderPair{plan.NewEncoder(), plan.general().NewEncoder(), kv.NewArena(1<<12, 4), kv.NewArena(1<<12, 4)}
	taken := 0
	row := make([]format.Field, 1)
	for i := range cells {
		row[0].Bytes = []byte(f.text(r))
		if why := p.differ(row, int64(i+1)); why != "" {
			require.Fail(t, why, fail(row[0].Bytes))
		}
		var c cell
		if plan.columns[0].parse(p.fast, &plan.columns[0], row[0].Bytes, &c) {
			taken++
		}
	}
	require.Greater(t, taken, cells/200, "%s: the fast parser takes hardly anything", sql)
	if sql != "BLOB" { // which takes anything
		require.Less(t, taken, cells, "%s: no malformed cell among them", sql)
	}
}

// indexedColumn makes a table of one column with an index on it, and one on a
// prefix where there is such a thing.
func indexedColumn(t *testing.T, sql string) *model.TableInfo {
	info := tableInfo(t, "v "+sql)
	tp := &info.Columns[0].FieldType
	if tp.GetType() == mysql.TypeJSON {
		return info
	}
	if !types.IsTypeBlob(tp.GetType()) {
		addIndex(info, false, "v")
	}
	addIndex(info, true, "v")
	if types.IsString(tp.GetType()) {
		info.Indices[len(info.Indices)-1].Columns[0].Length = 3
	}
	return info
}

// differ encodes a row both ways and says in what they differ, if at all.
func (p *encoderPair) differ(row []format.Field, rowID int64) string {
	p.fastTo.Reset()
	p.generTo.Reset()
	fastErr := p.fast.EncodeRow(row, rowID, p.fastTo)
	generalErr := p.general.EncodeRow(row, rowID, p.generTo)
	switch {
	case fmt.Sprint(fastErr) != fmt.Sprint(generalErr):
		return fmt.Sprintf("the fast encoder says %v, the general one %v", fastErr, generalErr)
	case p.fast.Warnings().Count != p.general.Warnings().Count:
		return fmt.Sprintf("%d warnings from the fast encoder, %d from the general one", p.fast.Warnings().Count, p.general.Warnings().Count)
	case !slices.Equal(p.fastTo.Buf, p.generTo.Buf) || !slices.Equal(p.fastTo.Refs, p.generTo.Refs):
		return fmt.Sprintf("the fast encoder's pairs are %x %v, the general one's %x %v", p.fastTo.Buf, p.fastTo.Refs, p.generTo.Buf, p.generTo.Refs)
	}
	return ""
}

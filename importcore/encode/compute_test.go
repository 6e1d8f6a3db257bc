package encode

import (
	"fmt"
	"math"
	"math/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	tidbparser "github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	tidbtable "github.com/pingcap/tidb/pkg/table"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/pingcap/tidb/pkg/util/collate"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/encode/sqlexpr"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/table"
)

// generate makes a column generated.
func generate(info *model.TableInfo, offset int, expr string, stored bool) {
	col := info.Columns[offset]
	col.GeneratedExprString, col.GeneratedStored = expr, stored
}

func list(names ...string) []table.FieldTarget {
	var out []table.FieldTarget
	for _, n := range names {
		if name, isVar := strings.CutPrefix(n, "@"); isVar {
			out = append(out, table.FieldTarget{Var: name})
		} else {
			out = append(out, table.FieldTarget{Column: n})
		}
	}
	return out
}

// assign parses "column = expression".
func assign(t testing.TB, texts ...string) []table.Assignment {
	t.Helper()
	var out []table.Assignment
	for _, text := range texts {
		stmt, err := tidbparser.New().ParseOneStmt("UPDATE t SET "+text, "utf8mb4", "utf8mb4_bin")
		require.NoError(t, err)
		a := stmt.(*ast.UpdateStmt).List[0]
		out = append(out, table.Assignment{Column: a.Column.Name.O, Expr: a.Expr})
	}
	return out
}

// TestGeneratedColumns compares pairs with those of a table in which the computed values are given.
func TestGeneratedColumns(t *testing.T) {
	t.Parallel()
	ddl := "id INT PRIMARY KEY, v BIGINT, a INT, b VARCHAR(20), s VARCHAR(40), w DECIMAL(10,2)"
	info, twin := tableInfo(t, ddl), tableInfo(t, ddl)
	generate(info, 1, "`a` * 2", false)
	generate(info, 4, "concat(`b`, '-', `a`)", true)
	generate(info, 5, "`v` / 3", true)
	for _, i := range []*model.TableInfo{info, twin} {
		addIndex(i, false, "v")
		addIndex(i, true, "s", "w")
	}
	e := compile(t, info, strictMode, time.UTC, list("id", "a", "b")...).NewEncoder()
	given := compile(t, twin, strictMode, time.UTC).NewEncoder()
	for i, c := range []struct{ in, full []format.Field }{
		{fields("1", "10", "x"), fields("1", "20", "10", "x", "x-10", "6.67")},
		{fields("2", `\N`, "y"), fields("2", `\N`, `\N`, "y", `\N`, `\N`)},
		{fields("3", "-7", `\N`), fields("3", "-14", "-7", `\N`, `\N`, "-4.67")},
	} {
		got, want := kv.NewArena(1<<10, 10), kv.NewArena(1<<10, 10)
		require.NoError(t, e.EncodeRow(c.in, int64(i+1), got))
		require.NoError(t, given.EncodeRow(c.full, int64(i+1), want))
		require.Len(t, got.Refs, 3)
		for r := 1; r < 3; r++ { // the index entries are equal
			require.Equal(t, want.Key(want.Refs[r]), got.Key(got.Refs[r]))
			require.Equal(t, want.Value(want.Refs[r]), got.Value(got.Refs[r]))
		}
		// The record has all columns but the virtual one.
		names := string(got.Value(got.Refs[0]))
		require.NotContains(t, names[rowHeader:rowHeader+int(names[2])+int(names[4])], "\x02")
	}
}

// TestOddCells: where an INSERT computes with something else than the column
// then holds, a stored column gets what the INSERT gives it, and a virtual one
// what reads give: by that its index entries are looked for.
func TestOddCells(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ typ, value, stored, virtual string }{
		{"DOUBLE", "-0", "-0", "0"},
		{"DOUBLE", " -0", "-0", "0"},
		{"FLOAT", "-0.0", "-0", "0"},
		{"DECIMAL(8,3) UNSIGNED", "-5", "0", "0.000"},
		{"DATETIME(3)", "0000-00-00", "0000-00-00 00:00:00", "0000-00-00 00:00:00.000"},
		{"TIMESTAMP(1)", "x", "0000-00-00 00:00:00", "0000-00-00 00:00:00.0"},
		{"DECIMAL(20,3)", "-" + strings.Repeat("0", 89) + "1", "-1", "-1.000"},
		{"DECIMAL(8,3) NOT NULL", `\N`, "0", "0.000"}, // zero for NULL, as INSERTs of several rows store it
	} {
		// w and x read the columns before them, as an INSERT and as a read have them.
		ddl := "v " + c.typ + ", s VARCHAR(60), g VARCHAR(60), w VARCHAR(60), x VARCHAR(60)"
		info := tableInfo(t, ddl)
		for i, expr := range []string{"concat(`v`)", "concat(`v`)", "concat(`g`, 'w')", "concat(`s`, `g`)"} {
			generate(info, i+1, expr, i%2 == 0)
		}
		for _, name := range []string{"s", "g", "w", "x"} {
			addIndex(info, false, name)
		}
		e, a := compile(t, info, 0, time.UTC, list("v")...).NewEncoder(), kv.NewArena(1<<10, 10)
		for range 2 { // nothing of an odd cell stays for the next row
			a.Reset()
			require.NoError(t, e.EncodeRow(fields(c.value), 1, a), c.value)
			for i, want := range []string{c.stored, c.virtual, c.stored + "w", c.stored + c.virtual} {
				require.Equal(t, want, string(e.cells[i+1].b), "column %d of %s %q", i+1, c.typ, c.value)
				key, err := codec.EncodeKey(time.UTC, nil, types.NewStringDatum(want))
				require.NoError(t, err)
				require.Contains(t, string(a.Key(a.Refs[i+1])), string(key), "index of column %d of %s %q", i+1, c.typ, c.value)
			}
			if c.typ == "DOUBLE" {
				a.Reset()
				require.NoError(t, e.EncodeRow(fields("0"), 1, a))
				require.Equal(t, "0", string(e.cells[1].b))
			}
		}
	}
}

// TestGeneratedErrors: the codes and columns of values that can't be computed; nothing of the row stays.
func TestGeneratedErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ddl, expr, value string
		notNull          bool
		strict, lax      uint16
	}{
		{"a INT, g TINYINT", "`a` + 1", "127", false, 1264, 0},
		{"a INT, g BIGINT", "`a` * 9223372036854775807", "2", false, 1690, 0},
		{"a INT, g INT", "1 / `a`", "0", false, 1365, 0},
		{"a INT, g VARCHAR(2)", "concat(`a`, 'x')", "12", false, 1406, 0},
		{"a INT, g INT", "`a`", `\N`, true, 1048, 0},
		{"a VARCHAR(9), g JSON", "cast(`a` as json)", "{", false, 3140, 3140},
		{"a VARCHAR(9), g INT", "`a`", "12x", false, 1366, 0},
	} {
		for mode, code := range map[mysql.SQLMode]uint16{strictMode | mysql.ModeErrorForDivisionByZero: c.strict, mysql.ModeErrorForDivisionByZero: c.lax} {
			info := tableInfo(t, c.ddl)
			generate(info, 1, c.expr, false)
			if c.notNull {
				info.Columns[1].AddFlag(mysql.NotNullFlag)
			}
			e, a := compile(t, info, mode, time.UTC, list("a")...).NewEncoder(), kv.NewArena(1<<10, 10)
			err := e.EncodeRow(fields(c.value), 1, a)
			if code == 0 {
				require.NoError(t, err, c.expr)
				require.EqualValues(t, 1, e.Warnings().Count, "%s of %s", c.expr, c.value)
				continue
			}
			require.Error(t, err, c.expr)
			require.Equal(t, code, fault.As(err).Code, "%s: %v", c.expr, err)
			require.Equal(t, "g", fault.As(err).At.Column)
			require.Equal(t, fault.Source, fault.As(err).Whose)
			require.Empty(t, a.Refs)
			require.Empty(t, a.Buf)
		}
	}
}

func TestCheckConstraints(t *testing.T) {
	t.Parallel()
	info := tableInfo(t, "a INT, b INT")
	constraint := func(name, expr string, enforced bool, state model.SchemaState, cols ...string) {
		con := &model.ConstraintInfo{Name: pmodel.NewCIStr(name), ExprString: expr, Enforced: enforced, State: state}
		for _, c := range cols {
			con.ConstraintCols = append(con.ConstraintCols, pmodel.NewCIStr(c))
		}
		info.Constraints = append(info.Constraints, con)
	}
	constraint("order", "`a` <= `b`", true, model.StatePublic, "a", "b")
	constraint("off", "`a` > 100", false, model.StatePublic, "a")
	constraint("gone", "`z` > 100", true, model.StatePublic, "z")
	constraint("leaving", "`a` > 100", true, model.StateDeleteOnly, "a")
	e, a := compile(t, info, strictMode, time.UTC).NewEncoder(), kv.NewArena(1<<10, 10)
	require.NoError(t, e.EncodeRow(fields("1", "2"), 1, a))
	require.NoError(t, e.EncodeRow(fields(`\N`, "2"), 2, a), "NULL is no violation")
	err := e.EncodeRow(fields("3", "2"), 3, a)
	require.EqualError(t, err, "Check constraint 'order' is violated.")
	require.Equal(t, uint16(3819), fault.As(err).Code)
	require.Len(t, a.Refs, 2)
}

func TestExpressionDefaults(t *testing.T) {
	t.Parallel()
	info := tableInfo(t, "id INT PRIMARY KEY, u VARCHAR(40), r DOUBLE, q DOUBLE, w VARCHAR(20), n BIGINT, m BIGINT, o BIGINT")
	for offset, expr := range map[int]string{1: "uuid()", 2: "rand()", 3: "rand(5)", 4: "upper(substring_index(user(), _utf8mb4'@', 1))", 5: "nextval(`x`.`s`)", 6: "nextval(`s2`)", 7: "nextval(`X`.`S`)"} {
		info.Columns[offset].DefaultIsExpr, info.Columns[offset].DefaultValue = true, expr
	}
	addIndex(info, false, "u")
	addIndex(info, false, "q")
	addIndex(info, false, "w")
	for _, name := range []string{"n", "m", "o"} {
		addIndex(info, false, name)
	}
	cfg := configOf(t, info, strictMode, time.UTC, list("id")...)
	cfg.User = "me@there"
	plan, err := Compile(cfg)
	require.NoError(t, err)
	require.Equal(t, []SequenceUse{{DB: "x", Name: "s", PerRow: 2}, {DB: "db", Name: "s2", PerRow: 1}}, plan.Sequences())

	e, a := plan.NewEncoder(), kv.NewArena(1<<12, 10)
	e.UseSequences(10, [][]int64{{1, 2, 3, 4}, {-7, -8}})
	entry := func(i int) string { return string(a.Key(a.Refs[i])[19:]) }
	var rows [2][7]string
	for row := range 2 {
		a.Reset()
		require.NoError(t, e.EncodeRow(fields(fmt.Sprint(row)), 10+int64(row), a))
		for i := range rows[row] {
			rows[row][i] = entry(min(i, 6))
		}
		key := func(v int64) string { return string(appendKeyInt([]byte{flagInt}, v)) }
		require.True(t, strings.HasPrefix(entry(4), key(int64(row*2+1))))
		require.True(t, strings.HasPrefix(entry(5), key(int64(-7-row))))
		require.True(t, strings.HasPrefix(entry(6), key(int64(row*2+2))))
		require.Contains(t, entry(3), "ME")
	}
	require.NotEqual(t, rows[0][1], rows[1][1], "a UUID for each row")
	require.Equal(t, rows[0][2][:9], rows[1][2][:9], "RAND(5) starts again for each row")
	err = e.EncodeRow(fields("9"), 12, a)
	require.ErrorContains(t, err, "no value of sequence x.s")
	require.Equal(t, fault.Sluice, fault.As(err).Whose)

	cfg.User = ""
	_, err = Compile(cfg)
	require.ErrorContains(t, err, "state of a session")
}

func TestAssignments(t *testing.T) {
	t.Parallel()
	info := tableInfo(t, "id INT PRIMARY KEY, a VARCHAR(20), n DECIMAL(10,2)")
	addIndex(info, false, "a")
	addIndex(info, false, "n")
	cfg := configOf(t, info, strictMode, time.UTC)
	var err error
	cfg.Mapping, err = cfg.Target.Map(list("id", "@V", "@v", "@w"), assign(t, "a = CONCAT(@v, '+', IFNULL(@W, 'null'))", "n = @w / 3")...)
	require.NoError(t, err)
	plan, err := Compile(cfg)
	require.NoError(t, err)
	given := compile(t, info, strictMode, time.UTC).NewEncoder()
	e := plan.NewEncoder()
	for i, c := range []struct{ in, want []format.Field }{
		{fields("1", "x", "y", "2"), fields("1", "y+2", "0.67")},
		{fields("2", "x", "", `\N`), fields("2", "+null", `\N`)},
		{fields("3", "x", `\N`, "9"), fields("3", `\N`, "3")},
	} {
		got, want := kv.NewArena(1<<10, 10), kv.NewArena(1<<10, 10)
		require.NoError(t, e.EncodeRow(c.in, int64(i), got))
		require.NoError(t, given.EncodeRow(c.want, int64(i), want))
		require.Equal(t, want, got)
	}
	a := kv.NewArena(1<<10, 10)
	err = e.EncodeRow(fields("4", "x", strings.Repeat("é", 30), "1"), 4, a)
	require.Equal(t, uint16(1406), fault.As(err).Code)
	require.Equal(t, "a", fault.As(err).At.Column)
	require.Empty(t, a.Refs)
}

// TestOptionalFields: the fields of generated columns at the end may be missing.
func TestOptionalFields(t *testing.T) {
	t.Parallel()
	info := tableInfo(t, "a INT, g INT, b INT, h INT, i INT")
	for _, offset := range []int{1, 3, 4} {
		generate(info, offset, "`a` + 1", false)
	}
	e, a := compile(t, info, strictMode, time.UTC).NewEncoder(), kv.NewArena(1<<10, 10)
	require.NoError(t, e.EncodeRow(fields("1", "x", "2", "x", "x"), 1, a))
	first := string(a.Value(a.Refs[0]))
	for n := 3; n <= 5; n++ {
		require.NoError(t, e.EncodeRow(fields("1", "x", "2", "x", "x")[:n], int64(n), a))
		require.Equal(t, first, string(a.Value(a.Refs[len(a.Refs)-1])))
	}
	few := fault.As(e.EncodeRow(fields("1", "x"), 9, a))
	require.Equal(t, uint16(1261), few.Code)
	require.Contains(t, few.Message, "generated columns have a field too")
	require.Equal(t, uint16(1262), fault.As(e.EncodeRow(fields("1", "x", "2", "x", "x", "x"), 9, a)).Code)
}

// TestMultiValuedIndex: an entry for each distinct member.
func TestMultiValuedIndex(t *testing.T) {
	t.Parallel()
	multi := func(sql string, unique bool) *Encoder {
		info := tableInfo(t, "id INT PRIMARY KEY, j JSON, k INT")
		col := info.Columns[1].Clone()
		col.ID, col.Offset, col.Name, col.Hidden = 4, 3, pmodel.NewCIStr("_v$_mv_0"), true
		stmt, err := tidbparser.New().ParseOneStmt("SELECT CAST(j AS "+sql+" ARRAY) FROM t", "", "")
		require.NoError(t, err)
		col.FieldType = *stmt.(*ast.SelectStmt).Fields.Fields[0].Expr.(*ast.FuncCastExpr).Tp
		col.GeneratedExprString = "cast(`j` as " + strings.ToLower(sql) + " array)"
		info.Columns = append(info.Columns, col)
		addIndex(info, unique, "k", "_v$_mv_0")
		info.Indices[0].MVIndex = true
		return compile(t, info, strictMode, time.UTC, list("id", "j", "k")...).NewEncoder()
	}
	count := func(e *Encoder, j string) (distinct, pairs int) {
		a := kv.NewArena(1<<12, 10)
		require.NoError(t, e.EncodeRow(fields("1", j, "7"), 1, a), j)
		keys := map[string]bool{}
		for _, ref := range a.Refs[1:] {
			keys[string(a.Key(ref))] = true
		}
		return len(keys), len(a.Refs) - 1
	}
	for _, c := range []struct {
		sql, json      string
		unique         bool
		distinct, want int
	}{
		{"UNSIGNED", "[3, 1, 3, 2, 1]", false, 3, 3}, {"UNSIGNED", "[]", false, 0, 0}, {"UNSIGNED", `\N`, false, 1, 1}, {"UNSIGNED", "5", false, 1, 1},
		{"SIGNED", "[-1, 1]", true, 2, 2}, {"CHAR(10)", `["a", "A", "b", "a"]`, false, 3, 3}, {"CHAR(10)", `["a", "a ", "a  "]`, false, 3, 3},
		{"CHAR(10)", `["a", "a "]`, true, 2, 2}, {"DOUBLE", "[0.5, 1e2, 100]", false, 2, 2}, {"DOUBLE", "[0.0, -0.0, 1]", false, 2, 2}, {"DOUBLE", "[0.0, -0.0]", true, 1, 2},
	} {
		distinct, pairs := count(multi(c.sql, c.unique), c.json)
		require.Equal(t, [2]int{c.distinct, c.want}, [2]int{distinct, pairs}, "%s: %s", c.sql, c.json)
	}
	info := multi("UNSIGNED", false).plan.cfg.Target.Info
	lax := compile(t, info, 0, time.UTC, list("id", "j", "k")...).NewEncoder()
	require.Equal(t, uint16(3752), fault.As(lax.EncodeRow(fields("1", "[-1]", "7"), 1, kv.NewArena(1<<10, 1))).Code, "a lax SQL mode too")
	for code, j := range map[uint16]string{3903: `["x"]`, 3752: "[-1]"} {
		a := kv.NewArena(1<<12, 10)
		err := multi("UNSIGNED", false).EncodeRow(fields("1", j, "7"), 1, a)
		require.Equal(t, code, fault.As(err).Code, "%v", err)
		require.ErrorContains(t, err, "kk__v$_mv_0")
		require.Empty(t, a.Refs)
	}
}

func TestFloatAutoIncrement(t *testing.T) {
	t.Parallel()
	for _, mode := range []mysql.SQLMode{0, mysql.ModeNoAutoValueOnZero} {
		info := tableInfo(t, "id DOUBLE AUTO_INCREMENT, v INT")
		addIndex(info, false, "id")
		e := compile(t, info, mode, time.UTC).NewEncoder()
		for i, c := range []struct {
			in        string
			want, max float64
		}{{`\N`, 1, 1}, {"0", 2, 2}, {"0.3", 3, 3}, {"100.6", 100.6, 101}, {"-5", -5, 101}, {`\N`, 6, 101}} {
			want := c.want
			if mode != 0 && (c.in == "0" || c.in == "0.3") {
				want = 0
			}
			a := kv.NewArena(1<<10, 10)
			require.NoError(t, e.EncodeRow(fields(c.in, "1"), int64(i+1), a))
			require.Equal(t, appendKeyNumber(nil, classFloat, &cell{u: floatBits(want)}), a.Key(a.Refs[1])[19:28], "%s: %v", c.in, want)
			if mode == 0 {
				require.EqualValues(t, c.max, e.MaxIDs().AutoIncrement)
			}
		}
	}
}

// TestDatumOfCell: what an expression sees of a column is what TiDB's conversion gives.
func TestDatumOfCell(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewSource(seedOf(t)))
	for _, f := range families() {
		for _, sql := range append(f.types, "VECTOR(2)") {
			info := tableInfo(t, "v "+sql+", g INT")
			generate(info, 1, "isnull(`v`)", false) // makes v an input
			e := compile(t, info, strictMode, mustZone(t, "America/New_York"), list("v")...).NewEncoder()
			texts := append([]string{"[1,2]", "-0", "-0.0", "0"}, f.seeds...)
			for range 300 {
				texts = append(texts, f.text(r))
			}
			for _, text := range texts {
				want, err := tidbtable.CastColumnValue(e.conv.ctx, types.NewStringDatum(text), info.Columns[0], false, false)
				e.conv.sink.pending = nil
				if e.EncodeRow(fields(text), 1, kv.NewArena(1<<10, 10)) != nil || err != nil || text == `\N` {
					continue
				}
				got, err := e.conv.inserted(&e.plan.columns[0], &e.cells[0])
				require.NoError(t, err)
				wantText, err := want.ToString()
				require.NoError(t, err)
				gotText, err := got.ToString()
				require.NoError(t, err)
				require.Equal(t, wantText, gotText, "%s: %q", sql, text)
				if want.Kind() == types.KindFloat64 || want.Kind() == types.KindFloat32 {
					require.Equal(t, math.Signbit(want.GetFloat64()), math.Signbit(got.GetFloat64()), "%s: %q", sql, text)
				}
				c, err := want.Compare(types.DefaultStmtNoWarningContext, &got, collate.GetBinaryCollator())
				require.NoError(t, err)
				require.Zero(t, c, "%s: %q", sql, text)
			}
		}
	}
}

func TestExpressionsThatCantBe(t *testing.T) {
	t.Parallel()
	for expr, code := range map[string]uint16{"nofunction(`a`)": 1046, "(select 1)": 1235, "@x": 1235, "`zz` + 1": 1235} {
		info := tableInfo(t, "a INT, g INT")
		generate(info, 1, expr, false)
		_, err := Compile(configOf(t, info, strictMode, time.UTC))
		require.Error(t, err, expr)
		require.Equal(t, code, fault.As(err).Code, "%s: %v", expr, err)
		require.Equal(t, fault.User, fault.As(err).Whose)
	}
	_, err := sqlexpr.Parse("1 +")
	require.Equal(t, fault.Cluster, fault.As(err).Whose)
}

// TestEncodersShareAPlan is for the race detector: encoders build their
// expressions from the plan's syntax trees, at the same time.
func TestEncodersShareAPlan(t *testing.T) {
	t.Parallel()
	info := tableInfo(t, "id INT PRIMARY KEY, a VARCHAR(20), d DECIMAL(10,2), g VARCHAR(60), h DECIMAL(10,3), u VARCHAR(40)")
	generate(info, 3, "concat(`a`, _utf8mb4'-', case when `d` in (1.50, 2.5, 3) then 'x' else cast(`d` as char(10)) end)", false)
	generate(info, 4, "`d` * 1.005 + cast('1.5' as decimal(10,3))", true)
	info.Columns[5].DefaultIsExpr, info.Columns[5].DefaultValue = true, "replace(upper(uuid()), '-', '')"
	addIndex(info, false, "g")
	addIndex(info, false, "h")
	cfg := configOf(t, info, strictMode, time.UTC)
	var err error
	cfg.Mapping, err = cfg.Target.Map(list("id", "@v", "d"), assign(t, "a = IF(@v LIKE 'a%', @v, 1.25)")...)
	require.NoError(t, err)
	plan, err := Compile(cfg)
	require.NoError(t, err)
	keys := make([][]byte, 8)
	var workers sync.WaitGroup
	for w := range keys {
		workers.Go(func() {
			e, a := plan.NewEncoder(), kv.NewArena(1<<16, 10)
			for i := range 50 {
				if err := e.EncodeRow(fields(fmt.Sprint(i), pick(rand.New(rand.NewSource(int64(i))), "abc", "xyz"), "2.5"), int64(i+1), a); err != nil {
					t.Error(err)
				}
			}
			for _, ref := range a.Refs {
				keys[w] = append(keys[w], a.Key(ref)...)
			}
		})
	}
	workers.Wait()
	for _, k := range keys[1:] {
		require.Equal(t, keys[0], k)
	}
}

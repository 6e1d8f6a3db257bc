package encode

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/rowcodec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/table"
)

// demoPlan is the table of the demo: bigint key, unique varchar, decimal,
// datetime, int with an index, text.
func demoPlan(t testing.TB) *Plan {
	info := tableInfo(t, "id BIGINT PRIMARY KEY, name VARCHAR(64), amount DECIMAL(12,2), created DATETIME, category INT, note TEXT")
	addIndex(info, true, "name")
	addIndex(info, false, "category")
	return compile(t, info, strictMode, time.UTC)
}

func demoRow(i int) []format.Field {
	return fields(fmt.Sprint(i*7919), fmt.Sprintf("user-%09d", i), fmt.Sprintf("%d.%02d", i%100000, i%100), "2024-05-06 07:08:09",
		fmt.Sprint(i%1000), "a text of some eighty bytes, as the demo's rows have between thirty and one hundred")
}

func TestDemoRowAllocatesNothing(t *testing.T) {
	e, a := demoPlan(t).NewEncoder(), kv.NewArena(1<<16, 10)
	row := demoRow(12345)
	allocs := testing.AllocsPerRun(1000, func() {
		a.Reset()
		if err := e.EncodeRow(row, 1, a); err != nil {
			t.Error(err)
		}
	})
	require.Zero(t, allocs)
	require.Len(t, a.Refs, 3)
}

// TestTablesAllocateNothing goes through files of dataset's tables.
func TestTablesAllocateNothing(t *testing.T) {
	for _, b := range benchTables(t, 64<<10) {
		rows := b.parsed(t)
		e, a := b.plan.NewEncoder(), kv.NewArena(1<<20, 10)
		allocs := testing.AllocsPerRun(5, func() {
			a.Reset()
			for i, row := range rows {
				if err := e.EncodeRow(row, int64(i+1), a); err != nil {
					t.Error(err)
				}
			}
		})
		require.Zero(t, allocs, b.name)
		require.Len(t, a.Refs, len(rows)*b.plan.PairsPerRow(), b.name)
	}
}

// TestFastTypesAllocateNothing covers every type but vectors, whose conversion is TiDB's.
func TestFastTypesAllocateNothing(t *testing.T) {
	info := tableInfo(t, `id BIGINT UNSIGNED PRIMARY KEY, a DECIMAL(65,30), b FLOAT, c DOUBLE, d DATE, e DATETIME(6), f TIMESTAMP(3), g TIME(2), h YEAR,
		i CHAR(10), j BINARY(10), k BLOB, l ENUM('x','y'), m SET('x','y'), n BIT(20), o SMALLINT, p JSON`)
	for _, col := range info.Columns[1:] {
		if !types.IsTypeBlob(col.GetType()) && col.GetType() != mysql.TypeJSON {
			addIndex(info, col.Offset%2 == 0, col.Name.L)
		}
	}
	e, a := compile(t, info, strictMode, mustZone(t, "Asia/Shanghai")).NewEncoder(), kv.NewArena(1<<16, 10)
	row := fields("1", "-123.456", "1.5", "2.5e3", "2024-01-02", "2024-01-02 03:04:05.123456", "2024-01-02 03:04:05.1", "10:11:12.13", "2024",
		"äbc  ", "abc", "blob", "y", "x,y", "\x01\x02", `\N`, `{"b": [1, 2.5, null], "a": "text"}`)
	allocs := testing.AllocsPerRun(1000, func() {
		a.Reset()
		if err := e.EncodeRow(row, 1, a); err != nil {
			t.Error(err)
		}
	})
	require.Zero(t, allocs)
}

// TestRowFormat compares records with TiDB's row encoder on random rows of
// narrow and wide ids, with NULLs, shorter and longer than 64 KiB.
func TestRowFormat(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewSource(7))
	for range 2000 {
		n := r.Intn(12)
		ids := r.Perm(20 + r.Intn(2)*500)[:n]
		var cols []rowCol
		var cells []cell
		var colIDs []int64
		var datums []types.Datum
		for i, id := range ids {
			col := rowCol{id: uint32(id + 1), cell: i, class: classBytes, skipNull: r.Intn(2) == 0}
			c := cell{null: r.Intn(3) == 0}
			var d types.Datum
			if !c.null && r.Intn(2) == 0 {
				col.class, c.u = classInt, uint64(int64(r.Uint64())>>r.Intn(64))
				d.SetInt64(int64(c.u))
			} else if !c.null {
				c.b = make([]byte, r.Intn(10))
				if r.Intn(10) == 0 {
					c.b = make([]byte, 65530+r.Intn(10))
				}
				d.SetBytes(c.b)
			}
			cols, cells = append(cols, col), append(cells, c)
			if !c.null || !col.skipNull {
				colIDs, datums = append(colIDs, int64(col.id)), append(datums, d)
			}
		}
		plan := newRowPlan(cols)
		want, err := (&rowcodec.Encoder{Enable: true}).Encode(time.UTC, colIDs, datums, nil, nil)
		require.NoError(t, err)
		require.Equal(t, append([]byte("before"), want...), plan.appendRow([]byte("before"), cells))
	}
}

// TestOffsetWidth goes through the lengths at which offsets get wide.
func TestOffsetWidth(t *testing.T) {
	t.Parallel()
	plan := newRowPlan([]rowCol{{id: 1, cell: 0, class: classBytes}, {id: 2, cell: 1, class: classBytes}})
	for total := 65533; total < 65540; total++ {
		for _, second := range []int{0, 1, 2} {
			cells := []cell{{b: make([]byte, total-second)}, {b: make([]byte, second)}}
			datums := []types.Datum{types.NewBytesDatum(cells[0].b), types.NewBytesDatum(cells[1].b)}
			want, err := (&rowcodec.Encoder{Enable: true}).Encode(time.UTC, []int64{1, 2}, datums, nil, nil)
			require.NoError(t, err)
			require.Equal(t, want, plan.appendRow(nil, cells), "%d bytes, %d of them last", total, second)
		}
	}
}

func TestBadRowsLeaveNothing(t *testing.T) {
	t.Parallel()
	e, a := demoPlan(t).NewEncoder(), kv.NewArena(1<<12, 10)
	require.NoError(t, e.EncodeRow(demoRow(1), 1, a))
	buf, refs := string(a.Buf), len(a.Refs)
	good := func() []format.Field { return demoRow(2) }
	for _, c := range []struct {
		name   string
		row    []format.Field
		code   uint16
		column string
		value  string
	}{
		{"too few", good()[:5], 1261, "", ""},
		{"too many", append(good(), format.Field{}), 1262, "", ""},
		{"number", with(good(), 4, "12x"), 1366, "category", `"12x"`},
		{"empty number", with(good(), 4, ""), 1366, "category", `""`},
		{"range", with(good(), 4, "2147483648"), 1264, "category", `"2147483648"`},
		{"decimal range", with(good(), 2, "10000000000"), 1264, "amount", `"10000000000"`},
		{"date", with(good(), 3, "2024-02-30 00:00:00"), 1292, "created", `"2024-02-30 00:00:00"`},
		{"long", with(good(), 1, string(make([]byte, 65))), 1406, "name", ""},
		{"utf8", with(good(), 5, "a\xff"), 1366, "note", `"a\xff"`},
		{"null and number", with(with(demoRowWithNull(), 4, "12x"), 5, "x"), 1366, "category", `"12x"`},
		{"null key", fields(`\N`, "a", "1", "2024-01-01", "1", "x"), 1048, "id", "NULL"},
	} {
		err := e.EncodeRow(c.row, 2, a)
		require.Error(t, err, c.name)
		f := fault.As(err)
		require.NotNil(t, f, c.name)
		require.Equal(t, c.code, f.Code, "%s: %v", c.name, err)
		require.Equal(t, fault.Source, f.Whose)
		require.Equal(t, c.column, f.At.Column, c.name)
		if c.value != "" {
			require.Equal(t, c.value, f.At.Value, c.name)
		}
		require.Equal(t, buf, string(a.Buf), c.name)
		require.Len(t, a.Refs, refs, c.name)
	}
	require.NoError(t, e.EncodeRow(good(), 3, a), "the encoder goes on after errors")
	require.Len(t, a.Refs, 2*refs)
}

// demoRowWithNull has a NULL where none is allowed, before all other fields.
func demoRowWithNull() []format.Field {
	row := demoRow(2)
	row[0] = format.Field{Null: true}
	return row
}

func with(row []format.Field, i int, text string) []format.Field {
	row[i] = format.Field{Bytes: []byte(text)}
	return row
}

// TestRowsDoNotLeak checks that nothing of one row shows in the next.
func TestRowsDoNotLeak(t *testing.T) {
	t.Parallel()
	info := tableInfo(t, "id BIGINT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(10), b DECIMAL(5,2), c BINARY(4)")
	addIndex(info, false, "a", "b")
	plan := compile(t, info, strictMode, time.UTC)
	rows := [][]format.Field{fields(`\N`, "x", "1.5", "ab"), fields("7", `\N`, `\N`, `\N`), fields("0", "", "-2", "abcd"), fields(`\N`, `\N`, "3", "")}
	shared := plan.NewEncoder()
	for i, row := range rows {
		got, want := kv.NewArena(1<<10, 10), kv.NewArena(1<<10, 10)
		require.NoError(t, shared.EncodeRow(row, int64(i+1), got))
		require.NoError(t, plan.NewEncoder().EncodeRow(row, int64(i+1), want))
		require.Equal(t, want, got)
	}
}

func TestMaxIDs(t *testing.T) {
	t.Parallel()
	a := kv.NewArena(1<<10, 10)
	e := compile(t, tableInfo(t, "id BIGINT AUTO_INCREMENT, v INT"), strictMode, time.UTC).NewEncoder()
	for i, id := range []string{`\N`, "500", "-3", "0"} {
		require.NoError(t, e.EncodeRow(fields(id, "1"), int64(i+1), a))
	}
	require.Equal(t, MaxIDs{RowID: 4, AutoIncrement: 500}, e.MaxIDs())

	u := compile(t, tableInfo(t, "id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT"), strictMode, time.UTC).NewEncoder()
	require.NoError(t, u.EncodeRow(fields("18446744073709551615"), 1, a))
	require.Equal(t, MaxIDs{AutoIncrement: 18446744073709551615}, u.MaxIDs())

	tiny := compile(t, tableInfo(t, "id TINYINT PRIMARY KEY AUTO_INCREMENT"), strictMode, time.UTC).NewEncoder()
	require.NoError(t, tiny.EncodeRow(fields(`\N`), 127, a))
	require.Equal(t, uint16(1467), fault.As(tiny.EncodeRow(fields(`\N`), 128, a)).Code)

	var sum MaxIDs
	sum.Merge(e.MaxIDs())
	sum.Merge(u.MaxIDs())
	require.Equal(t, MaxIDs{RowID: 4, AutoIncrement: 18446744073709551615}, sum)
}

func TestWarningsUnderLaxMode(t *testing.T) {
	t.Parallel()
	e, a := compile(t, tableInfo(t, "a TINYINT, b VARCHAR(2), c INT NOT NULL"), mysql.SQLMode(0), time.UTC).NewEncoder(), kv.NewArena(1<<10, 10)
	require.NoError(t, e.EncodeRow(fields("300", "abc", `\N`), 1, a))
	w := e.Warnings()
	require.EqualValues(t, 3, w.Count)
	require.Equal(t, []Warning{{1264, "a", "Out of range value for column 'a'"}, {1406, "b", "Data too long for column 'b'"}, {1048, "c", "Column 'c' cannot be null"}}, w.First)
	for i := range 200 {
		require.NoError(t, e.EncodeRow(fields("300", "ab", "1"), int64(i+2), a))
	}
	require.EqualValues(t, 203, e.Warnings().Count)
	require.Len(t, e.Warnings().First, maxWarnings)
}

func TestDroppedFieldsAndPrefix(t *testing.T) {
	t.Parallel()
	info := tableInfo(t, "id INT PRIMARY KEY, v INT")
	cfg := configOf(t, info, strictMode, nil, table.FieldTarget{Column: "V"}, table.FieldTarget{Var: "x"}, table.FieldTarget{Column: "id"})
	cfg.KeyspacePrefix = []byte("x\x00\x00\x07")
	plan, err := Compile(cfg)
	require.NoError(t, err)
	a := kv.NewArena(1<<10, 10)
	require.NoError(t, plan.NewEncoder().EncodeRow(fields("5", "not a number", "9"), 1, a))
	require.Equal(t, 1, plan.PairsPerRow())
	require.Equal(t, "x\x00\x00\x07t\x80\x00\x00\x00\x00\x00\x00\x2a_r\x80\x00\x00\x00\x00\x00\x00\x09", string(a.Key(a.Refs[0])))
	require.Equal(t, []byte{128, 0, 1, 0, 0, 0, 2, 1, 0, 5}, a.Value(a.Refs[0]))
	require.Equal(t, "x\x00\x00\x07t\x80\x00\x00\x00\x00\x00\x00\x2a_", string(plan.SharedPrefix()))
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	_, err := Compile(Config{})
	require.Equal(t, fault.Sluice, fault.As(err).Whose)

	info := tableInfo(t, "a INT, b INT")
	info.Columns[1].SetType(mysql.TypeGeometry)
	_, err = Compile(configOf(t, info, strictMode, time.UTC))
	require.ErrorContains(t, err, "column b has the type geometry")
}

// TestWhichFault: a value that can't be converted is named before a NULL, and of
// several NULLs the one whose column comes first in the table.
func TestWhichFault(t *testing.T) {
	t.Parallel()
	info := tableInfo(t, "a INT NOT NULL, b INT NOT NULL, c TINYINT")
	e, a := compile(t, info, strictMode, time.UTC, table.FieldTarget{Column: "b"}, table.FieldTarget{Var: "x"}, table.FieldTarget{Column: "a"}, table.FieldTarget{Column: "c"}).NewEncoder(), kv.NewArena(1<<10, 10)
	for _, c := range []struct {
		row    []format.Field
		code   uint16
		column string
	}{
		{fields(`\N`, "", `\N`, "1"), 1048, "a"},
		{fields(`\N`, "", "1", "1"), 1048, "b"},
		{fields(`\N`, "", `\N`, "999"), 1264, "c"},
		{fields("x", "", `\N`, "999"), 1366, "b"},
		{fields(`\N`, "", "x", "999"), 1366, "a"},
	} {
		f := fault.As(e.EncodeRow(c.row, 1, a))
		require.NotNil(t, f)
		require.Equal(t, c.code, f.Code)
		require.Equal(t, c.column, f.At.Column)
	}
	require.Empty(t, a.Refs)
}

package encode

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	tidbkv "github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
)

// partitioned makes a table of partitions with the ids 100, 101, ...: by is an
// expression, or column names after COLUMNS; defs are the bounds, the values or
// nothing, separated by semicolons and (in lists) bars.
func partitioned(t testing.TB, columns string, kind pmodel.PartitionType, by string, defs ...string) *model.TableInfo {
	t.Helper()
	info := tableInfo(t, columns)
	pi := &model.PartitionInfo{Type: kind, Enable: true, Expr: by, Num: uint64(len(defs))}
	if names, ok := strings.CutPrefix(by, "COLUMNS "); ok {
		pi.Expr = ""
		for _, name := range strings.Split(names, ",") {
			pi.Columns = append(pi.Columns, pmodel.NewCIStr(name))
		}
	}
	for i, text := range defs {
		def := model.PartitionDefinition{ID: int64(100 + i), Name: pmodel.NewCIStr(fmt.Sprint("p", i))}
		switch kind {
		case pmodel.PartitionTypeRange:
			def.LessThan = strings.Split(text, ";")
		case pmodel.PartitionTypeList:
			for _, values := range strings.Split(text, "|") {
				def.InValues = append(def.InValues, strings.Split(values, ";"))
			}
		}
		pi.Definitions = append(pi.Definitions, def)
	}
	info.Partition = pi
	return info
}

var partitionedTables = []struct {
	name    string
	columns string
	kind    pmodel.PartitionType
	by      string
	defs    []string
	rows    map[string]int // values, separated by commas, and the partition's place
}{
	{"hash", "a BIGINT", pmodel.PartitionTypeHash, "`a`", []string{"", "", ""},
		map[string]int{"0": 0, "4": 1, "-5": 2, `\N`: 0, "9223372036854775807": 1}},
	{"hash of a year", "a DATE", pmodel.PartitionTypeHash, "YEAR(`a`)", []string{"", "", ""},
		map[string]int{"2020-01-01": 1, "2021-01-01": 2, `\N`: 0}},
	{"range", "a BIGINT", pmodel.PartitionTypeRange, "`a`", []string{"-5", "10", "MAXVALUE"},
		map[string]int{"-6": 0, "-5": 1, "9": 1, "10": 2, "9223372036854775807": 2, `\N`: 0}},
	{"range unsigned", "a BIGINT UNSIGNED", pmodel.PartitionTypeRange, "`a`", []string{"10", "18446744073709551615"},
		map[string]int{"9": 0, "10": 1, "18446744073709551614": 1, "18446744073709551615": -1, `\N`: 0}},
	{"range of days", "a DATE", pmodel.PartitionTypeRange, "TO_DAYS(`a`)", []string{"737790", "738156"},
		map[string]int{"2019-12-31": 0, "2020-01-01": 1, "2020-12-31": 1, "2021-01-01": -1}},
	{"range columns", "a DATETIME, b VARCHAR(9), c INT", pmodel.PartitionTypeRange, "COLUMNS a,b,c", []string{"'2020-01-01 00:00:00';'m';3", "'2020-01-01 00:00:00';'m';MAXVALUE", "MAXVALUE;MAXVALUE;MAXVALUE"},
		map[string]int{"2019-12-31 23:59:59,z,9": 0, "2020-01-01 00:00:00,m ,2": 0, "2020-01-01 00:00:00,m,3": 1, "2020-01-01 00:00:00,ma,0": 2, `2020-01-01 00:00:00,\N,9`: 0, `\N,z,9`: 0, `2020-01-01 00:00:00,m,\N`: 0}},
	{"list", "a INT", pmodel.PartitionTypeList, "`a`", []string{"1|2", "-1|NULL", "1 + 8"},
		map[string]int{"2": 0, "-1": 1, `\N`: 1, "9": 2, "3": -1}},
	{"list with a default", "a INT", pmodel.PartitionTypeList, "`a`", []string{"1|2", "DEFAULT"},
		map[string]int{"2": 0, "-1": 1, `\N`: 1}},
	{"list columns", "a INT, b VARCHAR(9)", pmodel.PartitionTypeList, "COLUMNS a,b", []string{"1;'x'|2;NULL", "1;'y'"},
		map[string]int{"1,x": 0, `2,\N`: 0, "1,y ": 1, "2,x": -1, `\N,x`: -1}},
	{"key", "a INT, b VARCHAR(9)", pmodel.PartitionTypeKey, "COLUMNS a,b", []string{"", "", "", "", ""},
		map[string]int{"1,x": 0, "1,x ": 0, "123,abc": 1, "-5,q": 2, `\N,\N`: 0}},
}

func TestPartitionOfRow(t *testing.T) {
	t.Parallel()
	for _, c := range partitionedTables {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := compile(t, partitioned(t, c.columns, c.kind, c.by, c.defs...), strictMode, time.UTC).NewEncoder()
			a := kv.NewArena(1<<12, 0)
			for range 3 { // the second time a memo answers
				for text, want := range c.rows {
					a.Reset()
					err := e.EncodeRow(fields(strings.Split(text, ",")...), 1, a)
					if want < 0 {
						require.Error(t, err, text)
						require.EqualValues(t, errno.ErrNoPartitionForGivenValue, fault.As(err).Code)
						require.Contains(t, err.Error(), "Table has no partition for value")
						require.Contains(t, fault.As(err).At.Column, "a")
						require.Empty(t, a.Refs)
						continue
					}
					require.NoError(t, err, text)
					require.EqualValues(t, 100+want, tablecodec.DecodeTableID(a.Key(a.Refs[0])), text)
				}
			}
		})
	}
}

// TestKeyOfOddValues: rows lie where TiDB looks for them, and a -0 leaves
// nothing behind for the rows after it.
func TestKeyOfOddValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ  string
		like string   // a value that reads look for
		odd  []string // values that are stored as it
		then string
	}{
		{"DOUBLE", "0", []string{"-0", " -0", "x"}, "1.5"},
		{"FLOAT", "0", []string{"-0.0", " -0"}, "3"},
		{"DECIMAL(8,3) UNSIGNED", "0", []string{"-5", "-0"}, "1.5"},
		{"TIME(3)", "00:00:00", []string{"x", "00:00:00.0000"}, "01:00:00"},
	} {
		info := partitioned(t, "v "+c.typ, pmodel.PartitionTypeKey, "COLUMNS v", make([]string, 101)...)
		plan := compile(t, info, 0, time.UTC)
		place := func(e *Encoder, v string) int64 {
			a := kv.NewArena(1<<10, 10)
			require.NoError(t, e.EncodeRow(fields(v), 1, a))
			return tablecodec.DecodeTableID(a.Key(a.Refs[0]))
		}
		want, then := place(plan.NewEncoder(), c.like), place(plan.NewEncoder(), c.then)
		e := plan.NewEncoder()
		for _, odd := range c.odd {
			require.Equal(t, want, place(e, odd), "%s %q", c.typ, odd)
			require.Equal(t, then, place(e, c.then), "%s %q after %q", c.typ, c.then, odd)
		}
	}
}

// TestPartitionsCostNoAllocation: finding a partition allocates nothing.
func TestPartitionsCostNoAllocation(t *testing.T) {
	for _, c := range partitionedTables {
		info := partitioned(t, c.columns, c.kind, c.by, c.defs...)
		addIndex(info, false, "a")
		addIndex(info, true, "a")
		info.Indices[1].Global = true
		e := compile(t, info, strictMode, time.UTC).NewEncoder()
		a := kv.NewArena(1<<12, 0)
		for text, want := range c.rows {
			row := fields(strings.Split(text, ",")...)
			if want < 0 || strings.Contains(text, `\N`) && strings.Contains(c.by, "(") {
				continue // an expression of NULL is not remembered
			}
			require.Zero(t, testing.AllocsPerRun(20, func() {
				a.Reset()
				if err := e.EncodeRow(row, 1, a); err != nil {
					panic(err)
				}
			}), "%s: %s", c.name, text)
		}
	}
}

func TestPartitionKeys(t *testing.T) {
	t.Parallel()
	info := partitioned(t, "a INT", pmodel.PartitionTypeHash, "`a`", "", "", "")
	addIndex(info, false, "a")
	plan := compile(t, info, strictMode, time.UTC)
	require.Equal(t, []int64{100, 101, 102}, plan.Tables())
	require.Equal(t, "t\x80\x00\x00\x00\x00\x00\x00", string(plan.SharedPrefix()))

	addIndex(info, true, "a")
	info.Indices[1].Global = true
	plan = compile(t, info, strictMode, time.UTC)
	require.Equal(t, []int64{42, 100, 101, 102}, plan.Tables())
	e, a := plan.NewEncoder(), kv.NewArena(1<<12, 0)
	for i, want := range []int64{101, 102, 100, 101} {
		a.Reset()
		require.NoError(t, e.EncodeRow(fields(fmt.Sprint(i+1)), int64(i+1), a))
		require.Len(t, a.Refs, 3)
		for j, id := range []int64{want, want, 42} {
			require.Equal(t, id, tablecodec.DecodeTableID(a.Key(a.Refs[j])), "row %d, pair %d", i, j)
		}
		handle, err := tablecodec.DecodeHandleInIndexValue(a.Value(a.Refs[2]))
		require.NoError(t, err)
		require.EqualValues(t, i+1, handle.IntValue())
		require.Equal(t, want, handle.(tidbkv.PartitionHandle).PartitionID)
	}
}

func TestGivenPartitions(t *testing.T) {
	t.Parallel()
	info := partitioned(t, "a INT", pmodel.PartitionTypeRange, "`a`", "10", "20", "30")
	cfg := configOf(t, info, strictMode, time.UTC)
	var err error
	cfg.Partitions, err = cfg.Target.FindPartitions([]string{"P1", "p1"})
	require.NoError(t, err)
	plan, err := Compile(cfg)
	require.NoError(t, err)
	require.Equal(t, []int64{101}, plan.Tables())
	require.Equal(t, string(tablecodec.GenTableRecordPrefix(101)), string(plan.SharedPrefix())+"r")
	e, a := plan.NewEncoder(), kv.NewArena(1<<12, 0)
	require.NoError(t, e.EncodeRow(fields("10"), 1, a))
	for value, code := range map[string]uint16{"9": 1748, "20": 1748, "30": 1526} {
		err := e.EncodeRow(fields(value), 1, a)
		require.Error(t, err)
		require.Equal(t, code, fault.As(err).Code)
		require.Equal(t, `"`+value+`"`, fault.As(err).At.Value)
	}
}

func TestPartitionsThatCantBeUnderstood(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind pmodel.PartitionType
		by   string
		defs []string
	}{
		{pmodel.PartitionTypeRange, "`none`", []string{"1"}},
		{pmodel.PartitionTypeRange, "1", []string{"1"}},
		{pmodel.PartitionTypeRange, "`a` +", []string{"1"}},
		{pmodel.PartitionTypeRange, "`a`", []string{"MAXVALUE", "1"}},
		{pmodel.PartitionTypeRange, "`a`", []string{"NULL"}},
		{pmodel.PartitionTypeRange, "COLUMNS a", []string{"1;2"}},
		{pmodel.PartitionTypeRange, "COLUMNS a", []string{"NULL"}},
		{pmodel.PartitionTypeRange, "COLUMNS b", []string{"1"}},
		{pmodel.PartitionTypeList, "COLUMNS a", []string{"1;2"}},
		{pmodel.PartitionTypeList, "`a`", []string{"b"}},
	} {
		_, err := Compile(configOf(t, partitioned(t, "a INT", c.kind, c.by, c.defs...), strictMode, time.UTC))
		require.Error(t, err, "%v", c)
		require.EqualValues(t, errno.ErrNotSupportedYet, fault.As(err).Code)
	}
}

func BenchmarkPartitioned(b *testing.B) {
	for _, c := range partitionedTables {
		for text, want := range c.rows {
			if want < 0 || strings.Contains(text, `\N`) {
				continue
			}
			b.Run(c.name, func(b *testing.B) {
				e := compile(b, partitioned(b, c.columns, c.kind, c.by, c.defs...), strictMode, time.UTC).NewEncoder()
				a, row := kv.NewArena(1<<12, 0), fields(strings.Split(text, ",")...)
				for b.Loop() {
					a.Reset()
					if err := e.EncodeRow(row, 1, a); err != nil {
						b.Fatal(err)
					}
				}
			})
			break
		}
	}
}

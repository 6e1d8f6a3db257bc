package encode

import (
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/errctx"
	tidbkv "github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	tidbtable "github.com/pingcap/tidb/pkg/table"
	"github.com/pingcap/tidb/pkg/table/tables"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/pingcap/tidb/pkg/util/rowcodec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/table"
)

// referencePairs encodes a row as TiDB does: a datum per column, its row codec
// and its index code. It reports false when the conversion refuses a value.
func referencePairs(t testing.TB, cfg *Config, row []format.Field, rowID int64) (map[string]string, bool) {
	t.Helper()
	info, loc := cfg.Target.Info, cfg.Location
	conv := newConverter(cfg)
	datums := make([]types.Datum, len(info.Columns))
	for i, col := range info.Columns {
		if row[i].Null {
			continue
		}
		d := types.NewStringDatum(string(row[i].Bytes))
		var err error
		datums[i], err = tidbtable.CastColumnValue(conv.ctx, d, col, false, false)
		if types.ErrTimestampInDSTTransition.Equal(err) && !cfg.SQLMode.HasStrictMode() {
			err = nil // INSERT stores the moved time
		}
		if err != nil {
			return nil, false
		}
	}
	var handle tidbkv.Handle = tidbkv.IntHandle(rowID)
	switch {
	case info.PKIsHandle:
		handle = tidbkv.IntHandle(datums[info.GetPkColInfo().Offset].GetInt64())
	case info.IsCommonHandle:
		pk := tables.FindPrimaryIndex(info)
		var parts []types.Datum
		for _, ic := range pk.Columns {
			parts = append(parts, datums[ic.Offset])
		}
		tablecodec.TruncateIndexValues(info, pk, parts)
		encoded, err := codec.EncodeKey(loc, nil, parts...)
		require.NoError(t, err)
		handle, err = tidbkv.NewCommonHandle(encoded)
		require.NoError(t, err)
	}
	var ids []int64
	var values []types.Datum
	for i, col := range info.Columns {
		if !tables.CanSkip(info, tidbtable.ToColumn(col), &datums[i]) {
			ids, values = append(ids, col.ID), append(values, datums[i])
		}
	}
	record, err := (&rowcodec.Encoder{Enable: true}).Encode(loc, ids, values, nil, nil)
	require.NoError(t, err)
	pairs := map[string]string{string(tablecodec.EncodeRecordKey(tablecodec.GenTableRecordPrefix(info.ID), handle)): string(record)}
	for _, idx := range cfg.Target.Indexes() {
		addReferenceEntry(t, pairs, cfg, idx, datums, handle)
	}
	return pairs, true
}

func addReferenceEntry(t testing.TB, pairs map[string]string, cfg *Config, idx *model.IndexInfo, datums []types.Datum, handle tidbkv.Handle) {
	info, loc := cfg.Target.Info, cfg.Location
	var parts []types.Datum
	for _, ic := range idx.Columns {
		parts = append(parts, datums[ic.Offset])
	}
	restored := tables.TryGetHandleRestoredDataWrapper(info, datums, nil, idx)
	index := tables.NewIndex(info.ID, info, idx)
	key, distinct, err := index.GenIndexKey(errctx.StrictNoWarningContext, loc, parts, handle, nil)
	require.NoError(t, err)
	value, err := tablecodec.GenIndexValuePortal(loc, info, idx, tables.NeedRestoredData(idx.Columns, info.Columns), distinct, false, parts, handle, info.ID, restored, nil)
	require.NoError(t, err)
	pairs[string(key)] = string(value)
}

var collations = []string{"utf8mb4_bin", "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_0900_ai_ci", "utf8mb4_0900_bin", "latin1_bin", "ascii_bin"}

// randomTable makes a table of a few columns of any type, with any kind of
// handle and indexes, and returns the families that its columns' texts come from.
func randomTable(t testing.TB, r *rand.Rand) (*model.TableInfo, []family) {
	all := families()
	var ddl string
	var sources []family
	for i := range 2 + r.Intn(6) {
		f := all[r.Intn(len(all))]
		sql := pick(r, f.types...)
		if r.Intn(3) == 0 {
			f, sql = all[len(all)-1], pick(r, "CHAR(8)", "VARCHAR(8)", "TEXT")+" COLLATE "+pick(r, collations...)
		}
		if i > 0 {
			ddl += ", "
		}
		ddl += fmt.Sprintf("c%d %s", i, sql)
		sources = append(sources, f)
	}
	info := tableInfo(t, ddl)
	for _, col := range info.Columns {
		col.ID += int64(r.Intn(2) * 250 * col.Offset) // some ids above 255, in order
		if r.Intn(4) == 0 {
			col.OriginDefaultValue = "1"
		}
	}
	for i := range r.Intn(5) {
		info.Indices = append(info.Indices, randomIndex(r, info, int64(i+1)))
	}
	switch r.Intn(3) {
	case 0:
		if col := info.Columns[0]; mysql.IsIntegerType(col.GetType()) {
			info.PKIsHandle = true
			col.AddFlag(mysql.PriKeyFlag | mysql.NotNullFlag)
		}
	case 1:
		pk := randomIndex(r, info, 99)
		pk.Primary, pk.Unique = true, true
		info.IsCommonHandle, info.CommonHandleVersion = true, 1
		for _, ic := range pk.Columns {
			info.Columns[ic.Offset].AddFlag(mysql.PriKeyFlag | mysql.NotNullFlag)
		}
		info.Indices = append(info.Indices, pk)
		if len(pk.Columns) == 0 {
			return randomTable(t, r)
		}
	}
	return info, sources
}

func randomIndex(r *rand.Rand, info *model.TableInfo, id int64) *model.IndexInfo {
	idx := &model.IndexInfo{ID: id, Name: pmodel.NewCIStr(fmt.Sprint("k", id)), State: model.StatePublic, Unique: r.Intn(2) == 0}
	for _, i := range r.Perm(len(info.Columns))[:1+r.Intn(min(3, len(info.Columns)))] {
		col := info.Columns[i]
		if col.GetType() == mysql.TypeJSON {
			continue
		}
		length := types.UnspecifiedLength
		if types.IsString(col.GetType()) && (types.IsTypeBlob(col.GetType()) || r.Intn(2) == 0) {
			length = 1 + r.Intn(5)
		}
		idx.Columns = append(idx.Columns, &model.IndexColumn{Name: col.Name, Offset: i, Length: length})
	}
	return idx
}

// judgeRandomTables compares encoder and reference on random tables and rows.
func judgeRandomTables(t *testing.T, newCollation bool, count int) {
	r := rand.New(rand.NewSource(seedOf(t)))
	equal := 0
	for range count {
		info, sources := randomTable(t, r)
		var rows [][]format.Field
		for range 30 {
			rows = append(rows, randomRow(r, info, sources))
		}
		equal += judgeRows(t, Config{
			Target:   targetOf(t, info, newCollation),
			SQLMode:  mysql.SQLMode(r.Intn(2)) * strictMode,
			Location: mustZone(t, pick(r, "UTC", "America/New_York", "Asia/Tokyo")),
			Now:      time.Now(),
		}, rows)
	}
	require.Greater(t, equal, count)
}

func targetOf(t testing.TB, info *model.TableInfo, newCollation bool) *table.Target {
	t.Helper()
	target, err := table.NewTarget("db", info, newCollation)
	require.NoError(t, err)
	return target
}

// judgeRows compares encoder and reference on rows with a field for every
// column and returns how many rows both took.
func judgeRows(t *testing.T, cfg Config, rows [][]format.Field) (equal int) {
	t.Helper()
	var err error
	cfg.Mapping, err = cfg.Target.Map(nil)
	require.NoError(t, err)
	plan, err := Compile(cfg)
	require.NoError(t, err)
	e, a := plan.NewEncoder(), kv.NewArena(1<<12, 10)
	ddl := ddlOf(cfg.Target.Info)
	for i, row := range rows {
		want, ok := referencePairs(t, &cfg, row, int64(i+1))
		a.Reset()
		if err := e.EncodeRow(row, int64(i+1), a); !ok {
			require.Error(t, err, "%s: %q", ddl, row)
			continue
		}
		require.NoError(t, err)
		got := map[string]string{}
		for _, ref := range a.Refs {
			got[string(a.Key(ref))] = string(a.Value(ref))
		}
		require.Equal(t, want, got, "%s: %q", ddl, row)
		equal++
	}
	return equal
}

// TestManyTrailingSpaces has counts of trailing spaces that are written
// differently as signed and as unsigned numbers.
func TestManyTrailingSpaces(t *testing.T) {
	t.Parallel()
	info := tableInfo(t, "a VARCHAR(400), b VARCHAR(400), c INT")
	addIndex(info, true, "a")
	info.Indices[0].Primary, info.IsCommonHandle, info.CommonHandleVersion = true, true, 1
	info.Columns[0].AddFlag(mysql.PriKeyFlag | mysql.NotNullFlag)
	addIndex(info, false, "b")
	addIndex(info, true, "c", "b", "a")
	var rows [][]format.Field
	for _, n := range []int{0, 1, 127, 128, 255, 256, 300} {
		rows = append(rows, fields("x"+strings.Repeat(" ", n), "y"+strings.Repeat(" ", 300-n), fmt.Sprint(n)))
	}
	require.Equal(t, len(rows), judgeRows(t, Config{Target: targetOf(t, info, true), SQLMode: strictMode, Location: time.UTC}, rows))
}

func ddlOf(info *model.TableInfo) (s string) {
	for _, col := range info.Columns {
		s += fmt.Sprintf("%s %s %s, ", col.Name.O, &col.FieldType, col.GetCollate())
	}
	return s
}

func randomRow(r *rand.Rand, info *model.TableInfo, sources []family) []format.Field {
	row := make([]format.Field, len(sources))
	for i := range sources {
		if r.Intn(6) == 0 && !mysql.HasNotNullFlag(info.Columns[i].GetFlag()) {
			row[i].Null = true
		} else {
			row[i].Bytes = []byte(sources[i].text(r))
		}
	}
	return row
}

const randomTables = 1500

func TestRandomTablesAgreeWithTiDB(t *testing.T) {
	t.Parallel()
	judgeRandomTables(t, true, randomTables)
}

const oldCollationChild = "SLUICE_TEST_OLD_COLLATION"

// TestOldCollation runs TestOldCollationChild in a process of its own, as the
// choice of collations is one per process.
func TestOldCollation(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOldCollationChild$", "-test.v")
	cmd.Env = append(os.Environ(), oldCollationChild+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: TestOldCollationChild")
}

func TestOldCollationChild(t *testing.T) {
	if os.Getenv(oldCollationChild) == "" {
		t.Skip("runs in the process that TestOldCollation starts")
	}
	judgeRandomTables(t, false, randomTables/3)
}

package importcore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/source"
)

// TestRowsAreFoundAgainByTheirNumber: whatever the blocks are, and however many of
// their index is in a file, a row's number leads to its place and its fields.
func TestRowsAreFoundAgainByTheirNumber(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	type place struct {
		file string
		line int64
		text string
	}
	var want []place
	for f := range 3 {
		path := filepath.Join(dir, fmt.Sprintf("f%d.csv", f))
		var text strings.Builder
		text.WriteString("head\n")
		line := int64(2)
		for i := range 4000 {
			row := fmt.Sprintf("%d,row %d of %d\n", i, i, f)
			if i%7 == 0 {
				row = fmt.Sprintf("%d,\"two\nlines\"\n", i)
			}
			want = append(want, place{path, line, strings.TrimRight(row, "\n")})
			line += int64(strings.Count(row, "\n"))
			text.WriteString(row)
		}
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	}
	store, err := source.Open(t.Context(), filepath.Join(dir, "f*.csv"), source.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	files, err := store.List(t.Context())
	require.NoError(t, err)
	task := ImportTask{CSV: csv.Config{FieldsTerminatedBy: ",", FieldsEnclosedBy: `"`, SkipRows: 1}}
	r := &run{plan: &Plan{Task: task, Files: files, store: store}, blocks: &blockIndex{dir: t.TempDir(), keep: 7 * blockEntryBytes}}
	row := int64(0)
	pool := format.NewBlockPool(100, 4, format.LimitedRoom(csv.MaxRowBytes))
	for i := range files {
		splitter, err := csv.NewSplitter(t.Context(), store, &files[i], i, task.CSV, pool)
		require.NoError(t, err)
		for {
			b, err := splitter.Next(t.Context())
			if err != nil {
				break
			}
			require.NoError(t, r.blocks.add(b, row))
			row += b.Rows
			b.Release()
		}
		require.NoError(t, splitter.Close())
	}
	require.EqualValues(t, len(want), row)
	require.Positive(t, r.blocks.saved)

	rnd := rand.New(rand.NewPCG(3, 3))
	order := rnd.Perm(len(want))[:500]
	for i := range 500 {
		order = append(order, i*20) // ascending, and then the same one again
		order = append(order, i*20)
	}
	rows := r.newRowReader()
	for _, n := range order {
		require.NoError(t, rows.read(context.Background(), int64(n)))
		at := rows.position()
		require.Equal(t, want[n], place{at.File, at.Line, strings.TrimRight(string(rows.reader.Row()), "\n")})
		require.Len(t, rows.fields, 2)
	}
	require.Error(t, r.newRowReader().read(t.Context(), int64(len(want))))
	require.NoError(t, r.blocks.Close())
}

// TestKeysKeepTheirNumbersApart: AddNumbered adds to keys, not to values.
func TestKeysKeepTheirNumbersApart(t *testing.T) {
	t.Parallel()
	var one kv.Arena
	one.Add([]byte("key"), []byte("value"))
	one.Add([]byte("k"), nil)
	a := kv.NewArena(100, 0)
	a.AddNumbered(&one, 258)
	require.Equal(t, "key\x00\x00\x00\x00\x00\x00\x01\x02", string(a.Key(a.Refs[0])))
	require.Equal(t, "value", string(a.Value(a.Refs[0])))
	require.Equal(t, "k\x00\x00\x00\x00\x00\x00\x01\x02", string(a.Key(a.Refs[1])))
	var want, got kv.Checksum
	want.AddArena(&one)
	got.AddArenaCut(a, kv.NumberBytes)
	require.Equal(t, want, got)
	got.Subtract(want)
	require.Zero(t, got)
}

// TestPrefixEnd: the end of a prefix's range lies behind all keys with it.
func TestPrefixEnd(t *testing.T) {
	t.Parallel()
	require.Equal(t, []byte("ac"), prefixEnd([]byte("ab")))
	require.Equal(t, []byte("b"), prefixEnd([]byte("a\xff\xff")))
}

// TestLiteralsOfKeyColumns: what a DELETE is told is the value itself.
func TestLiteralsOfKeyColumns(t *testing.T) {
	t.Parallel()
	text := types.NewFieldType(mysql.TypeVarchar)
	text.SetCharset("utf8mb4")
	blob := types.NewFieldType(mysql.TypeVarchar)
	blob.SetCharset("binary")
	number := types.NewFieldType(mysql.TypeLonglong)
	for _, tt := range []struct {
		value any
		ft    *types.FieldType
		want  string
	}{
		{int64(-5), number, "-5"},
		{uint64(1<<64 - 1), number, "18446744073709551615"},
		{"a'\\\x00é", text, "_utf8mb4 x'61275c00c3a9'"},
		{"", text, "_utf8mb4 x''"},
		{[]byte{0, 255}, blob, "x'00ff'"},
		{0.1, number, "1e-01"},
		{float32(0.1), number, "1.0000000149011612e-01"},
		{types.NewDecFromStringForTest("12.3400"), number, "12.3400"},
		{types.Enum{Name: "x", Value: 3}, number, "3"},
		{types.Set{Name: "x,y", Value: 6}, number, "6"},
		{types.BinaryLiteral{1, 2}, number, "258"},
	} {
		d := types.NewDatum(tt.value)
		got, err := literal(&d, tt.ft)
		require.NoError(t, err)
		require.Equal(t, tt.want, got)
	}
	d := types.NewDatum(nil)
	_, err := literal(&d, number)
	require.ErrorIs(t, err, errLiteral)
}

// TestDeletedRowsAreToldOfAfterAFailure: what was deleted from a filled table
// before the job failed stands in its error.
func TestDeletedRowsAreToldOfAfterAFailure(t *testing.T) {
	t.Parallel()
	r := &run{left: leftNone}
	r.sayDeleted()
	require.Equal(t, leftNone, r.left)
	r.summary.DeletedRows = 12
	r.sayDeleted()
	require.Contains(t, r.left, "12 of the rows that were there before have been deleted")
}

package archiverows_test

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/ddl"
	tidbkv "github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	_ "github.com/pingcap/tidb/pkg/types/parser_driver"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/pingcap/tidb/pkg/util/mock"
	"github.com/pingcap/tidb/pkg/util/rowcodec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/logical/archiverows"
	"github.com/sluicedb/sluice/importcore/source"
)

const tableID = 77

// tableOf is the archive's table of a CREATE TABLE, with one part without files.
func tableOf(t testing.TB, columns string) *archive.Table {
	t.Helper()
	stmt, err := parser.New().ParseOneStmt("CREATE TABLE t ("+columns+") COLLATE utf8mb4_bin", "", "")
	require.NoError(t, err)
	info, err := ddl.MockTableInfo(mock.NewContext(), stmt.(*ast.CreateTableStmt), tableID)
	require.NoError(t, err)
	for _, c := range info.Columns {
		c.State = model.StatePublic
	}
	table := &archive.Table{Database: &archive.Database{Name: "d"}, Info: info}
	start := tablecodec.GenTableRecordPrefix(tableID)
	table.Parts = []*archive.Part{{
		Table: table, PhysicalID: tableID, Start: start, End: archive.After(start), Sum: kv.Checksum{Pairs: 3},
		Write: &archive.DataFile{File: source.File{Path: "1_2_write.sst", Size: 10}, SHA256: []byte("sum")},
	}}
	return table
}

// blockOf is a block of rows.
func blockOf(table *archive.Table, pairs ...[]byte) *format.Block {
	b := &format.Block{File: &table.Parts[0].Write.File, Rows: int64(len(pairs) / 2)}
	for _, p := range pairs {
		b.Data = append(binary.AppendUvarint(b.Data, uint64(len(p))), p...)
	}
	return b
}

// encoded is a row as TiDB keeps it, of texts; NULL is one, and the columns of an integer handle aren't in it.
func encoded(t testing.TB, table *archive.Table, texts []string, v2 bool) []byte {
	t.Helper()
	base := types.DefaultStmtNoWarningContext.WithLocation(time.UTC)
	ctx := base.WithFlags(types.StrictFlags.WithIgnoreZeroInDate(true).WithIgnoreInvalidDateErr(true).WithIgnoreZeroDateErr(true))
	var row []types.Datum
	var ids []int64
	for i, c := range table.Info.Columns {
		var d types.Datum
		var err error
		if texts[i] != "NULL" {
			from := types.NewStringDatum(texts[i])
			if strings.HasPrefix(texts[i], "b:") {
				from = types.NewBinaryLiteralDatum(types.BinaryLiteral(texts[i][2:]))
			}
			d, err = from.ConvertTo(ctx, &c.FieldType)
		}
		require.NoError(t, err, c.Name.O)
		row, ids = append(row, d), append(ids, c.ID)
	}
	value, err := tablecodec.EncodeRow(time.UTC, row, ids, nil, nil, nil, &rowcodec.Encoder{Enable: v2})
	require.NoError(t, err)
	return value
}

// read reads all rows of a block; texts of fields have their kind behind them unless they are text.
func read(t testing.TB, r format.RowReader, b *format.Block) (rows [][]string, err error) {
	t.Helper()
	kinds := map[format.Kind]string{format.Text: "", format.Number: "#", format.Bits: "%", format.Binary: "_"}
	r.Reset(b)
	for {
		fields, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		var texts []string
		for _, f := range fields {
			if f.Null {
				texts = append(texts, "NULL")
				continue
			}
			texts = append(texts, string(f.Bytes)+kinds[f.Kind])
		}
		rows = append(rows, texts)
	}
}

// everyType has a column of each type that TiDB has.
var everyType = []struct {
	def    string
	values []string // the text, and behind a space-arrow what it is written as if that is another one
}{
	{"TINYINT", []string{"-128 -> -128#", "127 -> 127#"}}, {"SMALLINT UNSIGNED", []string{"65535 -> 65535#", "0 -> 0#"}},
	{"BIGINT", []string{"-9223372036854775808 -> -9223372036854775808#", "5 -> 5#"}},
	{"BIGINT UNSIGNED", []string{"18446744073709551615 -> 18446744073709551615#", "NULL"}},
	{"YEAR", []string{"0000", "2155"}}, {"FLOAT", []string{"0.1 -> 0.10000000149011612", "-3.40282e38 -> -3.402820018375656e+38"}},
	{"DOUBLE", []string{"0.1", "1.7976931348623157e308 -> 1.7976931348623157e+308"}},
	{"DECIMAL(65,30)", []string{"-12345678901234567890123456789012345.123456789012345678901234567890 -> -12345678901234567890123456789012345.123456789012345678901234567890#",
		"0.5 -> 0.500000000000000000000000000000#"}},
	{"BIT(9)", []string{"b:\x01\xff -> \x01\xff%", "b:\x00 -> \x00\x00%"}}, {"DATE", []string{"0000-00-00", "2024-02-31"}},
	{"DATETIME(6)", []string{"2024-00-00 01:02:03.000100", "9999-12-31 23:59:59.999999"}}, {"DATETIME", []string{"0000-00-00 00:00:00", "2024-02-29 01:02:03"}},
	{"TIMESTAMP(3) NULL", []string{"2024-02-29 01:02:03.500", "0000-00-00 00:00:00.000"}}, {"TIME(2)", []string{"-838:59:59.00", "00:00:00.01"}},
	{"CHAR(9)", []string{"a 'b' \\", ""}}, {"VARCHAR(20)", []string{"ü€𝄞  ", "NULL\x00"}}, {"TEXT", []string{"t", "NULL"}},
	{"BINARY(4)", []string{"ab -> ab\x00\x00_", "\xff\x00\xfe\x01 -> \xff\x00\xfe\x01_"}}, {"VARBINARY(9)", []string{" -> _", "\xff -> \xff_"}},
	{"LONGBLOB", []string{"\x00' -> \x00'_", "NULL"}}, {"ENUM('a','b c')", []string{"b c", "a"}}, {"SET('x','y')", []string{"x,y", ""}},
	{"JSON", []string{`{"a": [1, "x\"y", null, 1.5]}`, `"text"`}}, {"VECTOR(2)", []string{"[1,-2.5]", "NULL"}},
}

// TestValues: each type is written so that nothing of it is lost, from both forms of rows.
func TestValues(t *testing.T) {
	t.Parallel()
	var defs []string
	values, want := make([][]string, 2), make([][]string, 2)
	for i, c := range everyType {
		defs = append(defs, "c"+string(rune('a'+i))+" "+c.def)
		for n, v := range c.values {
			in, out, ok := strings.Cut(v, " -> ")
			if !ok {
				out = in
			}
			values[n], want[n] = append(values[n], in), append(want[n], out)
		}
	}
	table := tableOf(t, strings.Join(defs, ","))
	rows, err := archiverows.New(&archive.Archive{NewCollation: "True"}, table)
	require.NoError(t, err)
	key := tablecodec.EncodeRowKeyWithHandle(tableID, tidbkv.IntHandle(1))
	for _, v2 := range []bool{true, false} {
		r := rows.Reader()
		got, err := read(t, r, blockOf(table, key, encoded(t, table, values[0], v2), key, encoded(t, table, values[1], v2)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	layout, err := rows.Layout(nil)
	require.NoError(t, err)
	require.Len(t, layout.Columns, len(everyType))
}

// TestKeys: values that are in the keys alone, and columns that are computed.
func TestKeys(t *testing.T) {
	t.Parallel()
	table := tableOf(t, "id BIGINT UNSIGNED PRIMARY KEY CLUSTERED, v INT, g INT AS (v + 1) STORED, w INT AS (v + 2)")
	rows, err := archiverows.New(&archive.Archive{NewCollation: "False"}, table)
	require.NoError(t, err)
	layout, err := rows.Layout(nil)
	require.NoError(t, err)
	require.Equal(t, []string{"id", "v", ""}, layout.Columns)
	ids := map[string]int64{}
	for _, c := range table.Info.Columns {
		ids[c.Name.L] = c.ID
	}
	value := func(row []types.Datum, columns ...string) []byte {
		var of []int64
		for _, c := range columns {
			of = append(of, ids[c])
		}
		b, err := tablecodec.EncodeRow(time.UTC, row, of, nil, nil, nil, &rowcodec.Encoder{Enable: true})
		require.NoError(t, err)
		return b
	}
	key := tablecodec.EncodeRowKeyWithHandle(tableID, tidbkv.IntHandle(-1))
	b := blockOf(table, key, value(types.MakeDatums(4, 5), "v", "g"))
	b.FirstRow = 7
	r := rows.Reader()
	got, err := read(t, r, b)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"18446744073709551615#", "4#", "5#"}}, got)
	require.Equal(t, format.RowPlace{Row: 7}, r.Place())
	require.Equal(t, "18446744073709551615\t4\t5", string(r.Row()))

	for name, b := range map[string]*format.Block{
		"another table's key":    blockOf(table, tablecodec.EncodeIndexSeekKey(tableID, 1, []byte{3}), value(types.MakeDatums(4, 5), "v", "g")),
		"a value that is no row": blockOf(table, key, []byte{128, 0, 9, 9, 9}),
	} {
		_, err := read(t, rows.Reader(), b)
		require.ErrorContains(t, err, "1_2_write.sst", name)
		require.EqualValues(t, 8160, fault.As(err).Code, name)
	}
	needs := tableOf(t, "id INT PRIMARY KEY NONCLUSTERED, v INT NOT NULL")
	rows, err = archiverows.New(&archive.Archive{NewCollation: "False"}, needs)
	require.NoError(t, err)
	_, err = read(t, rows.Reader(), blockOf(needs, key, value(types.MakeDatums(4), "id")))
	require.ErrorContains(t, err, "column v, which is NOT NULL")
}

// TestCollations: what a clustered key of strings holds is a value in archives of the old collations, and never in those of the new ones.
func TestCollations(t *testing.T) {
	t.Parallel()
	table := tableOf(t, "a VARCHAR(9) COLLATE utf8mb4_general_ci, b DECIMAL(5,2), v INT, PRIMARY KEY (a, b) CLUSTERED")
	encodedKey, err := tidbkv.NewCommonHandle(mustEncodeKey(t, types.NewStringDatum("Key"), types.NewDecimalDatum(types.NewDecFromStringForTest("1.50"))))
	require.NoError(t, err)
	value, err := tablecodec.EncodeRow(time.UTC, types.MakeDatums(4), []int64{3}, nil, nil, nil, &rowcodec.Encoder{Enable: true})
	require.NoError(t, err)
	b := blockOf(table, tablecodec.EncodeRowKeyWithHandle(tableID, encodedKey), value)
	rows, err := archiverows.New(&archive.Archive{NewCollation: "False"}, table)
	require.NoError(t, err)
	got, err := read(t, rows.Reader(), b)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"Key", "1.50#", "4#"}}, got)
	rows, err = archiverows.New(&archive.Archive{NewCollation: "True"}, table)
	require.NoError(t, err)
	_, err = read(t, rows.Reader(), b)
	require.ErrorContains(t, err, "lacks a value of its primary key")
}

func mustEncodeKey(t *testing.T, values ...types.Datum) []byte {
	t.Helper()
	b, err := codec.EncodeKey(time.UTC, nil, values...)
	require.NoError(t, err)
	return b
}

// TestRefused: tables and archives whose rows can't be read on their own.
func TestRefused(t *testing.T) {
	t.Parallel()
	table := tableOf(t, "id INT, v INT")
	_, err := archiverows.New(&archive.Archive{StartTS: 1, EndTS: 2}, table)
	require.ErrorContains(t, err, "only what has changed")
	table.Info.Columns[1].State = model.StateWriteReorganization
	_, err = archiverows.New(&archive.Archive{}, table)
	require.ErrorContains(t, err, "column v was being changed")
	table.Info.Columns[1].State = model.StatePublic
	table.Info.Columns[1].SetType(255)
	_, err = archiverows.New(&archive.Archive{}, table)
	require.ErrorContains(t, err, "column v has the type")
}

// TestExpected: how many rows there have to be is known if no part holds entries of indexes too.
func TestExpected(t *testing.T) {
	t.Parallel()
	table := tableOf(t, "id INT, v INT")
	rows, err := archiverows.New(&archive.Archive{}, table)
	require.NoError(t, err)
	n, ok := rows.Expected()
	require.True(t, ok)
	require.EqualValues(t, 3, n)
	require.EqualValues(t, 10, rows.Bytes())
	basis := rows.Basis()
	table.Parts[0].Write.SHA256 = []byte("other")
	require.NotEqual(t, basis, rows.Basis())
	table.Parts[0].Start = tablecodec.EncodeTablePrefix(tableID)
	rows, err = archiverows.New(&archive.Archive{}, table)
	require.NoError(t, err)
	_, ok = rows.Expected()
	require.False(t, ok)
}

// FuzzRead: whatever the bytes of a row are, reading it ends with a field per column or with an error that names the file.
func FuzzRead(f *testing.F) {
	var defs []string
	var first []string
	for i, c := range everyType {
		defs = append(defs, "c"+string(rune('a'+i))+" "+c.def)
		in, _, _ := strings.Cut(c.values[0], " -> ")
		first = append(first, in)
	}
	tables := []*archive.Table{
		tableOf(f, strings.Join(defs, ",")),
		tableOf(f, "a VARCHAR(9), b DATETIME, c TIME(3), d FLOAT, e ENUM('x'), PRIMARY KEY (a, b, c, d, e) CLUSTERED"),
	}
	key := tablecodec.EncodeRowKeyWithHandle(tableID, tidbkv.IntHandle(1))
	f.Add([]byte(key), encoded(f, tables[0], first, true))
	f.Add([]byte(key), encoded(f, tables[0], first, false))
	f.Add([]byte(key), []byte{128, 0, 1, 0, 0, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		for _, table := range tables {
			rows, err := archiverows.New(&archive.Archive{NewCollation: "False"}, table)
			require.NoError(t, err)
			got, err := read(t, rows.Reader(), blockOf(table, key, value))
			if err != nil {
				require.ErrorContains(t, err, "1_2_write.sst")
				continue
			}
			require.Len(t, got, 1)
			require.Len(t, got[0], len(rows.Columns()))
		}
	})
}

// BenchmarkRead is the cost of a row with a column of each type.
func BenchmarkRead(b *testing.B) {
	var defs, first []string
	for i, c := range everyType {
		defs = append(defs, "c"+string(rune('a'+i))+" "+c.def)
		in, _, _ := strings.Cut(c.values[0], " -> ")
		first = append(first, in)
	}
	table := tableOf(b, strings.Join(defs, ","))
	rows, err := archiverows.New(&archive.Archive{NewCollation: "True"}, table)
	require.NoError(b, err)
	block := blockOf(table, tablecodec.EncodeRowKeyWithHandle(tableID, tidbkv.IntHandle(1)), encoded(b, table, first, true))
	r := rows.Reader()
	b.SetBytes(int64(len(block.Data)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(block)
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

package encode

import (
	"bytes"
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	tidbparser "github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/dataset"
)

// schemaInfo makes the schema of a whole CREATE TABLE with an integer primary
// key and indexes, as tableInfo does for columns.
func schemaInfo(t testing.TB, ddl string) *model.TableInfo {
	t.Helper()
	stmt, err := tidbparser.New().ParseOneStmt(ddl, "", "")
	require.NoError(t, err)
	create := stmt.(*ast.CreateTableStmt)
	info := tableInfo(t, ddl[bytes.IndexByte([]byte(ddl), '(')+1:bytes.LastIndexByte([]byte(ddl), ')')])
	for _, c := range create.Constraints {
		if c.Tp == ast.ConstraintPrimaryKey {
			require.Len(t, c.Keys, 1)
			info.PKIsHandle = true
			columnOf(info, c.Keys[0].Column.Name.L).AddFlag(mysql.PriKeyFlag | mysql.NotNullFlag)
			continue
		}
		var names []string
		for _, k := range c.Keys {
			names = append(names, k.Column.Name.L)
		}
		addIndex(info, c.Tp == ast.ConstraintUniq, names...)
		for i, k := range c.Keys {
			if k.Length > 0 {
				info.Indices[len(info.Indices)-1].Columns[i].Length = k.Length
			}
		}
	}
	return info
}

func columnOf(info *model.TableInfo, name string) *model.ColumnInfo {
	for _, col := range info.Columns {
		if col.Name.L == name {
			return col
		}
	}
	return nil
}

// benchTable is one of dataset's tables, compiled, with about size bytes of its file.
type benchTable struct {
	name string
	plan *Plan
	data []byte
	rows int
}

func benchTables(t testing.TB, size int) []benchTable {
	var out []benchTable
	for _, table := range dataset.Tables() {
		if table.Name == "sorted" {
			continue // differs from demo in sorting alone
		}
		b := benchTable{name: table.Name, rows: max(1, table.Rows*(size>>10)/(137<<10))}
		b.plan = compile(t, schemaInfo(t, table.Schema("t")), strictMode, time.UTC)
		var buf bytes.Buffer
		require.NoError(t, table.Write(&buf, b.rows, 1))
		b.data = buf.Bytes()
		out = append(out, b)
	}
	return out
}

// parsed returns the rows of the file, with bytes of their own.
func (b *benchTable) parsed(t testing.TB) [][]format.Field {
	r := csv.NewReader(csv.DefaultConfig())
	r.Reset(&format.Block{File: &source.File{Path: "/a.csv"}, Data: b.data})
	var rows [][]format.Field
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		require.NoError(t, err)
		kept := make([]format.Field, len(row))
		for i, f := range row {
			kept[i] = format.Field{Bytes: bytes.Clone(f.Bytes), Null: f.Null}
		}
		rows = append(rows, kept)
	}
}

// cpuTime returns the processor time that the process has used; wall time says
// little on a busy machine.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, start time.Duration, rows int) {
	b.ReportMetric(float64((cpuTime(b)-start).Nanoseconds())/float64(b.N)/float64(rows), "cpu-ns/row")
}

const benchArena = 512 << 10 // bytes of pairs after which an arena is emptied

// BenchmarkEncodeRow encodes the rows of a file of 128 KiB per operation: little
// enough to stay in the cache, as fields are that have just been parsed.
func BenchmarkEncodeRow(b *testing.B) {
	for _, table := range benchTables(b, 128<<10) {
		b.Run(table.name, func(b *testing.B) {
			rows := table.parsed(b)
			e, a := table.plan.NewEncoder(), kv.NewArena(benchArena*2, 10)
			b.SetBytes(int64(len(table.data)))
			b.ReportAllocs()
			start := cpuTime(b)
			for b.Loop() {
				a.Reset()
				for i, row := range rows {
					if len(a.Buf) > benchArena {
						a.Reset()
					}
					if err := e.EncodeRow(row, int64(i+1), a); err != nil {
						b.Fatal(err)
					}
				}
			}
			reportCPU(b, start, len(rows))
		})
	}
}

// memory is a source.Store of one file.
type memory struct{ data []byte }

func (m memory) List(context.Context) ([]source.File, error) { return nil, nil }
func (m memory) Close() error                                { return nil }
func (m memory) Open(_ context.Context, _ source.File, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.data[offset:])), nil
}

// BenchmarkSplitParseEncode is everything up to the sorter, for a file of 8 MiB per operation.
func BenchmarkSplitParseEncode(b *testing.B) {
	for _, table := range benchTables(b, 8<<20) {
		b.Run(table.name, func(b *testing.B) {
			e, a := table.plan.NewEncoder(), kv.NewArena(benchArena*2, 10)
			reader, pool := csv.NewReader(csv.DefaultConfig()), format.NewBlockPool(1<<20, 4, format.LimitedRoom(csv.MaxRowBytes))
			file := source.File{Path: "/a.csv", Key: "a.csv", Size: int64(len(table.data))}
			b.SetBytes(int64(len(table.data)))
			b.ReportAllocs()
			start := cpuTime(b)
			for b.Loop() {
				s, err := csv.NewSplitter(b.Context(), memory{table.data}, &file, 0, csv.DefaultConfig(), pool)
				require.NoError(b, err)
				rows := 0
				for {
					block, err := s.Next(b.Context())
					if errors.Is(err, io.EOF) {
						break
					}
					require.NoError(b, err)
					reader.Reset(block)
					for {
						row, err := reader.Next()
						if errors.Is(err, io.EOF) {
							break
						}
						if err != nil {
							b.Fatal(err)
						}
						if len(a.Buf) > benchArena {
							a.Reset()
						}
						rows++
						if err := e.EncodeRow(row, int64(rows), a); err != nil {
							b.Fatal(err)
						}
					}
					block.Release()
				}
				require.NoError(b, s.Close())
				require.Equal(b, table.rows, rows)
			}
			reportCPU(b, start, table.rows)
		})
	}
}

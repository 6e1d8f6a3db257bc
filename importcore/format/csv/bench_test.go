package csv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/dataset"
)

// memory is a source.Store of one file.
type memory struct{ data []byte }

func (m memory) List(context.Context) ([]source.File, error) { return []source.File{m.file()}, nil }
func (m memory) Close() error                                { return nil }
func (m memory) file() source.File {
	return source.File{Path: "/data/a.csv", Key: "a.csv", Size: int64(len(m.data)), ModTime: time.Unix(1, 0)}
}
func (m memory) Open(_ context.Context, _ source.File, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.data[offset:])), nil
}

// shapes are files of about 16 MiB.
var shapes = []struct {
	name string
	row  func(rnd *rand.Rand, i int) string
}{
	{"plain", func(rnd *rand.Rand, i int) string {
		return fmt.Sprintf("%d,user-%d@example.com,%d.%02d,2024-03-%02d 12:%02d:11,%d,%s\n",
			rnd.IntN(1<<30), i, rnd.IntN(100000), rnd.IntN(100), 1+i%28, i%60, rnd.IntN(1000), text(rnd, 30+rnd.IntN(120)))
	}},
	{"short", func(rnd *rand.Rand, i int) string { return fmt.Sprintf("%d,%d\n", i, rnd.IntN(1000)) }},
	{"quoted", func(rnd *rand.Rand, i int) string {
		return fmt.Sprintf("\"%d\",\"user-%d\",\"%s\",\"%d\"\n", i, i, text(rnd, 60), rnd.IntN(1000))
	}},
	{"nulls", func(rnd *rand.Rand, i int) string {
		return fmt.Sprintf("%d,\\N,%s,\\N,%d\n", i, text(rnd, 60), rnd.IntN(1000))
	}},
	{"doubled", func(rnd *rand.Rand, i int) string {
		return fmt.Sprintf("%d,\"say \"\"%s\"\"\",\"two\nlines\"\n", i, text(rnd, 60))
	}},
}

func text(rnd *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz     ."[rnd.IntN(32)]
	}
	return string(b)
}

// sample is a file of some shape.
type sample struct {
	name string
	data []byte
}

// samples makes files of about size bytes of all shapes and of dataset's tables.
func samples(t testing.TB, size int) []sample {
	var out []sample
	for _, table := range dataset.Tables() {
		if table.Name == "sorted" {
			continue // differs from demo in sorting alone
		}
		var b bytes.Buffer
		if err := table.Write(&b, max(1, table.Rows*(size>>10)/(137<<10)), 1); err != nil {
			t.Fatal(err)
		}
		out = append(out, sample{table.Name, b.Bytes()})
	}
	for i, shape := range shapes {
		out = append(out, sample{shape.name, data(i, size)})
	}
	return out
}

func data(shape int, size int) []byte {
	rnd := rand.New(rand.NewPCG(1, 1))
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		b.WriteString(shapes[shape].row(rnd, i))
	}
	return b.Bytes()
}

// cpuTime returns the processor time that the process has used; wall time says
// little on a busy machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU adds the rate per processor second.
func reportCPU(b *testing.B, start time.Duration, bytes int) {
	b.ReportMetric(float64(bytes)*float64(b.N)/1e6/(cpuTime()-start).Seconds(), "MB/cpu-s")
}

func BenchmarkSplit(b *testing.B) {
	for _, shape := range samples(b, 16<<20) {
		b.Run(shape.name, func(b *testing.B) {
			store := memory{shape.data}
			rows := bytes.Count(shape.data, []byte("\n")) // near enough: few rows have two lines
			b.SetBytes(int64(len(store.data)))
			b.ReportAllocs()
			pool := format.NewBlockPool(1<<20, 4, format.LimitedRoom(csv.MaxRowBytes))
			file := store.file()
			start := cpuTime()
			for b.Loop() {
				s, err := csv.NewSplitter(context.Background(), store, &file, 0, csv.DefaultConfig(), pool)
				if err != nil {
					b.Fatal(err)
				}
				for {
					block, err := s.Next(context.Background())
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					block.Release()
				}
				s.Close()
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(rows)/float64(b.N), "cpu-ns/row")
			reportCPU(b, start, len(store.data))
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, shape := range samples(b, 1<<20) {
		b.Run(shape.name, func(b *testing.B) {
			block := &format.Block{File: &source.File{Path: "/a.csv"}, Data: shape.data}
			r := csv.NewReader(csv.DefaultConfig())
			b.SetBytes(int64(len(block.Data)))
			b.ReportAllocs()
			rows := 0
			start := cpuTime()
			for b.Loop() {
				r.Reset(block)
				for {
					if _, err := r.Next(); errors.Is(err, io.EOF) {
						break
					} else if err != nil {
						b.Fatal(err)
					}
					rows++
				}
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(rows), "cpu-ns/row")
			reportCPU(b, start, len(block.Data))
		})
	}
}

func TestReadingAllocatesNothingPerRow(t *testing.T) {
	for _, shape := range samples(t, 1<<20) {
		block := &format.Block{File: &source.File{Path: "/a.csv"}, Data: shape.data}
		r := csv.NewReader(csv.DefaultConfig())
		pass := func() {
			r.Reset(block)
			for {
				if _, err := r.Next(); err != nil {
					if !errors.Is(err, io.EOF) {
						t.Fatal(err)
					}
					return
				}
			}
		}
		pass()
		if n := testing.AllocsPerRun(5, pass); n != 0 {
			t.Errorf("%s: %v allocations for a block", shape.name, n)
		}
	}
}

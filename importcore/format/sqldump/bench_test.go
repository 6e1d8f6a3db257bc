package sqldump_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
)

// benchDumps are files of about 16 MiB, as Dumpling and mysqldump write them and with one row per statement.
func benchDumps() map[string]string {
	out := map[string]string{}
	rnd := rand.New(rand.NewPCG(1, 1))
	row := func(i int) string {
		return fmt.Sprintf("(%d,'user-%d@example.com','%s',%d.%02d,'2024-03-%02d 12:%02d:11',%d,NULL,'it''s \\n%d')", i, i,
			strings.Repeat("some words ", rnd.IntN(12)), rnd.IntN(100000), rnd.IntN(100), 1+i%28, i%60, rnd.IntN(1000), i)
	}
	for name, perStatement := range map[string]int{"extended": 8000, "single": 1} {
		var b strings.Builder
		for i := 0; b.Len() < 16<<20; i++ {
			if i%perStatement == 0 {
				if i > 0 {
					b.WriteString(";\n")
				}
				b.WriteString("INSERT INTO `t` (`a`,`b`,`c`,`d`,`e`,`f`,`g`,`h`) VALUES\n")
			} else {
				b.WriteString(",\n")
			}
			b.WriteString(row(i))
		}
		out[name] = b.String() + ";\n"
	}
	return out
}

// BenchmarkSplitter is the speed of the one goroutine that cuts a file, BenchmarkReader that of one worker.
func BenchmarkSplitter(b *testing.B) { benchmark(b, false) }
func BenchmarkReader(b *testing.B)   { benchmark(b, true) }

func benchmark(b *testing.B, read bool) {
	for name, text := range benchDumps() {
		b.Run(name, func(b *testing.B) {
			store := memory{[]byte(text)}
			file := store.file()
			r := sqldump.NewReader(sqldump.Config{})
			b.SetBytes(int64(len(text)))
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				pool := format.NewBlockPool(1<<20, 40, format.LimitedRoom(format.MaxRowBytes))
				s, err := sqldump.NewSplitter(b.Context(), store, &file, 0, nil, format.RowPlace{}, sqldump.Config{}, pool)
				if err != nil {
					b.Fatal(err)
				}
				if !read {
					b.StartTimer()
				}
				var blocks []*format.Block
				for {
					block, err := s.Next(b.Context())
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					blocks = append(blocks, block)
				}
				b.StartTimer()
				for _, block := range blocks {
					for r.Reset(block); read; {
						if _, err := r.Next(); err != nil {
							break
						}
					}
					block.Release()
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

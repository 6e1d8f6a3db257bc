package compress_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format/compress"
	"github.com/sluicedb/sluice/importcore/source"
)

// BenchmarkParts reads all parts of a gzip file of 30 kB each, as the tables of a dump, eight at a time: by streams of their own and by
// shared ones. By streams of their own 3,000 parts take a hundred times what 300 take.
func BenchmarkParts(b *testing.B) {
	const part, lanes = 30_000, 8
	for _, parts := range []int{300, 3000} {
		store, file := open(b, "a.sql.gz", pack(b, source.Gzip, text(parts*part)))
		run := func(b *testing.B, s source.Store) {
			b.SetBytes(int64(parts * part))
			work := make(chan int64)
			var group sync.WaitGroup
			for range lanes {
				group.Go(func() {
					for from := range work {
						in, err := s.Open(context.Background(), file, from)
						if err == nil {
							_, err = io.CopyN(io.Discard, in, part)
						}
						if err == nil {
							err = in.Close()
						}
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := range parts {
				work <- int64(i * part)
			}
			close(work)
			group.Wait()
		}
		if parts == 300 {
			b.Run(fmt.Sprintf("own/%d", parts), func(b *testing.B) {
				for b.Loop() {
					run(b, store)
				}
			})
		}
		b.Run(fmt.Sprintf("shared/%d", parts), func(b *testing.B) {
			for b.Loop() {
				shared := compress.NewShared(context.Background(), store, lanes)
				run(b, shared)
				require.NoError(b, shared.Close())
			}
		})
	}
}

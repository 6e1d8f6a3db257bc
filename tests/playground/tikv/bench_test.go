package tikv

import (
	"testing"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/stretchr/testify/require"
)

// BenchmarkImport is the store's side of a physical import: a stream of 16 KiB
// batches to one store, then the ingest, 200,000 pairs of about 90 bytes each
// time.
func BenchmarkImport(b *testing.B) {
	const n, batch, valueLen = 200_000, 180, 80
	c := newBench(b, 1)
	pairs := numbered(n, valueLen)
	b.SetBytes(int64(n * (len(pairs[0].Key) + valueLen)))
	b.ResetTimer()
	for i := range b.N {
		prefix := byte('a' + i%20)
		var batches [][]*import_sstpb.Pair
		for from := 0; from < n; from += batch {
			batches = append(batches, pairs[from:min(from+batch, n)])
		}
		for _, p := range pairs {
			p.Key[0] = prefix
		}
		r := c.region(pairs[0].Key)
		metas := c.writeAll(metaFor(r, pairs), c.clock.next(), batches...)
		require.Nil(b, c.ingest(r, metas...))
	}
}

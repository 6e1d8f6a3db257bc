package importcore

import (
	"context"

	"github.com/sluicedb/sluice/importcore/conflict"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// content is what is to be ingested: the sorted pairs, without those of rows
// that lost a conflict. It implements ingest.Pairs.
type content struct {
	sorted *sortkv.Sorted
	// resolved is nil if no row was looked at, see run.resolve.
	resolved *conflict.Result
	sum      kv.Checksum
}

// Checksum returns the exact sum of the pairs.
func (c *content) Checksum() kv.Checksum { return c.sum }

// Ranges cuts the pairs into ranges, see sortkv.Sorted.Ranges. What is left out
// counts in the estimates.
func (c *content) Ranges(maxBytes, maxKeys int64) []sortkv.Range {
	return c.sorted.Ranges(maxBytes, maxKeys)
}

// Iter implements ingest.Pairs.
func (c *content) Iter(ctx context.Context, start, end []byte) (ingest.Iterator, error) {
	if c.resolved != nil {
		it, err := c.resolved.Iter(ctx, start, end)
		if err != nil {
			return nil, err
		}
		return it, nil
	}
	it, err := c.sorted.Iter(ctx, start, end)
	if err != nil {
		return nil, err
	}
	return it, nil
}

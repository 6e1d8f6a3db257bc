package cluster

import (
	"context"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/fault"
)

const (
	compactMethod = "/import_sstpb.ImportSST/Compact"
	// lowestLevel is what CompactRequest.output_level calls the last level of RocksDB.
	lowestLevel = -1
	// dataPrefix stands before the keys of regions in a store's engine (keys::data_key of TiKV), which a CompactRequest names as they are there.
	dataPrefix = 'z'
)

// Compact has all stores merge their files of some key ranges into the lowest level, one range of a store after the other. It returns when that
// is done, which may take long, or ctx is: a store goes on then with the range that it has begun. Ranges outside are left as they are.
func (c *Cluster) Compact(ctx context.Context, ranges []KeyRange) error {
	stores, err := c.Stores(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range stores {
		if !s.TiFlash && s.Up {
			g.Go(fault.Contain(func() error { return c.compactStore(ctx, s, ranges) }))
		}
	}
	return g.Wait()
}

func (c *Cluster) compactStore(ctx context.Context, s Store, ranges []KeyRange) error {
	for _, r := range ranges {
		conn, err := c.StoreConn(ctx, s.ID)
		if err != nil {
			return err
		}
		req := &import_sstpb.CompactRequest{
			Range:       &import_sstpb.Range{Start: engineKey(r.Start), End: engineKey(r.End)},
			OutputLevel: lowestLevel,
		}
		if err := conn.Invoke(ctx, compactMethod, req, &import_sstpb.CompactResponse{}); err != nil {
			return failed(err, "compact store %d", s.ID)
		}
	}
	return nil
}

// engineKey is a raw key as a store's engine has it.
func engineKey(raw []byte) []byte { return append([]byte{dataPrefix}, region.Enc(raw)...) }

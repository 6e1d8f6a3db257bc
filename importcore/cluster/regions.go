package cluster

import (
	"bytes"
	"context"
	"fmt"
	"time"

	pd "github.com/tikv/pd/client"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/fault"
)

const (
	scanPage     = 128
	scanTries    = 45 // with the waits below about 75 s
	scanWaitMin  = 10 * time.Millisecond
	scanWaitMost = 2 * time.Second
)

// ScanRegions returns the regions that cover [start, end), enc keys, in key
// order. An empty end is the end of the key space. The answer has no holes
// and every region has a leader: PD, which learns of splits by heartbeats, is
// asked again until that is so.
func (c *Cluster) ScanRegions(ctx context.Context, start, end []byte) ([]region.Region, error) {
	var err error
	wait := scanWaitMin
	for try := range scanTries {
		if try > 0 {
			if err := pause(ctx, wait); err != nil {
				return nil, err
			}
			wait = min(2*wait, scanWaitMost)
		}
		var regions []region.Region
		if regions, err = c.scanOnce(ctx, start, end); err == nil {
			return regions, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return nil, failed(fault.Retryable(err), "find the regions of [%x, %x)", start, end)
}

// scanOnce reads all pages and checks that they cover the range.
func (c *Cluster) scanOnce(ctx context.Context, start, end []byte) ([]region.Region, error) {
	var out []region.Region
	next := start
	for {
		// The successor of this call does not exist in PD before 8.2.
		page, err := c.pd.ScanRegions(ctx, next, end, scanPage)
		if err != nil {
			return nil, err
		}
		for _, p := range page {
			r, err := follow(p, next, len(out) == 0)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
			next = r.Meta.GetEndKey()
			if region.CompareEnds(next, end) >= 0 {
				return out, nil
			}
		}
		if len(page) == 0 {
			return nil, fmt.Errorf("no region is known at %x", next)
		}
	}
}

// follow checks that a region continues at key next, which only the first one
// may begin before, and has a leader.
func follow(p *pd.Region, next []byte, first bool) (region.Region, error) {
	r := newRegion(p)
	switch {
	case r.Meta == nil:
		return r, fmt.Errorf("an empty region is known at %x", next)
	case first && !r.Contains(next), !first && !bytes.Equal(r.Meta.GetStartKey(), next):
		return r, fmt.Errorf("a hole between %x and region %d at %x", next, r.ID(), r.Meta.GetStartKey())
	case r.Leader == nil:
		return r, fmt.Errorf("region %d has no leader", r.ID())
	}
	return r, nil
}

func newRegion(p *pd.Region) region.Region {
	r := region.Region{Meta: p.Meta, Pending: len(p.PendingPeers) > 0}
	if p.Leader.GetId() != 0 {
		r.Leader = p.Leader
	}
	return r
}

// RegionByID returns a region; ok is false when PD does not know it.
func (c *Cluster) RegionByID(ctx context.Context, id uint64) (r region.Region, ok bool, err error) {
	p, err := c.pd.GetRegionByID(ctx, id)
	if err != nil {
		return region.Region{}, false, failed(err, "look up region %d", id)
	}
	if p == nil || p.Meta == nil {
		return region.Region{}, false, nil
	}
	return newRegion(p), true, nil
}

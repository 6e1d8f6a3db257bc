package cluster

import (
	"context"
	"fmt"

	"github.com/pingcap/tipb/go-tipb"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/kv"
)

// groupConcurrency is how many groups ChecksumRewritten sums up at a time unless it is told.
const groupConcurrency = 8

// RewrittenRange is a key range whose keys begin with New, and began with Old where they come from.
type RewrittenRange struct {
	KeyRange
	Old, New []byte
}

// ChecksumRewritten returns for each group of ranges the sum over all its pairs as it was
// where they come from, with the keys that they had there. The ranges must not
// overlap. Garbage collection and locks are as for ChecksumRanges. atOnce is how many requests are made at a time; 0 leaves that open.
func (c *Cluster) ChecksumRewritten(ctx context.Context, owner string, groups [][]RewrittenRange, atOnce int) ([]kv.Checksum, error) {
	if atOnce <= 0 {
		atOnce = groupConcurrency
	}
	ts, release, err := c.KeepReadable(ctx, owner)
	if err != nil {
		return nil, err
	}
	defer release()
	sums := make([]kv.Checksum, len(groups))
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, group := range groups {
		g.Go(func() error {
			for _, r := range group {
				sum, err := c.checksumAt(groupCtx, ts, []KeyRange{r.KeyRange}, &tipb.ChecksumRewriteRule{OldPrefix: r.Old, NewPrefix: r.New})
				if err != nil {
					return fmt.Errorf("keys from %x on: %w", r.Start, err)
				}
				sums[i].Merge(sum)
			}
			return nil
		})
	}
	err = g.Wait()
	return sums, failed(err, "compute the checksums of restored tables")
}

// RaiseTSO makes PD's timestamps greater than ts, if they aren't already: pairs that were written at ts, by another
// cluster, are not seen before that. PD refuses what is more than a day ahead of its clock.
func (c *Cluster) RaiseTSO(ctx context.Context, ts uint64) error {
	now, err := c.TSO(ctx)
	if err != nil || now > ts {
		return err
	}
	if err := c.admin.ResetTS(ctx, ts+1, false); err != nil {
		return failed(err, "raise PD's timestamps above %d, that of the backup", ts)
	}
	if now, err = c.TSO(ctx); err == nil && now <= ts {
		err = failed(fmt.Errorf("it still gives %d", now), "raise PD's timestamps above %d, that of the backup", ts)
	}
	return err
}

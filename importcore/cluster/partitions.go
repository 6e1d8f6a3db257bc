package cluster

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pingcap/tipb/go-tipb"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/kv"
)

// partitionList writes names for a PARTITION clause.
func partitionList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = sqlconn.QuoteName(name)
	}
	return strings.Join(quoted, ", ")
}

// TruncatePartitions empties those partitions of the table that still have one
// of the given ids, by ALTER TABLE ... TRUNCATE PARTITION, and nothing else of
// the table. They have other ids afterwards; see Truncate for what that is good
// for. Partitions that are gone need nothing.
func (c *Cluster) TruncatePartitions(ctx context.Context, db, table string, ids []int64) error {
	for try := 1; ; try++ {
		info, err := c.loadTable(ctx, db, table)
		if err != nil {
			return err
		}
		var names []string
		if pi := info.GetPartitionInfo(); pi != nil {
			for i := range pi.Definitions {
				if slices.Contains(ids, pi.Definitions[i].ID) {
					names = append(names, pi.Definitions[i].Name.O)
				}
			}
		}
		if len(names) == 0 {
			return nil
		}
		_, err = c.Query(ctx, "ALTER TABLE "+quoteTable(db, table)+" TRUNCATE PARTITION "+partitionList(names))
		if err == nil {
			return nil
		}
		if try == truncateTries || ctx.Err() != nil {
			return failed(err, "truncate partitions %s of table %s", partitionList(names), quoteTable(db, table))
		}
		c.log.Warn("cluster: truncate of partitions failed", zap.Int("try", try), zap.Error(err))
		if err := pause(ctx, truncateWait); err != nil {
			return err
		}
	}
}

// ChecksumRanges returns the sum over all pairs of the ranges, as ChecksumTable
// does over those of a table; it asks the stores itself. The ranges must not
// overlap. The data is kept from garbage collection meanwhile, for owner. A pair
// that a transaction has locked is waited for, within limits.
func (c *Cluster) ChecksumRanges(ctx context.Context, owner string, ranges []KeyRange) (sum kv.Checksum, err error) {
	ts, release, err := c.KeepReadable(ctx, owner)
	if err != nil {
		return sum, err
	}
	defer release()
	sum, err = c.checksumAt(ctx, ts, ranges, nil)
	return sum, failed(err, "compute the checksum of %d key ranges", len(ranges))
}

// ChecksumMany is ChecksumRanges for many small ranges, which ascend: a store is asked once for those of a region.
func (c *Cluster) ChecksumMany(ctx context.Context, owner string, ranges []KeyRange) (sum kv.Checksum, err error) {
	if len(ranges) == 0 {
		return sum, nil
	}
	ts, release, err := c.KeepReadable(ctx, owner)
	if err != nil {
		return sum, err
	}
	defer release()
	regions, err := c.ScanRegions(ctx, region.Enc(ranges[0].Start), region.Enc(ranges[len(ranges)-1].End))
	if err != nil {
		return sum, err
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookConcurrency)
	for _, r := range regions {
		var parts []KeyRange
		for _, rng := range ranges {
			if part := clamp(rng, r); bytes.Compare(part.Start, part.End) < 0 {
				parts = append(parts, part)
			}
		}
		if len(parts) == 0 {
			continue
		}
		g.Go(func() error {
			got, locked, err := (&regionLook{cluster: c, region: r}).checksumOf(ctx, ts, nil, parts)
			if err != nil || locked { // with what a region that has changed or a transaction needs
				got, err = c.checksumAt(ctx, ts, parts, nil)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.Merge(got)
			return err
		})
	}
	err = g.Wait()
	return sum, failed(err, "compute the checksum of %d key ranges", len(ranges))
}

// checksumAt sums up what is visible in ranges at ts, with a rule for the beginning of all their keys or none.
func (c *Cluster) checksumAt(ctx context.Context, ts uint64, ranges []KeyRange, rule *tipb.ChecksumRewriteRule) (kv.Checksum, error) {
	return c.lookThrough(ctx, ranges, func(ctx context.Context, look *regionLook) (string, kv.Checksum, error) {
		sum, locked, err := look.checksum(ctx, ts, rule)
		if err == nil && locked {
			err = fmt.Errorf("a transaction has locked a pair in region %d", look.region.ID())
		}
		return "", sum, err
	})
}

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
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

const (
	rangesConcurrency = 16
	rangesTries       = 20 // in a row without a region done; with the waits below about 30 s
	rangesWaitMin     = 50 * time.Millisecond
	rangesWaitMost    = 2 * time.Second
)

// ChecksumRanges returns the sum over all pairs of the ranges, as ChecksumTable
// does over those of a table; it asks the stores itself. The ranges must not
// overlap. The data is kept from garbage collection meanwhile. A pair that a
// transaction has locked is waited for, within limits.
func (c *Cluster) ChecksumRanges(ctx context.Context, ranges []KeyRange) (sum kv.Checksum, err error) {
	ts, err := c.TSO(ctx)
	if err != nil {
		return sum, err
	}
	lease, err := c.AcquireSafePoint(ctx, "checksum-"+uuid.NewString(), ts)
	if err != nil {
		return sum, err
	}
	defer func() {
		if released := lease.Release(ctx); released != nil {
			c.log.Warn("cluster: the checksum's safe point stays until it expires", zap.Error(released))
		}
	}()
	sums := make([]kv.Checksum, len(ranges))
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(rangesConcurrency)
	for i := range ranges {
		g.Go(func() (err error) {
			sums[i], err = c.checksumRange(groupCtx, ranges[i], ts)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return sum, failed(err, "compute the checksum of %d key ranges", len(ranges))
	}
	for _, s := range sums {
		sum.Merge(s)
	}
	return sum, nil
}

// checksumRange sums up a range, region by region.
func (c *Cluster) checksumRange(ctx context.Context, rng KeyRange, ts uint64) (sum kv.Checksum, err error) {
	wait := rangesWaitMin
	for tries := 0; bytes.Compare(rng.Start, rng.End) < 0; {
		part, end, err := c.checksumRegion(ctx, rng, ts)
		if err == nil {
			sum.Merge(part)
			rng.Start, tries, wait = end, 0, rangesWaitMin
			continue
		}
		if tries++; tries > rangesTries || ctx.Err() != nil {
			return sum, err
		}
		if err := pause(ctx, wait); err != nil {
			return sum, err
		}
		wait = min(2*wait, rangesWaitMost)
	}
	return sum, nil
}

// checksumRegion sums up the part of a range that is in its first region, and
// returns where that ends.
func (c *Cluster) checksumRegion(ctx context.Context, rng KeyRange, ts uint64) (sum kv.Checksum, end []byte, err error) {
	key := region.Enc(rng.Start)
	regions, err := c.ScanRegions(ctx, key, append(bytes.Clone(key), 0))
	if err != nil {
		return sum, nil, err
	}
	look := regionLook{cluster: c, region: regions[0], part: clamp(rng, regions[0])}
	sum, locked, err := look.checksum(ctx, ts)
	if err == nil && locked {
		err = fmt.Errorf("a transaction has locked a pair in region %d", regions[0].ID())
	}
	return sum, look.part.End, err
}

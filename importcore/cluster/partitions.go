package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tipb/go-tipb"
	"go.uber.org/zap"

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

package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

const safePointTTL = 5 * time.Minute

// AcquireSafePoint keeps what is visible at the timestamp ts from garbage
// collection. owner names the job and the purpose ("job-12-checksum") and must
// be unique among the leases of this kind in the whole cluster.
func (c *Cluster) AcquireSafePoint(ctx context.Context, owner string, ts uint64) (*Lease, error) {
	id := leaseID(owner)
	// One less than what is read, so that a store which compares with <= lets the read pass.
	point := ts - 1
	return c.keeper.take(ctx, leaseSpec{
		kind: LeaseSafePoint, id: id, owner: owner,
		ttl: safePointTTL, every: safePointTTL / 3,
		renew: func(ctx context.Context) error {
			lowest, err := c.pd.UpdateServiceGCSafePoint(ctx, id, int64(safePointTTL/time.Second), point)
			if err != nil {
				return err
			}
			// PD does not refuse a safe point that is too old, it only does not store it.
			if lowest > point {
				return fmt.Errorf("%w: data at %d is open to garbage collection, which is allowed up to %d",
					errLeaseGone, ts, lowest)
			}
			return nil
		},
		undo: func(ctx context.Context) error { return c.removeSafePoint(ctx, id) },
	})
}

// removeSafePoint removes a service's safe point: that is what PD takes a TTL of 0 for.
func (c *Cluster) removeSafePoint(ctx context.Context, id string) error {
	_, err := c.pd.UpdateServiceGCSafePoint(ctx, id, 0, 0)
	return err
}

// KeepReadable keeps what is visible now, as of ts, from garbage collection until
// release is called. purpose is for the name of the lease; with none nothing is kept, which is for reads that are over long before
// any garbage collection (tikv_gc_life_time is ten minutes at least).
func (c *Cluster) KeepReadable(ctx context.Context, purpose string) (ts uint64, release func(), err error) {
	if ts, err = c.TSO(ctx); err != nil {
		return 0, nil, err
	}
	if purpose == "" {
		return ts, func() {}, nil
	}
	lease, err := c.AcquireSafePoint(ctx, purpose+"-"+uuid.NewString(), ts)
	if err != nil {
		return 0, nil, err
	}
	return ts, func() {
		if err := c.Release(ctx, lease); err != nil {
			c.log.Warn("cluster: the safe point stays until it expires", zap.String("purpose", purpose), zap.Error(err))
		}
	}, nil
}

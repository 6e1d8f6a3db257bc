package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	addPartitionMethod    = "/import_sstpb.ImportSST/AddForcePartitionRange"
	removePartitionMethod = "/import_sstpb.ImportSST/RemoveForcePartitionRange"
	partitionTTL          = time.Hour
	partitionEvery        = 12 * time.Minute
	// partitionTimeout is long because a store may compact at both edges first.
	partitionTimeout = 15 * time.Second
)

// AcquirePartitionRange asks the row stores to cut their files at the borders
// of the range, so that ingested files reach the bottom level at once. It only
// makes the import faster: stores without the call (before 8.5.4) and stores
// that fail are left alone. What they were asked for they are asked to undo. owner is as in AcquireSafePoint.
func (c *Cluster) AcquirePartitionRange(ctx context.Context, owner string, rng KeyRange) (*Lease, error) {
	pbRange := &import_sstpb.Range{Start: rng.Start, End: rng.End}
	return c.keeper.take(ctx, leaseSpec{
		kind: LeasePartitionRange, owner: owner, ranges: []KeyRange{rng},
		ttl: partitionTTL, every: partitionEvery,
		renew: func(ctx context.Context) error {
			_, err := c.onRowStores(ctx, addPartitionMethod, &import_sstpb.AddPartitionRangeRequest{
				Range: pbRange, TtlSeconds: uint64(partitionTTL / time.Second),
			}, func() any { return &import_sstpb.AddPartitionRangeResponse{} })
			return err
		},
		undo: func(ctx context.Context) error { return c.removePartitionRange(ctx, rng) },
	})
}

func (c *Cluster) removePartitionRange(ctx context.Context, rng KeyRange) error {
	failed, err := c.onRowStores(ctx, removePartitionMethod,
		&import_sstpb.RemovePartitionRangeRequest{Range: &import_sstpb.Range{Start: rng.Start, End: rng.End}},
		func() any { return &import_sstpb.RemovePartitionRangeResponse{} })
	return errors.Join(err, failed)
}

// onRowStores calls a method on every row store. failed is what stores that have it had against it, which is in the log.
func (c *Cluster) onRowStores(ctx context.Context, method string, req any, newResp func() any) (failed, err error) {
	stores, err := c.Stores(ctx)
	if err != nil {
		return nil, err
	}
	var calls sync.WaitGroup
	rows := tikvStores(stores)
	errs := make([]error, len(rows))
	for i, s := range rows {
		calls.Go(func() {
			callCtx, cancel := context.WithTimeout(ctx, partitionTimeout)
			defer cancel()
			conn, err := c.StoreConn(callCtx, s.ID)
			if err == nil {
				err = conn.Invoke(callCtx, method, req, newResp())
			}
			if err != nil && ctx.Err() == nil && status.Code(err) != codes.Unimplemented {
				c.log.Info("cluster: partition range not changed",
					zap.String("method", method), zap.Uint64("store", s.ID), zap.Error(err))
				errs[i] = fmt.Errorf("store %d: %w", s.ID, err)
			}
		})
	}
	calls.Wait()
	return errors.Join(errs...), context.Cause(ctx)
}

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

const (
	splitMethod = "/tikvpb.Tikv/SplitRegion"
	// A split is one raft entry, which may have 8 MiB.
	splitMaxKeys  = 4096
	splitMaxBytes = 6 << 20
	splitTimeout  = 30 * time.Second
	// splitInPlace is how often a region is asked again before PD is.
	splitInPlace = 4
	// splitRounds bounds the rounds in a row that brought no new region.
	splitRounds      = 60
	splitConcurrency = 8
	splitWaitMin     = 50 * time.Millisecond
	splitWaitMost    = 4 * time.Second
	pendingRounds    = 20
)

// SplitRegions makes every raw key the start of a region. Keys may come in any
// order and repeat; those that are borders already cost only a look-up. It
// returns when PD knows all the new regions.
//
// It works in rounds: look at the regions, ask each that still has to be cut
// once, look again. So it does not matter which half keeps the region's id, or
// whether an answer was lost.
func (c *Cluster) SplitRegions(ctx context.Context, keys [][]byte) error {
	left := sortedKeys(keys)
	wait := splitWaitMin
	var last error
	for idle := 0; len(left) > 0; {
		todo, err := c.splitTasks(ctx, left)
		if err != nil {
			return err
		}
		rest := 0
		left = left[:0:0]
		for _, t := range todo {
			rest += len(t.keys)
			left = append(left, t.keys...)
		}
		if rest == 0 {
			break
		}
		if last, err = c.splitRound(ctx, todo); err != nil {
			return err
		}
		if last == nil {
			idle, wait = 0, splitWaitMin
			continue
		}
		if idle++; idle > splitRounds {
			return failed(last, "split regions at %d keys from %x on", rest, left[0])
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, splitWaitMost)
	}
	return c.waitPending(ctx, keys)
}

// sortedKeys returns the keys in order, each once, without the empty one.
func sortedKeys(keys [][]byte) [][]byte {
	out := slices.DeleteFunc(slices.Clone(keys), func(k []byte) bool { return len(k) == 0 })
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

// splitTask is a region and the raw keys at which it is to be cut.
type splitTask struct {
	region region.Region
	keys   [][]byte
}

// splitTasks sorts the keys that are no borders yet by their regions.
func (c *Cluster) splitTasks(ctx context.Context, keys [][]byte) ([]splitTask, error) {
	last := region.Enc(keys[len(keys)-1])
	regions, err := c.ScanRegions(ctx, region.Enc(keys[0]), append(last, 0))
	if err != nil {
		return nil, err
	}
	return assignKeys(regions, keys), nil
}

// assignKeys gives each ascending raw key to the region that holds it, leaving out
// those at which a region starts.
func assignKeys(regions []region.Region, keys [][]byte) []splitTask {
	var tasks []splitTask
	at := 0
	for _, key := range keys {
		enc := region.Enc(key)
		for at < len(regions) && !region.BeforeEnd(enc, regions[at].Meta.GetEndKey()) {
			at++
		}
		if at == len(regions) {
			break
		}
		if bytes.Equal(regions[at].Meta.GetStartKey(), enc) {
			continue
		}
		if n := len(tasks); n == 0 || tasks[n-1].region.ID() != regions[at].ID() {
			tasks = append(tasks, splitTask{region: regions[at]})
		}
		t := &tasks[len(tasks)-1]
		t.keys = append(t.keys, key)
	}
	return tasks
}

// splitRound asks every region once. progressErr is the last error when no
// region was split; err ends everything.
func (c *Cluster) splitRound(ctx context.Context, tasks []splitTask) (progressErr, err error) {
	results := make([]error, len(tasks))
	var g errgroup.Group
	g.SetLimit(splitConcurrency)
	for i, t := range tasks {
		g.Go(func() error {
			results[i] = c.splitRegion(ctx, t)
			return nil
		})
	}
	_ = g.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	split := false
	for i, err := range results {
		var refused *splitRefused
		switch {
		case err == nil:
			split = true
		case errors.As(err, &refused):
			return nil, failed(err, "split region %d", tasks[i].region.ID())
		default:
			progressErr = err
			c.log.Info("cluster: a region was not split yet",
				zap.Uint64("region", tasks[i].region.ID()), zap.Int("keys", len(tasks[i].keys)), zap.Error(err))
		}
	}
	if split {
		return nil, nil
	}
	return progressErr, nil
}

// splitRefused marks an error that no repetition makes better.
type splitRefused struct{ cause error }

func (e *splitRefused) Error() string { return e.cause.Error() }
func (e *splitRefused) Unwrap() error { return e.cause }

// splitRegion cuts one region at as many of its keys as fit in a request. It
// stays with the region through errors that pass by themselves.
func (c *Cluster) splitRegion(ctx context.Context, t splitTask) error {
	keys := firstKeys(t.keys)
	leader := t.region.Leader
	var err error
	for try := range splitInPlace {
		if try > 0 {
			if err := pause(ctx, splitWaitMin<<try); err != nil {
				return err
			}
		}
		var regionErr *errorpb.Error
		regionErr, err = c.callSplit(ctx, t.region.Meta, leader, keys)
		if err != nil {
			return err
		}
		if regionErr == nil {
			return nil
		}
		err = fmt.Errorf("store %d: region error: %s", leader.GetStoreId(), regionErr.String())
		switch {
		case regionErr.NotLeader.GetLeader().GetStoreId() != 0:
			leader = regionErr.NotLeader.GetLeader()
		case regionErr.ServerIsBusy != nil, regionErr.StaleCommand != nil:
		case regionErr.FlashbackInProgress != nil, regionErr.DiskFull != nil:
			return &splitRefused{err}
		default:
			return err
		}
	}
	return err
}

// firstKeys returns as many keys as one request may have.
func firstKeys(keys [][]byte) [][]byte {
	size := 0
	for i, k := range keys {
		if size += len(k); i == splitMaxKeys || (i > 0 && size > splitMaxBytes) {
			return keys[:i]
		}
	}
	return keys
}

func (c *Cluster) callSplit(
	ctx context.Context, meta *metapb.Region, leader *metapb.Peer, keys [][]byte,
) (*errorpb.Error, error) {
	ctx, cancel := context.WithTimeout(ctx, splitTimeout)
	defer cancel()
	conn, err := c.StoreConn(ctx, leader.GetStoreId())
	if err != nil {
		return nil, err
	}
	resp := &kvrpcpb.SplitRegionResponse{}
	err = conn.Invoke(ctx, splitMethod, &kvrpcpb.SplitRegionRequest{
		Context:   &kvrpcpb.Context{RegionId: meta.GetId(), RegionEpoch: meta.GetRegionEpoch(), Peer: leader},
		SplitKeys: keys,
	}, resp)
	if status.Code(err) == codes.Unimplemented {
		return nil, &splitRefused{err}
	}
	return resp.GetRegionError(), err
}

// waitPending waits a bounded time until no new region has a peer that lags
// behind; what still does then is left to PD.
func (c *Cluster) waitPending(ctx context.Context, keys [][]byte) error {
	keys = sortedKeys(keys)
	if len(keys) == 0 {
		return nil
	}
	wait := splitWaitMin
	for range pendingRounds {
		last := region.Enc(keys[len(keys)-1])
		regions, err := c.ScanRegions(ctx, region.Enc(keys[0]), append(last, 0))
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(regions, func(r region.Region) bool { return r.Pending }) {
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, splitWaitMost)
	}
	return nil
}

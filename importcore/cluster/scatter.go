package cluster

import (
	"context"
	"time"

	"github.com/pingcap/kvproto/pkg/pdpb"
	pd "github.com/tikv/pd/client"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

const (
	scatterBatch = 64
	// scatterRetries is PD's own tries per region; each sleeps twice as long as
	// the one before, so the call must stay short.
	scatterRetries  = 2
	scatterLimit    = 5 * time.Minute
	scatterWaitMin  = 20 * time.Millisecond
	scatterWaitMost = 2 * time.Second
	scatterRounds   = 5
	scatterDesc     = "scatter-region"
)

// ScatterRegions spreads the regions that overlap [start, end), raw keys, over
// the stores and waits until they have arrived, at most five minutes. What is
// not scattered by then stays where it is: that costs speed and nothing else,
// so only a failed look-up or the end of ctx is an error. With one row store
// there is nothing to do.
func (c *Cluster) ScatterRegions(ctx context.Context, start, end []byte) error {
	stores, err := c.Stores(ctx)
	if err != nil {
		return err
	}
	if len(tikvStores(stores)) < 2 {
		return nil
	}
	regions, err := c.ScanRegions(ctx, region.Enc(start), region.EncEnd(end))
	if err != nil {
		return err
	}
	ids := make([]uint64, 0, len(regions))
	for _, r := range regions {
		ids = append(ids, r.ID())
	}
	deadline := time.Now().Add(scatterLimit)
	for range scatterRounds {
		c.requestScatter(ctx, ids)
		if ids, err = c.awaitScatter(ctx, ids, deadline); err != nil {
			return err
		}
		if len(ids) == 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(ids) > 0 {
		c.log.Info("cluster: some regions were not scattered", zap.Int("regions", len(ids)))
	}
	return nil
}

// requestScatter asks PD to scatter the regions; refusals are only logged.
func (c *Cluster) requestScatter(ctx context.Context, ids []uint64) {
	for len(ids) > 0 && ctx.Err() == nil {
		n := min(len(ids), scatterBatch)
		resp, err := c.pd.ScatterRegions(ctx, ids[:n], pd.WithRetry(scatterRetries), pd.WithSkipStoreLimit())
		if err != nil || resp.GetFinishedPercentage() < 100 {
			c.log.Info("cluster: PD did not scatter all regions", zap.Int("regions", n),
				zap.Uint64("percentage", resp.GetFinishedPercentage()), zap.Error(err))
		}
		ids = ids[n:]
	}
}

// awaitScatter waits for the operators of the regions and returns those whose
// operator did not end well.
func (c *Cluster) awaitScatter(ctx context.Context, ids []uint64, deadline time.Time) ([]uint64, error) {
	var again []uint64
	wait := scatterWaitMin
	for _, id := range ids {
		for {
			done, retry := c.scatterState(ctx, id)
			if retry {
				again = append(again, id)
			}
			if done || retry || time.Now().After(deadline) {
				break
			}
			if err := pause(ctx, wait); err != nil {
				return nil, err
			}
			wait = min(2*wait, scatterWaitMost)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return again, nil
}

// scatterState asks for a region's operator. No operator, or another one,
// means that the scattering is over. If PD does not answer, waiting goes on.
func (c *Cluster) scatterState(ctx context.Context, id uint64) (done, retry bool) {
	resp, err := c.pd.GetOperator(ctx, id)
	if err != nil {
		return false, false
	}
	if resp.GetHeader().GetError() != nil || string(resp.GetDesc()) != scatterDesc {
		return true, false
	}
	switch resp.GetStatus() {
	case pdpb.OperatorStatus_SUCCESS:
		return true, false
	case pdpb.OperatorStatus_TIMEOUT, pdpb.OperatorStatus_CANCEL, pdpb.OperatorStatus_REPLACE:
		return false, true
	default:
		return false, false
	}
}

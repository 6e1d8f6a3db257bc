package cluster

import (
	"context"
	"encoding/hex"
	"time"

	pdhttp "github.com/tikv/pd/client/http"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

const (
	labelTTL = 5 * time.Minute
	// labelSettle is how long PD's schedulers need to notice a new rule.
	labelSettle = 20 * time.Millisecond
)

// KeyRange is [Start, End) in raw keys.
type KeyRange struct{ Start, End []byte }

// labelRange is a key range as a label rule has it: hex of enc keys.
type labelRange struct {
	StartKey string `json:"start_key"`
	EndKey   string `json:"end_key"`
}

// AcquireSchedulerPause keeps PD's schedulers from moving and merging the
// regions that lie in the ranges, by a region label rule. Repairs of replicas
// go on. owner is as in AcquireSafePoint.
func (c *Cluster) AcquireSchedulerPause(ctx context.Context, owner string, ranges []KeyRange) (*Lease, error) {
	id := leaseID(owner)
	data := make([]labelRange, 0, len(ranges))
	for _, r := range ranges {
		data = append(data, labelRange{
			StartKey: hex.EncodeToString(region.Enc(r.Start)),
			EndKey:   hex.EncodeToString(region.EncEnd(r.End)),
		})
	}
	set := func(ctx context.Context) error {
		// PD stamps the start of the TTL when a rule comes without one, so
		// setting the same rule again prolongs it.
		return c.labels.SetRegionLabelRule(ctx, &pdhttp.LabelRule{
			ID:       id,
			Labels:   []pdhttp.RegionLabel{{Key: "schedule", Value: "deny", TTL: labelTTL.String()}},
			RuleType: "key-range",
			Data:     data,
		})
	}
	lease, err := c.keeper.take(ctx, leaseSpec{
		kind: LeaseSchedulers, id: id, owner: owner, ranges: ranges,
		ttl: labelTTL, every: labelTTL / 3,
		renew: set,
		undo:  func(ctx context.Context) error { return c.removeLabelRule(ctx, id) },
	})
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, labelSettle); err != nil {
		_ = lease.Release(ctx)
		return nil, err
	}
	return lease, nil
}

// removeLabelRule removes a label rule, if it is there.
func (c *Cluster) removeLabelRule(ctx context.Context, id string) error {
	return c.labels.PatchRegionLabelRules(ctx, &pdhttp.LabelRulePatch{SetRules: []*pdhttp.LabelRule{}, DeleteRules: []string{id}})
}

package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	pdhttp "github.com/tikv/pd/client/http"
	"go.uber.org/zap"

	"github.com/pingcap/kvproto/pkg/import_sstpb"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/fence"
)

// Change is a change to the cluster that is kept as a lease, with all that anybody needs to undo it.
type Change struct {
	// Kind is one of the Lease constants.
	Kind string
	// Owner names who holds it and for what; no two of a kind have the same.
	Owner string
	// ID is the cluster's name of it; "" where the cluster keeps none.
	ID string
	// Ranges are the keys that it is about; none means all.
	Ranges []KeyRange
	// TTL is how long it lasts unless it is prolonged; 0 if that is unknown.
	TTL time.Duration
}

// Ledger is where changes are noted, so that everybody sees what is held in a
// cluster, and can undo what was left behind.
type Ledger interface {
	// Note is called before a change is made or prolonged.
	Note(ctx context.Context, c Change) error
	// Forget is called after it has been undone.
	Forget(ctx context.Context, c Change) error
}

// JobOwner is the owner of a job's changes. run tells one run of the job from
// all others, so that none undoes what another one holds.
func JobOwner(jobID int64, run string) string { return fmt.Sprintf("job-%d-%s", jobID, run) }

// OwnersJob returns the job of an owner that JobOwner has named, 0 for any other.
func OwnersJob(owner string) (jobID int64) {
	if n, err := fmt.Sscanf(owner, "job-%d-", &jobID); err != nil || n != 1 {
		return 0
	}
	return jobID
}

// leasePrefix begins the names under which the cluster knows leases.
const leasePrefix = "sluice-"

// leaseID is the name under which the cluster knows a lease.
func leaseID(owner string) string { return leasePrefix + owner }

// ledgerAPI is what is used of PD's HTTP client to look at what is held.
type ledgerAPI interface {
	GetAllRegionLabelRules(ctx context.Context) ([]*pdhttp.LabelRule, error)
	GetGCSafePoint(ctx context.Context) (pdhttp.ListServiceGCSafepoint, error)
}

// Named returns the changes with Sluice's names that PD knows of: label rules and
// safe points. Of import mode and partition ranges the stores don't tell.
func (c *Cluster) Named(ctx context.Context) ([]Change, error) {
	rules, err := c.admin.GetAllRegionLabelRules(ctx)
	if err != nil {
		return nil, failed(err, "list PD's region label rules")
	}
	points, err := c.admin.GetGCSafePoint(ctx)
	if err != nil {
		return nil, failed(err, "list PD's service safe points")
	}
	var out []Change
	add := func(kind, id string) {
		if owner, ok := strings.CutPrefix(id, leasePrefix); ok {
			out = append(out, Change{Kind: kind, Owner: owner, ID: id})
		}
	}
	for _, rule := range rules {
		add(LeaseSchedulers, rule.ID)
	}
	for _, point := range points.ServiceGCSafepoints {
		add(LeaseSafePoint, point.ServiceID)
	}
	return out, nil
}

// Undo undoes a change that its owner has left behind. Undoing one that is not
// there does nothing. Stores leave import mode only if no lease of this process needs it.
func (c *Cluster) Undo(ctx context.Context, ch Change) error {
	ctx, cancel := context.WithTimeout(ctx, undoTimeout)
	defer cancel()
	var err error
	switch ch.Kind {
	case LeaseSafePoint:
		err = c.removeSafePoint(ctx, ch.ID)
	case LeaseSchedulers:
		err = c.removeLabelRule(ctx, ch.ID)
	case LeasePartitionRange:
		for _, rng := range ch.Ranges {
			if err = c.removePartitionRange(ctx, rng); err != nil {
				break
			}
		}
	case LeaseImportMode:
		err = c.withMode(ctx, func() error {
			if c.mode.holders > 0 {
				return nil
			}
			return c.switchAll(ctx, import_sstpb.SwitchMode_Normal, true)
		})
	default:
		return fault.New(fault.Sluice, 0, "there is no change to the cluster of kind %q", ch.Kind)
	}
	if err != nil {
		return failed(err, "undo the %s change of %s", ch.Kind, ch.Owner)
	}
	return nil
}

// note notes a lease before it is taken or prolonged.
func (l *Lease) note(ctx context.Context) error {
	if l.keeper.ledger == nil {
		return nil
	}
	return l.keeper.ledger.Note(ctx, l.change())
}

// forget takes a lease that was undone out of the ledger, also when the job, which may
// have waited for nothing else, has been given back meanwhile. Where that fails it is
// taken for left behind, and undone again, which does nothing.
func (l *Lease) forget(ctx context.Context) {
	if l.keeper.ledger == nil {
		return
	}
	if err := l.keeper.ledger.Forget(fence.Without(ctx), l.change()); err != nil {
		l.keeper.log.Warn("cluster: a change that was undone could not be taken out of the ledger",
			zap.String("kind", l.spec.kind), zap.String("owner", l.spec.owner), zap.Error(err))
	}
}

func (l *Lease) change() Change {
	return Change{Kind: l.spec.kind, Owner: l.spec.owner, ID: l.spec.id, Ranges: l.spec.ranges, TTL: l.spec.ttl}
}

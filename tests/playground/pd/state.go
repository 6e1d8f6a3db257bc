package pd

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// ClientState is what clients have changed and not put back: what a test
// compares before and after a job. Expired entries are not in it.
type ClientState struct {
	// PausedSchedulers is ordered by the list of schedulers.
	PausedSchedulers []PausedScheduler
	// LabelRules is ordered by index, then id.
	LabelRules []LabelRule
	// ServiceSafePoints is ordered by service; gc_worker's is left out because
	// PD makes it by itself.
	ServiceSafePoints []ServiceSafePoint
	// ConfigOverrides are the items with a TTL, by full key ("schedule.…").
	ConfigOverrides map[string]ConfigOverride
	// PlacementRules holds every rule, the default one included.
	PlacementRules []PlacementRule
	// GCSafePoint is the timestamp below which versions may be gone.
	GCSafePoint uint64
}

// ClientState reads what clients have changed. The caller owns the result.
func (s *Server) ClientState(ctx context.Context) (ClientState, error) {
	out := ClientState{
		PausedSchedulers: s.schedulers.pausedNow(),
		ConfigOverrides:  s.overrides.active(),
		PlacementRules:   s.rules.list(""),
	}
	var err error
	if out.LabelRules, err = s.labels.live(ctx); err != nil {
		return ClientState{}, fmt.Errorf("pd: %w", err)
	}
	if out.GCSafePoint, err = s.safePoints.gc(ctx); err != nil {
		return ClientState{}, fmt.Errorf("pd: %w", err)
	}
	all, err := s.safePoints.all(ctx)
	if err != nil {
		return ClientState{}, fmt.Errorf("pd: %w", err)
	}
	now := s.tso.current().time().Unix()
	for _, sp := range all {
		if sp.ServiceID != gcWorkerService && sp.ExpiredAt >= now {
			out.ServiceSafePoints = append(out.ServiceSafePoints, *sp)
		}
	}
	slices.SortFunc(out.ServiceSafePoints, func(a, b ServiceSafePoint) int {
		return strings.Compare(a.ServiceID, b.ServiceID)
	})
	return out, nil
}

// Operator returns the record of the last scatter of a region, as GetOperator
// would report it; false when there is none (any more).
func (s *Server) Operator(regionID uint64) (Operator, bool) { return s.scatter.operator(regionID) }

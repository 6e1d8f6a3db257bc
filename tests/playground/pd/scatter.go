package pd

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/tests/playground/topology"
)

const (
	scatterDesc = "scatter-region"
	scatterKind = "leader"
	// operatorRecordLife is how long PD remembers a finished operator.
	operatorRecordLife = 10 * time.Minute
)

// Operator is a finished piece of scheduling, as GetOperator reports it.
type Operator struct {
	RegionID   uint64
	Desc       string
	Kind       string
	Status     pdpb.OperatorStatus
	FinishedAt time.Time
}

// scatterer spreads leaders. Peers stay where they are: the playground has a
// peer of every region on every store, so only leadership can move.
type scatterer struct {
	now func() time.Time

	mu struct {
		sync.Mutex
		// leaders counts the leaders given to each store by group, as PD keeps
		// the regions of one group (one table) apart.
		leaders   map[string]map[uint64]int
		operators map[uint64]Operator // by region
	}
}

func newScatterer(now func() time.Time) *scatterer {
	s := &scatterer{now: now}
	s.reset()
	return s
}

// reset forgets everything, as a new PD leader has.
func (s *scatterer) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.leaders = map[string]map[uint64]int{}
	s.mu.operators = map[uint64]Operator{}
}

// scatter gives the region's leadership to the voter whose store leads the
// fewest regions of the group, and records the operator.
func (s *scatterer) scatter(view topology.View, r topology.Region, group string) error {
	if r.Leader == nil || r.Leader.GetId() == 0 {
		return fmt.Errorf("region %d has no leader", r.Meta.GetId())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.mu.leaders[group]
	if counts == nil {
		counts = map[uint64]int{}
		s.mu.leaders[group] = counts
	}
	target := r.Leader.GetStoreId()
	best := -1
	for _, p := range r.Meta.GetPeers() {
		if p.GetRole() == metapb.PeerRole_Learner || p.GetIsWitness() {
			continue
		}
		if n := counts[p.GetStoreId()]; best < 0 || n < best {
			best, target = n, p.GetStoreId()
		}
	}
	if target != r.Leader.GetStoreId() && !view.TransferLeader(r.Meta.GetId(), target) {
		return fmt.Errorf("region %d cannot move its leader to store %d", r.Meta.GetId(), target)
	}
	counts[target]++
	s.mu.operators[r.Meta.GetId()] = Operator{
		RegionID: r.Meta.GetId(), Desc: scatterDesc, Kind: scatterKind,
		Status: pdpb.OperatorStatus_SUCCESS, FinishedAt: s.now(),
	}
	return nil
}

// operator returns the record of a region while PD would still have it.
func (s *scatterer) operator(regionID uint64) (Operator, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op, ok := s.mu.operators[regionID]
	if ok && s.now().Sub(op.FinishedAt) > operatorRecordLife {
		delete(s.mu.operators, regionID)
		return Operator{}, false
	}
	return op, ok
}

// scatterResult counts what became of a list of regions.
type scatterResult struct{ done, failed int }

func (r scatterResult) percentage() uint64 {
	if r.done+r.failed == 0 {
		return 100
	}
	return uint64(100 - 100*r.failed/(r.done+r.failed))
}

func (s *Server) scatterAll(ids []uint64, group string) scatterResult {
	var res scatterResult
	view := s.topology()
	for _, id := range ids {
		r, ok := view.RegionByID(id)
		if !ok || s.scatter.scatter(view, r, group) != nil {
			res.failed++
			continue
		}
		res.done++
	}
	return res
}

// ScatterRegion implements pdpb.PDServer, in the three forms of PD: a list, a
// list of one (whose failure is the call's), and the old single region.
func (s *pdService) ScatterRegion(_ context.Context, req *pdpb.ScatterRegionRequest) (*pdpb.ScatterRegionResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.ScatterRegionResponse{Header: s.notBootstrapped()}, nil
	}
	ids := req.GetRegionsId()
	if len(ids) > 1 {
		res := s.scatterAll(ids, req.GetGroup())
		return &pdpb.ScatterRegionResponse{Header: s.header(), FinishedPercentage: res.percentage()}, nil
	}
	view := s.topology()
	var region topology.Region
	var ok bool
	if len(ids) == 1 {
		if region, ok = view.RegionByID(ids[0]); !ok {
			return nil, status.Error(codes.Unknown, "region not found")
		}
	} else {
		// old clients send the deprecated field
		id := req.GetRegionId()
		if region, ok = view.RegionByID(id); !ok {
			if req.GetRegion() == nil {
				// PD forgets to fill in the number here; clients look for the text.
				return &pdpb.ScatterRegionResponse{
					Header: s.errorHeader(pdpb.ErrorType_REGION_NOT_FOUND, "region %d not found"),
				}, nil
			}
			region = topology.Region{Meta: req.GetRegion(), Leader: req.GetLeader()}
		}
	}
	if err := s.scatter.scatter(view, region, req.GetGroup()); err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.ScatterRegionResponse{Header: s.header(), FinishedPercentage: 100}, nil
}

// SplitRegions implements pdpb.PDServer.
func (s *pdService) SplitRegions(_ context.Context, req *pdpb.SplitRegionsRequest) (*pdpb.SplitRegionsResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.SplitRegionsResponse{Header: s.notBootstrapped()}, nil
	}
	ids, pct := s.split(req.GetSplitKeys())
	return &pdpb.SplitRegionsResponse{Header: s.header(), FinishedPercentage: pct, RegionsId: ids}, nil
}

// SplitAndScatterRegions implements pdpb.PDServer.
func (s *pdService) SplitAndScatterRegions(_ context.Context, req *pdpb.SplitAndScatterRegionsRequest) (*pdpb.SplitAndScatterRegionsResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.SplitAndScatterRegionsResponse{Header: s.notBootstrapped()}, nil
	}
	ids, pct := s.split(req.GetSplitKeys())
	res := s.scatterAll(ids, req.GetGroup())
	return &pdpb.SplitAndScatterRegionsResponse{
		Header: s.header(), RegionsId: ids,
		SplitFinishedPercentage: pct, ScatterFinishedPercentage: res.percentage(),
	}, nil
}

// split returns the new regions and how many of the wanted borders exist now,
// in percent; PD reports failures through the percentage only.
func (s *Server) split(keys [][]byte) ([]uint64, uint64) {
	if len(keys) == 0 {
		return nil, 100
	}
	ids, err := s.topology().Split(keys)
	if err != nil {
		s.log.Sugar().Warnf("split %d keys: %v", len(keys), err)
	}
	there := 0
	for _, k := range keys {
		if r, ok := s.topology().RegionByKey(k); ok && string(r.Meta.GetStartKey()) == string(k) {
			there++
		}
	}
	return ids, uint64(100 * there / len(keys))
}

// GetOperator implements pdpb.PDServer; clients take "not found" for done.
func (s *pdService) GetOperator(_ context.Context, req *pdpb.GetOperatorRequest) (*pdpb.GetOperatorResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.GetOperatorResponse{Header: s.notBootstrapped()}, nil
	}
	op, ok := s.scatter.operator(req.GetRegionId())
	if !ok {
		return &pdpb.GetOperatorResponse{Header: s.errorHeader(pdpb.ErrorType_REGION_NOT_FOUND, "Not Found")}, nil
	}
	return &pdpb.GetOperatorResponse{
		Header: s.header(), RegionId: op.RegionID, Desc: []byte(op.Desc), Status: op.Status, Kind: []byte(op.Kind),
	}, nil
}

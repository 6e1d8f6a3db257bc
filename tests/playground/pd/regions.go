package pd

import (
	"bytes"
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/sluicedb/sluice/tests/playground/topology"
)

// regionResponse answers one look-up: an unknown region is no error but a nil
// region.
func (s *pdService) regionResponse(r topology.Region, ok bool) *pdpb.GetRegionResponse {
	if !ok || r.Meta == nil {
		return &pdpb.GetRegionResponse{Header: s.header()}
	}
	return &pdpb.GetRegionResponse{Header: s.header(), Region: r.Meta, Leader: r.Leader}
}

// GetRegion implements pdpb.PDServer.
func (s *pdService) GetRegion(_ context.Context, req *pdpb.GetRegionRequest) (*pdpb.GetRegionResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.GetRegionResponse{Header: s.notBootstrapped()}, nil
	}
	return s.regionResponse(s.topology().RegionByKey(req.GetRegionKey())), nil
}

// GetPrevRegion implements pdpb.PDServer.
func (s *pdService) GetPrevRegion(_ context.Context, req *pdpb.GetRegionRequest) (*pdpb.GetRegionResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.GetRegionResponse{Header: s.notBootstrapped()}, nil
	}
	return s.regionResponse(s.topology().PrevRegion(req.GetRegionKey())), nil
}

// GetRegionByID implements pdpb.PDServer.
func (s *pdService) GetRegionByID(_ context.Context, req *pdpb.GetRegionByIDRequest) (*pdpb.GetRegionResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.GetRegionResponse{Header: s.notBootstrapped()}, nil
	}
	return s.regionResponse(s.topology().RegionByID(req.GetRegionId())), nil
}

// leaderOf is the leader as scans report it: an empty peer when there is none.
func leaderOf(r topology.Region) *metapb.Peer {
	if r.Leader == nil {
		return &metapb.Peer{}
	}
	return r.Leader
}

// ScanRegions implements pdpb.PDServer. Older clients read the metas and
// leaders lists, newer ones the regions list.
func (s *pdService) ScanRegions(_ context.Context, req *pdpb.ScanRegionsRequest) (*pdpb.ScanRegionsResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.ScanRegionsResponse{Header: s.notBootstrapped()}, nil
	}
	resp := &pdpb.ScanRegionsResponse{Header: s.header()}
	for _, r := range s.topology().ScanRegions(req.GetStartKey(), req.GetEndKey(), int(req.GetLimit())) {
		leader := leaderOf(r)
		resp.RegionMetas = append(resp.RegionMetas, r.Meta)
		resp.Leaders = append(resp.Leaders, leader)
		resp.Regions = append(resp.Regions, &pdpb.Region{Region: r.Meta, Leader: leader})
	}
	return resp, nil
}

// BatchScanRegions implements pdpb.PDServer: ordered ranges in one answer, no
// region twice. The limit is for all ranges together.
func (s *pdService) BatchScanRegions(_ context.Context, req *pdpb.BatchScanRegionsRequest) (*pdpb.BatchScanRegionsResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.BatchScanRegionsResponse{Header: s.notBootstrapped()}, nil
	}
	if err := checkRanges(req.GetRanges()); err != nil {
		return &pdpb.BatchScanRegionsResponse{Header: s.errorHeader(pdpb.ErrorType_UNKNOWN, err.Error())}, nil
	}
	resp := &pdpb.BatchScanRegionsResponse{Header: s.header()}
	limit := int(req.GetLimit())
	var last uint64
	for _, kr := range req.GetRanges() {
		rest := 0
		if limit > 0 {
			if rest = limit - len(resp.Regions); rest == 0 {
				break
			}
			// The first region of this range may be the last of the one before.
			rest++
		}
		found := s.topology().ScanRegions(kr.GetStartKey(), kr.GetEndKey(), rest)
		if req.GetContainAllKeyRange() && !coversRange(found, kr, rest) {
			msg := fmt.Sprintf("found hole regions in the given key range [%X, %X)", kr.GetStartKey(), kr.GetEndKey())
			return &pdpb.BatchScanRegionsResponse{
				Header: s.errorHeader(pdpb.ErrorType_REGIONS_NOT_CONTAIN_ALL_KEY_RANGE, msg),
			}, nil
		}
		for _, r := range found {
			if r.Meta.GetId() == last {
				continue
			}
			if limit > 0 && len(resp.Regions) == limit {
				break
			}
			last = r.Meta.GetId()
			resp.Regions = append(resp.Regions, &pdpb.Region{Region: r.Meta, Leader: leaderOf(r)})
		}
	}
	return resp, nil
}

// checkRanges wants ranges that are not inverted, in order and apart.
func checkRanges(ranges []*pdpb.KeyRange) error {
	for i, r := range ranges {
		if len(r.GetEndKey()) > 0 && bytes.Compare(r.GetStartKey(), r.GetEndKey()) > 0 {
			return fmt.Errorf("invalid key range, start key > end key")
		}
		if i == 0 {
			continue
		}
		prev := ranges[i-1].GetEndKey()
		if len(prev) == 0 || bytes.Compare(r.GetStartKey(), prev) < 0 {
			return fmt.Errorf("invalid key range, ranges overlapped")
		}
	}
	return nil
}

// coversRange reports whether found has no hole over kr; a scan that was cut by
// its limit need not reach the end.
func coversRange(found []topology.Region, kr *pdpb.KeyRange, limit int) bool {
	if len(found) == 0 {
		return false
	}
	next := kr.GetStartKey()
	for i, r := range found {
		if i == 0 {
			if bytes.Compare(r.Meta.GetStartKey(), next) > 0 {
				return false
			}
		} else if !bytes.Equal(r.Meta.GetStartKey(), next) {
			return false
		}
		next = r.Meta.GetEndKey()
	}
	if limit > 0 && len(found) == limit {
		return true
	}
	return len(next) == 0 || len(kr.GetEndKey()) > 0 && bytes.Compare(next, kr.GetEndKey()) >= 0
}

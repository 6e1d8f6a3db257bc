package pd

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (s *Server) bootstrapped() bool {
	s.stores.mu.Lock()
	defer s.stores.mu.Unlock()
	return s.stores.mu.bootstrapped || s.view.Load() != nil
}

// allStores returns the View's stores and those registered over the network,
// ordered by id, with the labels that clients have set. The View wins where
// both know a store.
func (s *Server) allStores() []*metapb.Store {
	stores := slices.Clone(s.topology().Stores())
	seen := make(map[uint64]bool, len(stores))
	for _, st := range stores {
		seen[st.GetId()] = true
	}
	r := s.stores
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, st := range r.mu.extra {
		if !seen[id] {
			stores = append(stores, st)
		}
	}
	for i, st := range stores {
		c := *st
		c.Labels = overlayLabels(c.Labels, r.mu.labels[c.Id])
		c.LastHeartbeat = s.opts.Now().UnixNano()
		if t, ok := r.mu.heartbeat[c.Id]; ok && !seen[c.Id] {
			c.LastHeartbeat = t.UnixNano()
		}
		stores[i] = &c
	}
	slices.SortFunc(stores, func(a, b *metapb.Store) int { return cmp.Compare(a.Id, b.Id) })
	return stores
}

func overlayLabels(base []*metapb.StoreLabel, over map[string]string) []*metapb.StoreLabel {
	if len(over) == 0 {
		return base
	}
	all := map[string]string{}
	for _, l := range base {
		all[l.Key] = l.Value
	}
	for k, v := range over {
		all[k] = v
	}
	out := make([]*metapb.StoreLabel, 0, len(all))
	for k, v := range all {
		if v != "" {
			out = append(out, &metapb.StoreLabel{Key: k, Value: v})
		}
	}
	slices.SortFunc(out, func(a, b *metapb.StoreLabel) int {
		return cmp.Compare(a.Key, b.Key)
	})
	return out
}

func (s *Server) store(id uint64) *metapb.Store {
	for _, st := range s.allStores() {
		if st.GetId() == id {
			return st
		}
	}
	return nil
}

func (s *Server) storeStats(id uint64) *pdpb.StoreStats {
	if st, ok := s.topology().StoreStatus(id); ok {
		return &pdpb.StoreStats{
			StoreId: id, Capacity: st.Capacity, Available: st.Available,
			UsedSize: st.Used, RegionCount: uint32(st.RegionCount),
		}
	}
	s.stores.mu.Lock()
	defer s.stores.mu.Unlock()
	return s.stores.mu.stats[id]
}

// IsBootstrapped implements pdpb.PDServer.
func (s *pdService) IsBootstrapped(_ context.Context, req *pdpb.IsBootstrappedRequest) (*pdpb.IsBootstrappedResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return &pdpb.IsBootstrappedResponse{Header: s.header(), Bootstrapped: s.bootstrapped()}, nil
}

// Bootstrap implements pdpb.PDServer. The first region of the request is not
// kept: regions are the View's.
func (s *pdService) Bootstrap(ctx context.Context, req *pdpb.BootstrapRequest) (*pdpb.BootstrapResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if s.view.Load() == nil {
		first, err := s.stores.bootstrap(ctx, s.clusterID)
		if err != nil {
			return nil, status.Error(codes.Unknown, err.Error())
		}
		if first {
			if err := s.stores.put(ctx, req.GetStore()); err != nil {
				return nil, status.Error(codes.Unknown, err.Error())
			}
			return &pdpb.BootstrapResponse{Header: s.header()}, nil
		}
	}
	return &pdpb.BootstrapResponse{
		Header: s.errorHeader(pdpb.ErrorType_ALREADY_BOOTSTRAPPED, "cluster is already bootstrapped"),
	}, nil
}

// IsSnapshotRecovering implements pdpb.PDServer: this PD is never restored
// from a volume snapshot.
func (s *pdService) IsSnapshotRecovering(context.Context, *pdpb.IsSnapshotRecoveringRequest) (*pdpb.IsSnapshotRecoveringResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	return &pdpb.IsSnapshotRecoveringResponse{Header: s.header()}, nil
}

// GetStore implements pdpb.PDServer.
func (s *pdService) GetStore(_ context.Context, req *pdpb.GetStoreRequest) (*pdpb.GetStoreResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.GetStoreResponse{Header: s.notBootstrapped()}, nil
	}
	id := req.GetStoreId()
	st := s.store(id)
	if st == nil {
		msg := fmt.Sprintf("invalid store ID %d, not found", id)
		return &pdpb.GetStoreResponse{Header: s.errorHeader(pdpb.ErrorType_UNKNOWN, msg)}, nil
	}
	return &pdpb.GetStoreResponse{Header: s.header(), Store: st, Stats: s.storeStats(id)}, nil
}

// GetAllStores implements pdpb.PDServer.
func (s *pdService) GetAllStores(_ context.Context, req *pdpb.GetAllStoresRequest) (*pdpb.GetAllStoresResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.GetAllStoresResponse{Header: s.notBootstrapped()}, nil
	}
	stores := s.allStores()
	if req.GetExcludeTombstoneStores() {
		stores = slices.DeleteFunc(stores, func(st *metapb.Store) bool {
			return st.GetNodeState() == metapb.NodeState_Removed
		})
	}
	return &pdpb.GetAllStoresResponse{Header: s.header(), Stores: stores}, nil
}

// PutStore implements pdpb.PDServer: a store outside of the View joins.
func (s *pdService) PutStore(ctx context.Context, req *pdpb.PutStoreRequest) (*pdpb.PutStoreResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.PutStoreResponse{Header: s.notBootstrapped()}, nil
	}
	if req.GetStore().GetId() == 0 {
		return &pdpb.PutStoreResponse{Header: s.errorHeader(pdpb.ErrorType_UNKNOWN, "invalid store id 0")}, nil
	}
	if err := s.stores.put(ctx, req.GetStore()); err != nil {
		return &pdpb.PutStoreResponse{Header: s.errorHeader(pdpb.ErrorType_UNKNOWN, err.Error())}, nil
	}
	return &pdpb.PutStoreResponse{Header: s.header()}, nil
}

// StoreHeartbeat implements pdpb.PDServer.
func (s *pdService) StoreHeartbeat(_ context.Context, req *pdpb.StoreHeartbeatRequest) (*pdpb.StoreHeartbeatResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if req.GetStats() == nil {
		return nil, status.Errorf(codes.Unknown, "invalid store heartbeat command, but %v", req)
	}
	st := s.store(req.GetStats().GetStoreId())
	if st == nil {
		msg := fmt.Sprintf("store %d not found", req.GetStats().GetStoreId())
		return &pdpb.StoreHeartbeatResponse{Header: s.errorHeader(pdpb.ErrorType_UNKNOWN, msg)}, nil
	}
	s.stores.heard(req.GetStats())
	return &pdpb.StoreHeartbeatResponse{
		Header: s.header(), ClusterVersion: s.clusterVersion(), State: st.GetNodeState(),
	}, nil
}

// ReportMinResolvedTS implements pdpb.PDServer.
func (s *pdService) ReportMinResolvedTS(_ context.Context, req *pdpb.ReportMinResolvedTsRequest) (*pdpb.ReportMinResolvedTsResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	s.stores.reportResolved(req.GetStoreId(), req.GetMinResolvedTs())
	return &pdpb.ReportMinResolvedTsResponse{Header: s.header()}, nil
}

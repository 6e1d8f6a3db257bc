package pd

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	keyBootstrap    = "raft"
	keyStorePrefix  = "raft/s/"
	keyLabelsPrefix = "store_labels/"
	keyExternalTS   = "external_timestamp"
)

// storeRegistry is what is known of stores besides the View: whether a client
// has bootstrapped the cluster, stores that registered themselves over the
// network, labels set by clients, and what stores report with heartbeats.
type storeRegistry struct {
	kv  *kvStore
	now func() time.Time

	mu struct {
		sync.Mutex
		bootstrapped bool
		extra        map[uint64]*metapb.Store
		labels       map[uint64]map[string]string
		stats        map[uint64]*pdpb.StoreStats // of extra stores' heartbeats
		heartbeat    map[uint64]time.Time
		resolved     map[uint64]uint64 // min resolved ts, by store
	}
}

func newStoreRegistry(ctx context.Context, kv *kvStore, now func() time.Time) (*storeRegistry, error) {
	r := &storeRegistry{kv: kv, now: now}
	r.mu.extra = map[uint64]*metapb.Store{}
	r.mu.labels = map[uint64]map[string]string{}
	r.mu.stats = map[uint64]*pdpb.StoreStats{}
	r.mu.heartbeat = map[uint64]time.Time{}
	r.mu.resolved = map[uint64]uint64{}
	boot, err := kv.get(ctx, keyBootstrap)
	if err != nil {
		return nil, err
	}
	r.mu.bootstrapped = boot != nil
	pairs, err := kv.list(ctx, keyStorePrefix)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		st := &metapb.Store{}
		if err := st.Unmarshal(p.value); err != nil {
			return nil, fmt.Errorf("decode %s: %w", p.key, err)
		}
		r.mu.extra[st.Id] = st
	}
	return r, r.loadLabels(ctx)
}

func (r *storeRegistry) loadLabels(ctx context.Context) error {
	pairs, err := r.kv.list(ctx, keyLabelsPrefix)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		id, err := strconv.ParseUint(p.key[len(keyLabelsPrefix):], 10, 64)
		if err != nil {
			return fmt.Errorf("store id in %s: %w", p.key, err)
		}
		labels := map[string]string{}
		if _, err := r.kv.getJSON(ctx, p.key, &labels); err != nil {
			return err
		}
		r.mu.labels[id] = labels
	}
	return nil
}

// bootstrap records that the cluster exists; false when it did already.
func (r *storeRegistry) bootstrap(ctx context.Context, clusterID uint64) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.bootstrapped {
		return false, nil
	}
	meta := &metapb.Cluster{Id: clusterID}
	data, err := meta.Marshal()
	if err != nil {
		return false, fmt.Errorf("encode the cluster: %w", err)
	}
	if err := r.kv.put(ctx, keyBootstrap, data); err != nil {
		return false, err
	}
	r.mu.bootstrapped = true
	return true, nil
}

// put registers a store that is not part of the View.
func (r *storeRegistry) put(ctx context.Context, st *metapb.Store) error {
	data, err := st.Marshal()
	if err != nil {
		return fmt.Errorf("encode store %d: %w", st.GetId(), err)
	}
	if err := r.kv.put(ctx, fmt.Sprintf("%s%020d", keyStorePrefix, st.GetId()), data); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.extra[st.GetId()] = st
	r.mu.heartbeat[st.GetId()] = r.now()
	return nil
}

// setLabels merges labels into those of a store; an empty value removes a key.
func (r *storeRegistry) setLabels(ctx context.Context, id uint64, labels map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	merged := map[string]string{}
	for k, v := range r.mu.labels[id] {
		merged[k] = v
	}
	for k, v := range labels {
		merged[k] = v
	}
	if err := r.kv.putJSON(ctx, keyLabelsPrefix+strconv.FormatUint(id, 10), merged); err != nil {
		return err
	}
	r.mu.labels[id] = merged
	return nil
}

func (r *storeRegistry) heard(stats *pdpb.StoreStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.stats[stats.GetStoreId()] = stats
	r.mu.heartbeat[stats.GetStoreId()] = r.now()
}

func (r *storeRegistry) reportResolved(id, ts uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.resolved[id] = max(r.mu.resolved[id], ts)
}

// resolvedOf returns 0 for a store that has not reported.
func (r *storeRegistry) resolvedOf(id uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.resolved[id]
}

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
	slices.SortFunc(stores, func(a, b *metapb.Store) int { return compareUint(a.Id, b.Id) })
	return stores
}

func compareUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
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
		if a.Key < b.Key {
			return -1
		}
		return 1
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

// SetExternalTimestamp implements pdpb.PDServer: it never goes back and never
// beyond the present.
func (s *pdService) SetExternalTimestamp(ctx context.Context, req *pdpb.SetExternalTimestampRequest) (*pdpb.SetExternalTimestampResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	now, err := s.tso.alloc(ctx, 1)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	old, err := s.externalTimestamp(ctx)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	ts := req.GetTimestamp()
	if ts > now.ts() || ts < old {
		msg := fmt.Sprintf("the external timestamp %d must lie between the last one %d and now %d", ts, old, now.ts())
		return &pdpb.SetExternalTimestampResponse{Header: s.errorHeader(pdpb.ErrorType_INVALID_VALUE, msg)}, nil
	}
	if err := s.kv.putJSON(ctx, keyExternalTS, ts); err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.SetExternalTimestampResponse{Header: s.header()}, nil
}

// GetExternalTimestamp implements pdpb.PDServer.
func (s *pdService) GetExternalTimestamp(ctx context.Context, req *pdpb.GetExternalTimestampRequest) (*pdpb.GetExternalTimestampResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	ts, err := s.externalTimestamp(ctx)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.GetExternalTimestampResponse{Header: s.header(), Timestamp: ts}, nil
}

func (s *Server) externalTimestamp(ctx context.Context) (uint64, error) {
	var ts uint64
	_, err := s.kv.getJSON(ctx, keyExternalTS, &ts)
	return ts, err
}

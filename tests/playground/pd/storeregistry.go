package pd

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
)

const (
	keyBootstrap    = "raft"
	keyStorePrefix  = "raft/s/"
	keyLabelsPrefix = "store_labels/"
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

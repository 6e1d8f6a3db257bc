package tikv

import (
	"bytes"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/sluicedb/sluice/tests/playground/topology"
)

// view is the cluster as PD sees it: what heartbeats would have told it.
type view struct{ c *Cluster }

var _ topology.View = view{}

// Stores implements topology.View.
func (v view) Stores() []*metapb.Store {
	out := make([]*metapb.Store, len(v.c.stores))
	for i, s := range v.c.stores {
		out[i] = s.meta()
	}
	return out
}

// StoreStatus implements topology.View. Space is that of the file system.
func (v view) StoreStatus(storeID uint64) (topology.StoreStatus, bool) {
	if v.c.store(storeID) == nil {
		return topology.StoreStatus{}, false
	}
	var st topology.StoreStatus
	var fs syscall.Statfs_t
	if err := syscall.Statfs(v.c.engine.dir, &fs); err == nil {
		st.Capacity = fs.Blocks * uint64(fs.Bsize)
		st.Available = fs.Bavail * uint64(fs.Bsize)
	}
	rs := v.c.regions
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	for _, r := range rs.mu.sorted {
		st.Used += uint64(max(r.approximateSize(), 0))
		st.RegionCount++
		if r.leader.Load() == storeID {
			st.LeaderCount++
		}
	}
	return st, true
}

// ScanRegions implements topology.View.
func (v view) ScanRegions(start, end []byte, limit int) []topology.Region {
	rs := v.c.regions
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	var out []topology.Region
	for _, r := range rs.mu.sorted[rs.indexLocked(start):] {
		if len(end) > 0 && bytes.Compare(r.meta.StartKey, end) >= 0 {
			break
		}
		if limit > 0 && len(out) == limit {
			break
		}
		out = append(out, r.report())
	}
	return out
}

// RegionByKey implements topology.View.
func (v view) RegionByKey(key []byte) (topology.Region, bool) {
	rs := v.c.regions
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	return rs.mu.sorted[rs.indexLocked(key)].report(), true
}

// PrevRegion implements topology.View.
func (v view) PrevRegion(key []byte) (topology.Region, bool) {
	rs := v.c.regions
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	i := rs.indexLocked(key) - 1
	if i < 0 {
		return topology.Region{}, false
	}
	return rs.mu.sorted[i].report(), true
}

// RegionByID implements topology.View.
func (v view) RegionByID(id uint64) (topology.Region, bool) {
	r := v.c.regions.byID(id)
	if r == nil {
		return topology.Region{}, false
	}
	return r.report(), true
}

// TransferLeader implements topology.View.
func (v view) TransferLeader(regionID, storeID uint64) bool {
	return v.c.regions.transferLeader(regionID, storeID)
}

// Split implements topology.View. Keys that are borders already are skipped.
func (v view) Split(keys [][]byte) ([]uint64, error) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, bytes.Compare)
	var ids []uint64
	for _, k := range slices.CompactFunc(keys, bytes.Equal) {
		if _, err := decodeKey(k); err != nil {
			return ids, fmt.Errorf("tikv: split key %x: %w", k, err)
		}
		id, err := v.c.regions.splitAt(k)
		if err != nil {
			return ids, err
		}
		if id != 0 {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// splitAt cuts the region that contains key; it returns the id of the new
// region, which is the left part, or 0 when key is a border already.
func (rs *regions) splitAt(key []byte) (uint64, error) {
	for {
		rs.mu.RLock()
		r := rs.mu.sorted[rs.indexLocked(key)]
		rs.mu.RUnlock()
		if bytes.Equal(r.meta.StartKey, key) {
			return 0, nil
		}
		metas, regErr := rs.split(r, [][]byte{bytes.Clone(key)})
		switch {
		case regErr == nil:
			return metas[0].Id, nil
		case regErr.EpochNotMatch == nil:
			return 0, fmt.Errorf("tikv: split region %d: %s", r.meta.Id, regErr.Message)
		}
	}
}

func (r *region) report() topology.Region {
	return topology.Region{
		Meta:            proto.Clone(r.meta).(*metapb.Region),
		Leader:          proto.Clone(r.peerOn(r.leader.Load())).(*metapb.Peer),
		ApproximateSize: r.approximateSize(),
		ApproximateKeys: r.approximateKeys(),
	}
}

// meta is the store as its heartbeat describes it.
func (s *store) meta() *metapb.Store {
	return &metapb.Store{
		Id:             s.id,
		Address:        s.addr,
		StatusAddress:  s.statusAddr,
		Version:        Version,
		State:          metapb.StoreState_Up,
		NodeState:      metapb.NodeState_Serving,
		StartTimestamp: s.started.Unix(),
		LastHeartbeat:  time.Now().UnixNano(),
		DeployPath:     s.engine.dir,
	}
}

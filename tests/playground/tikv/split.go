package tikv

import (
	"bytes"
	"slices"

	"github.com/gogo/protobuf/proto"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
)

// noValidSplitKey is TiKV's answer, without a typed error, when every key of a
// split request is the region's start key.
const noValidSplitKey = "no valid key found for split."

// splitRequest is SplitRegion of a store: check as TiKV does, then split.
func (rs *regions) splitRequest(storeID uint64, req *kvrpcpb.SplitRegionRequest) *kvrpcpb.SplitRegionResponse {
	raw := req.SplitKeys
	if len(raw) == 0 && len(req.SplitKey) > 0 { // the old single form, still served by TiKV
		raw = [][]byte{req.SplitKey}
	}
	keys := make([][]byte, len(raw))
	for i, k := range raw {
		if req.IsRawKv {
			keys[i] = bytes.Clone(k)
		} else {
			keys[i] = encodeKey(k)
		}
	}
	r, regErr := rs.checkRequest(storeID, req.Context)
	if regErr != nil {
		return &kvrpcpb.SplitRegionResponse{RegionError: regErr}
	}
	metas, regErr := rs.split(r, keys)
	if regErr != nil {
		return &kvrpcpb.SplitRegionResponse{RegionError: regErr}
	}
	resp := &kvrpcpb.SplitRegionResponse{Regions: metas}
	if len(metas) == 2 {
		resp.Left, resp.Right = metas[0], metas[1]
	}
	return resp
}

// split cuts r at the encoded keys and returns copies of all resulting regions
// in key order. The rightmost part keeps r's id ("right-derive-when-split"),
// every part gets the version old + number of new regions, and new regions are
// led where r is led.
func (rs *regions) split(r *region, keys [][]byte) ([]*metapb.Region, *errorpb.Error) {
	slices.SortFunc(keys, bytes.Compare)
	keys = slices.CompactFunc(keys, bytes.Equal)
	for _, k := range keys {
		if !r.contains(k) {
			return nil, keyNotInRegion(r, k)
		}
	}
	if len(keys) > 0 && bytes.Equal(keys[0], r.meta.StartKey) {
		keys = keys[1:]
	}
	if len(keys) == 0 {
		return nil, &errorpb.Error{Message: noValidSplitKey}
	}
	parts := rs.splitParts(r, keys)

	rs.mu.Lock()
	defer rs.mu.Unlock()
	now := rs.mu.byID[r.meta.Id]
	if now != r {
		return nil, epochNotMatch(now, r.meta.RegionEpoch) // another change came first
	}
	leader := r.leader.Load()
	share := int64(len(parts))
	metas := make([]*metapb.Region, len(parts))
	for i, p := range parts {
		p.leader.Store(leader)
		p.size.Store(r.approximateSize() / share)
		p.keys.Store(r.approximateKeys() / share)
		rs.mu.byID[p.meta.Id] = p
		metas[i] = proto.Clone(p.meta).(*metapb.Region)
	}
	at := rs.indexLocked(r.meta.StartKey)
	rs.mu.sorted = slices.Replace(rs.mu.sorted, at, at+1, parts...)
	return metas, nil
}

// splitParts makes the regions that r becomes. Ids are taken here, outside the
// lock, because PD's allocator may do I/O.
func (rs *regions) splitParts(r *region, keys [][]byte) []*region {
	epoch := r.meta.RegionEpoch
	start := r.meta.StartKey
	parts := make([]*region, 0, len(keys)+1)
	add := func(id uint64, peers []*metapb.Peer, end []byte) {
		parts = append(parts, rs.newRegion(&metapb.Region{
			Id: id, StartKey: start, EndKey: end, Peers: peers,
			RegionEpoch: &metapb.RegionEpoch{ConfVer: epoch.ConfVer, Version: epoch.Version + uint64(len(keys))},
		}, 0))
		start = end
	}
	for _, k := range keys {
		add(rs.ids.AllocID(), rs.newPeers(), k)
	}
	add(r.meta.Id, r.meta.Peers, r.meta.EndKey)
	return parts
}

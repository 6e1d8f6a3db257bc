package tikv

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gogo/protobuf/proto"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/sluicedb/sluice/tests/playground/topology"
)

// endOfKeys is the raw key that ends the last region for readers: above it
// unistore keeps its own records.
var endOfKeys = []byte{0xff}

// initialConfVer and initialVersion are the epoch of TiKV's first region.
const initialConfVer, initialVersion = 1, 1

// region is one region at one epoch. It implements unistore's RegionCtx. meta
// and the raw borders never change; the rest is atomic.
type region struct {
	meta             *metapb.Region
	rawStart, rawEnd []byte // rawEnd is never empty, see endOfKeys
	latches          *latches
	leader           atomic.Uint64 // store id
	size, keys       atomic.Int64  // estimate of the moment the object was made, and ingests since
	diff             int64         // atomic: bytes that unistore has counted since
}

// Meta, Diff, RawStart, RawEnd, AcquireLatches and ReleaseLatches are what
// unistore asks of a region.
func (r *region) Meta() *metapb.Region           { return r.meta }
func (r *region) Diff() *int64                   { return &r.diff }
func (r *region) RawStart() []byte               { return r.rawStart }
func (r *region) RawEnd() []byte                 { return r.rawEnd }
func (r *region) AcquireLatches(hashes []uint64) { r.latches.acquire(hashes) }
func (r *region) ReleaseLatches(hashes []uint64) { r.latches.release(hashes) }

func (r *region) approximateSize() int64 { return r.size.Load() + atomic.LoadInt64(&r.diff) }

// averageEntry is how many bytes of committed rows and index entries count as
// one key: unistore counts bytes only.
const averageEntry = 128

func (r *region) approximateKeys() int64 {
	return r.keys.Load() + atomic.LoadInt64(&r.diff)/averageEntry
}

// contains tells whether an encoded key lies in the region.
func (r *region) contains(key []byte) bool {
	return bytes.Compare(key, r.meta.StartKey) >= 0 &&
		(len(r.meta.EndKey) == 0 || bytes.Compare(key, r.meta.EndKey) < 0)
}

func (r *region) peerOn(storeID uint64) *metapb.Peer {
	for _, p := range r.meta.Peers {
		if p.StoreId == storeID {
			return p
		}
	}
	return nil
}

// regions is the region map of the cluster.
type regions struct {
	ids     topology.IDAllocator
	stores  []uint64 // ids, ascending
	latches *latches

	mu struct {
		sync.RWMutex
		byID   map[uint64]*region
		sorted []*region // by start key
	}
}

func newRegions(ids topology.IDAllocator, stores []uint64) *regions {
	rs := &regions{ids: ids, stores: stores, latches: newLatches()}
	rs.mu.byID = make(map[uint64]*region)
	return rs
}

// bootstrap makes the one region that a new cluster starts with, led by the
// first store.
func (rs *regions) bootstrap() {
	meta := &metapb.Region{
		Id:          rs.ids.AllocID(),
		RegionEpoch: &metapb.RegionEpoch{ConfVer: initialConfVer, Version: initialVersion},
		Peers:       rs.newPeers(),
	}
	r := rs.newRegion(meta, rs.stores[0])
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.mu.byID[meta.Id] = r
	rs.mu.sorted = []*region{r}
}

func (rs *regions) newPeers() []*metapb.Peer {
	peers := make([]*metapb.Peer, len(rs.stores))
	for i, id := range rs.stores {
		peers[i] = &metapb.Peer{Id: rs.ids.AllocID(), StoreId: id}
	}
	return peers
}

// newRegion takes ownership of meta, whose borders must be well-formed.
func (rs *regions) newRegion(meta *metapb.Region, leader uint64) *region {
	r := &region{meta: meta, rawEnd: endOfKeys, latches: rs.latches}
	if len(meta.StartKey) > 0 {
		r.rawStart = mustDecode(meta.StartKey)
	}
	if len(meta.EndKey) > 0 {
		r.rawEnd = mustDecode(meta.EndKey)
	}
	r.leader.Store(leader)
	return r
}

// mustDecode returns the raw key of a region border. Borders are made by
// encodeKey or checked when they are loaded.
func mustDecode(key []byte) []byte {
	raw, err := decodeKey(key)
	if err != nil {
		panic(fmt.Sprintf("tikv: region border %x: %v", key, err))
	}
	return raw
}

func encodeKey(raw []byte) []byte { return codec.EncodeBytes(nil, raw) }

func decodeKey(enc []byte) ([]byte, error) {
	rest, raw, err := codec.DecodeBytes(enc, nil)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes behind the encoded key", len(rest))
	}
	return raw, nil
}

func (rs *regions) byID(id uint64) *region {
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	return rs.mu.byID[id]
}

// indexLocked returns the position of the region that contains key.
func (rs *regions) indexLocked(key []byte) int {
	i, exact := slices.BinarySearchFunc(rs.mu.sorted, key, func(r *region, key []byte) int {
		return bytes.Compare(r.meta.StartKey, key)
	})
	if exact {
		return i
	}
	return i - 1 // the first region starts at the empty key, so i > 0 here
}

// transferLeader makes storeID lead the region; false when it has no peer there.
func (rs *regions) transferLeader(id, storeID uint64) bool {
	rs.mu.Lock() // not to be lost in a split that goes on
	defer rs.mu.Unlock()
	r := rs.mu.byID[id]
	if r == nil || r.peerOn(storeID) == nil {
		return false
	}
	r.leader.Store(storeID)
	return true
}

// moveLeader makes another store than from lead the region; false when there
// is none.
func (rs *regions) moveLeader(id, from uint64) bool {
	for _, s := range rs.stores {
		if s != from && rs.transferLeader(id, s) {
			return true
		}
	}
	return false
}

// leadElsewhere makes the given stores lead, in turn, what another one leads.
func (rs *regions) leadElsewhere(from uint64, to []uint64) {
	if len(to) == 0 {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for i, r := range rs.mu.sorted {
		if next := to[i%len(to)]; r.leader.Load() == from && r.peerOn(next) != nil {
			r.leader.Store(next)
		}
	}
}

// bumpEpoch raises both counters of the region's epoch, as a merge does that is
// prepared and then rolled back, and returns the region as it is now; nil for
// an unknown region.
func (rs *regions) bumpEpoch(id uint64) *region {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	old := rs.mu.byID[id]
	if old == nil {
		return nil
	}
	meta := proto.Clone(old.meta).(*metapb.Region)
	meta.RegionEpoch.ConfVer++
	meta.RegionEpoch.Version++
	r := rs.newRegion(meta, old.leader.Load())
	r.size.Store(old.approximateSize())
	r.keys.Store(old.approximateKeys())
	rs.mu.byID[id] = r
	rs.mu.sorted[rs.indexLocked(meta.StartKey)] = r
	return r
}

// checkRequest finds the region of a request to storeID and checks what TiKV
// checks before it reads or proposes, in TiKV's order: store, region, leader,
// peer, epoch. Only the version of the epoch counts here (TiKV compares
// conf_ver for conf changes alone).
func (rs *regions) checkRequest(storeID uint64, ctx *kvrpcpb.Context) (*region, *errorpb.Error) {
	if want := ctx.GetPeer().GetStoreId(); ctx.GetPeer() != nil && want != storeID {
		return nil, &errorpb.Error{
			Message:       fmt.Sprintf("to store id %d, mine %d", want, storeID),
			StoreNotMatch: &errorpb.StoreNotMatch{RequestStoreId: want, ActualStoreId: storeID},
		}
	}
	r := rs.byID(ctx.GetRegionId())
	if r == nil || r.peerOn(storeID) == nil {
		return nil, regionNotFound(ctx.GetRegionId())
	}
	if leader := r.leader.Load(); leader != storeID && !ctx.GetReplicaRead() && !ctx.GetStaleRead() {
		return nil, notLeader(r, leader)
	}
	mine := r.peerOn(storeID).Id
	if want := ctx.GetPeer().GetId(); ctx.GetPeer() != nil && want != mine {
		return nil, &errorpb.Error{
			Message:        fmt.Sprintf("mismatch peer id %d != %d", want, mine),
			MismatchPeerId: &errorpb.MismatchPeerId{RequestPeerId: want, StorePeerId: mine},
		}
	}
	if ctx.GetRegionEpoch().GetVersion() != r.meta.RegionEpoch.Version {
		return nil, epochNotMatch(r, ctx.GetRegionEpoch())
	}
	return r, nil
}

func regionNotFound(id uint64) *errorpb.Error {
	return &errorpb.Error{
		Message:        fmt.Sprintf("region %d is not found", id),
		RegionNotFound: &errorpb.RegionNotFound{RegionId: id},
	}
}

// notLeader answers for a store that does not lead; leader 0 means unknown.
func notLeader(r *region, leader uint64) *errorpb.Error {
	e := &errorpb.NotLeader{RegionId: r.meta.Id}
	if leader != 0 {
		e.Leader = proto.Clone(r.peerOn(leader)).(*metapb.Peer)
	}
	return &errorpb.Error{
		Message:   fmt.Sprintf("peer is not leader for region %d, leader may %v", r.meta.Id, e.Leader),
		NotLeader: e,
	}
}

func epochNotMatch(r *region, got *metapb.RegionEpoch) *errorpb.Error {
	return &errorpb.Error{
		Message: fmt.Sprintf("EpochNotMatch current epoch of region %d is %v, but you sent %v",
			r.meta.Id, r.meta.RegionEpoch, got),
		EpochNotMatch: &errorpb.EpochNotMatch{
			CurrentRegions: []*metapb.Region{proto.Clone(r.meta).(*metapb.Region)},
		},
	}
}

func keyNotInRegion(r *region, key []byte) *errorpb.Error {
	return &errorpb.Error{
		Message: fmt.Sprintf("key %X is not in region key range [%X, %X) for region %d",
			key, r.meta.StartKey, r.meta.EndKey, r.meta.Id),
		KeyNotInRegion: &errorpb.KeyNotInRegion{
			Key: key, RegionId: r.meta.Id, StartKey: r.meta.StartKey, EndKey: r.meta.EndKey,
		},
	}
}

// Package topology is the seam between the two halves of the playground:
// the TiKV half owns stores, regions and leaders and implements View, the PD
// half serves them to clients over PD's own protocols.
//
// Every key in this package is in the memcomparable form that PD and TiKV use
// for region borders (groups of 8 bytes with a marker byte), never a raw key.
// An empty end key means "to the end of the key space".
package topology

import "github.com/pingcap/kvproto/pkg/metapb"

// Region is one region as PD knows it from the last heartbeat. The receiver
// owns all of it and may change it.
type Region struct {
	Meta   *metapb.Region
	Leader *metapb.Peer
	// ApproximateSize is in bytes, ApproximateKeys in rows and index entries.
	ApproximateSize int64
	ApproximateKeys int64
}

// StoreStatus is what a store reports about itself besides its metapb.Store.
type StoreStatus struct {
	Capacity, Available, Used uint64 // bytes
	LeaderCount, RegionCount  int
}

// View is the cluster as PD sees and steers it. All methods are safe for
// concurrent use.
type View interface {
	// Stores returns all stores ordered by id.
	Stores() []*metapb.Store
	// StoreStatus returns false for an unknown store.
	StoreStatus(storeID uint64) (StoreStatus, bool)
	// ScanRegions returns the regions that overlap [start, end) in key order,
	// at most limit of them; limit <= 0 means all.
	ScanRegions(start, end []byte, limit int) []Region
	// RegionByKey returns the region that contains key, RegionByPrevKey the one
	// before it (nil Meta when there is none).
	RegionByKey(key []byte) (Region, bool)
	PrevRegion(key []byte) (Region, bool)
	RegionByID(id uint64) (Region, bool)
	// TransferLeader makes the peer on storeID lead the region; false when the
	// region or the peer is unknown.
	TransferLeader(regionID, storeID uint64) bool
	// Split cuts regions at the given keys as a TiKV asked by PD would
	// (PD's SplitRegions and SplitAndScatterRegions); it returns the ids of the new regions.
	Split(keys [][]byte) ([]uint64, error)
}

// IDAllocator hands out cluster-wide unique ids, as PD's AllocID does.
type IDAllocator interface {
	AllocID() uint64
}

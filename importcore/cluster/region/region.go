// Package region holds what a region of TiKV is to the import core: its
// descriptor, its leader and the arithmetic on key ranges.
//
// It is a leaf: cluster fills these types from PD and the stores, ingest reads
// them. Two forms of a key exist and mixing them up corrupts data, so every
// name says which one it means:
//
//   - raw: the key as TiDB encodes it ('t', table id, '_r' or '_i', ...);
//   - enc: its memcomparable form (groups of eight bytes, each followed by a
//     marker byte), which is what PD, region borders and SST ranges use.
//
// As the end of a range the empty key is the end of the key space.
package region

import (
	"bytes"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/tidb/pkg/util/codec"
)

// Region is a region as its last report described it. It is shared and must
// not be changed.
type Region struct {
	// Meta is never nil; its StartKey and EndKey are enc.
	Meta *metapb.Region
	// Leader is the peer that leads; nil while none is known.
	Leader *metapb.Peer
	// Pending says that some peer still lags behind the raft log.
	Pending bool
}

// ID returns the region's id.
func (r Region) ID() uint64 { return r.Meta.GetId() }

// Enc returns the enc form of a raw key.
func Enc(raw []byte) []byte { return codec.EncodeBytes(nil, raw) }

// EncEnd returns the enc form of a raw range end: the empty key stays empty.
func EncEnd(raw []byte) []byte {
	if len(raw) == 0 {
		return nil
	}
	return codec.EncodeBytes(nil, raw)
}

// Contains reports whether the enc key lies in the region.
func (r Region) Contains(enc []byte) bool {
	return bytes.Compare(enc, r.Meta.StartKey) >= 0 && BeforeEnd(enc, r.Meta.EndKey)
}

// ContainsRange reports whether [start, end) in enc form lies in the region.
func (r Region) ContainsRange(start, end []byte) bool {
	return bytes.Compare(start, r.Meta.StartKey) >= 0 && CompareEnds(end, r.Meta.EndKey) <= 0
}

// BeforeEnd reports whether key < end, where an empty end is after every key.
func BeforeEnd(key, end []byte) bool { return len(end) == 0 || bytes.Compare(key, end) < 0 }

// CompareEnds orders two range ends, the empty one last.
func CompareEnds(a, b []byte) int {
	switch {
	case len(a) == 0 && len(b) == 0:
		return 0
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	default:
		return bytes.Compare(a, b)
	}
}

// Newer reports whether epoch a is newer than b in version or, at the same
// version, in membership.
func Newer(a, b *metapb.RegionEpoch) bool {
	if a.GetVersion() != b.GetVersion() {
		return a.GetVersion() > b.GetVersion()
	}
	return a.GetConfVer() > b.GetConfVer()
}

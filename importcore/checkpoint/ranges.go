package checkpoint

import (
	"bytes"
	"slices"
)

// Range is a part of the key space, End excluded, with what it holds.
type Range struct {
	Start []byte `json:"start"`
	End   []byte `json:"end"`
	// Pairs and Bytes (of keys and values) in it.
	Pairs int64 `json:"pairs"`
	Bytes int64 `json:"bytes"`
}

// Ranges are disjoint ranges in ascending order; those that touch are one.
type Ranges []Range

// Add returns the ranges with one more, which must not overlap any of them.
// The receiver's memory may be reused.
func (rs Ranges) Add(r Range) Ranges {
	i, _ := slices.BinarySearchFunc(rs, r.Start, func(x Range, start []byte) int { return bytes.Compare(x.Start, start) })
	if i > 0 && bytes.Equal(rs[i-1].End, r.Start) {
		i--
		rs[i].End = r.End
		rs[i].Pairs += r.Pairs
		rs[i].Bytes += r.Bytes
	} else {
		rs = slices.Insert(rs, i, r)
	}
	if i+1 < len(rs) && bytes.Equal(rs[i].End, rs[i+1].Start) {
		rs[i].End = rs[i+1].End
		rs[i].Pairs += rs[i+1].Pairs
		rs[i].Bytes += rs[i+1].Bytes
		rs = slices.Delete(rs, i+1, i+2)
	}
	return rs
}

// Total returns how many pairs and bytes the ranges hold together.
func (rs Ranges) Total() (pairs, size int64) {
	for _, r := range rs {
		pairs += r.Pairs
		size += r.Bytes
	}
	return pairs, size
}

// Missing returns the parts of [start, end) that are in none of the ranges, in ascending order.
func (rs Ranges) Missing(start, end []byte) [][2][]byte {
	var missing [][2][]byte
	i, _ := slices.BinarySearchFunc(rs, start, func(x Range, at []byte) int {
		if bytes.Compare(x.End, at) <= 0 {
			return -1
		}
		return 1
	})
	for ; i < len(rs) && bytes.Compare(rs[i].Start, end) < 0; i++ {
		if bytes.Compare(start, rs[i].Start) < 0 {
			missing = append(missing, [2][]byte{start, rs[i].Start})
		}
		start = rs[i].End
	}
	if bytes.Compare(start, end) < 0 {
		missing = append(missing, [2][]byte{start, end})
	}
	return missing
}

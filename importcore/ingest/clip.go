package ingest

import (
	"bytes"

	"github.com/pingcap/tidb/pkg/util/codec"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

// clip is where a job has to stop in a region.
type clip struct {
	// end is the raw, exclusive end to read up to.
	end []byte
	// enc is set if the region ends before the range at a border that is no enc
	// form of any raw key; then each key's enc form must be compared with it.
	enc []byte
}

// clipToRegion returns where reading from a key of the region must stop so that it
// leaves neither the range (raw, exclusive end) nor the region.
func clipToRegion(rangeEnd []byte, r region.Region) clip {
	border := r.Meta.GetEndKey()
	if region.CompareEnds(region.EncEnd(rangeEnd), border) <= 0 {
		return clip{end: rangeEnd}
	}
	rest, raw, err := codec.DecodeBytes(border, nil)
	if err != nil || len(rest) > 0 || !bytes.Equal(region.Enc(raw), border) {
		return clip{end: rangeEnd, enc: border}
	}
	return clip{end: raw}
}

// allows reports whether the raw key, known to be before c.end, lies before
// the region's end.
func (c clip) allows(key []byte) bool {
	return c.enc == nil || bytes.Compare(region.Enc(key), c.enc) < 0
}

// successor returns the smallest key after key, in memory of its own.
func successor(key []byte) []byte {
	next := make([]byte, len(key)+1)
	copy(next, key)
	return next
}

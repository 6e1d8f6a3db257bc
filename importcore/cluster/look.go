package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/pingcap/tipb/go-tipb"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/kv"
)

const (
	// checksumRequest is the coprocessor's type of a checksum.
	checksumRequest = 105
	// lookConcurrency is how many regions are looked at a time.
	lookConcurrency = 16
	lookTimeout     = 2 * time.Minute // of one request
	// lookTries bounds the errors in a row without a region done, with the
	// waits below about a minute.
	lookTries    = 35
	lookWaitMin  = 50 * time.Millisecond
	lookWaitMost = 2 * time.Second
	// differTries is how often a region that shows writes of others is looked at
	// again: an ingest that was under way when its job was stopped may arrive
	// between two looks, a finished transaction may still have locks.
	differTries = 4
	differWait  = 300 * time.Millisecond
)

// lookFunc looks at a part of a region: what others have written there, or else
// a sum. Errors are those of the region, which is looked up again then.
type lookFunc func(context.Context, *regionLook) (what string, sum kv.Checksum, err error)

// lookThrough looks at all regions of ranges, which must not overlap, and adds
// up the sums. What others have written is an error, *writtenByOthers.
func (c *Cluster) lookThrough(ctx context.Context, ranges []KeyRange, look lookFunc) (sum kv.Checksum, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookConcurrency)
	for _, rng := range ranges {
		regions, err := c.ScanRegions(ctx, region.Enc(rng.Start), region.Enc(rng.End))
		if err != nil {
			return kv.Checksum{}, errors.Join(err, g.Wait())
		}
		for _, r := range regions {
			part := clamp(rng, r)
			found := &regionLook{cluster: c, region: r, part: part}
			g.Go(func() error {
				got, err := c.lookAt(ctx, part, found, look)
				mu.Lock()
				defer mu.Unlock()
				sum.Merge(got)
				return err
			})
		}
	}
	err = g.Wait()
	return sum, err
}

// clamp cuts a range to a region. A border that is no form of a raw key can
// only make the part longer than the region, which the store then refuses.
func clamp(rng KeyRange, r region.Region) KeyRange {
	if start := rawBorder(r.Meta.GetStartKey()); bytes.Compare(start, rng.Start) > 0 {
		rng.Start = start
	}
	if end := rawBorder(r.Meta.GetEndKey()); len(end) > 0 && bytes.Compare(end, rng.End) < 0 {
		rng.End = end
	}
	return rng
}

func rawBorder(enc []byte) []byte {
	rest, raw, err := codec.DecodeBytes(enc, nil)
	if err != nil || len(rest) > 0 {
		return nil
	}
	return raw
}

// lookAt looks at a range that was in one region, found, a moment ago.
func (c *Cluster) lookAt(ctx context.Context, rng KeyRange, found *regionLook, look lookFunc) (sum kv.Checksum, err error) {
	wait := lookWaitMin
	for tries := 0; bytes.Compare(rng.Start, rng.End) < 0; {
		part, done, err := c.lookOnce(ctx, rng, found, look)
		found = nil // from now on PD is asked
		var others *writtenByOthers
		switch {
		case err == nil:
			sum.Merge(part)
			rng.Start, tries, wait = done, 0, lookWaitMin
			continue
		case errors.As(err, &others), ctx.Err() != nil, tries == lookTries:
			return sum, err
		}
		tries++
		if err := pause(ctx, wait); err != nil {
			return sum, err
		}
		wait = min(2*wait, lookWaitMost)
	}
	return sum, nil
}

// lookOnce looks at the first region of the range, which is found if it is known, and returns where it ends.
func (c *Cluster) lookOnce(ctx context.Context, rng KeyRange, first *regionLook, look lookFunc) (sum kv.Checksum, done []byte, err error) {
	if first == nil {
		if first, err = c.firstLook(ctx, rng); err != nil {
			return sum, nil, err
		}
	}
	for try := 1; ; try++ {
		what, sum, err := look(ctx, first)
		if err != nil {
			return sum, nil, err
		}
		if what == "" {
			return sum, first.part.End, nil
		}
		if try == differTries {
			return sum, nil, &writtenByOthers{what}
		}
		if err := pause(ctx, differWait); err != nil {
			return sum, nil, err
		}
	}
}

// firstLook is for the part of a range that lies in its first region.
func (c *Cluster) firstLook(ctx context.Context, rng KeyRange) (*regionLook, error) {
	key := region.Enc(rng.Start)
	regions, err := c.ScanRegions(ctx, key, append(bytes.Clone(key), 0))
	if err != nil {
		return nil, err
	}
	return &regionLook{cluster: c, region: regions[0], part: clamp(rng, regions[0])}, nil
}

// regionLook is a part of a region that is looked at.
type regionLook struct {
	cluster *Cluster
	region  region.Region
	part    KeyRange
}

func (l *regionLook) context() *kvrpcpb.Context {
	return &kvrpcpb.Context{
		RegionId: l.region.ID(), RegionEpoch: l.region.Meta.GetRegionEpoch(), Peer: l.region.Leader,
		IsolationLevel: kvrpcpb.IsolationLevel_SI, Priority: kvrpcpb.CommandPri_Low, NotFillCache: true,
	}
}

// checksum sums up what is visible of the part at ts; with a rule, as if keys began with what it has for their beginning.
func (l *regionLook) checksum(ctx context.Context, ts uint64, rule *tipb.ChecksumRewriteRule) (sum kv.Checksum, locked bool, err error) {
	return l.checksumOf(ctx, ts, rule, []KeyRange{l.part})
}

// checksumOf is checksum for several ranges of the region.
func (l *regionLook) checksumOf(ctx context.Context, ts uint64, rule *tipb.ChecksumRewriteRule, ranges []KeyRange) (sum kv.Checksum, locked bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	conn, err := l.cluster.stores.get(ctx, l.region.Leader.GetStoreId())
	if err != nil {
		return sum, false, err
	}
	how := tipb.ChecksumRequest{ScanOn: tipb.ChecksumScanOn_Table, Algorithm: tipb.ChecksumAlgorithm_Crc64_Xor, Rule: rule}
	data, err := how.Marshal()
	if err != nil {
		return sum, false, err
	}
	where := make([]*coprocessor.KeyRange, len(ranges))
	for i, r := range ranges {
		where[i] = &coprocessor.KeyRange{Start: r.Start, End: r.End}
	}
	resp, err := tikvpb.NewTikvClient(conn).Coprocessor(ctx, &coprocessor.Request{
		Context: l.context(), Tp: checksumRequest, Data: data, StartTs: ts, Ranges: where,
	})
	switch {
	case err != nil:
		return sum, false, err
	case resp.GetRegionError() != nil:
		return sum, false, l.regionError(resp.GetRegionError())
	case resp.GetLocked() != nil:
		return sum, true, nil
	case resp.GetOtherError() != "":
		return sum, false, fmt.Errorf("checksum in region %d: %s", l.region.ID(), resp.GetOtherError())
	}
	var got tipb.ChecksumResponse
	if err := got.Unmarshal(resp.Data); err != nil {
		return sum, false, fmt.Errorf("checksum in region %d: %w", l.region.ID(), err)
	}
	return kv.Checksum{Sum: got.Checksum, Pairs: got.TotalKvs, Bytes: got.TotalBytes}, false, nil
}

func (l *regionLook) regionError(e *errorpb.Error) error {
	return fmt.Errorf("region %d: region error: %s", l.region.ID(), e.String())
}

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/pingcap/tipb/go-tipb"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/kv"
)

const (
	// checksumRequest is the coprocessor's type of a checksum.
	checksumRequest = 105
	// othersConcurrency is how many regions are looked at a time.
	othersConcurrency = 16
	othersTimeout     = 2 * time.Minute // of one request
	// othersTries bounds the errors in a row without a region done, with the
	// waits below about a minute.
	othersTries    = 35
	othersWaitMin  = 50 * time.Millisecond
	othersWaitMost = 2 * time.Second
	// differTries is how often a region that shows writes of others is looked at
	// again: an ingest that was under way when its job was stopped may arrive
	// between two looks, a finished transaction may still have locks.
	differTries = 4
	differWait  = 300 * time.Millisecond
)

// WrittenByOthers looks through the records of tables or partitions, given by
// their physical ids, for anything but the versions that one ingest wrote at
// commitTS. It returns "" if there is nothing else, and otherwise what there
// is, for a message. Index entries are not looked at: whoever changes a row
// changes its record too.
//
// The proof for a region has four parts. No key has a version at commitTS and
// a later one (what ImportSST's DuplicateDetect finds; it also finds a row that
// was replaced by an equal one). Nothing is visible one timestamp before
// commitTS, so no row was there before. The checksums of what is visible at
// commitTS and now are equal, so nothing was added, changed or removed since.
// And at commitTS itself nobody else can have committed, if CommitTSO said so.
//
// It reads the records three times, in the stores, and changes nothing. A
// region is sure only for the moment in which it is looked at.
func (c *Cluster) WrittenByOthers(ctx context.Context, physicalIDs []int64, commitTS uint64) (what string, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(othersConcurrency)
	for _, id := range physicalIDs {
		prefix := tablecodec.GenTableRecordPrefix(id)
		regions, err := c.ScanRegions(ctx, region.Enc(prefix), region.Enc(prefix.PrefixNext()))
		if err != nil {
			return "", errors.Join(err, g.Wait())
		}
		for _, r := range regions {
			part := clamp(KeyRange{Start: prefix, End: prefix.PrefixNext()}, r)
			g.Go(func() error { return c.lookForOthers(ctx, part, commitTS) })
		}
	}
	err = g.Wait()
	var others *writtenByOthers
	if errors.As(err, &others) {
		return others.what, nil
	}
	return "", failed(err, "look for rows that others wrote")
}

// writtenByOthers is an error inside this file only.
type writtenByOthers struct{ what string }

func (e *writtenByOthers) Error() string { return e.what }

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

// lookForOthers looks at a range that was one region a moment ago.
func (c *Cluster) lookForOthers(ctx context.Context, rng KeyRange, commitTS uint64) error {
	wait := othersWaitMin
	for tries := 0; bytes.Compare(rng.Start, rng.End) < 0; {
		done, err := c.lookOnce(ctx, rng, commitTS)
		var others *writtenByOthers
		switch {
		case err == nil:
			rng.Start, tries, wait = done, 0, othersWaitMin
			continue
		case errors.As(err, &others), ctx.Err() != nil, tries == othersTries:
			return err
		}
		tries++
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, othersWaitMost)
	}
	return nil
}

// lookOnce looks at the first region of the range and returns where it ends.
func (c *Cluster) lookOnce(ctx context.Context, rng KeyRange, commitTS uint64) (done []byte, err error) {
	key := region.Enc(rng.Start)
	regions, err := c.ScanRegions(ctx, key, append(bytes.Clone(key), 0))
	if err != nil {
		return nil, err
	}
	look := regionLook{cluster: c, region: regions[0], part: clamp(rng, regions[0])}
	for try := 1; ; try++ {
		what, err := look.others(ctx, commitTS)
		if err != nil {
			return nil, err
		}
		if what == "" {
			return look.part.End, nil
		}
		if try == differTries {
			return nil, &writtenByOthers{what}
		}
		if err := pause(ctx, differWait); err != nil {
			return nil, err
		}
	}
}

// regionLook is a part of a region that is looked at.
type regionLook struct {
	cluster *Cluster
	region  region.Region
	part    KeyRange
}

// What WrittenByOthers answers.
const (
	othersLater  = "rows that others wrote, changed or removed meanwhile"
	othersBefore = "rows that others had written before the first of the job"
	othersLocked = "rows that a transaction of others has locked"
)

func (l *regionLook) others(ctx context.Context, commitTS uint64) (string, error) {
	if replaced, err := l.hasLaterVersions(ctx, commitTS); err != nil || replaced {
		return othersLater, err
	}
	now, err := l.cluster.TSO(ctx)
	if err != nil {
		return "", err
	}
	var sums [3]kv.Checksum
	for i, ts := range []uint64{commitTS - 1, commitTS, now} {
		sum, locked, err := l.checksum(ctx, ts)
		if err != nil {
			return "", err
		}
		if locked {
			return othersLocked, nil
		}
		sums[i] = sum
	}
	switch {
	case sums[0].Pairs > 0:
		return othersBefore, nil
	case sums[1] != sums[2]:
		return othersLater, nil
	}
	return "", nil
}

func (l *regionLook) context() *kvrpcpb.Context {
	return &kvrpcpb.Context{
		RegionId: l.region.ID(), RegionEpoch: l.region.Meta.GetRegionEpoch(), Peer: l.region.Leader,
		IsolationLevel: kvrpcpb.IsolationLevel_SI, Priority: kvrpcpb.CommandPri_Low, NotFillCache: true,
	}
}

// checksum sums up what is visible at ts.
func (l *regionLook) checksum(ctx context.Context, ts uint64) (sum kv.Checksum, locked bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, othersTimeout)
	defer cancel()
	conn, err := l.cluster.stores.get(ctx, l.region.Leader.GetStoreId())
	if err != nil {
		return sum, false, err
	}
	how := tipb.ChecksumRequest{ScanOn: tipb.ChecksumScanOn_Table, Algorithm: tipb.ChecksumAlgorithm_Crc64_Xor}
	data, err := how.Marshal()
	if err != nil {
		return sum, false, err
	}
	resp, err := tikvpb.NewTikvClient(conn).Coprocessor(ctx, &coprocessor.Request{
		Context: l.context(), Tp: checksumRequest, Data: data, StartTs: ts,
		Ranges: []*coprocessor.KeyRange{{Start: l.part.Start, End: l.part.End}},
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

// hasLaterVersions asks for keys that have a version later than ts beside
// another one. Of a removed key the store says so by an error.
func (l *regionLook) hasLaterVersions(ctx context.Context, ts uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, othersTimeout)
	defer cancel() // also ends a stream that is not read to its end
	conn, err := l.cluster.stores.get(ctx, l.region.Leader.GetStoreId())
	if err != nil {
		return false, err
	}
	stream, err := import_sstpb.NewImportSSTClient(conn).DuplicateDetect(ctx, &import_sstpb.DuplicateDetectRequest{
		Context: l.context(), StartKey: l.part.Start, EndKey: l.part.End, KeyOnly: true, MinCommitTs: ts,
	})
	if err != nil {
		return false, err
	}
	for {
		resp, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, err
		case resp.GetRegionError() != nil:
			return false, l.regionError(resp.GetRegionError())
		case resp.GetKeyError() != nil, len(resp.GetPairs()) > 0:
			return true, nil
		}
	}
}

func (l *regionLook) regionError(e *errorpb.Error) error {
	return fmt.Errorf("region %d: region error: %s", l.region.ID(), e.String())
}

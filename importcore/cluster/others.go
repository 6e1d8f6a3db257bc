package cluster

import (
	"context"
	"errors"
	"io"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/kv"
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
// It reads the records four times, in the stores, and changes nothing. A region
// is sure only for the moment in which it is looked at. sum is that of the
// versions at commitTS, for WrittenSince.
func (c *Cluster) WrittenByOthers(ctx context.Context, physicalIDs []int64, commitTS uint64) (what string, sum kv.Checksum, err error) {
	return c.lookForOthers(ctx, physicalIDs, func(ctx context.Context, look *regionLook) (string, kv.Checksum, error) {
		return look.others(ctx, commitTS)
	})
}

// WrittenSince looks again, for what others have written since WrittenByOthers
// found nothing of theirs and sum. What was visible at commitTS and before is
// known by then, so it reads the records twice: no key has a later version
// beside another one, and the sum of what is visible now is the same. If it
// isn't, which also a late ingest of the job's own explains, it looks as
// WrittenByOthers does.
func (c *Cluster) WrittenSince(ctx context.Context, physicalIDs []int64, commitTS uint64, sum kv.Checksum) (what string, err error) {
	what, now, err := c.lookForOthers(ctx, physicalIDs, func(ctx context.Context, look *regionLook) (string, kv.Checksum, error) {
		return look.later(ctx, commitTS)
	})
	if err == nil && (what != "" || now != sum) {
		what, _, err = c.WrittenByOthers(ctx, physicalIDs, commitTS)
	}
	return what, err
}

// WrittenAfter looks through the records of tables or partitions, given by their physical ids, whose own versions are all of ts or
// before, as those of an archive are, for what others have written since. It returns "" if there is nothing, and otherwise
// what there is, for a message. What is visible at ts is then all that is visible now, and no key has a later version beside that.
// It reads the records three times, in the stores, and changes nothing; a region is sure only for the moment in which it is looked at.
func (c *Cluster) WrittenAfter(ctx context.Context, physicalIDs []int64, ts uint64) (what string, err error) {
	what, _, err = c.lookForOthers(ctx, physicalIDs, func(ctx context.Context, look *regionLook) (string, kv.Checksum, error) {
		return look.after(ctx, ts)
	})
	return what, err
}

// lookForOthers looks through the records of tables or partitions until it finds
// something of others; sum is that of all looks.
func (c *Cluster) lookForOthers(ctx context.Context, physicalIDs []int64, look lookFunc) (what string, sum kv.Checksum, err error) {
	ranges := make([]KeyRange, len(physicalIDs))
	for i, id := range physicalIDs {
		prefix := tablecodec.GenTableRecordPrefix(id)
		ranges[i] = KeyRange{Start: prefix, End: prefix.PrefixNext()}
	}
	sum, err = c.lookThrough(ctx, ranges, look)
	var others *writtenByOthers
	if errors.As(err, &others) {
		return others.what, sum, nil
	}
	return "", sum, failed(err, "look for rows that others wrote")
}

// writtenByOthers is an error inside this package only.
type writtenByOthers struct{ what string }

func (e *writtenByOthers) Error() string { return e.what }

// What WrittenByOthers answers.
const (
	othersLater  = "rows that others wrote, changed or removed meanwhile"
	othersBefore = "rows that others had written before the first of the job"
	othersLocked = "rows that a transaction of others has locked"
)

// others is the whole proof of WrittenByOthers.
func (l *regionLook) others(ctx context.Context, commitTS uint64) (what string, at kv.Checksum, err error) {
	what, now, err := l.later(ctx, commitTS)
	if err != nil || what != "" {
		return what, at, err
	}
	before, locked, err := l.checksum(ctx, commitTS-1, nil)
	if err == nil && !locked {
		at, locked, err = l.checksum(ctx, commitTS, nil)
	}
	switch {
	case err != nil:
		return "", at, err
	case locked:
		return othersLocked, at, nil
	case before.Pairs > 0:
		return othersBefore, at, nil
	case at != now:
		return othersLater, at, nil
	}
	return "", at, nil
}

// after is the proof of WrittenAfter.
func (l *regionLook) after(ctx context.Context, ts uint64) (what string, now kv.Checksum, err error) {
	what, now, err = l.later(ctx, ts)
	if err != nil || what != "" {
		return what, now, err
	}
	at, locked, err := l.checksum(ctx, ts, nil)
	switch {
	case err != nil:
		return "", now, err
	case locked:
		return othersLocked, now, nil
	case at != now:
		return othersLater, now, nil
	}
	return "", now, nil
}

// later asks for what came after commitTS to keys that were there by then, and
// sums up what is visible now.
func (l *regionLook) later(ctx context.Context, commitTS uint64) (what string, now kv.Checksum, err error) {
	if replaced, err := l.hasLaterVersions(ctx, commitTS); err != nil || replaced {
		return othersLater, now, err
	}
	ts, err := l.cluster.TSO(ctx)
	if err != nil {
		return "", now, err
	}
	now, locked, err := l.checksum(ctx, ts, nil)
	if err == nil && locked {
		what = othersLocked
	}
	return what, now, err
}

// hasLaterVersions asks for keys that have a version later than ts beside
// another one. Of a removed key the store says so by an error.
func (l *regionLook) hasLaterVersions(ctx context.Context, ts uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
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

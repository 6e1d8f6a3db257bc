package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"google.golang.org/grpc"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

const (
	writeMethod = "/import_sstpb.ImportSST/Write"
	// writeTimeout bounds one SST's way to all peers when no speed limit makes
	// it longer.
	writeTimeout = 15 * time.Minute
	// maxLimitedWrite keeps the time that a very low limit takes within the range of a Duration.
	maxLimitedWrite = 30 * 24 * time.Hour
)

// sst is what an attempt to write has put on every peer of a region.
type sst struct {
	region       region.Region
	metas        []*import_sstpb.SSTMeta // the leader's, with the range really written
	pairs, bytes int64
	next         []byte // the cursor after it, raw
	began        time.Time
}

// write runs StageWrite: it sends the pairs from the cursor on to every peer
// of the job's region. Without pairs it only moves the cursor.
func (j *job) write(ctx context.Context) *failure {
	j.sst = nil
	if j.region.Leader == nil {
		return fail(KindNoLeader, 0, "region %d has no leader", j.region.ID())
	}
	stop := clipToRegion(j.rng.End, j.region)
	it, err := j.src.Iter(ctx, j.cursor, stop.end)
	if err != nil {
		return &failure{kind: KindSource, cause: err}
	}
	defer it.Close()
	if !it.Next() {
		if err := it.Err(); err != nil {
			return &failure{kind: KindSource, cause: err}
		}
		j.cursor = stop.end
		return nil
	}
	if !stop.allows(it.Key()) {
		j.cursor = bytes.Clone(it.Key())
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, j.writeTimeout())
	defer cancel()
	return j.send(ctx, it, stop)
}

// writeTimeout is longer when the speed limit alone would use it up. All jobs
// share a store's limit, so each has to expect its part of it only.
func (j *job) writeTimeout() time.Duration {
	t := writeTimeout
	limit := float64(j.opts.WriteSpeedLimit)
	if j.careful != nil {
		limit = leastOf(limit)
	}
	if limit > 0 {
		seconds := float64(j.opts.RegionSplitSize) * float64(j.opts.Concurrency) / limit
		t += 2 * time.Duration(min(seconds, maxLimitedWrite.Seconds())*float64(time.Second))
	}
	return t
}

// send writes one SST from the iterator, which stands on its first pair.
func (j *job) send(ctx context.Context, it Iterator, stop clip) *failure {
	first := region.Enc(it.Key())
	out := &sst{region: j.region, began: time.Now()}
	streams, f := j.openStreams(ctx, first)
	if f != nil {
		return f
	}
	last, f := j.sendPairs(ctx, it, stop, streams, out)
	if f != nil {
		return f
	}
	if f := j.hold(ctx); f != nil {
		return f
	}
	out.metas, f = j.finishStreams(streams)
	if f != nil {
		return f
	}
	rng := &import_sstpb.Range{Start: first, End: region.Enc(last)}
	if !j.region.Contains(rng.End) {
		return fail(KindInvalid, 0, "key %x is outside region %d", last, j.region.ID())
	}
	for _, m := range out.metas {
		m.Range = rng
	}
	j.sst = out
	return nil
}

// sendPairs sends batches until the region's end or size is reached and
// returns the last key sent. It fills in what the SST holds.
func (j *job) sendPairs(
	ctx context.Context, it Iterator, stop clip, streams []peerStream, out *sst,
) (last []byte, f *failure) {
	batch := newBatchEncoder(j.opts.CommitTS, j.opts.batchSize(len(streams)))
	for {
		key, value := it.Key(), it.Value()
		if out.pairs > 0 && bytes.Compare(key, last) <= 0 {
			return nil, fail(KindKeyOrder, 0, "the source returned key %x after %x", key, last)
		}
		batch.add(key, value)
		last = append(last[:0], key...)
		out.pairs++
		out.bytes += int64(len(key) + len(value))
		if batch.full() {
			if f := j.sendBatch(ctx, streams, batch.take()); f != nil {
				return nil, f
			}
			j.tellSent(out.bytes)
		}
		if out.bytes >= j.opts.RegionSplitSize || out.pairs >= j.opts.RegionSplitKeys {
			out.next = successor(last)
			break
		}
		if !it.Next() {
			if err := it.Err(); err != nil {
				return nil, &failure{kind: KindSource, cause: err}
			}
			out.next = stop.end
			break
		}
		if !stop.allows(it.Key()) {
			out.next = bytes.Clone(it.Key())
			break
		}
	}
	if !batch.empty() {
		f = j.sendBatch(ctx, streams, batch.take())
	}
	return last, f
}

// hold waits until more of an SST may be sent.
func (j *job) hold(ctx context.Context) *failure {
	if j.opts.Hold == nil {
		return nil
	}
	if err := j.opts.Hold(ctx); err != nil {
		return &failure{kind: KindForbidden, cause: err}
	}
	return nil
}

// peerStream is the open Write stream to one peer.
type peerStream struct {
	store, peer uint64
	stream      grpc.ClientStream
}

var writeStreamDesc = grpc.StreamDesc{StreamName: "Write", ClientStreams: true}

// openStreams opens a stream to every peer and sends the SST's description.
// The streams end with ctx.
func (j *job) openStreams(ctx context.Context, first []byte) ([]peerStream, *failure) {
	id := uuid.New()
	head := &import_sstpb.WriteRequest{Chunk: &import_sstpb.WriteRequest_Meta{Meta: &import_sstpb.SSTMeta{
		Uuid:        id[:],
		RegionId:    j.region.ID(),
		RegionEpoch: j.region.Meta.GetRegionEpoch(),
		// The last key is not known yet. Stores look at the range only when the
		// SST is ingested, and by then it says what was written.
		Range: &import_sstpb.Range{Start: first, End: first},
	}}}
	msg, err := head.Marshal()
	if err != nil {
		return nil, &failure{kind: KindInvalid, cause: err}
	}
	streams := make([]peerStream, 0, len(j.region.Meta.GetPeers()))
	for _, p := range j.region.Meta.GetPeers() {
		conn, err := j.cluster.StoreConn(ctx, p.GetStoreId())
		if err != nil {
			return nil, &failure{kind: KindLookup, store: p.GetStoreId(), cause: err}
		}
		stream, err := conn.NewStream(ctx, &writeStreamDesc, writeMethod, grpc.ForceCodec(rawCodec{}))
		if err != nil {
			return nil, classifyStatus(p.GetStoreId(), err, KindWriteTimeout)
		}
		s := peerStream{store: p.GetStoreId(), peer: p.GetId(), stream: stream}
		if f := s.send(rawMessage(msg)); f != nil {
			return nil, f
		}
		if p.GetRole() != metapb.PeerRole_Learner { // TiFlash, or on its way
			j.careful.follow(s.store)
		}
		streams = append(streams, s)
	}
	return streams, nil
}

// sendBatch sends one message to every peer, held back by the speed limit.
func (j *job) sendBatch(ctx context.Context, streams []peerStream, msg rawMessage) *failure {
	for _, s := range streams {
		if j.limits != nil {
			began := time.Now()
			err := j.limits.wait(ctx, s.store, len(msg))
			j.opts.Waits.Limit.since(began)
			if err != nil {
				return &failure{kind: KindWriteTimeout, store: s.store, cause: err}
			}
		}
		if f := j.hold(ctx); f != nil {
			return f
		}
		began := time.Now()
		f := s.send(msg)
		j.opts.Waits.Store.since(began)
		if f != nil {
			return f
		}
	}
	return nil
}

// send sends one message. An end of the stream means that the store has
// already answered; the true error is in that answer.
func (s peerStream) send(msg rawMessage) *failure {
	err := s.stream.SendMsg(msg)
	if errors.Is(err, io.EOF) {
		if _, f := s.receive(); f != nil {
			return f
		}
		return fail(KindTransport, s.store, "the store ended the write early")
	}
	if err != nil {
		return classifyStatus(s.store, err, KindWriteTimeout)
	}
	return nil
}

// receive reads the store's answer.
func (s peerStream) receive() ([]*import_sstpb.SSTMeta, *failure) {
	resp := &import_sstpb.WriteResponse{}
	if err := s.stream.RecvMsg(resp); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fail(KindTransport, s.store, "the store closed the write without an answer")
		}
		return nil, classifyStatus(s.store, err, KindWriteTimeout)
	}
	e := resp.GetError()
	switch {
	case e == nil:
		return resp.GetMetas(), nil
	case e.GetStoreError() != nil:
		return nil, classifyRegionError(s.store, e.GetStoreError(), region.Region{})
	default:
		return nil, classifyWriteText(s.store, e.GetMessage())
	}
}

// finishStreams ends all streams, waits for every peer's answer and returns
// the leader's files. All peers must have built the same ones.
func (j *job) finishStreams(streams []peerStream) ([]*import_sstpb.SSTMeta, *failure) {
	for _, s := range streams {
		if err := s.stream.CloseSend(); err != nil {
			return nil, classifyStatus(s.store, err, KindWriteTimeout)
		}
	}
	defer j.opts.Waits.Store.since(time.Now())
	var leader []*import_sstpb.SSTMeta
	var files string
	for i, s := range streams {
		metas, f := s.receive()
		if f != nil {
			return nil, f
		}
		switch named := fileNames(metas); {
		case i == 0:
			files = named
		case named != files:
			return nil, fail(KindPeersDiffer, s.store, "peers built different files: %s and %s", files, named)
		}
		if s.peer == j.region.Leader.GetId() {
			leader = metas
		}
	}
	if len(leader) == 0 {
		return nil, fail(KindNoLeader, j.region.Leader.GetStoreId(), "the leader of region %d named no file", j.region.ID())
	}
	return leader, nil
}

// fileNames describes the files of an answer by what identifies them.
func fileNames(metas []*import_sstpb.SSTMeta) string {
	names := make([]string, 0, len(metas))
	for _, m := range metas {
		names = append(names, fmt.Sprintf("%x/%s", m.GetUuid(), m.GetCfName()))
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

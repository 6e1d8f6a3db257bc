package tikv

import (
	"crypto/rand"

	"github.com/google/uuid"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/sluicedb/sluice/tests/playground/topology"
	"github.com/stretchr/testify/require"
)

// metaFor describes a file with the keys of pairs, as a careful client would.
func metaFor(r topology.Region, pairs []*import_sstpb.Pair) *import_sstpb.SSTMeta {
	id := uuid.New()
	epoch := *r.Meta.RegionEpoch
	m := &import_sstpb.SSTMeta{Uuid: id[:], RegionId: r.Meta.Id, RegionEpoch: &epoch, Range: &import_sstpb.Range{}}
	if len(pairs) > 0 {
		m.Range.Start = encodeKey(pairs[0].Key)
		m.Range.End = encodeKey(pairs[len(pairs)-1].Key)
	}
	return m
}

// write sends one stream of batches to one store.
func (b *bench) write(store uint64, meta *import_sstpb.SSTMeta, ts uint64, batches ...[]*import_sstpb.Pair) (*import_sstpb.WriteResponse, error) {
	b.t.Helper()
	stream, err := b.sst(store).Write(b.ctx)
	require.NoError(b.t, err)
	err = stream.Send(&import_sstpb.WriteRequest{Chunk: &import_sstpb.WriteRequest_Meta{Meta: meta}})
	for _, pairs := range batches {
		if err != nil {
			break // CloseAndRecv tells why
		}
		err = stream.Send(&import_sstpb.WriteRequest{Chunk: &import_sstpb.WriteRequest_Batch{
			Batch: &import_sstpb.WriteBatch{CommitTs: ts, Pairs: pairs},
		}})
	}
	return stream.CloseAndRecv()
}

// writeAll writes to every store and returns the metas to ingest.
func (b *bench) writeAll(meta *import_sstpb.SSTMeta, ts uint64, batches ...[]*import_sstpb.Pair) []*import_sstpb.SSTMeta {
	b.t.Helper()
	var metas []*import_sstpb.SSTMeta
	for _, s := range b.Stores() {
		resp, err := b.write(s.ID, meta, ts, batches...)
		require.NoError(b.t, err)
		require.Nil(b.t, resp.Error)
		metas = resp.Metas
	}
	return metas
}

// ingest sends a MultiIngest to the leader and returns the error in its answer.
func (b *bench) ingest(r topology.Region, metas ...*import_sstpb.SSTMeta) *errorpb.Error {
	b.t.Helper()
	resp, err := b.sst(r.Leader.StoreId).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{Context: rpc(r), Ssts: metas})
	require.NoError(b.t, err)
	return resp.Error
}

// load ingests pairs at a fresh timestamp, which it returns.
func (b *bench) load(pairs []*import_sstpb.Pair) uint64 {
	b.t.Helper()
	r := b.region(pairs[0].Key)
	ts := b.clock.next()
	require.Nil(b.t, b.ingest(r, b.writeAll(metaFor(r, pairs), ts, pairs)...))
	return ts
}

func pair(key, value string) *import_sstpb.Pair {
	return &import_sstpb.Pair{Key: []byte(key), Value: []byte(value)}
}

// numbered returns n pairs in key order with random values of the given length.
func numbered(n, valueLen int) []*import_sstpb.Pair {
	pairs := make([]*import_sstpb.Pair, n)
	for i := range pairs {
		v := make([]byte, valueLen)
		_, _ = rand.Read(v)
		pairs[i] = &import_sstpb.Pair{Key: key(i), Value: v}
	}
	return pairs
}

package tikv

import (
	"context"
	"hash/crc64"
	"testing"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/pingcap/tidb/pkg/util/rowcodec"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/sluicedb/sluice/tests/playground/topology"
	"github.com/stretchr/testify/require"
)

// sumOf computes a checksum by the definition, pair by pair.
func sumOf(pairs []*import_sstpb.Pair) *tipb.ChecksumResponse {
	sum := &tipb.ChecksumResponse{}
	table := crc64.MakeTable(crc64.ECMA)
	for _, p := range pairs {
		sum.Checksum ^= crc64.Checksum(append(append([]byte{}, p.Key...), p.Value...), table)
		sum.TotalKvs++
		sum.TotalBytes += uint64(len(p.Key) + len(p.Value))
	}
	return sum
}

func checksumRequest(r topology.Region, ts uint64, rule *tipb.ChecksumRewriteRule) *coprocessor.Request {
	data, err := (&tipb.ChecksumRequest{Algorithm: tipb.ChecksumAlgorithm_Crc64_Xor, Rule: rule}).Marshal()
	if err != nil {
		panic(err)
	}
	return &coprocessor.Request{Context: rpc(r), Tp: reqTypeChecksum, Data: data, StartTs: ts, Ranges: whole()}
}

// checksum asks the region's leader and returns the sums.
func (b *bench) checksum(r topology.Region, ts uint64, rule *tipb.ChecksumRewriteRule) *tipb.ChecksumResponse {
	b.t.Helper()
	resp, err := b.kv(r.Leader.StoreId).Coprocessor(b.ctx, checksumRequest(r, ts, rule))
	require.NoError(b.t, err)
	return sums(b.t, resp)
}

func sums(t testing.TB, resp *coprocessor.Response) *tipb.ChecksumResponse {
	t.Helper()
	require.Nil(t, resp.RegionError)
	require.Nil(t, resp.Locked)
	require.Empty(t, resp.OtherError)
	sum := new(tipb.ChecksumResponse)
	require.NoError(t, sum.Unmarshal(resp.Data))
	return sum
}

// inBatch sends one coprocessor request through a BatchCommands stream.
func (b *bench) inBatch(store uint64, req *coprocessor.Request) *coprocessor.Response {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	stream, err := b.kv(store).BatchCommands(ctx)
	require.NoError(b.t, err)
	require.NoError(b.t, stream.Send(&tikvpb.BatchCommandsRequest{
		RequestIds: []uint64{7},
		Requests:   []*tikvpb.BatchCommandsRequest_Request{{Cmd: &tikvpb.BatchCommandsRequest_Request_Coprocessor{Coprocessor: req}}},
	}))
	resp, err := stream.Recv()
	require.NoError(b.t, err)
	require.Equal(b.t, []uint64{7}, resp.RequestIds)
	return resp.Responses[0].GetCoprocessor()
}

func TestChecksum(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	pairs := numbered(5000, 30)
	empty := b.clock.next()
	ts := b.load(pairs)
	b.put([]byte("q"), []byte("by a transaction"))
	now := b.clock.next()
	r := b.region(nil)

	require.Equal(t, &tipb.ChecksumResponse{}, b.checksum(r, empty, nil))
	require.Equal(t, sumOf(pairs), b.checksum(r, ts, nil))
	all := append(pairs[:5000:5000], pair("q", "by a transaction"))
	require.Equal(t, sumOf(all), b.checksum(r, now, nil))
	require.Equal(t, sumOf(all), sums(t, b.inBatch(r.Leader.StoreId, checksumRequest(r, now, nil))))

	// Another prefix: as if the keys had begun with "old/" when backed up.
	rule := &tipb.ChecksumRewriteRule{OldPrefix: []byte("old/"), NewPrefix: []byte("k")}
	renamed := make([]*import_sstpb.Pair, len(pairs))
	for i, p := range pairs {
		renamed[i] = pair("old/"+string(p.Key[1:]), string(p.Value))
	}
	require.Equal(t, sumOf(renamed), b.checksum(r, ts, rule))
	resp, err := b.kv(r.Leader.StoreId).Coprocessor(b.ctx, checksumRequest(r, now, rule))
	require.NoError(t, err)
	require.Contains(t, resp.OtherError, "Wrong prefix expect")

	// Split regions give parts that add up.
	b.split(string(key(1000)), string(key(3000)))
	total := &tipb.ChecksumResponse{}
	for _, reg := range b.View().ScanRegions(nil, nil, 0) {
		part := b.checksum(reg, now, nil)
		total.Checksum ^= part.Checksum
		total.TotalKvs += part.TotalKvs
		total.TotalBytes += part.TotalBytes
	}
	require.Equal(t, sumOf(all), total)

	resp, err = b.kv(r.Leader.StoreId).Coprocessor(b.ctx, checksumRequest(r, now, nil))
	require.NoError(t, err)
	require.NotNil(t, resp.RegionError.GetEpochNotMatch())
}

func TestChecksumStopsAtALock(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.load(numbered(10, 10))
	r := b.region(nil)
	start := b.prewrite(&kvrpcpb.Mutation{Op: kvrpcpb.Op_Put, Key: key(3), Value: []byte("new")})

	resp, err := b.kv(r.Leader.StoreId).Coprocessor(b.ctx, checksumRequest(r, b.clock.next(), nil))
	require.NoError(t, err)
	require.Equal(t, key(3), resp.Locked.GetKey())
	require.Equal(t, start, resp.Locked.LockVersion)

	b.checksum(r, start-1, nil) // a snapshot before the lock is not concerned

	resolved := checksumRequest(r, b.clock.next(), nil)
	resolved.Context.ResolvedLocks = []uint64{start}
	resp, err = b.kv(r.Leader.StoreId).Coprocessor(b.ctx, resolved)
	require.NoError(t, err)
	require.EqualValues(t, 10, sums(t, resp).TotalKvs)
}

// A v1 row is readable, and checksummed and reported as it was sent.
func TestRowFormatV1(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	rowKey := tablecodec.EncodeRowKeyWithHandle(42, kv.IntHandle(7))
	var v1 []byte
	for _, d := range []types.Datum{types.NewIntDatum(1), types.NewIntDatum(-5), types.NewIntDatum(2), types.NewStringDatum("text")} {
		var err error
		v1, err = codec.EncodeValue(nil, v1, d)
		require.NoError(t, err)
	}
	require.False(t, rowcodec.IsNewFormat(v1))
	pairs := []*import_sstpb.Pair{
		{Key: rowKey, Value: v1},
		{Key: tablecodec.EncodeRowKeyWithHandle(42, kv.IntHandle(8)), Value: []byte{codec.NilFlag}}, // no columns
	}
	ts := b.load(pairs)

	var want rowcodec.Encoder
	v2, err := want.Encode(nil, []int64{1, 2}, []types.Datum{types.NewIntDatum(-5), types.NewStringDatum("text")}, nil, nil)
	require.NoError(t, err)
	require.Equal(t, v2, b.get(rowKey, ts))
	require.True(t, rowcodec.IsNewFormat(b.get(pairs[1].Key, ts)))
	r := b.region(nil)
	require.Equal(t, sumOf(pairs), b.checksum(r, b.clock.next(), nil))

	_, err = b.kv(r.Leader.StoreId).UnsafeDestroyRange(b.ctx, &kvrpcpb.UnsafeDestroyRangeRequest{StartKey: []byte("t"), EndKey: []byte("u")})
	require.NoError(t, err)
	require.Empty(t, b.engine.newestVersions(originalPrefix, []byte{0xff, 'w'}, 1))
}

package tikv

import (
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/sluicedb/sluice/tests/playground/topology"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestWriteAndIngest(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	b.split("j", "l")
	short, long := numbered(ingestBatch+10, 20), numbered(ingestBatch+20, shortValueMax+1)[ingestBatch+10:]
	r := b.region(short[0].Key)
	ts := b.clock.next()
	before := b.clock.next() - 2

	meta := metaFor(r, append(short[:1:1], long...))
	metas := b.writeAll(meta, ts, short[:100], short[100:], long)
	require.Len(t, metas, 2)
	for i, cf := range []string{cfDefault, cfWrite} {
		want := *meta
		want.CfName = cf
		require.Equal(t, &want, metas[i], "only the column family differs")
	}
	require.Nil(t, b.get(short[0].Key, b.clock.next()), "nothing is visible before the ingest")
	require.Nil(t, b.ingest(r, metas...))

	for _, p := range []*import_sstpb.Pair{short[0], short[99], short[100], short[ingestBatch+9], long[0], long[9]} {
		require.Equal(t, p.Value, b.get(p.Key, ts))
		require.Nil(t, b.get(p.Key, before))
	}
	now := b.region(short[0].Key)
	require.Greater(t, now.ApproximateSize, int64(ingestBatch*20))
	require.EqualValues(t, ingestBatch+20, now.ApproximateKeys)

	again := b.ingest(r, metas...)
	require.NotNil(t, again.GetStaleCommand())
	require.Contains(t, again.Message, "doest not exist")
	require.Empty(t, b.Violations())
}

func TestIngestOneByOne(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	pairs := []*import_sstpb.Pair{pair("k1", "short"), {Key: []byte("k2"), Value: make([]byte, 1000)}}
	r := b.region(pairs[0].Key)
	ts := b.clock.next()
	for _, m := range b.writeAll(metaFor(r, pairs), ts, pairs) {
		resp, err := b.sst(r.Leader.StoreId).Ingest(b.ctx, &import_sstpb.IngestRequest{Context: rpc(r), Sst: m})
		require.NoError(t, err)
		require.Nil(t, resp.Error)
	}
	require.Equal(t, pairs[0].Value, b.get(pairs[0].Key, ts))
	require.Equal(t, pairs[1].Value, b.get(pairs[1].Key, ts))
	require.Empty(t, b.Violations())
}

func TestWriteDeletes(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	old := b.load([]*import_sstpb.Pair{pair("k1", "v1"), pair("k2", "v2")})
	gone := b.load([]*import_sstpb.Pair{{Key: []byte("k1"), Op: import_sstpb.Pair_Delete}})
	require.Equal(t, "v1", string(b.get([]byte("k1"), old)))
	require.Nil(t, b.get([]byte("k1"), gone))
	require.Equal(t, "v2", string(b.get([]byte("k2"), gone)))
}

func TestWriteWithoutPairs(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	r := b.region(nil)
	resp, err := b.write(r.Leader.StoreId, metaFor(r, nil), 1)
	require.NoError(t, err)
	require.Empty(t, resp.Metas)
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	r := b.region(nil)
	store := r.Leader.StoreId
	pairs := []*import_sstpb.Pair{pair("k1", "v"), pair("k2", "v")}
	cases := []struct {
		name    string
		change  func(*import_sstpb.SSTMeta)
		batches [][]*import_sstpb.Pair
		want    string
	}{
		{"unknown region", func(m *import_sstpb.SSTMeta) { m.RegionId = 77 }, nil, `^RequestTooOld\("region 77 is not found"\)$`},
		{"newer version", func(m *import_sstpb.SSTMeta) { m.RegionEpoch.Version++ }, nil, `^RequestTooNew\("request region \d+ is ahead of local region.*please retry write later"\)$`},
		{"newer conf_ver", func(m *import_sstpb.SSTMeta) { m.RegionEpoch.ConfVer++ }, nil, `^RequestTooNew\(`},
		{"older version", func(m *import_sstpb.SSTMeta) { m.RegionEpoch.Version-- }, nil, `^RequestTooOld\("request region \d+ is staler than local region`},
		{"older conf_ver", func(m *import_sstpb.SSTMeta) { m.RegionEpoch.ConfVer-- }, nil, `^RequestTooOld\(`},
		{"uuid too short", func(m *import_sstpb.SSTMeta) { m.Uuid = m.Uuid[:15] }, nil, `^InvalidChunk$`},
		{"key order", nil, [][]*import_sstpb.Pair{{pairs[1], pairs[0]}}, `strict ascending order`},
		{"key order across batches", nil, [][]*import_sstpb.Pair{{pairs[1]}, {pairs[0]}}, `strict ascending order`},
		{"equal keys", nil, [][]*import_sstpb.Pair{{pairs[0], pairs[0]}}, `strict ascending order`},
		{"empty value", nil, [][]*import_sstpb.Pair{{pair("k", "")}}, `empty value`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			meta := metaFor(r, pairs)
			if c.change != nil {
				c.change(meta)
			}
			if c.batches == nil {
				c.batches = [][]*import_sstpb.Pair{pairs}
			}
			_, err := b.write(store, meta, 5, c.batches...)
			require.Equal(t, codes.Unknown, status.Code(err), "%v", err)
			require.Regexp(t, c.want, status.Convert(err).Message())
			regErr := b.ingest(r, &import_sstpb.SSTMeta{
				Uuid: metaFor(r, nil).Uuid, RegionId: r.Meta.Id, RegionEpoch: r.Meta.RegionEpoch, CfName: cfWrite,
			})
			require.NotNil(t, regErr.GetStaleCommand(), "nothing is kept")
		})
	}
	t.Run("batch first", func(t *testing.T) {
		stream, err := b.sst(store).Write(b.ctx)
		require.NoError(t, err)
		require.NoError(t, stream.Send(&import_sstpb.WriteRequest{Chunk: &import_sstpb.WriteRequest_Batch{Batch: &import_sstpb.WriteBatch{}}}))
		_, err = stream.CloseAndRecv()
		require.Equal(t, "InvalidChunk", status.Convert(err).Message())
	})
	t.Run("meta twice", func(t *testing.T) {
		stream, err := b.sst(store).Write(b.ctx)
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, stream.Send(&import_sstpb.WriteRequest{Chunk: &import_sstpb.WriteRequest_Meta{Meta: metaFor(r, pairs)}}))
		}
		_, err = stream.CloseAndRecv()
		require.Equal(t, "InvalidChunk", status.Convert(err).Message())
	})
	require.Empty(t, b.Violations())
}

// What the engine can't keep must fail and not be lost.
func TestEngineLimitsFailLoudly(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	r := b.region(nil)
	older := b.clock.next()
	newer := b.load([]*import_sstpb.Pair{pair("k", "new")})

	one := []*import_sstpb.Pair{pair("j", "v"), pair("k", "old")}
	metas := b.writeAll(metaFor(r, one), older, one)
	_, err := b.sst(r.Leader.StoreId).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{Context: rpc(r), Ssts: metas})
	require.Equal(t, codes.Internal, status.Code(err))
	require.Contains(t, err.Error(), "newer version")
	require.Equal(t, "new", string(b.get([]byte("k"), newer)))
	require.Nil(t, b.get([]byte("j"), newer))

	stream, err := b.sst(r.Leader.StoreId).Write(b.ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&import_sstpb.WriteRequest{Chunk: &import_sstpb.WriteRequest_Meta{Meta: metaFor(r, one)}}))
	for _, ts := range []uint64{newer, older} {
		require.NoError(t, stream.Send(&import_sstpb.WriteRequest{Chunk: &import_sstpb.WriteRequest_Batch{
			Batch: &import_sstpb.WriteBatch{CommitTs: ts, Pairs: one[:1]},
		}}))
	}
	_, err = stream.CloseAndRecv()
	require.ErrorContains(t, err, "two versions of a key")
}

func TestIngestingTheSameAgainChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	pairs := numbered(100, 10)
	r := b.region(nil)
	ts := b.clock.next()
	for range 2 { // a client that lost the answer writes again
		require.Nil(t, b.ingest(r, b.writeAll(metaFor(r, pairs), ts, pairs)...))
	}
	require.Equal(t, sumOf(pairs), b.checksum(r, b.clock.next(), nil))
}

func TestIngestRefuses(t *testing.T) {
	t.Parallel()
	pairs := []*import_sstpb.Pair{pair("d", "v"), pair("e", "v")}
	type request struct {
		store uint64
		ctx   *kvrpcpb.Context
		metas []*import_sstpb.SSTMeta
	}
	cases := []struct {
		name   string
		change func(*testing.T, *bench, topology.Region, *request)
		check  func(*testing.T, topology.Region, *errorpb.Error)
		keeps  bool // the files survive
	}{
		{"not the leader", func(_ *testing.T, b *bench, r topology.Region, q *request) {
			q.store = b.Stores()[1].ID
			q.ctx = rpcTo(r, q.store)
		}, func(t *testing.T, r topology.Region, e *errorpb.Error) {
			require.Equal(t, r.Leader, e.GetNotLeader().GetLeader())
		}, true},
		{"old version in the header", func(_ *testing.T, b *bench, _ topology.Region, _ *request) {
			b.split("dd")
		}, func(t *testing.T, r topology.Region, e *errorpb.Error) {
			require.Equal(t, r.Meta.Id, e.GetEpochNotMatch().GetCurrentRegions()[0].Id)
		}, true},
		{"unknown region", func(_ *testing.T, _ *bench, _ topology.Region, q *request) {
			q.ctx.RegionId = 999
		}, func(t *testing.T, _ topology.Region, e *errorpb.Error) {
			require.EqualValues(t, 999, e.GetRegionNotFound().GetRegionId())
		}, true},
		{"file never written", func(_ *testing.T, _ *bench, r topology.Region, q *request) {
			q.metas[0].Uuid = metaFor(r, nil).Uuid
		}, func(t *testing.T, _ topology.Region, e *errorpb.Error) {
			require.NotNil(t, e.GetStaleCommand())
			require.Equal(t, "The file which would be ingested doest not exist.", e.Message)
		}, true},
		{"bad uuid", func(_ *testing.T, _ *bench, _ topology.Region, q *request) {
			q.metas[0].Uuid = []byte("short")
		}, func(t *testing.T, _ topology.Region, e *errorpb.Error) {
			require.Equal(t, &errorpb.Error{Message: "ingest file conflict"}, e)
		}, true},
		{"the same file twice", func(_ *testing.T, _ *bench, _ topology.Region, q *request) {
			q.metas = append(q.metas, q.metas[0])
		}, func(t *testing.T, _ topology.Region, e *errorpb.Error) {
			require.Equal(t, "ingest file conflict", e.GetMessage())
		}, true},
		{"range end at the region's end", func(_ *testing.T, _ *bench, r topology.Region, q *request) {
			q.metas[0].Range.End = r.Meta.EndKey
		}, func(t *testing.T, r topology.Region, e *errorpb.Error) {
			require.Equal(t, r.Meta.EndKey, e.GetKeyNotInRegion().GetKey())
		}, false},
		{"range start before the region", func(_ *testing.T, _ *bench, _ topology.Region, q *request) {
			q.metas[0].Range.Start = encodeKey([]byte("b"))
		}, func(t *testing.T, _ topology.Region, e *errorpb.Error) {
			require.NotNil(t, e.GetKeyNotInRegion())
		}, false},
		{"suspended", func(t *testing.T, b *bench, _ topology.Region, q *request) {
			resp, err := b.sst(q.store).SuspendImportRPC(b.ctx, &import_sstpb.SuspendImportRPCRequest{ShouldSuspendImports: true, DurationInSecs: 60})
			require.NoError(t, err)
			require.False(t, resp.AlreadySuspended)
		}, func(t *testing.T, _ topology.Region, e *errorpb.Error) {
			require.Positive(t, e.GetServerIsBusy().GetBackoffMs())
		}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 2)
			b.split("c", "m")
			r := b.region([]byte("d"))
			q := request{store: r.Leader.StoreId, ctx: rpc(r), metas: b.writeAll(metaFor(r, pairs), b.clock.next(), pairs)}
			written := *q.metas[0]
			c.change(t, b, r, &q)
			resp, err := b.sst(q.store).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{Context: q.ctx, Ssts: q.metas})
			require.NoError(t, err)
			require.NotNil(t, resp.Error)
			c.check(t, r, resp.Error)
			require.Nil(t, b.get([]byte("d"), b.clock.next()))
			name, err := nameOf(&written, cfWrite)
			require.NoError(t, err)
			require.Equal(t, c.keeps, b.stores[0].imports.file(name) != nil)
			require.Empty(t, b.Violations())
		})
	}
}

// The header compares the version only, the apply conf_ver as well: a change of
// the peers after Write is met at the very end.
func TestConfChangeAfterWrite(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	pairs := []*import_sstpb.Pair{pair("k", "v")}
	old := b.region(nil)
	metas := b.writeAll(metaFor(old, pairs), b.clock.next(), pairs)
	b.regions.bumpEpoch(old.Meta.Id)
	now := b.region(nil)
	now.Meta.RegionEpoch.ConfVer = old.Meta.RegionEpoch.ConfVer // as a client with an old conf_ver
	e := b.ingest(now, metas...)
	require.Equal(t, now.Meta.Id, e.GetEpochNotMatch().GetCurrentRegions()[0].Id)
	require.NotNil(t, b.ingest(now, metas...).GetStaleCommand(), "the files are gone")
}

func TestIncompatibleAPIVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	r := b.region(nil)
	meta := metaFor(r, nil)
	meta.ApiVersion = kvrpcpb.APIVersion_V2
	_, err := b.sst(r.Leader.StoreId).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{Context: rpc(r), Ssts: []*import_sstpb.SSTMeta{meta}})
	require.Equal(t, codes.Unknown, status.Code(err))
	require.Equal(t, "IncompatibleApiVersion", status.Convert(err).Message())
}

func TestEmptyMultiIngestIsAProbe(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	resp, err := b.sst(b.Stores()[0].ID).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{})
	require.NoError(t, err)
	require.NotNil(t, resp.Error)
	require.Nil(t, resp.Error.ServerIsBusy)
	require.Empty(t, b.Violations())
}

func TestViolations(t *testing.T) {
	t.Parallel()
	pairs := []*import_sstpb.Pair{pair("d", "v"), pair("e", "v")}
	long := []*import_sstpb.Pair{{Key: []byte("d"), Value: make([]byte, 300)}}
	cases := []struct {
		name  string
		metas func(*bench, topology.Region) []*import_sstpb.SSTMeta
		want  string
	}{
		{"a replica lacks the file", func(b *bench, r topology.Region) []*import_sstpb.SSTMeta {
			resp, err := b.write(r.Leader.StoreId, metaFor(r, pairs), 9, pairs)
			require.NoError(b.t, err)
			return resp.Metas
		}, "lacks file"},
		{"replicas differ", func(b *bench, r topology.Region) []*import_sstpb.SSTMeta {
			meta := metaFor(r, pairs)
			var metas []*import_sstpb.SSTMeta
			for i, s := range b.Stores() {
				resp, err := b.write(s.ID, meta, 9+uint64(i), pairs)
				require.NoError(b.t, err)
				metas = resp.Metas
			}
			return metas
		}, "different content"},
		{"keys outside the range", func(b *bench, r topology.Region) []*import_sstpb.SSTMeta {
			meta := metaFor(r, pairs[:1])
			return b.writeAll(meta, 9, pairs)
		}, "outside the range"},
		{"keys outside the region", func(b *bench, r topology.Region) []*import_sstpb.SSTMeta {
			meta := metaFor(r, pairs)
			return b.writeAll(meta, 9, append(pairs[:2:2], pair("x", "v")))
		}, "outside region"},
		{"write file without its default file", func(b *bench, r topology.Region) []*import_sstpb.SSTMeta {
			return b.writeAll(metaFor(r, long), 9, long)[1:]
		}, "without its default file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 2)
			b.split("c", "m")
			r := b.region([]byte("d"))
			_, err := b.sst(r.Leader.StoreId).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{Context: rpc(r), Ssts: c.metas(b, r)})
			require.Equal(t, codes.Internal, status.Code(err))
			require.Contains(t, err.Error(), c.want)
			require.Len(t, b.Violations(), 1)
			require.Contains(t, b.Violations()[0], c.want)
			require.Nil(t, b.get([]byte("d"), b.clock.next()), "nothing is visible")
		})
	}
}

func TestEqualContentInOtherBatchesIsNoViolation(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	pairs := numbered(10, 10)
	r := b.region(nil)
	meta := metaFor(r, pairs)
	_, err := b.write(b.Stores()[0].ID, meta, 9, pairs)
	require.NoError(t, err)
	resp, err := b.write(b.Stores()[1].ID, meta, 9, pairs[:3], pairs[3:])
	require.NoError(t, err)
	require.Nil(t, b.ingest(r, resp.Metas...))
	require.Empty(t, b.Violations())
}

func TestOldFilesOfStaleEpochsAreDropped(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	im := b.stores[0].imports
	now := time.Now()
	im.now = func() time.Time { return now }
	pairs := []*import_sstpb.Pair{pair("k", "v")}
	r := b.region(nil)
	old := b.writeAll(metaFor(r, pairs), 9, pairs)[0]
	name, err := nameOf(old, cfWrite)
	require.NoError(t, err)
	another := func() {
		r := b.region(nil)
		b.writeAll(metaFor(r, pairs), 9, pairs)
	}
	now = now.Add(cleanupAge)
	another()
	require.NotNil(t, im.file(name), "still good")
	b.regions.bumpEpoch(r.Meta.Id)
	now = now.Add(-time.Second)
	another()
	require.NotNil(t, im.file(name), "stale, but young")
	now = now.Add(time.Second)
	another()
	require.Nil(t, im.file(name))
}

func TestDuplicateDetect(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	r := b.region(nil)
	detect := func(req *import_sstpb.DuplicateDetectRequest) (pairs []*import_sstpb.KvPair, last *import_sstpb.DuplicateDetectResponse) {
		req.Context = rpc(b.region(req.StartKey))
		stream, err := b.sst(r.Leader.StoreId).DuplicateDetect(b.ctx, req)
		require.NoError(t, err)
		for {
			resp, err := stream.Recv()
			if err != nil {
				return pairs, last
			}
			pairs, last = append(pairs, resp.Pairs...), resp
		}
	}
	b.load([]*import_sstpb.Pair{pair("a", "a0"), pair("b", "b0")})
	first := b.load([]*import_sstpb.Pair{pair("a", "a1"), pair("b", "b1"), pair("c", "c1")})
	second := b.load([]*import_sstpb.Pair{pair("b", "b2"), pair("d", "d2")})

	got, _ := detect(&import_sstpb.DuplicateDetectRequest{StartKey: []byte("a"), EndKey: []byte("z"), MinCommitTs: first})
	require.Equal(t, []*import_sstpb.KvPair{
		{Key: []byte("b"), Value: []byte("b2"), CommitTs: second},
		{Key: []byte("b"), Value: []byte("b1"), CommitTs: first},
	}, got)

	got, _ = detect(&import_sstpb.DuplicateDetectRequest{StartKey: []byte("a"), EndKey: []byte("z"), MinCommitTs: first, KeyOnly: true})
	require.Equal(t, []*import_sstpb.KvPair{{Key: []byte("b"), CommitTs: first}}, got)

	got, _ = detect(&import_sstpb.DuplicateDetectRequest{StartKey: []byte("c"), EndKey: []byte("z")})
	require.Empty(t, got)

	b.load([]*import_sstpb.Pair{{Key: []byte("c"), Op: import_sstpb.Pair_Delete}})
	_, last := detect(&import_sstpb.DuplicateDetectRequest{StartKey: []byte("c"), EndKey: []byte("z"), MinCommitTs: second})
	require.Contains(t, last.KeyError.GetMessage(), "found a Delete key")

	b.split("m")
	stream, err := b.sst(r.Leader.StoreId).DuplicateDetect(b.ctx, &import_sstpb.DuplicateDetectRequest{
		Context: rpc(b.region([]byte("a"))), StartKey: []byte("x"),
	})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.Internal, status.Code(err))
	require.Len(t, b.Violations(), 1)
}

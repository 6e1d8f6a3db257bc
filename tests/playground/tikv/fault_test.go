package tikv

import (
	"context"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// faultCalls are RPCs of each shape; a call returns the region error of its
// answer, or the error of the call.
func faultCalls(b *bench) map[string]func() (*errorpb.Error, error) {
	k := []byte("k")
	next := 999_999 // split keys fall, so that they stay in the region of k
	leader := func() (uint64, *kvrpcpb.Context) {
		r := b.region(k)
		return r.Leader.StoreId, rpc(r)
	}
	return map[string]func() (*errorpb.Error, error){
		"Tikv/KvGet": func() (*errorpb.Error, error) {
			s, ctx := leader()
			resp, err := b.kv(s).KvGet(b.ctx, &kvrpcpb.GetRequest{Context: ctx, Key: k, Version: b.clock.next()})
			return resp.GetRegionError(), err
		},
		"Tikv/SplitRegion": func() (*errorpb.Error, error) {
			s, ctx := leader()
			next--
			resp, err := b.kv(s).SplitRegion(b.ctx, &kvrpcpb.SplitRegionRequest{Context: ctx, SplitKeys: [][]byte{key(next)}})
			return resp.GetRegionError(), err
		},
		"Tikv/Coprocessor": func() (*errorpb.Error, error) {
			s, _ := leader()
			resp, err := b.kv(s).Coprocessor(b.ctx, checksumRequest(b.region(k), b.clock.next(), nil))
			return resp.GetRegionError(), err
		},
		"ImportSST/MultiIngest": func() (*errorpb.Error, error) {
			pairs := []*import_sstpb.Pair{pair("k", "v")}
			r := b.region(k)
			metas := b.writeAll(metaFor(r, pairs), b.clock.next(), pairs)
			resp, err := b.sst(r.Leader.StoreId).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{Context: rpc(r), Ssts: metas})
			return resp.GetError(), err
		},
	}
}

func TestRegionFaults(t *testing.T) {
	t.Parallel()
	checks := map[fault.Kind]func(*testing.T, *bench, *errorpb.Error){
		fault.NotLeader: func(t *testing.T, b *bench, e *errorpb.Error) {
			require.Equal(t, b.region([]byte("k")).Leader, e.GetNotLeader().GetLeader(), "the hint is the new leader")
		},
		fault.EpochNotMatch: func(t *testing.T, b *bench, e *errorpb.Error) {
			require.Equal(t, b.region([]byte("k")).Meta, e.GetEpochNotMatch().GetCurrentRegions()[0])
		},
		fault.ServerIsBusy: func(t *testing.T, _ *bench, e *errorpb.Error) { require.NotNil(t, e.GetServerIsBusy()) },
		fault.RegionNotFound: func(t *testing.T, b *bench, e *errorpb.Error) {
			require.Equal(t, b.region([]byte("k")).Meta.Id, e.GetRegionNotFound().GetRegionId())
		},
		fault.DiskFull: func(t *testing.T, _ *bench, e *errorpb.Error) { require.NotEmpty(t, e.GetDiskFull().GetStoreId()) },
		fault.Refused:  func(t *testing.T, _ *bench, e *errorpb.Error) { require.NotNil(t, e.GetFlashbackInProgress()) },
	}
	for kind, check := range checks {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 2)
			for method, call := range faultCalls(b) {
				before := b.region([]byte("k"))
				require.NoError(t, b.faults.Add(fault.Rule{RPC: method, Kind: kind, Count: 2}))
				for range 2 {
					e, err := call()
					require.NoError(t, err, method)
					require.NotNil(t, e, method)
					check(t, b, e)
				}
				now := b.region([]byte("k"))
				switch kind {
				case fault.EpochNotMatch:
					require.Equal(t, before.Meta.RegionEpoch.Version+2, now.Meta.RegionEpoch.Version)
					require.Equal(t, before.Meta.RegionEpoch.ConfVer+2, now.Meta.RegionEpoch.ConfVer)
				case fault.NotLeader:
					require.Equal(t, before.Leader, now.Leader, "there and back")
				}
				e, err := call()
				require.NoError(t, err)
				require.Nil(t, e, "%s works again after two faults", method)
				require.Equal(t, 2, b.faults.Hits()[0].Fired)
				b.faults.Clear()
			}
			require.Empty(t, b.Violations())
		})
	}
}

func TestNotLeaderWithOneStoreGivesNoHint(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	require.NoError(t, b.faults.Add(fault.Rule{RPC: "Tikv/KvGet", Kind: fault.NotLeader, Count: 1}))
	get := faultCalls(b)["Tikv/KvGet"]
	e, err := get()
	require.NoError(t, err)
	require.NotNil(t, e.GetNotLeader())
	require.Nil(t, e.NotLeader.Leader)
	e, err = get()
	require.NoError(t, err)
	require.Nil(t, e)
}

func TestWriteFaults(t *testing.T) {
	t.Parallel()
	pairs := []*import_sstpb.Pair{pair("k", "v")}
	for kind, want := range map[fault.Kind]string{
		fault.EpochNotMatch:  "RequestTooOld",
		fault.RegionNotFound: "RequestTooOld",
		fault.ServerIsBusy:   "ResourceNotEnough",
		fault.DiskFull:       "DiskSpaceNotEnough",
		fault.Refused:        "IncompatibleApiVersion",
		fault.NotLeader:      "", // Write does not ask who leads
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 2)
			store := b.Stores()[1].ID
			require.NoError(t, b.faults.Add(fault.Rule{Store: store, RPC: "ImportSST/Write", Kind: kind, Count: 2}))
			_, err := b.write(b.Stores()[0].ID, metaFor(b.region(nil), pairs), 5, pairs)
			require.NoError(t, err, "the other store is healthy")
			for range 2 {
				before := b.region(nil)
				_, err := b.write(store, metaFor(before, pairs), 5, pairs)
				if want == "" {
					require.NoError(t, err)
					require.NotEqual(t, before.Leader, b.region(nil).Leader)
					continue
				}
				require.Equal(t, codes.Unknown, status.Code(err))
				require.Contains(t, err.Error(), want)
			}
			_, err = b.write(store, metaFor(b.region(nil), pairs), 5, pairs)
			require.NoError(t, err)
		})
	}
}

func TestDroppedConnections(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	calls := faultCalls(b)
	for _, kind := range []fault.Kind{fault.Drop, fault.DropAfter} {
		for method, call := range calls {
			require.NoError(t, b.faults.Add(fault.Rule{RPC: method, Kind: kind, Count: 1}))
			_, err := call()
			require.Equal(t, codes.Unavailable, status.Code(err), "%s %s", kind, method)
			require.Eventually(t, func() bool { // the client connects again
				e, err := call()
				return err == nil && e == nil
			}, 5*time.Minute, 10*time.Millisecond)
			b.faults.Clear()
		}
	}
	pairs := []*import_sstpb.Pair{pair("k", "v")}
	r := b.region([]byte("k"))
	require.NoError(t, b.faults.Add(fault.Rule{RPC: "ImportSST/Write", Kind: fault.Drop, Count: 1}))
	_, err := b.write(r.Leader.StoreId, metaFor(r, pairs), 5, pairs)
	require.Equal(t, codes.Unavailable, status.Code(err))
}

// After a lost answer the ingest has happened, and a repetition finds no file.
func TestDropAfterIngest(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	pairs := []*import_sstpb.Pair{pair("k", "v")}
	r := b.region(nil)
	metas := b.writeAll(metaFor(r, pairs), b.clock.next(), pairs)
	require.NoError(t, b.faults.Add(fault.Rule{RPC: "MultiIngest", Kind: fault.DropAfter, Count: 1}))
	_, err := b.sst(r.Leader.StoreId).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{Context: rpc(r), Ssts: metas})
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Eventually(t, func() bool {
		resp, err := b.sst(r.Leader.StoreId).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{Context: rpc(r), Ssts: metas})
		return err == nil && resp.Error.GetStaleCommand() != nil
	}, 5*time.Minute, 10*time.Millisecond)
	require.Equal(t, "v", string(b.get([]byte("k"), b.clock.next())))
}

func TestSlow(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	const delay = 150 * time.Millisecond
	require.NoError(t, b.faults.Add(fault.Rule{RPC: "Tikv/KvGet", Kind: fault.Slow, Count: 1, Delay: delay}))
	start := time.Now()
	e, err := faultCalls(b)["Tikv/KvGet"]()
	require.NoError(t, err)
	require.Nil(t, e)
	require.GreaterOrEqual(t, time.Since(start), delay)

	b.faults.Clear()
	require.NoError(t, b.faults.Add(fault.Rule{Kind: fault.Slow, Delay: time.Hour}))
	ctx, cancel := context.WithTimeout(b.ctx, 50*time.Millisecond)
	defer cancel()
	_, err = b.sst(b.Stores()[0].ID).SwitchMode(ctx, &import_sstpb.SwitchModeRequest{})
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
}

// A rule for the single RPC and one for the stream both reach what is inside a
// BatchCommands stream.
func TestFaultsInsideBatchCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	for _, name := range []string{"Tikv/Coprocessor", "Tikv/BatchCommands"} {
		require.NoError(t, b.faults.Add(fault.Rule{RPC: name, Kind: fault.EpochNotMatch, Count: 1}))
		r := b.region(nil)
		resp := b.inBatch(r.Leader.StoreId, checksumRequest(r, b.clock.next(), nil))
		require.NotNil(t, resp.RegionError.GetEpochNotMatch(), name)
		r = b.region(nil)
		sums(t, b.inBatch(r.Leader.StoreId, checksumRequest(r, b.clock.next(), nil)))
	}
	for _, h := range b.faults.Hits() {
		require.Equal(t, 1, h.Fired)
	}
}

func TestFaultsOfDuplicateDetect(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	require.NoError(t, b.faults.Add(fault.Rule{RPC: "ImportSST/DuplicateDetect", Kind: fault.NotLeader, Count: 1}))
	r := b.region(nil)
	stream, err := b.sst(r.Leader.StoreId).DuplicateDetect(b.ctx, &import_sstpb.DuplicateDetectRequest{Context: rpc(r)})
	require.NoError(t, err)
	resp, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, b.region(nil).Leader, resp.RegionError.GetNotLeader().GetLeader())
}

package tikv

import (
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
)

func TestSplitKeepsTheRightmostID(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	old := b.region([]byte("a"))
	require.True(t, b.View().TransferLeader(old.Meta.Id, b.Stores()[1].ID))
	old = b.region([]byte("a"))

	got := b.split("m", "c", "m", "x") // unsorted and repeated, as clients may send
	require.Len(t, got, 4)
	borders := [][]byte{nil, encodeKey([]byte("c")), encodeKey([]byte("m")), encodeKey([]byte("x")), nil}
	peers := map[uint64]bool{}
	for i, r := range got {
		require.Equal(t, string(borders[i]), string(r.StartKey))
		require.Equal(t, string(borders[i+1]), string(r.EndKey))
		require.Equal(t, old.Meta.RegionEpoch.Version+3, r.RegionEpoch.Version)
		require.Equal(t, old.Meta.RegionEpoch.ConfVer, r.RegionEpoch.ConfVer)
		require.Len(t, r.Peers, 3)
		for j, p := range r.Peers {
			require.Equal(t, b.Stores()[j].ID, p.StoreId)
			require.False(t, peers[p.Id], "peer id used twice")
			peers[p.Id] = true
		}
		seen, ok := b.View().RegionByID(r.Id)
		require.True(t, ok)
		require.Equal(t, b.Stores()[1].ID, seen.Leader.StoreId, "leads where the parent led")
	}
	require.Equal(t, old.Meta.Id, got[3].Id)
	require.Equal(t, old.Meta.Peers, got[3].Peers)
	require.Len(t, b.View().ScanRegions(nil, nil, 0), 4)
}

func TestSplitTwoFillsLeftAndRight(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	r := b.region([]byte("a"))
	resp, err := b.kv(r.Leader.StoreId).SplitRegion(b.ctx, &kvrpcpb.SplitRegionRequest{Context: rpc(r), SplitKey: []byte("m")})
	require.NoError(t, err)
	require.Equal(t, resp.Regions[0], resp.Left)
	require.Equal(t, resp.Regions[1], resp.Right)
}

func TestSplitRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	b.split("c", "m")
	r := b.region([]byte("d")) // [c, m)
	leader, other := r.Leader.StoreId, b.Stores()[1].ID
	stale := rpc(r)
	stale.RegionEpoch.Version--
	cases := []struct {
		name  string
		store uint64
		ctx   *kvrpcpb.Context
		keys  []string
		check func(*testing.T, *kvrpcpb.SplitRegionResponse)
	}{
		{"a key of another region", leader, rpc(r), []string{"d", "x"}, func(t *testing.T, resp *kvrpcpb.SplitRegionResponse) {
			require.Equal(t, encodeKey([]byte("x")), resp.RegionError.GetKeyNotInRegion().GetKey())
			require.Equal(t, r.Meta.Id, resp.RegionError.KeyNotInRegion.RegionId)
		}},
		{"the region's end", leader, rpc(r), []string{"m"}, func(t *testing.T, resp *kvrpcpb.SplitRegionResponse) {
			require.NotNil(t, resp.RegionError.GetKeyNotInRegion())
		}},
		{"only the region's start", leader, rpc(r), []string{"c", "c"}, func(t *testing.T, resp *kvrpcpb.SplitRegionResponse) {
			require.Equal(t, noValidSplitKey, resp.RegionError.GetMessage())
			require.Equal(t, noValidSplitKey, resp.RegionError.Message)
			require.Nil(t, resp.RegionError.KeyNotInRegion)
			require.Nil(t, resp.RegionError.EpochNotMatch)
		}},
		{"not the leader", other, rpcTo(r, other), []string{"d"}, func(t *testing.T, resp *kvrpcpb.SplitRegionResponse) {
			require.Equal(t, r.Leader, resp.RegionError.GetNotLeader().GetLeader())
		}},
		{"an old epoch", leader, stale, []string{"d"}, func(t *testing.T, resp *kvrpcpb.SplitRegionResponse) {
			require.Equal(t, r.Meta.Id, resp.RegionError.GetEpochNotMatch().GetCurrentRegions()[0].Id)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			resp, err := b.kv(c.store).SplitRegion(b.ctx, &kvrpcpb.SplitRegionRequest{Context: c.ctx, SplitKeys: rawKeys(c.keys...)})
			require.NoError(t, err)
			require.NotNil(t, resp.RegionError)
			require.Empty(t, resp.Regions)
			c.check(t, resp)
		})
	}
	require.Len(t, b.View().ScanRegions(nil, nil, 0), 3, "nothing was split")
}

func TestRequestChecks(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	r := b.region([]byte("k"))
	one, two := b.Stores()[0].ID, b.Stores()[1].ID
	b.put([]byte("k"), []byte("v"))
	get := func(store uint64, ctx *kvrpcpb.Context) *kvrpcpb.GetResponse {
		resp, err := b.kv(store).KvGet(b.ctx, &kvrpcpb.GetRequest{Context: ctx, Key: []byte("k"), Version: b.clock.next()})
		require.NoError(t, err)
		return resp
	}
	require.Equal(t, "v", string(get(one, rpc(r)).Value))

	resp := get(two, rpcTo(r, two))
	require.Equal(t, r.Leader, resp.RegionError.GetNotLeader().GetLeader())
	follower := rpcTo(r, two)
	follower.ReplicaRead = true
	require.Equal(t, "v", string(get(two, follower).Value))

	require.Equal(t, two, get(two, rpc(r)).RegionError.GetStoreNotMatch().GetActualStoreId())

	unknown := rpc(r)
	unknown.RegionId = 999
	require.EqualValues(t, 999, get(one, unknown).RegionError.GetRegionNotFound().GetRegionId())

	stale := rpc(r)
	stale.RegionEpoch.Version++
	require.Equal(t, r.Meta.Id, get(one, stale).RegionError.GetEpochNotMatch().GetCurrentRegions()[0].Id)

	conf := rpc(b.region([]byte("k")))
	conf.RegionEpoch.ConfVer += 5 // not compared for reads and writes
	require.Equal(t, "v", string(get(one, conf).Value))

	require.True(t, b.View().TransferLeader(r.Meta.Id, two))
	require.Equal(t, two, get(one, rpcTo(r, one)).RegionError.GetNotLeader().GetLeader().GetStoreId())
	require.Equal(t, "v", string(get(two, rpcTo(r, two)).Value))
	require.False(t, b.View().TransferLeader(r.Meta.Id, 999))
	require.False(t, b.View().TransferLeader(999, two))
}

func TestView(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	v := b.View()
	ids, err := v.Split([][]byte{encodeKey([]byte("m")), encodeKey([]byte("c")), encodeKey([]byte("m"))})
	require.NoError(t, err)
	require.Len(t, ids, 2)
	again, err := v.Split([][]byte{encodeKey([]byte("c"))})
	require.NoError(t, err)
	require.Empty(t, again)
	_, err = v.Split([][]byte{[]byte("raw")})
	require.Error(t, err)

	all := v.ScanRegions(nil, nil, 0)
	require.Len(t, all, 3)
	require.Len(t, v.ScanRegions(nil, nil, 2), 2)
	require.Len(t, v.ScanRegions(encodeKey([]byte("d")), encodeKey([]byte("m")), 0), 1)
	require.Len(t, v.ScanRegions(encodeKey([]byte("d")), encodeKey([]byte("m2")), 0), 2)
	got, ok := v.RegionByKey(encodeKey([]byte("c")))
	require.True(t, ok)
	require.Equal(t, all[1].Meta, got.Meta)
	prev, ok := v.PrevRegion(encodeKey([]byte("c")))
	require.True(t, ok)
	require.Equal(t, all[0].Meta, prev.Meta)
	_, ok = v.PrevRegion(nil)
	require.False(t, ok)
	_, ok = v.RegionByID(12345)
	require.False(t, ok)

	require.Len(t, v.Stores(), 3)
	st, ok := v.StoreStatus(v.Stores()[0].Id)
	require.True(t, ok)
	require.Equal(t, 3, st.RegionCount)
	require.Equal(t, 3, st.LeaderCount)
	require.Positive(t, st.Available)
	_, ok = v.StoreStatus(12345)
	require.False(t, ok)
}

func TestKeptDataComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	alloc := &ids{}
	one := openBench(t, Options{Stores: 2, DataDir: dir, IDs: alloc})
	one.put([]byte("k"), []byte("v"))
	one.split("c")
	one.View().TransferLeader(one.region([]byte("k")).Meta.Id, one.Stores()[1].ID)
	before := one.View().ScanRegions(nil, nil, 0)
	require.NoError(t, one.Close())

	_, err := Start(one.ctx, Options{Stores: 3, DataDir: dir, IDs: alloc, TSO: one.clock.tso})
	require.ErrorContains(t, err, "2 stores")

	two := openBench(t, Options{Stores: 2, DataDir: dir, IDs: alloc})
	after := two.View().ScanRegions(nil, nil, 0)
	require.Len(t, after, 2)
	for i := range after {
		require.Equal(t, before[i].Meta, after[i].Meta)
		require.Equal(t, before[i].Leader, after[i].Leader)
	}
	require.Equal(t, "v", string(two.get([]byte("k"), two.clock.next())))
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Stores: 4})
	require.ErrorContains(t, err, "4 stores")
	require.ErrorContains(t, err, "id allocator")
	require.ErrorContains(t, err, "timestamp source")
}

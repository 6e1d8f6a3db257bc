package pd

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"
	pdclient "github.com/tikv/pd/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/tests/playground/topology"
)

// rawPD is the bare gRPC client, for answers that the client library hides.
func rawPD(t *testing.T, s *Server) (pdpb.PDClient, *pdpb.RequestHeader) {
	t.Helper()
	cc, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30), grpc.MaxCallSendMsgSize(1<<30)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cc.Close()) })
	return pdpb.NewPDClient(cc), &pdpb.RequestHeader{ClusterId: s.ClusterID()}
}

func borders(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("k%06d", i))
	}
	return out
}

func TestRegionLookups(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{}, "b", "d")
	c := client(t, s)
	r, err := c.GetRegion(t.Context(), []byte("c"))
	require.NoError(t, err)
	require.Equal(t, "b", string(r.Meta.StartKey))
	require.NotZero(t, r.Leader.GetStoreId())
	same, err := c.GetRegionByID(t.Context(), r.Meta.Id)
	require.NoError(t, err)
	require.Equal(t, r.Meta, same.Meta)
	prev, err := c.GetPrevRegion(t.Context(), []byte("c"))
	require.NoError(t, err)
	require.Equal(t, "b", string(prev.Meta.EndKey))
	for _, get := range []func() (*pdclient.Region, error){
		func() (*pdclient.Region, error) { return c.GetRegionByID(t.Context(), 999999) },
		func() (*pdclient.Region, error) { return c.GetPrevRegion(t.Context(), []byte("a")) },
	} {
		none, err := get()
		require.NoError(t, err, "unknown is nil, not an error")
		require.Nil(t, none)
	}
}

func TestScanRegionsByPages(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{}, borders(300)...)
	c := client(t, s)
	key, pages, total := []byte{}, 0, 0
	for {
		rs, err := c.ScanRegions(t.Context(), key, nil, 128)
		require.NoError(t, err)
		for _, r := range rs {
			require.Equal(t, string(key), string(r.Meta.StartKey))
			key = r.Meta.EndKey
		}
		pages, total = pages+1, total+len(rs)
		if len(key) == 0 {
			break
		}
	}
	require.Equal(t, 301, total)
	require.Equal(t, 3, pages)
	rs, err := c.ScanRegions(t.Context(), []byte("k000001"), []byte("k000003"), 0)
	require.NoError(t, err)
	require.Len(t, rs, 2, "the end is exclusive, no limit means all")
}

func TestBatchScanRegions(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{}, "b", "c", "d")
	c := client(t, s)
	kr := func(start, end string) pdclient.KeyRange { return *pdclient.NewKeyRange([]byte(start), []byte(end)) }
	starts := func(rs []*pdclient.Region) (out []string) {
		for _, r := range rs {
			out = append(out, string(r.Meta.StartKey))
		}
		return out
	}
	for name, tc := range map[string]struct {
		ranges []pdclient.KeyRange
		limit  int
		want   []string
		err    string
	}{
		"apart":             {[]pdclient.KeyRange{kr("", "a"), kr("c", "")}, 0, []string{"", "c", "d"}, ""},
		"one region once":   {[]pdclient.KeyRange{kr("b", "b1"), kr("b2", "b3"), kr("b4", "c1")}, 0, []string{"b", "c"}, ""},
		"limit over ranges": {[]pdclient.KeyRange{kr("a", "b1"), kr("b2", "")}, 3, []string{"", "b", "c"}, ""},
		"overlap":           {[]pdclient.KeyRange{kr("a", "c"), kr("b", "d")}, 0, nil, "overlapped"},
		"inverted":          {[]pdclient.KeyRange{kr("c", "b")}, 0, nil, "start key > end key"},
	} {
		rs, err := c.BatchScanRegions(t.Context(), tc.ranges, tc.limit, pdclient.WithOutputMustContainAllKeyRange())
		if tc.err != "" {
			require.ErrorContains(t, err, tc.err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, tc.want, starts(rs), name)
	}

	s.SetView(holeView{newTestView(s, "b", "c", "d")})
	_, err := c.BatchScanRegions(t.Context(), []pdclient.KeyRange{kr("", "")}, 0, pdclient.WithOutputMustContainAllKeyRange())
	require.ErrorContains(t, err, "REGIONS_NOT_CONTAIN_ALL_KEY_RANGE")
	rs, err := c.BatchScanRegions(t.Context(), []pdclient.KeyRange{kr("", "")}, 0)
	require.NoError(t, err)
	require.Len(t, rs, 3)
}

// holeView has lost its second region.
type holeView struct{ *testView }

func (v holeView) ScanRegions(start, end []byte, limit int) []topology.Region {
	all := v.testView.ScanRegions(start, end, limit)
	return append(all[:1:1], all[2:]...)
}

func TestScatterSpreadsLeadersAndKeepsOperators(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{}, borders(29)...)
	c := client(t, s)
	rs, err := c.ScanRegions(t.Context(), nil, nil, 0)
	require.NoError(t, err)
	var ids []uint64
	for _, r := range rs {
		require.EqualValues(t, 1, r.Leader.GetStoreId())
		ids = append(ids, r.Meta.Id)
	}
	resp, err := c.ScatterRegions(t.Context(), ids, pdclient.WithGroup("t1"))
	require.NoError(t, err)
	require.EqualValues(t, 100, resp.FinishedPercentage)
	leaders := map[uint64]int{}
	for _, id := range ids {
		r, err := c.GetRegionByID(t.Context(), id)
		require.NoError(t, err)
		leaders[r.Leader.GetStoreId()]++
		op, err := c.GetOperator(t.Context(), id)
		require.NoError(t, err)
		require.Nil(t, op.Header.Error)
		require.Equal(t, "scatter-region", string(op.Desc))
		require.Equal(t, pdpb.OperatorStatus_SUCCESS, op.Status)
	}
	require.Equal(t, map[uint64]int{1: 10, 2: 10, 3: 10}, leaders)

	none, err := c.GetOperator(t.Context(), 999999)
	require.NoError(t, err)
	require.Equal(t, pdpb.ErrorType_REGION_NOT_FOUND, none.Header.Error.Type)

	resp, err = c.ScatterRegions(t.Context(), []uint64{ids[0], 999999, ids[1], 999998})
	require.NoError(t, err)
	require.EqualValues(t, 50, resp.FinishedPercentage)
	_, err = c.ScatterRegions(t.Context(), []uint64{999999})
	require.ErrorContains(t, err, "region not found")
	raw, header := rawPD(t, s)
	old, err := raw.ScatterRegion(t.Context(), &pdpb.ScatterRegionRequest{Header: header, RegionId: 999999})
	require.NoError(t, err)
	require.Equal(t, pdpb.ErrorType_REGION_NOT_FOUND, old.Header.Error.Type)
	require.Equal(t, "region %d not found", old.Header.Error.Message)
}

func TestScatterRefusesARegionWithoutLeader(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	v := newTestView(s)
	v.regions[0].Leader = &metapb.Peer{}
	s.SetView(v)
	_, err := client(t, s).ScatterRegions(t.Context(), []uint64{v.regions[0].Meta.Id})
	require.ErrorContains(t, err, "has no leader")
	_, ok := s.Operator(v.regions[0].Meta.Id)
	require.False(t, ok)
}

func TestSplitAndScatter(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{})
	c := client(t, s)
	resp, err := c.SplitRegions(t.Context(), [][]byte{[]byte("b"), []byte("d")})
	require.NoError(t, err)
	require.EqualValues(t, 100, resp.FinishedPercentage)
	require.Len(t, resp.RegionsId, 2)
	both, err := c.SplitAndScatterRegions(t.Context(), [][]byte{[]byte("c")})
	require.NoError(t, err)
	require.EqualValues(t, 100, both.SplitFinishedPercentage)
	require.EqualValues(t, 100, both.ScatterFinishedPercentage)
	_, ok := s.Operator(both.RegionsId[0])
	require.True(t, ok)
	rs, err := c.ScanRegions(t.Context(), nil, nil, 0)
	require.NoError(t, err)
	require.Len(t, rs, 4)
}

// A scan of the whole cluster can be far above gRPC's default of 4 MiB.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	const n = 2000
	long := borders(n)
	for i := range long {
		long[i] += strings.Repeat("x", 2<<10)
	}
	s := startWithRegions(t, Options{}, long...)
	raw, header := rawPD(t, s)
	resp, err := raw.ScanRegions(t.Context(), &pdpb.ScanRegionsRequest{Header: header})
	require.NoError(t, err)
	require.Len(t, resp.Regions, n+1)
	require.Greater(t, resp.Size(), 4<<20)
	split, err := raw.SplitRegions(t.Context(), &pdpb.SplitRegionsRequest{Header: header, SplitKeys: [][]byte{make([]byte, 12<<20)}})
	require.NoError(t, err)
	require.Len(t, split.RegionsId, 1)
}

func TestWrongClusterAndUnknownMethods(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{})
	raw, header := rawPD(t, s)
	_, err := raw.GetRegion(t.Context(), &pdpb.GetRegionRequest{Header: &pdpb.RequestHeader{ClusterId: header.ClusterId + 1}})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	_, err = raw.GetAllGCSafePointV2(t.Context(), &pdpb.GetAllGCSafePointV2Request{Header: header})
	require.Equal(t, codes.Unimplemented, status.Code(err))
}

func TestBeforeTheViewTheClusterIsNotBootstrapped(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	raw, header := rawPD(t, s)
	boot, err := raw.IsBootstrapped(t.Context(), &pdpb.IsBootstrappedRequest{Header: header})
	require.NoError(t, err)
	require.False(t, boot.Bootstrapped)
	stores, err := raw.GetAllStores(t.Context(), &pdpb.GetAllStoresRequest{Header: header})
	require.NoError(t, err)
	require.Equal(t, pdpb.ErrorType_NOT_BOOTSTRAPPED, stores.Header.Error.Type)

	s.SetView(newTestView(s))
	again, err := raw.Bootstrap(t.Context(), &pdpb.BootstrapRequest{Header: header, Store: &metapb.Store{Id: 9}})
	require.NoError(t, err)
	require.Equal(t, pdpb.ErrorType_ALREADY_BOOTSTRAPPED, again.Header.Error.Type)
	stores, err = raw.GetAllStores(t.Context(), &pdpb.GetAllStoresRequest{Header: header})
	require.NoError(t, err)
	require.Len(t, stores.Stores, 3)
}

func TestRegionsOverHTTP(t *testing.T) {
	t.Parallel()
	border := "b +/%\x00\xffz"
	s := start(t, Options{})
	// A "+" left as it is would lie behind "b!".
	v := newTestView(s, border, "b!", "c")
	v.regions[3].ApproximateSize = 100
	s.SetView(v)
	h := httpClient(t, s)
	r, err := h.GetRegionByKey(t.Context(), []byte(border))
	require.NoError(t, err)
	require.Equal(t, "62202B2F2500FF7A", r.StartKey)
	require.EqualValues(t, bigRegionBytes>>20, r.ApproximateSize)
	require.Len(t, r.Peers, 3)
	byID, err := h.GetRegionByID(t.Context(), uint64(r.ID))
	require.NoError(t, err)
	require.Equal(t, r, byID)
	rs, err := h.GetRegionsByKeyRange(t.Context(), pdclient.NewKeyRange([]byte(border), []byte("c")), 5)
	require.NoError(t, err)
	require.EqualValues(t, 2, rs.Count)
	empty, err := h.GetEmptyRegions(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, empty.Count)
	require.Equal(t, "63", empty.Regions[0].StartKey)
	byStore, err := h.GetRegionsByStoreID(t.Context(), 2)
	require.NoError(t, err)
	require.EqualValues(t, 4, byStore.Count)
	stats, err := h.GetRegionStatusByKeyRange(t.Context(), pdclient.NewKeyRange(nil, nil), false)
	require.NoError(t, err)
	require.Equal(t, 4, stats.Count)
	require.Equal(t, 1, stats.EmptyCount)
	require.Equal(t, map[uint64]int{1: 4}, stats.StoreLeaderCount)
	var count struct{ Count int }
	require.Equal(t, http.StatusOK, getJSON(t, s, "/pd/api/v1/regions/count", &count))
	require.Equal(t, 4, count.Count)
	state, err := h.GetRegionsReplicatedStateByKeyRange(t.Context(), pdclient.NewKeyRange([]byte("a"), []byte("z")))
	require.NoError(t, err)
	require.Equal(t, "REPLICATED", state)
}

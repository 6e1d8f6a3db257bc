package pd

import (
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/keyspacepb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestOperatorRecordsAreForgotten(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	s := start(t, Options{Now: clock.now})
	v := newTestView(s)
	s.SetView(v)
	id := v.regions[0].Meta.Id
	_, err := client(t, s).ScatterRegions(t.Context(), []uint64{id})
	require.NoError(t, err)
	clock.advance(operatorRecordLife)
	_, ok := s.Operator(id)
	require.True(t, ok)
	clock.advance(time.Second)
	_, ok = s.Operator(id)
	require.False(t, ok)
}

// Learners and witnesses never lead.
func TestScatterPicksVotersOnly(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	v := newTestView(s, borders(5)...)
	for _, r := range v.regions {
		r.Meta.Peers[1].Role = metapb.PeerRole_Learner
		r.Meta.Peers[2].IsWitness = true
	}
	s.SetView(v)
	for _, r := range v.regions {
		_, err := client(t, s).ScatterRegions(t.Context(), []uint64{r.Meta.Id})
		require.NoError(t, err)
	}
	for _, r := range v.ScanRegions(nil, nil, 0) {
		require.EqualValues(t, 1, r.Leader.StoreId)
	}
}

func TestExternalTimestamp(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := client(t, s)
	ts, err := s.TSO(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.SetExternalTimestamp(t.Context(), ts))
	require.ErrorContains(t, c.SetExternalTimestamp(t.Context(), ts-1), "external timestamp", "never back")
	require.ErrorContains(t, c.SetExternalTimestamp(t.Context(), ts<<1), "external timestamp", "not in the future")
	got, err := c.GetExternalTimestamp(t.Context())
	require.NoError(t, err)
	require.Equal(t, ts, got)
}

func TestDefaultKeyspace(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := client(t, s)
	ks, err := c.LoadKeyspace(t.Context(), "DEFAULT")
	require.NoError(t, err)
	require.Equal(t, keyspacepb.KeyspaceState_ENABLED, ks.State)
	_, err = c.LoadKeyspace(t.Context(), "other")
	require.ErrorContains(t, err, "ENTRY_NOT_FOUND")
	all, err := c.GetAllKeyspaces(t.Context(), 0, 0)
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestSyncMaxTSRaises(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	raw, header := rawPD(t, s)
	read, err := raw.SyncMaxTS(t.Context(), &pdpb.SyncMaxTSRequest{Header: header})
	require.NoError(t, err)
	ahead := &pdpb.Timestamp{Physical: read.MaxLocalTs.Physical + time.Hour.Milliseconds(), Logical: 5}
	_, err = raw.SyncMaxTS(t.Context(), &pdpb.SyncMaxTSRequest{Header: header, MaxTs: ahead})
	require.NoError(t, err)
	ts, err := s.TSO(t.Context())
	require.NoError(t, err)
	require.Greater(t, ts, composeTS(ahead.Physical, ahead.Logical))
}

func TestClusterConfigOverGRPC(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{})
	raw, header := rawPD(t, s)
	cfg, err := raw.GetClusterConfig(t.Context(), &pdpb.GetClusterConfigRequest{Header: header})
	require.NoError(t, err)
	require.EqualValues(t, 3, cfg.Cluster.MaxPeerCount)
	_, err = raw.PutClusterConfig(t.Context(), &pdpb.PutClusterConfigRequest{Header: header, Cluster: &metapb.Cluster{MaxPeerCount: 5}})
	require.NoError(t, err)
	cfg, err = raw.GetClusterConfig(t.Context(), &pdpb.GetClusterConfigRequest{Header: header})
	require.NoError(t, err)
	require.EqualValues(t, 5, cfg.Cluster.MaxPeerCount)
	require.Equal(t, s.ClusterID(), cfg.Cluster.Id)
}

// Ids of the network and of the TiKV half come from one row.
func TestIDsAreUniqueOverBothDoors(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	cc, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { require.NoError(t, cc.Close()) }()
	seen := map[uint64]bool{}
	for range idWindow {
		resp, err := pdpb.NewPDClient(cc).AllocID(t.Context(), &pdpb.AllocIDRequest{Header: &pdpb.RequestHeader{ClusterId: s.ClusterID()}})
		require.NoError(t, err)
		for _, id := range []uint64{resp.Id, s.AllocID()} {
			require.NotZero(t, id)
			require.False(t, seen[id])
			seen[id] = true
		}
	}
	require.NoError(t, s.Close())
	// What the window still holds may be given; beyond it nothing can be.
	for range idWindow {
		if s.AllocID() == 0 {
			return
		}
	}
	require.Zero(t, s.AllocID())
}

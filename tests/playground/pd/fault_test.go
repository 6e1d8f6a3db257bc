package pd

import (
	"net/http"
	"testing"

	"github.com/pingcap/kvproto/pkg/meta_storagepb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	rmpb "github.com/pingcap/kvproto/pkg/resource_manager"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func etcdClient(t *testing.T, s *Server) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Addr()}, Context: t.Context(), Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestLeaderAway(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{}, "b")
	raw, header := rawPD(t, s)
	cc, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { require.NoError(t, cc.Close()) }()
	etcd := etcdClient(t, s)
	tso, err := raw.Tso(t.Context())
	require.NoError(t, err)
	askTSO := func() error {
		require.NoError(t, tso.Send(&pdpb.TsoRequest{Header: header, Count: 1}))
		_, err := tso.Recv()
		return err
	}
	require.NoError(t, askTSO())

	s.SetLeaderAway(true)
	requireNotLeader := func(err error) {
		t.Helper()
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "not leader")
	}
	_, err = raw.ScanRegions(t.Context(), &pdpb.ScanRegionsRequest{Header: header})
	requireNotLeader(err)
	_, err = meta_storagepb.NewMetaStorageClient(cc).Get(t.Context(), &meta_storagepb.GetRequest{Key: []byte("k")})
	requireNotLeader(err)
	_, err = rmpb.NewResourceManagerClient(cc).ListResourceGroups(t.Context(), &rmpb.ListResourceGroupsRequest{})
	requireNotLeader(err)
	requireNotLeader(askTSO())
	members, err := raw.GetMembers(t.Context(), &pdpb.GetMembersRequest{})
	require.NoError(t, err)
	require.Nil(t, members.Leader)
	require.Len(t, members.Members, 1)
	var text string
	require.Equal(t, http.StatusServiceUnavailable, getJSON(t, s, "/pd/api/v1/stores", &text))
	_, err = etcd.Put(t.Context(), "still", "there")
	require.NoError(t, err, "etcd stays up")

	s.SetLeaderAway(false)
	regions, err := raw.ScanRegions(t.Context(), &pdpb.ScanRegionsRequest{Header: header})
	require.NoError(t, err)
	require.Len(t, regions.Regions, 2)
	require.Equal(t, http.StatusOK, getJSON(t, s, "/pd/api/v1/version", &struct{}{}))
}

// TiDB's etcd client re-reads the addresses that the member advertises.
func TestEtcdAdvertisesItsRealAddressAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		s := start(t, Options{DataDir: dir})
		etcd := etcdClient(t, s)
		require.NoError(t, etcd.Sync(t.Context()))
		require.Equal(t, []string{"http://" + s.Addr()}, etcd.Endpoints())
		require.NoError(t, s.Close())
	}
}

func TestServersSideBySide(t *testing.T) {
	t.Parallel()
	a, b := start(t, Options{}), start(t, Options{})
	require.NotEqual(t, a.Addr(), b.Addr())
	require.NotEqual(t, a.ClusterID(), b.ClusterID())
	require.NotEqual(t, a.ClusterID(), client(t, b).GetClusterID(t.Context()))
}

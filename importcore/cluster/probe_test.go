package cluster

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/stretchr/testify/require"
	pd "github.com/tikv/pd/client"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

// probedPD knows regions in key order, and one address for all stores.
type probedPD struct {
	pdAPI
	addr    string
	regions []*pd.Region
	mu      sync.Mutex
	asked   [][]byte // keys that regions were looked for from
}

// ScanRegions implements pdAPI.
func (p *probedPD) ScanRegions(_ context.Context, key, _ []byte, limit int, _ ...pd.GetRegionOption) ([]*pd.Region, error) {
	p.mu.Lock()
	p.asked = append(p.asked, key)
	p.mu.Unlock()
	var out []*pd.Region
	for _, r := range p.regions {
		if region.BeforeEnd(key, r.Meta.EndKey) && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, nil
}

// GetStore implements pdAPI.
func (p *probedPD) GetStore(_ context.Context, id uint64) (*metapb.Store, error) {
	return &metapb.Store{Id: id, Address: p.addr}, nil
}

// probedStore answers reads as a test wants it.
type probedStore struct {
	tikvpb.UnimplementedTikvServer
	answer atomic.Pointer[probedAnswer]
}

type probedAnswer func(context.Context, *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error)

// answers says how the store answers from now on.
func (s *probedStore) answers(with probedAnswer) { s.answer.Store(&with) }

// KvGet implements tikvpb.TikvServer.
func (s *probedStore) KvGet(ctx context.Context, req *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
	return (*s.answer.Load())(ctx, req)
}

type probeBench struct {
	*Probe
	pd    *probedPD
	store *probedStore
}

// newProbeBench has regions [,b) led by store 1, [b,m) by 2 and [m,) by 1, with peers at 1, 2 and 3 but for the first, and a table that begins at g.
func newProbeBench(t *testing.T) *probeBench {
	t.Helper()
	b := &probeBench{pd: &probedPD{}, store: &probedStore{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	tikvpb.RegisterTikvServer(server, b.store)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	b.pd.addr = listener.Addr().String()
	peer := func(region, store uint64) *metapb.Peer { return &metapb.Peer{Id: region*10 + store, StoreId: store} }
	for i, borders := range [][2]string{{"", "b"}, {"b", "m"}, {"m", ""}} {
		id := uint64(i + 1)
		meta := &metapb.Region{Id: id, RegionEpoch: &metapb.RegionEpoch{Version: 5}}
		for store := uint64(1); store <= 3; store++ {
			if id != 1 || store != 3 {
				meta.Peers = append(meta.Peers, peer(id, store))
			}
		}
		if borders[0] != "" {
			meta.StartKey = region.Enc([]byte(borders[0]))
		}
		meta.EndKey = region.EncEnd([]byte(borders[1]))
		b.pd.regions = append(b.pd.regions, &pd.Region{Meta: meta})
	}
	b.pd.regions[0].Leader, b.pd.regions[1].Leader, b.pd.regions[2].Leader = peer(1, 1), peer(2, 2), peer(3, 1)
	c := newCluster(Config{TiDB: []string{"127.0.0.1:1"}, Logger: zap.NewNop()})
	c.pd = b.pd
	t.Cleanup(func() {
		require.NoError(t, errors.Join(c.probes.close(), c.stores.close()))
		server.Stop()
		<-served
	})
	b.Probe = c.NewProbe([]byte("g"))
	return b
}

func TestProbeReadsWhatTheStoreLeads(t *testing.T) {
	t.Parallel()
	b := newProbeBench(t)
	var asked atomic.Pointer[kvrpcpb.GetRequest]
	b.store.answers(func(_ context.Context, req *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
		asked.Store(req)
		return &kvrpcpb.GetResponse{NotFound: true}, nil
	})
	for _, c := range []struct {
		store, region, peer uint64
		key                 string
	}{
		{1, 3, 31, "m\x00"}, // the first that it leads from the table's on
		{2, 2, 22, "b\x00"},
		{3, 2, 23, "b\x00"}, // it leads none: any that it has
	} {
		took, err := b.Read(t.Context(), c.store, time.Minute)
		require.NoError(t, err)
		require.Positive(t, took)
		got := asked.Load()
		require.Equal(t, c.region, got.GetContext().GetRegionId(), "store %d", c.store)
		require.Equal(t, c.peer, got.GetContext().GetPeer().GetId())
		require.EqualValues(t, 5, got.GetContext().GetRegionEpoch().GetVersion())
		require.Equal(t, c.key, string(got.GetKey()))
		require.Equal(t, uint64(math.MaxUint64), got.GetVersion(), "no timestamp is taken for it")
	}
	lookups := len(b.pd.asked)
	for store := uint64(1); store <= 3; store++ {
		_, err := b.Read(t.Context(), store, time.Minute)
		require.NoError(t, err)
	}
	require.Len(t, b.pd.asked, lookups, "PD isn't asked for each read")
}

func TestProbeOfStoresThatDontAnswer(t *testing.T) {
	t.Parallel()
	b := newProbeBench(t)
	b.store.answers(func(context.Context, *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
		return &kvrpcpb.GetResponse{RegionError: &errorpb.Error{ServerIsBusy: &errorpb.ServerIsBusy{}}}, nil
	})
	took, err := b.Read(t.Context(), 1, time.Hour)
	require.NoError(t, err)
	require.Equal(t, time.Hour, took, "busy is as slow as can be")

	hang := func(ctx context.Context, _ *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	b.store.answers(hang)
	took, err = b.Read(t.Context(), 1, 20*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, 20*time.Millisecond, took)

	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	b.store.answers(func(ctx context.Context, req *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
		cancel(stopped)
		return hang(ctx, req)
	})
	_, err = b.Read(ctx, 1, time.Hour)
	require.ErrorIs(t, err, stopped)
}

// TestProbeLooksForAnotherRegion: when the store doesn't lead the one that is read, another is looked for, but not all the time.
func TestProbeLooksForAnotherRegion(t *testing.T) {
	t.Parallel()
	b := newProbeBench(t)
	b.store.answers(func(context.Context, *kvrpcpb.GetRequest) (*kvrpcpb.GetResponse, error) {
		return &kvrpcpb.GetResponse{RegionError: &errorpb.Error{NotLeader: &errorpb.NotLeader{}}}, nil
	})
	for range 3 {
		took, err := b.Read(t.Context(), 2, time.Hour)
		require.NoError(t, err)
		require.Less(t, took, time.Hour, "its way to the answer counts")
	}
	require.Len(t, b.pd.asked, 1)
	b.mu.Lock()
	target := b.mu.targets[2]
	require.True(t, target.stale)
	target.looked = target.looked.Add(-probeAgain)
	b.mu.targets[2] = target
	b.mu.Unlock()
	_, err := b.Read(t.Context(), 2, time.Hour)
	require.NoError(t, err)
	require.Len(t, b.pd.asked, 2)

	b.pd.regions = nil
	_, err = b.Read(t.Context(), 4, time.Hour)
	require.ErrorContains(t, err, "PD knows no region")
}

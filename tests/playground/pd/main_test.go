package pd

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"
	pdclient "github.com/tikv/pd/client"
	pdhttp "github.com/tikv/pd/client/http"
	"go.uber.org/goleak"

	"github.com/sluicedb/sluice/tests/playground/topology"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The metrics of gRPC and of the logger live as long as the process.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"),
	)
}

// fakeClock stands still until it is moved.
type fakeClock struct {
	mu sync.Mutex
	t  time.Time
}

func newFakeClock() *fakeClock { return &fakeClock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// testView is a cluster of three stores whose regions have a peer on each.
type testView struct {
	ids topology.IDAllocator

	mu      sync.Mutex
	regions []topology.Region // in key order
}

const (
	testStores     = 3
	bigRegionBytes = 96 << 20
)

// newTestView has a region border at each key.
func newTestView(ids topology.IDAllocator, borders ...string) *testView {
	v := &testView{ids: ids}
	start := ""
	for _, b := range append(borders, "") {
		v.regions = append(v.regions, v.newRegion([]byte(start), []byte(b)))
		start = b
	}
	return v
}

func (v *testView) newRegion(start, end []byte) topology.Region {
	m := &metapb.Region{Id: v.ids.AllocID(), StartKey: start, EndKey: end, RegionEpoch: &metapb.RegionEpoch{ConfVer: 1, Version: 1}}
	for store := range uint64(testStores) {
		m.Peers = append(m.Peers, &metapb.Peer{Id: v.ids.AllocID(), StoreId: store + 1})
	}
	return topology.Region{Meta: m, Leader: m.Peers[0], ApproximateSize: bigRegionBytes, ApproximateKeys: 1000}
}

func (v *testView) Stores() []*metapb.Store {
	var out []*metapb.Store
	for i := range uint64(testStores) {
		out = append(out, &metapb.Store{
			Id: i + 1, Address: "127.0.0.1:" + string(rune('1'+i)), StatusAddress: "127.0.0.1:9", Version: "8.5.4",
		})
	}
	return out
}

func (v *testView) StoreStatus(id uint64) (topology.StoreStatus, bool) {
	if id < 1 || id > testStores {
		return topology.StoreStatus{}, false
	}
	return topology.StoreStatus{Capacity: 3 << 39, Available: 1 << 40, Used: 1 << 39}, true
}

func (v *testView) ScanRegions(start, end []byte, limit int) []topology.Region {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []topology.Region
	for _, r := range v.regions {
		if len(r.Meta.EndKey) > 0 && bytes.Compare(r.Meta.EndKey, start) <= 0 {
			continue
		}
		if len(end) > 0 && bytes.Compare(r.Meta.StartKey, end) >= 0 {
			break
		}
		if out = append(out, r); limit > 0 && len(out) == limit {
			break
		}
	}
	return out
}

func (v *testView) RegionByKey(key []byte) (topology.Region, bool) {
	rs := v.ScanRegions(key, nil, 1)
	if len(rs) == 0 {
		return topology.Region{}, false
	}
	return rs[0], true
}

func (v *testView) PrevRegion(key []byte) (topology.Region, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := 1; i < len(v.regions); i++ {
		m := v.regions[i].Meta
		if bytes.Compare(m.StartKey, key) <= 0 && (len(m.EndKey) == 0 || bytes.Compare(key, m.EndKey) < 0) {
			return v.regions[i-1], true
		}
	}
	return topology.Region{}, false
}

func (v *testView) RegionByID(id uint64) (topology.Region, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.regions {
		if r.Meta.Id == id {
			return r, true
		}
	}
	return topology.Region{}, false
}

func (v *testView) TransferLeader(regionID, storeID uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.regions {
		for _, p := range v.regions[i].Meta.Peers {
			if v.regions[i].Meta.Id == regionID && p.StoreId == storeID {
				v.regions[i].Leader = p
				return true
			}
		}
	}
	return false
}

func (v *testView) Split(keys [][]byte) ([]uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var ids []uint64
	for _, key := range keys {
		i := slices.IndexFunc(v.regions, func(r topology.Region) bool {
			return bytes.Compare(r.Meta.StartKey, key) < 0 && (len(r.Meta.EndKey) == 0 || bytes.Compare(key, r.Meta.EndKey) < 0)
		})
		if i < 0 {
			return ids, errors.New("no region to split")
		}
		right := v.newRegion(key, v.regions[i].Meta.EndKey)
		left := *v.regions[i].Meta
		left.EndKey = key
		v.regions[i].Meta = &left
		v.regions = slices.Insert(v.regions, i+1, right)
		ids = append(ids, right.Meta.Id)
	}
	return ids, nil
}

// oneStoreView is a cluster of one store.
type oneStoreView struct{ *testView }

func (v oneStoreView) Stores() []*metapb.Store { return v.testView.Stores()[:1] }

func start(t *testing.T, opts Options) *Server {
	t.Helper()
	if opts.DataDir == "" {
		opts.DataDir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := Start(ctx, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// startWithRegions starts a server whose cluster has a border at each key.
func startWithRegions(t *testing.T, opts Options, borders ...string) *Server {
	t.Helper()
	s := start(t, opts)
	s.SetView(newTestView(s, borders...))
	return s
}

func client(t *testing.T, s *Server) pdclient.Client {
	t.Helper()
	c, err := pdclient.NewClientWithContext(t.Context(), []string{s.Addr()}, pdclient.SecurityOption{})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func httpClient(t *testing.T, s *Server) pdhttp.Client {
	t.Helper()
	c := pdhttp.NewClient("test", []string{"http://" + s.Addr()})
	t.Cleanup(c.Close)
	return c
}

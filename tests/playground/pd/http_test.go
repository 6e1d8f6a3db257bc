package pd

import (
	"io"
	"math"
	"net/http"
	"testing"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"
	pdhttp "github.com/tikv/pd/client/http"
)

func TestClusterOverHTTP(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{Version: "v8.5.2"})
	h := httpClient(t, s)
	v, err := h.GetPDVersion(t.Context())
	require.NoError(t, err)
	require.Equal(t, "v8.5.2", v)
	st, err := h.GetStatus(t.Context())
	require.NoError(t, err)
	require.Equal(t, "v8.5.2", st.Version)
	cv, err := h.GetClusterVersion(t.Context())
	require.NoError(t, err)
	require.Equal(t, "8.5.4", cv, "the stores' version")
	members, err := h.GetMembers(t.Context())
	require.NoError(t, err)
	require.Equal(t, s.ClusterID(), members.Header.ClusterId)
	require.Equal(t, members.Leader, members.Members[0])
	leader, err := h.GetLeader(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"http://" + s.Addr()}, leader.ClientUrls)
	health, err := h.GetHealthStatus(t.Context())
	require.NoError(t, err)
	require.True(t, health[0].Health)
	cluster, err := h.GetCluster(t.Context())
	require.NoError(t, err)
	require.Equal(t, s.ClusterID(), cluster.Id)
	cs, err := h.GetClusterStatus(t.Context())
	require.NoError(t, err)
	require.True(t, cs.IsInitialized)
	_, err = h.GetMicroServiceMembers(t.Context(), "tso")
	require.ErrorContains(t, err, "404")
	ks, err := h.GetKeyspaceMetaByName(t.Context(), "DEFAULT")
	require.NoError(t, err)
	require.Zero(t, ks.Id)
}

// BR writes this text into its backups as it comes.
func TestClusterVersionKeepsQuotesAndNewline(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{})
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/pd/api/v1/config/cluster-version", nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: tr}).Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "\"8.5.4\"\n", string(body))
}

func TestStores(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{}, "b")
	c, h := client(t, s), httpClient(t, s)
	all, err := c.GetAllStores(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 3)
	_, err = c.GetStore(t.Context(), 77)
	require.ErrorContains(t, err, "invalid store ID")
	list, err := h.GetStores(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, list.Count)
	first := list.Stores[0]
	require.Equal(t, "Up", first.Store.StateName)
	require.Equal(t, "1.5TiB", first.Status.Capacity)
	require.EqualValues(t, 2, first.Status.LeaderCount)
	require.EqualValues(t, 2, first.Status.RegionCount)
	_, err = h.GetStore(t.Context(), 77)
	require.ErrorContains(t, err, "404")

	require.NoError(t, h.SetStoreLabels(t.Context(), 1, map[string]string{"exclusive": "restore", "zone": "z"}))
	require.NoError(t, h.DeleteStoreLabel(t.Context(), 1, "zone"))
	one, err := h.GetStore(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []pdhttp.StoreLabel{{Key: "exclusive", Value: "restore"}}, one.Store.Labels)

	// A store that is not the View's may join by itself.
	raw, header := rawPD(t, s)
	put, err := raw.PutStore(t.Context(), &pdpb.PutStoreRequest{Header: header, Store: &metapb.Store{
		Id: 50, Address: "127.0.0.1:50", Version: "8.5.1", State: metapb.StoreState_Offline,
	}})
	require.NoError(t, err)
	require.Nil(t, put.Header.Error)
	beat, err := raw.StoreHeartbeat(t.Context(), &pdpb.StoreHeartbeatRequest{Header: header, Stats: &pdpb.StoreStats{StoreId: 50, Capacity: 1 << 30}})
	require.NoError(t, err)
	require.Equal(t, "8.5.1", beat.ClusterVersion)
	joined, err := h.GetStore(t.Context(), 50)
	require.NoError(t, err)
	require.Equal(t, "1GiB", joined.Status.Capacity)
	var up struct{ Count int }
	getJSON(t, s, "/pd/api/v1/stores?state=0", &up)
	require.Equal(t, 3, up.Count)
}

func TestSizeText(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{
		0: "0B", 1023: "1023B", 1024: "1KiB", 3 << 39: "1.5TiB", 256 << 20: "256MiB", math.MaxUint64: "16EiB",
	} {
		require.Equal(t, want, sizeText(n))
	}
}

func TestMinResolvedTS(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{})
	h := httpClient(t, s)
	minimum, _, err := h.GetMinResolvedTSByStoresIDs(t.Context(), nil)
	require.NoError(t, err)
	require.Zero(t, minimum, "nobody has reported")
	raw, header := rawPD(t, s)
	for id, ts := range map[uint64]uint64{1: 30, 2: 10, 3: 20} {
		_, err := raw.ReportMinResolvedTS(t.Context(), &pdpb.ReportMinResolvedTsRequest{Header: header, StoreId: id, MinResolvedTs: ts})
		require.NoError(t, err)
	}
	minimum, _, err = h.GetMinResolvedTSByStoresIDs(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 10, minimum)
	minimum, each, err := h.GetMinResolvedTSByStoresIDs(t.Context(), []uint64{1, 3})
	require.NoError(t, err)
	require.EqualValues(t, 20, minimum)
	require.Equal(t, map[uint64]uint64{1: 30, 3: 20}, each)
}

func TestPlacementRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startWithRegions(t, Options{DataDir: dir})
	h := httpClient(t, s)
	bundles, err := h.GetAllPlacementRuleBundles(t.Context())
	require.NoError(t, err)
	require.Len(t, bundles, 1)
	require.Equal(t, "default", bundles[0].Rules[0].ID)
	rule := func(id string) *pdhttp.Rule {
		return &pdhttp.Rule{
			GroupID: "restore", ID: id, Role: pdhttp.Voter, Count: 1, StartKey: []byte("a"), EndKey: []byte("b"),
			LabelConstraints: []pdhttp.LabelConstraint{{Key: "exclusive", Op: pdhttp.In, Values: []string{"restore"}}},
		}
	}
	require.NoError(t, h.SetPlacementRule(t.Context(), rule("r1")))
	require.ErrorContains(t, h.SetPlacementRule(t.Context(), &pdhttp.Rule{GroupID: "g", ID: "x", Role: "boss", Count: 1}), "400")
	require.NoError(t, h.SetPlacementRuleInBatch(t.Context(), []*pdhttp.RuleOp{
		{Rule: rule("r2"), Action: pdhttp.RuleOpAdd}, {Rule: rule("s1"), Action: pdhttp.RuleOpAdd},
	}))
	require.NoError(t, h.SetPlacementRuleGroup(t.Context(), &pdhttp.RuleGroup{ID: "restore", Index: 9, Override: true}))

	require.NoError(t, s.Close())
	s = startWithRegions(t, Options{DataDir: dir})
	h = httpClient(t, s)
	b, err := h.GetPlacementRuleBundleByGroup(t.Context(), "restore")
	require.NoError(t, err)
	require.Len(t, b.Rules, 3)
	require.Equal(t, 9, b.Index)
	require.Equal(t, rule("r1").StartKey, b.Rules[0].StartKey)
	groups, err := h.GetAllPlacementRuleGroups(t.Context())
	require.NoError(t, err)
	require.Equal(t, "restore", groups[len(groups)-1].ID, "by index")

	require.NoError(t, h.SetPlacementRuleInBatch(t.Context(), []*pdhttp.RuleOp{
		{Rule: &pdhttp.Rule{GroupID: "restore", ID: "r"}, Action: pdhttp.RuleOpDel, DeleteByIDPrefix: true},
	}))
	left, err := h.GetPlacementRulesByGroup(t.Context(), "restore")
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoError(t, h.SetPlacementRuleBundles(t.Context(), []*pdhttp.GroupBundle{{ID: "g2", Index: 3, Rules: []*pdhttp.Rule{rule("n")}}}, true))
	require.NoError(t, h.DeletePlacementRule(t.Context(), "restore", "s1"))
	require.NoError(t, h.DeletePlacementRuleGroupByID(t.Context(), "restore"))
	_, err = h.GetPlacementRule(t.Context(), "restore", "s1")
	require.ErrorContains(t, err, "404")
	require.Len(t, s.rules.list(""), 2)
	require.NoError(t, h.SetPlacementRuleBundles(t.Context(), []*pdhttp.GroupBundle{{ID: "g2", Rules: []*pdhttp.Rule{rule("n")}}}, false))
	require.Len(t, s.rules.list(""), 1)
	require.Equal(t, "g2", s.rules.list("")[0].GroupID)
}

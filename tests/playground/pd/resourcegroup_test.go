package pd

import (
	"testing"

	rmpb "github.com/pingcap/kvproto/pkg/resource_manager"
	"github.com/stretchr/testify/require"
	"github.com/tikv/pd/client/resource_group/controller"
)

func ruGroup(name string, rate uint64) *rmpb.ResourceGroup {
	return &rmpb.ResourceGroup{
		Name: name, Mode: rmpb.GroupMode_RUMode, Priority: 8,
		RUSettings: &rmpb.GroupRequestUnitSettings{RU: &rmpb.TokenBucket{Settings: &rmpb.TokenLimitSettings{FillRate: rate}}},
	}
}

func TestResourceGroups(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Options{DataDir: dir})
	c := client(t, s)
	def, err := c.GetResourceGroup(t.Context(), "default")
	require.NoError(t, err)
	require.EqualValues(t, -1, def.RUSettings.RU.Settings.BurstLimit)
	_, err = c.GetResourceGroup(t.Context(), "rg")
	require.ErrorContains(t, err, "does not exist")
	_, err = c.ModifyResourceGroup(t.Context(), ruGroup("rg", 1))
	require.ErrorContains(t, err, "does not exist")

	body, err := c.AddResourceGroup(t.Context(), ruGroup("rg", 100))
	require.NoError(t, err)
	require.Equal(t, "Success!", body)
	_, err = c.AddResourceGroup(t.Context(), ruGroup("rg", 100))
	require.ErrorContains(t, err, "already exists")
	_, err = c.AddResourceGroup(t.Context(), ruGroup("", 100))
	require.ErrorContains(t, err, "invalid group name")
	_, err = c.ModifyResourceGroup(t.Context(), ruGroup("rg", 200))
	require.NoError(t, err)
	_, err = c.DeleteResourceGroup(t.Context(), "default")
	require.ErrorContains(t, err, "reserved")

	require.NoError(t, s.Close())
	s = start(t, Options{DataDir: dir})
	c = client(t, s)
	groups, err := c.ListResourceGroups(t.Context())
	require.NoError(t, err)
	require.Len(t, groups, 2)
	require.EqualValues(t, 200, groups[1].RUSettings.RU.Settings.FillRate)
	// The controller in TiDB reads the same through the meta storage.
	loaded, _, err := c.LoadResourceGroups(t.Context())
	require.NoError(t, err)
	require.Len(t, loaded, 2)
	_, err = c.DeleteResourceGroup(t.Context(), "rg")
	require.NoError(t, err)
	groups, err = c.ListResourceGroups(t.Context())
	require.NoError(t, err)
	require.Len(t, groups, 1)
}

func TestTokenBucketsAreGranted(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := client(t, s)
	_, err := c.AddResourceGroup(t.Context(), ruGroup("rg", 100))
	require.NoError(t, err)
	ask := func(name string) *rmpb.TokenBucketRequest {
		return &rmpb.TokenBucketRequest{ResourceGroupName: name, Request: &rmpb.TokenBucketRequest_RuItems{
			RuItems: &rmpb.TokenBucketRequest_RequestRU{RequestRU: []*rmpb.RequestUnitItem{{Value: 42}}},
		}}
	}
	got, err := c.AcquireTokenBuckets(t.Context(), &rmpb.TokenBucketsRequest{
		Requests: []*rmpb.TokenBucketRequest{ask("rg"), ask("unknown"), ask("default")},
	})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, 42.0, got[0].GrantedRUTokens[0].GrantedTokens.Tokens)
	require.EqualValues(t, 100, got[0].GrantedRUTokens[0].GrantedTokens.Settings.FillRate)
	require.EqualValues(t, -1, got[1].GrantedRUTokens[0].GrantedTokens.Settings.BurstLimit)

	// What a tidb-server does at start; it fails without the config and the group.
	ctl, err := controller.NewResourceGroupController(t.Context(), 1, c, nil)
	require.NoError(t, err)
	ctl.Start(t.Context())
	require.NoError(t, ctl.Stop())
}

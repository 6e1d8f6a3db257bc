package pd

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfigIsCheckedAndKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startWithRegions(t, Options{DataDir: dir})
	h := httpClient(t, s)
	for name, items := range map[string]map[string]any{
		"unknown item":    {"schedule.no-such-item": 1},
		"unknown section": {"nothing.max-replicas": 1},
		"wrong type":      {"schedule.leader-schedule-limit": "many"},
		"no boolean":      {"schedule.enable-witness": "perhaps"},
		"good and bad":    {"schedule.leader-schedule-limit": 7, "schedule.no-such-item": 1},
	} {
		require.ErrorContains(t, h.SetConfig(t.Context(), items), "400", name)
	}
	cfg, err := h.GetConfig(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 4, cfg["schedule"].(map[string]any)["leader-schedule-limit"])

	require.NoError(t, h.SetConfig(t.Context(), map[string]any{
		"schedule.leader-schedule-limit": 9, "enable-witness": true, "max-replicas": 1,
	}))
	require.NoError(t, s.Close())
	s = startWithRegions(t, Options{DataDir: dir})
	h = httpClient(t, s)
	cfg, err = h.GetConfig(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 9, cfg["schedule"].(map[string]any)["leader-schedule-limit"])
	require.Equal(t, "true", cfg["schedule"].(map[string]any)["enable-witness"])
	rep, err := h.GetReplicateConfig(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, rep["max-replicas"])
}

func TestMaxReplicasFollowsTheStores(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	require.Equal(t, 3, s.maxReplicas(), "nothing known yet")
	s.SetView(oneStoreView{newTestView(s)})
	require.Equal(t, 1, s.maxReplicas())
	rules, err := httpClient(t, s).GetPlacementRulesByGroup(t.Context(), "pd")
	require.NoError(t, err)
	require.Len(t, rules, 1)
	require.Equal(t, 1, rules[0].Count)
	fixed := start(t, Options{MaxReplicas: 2})
	fixed.SetView(newTestView(fixed))
	require.Equal(t, 2, fixed.maxReplicas())
}

func TestVersionLess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"8.5.4", "8.5.4", false}, {"8.5.3", "8.5.4", true}, {"8.10.0", "8.9.9", false},
		{"8.5.4-alpha", "8.5.4", false}, {"7.5.0-x", "8.0.0", true}, {"8", "8.1", true},
	} {
		require.Equal(t, c.want, versionLess(c.a, c.b), "%s < %s", c.a, c.b)
	}
}

package pd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pdhttp "github.com/tikv/pd/client/http"
)

func denyRule(id, ttl, start, end string) *pdhttp.LabelRule {
	return &pdhttp.LabelRule{
		ID:       id,
		Labels:   []pdhttp.RegionLabel{{Key: "schedule", Value: "deny", TTL: ttl}},
		RuleType: "key-range",
		Data:     []any{map[string]any{"start_key": start, "end_key": end}},
	}
}

func ruleIDs(t *testing.T, h pdhttp.Client) []string {
	t.Helper()
	rules, err := h.GetAllRegionLabelRules(t.Context())
	require.NoError(t, err)
	require.NotNil(t, rules, "an empty list is [], not null")
	ids := []string{}
	for _, r := range rules {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestLabelRuleTTL(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	dir := t.TempDir()
	s := start(t, Options{Now: clock.now, DataDir: dir})
	h := httpClient(t, s)
	require.Empty(t, ruleIDs(t, h))

	require.NoError(t, h.SetRegionLabelRule(t.Context(), denyRule("pause/1", "5m0s", "61", "62")))
	require.NoError(t, h.SetRegionLabelRule(t.Context(), denyRule("schema/test/t", "", "63", "")))
	rules, err := h.GetAllRegionLabelRules(t.Context())
	require.NoError(t, err)
	require.Len(t, rules, 2)
	require.Equal(t, clock.now().Format(time.UnixDate), rules[0].Labels[0].StartAt, "stamped on arrival")
	require.Equal(t, "5m0s", rules[0].Labels[0].TTL)
	require.Empty(t, rules[1].Labels[0].StartAt)

	// Refreshing is sending it again without start_at.
	clock.advance(4 * time.Minute)
	require.NoError(t, h.SetRegionLabelRule(t.Context(), denyRule("pause/1", "5m0s", "61", "62")))
	clock.advance(4 * time.Minute)
	require.Equal(t, []string{"pause/1", "schema/test/t"}, ruleIDs(t, h))

	// A restart must not give it more time.
	require.NoError(t, s.Close())
	s = start(t, Options{Now: clock.now, DataDir: dir})
	h = httpClient(t, s)
	require.Equal(t, []string{"pause/1", "schema/test/t"}, ruleIDs(t, h))
	clock.advance(time.Minute + time.Second)
	require.Equal(t, []string{"schema/test/t"}, ruleIDs(t, h))

	stale := denyRule("late", "5m0s", "61", "62")
	stale.Labels[0].StartAt = clock.now().Add(-time.Hour).Format(time.UnixDate)
	require.ErrorContains(t, h.SetRegionLabelRule(t.Context(), stale), "400")
}

func TestLabelRulesPatchAndByID(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	h := httpClient(t, s)
	require.NoError(t, h.PatchRegionLabelRules(t.Context(), &pdhttp.LabelRulePatch{
		SetRules: []*pdhttp.LabelRule{denyRule("a", "", "61", "62"), denyRule("b", "", "62", "63")},
	}))
	got, err := h.GetRegionLabelRulesByIDs(t.Context(), []string{"b", "missing"})
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "b", got[0].ID)
	got, err = h.GetRegionLabelRulesByIDs(t.Context(), []string{"missing"})
	require.NoError(t, err)
	require.Empty(t, got)

	// One wrong rule spoils the whole patch.
	err = h.PatchRegionLabelRules(t.Context(), &pdhttp.LabelRulePatch{
		SetRules:    []*pdhttp.LabelRule{denyRule("c", "", "61", "62"), denyRule("d", "", "62", "61")},
		DeleteRules: []string{"a"},
	})
	require.ErrorContains(t, err, "400")
	require.Equal(t, []string{"a", "b"}, ruleIDs(t, h))

	require.NoError(t, h.PatchRegionLabelRules(t.Context(), &pdhttp.LabelRulePatch{DeleteRules: []string{"a", "missing"}}))
	require.Equal(t, []string{"b"}, ruleIDs(t, h))
	state, err := s.ClientState(t.Context())
	require.NoError(t, err)
	require.Equal(t, []LabelKeyRange{{"62", "63"}}, state.LabelRules[0].Data)
}

func TestLabelRuleChecks(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	h := httpClient(t, s)
	for name, change := range map[string]func(*pdhttp.LabelRule){
		"no id":        func(r *pdhttp.LabelRule) { r.ID = "" },
		"no labels":    func(r *pdhttp.LabelRule) { r.Labels = nil },
		"empty key":    func(r *pdhttp.LabelRule) { r.Labels[0].Key = "" },
		"empty value":  func(r *pdhttp.LabelRule) { r.Labels[0].Value = "" },
		"bad ttl":      func(r *pdhttp.LabelRule) { r.Labels[0].TTL = "soon" },
		"bad start":    func(r *pdhttp.LabelRule) { r.Labels[0].TTL, r.Labels[0].StartAt = "5m", "now" },
		"rule type":    func(r *pdhttp.LabelRule) { r.RuleType = "other" },
		"data is text": func(r *pdhttp.LabelRule) { r.Data = "x" },
		"not hex":      func(r *pdhttp.LabelRule) { r.Data = []any{map[string]any{"start_key": "zz", "end_key": ""}} },
		"empty range":  func(r *pdhttp.LabelRule) { r.Data = []any{map[string]any{"start_key": "61", "end_key": "61"}} },
	} {
		r := denyRule("x", "", "61", "62")
		change(r)
		require.ErrorContains(t, h.SetRegionLabelRule(t.Context(), r), "400", name)
	}
	require.Empty(t, ruleIDs(t, h))
}

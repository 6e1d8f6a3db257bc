package pd

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// getJSON reads a path that the client library has no call for.
func getJSON(t *testing.T, s *Server, path string, v any) int {
	t.Helper()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: tr}).Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(v))
	return resp.StatusCode
}

func TestSchedulerPauseIsKeptReadableAndEnds(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	s := start(t, Options{Now: clock.now})
	h := httpClient(t, s)
	all, err := h.GetSchedulers(t.Context())
	require.NoError(t, err)
	require.Contains(t, all, "balance-leader-scheduler")
	paused := func() []string {
		var names []string
		require.Equal(t, http.StatusOK, getJSON(t, s, "/pd/api/v1/schedulers?status=paused", &names))
		require.NotNil(t, names)
		return names
	}
	require.Empty(t, paused())

	require.NoError(t, h.SetSchedulerDelay(t.Context(), "balance-leader-scheduler", 300))
	require.NoError(t, h.SetSchedulerDelay(t.Context(), "balance-region-scheduler", 60))
	require.ErrorContains(t, h.SetSchedulerDelay(t.Context(), "no-such-scheduler", 60), "500")
	require.ElementsMatch(t, []string{"balance-leader-scheduler", "balance-region-scheduler"}, paused())

	clock.advance(61 * time.Second)
	require.Equal(t, []string{"balance-leader-scheduler"}, paused())
	state, err := s.ClientState(t.Context())
	require.NoError(t, err)
	require.Len(t, state.PausedSchedulers, 1)
	require.Equal(t, 239*time.Second, state.PausedSchedulers[0].ResumeAt.Sub(clock.now()))

	require.NoError(t, h.SetSchedulerDelay(t.Context(), "balance-leader-scheduler", 0))
	require.Empty(t, paused())

	require.NoError(t, h.SetSchedulerDelay(t.Context(), "all", 300))
	require.ElementsMatch(t, all, paused())
	// Pauses are in the leader's memory.
	s.SetLeaderAway(true)
	s.SetLeaderAway(false)
	require.Empty(t, paused())
}

func TestConfigOverridesAreBesideTheConfig(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	dir := t.TempDir()
	s := start(t, Options{Now: clock.now, DataDir: dir})
	h := httpClient(t, s)
	before, err := h.GetScheduleConfig(t.Context())
	require.NoError(t, err)
	pause := map[string]any{
		"schedule.merge-schedule-limit": 0, "schedule.max-pending-peer-count": 2147483647,
		"schedule.enable-location-replacement": "false",
	}
	require.NoError(t, h.SetConfig(t.Context(), pause, 300))
	after, err := h.GetScheduleConfig(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after, "reading shows the persistent values")

	exp := clock.now().Add(300 * time.Second)
	state, err := s.ClientState(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]ConfigOverride{
		"schedule.merge-schedule-limit":        {"0", exp},
		"schedule.max-pending-peer-count":      {"2147483647", exp},
		"schedule.enable-location-replacement": {"false", exp},
	}, state.ConfigOverrides)

	require.ErrorContains(t, h.SetConfig(t.Context(), map[string]any{"schedule.patrol-region-interval": "1s"}, 300), "400")
	require.ErrorContains(t, h.SetScheduleConfig(t.Context(), map[string]any{"merge-schedule-limit": 4}), "TTL")

	// The lease in etcd outlives the process.
	require.NoError(t, s.Close())
	s = start(t, Options{Now: clock.now, DataDir: dir})
	h = httpClient(t, s)
	require.Len(t, s.overrides.active(), 3)

	require.NoError(t, h.SetConfig(t.Context(), pause, 0))
	require.Empty(t, s.overrides.active())
	require.NoError(t, h.SetScheduleConfig(t.Context(), map[string]any{"merge-schedule-limit": 4}))
	after, err = h.GetScheduleConfig(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 4, after["merge-schedule-limit"])

	require.NoError(t, h.SetConfig(t.Context(), pause, 10))
	clock.advance(11 * time.Second)
	require.Empty(t, s.overrides.active())
}

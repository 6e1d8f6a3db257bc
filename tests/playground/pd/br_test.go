package pd

import (
	"context"
	"testing"

	"github.com/pingcap/tidb/br/pkg/pdutil"
	"github.com/stretchr/testify/require"
	pdclient "github.com/tikv/pd/client"
)

// BR and Lightning go through this controller for all that they change in PD.
func brController(t *testing.T, s *Server) *pdutil.PdController {
	t.Helper()
	ctl, err := pdutil.NewPdController(t.Context(), []string{s.Addr()}, nil, pdclient.SecurityOption{})
	require.NoError(t, err)
	t.Cleanup(ctl.Close)
	return ctl
}

func TestBRPausesSchedulersAndPutsThemBack(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{}, "b")
	ctl := brController(t, s)
	before, err := s.ClientState(t.Context())
	require.NoError(t, err)

	undo, err := ctl.RemoveSchedulers(t.Context())
	require.NoError(t, err)
	during, err := s.ClientState(t.Context())
	require.NoError(t, err)
	require.Len(t, during.PausedSchedulers, 4)
	require.Equal(t, "0", during.ConfigOverrides["schedule.merge-schedule-limit"].Value)
	require.Equal(t, "12", during.ConfigOverrides["schedule.leader-schedule-limit"].Value, "4 for each of 3 stores")
	require.Equal(t, "40", during.ConfigOverrides["schedule.region-schedule-limit"].Value, "at most 40")
	require.Equal(t, "false", during.ConfigOverrides["schedule.enable-location-replacement"].Value)

	require.NoError(t, undo(t.Context()))
	after, err := s.ClientState(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestLightningPausesAKeyRange(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{})
	ctl := brController(t, s)
	require.True(t, ctl.CanPauseSchedulerByKeyRange())
	ctx, cancel := context.WithCancel(t.Context())
	done, err := pdutil.PauseSchedulersByKeyRange(ctx, ctl.GetPDHTTPClient(), []byte("a"), []byte("b"))
	require.NoError(t, err)
	state, err := s.ClientState(t.Context())
	require.NoError(t, err)
	require.Len(t, state.LabelRules, 1)
	require.Equal(t, []LabelKeyRange{{"61", "62"}}, state.LabelRules[0].Data)
	require.Equal(t, "deny", state.LabelRules[0].Labels[0].Value)
	cancel()
	<-done
	state, err = s.ClientState(t.Context())
	require.NoError(t, err)
	require.Empty(t, state.LabelRules)
}

func TestBRReadsAndRaises(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{}, "b", "c")
	ctl := brController(t, s)
	v, err := ctl.GetClusterVersion(t.Context())
	require.NoError(t, err)
	require.Equal(t, "8.5.4", v)
	n, err := ctl.GetRegionCount(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	store, err := ctl.GetStoreInfo(t.Context(), 2)
	require.NoError(t, err)
	require.EqualValues(t, 2, store.Store.ID)
	ts, err := s.TSO(t.Context())
	require.NoError(t, err)
	ahead := ts + 1<<40
	require.NoError(t, ctl.ResetTS(t.Context(), ahead))
	ts, err = s.TSO(t.Context())
	require.NoError(t, err)
	require.Greater(t, ts, ahead)
}

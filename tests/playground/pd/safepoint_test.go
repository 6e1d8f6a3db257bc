package pd

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServiceSafePoints(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	s := start(t, Options{Now: clock.now})
	c := client(t, s)
	stored := func() map[string]uint64 {
		all, err := s.safePoints.all(t.Context())
		require.NoError(t, err)
		out := map[string]uint64{}
		for _, sp := range all {
			out[sp.ServiceID] = sp.SafePoint
		}
		return out
	}
	// Each step goes on from the state of the one before.
	steps := []struct {
		name    string
		advance time.Duration
		service string
		ttl     int64
		ts      uint64
		wantMin uint64
		want    map[string]uint64
		wantErr string
	}{
		{name: "gc_worker appears by itself", service: "br-1", ttl: 300, ts: 10, wantMin: 0,
			want: map[string]uint64{"gc_worker": 0, "br-1": 10}},
		{name: "gc_worker moves on and br-1 holds", service: "gc_worker", ttl: math.MaxInt64, ts: 50, wantMin: 10,
			want: map[string]uint64{"gc_worker": 50, "br-1": 10}},
		{name: "below the minimum: silently not stored", service: "late", ttl: 300, ts: 5, wantMin: 10,
			want: map[string]uint64{"gc_worker": 50, "br-1": 10}},
		{name: "equal to the minimum is stored", service: "equal", ttl: 100, ts: 10, wantMin: 10,
			want: map[string]uint64{"gc_worker": 50, "br-1": 10, "equal": 10}},
		{name: "the holder of the minimum moves, the next one counts", service: "br-1", ttl: 300, ts: 40, wantMin: 10,
			want: map[string]uint64{"gc_worker": 50, "br-1": 40, "equal": 10}},
		{name: "expired entries go when read", advance: 101 * time.Second, service: "probe", ttl: 1, ts: 1, wantMin: 40,
			want: map[string]uint64{"gc_worker": 50, "br-1": 40}},
		{name: "a TTL of 0 removes", service: "br-1", ttl: 0, ts: 0, wantMin: 50,
			want: map[string]uint64{"gc_worker": 50}},
		{name: "removing what is not there is fine", service: "nobody", ttl: -1, ts: 0, wantMin: 50,
			want: map[string]uint64{"gc_worker": 50}},
		{name: "gc_worker cannot be removed", service: "gc_worker", ttl: 0, wantErr: "gc_worker",
			want: map[string]uint64{"gc_worker": 50}},
		{name: "gc_worker cannot expire", service: "gc_worker", ttl: 60, ts: 60, wantErr: "infinity",
			want: map[string]uint64{"gc_worker": 50}},
	}
	for _, st := range steps {
		clock.advance(st.advance)
		got, err := c.UpdateServiceGCSafePoint(t.Context(), st.service, st.ttl, st.ts)
		if st.wantErr != "" {
			require.ErrorContains(t, err, st.wantErr, st.name)
		} else {
			require.NoError(t, err, st.name)
			require.Equal(t, st.wantMin, got, st.name)
		}
		require.Equal(t, st.want, stored(), st.name)
	}
}

func TestSafePointsOverHTTPAndInTheState(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	s := start(t, Options{Now: clock.now})
	c, h := client(t, s), httpClient(t, s)
	gc, err := c.UpdateGCSafePoint(t.Context(), 7)
	require.NoError(t, err)
	require.EqualValues(t, 7, gc)
	gc, err = c.UpdateGCSafePoint(t.Context(), 3)
	require.NoError(t, err)
	require.EqualValues(t, 7, gc, "never back")
	_, err = c.UpdateServiceGCSafePoint(t.Context(), "sluice-1", 60, 100)
	require.NoError(t, err)

	list, err := h.GetGCSafePoint(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 7, list.GCSafePoint)
	require.Len(t, list.ServiceGCSafepoints, 2)

	state, err := s.ClientState(t.Context())
	require.NoError(t, err)
	require.Equal(t, []ServiceSafePoint{
		{ServiceID: "sluice-1", SafePoint: 100, ExpiredAt: clock.now().Unix() + 60},
	}, state.ServiceSafePoints)
	require.EqualValues(t, 7, state.GCSafePoint)

	_, err = h.DeleteGCSafePoint(t.Context(), "sluice-1")
	require.NoError(t, err)
	_, err = h.DeleteGCSafePoint(t.Context(), "gc_worker")
	require.ErrorContains(t, err, "gc_worker")
	state, err = s.ClientState(t.Context())
	require.NoError(t, err)
	require.Empty(t, state.ServiceSafePoints)
}

package pd

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pdclient "github.com/tikv/pd/client"
)

func composeTS(physical, logical int64) uint64 { return timestamp{physical, logical}.ts() }

func TestTSOIsUniqueAndGrowsInEachGoroutine(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	const workers, each = 8, 300
	clients := []pdclient.Client{client(t, s), client(t, s)}
	got := make([][]uint64, workers)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				p, l, err := clients[w%len(clients)].GetTS(t.Context())
				if err != nil {
					errs[w] = err
					return
				}
				got[w] = append(got[w], composeTS(p, l))
			}
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	for w := range workers {
		require.NoError(t, errs[w])
		require.True(t, slices.IsSorted(got[w]))
		for _, ts := range got[w] {
			require.False(t, seen[ts], "timestamp %d given twice", ts)
			seen[ts] = true
		}
	}
	require.Len(t, seen, workers*each)
}

func TestTSOAndIDsDoNotGoBackOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := newFakeClock()
	first := start(t, Options{DataDir: dir, Now: clock.now})
	p, l, err := client(t, first).GetTS(t.Context())
	require.NoError(t, err)
	last := composeTS(p, l)
	lastID := first.AllocID()
	require.NotZero(t, lastID)
	id := first.ClusterID()
	require.NoError(t, first.Close())

	// The clock of the second run is an hour behind.
	clock.advance(-time.Hour)
	second := start(t, Options{DataDir: dir, Now: clock.now})
	require.Equal(t, id, second.ClusterID())
	p, l, err = client(t, second).GetTS(t.Context())
	require.NoError(t, err)
	require.Greater(t, composeTS(p, l), last)
	require.Greater(t, second.AllocID(), lastID)

	_, err = Start(t.Context(), Options{DataDir: "", ClusterID: id})
	require.ErrorContains(t, err, "DataDir")
}

func TestKeptDataRefusesAnotherClusterID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Options{DataDir: dir, ClusterID: 42})
	require.EqualValues(t, 42, s.ClusterID())
	require.NoError(t, s.Close())
	_, err := Start(t.Context(), Options{DataDir: dir, ClusterID: 43})
	require.ErrorContains(t, err, "belongs to cluster 42")
}

func TestTSOCountsAndOverflow(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	s := start(t, Options{Now: clock.now})
	a, err := s.tso.alloc(t.Context(), 1)
	require.NoError(t, err)
	b, err := s.tso.alloc(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, timestamp{a.physical, a.logical + 10}, b, "the last of the ten")
	c, err := s.tso.alloc(t.Context(), uint32(maxLogical-1))
	require.NoError(t, err)
	require.Equal(t, timestamp{a.physical + 1, maxLogical - 1}, c, "a full range takes the next millisecond")
	for _, n := range []uint32{0, uint32(maxLogical)} {
		_, err = s.tso.alloc(t.Context(), n)
		require.ErrorContains(t, err, "tso count")
	}
	// Ahead of the clock the limit in etcd has to move with it.
	for range 2 * tsoSaveAhead.Milliseconds() / 100 {
		require.NoError(t, s.tso.reset(t.Context(), s.tso.current().ts()+uint64(100)<<logicalBits, true))
		require.Greater(t, s.tso.mu.saved, s.tso.current().physical)
	}
}

func TestResetTS(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c, h := client(t, s), httpClient(t, s)
	now := func() uint64 {
		p, l, err := c.GetTS(t.Context())
		require.NoError(t, err)
		return composeTS(p, l)
	}
	hours := func(n int64) uint64 { return uint64(n*time.Hour.Milliseconds()) << logicalBits }
	base := now()

	require.NoError(t, h.ResetTS(t.Context(), base-hours(1), true), "a smaller one is ignored with force")
	require.Less(t, now(), base+hours(1))
	require.ErrorContains(t, h.ResetTS(t.Context(), base-hours(1), false), "403")
	require.ErrorContains(t, h.ResetTS(t.Context(), base+hours(48), false), "403")
	require.Less(t, now(), base+hours(1), "a refused reset changes nothing")

	require.NoError(t, h.ResetTS(t.Context(), base+hours(2), false))
	require.Greater(t, now(), base+hours(2))
	require.NoError(t, h.ResetTS(t.Context(), base+hours(48), true))
	require.Greater(t, now(), base+hours(48))
}

func TestMinTSAndWrongCluster(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	p, l, err := client(t, s).GetMinTS(t.Context())
	require.NoError(t, err)
	ts, err := s.TSO(context.Background())
	require.NoError(t, err)
	require.Greater(t, ts, composeTS(p, l))
}

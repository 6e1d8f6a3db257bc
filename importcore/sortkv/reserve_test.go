package sortkv_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// TestReserve: memory for something else comes from what is resident, from unused arenas and from those who
// hold arenas without need; nothing is lost by it.
func TestReserve(t *testing.T) {
	t.Parallel()
	const budget, arenaBytes = 512 << 10, 16 << 10
	s := newSorter(t, sortkv.Options{MemoryBudget: budget, ArenaBytes: arenaBytes})
	var want kv.Checksum
	n := 0
	fill := func(a *kv.Arena) {
		for a.Bytes() < s.ArenaBytes() {
			key := fmt.Appendf(nil, "%06d", n*7919%100_003)
			a.Add(key, key)
			want.Add(key, key)
			n++
		}
	}
	for range 10 {
		a, err := s.Arena(t.Context())
		require.NoError(t, err)
		fill(a)
		require.NoError(t, s.Add(t.Context(), a))
	}
	idle, err := s.Arena(t.Context())
	require.NoError(t, err)
	fill(idle)

	most := sortkv.Reservable(budget, arenaBytes)
	done := make(chan error, 1)
	go func() { done <- s.Reserve(t.Context(), most) }()
	<-s.Hurry()
	require.Empty(t, done, "the memory is in use")
	require.NoError(t, s.Add(t.Context(), idle))
	require.NoError(t, s.Relieve(t.Context()))
	require.NoError(t, <-done)
	select {
	case <-s.Hurry():
		t.Fatal("nobody waits any more")
	default:
	}

	// There are two arenas left; who wants a third one waits for those.
	var held []*kv.Arena
	for range 2 {
		a, err := s.Arena(t.Context())
		require.NoError(t, err)
		fill(a)
		held = append(held, a)
	}
	third := make(chan *kv.Arena, 1)
	go func() {
		a, err := s.Arena(t.Context())
		if err != nil {
			t.Error(err)
		}
		third <- a
	}()
	<-s.Hurry()
	for _, a := range held {
		require.NoError(t, s.Add(t.Context(), a))
		require.NoError(t, s.Relieve(t.Context()))
	}
	a := <-third
	fill(a)
	require.NoError(t, s.Add(t.Context(), a))
	s.Unreserve(most)

	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	require.ErrorIs(t, s.Reserve(ctx, 2*budget), gone)
	sorted, err := s.Finish(t.Context())
	require.NoError(t, err)
	require.NoError(t, sorted.FindDuplicate(t.Context()))
	require.Equal(t, want, sumOf(t, sorted, nil, nil))
}

// TestReadersOfGiantsWait: an iterator counts with what its user holds of a value that has a page of its
// own, so that a second one waits if there is no memory for that, and with small values none does.
func TestReadersOfGiantsWait(t *testing.T) {
	t.Parallel()
	for _, giant := range []int{100, 150 << 10} {
		s := newSorter(t, sortkv.Options{MemoryBudget: 1 << 20})
		a, err := s.Arena(t.Context())
		require.NoError(t, err)
		a.Add([]byte("k"), make([]byte, giant))
		require.NoError(t, s.Add(t.Context(), a))
		_, err = s.Checkpoint(t.Context()) // to the disk
		require.NoError(t, err)
		sorted, err := s.Finish(t.Context())
		require.NoError(t, err)
		var open []*sortkv.Iterator
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			it, err := sorted.Iter(ctx, nil, nil)
			require.NoError(t, err)
			open = append(open, it)
		}
		waits := make(chan error, 1)
		go func() {
			it, err := sorted.Iter(ctx, nil, nil)
			if err == nil {
				err = it.Close()
			}
			waits <- err
		}()
		if giant > 1<<10 {
			cancel() // 3 * 3 * 150 KiB are more than there is
			require.ErrorIs(t, <-waits, context.Canceled)
		} else {
			require.NoError(t, <-waits)
			cancel()
		}
		for _, it := range open {
			require.NoError(t, it.Close())
		}
	}
}

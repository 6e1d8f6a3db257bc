package executor

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQueueOrder: whatever the order in which jobs come, they run by priority and age.
func TestQueueOrder(t *testing.T) {
	t.Parallel()
	q := newQueue(1)
	leave, err := q.enter(t.Context(), 0, 1, func() { t.Error("nobody runs") })
	require.NoError(t, err)
	type of struct {
		priority int
		job      int64
	}
	jobs := []of{{0, 5}, {1, 9}, {-1, 2}, {1, 4}, {0, 3}, {-1, 8}, {0, 7}}
	ran := make(chan int64, len(jobs))
	var all, waiting sync.WaitGroup
	waiting.Add(len(jobs))
	for _, j := range jobs {
		all.Go(func() {
			leave, err := q.enter(t.Context(), j.priority, j.job, func() { waiting.Done() })
			if err == nil {
				ran <- j.job
				leave()
			}
		})
	}
	waiting.Wait()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	_, err = q.enter(ctx, 9, 1, func() {})
	require.ErrorIs(t, err, gone)
	leave()
	all.Wait()
	close(ran)
	require.Equal(t, []int64{4, 9, 3, 5, 7, 2, 8}, slices.Collect(func(yield func(int64) bool) {
		for j := range ran {
			yield(j)
		}
	}))
	require.Equal(t, 1, q.mu.free)
}

// TestQueueLimit: never more jobs than allowed run, some give up while they wait, and no place is lost.
func TestQueueLimit(t *testing.T) {
	t.Parallel()
	const limit = 3
	q := newQueue(limit)
	var running, most atomic.Int64
	var all sync.WaitGroup
	for job := range int64(200) {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if rand.IntN(3) == 0 {
				go cancel()
			}
			leave, err := q.enter(ctx, rand.IntN(3), job, func() {})
			if err != nil {
				return
			}
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			running.Add(-1)
			leave()
		})
	}
	all.Wait()
	require.LessOrEqual(t, most.Load(), int64(limit))
	require.Equal(t, limit, q.mu.free)
	require.Empty(t, q.mu.waiting)
}

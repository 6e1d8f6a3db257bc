package ingest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// TestRunWithCare: each store that is written to is read at, one that is slow gets less, in the buckets that the writers
// wait for, and nothing goes on behind the run.
func TestRunWithCare(t *testing.T) {
	t.Parallel()
	kv := newFakeTiKV(t, 3)
	src := somePairs(1000)
	opts := fastOptions(src)
	var over atomic.Bool
	var seen sync.Map
	slow := make(chan struct{})
	var once sync.Once
	opts.Care = Care{
		MaxLatency: 50 * time.Millisecond,
		pause:      time.Millisecond,
		Read: func(_ context.Context, store uint64, patience time.Duration) (time.Duration, error) {
			if over.Load() {
				kv.mu.Lock()
				kv.violate("read at store %d behind the run", store)
				kv.mu.Unlock()
			}
			seen.Store(store, true)
			switch store {
			case 1:
				return patience, nil
			case 2:
				return 0, errors.New("not to be measured")
			default:
				return time.Millisecond, nil
			}
		},
		Changed: func(store uint64, speed int64, latency time.Duration) {
			if store != 1 || speed < leastSpeed || latency < leastPatience {
				kv.mu.Lock()
				kv.violate("store %d got %d for %v", store, speed, latency)
				kv.mu.Unlock()
			}
			once.Do(func() { close(slow) })
		},
	}
	opts.Hold = func(ctx context.Context) error { // the run lasts until then
		select {
		case <-slow:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err := Run(t.Context(), kv, src, src.ranges(4), opts)
	over.Store(true)
	require.NoError(t, err)
	kv.requireAll(t, src)
	for store := uint64(1); store <= 3; store++ {
		_, ok := seen.Load(store)
		require.True(t, ok, "store %d", store)
	}
}

// TestCancelDoesNotWaitForARead: a store that doesn't answer keeps no run from ending.
func TestCancelDoesNotWaitForARead(t *testing.T) {
	t.Parallel()
	kv := newFakeTiKV(t, 1)
	src := somePairs(100)
	opts := fastOptions(src)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	opts.Care = Care{MaxLatency: time.Second, pause: time.Millisecond, Read: func(ctx context.Context, _ uint64, _ time.Duration) (time.Duration, error) {
		cancel(stopped)
		<-ctx.Done()
		return 0, ctx.Err()
	}}
	opts.Hold = func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	_, err := Run(ctx, kv, src, src.ranges(1), opts)
	require.ErrorIs(t, err, stopped)
}

func TestLimitsThatChange(t *testing.T) {
	t.Parallel()
	require.Nil(t, newLimiters(0, false))
	l := newLimiters(0, true)
	require.NoError(t, l.wait(t.Context(), 1, 1<<30), "no limit yet")
	require.EqualValues(t, 1<<30, l.of(1).taken.Load())
	l.set(1, 5000)
	require.Equal(t, rate.Limit(5000), l.of(1).Limit())
	require.Equal(t, 500, l.of(1).Burst())
	require.Equal(t, rate.Inf, l.of(2).Limit(), "each store for itself")
	l.set(1, 0)
	require.Equal(t, rate.Inf, l.of(1).Limit())
	capped := newLimiters(1000, true)
	capped.set(1, 10)
	capped.set(1, 0)
	require.Equal(t, rate.Limit(1000), capped.of(1).Limit())

	// A limit that is lowered while others wait keeps them waiting, and doesn't fail them.
	busy := newLimiters(0, true)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 200 {
				if err := busy.wait(t.Context(), 1, 1<<20); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 200 {
		busy.set(1, int64(1+i%3)<<40)
	}
	busy.set(1, 0)
	writers.Wait()
}

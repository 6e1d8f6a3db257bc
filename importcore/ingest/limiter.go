package ingest

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// limiters holds a token bucket per store. A nil *limiters limits nothing.
type limiters struct {
	bytesPerSecond int64 // 0 is no limit as long as set gives a store none
	mu             struct {
		sync.Mutex
		byStore map[uint64]*bucket
	}
}

// bucket is one store's.
type bucket struct {
	*rate.Limiter
	taken atomic.Int64 // bytes since this was last looked at
}

// newLimiters returns nil if there is neither a limit nor, with settable, may be one.
func newLimiters(bytesPerSecond int64, settable bool) *limiters {
	if bytesPerSecond <= 0 && !settable {
		return nil
	}
	l := &limiters{bytesPerSecond: max(bytesPerSecond, 0)}
	l.mu.byStore = make(map[uint64]*bucket)
	return l
}

// wait blocks until n bytes may go to the store.
func (l *limiters) wait(ctx context.Context, store uint64, n int) error {
	if l == nil {
		return nil
	}
	bucket := l.of(store)
	bucket.taken.Add(int64(n))
	for n > 0 {
		part := min(n, bucket.Burst())
		if err := bucket.WaitN(ctx, part); err != nil {
			if part > bucket.Burst() {
				continue // set came in between
			}
			return err
		}
		n -= part
	}
	return nil
}

// set changes what a store may get; 0 is what all may.
func (l *limiters) set(store uint64, bytesPerSecond int64) {
	if bytesPerSecond <= 0 {
		bytesPerSecond = l.bytesPerSecond
	}
	bucket := l.of(store)
	limit, burst := rateOf(bytesPerSecond)
	bucket.SetLimit(limit)
	bucket.SetBurst(burst)
}

func (l *limiters) of(store uint64) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.mu.byStore[store]
	if b == nil {
		b = &bucket{Limiter: rate.NewLimiter(rateOf(l.bytesPerSecond))}
		l.mu.byStore[store] = b
	}
	return b
}

// rateOf returns what a limiter wants for a speed; 0 is any speed.
func rateOf(bytesPerSecond int64) (limit rate.Limit, burst int) {
	const most = 64 << 20
	if bytesPerSecond <= 0 {
		return rate.Inf, most
	}
	// A tenth of a second may pass in one go: smooth for the store, cheap for us.
	return rate.Limit(bytesPerSecond), int(min(max(bytesPerSecond/10, 1), most))
}

package ingest

import (
	"context"
	"sync"

	"golang.org/x/time/rate"
)

// limiters holds a token bucket per store. A nil *limiters limits nothing.
type limiters struct {
	bytesPerSecond int64
	mu             struct {
		sync.Mutex
		byStore map[uint64]*rate.Limiter
	}
}

func newLimiters(bytesPerSecond int64) *limiters {
	if bytesPerSecond <= 0 {
		return nil
	}
	l := &limiters{bytesPerSecond: bytesPerSecond}
	l.mu.byStore = make(map[uint64]*rate.Limiter)
	return l
}

// wait blocks until n bytes may go to the store.
func (l *limiters) wait(ctx context.Context, store uint64, n int) error {
	if l == nil {
		return nil
	}
	bucket := l.of(store)
	for n > 0 {
		part := min(n, bucket.Burst())
		if err := bucket.WaitN(ctx, part); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

func (l *limiters) of(store uint64) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := l.mu.byStore[store]
	if bucket == nil {
		// A tenth of a second may pass in one go: smooth for the store, cheap for us.
		burst := int(min(max(l.bytesPerSecond/10, 1), 64<<20))
		bucket = rate.NewLimiter(rate.Limit(l.bytesPerSecond), burst)
		l.mu.byStore[store] = bucket
	}
	return bucket
}

package ingest

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// readPause is between two reads at a store: a few per second are nothing to it, and seconds are enough of them.
	readPause = 250 * time.Millisecond
	// leastPatience and MaxLatency twice is how long an answer is waited for: a store that takes longer is as slow as one can be.
	leastPatience = 500 * time.Millisecond
)

// Care says how a run holds back for a cluster that suffers. The zero value is not at all, which costs nothing.
type Care struct {
	// MaxLatency is what a read at a store may take. A store that takes longer is written to more slowly, but never more slowly than
	// 1 MiB (or WriteSpeedLimit, if that is less) per second, until it is fast again.
	MaxLatency time.Duration
	// Read makes a small read at a store and returns how long the answer took, patience if there was none by then. An
	// error is no measurement. It is called by one goroutine for each store. Required with MaxLatency.
	Read func(ctx context.Context, store uint64, patience time.Duration) (took time.Duration, err error)
	// Changed, if set, is told what a store may get from now on, in bytes per second, 0 for full speed, and the latency
	// that decided. It is called from several goroutines.
	Changed func(store uint64, speed int64, latency time.Duration)

	pause time.Duration // readPause but in tests
}

// careful follows the stores that a run writes to. A nil *careful follows none.
type careful struct {
	care   Care
	limits *limiters
	log    *zap.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     struct {
		sync.Mutex
		stores map[uint64]struct{}
	}
}

// newCareful returns nil unless there is something to do. The caller ends it with close.
func newCareful(ctx context.Context, opts *Options, limits *limiters) *careful {
	if opts.Care.MaxLatency <= 0 {
		return nil
	}
	c := &careful{care: opts.Care, limits: limits, log: opts.Logger}
	if c.care.pause <= 0 {
		c.care.pause = readPause
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.mu.stores = map[uint64]struct{}{}
	return c
}

// close ends the following; nobody may call follow any more.
func (c *careful) close() {
	if c != nil {
		c.cancel()
		c.wg.Wait()
	}
}

// follow begins to look after a store, if it isn't yet.
func (c *careful) follow(store uint64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	_, known := c.mu.stores[store]
	c.mu.stores[store] = struct{}{}
	c.mu.Unlock()
	if !known {
		c.wg.Go(func() { c.watch(store) })
	}
}

// watch reads at a store again and again and sets its speed.
func (c *careful) watch(store uint64) {
	p := &pace{latency: c.care.MaxLatency, ceiling: float64(c.limits.bytesPerSecond)}
	bucket, patience := c.limits.of(store), max(leastPatience, 2*c.care.MaxLatency)
	last, failing := time.Now(), false
	for sleep(c.ctx, c.care.pause) == nil {
		took, err := c.care.Read(c.ctx, store, patience)
		if c.ctx.Err() != nil {
			return
		}
		if err != nil {
			if !failing {
				c.log.Warn("ingest: the latency of a store can't be measured", zap.Uint64("store", store), zap.Error(err))
			}
			failing = true
			continue
		}
		failing = false
		now := time.Now()
		speed := float64(bucket.taken.Swap(0)) / now.Sub(last).Seconds()
		last = now
		c.apply(store, p, p.answer(now, took, speed))
	}
}

// apply does what a pace has decided.
func (c *careful) apply(store uint64, p *pace, what paced) {
	if what == paceKept {
		return
	}
	c.limits.set(store, int64(p.limit))
	if c.care.Changed != nil {
		c.care.Changed(store, int64(p.limit), p.decided)
	}
	fields := []zap.Field{
		zap.Uint64("store", store), zap.Int64("bytes_per_second", int64(p.limit)), zap.Duration("latency", p.decided), zap.Duration("max_latency", p.latency),
	}
	switch what {
	case paceSlower:
		c.log.Warn("ingest: a store is slow and gets less", fields...)
	case paceLifted:
		c.log.Info("ingest: a store is fast again and gets all it can take", fields...)
	}
}

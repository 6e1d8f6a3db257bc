package ingest

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff says how errors are waited out: the n-th error in a row without
// progress waits Base*2^n up to Max, plus or minus a fifth at random. After
// Tries of them the run fails.
type Backoff struct {
	Base  time.Duration // default 100ms
	Max   time.Duration // default 30s
	Tries int           // default 40, which with the other defaults is about 16 minutes
}

func (b Backoff) withDefaults() Backoff {
	if b.Base <= 0 {
		b.Base = 100 * time.Millisecond
	}
	if b.Max <= 0 {
		b.Max = 30 * time.Second
	}
	if b.Tries <= 0 {
		b.Tries = 40
	}
	return b
}

// delay returns how long to wait before try n (0-based), at least atLeast.
func (b Backoff) delay(n int, atLeast time.Duration) time.Duration {
	d := b.Max
	if n < 30 && b.Base<<n < b.Max {
		d = b.Base << n
	}
	d += time.Duration((rand.Float64() - 0.5) * 0.4 * float64(d))
	return max(d, atLeast)
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

package tikv

import (
	"context"

	"golang.org/x/time/rate"
)

// rateBurst is how many bytes a limited transfer may move at once.
const rateBurst = 64 << 10

// newLimiter returns a limit in bytes per second; nil, for none, when it is 0.
func newLimiter(bytesPerSecond uint64) *rate.Limiter {
	if bytesPerSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), rateBurst)
}

// waitBytes waits until so many bytes may have been moved.
func waitBytes(ctx context.Context, limit *rate.Limiter, bytes int) error {
	if limit == nil {
		return nil
	}
	for ; bytes > 0; bytes -= rateBurst {
		if err := limit.WaitN(ctx, min(bytes, rateBurst)); err != nil {
			return err
		}
	}
	return nil
}

package ingest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWriteTimeoutLeavesTimeForTheLimit: a write that gets its fair part of a
// store's speed limit must end before its time is up, or no try ever would.
func TestWriteTimeoutLeavesTimeForTheLimit(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{
		{},
		{WriteSpeedLimit: 1 << 20, RegionSplitSize: 256 << 20, Concurrency: 16},
		{WriteSpeedLimit: 100 << 20, RegionSplitSize: 96 << 20, Concurrency: 1},
		{WriteSpeedLimit: 1 << 10, RegionSplitSize: 1 << 20, Concurrency: 64},
	} {
		opts = opts.withDefaults()
		j := &job{runner: &runner{opts: opts}}
		got := j.writeTimeout()
		require.GreaterOrEqual(t, got, writeTimeout)
		if opts.WriteSpeedLimit > 0 {
			fair := time.Duration(opts.RegionSplitSize*int64(opts.Concurrency)/opts.WriteSpeedLimit) * time.Second
			require.Greater(t, got, fair, "%+v", opts)
		}
	}
	// Care may bring the limit down to the least that there is.
	held := Options{RegionSplitSize: 96 << 20, Concurrency: 16}
	require.Greater(t, (&job{runner: &runner{opts: held, careful: &careful{}}}).writeTimeout(), 16*96*time.Second)
	slowest := Options{WriteSpeedLimit: 1, RegionSplitSize: 1 << 40, Concurrency: 1 << 10}
	require.Positive(t, (&job{runner: &runner{opts: slowest}}).writeTimeout())
}

package executor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	b, now := newBackoff(), time.Unix(1000, 0)
	require.True(t, b.over(1, now))
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		length := b.failed(1, now)
		require.Equal(t, want*time.Second, length)
		require.False(t, b.over(1, now.Add(length-1)))
		require.True(t, b.over(2, now), "others don't wait")
		now = now.Add(length)
		require.True(t, b.over(1, now))
	}
	b.forget(1)
	require.Equal(t, firstBackoff, b.failed(1, now), "it had gone on")
}

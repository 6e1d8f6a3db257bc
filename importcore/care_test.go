package importcore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHeldBack(t *testing.T) {
	t.Parallel()
	var h heldBack
	at := func(seconds int) time.Time { return time.Unix(1000+int64(seconds), 0) }
	require.Empty(t, h.told(time.Second))
	h.change(at(0), 1, 0, 0)
	h.change(at(0), 1, 500, 3*time.Second)
	h.change(at(2), 2, 400, 7*time.Second)
	h.change(at(3), 1, 750, time.Millisecond) // faster
	times, lowest := h.now()
	require.EqualValues(t, 2, times)
	require.EqualValues(t, 400, lowest)
	h.change(at(4), 2, 0, time.Millisecond)
	_, lowest = h.now()
	require.EqualValues(t, 750, lowest)
	h.change(at(5), 1, 0, time.Millisecond)
	h.change(at(9), 1, 100, 2*time.Second)
	h.end(at(10))
	h.end(at(11))
	times, lowest = h.now()
	require.EqualValues(t, 3, times)
	require.Zero(t, lowest)
	require.Equal(t, []string{"for 6s stores were written to more slowly, because their answers took up to 7s (max_latency is 1s)"}, h.told(time.Second))
}

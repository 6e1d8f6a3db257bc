package ingest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const mib = 1 << 20

// paceBench answers for a store four times a second, by a clock of its own. The store takes as much as it may get, and at most able.
type paceBench struct {
	*pace
	t    *testing.T
	now  time.Time
	able float64
	told map[paced]int
}

func newPaceBench(t *testing.T, ceiling, able float64) *paceBench {
	return &paceBench{t: t, now: time.Unix(1000, 0), able: able, told: map[paced]int{},
		pace: &pace{latency: 50 * time.Millisecond, ceiling: ceiling}}
}

// one is an answer after that many milliseconds.
func (b *paceBench) one(millis int) paced {
	speed := b.able
	for _, bound := range []float64{b.limit, b.ceiling} {
		if bound > 0 {
			speed = min(speed, bound)
		}
	}
	b.now = b.now.Add(readPause)
	did := b.answer(b.now, time.Duration(millis)*time.Millisecond, speed)
	b.told[did]++
	least := leastOf(b.ceiling)
	require.True(b.t, b.limit == 0 || b.limit >= least, "%f is less than the least", b.limit)
	require.True(b.t, b.ceiling == 0 || b.limit <= b.ceiling)
	return did
}

// until answers like that until the pace decides so, for at most so many seconds, and returns how long it took.
func (b *paceBench) until(want paced, seconds, millis int) time.Duration {
	b.t.Helper()
	began := b.now
	for range 4 * seconds {
		if b.one(millis) == want {
			return b.now.Sub(began)
		}
	}
	require.Fail(b.t, "not decided", "%d within %d s; the limit is %f", want, seconds, b.limit)
	return 0
}

func (b *paceBench) seconds(n, millis int) {
	for range 4 * n {
		b.one(millis)
	}
}

func TestPaceLeavesAFastStoreAlone(t *testing.T) {
	t.Parallel()
	b := newPaceBench(t, 0, 100*mib)
	b.seconds(60, 49)
	for range 30 { // one slow answer of a window
		b.one(5000)
		b.seconds(3, 3)
	}
	require.Zero(t, b.limit)
	require.Len(t, b.told, 1)
}

func TestPaceOfASlowStore(t *testing.T) {
	t.Parallel()
	b := newPaceBench(t, 0, 100*mib)
	b.seconds(10, 5)
	require.LessOrEqual(t, b.until(paceSlower, 10, 80), 3*time.Second, "a store that gets slow is noticed within seconds")
	require.InDelta(t, 50*mib, b.limit, 5*mib)
	require.Equal(t, 80*time.Millisecond, b.decided)
	require.GreaterOrEqual(t, b.until(paceSlower, 10, 80), paceSettle, "a change has time to show its effect")
	require.InDelta(t, 25*mib, b.limit, 3*mib)

	at := b.limit
	b.seconds(30, 45)
	require.InDelta(t, at, b.limit, 0, "neither slow nor fast: just right")

	b.seconds(30, 80)
	require.InDelta(t, leastSpeed, b.limit, 0, "the job goes on")
	slower := b.told[paceSlower]
	b.seconds(60, 80)
	require.Equal(t, slower, b.told[paceSlower])

	require.LessOrEqual(t, b.until(paceFaster, 10, 5), 3*time.Second, "so is one that is fast again")
	require.LessOrEqual(t, b.until(paceLifted, 60, 5), 30*time.Second)
	require.Zero(t, b.limit)
	b.seconds(60, 5)
	require.Zero(t, b.limit)
	require.Equal(t, 1, b.told[paceLifted])
}

// TestPaceSettlesAtWhatTheStoreCanBear: a store that is slow above some speed gets about that.
func TestPaceSettlesAtWhatTheStoreCanBear(t *testing.T) {
	t.Parallel()
	b := newPaceBench(t, 0, 200*mib)
	sum, n := 0.0, 0
	for i := range 4 * 300 {
		millis := 10
		if b.limit == 0 || b.limit > 40*mib {
			millis = 120
		}
		b.one(millis)
		if i >= 4*30 {
			require.NotZero(t, b.limit, "it is never let loose")
			sum, n = sum+b.limit, n+1
		}
	}
	require.InDelta(t, 40*mib, sum/float64(n), 20*mib)
}

func TestPaceUnderACeiling(t *testing.T) {
	t.Parallel()
	b := newPaceBench(t, 4*mib, 100*mib)
	b.seconds(10, 80)
	require.InDelta(t, leastSpeed, b.limit, 0)
	b.until(paceLifted, 10, 5)
	require.Zero(t, b.limit)

	low := newPaceBench(t, 1000, 100*mib)
	low.seconds(60, 80)
	require.Zero(t, low.limit, "what is slow already isn't made slower")
	require.Len(t, low.told, 1)
}

// TestPaceOfAStoreThatTookNothing: nothing is known of its speed when it gets slow.
func TestPaceOfAStoreThatTookNothing(t *testing.T) {
	t.Parallel()
	b := newPaceBench(t, 0, 0)
	b.until(paceSlower, 5, 1000)
	require.InDelta(t, leastSpeed, b.limit, 0)
	b.able = 100 * mib
	b.until(paceLifted, 60, 5)
}

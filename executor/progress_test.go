package executor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMeter follows a steady job through its stages.
func TestMeter(t *testing.T) {
	t.Parallel()
	const source = 1000 << 20
	var m meter
	now := time.Unix(1e9, 0)
	began := now
	percent := -1.0
	// The stages take the shares of the time that the weights say.
	whole := 100 * time.Second
	for now.Sub(began) < whole {
		at := float64(now.Sub(began)) / float64(whole)
		p := Progress{SourceBytes: source, Size: 777, Step: "s"}
		for p.Stage = StageEncode; p.Stage < StageVerify && at >= weights[p.Stage]; p.Stage++ {
			at -= weights[p.Stage]
		}
		p.Done = int64(at / weights[p.Stage] * 777)
		if p.Stage == StageVerify {
			p.Done, p.Size = 0, 0
		}
		out := m.read(now, p)
		elapsed := now.Sub(began)
		require.GreaterOrEqual(t, out.Percent, percent)
		percent = out.Percent
		if p.Stage != StageVerify {
			require.InDelta(t, 100*float64(elapsed)/float64(whole), percent, 0.2)
			require.EqualValues(t, source, out.Current.Size)
			require.LessOrEqual(t, out.Current.Done, out.Current.Size)
		} else {
			require.Zero(t, out.Current)
		}
		if elapsed >= whole/10 && elapsed < whole*95/100 {
			require.InEpsilon(t, (whole - elapsed).Seconds(), out.Total.Left.Seconds(), 0.2, "after %v", elapsed)
			require.InEpsilon(t, source/100, out.Total.Speed, 0.2)
		}
		now = now.Add(time.Second)
	}
	require.Greater(t, percent, 95.0)
}

// TestMeterGoesOn: a job that begins anew, or from an earlier place, doesn't fall back.
func TestMeterGoesOn(t *testing.T) {
	t.Parallel()
	m := meter{percent: 42}
	now := time.Unix(1e9, 0)
	out := m.read(now, Progress{SourceBytes: 100, Size: 100, Done: 50})
	require.InDelta(t, 42, out.Percent, 0)
	require.EqualValues(t, 50, out.Current.Done)
	out = m.read(now.Add(time.Second), Progress{SourceBytes: 100, Size: 100, Done: 10})
	require.InDelta(t, 42, out.Percent, 0)
	require.Zero(t, out.Current.Speed)
	out = m.read(now.Add(2*time.Second), Progress{SourceBytes: 100, Size: 100, Done: 20})
	require.EqualValues(t, 10, out.Current.Speed)
	require.Equal(t, 8*time.Second, out.Current.Left)
	out = m.read(now.Add(3*time.Second), Progress{SourceBytes: 100, Size: 100, Done: 99})
	require.Greater(t, out.Percent, 42.0)
	// A slower time is noticed within the window.
	for i := range 40 {
		out = m.read(now.Add(time.Duration(4+i)*time.Second), Progress{SourceBytes: 100, Size: 100, Done: 99})
	}
	require.Zero(t, out.Current.Speed)
	require.LessOrEqual(t, len(m.samples), 33)
}

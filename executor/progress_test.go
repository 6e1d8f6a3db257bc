package executor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/forecast"
	"github.com/sluicedb/sluice/executor/job"
)

func stepsAt(seconds, encoded, ingested int64) []forecast.Step {
	return []forecast.Step{
		{Name: "encode", Done: encoded, Size: 1000, Took: time.Duration(seconds) * time.Second},
		{Name: "ingest", Done: ingested, Size: 3000},
		{Name: "checksum", Size: 3000, Blind: true},
	}
}

// TestMeter shows what a plan tells as a job's progress.
func TestMeter(t *testing.T) {
	t.Parallel()
	m := newMeter(forecast.Costs{}, job.Progress{})
	out := m.read(Progress{Phase: job.PhaseImporting, Step: "prepare", At: -1, SourceBytes: 1000})
	require.Equal(t, "prepare", out.Step)
	require.Zero(t, out.Current)
	require.Equal(t, job.Meter{Size: 1000}, out.Total)
	for s := range int64(5) {
		out = m.read(Progress{Step: "encode", At: 0, Steps: stepsAt(s, 100*s, 0), SourceBytes: 1000, Rows: 7 * s})
	}
	require.EqualValues(t, 28, *out.Rows)
	require.Equal(t, job.Meter{Done: 400, Size: 1000, Percent: 40, Speed: 100, Left: 6 * time.Second}, out.Current)
	require.InDelta(t, 40, out.Percent, 1)
	require.InDelta(t, 400, out.Total.Done, 10)
	require.InDelta(t, 6, out.Total.Left.Seconds(), 0.1)
	require.InDelta(t, 100, out.Total.Speed, 1)

	// Behind the last step nothing falls.
	last := m.read(Progress{Step: "done", At: -1, Steps: stepsAt(4, 400, 0), SourceBytes: 1000})
	require.Equal(t, out.Percent, last.Percent)
	require.Equal(t, out.Spent, last.Spent)
	done := stepsAt(10, 1000, 3000)
	done[1].Took, done[2].Took, done[2].Done = 5*time.Second, 5*time.Second, 3000
	end := m.finished(Progress{Step: "done", At: -1, Steps: done, SourceBytes: 1000})
	require.Equal(t, job.Progress{Percent: 100, Total: job.Meter{Done: 1000, Size: 1000, Speed: 50}, Spent: []job.Spent{
		{Step: "encode", Seconds: 10, Bytes: 1000, Percent: 100}, {Step: "ingest", Seconds: 5, Bytes: 3000, Percent: 100},
		{Step: "checksum", Seconds: 5, Bytes: 3000, Percent: 100},
	}}, end)
}

// TestMeterGoesOn: a job that begins anew, or from an earlier place, doesn't fall back.
func TestMeterGoesOn(t *testing.T) {
	t.Parallel()
	m := newMeter(forecast.Costs{}, job.Progress{Step: "encode", Percent: 42, Current: job.Meter{Done: 420, Size: 1000, Percent: 42, Speed: 5, Left: time.Hour},
		Spent: []job.Spent{{Step: "encode", Seconds: 42, Bytes: 420, Percent: 42}}})
	require.Equal(t, job.Meter{Done: 420, Size: 1000, Percent: 42}, m.shown().Current, "what it was, but nothing moves")
	m.begin()
	out := m.read(Progress{Step: "prepare", At: -1, Steps: stepsAt(0, 0, 0), SourceBytes: 1000})
	require.InDelta(t, 42, out.Percent, 0)
	require.InDelta(t, 42, out.Spent[0].Percent, 0)
	out = m.read(Progress{Step: "encode", At: 0, Steps: stepsAt(0, 100, 0), SourceBytes: 1000})
	require.InDelta(t, 42, out.Percent, 0.01)
	require.EqualValues(t, 100, out.Current.Done, "what is done is told as it is")
	require.InDelta(t, 42, out.Current.Percent, 0.01)
	require.InDelta(t, 90, out.Current.Left.Seconds(), 1, "at the speed that it had before")
	percent := out.Percent
	for s := range int64(30) {
		out = m.read(Progress{Step: "encode", At: 0, Steps: stepsAt(s, 100+30*s, 0), SourceBytes: 1000})
		require.GreaterOrEqual(t, out.Percent, percent)
		percent = out.Percent
	}
	require.Greater(t, percent, 90.0)
	m.begin()
	out = m.read(Progress{Step: "encode", At: 0, Steps: stepsAt(0, 970, 0), SourceBytes: 1000})
	require.GreaterOrEqual(t, out.Percent, percent)
	require.InDelta(t, 42+29, out.Spent[0].Seconds, 0.01)
}

package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
)

// testSteps: what a job's steps took stays with it, also when its owner changes and when it has ended, and those of
// finished jobs are found, the newest first.
func testSteps(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	none, err := s.Finished(ctx, 3)
	require.NoError(t, err)
	require.Empty(t, none)

	spent := []job.Spent{{Step: "encode", Seconds: 1.5, Bytes: 1 << 40, Percent: 33.25}, {Step: "ingest", Seconds: 2, Bytes: 7, Limited: true}}
	begin := func(table int64) job.Job {
		j, err := s.Create(ctx, aJob(table))
		require.NoError(t, err)
		require.NoError(t, s.Claim(ctx, j.Lease))
		_, err = s.Renew(ctx, j.Lease, job.Progress{Step: "ingest", Spent: spent[:1], Current: job.Meter{Done: 5, Size: 9, Percent: 60}, Percent: 20})
		require.NoError(t, err)
		return j
	}
	get := func(id int64) job.Job {
		j, err := s.Get(ctx, id)
		require.NoError(t, err)
		return j
	}
	first := begin(1)
	require.Equal(t, spent[:1], get(first.ID).Spent)
	require.InDelta(t, 60, get(first.ID).Current.Percent, 0)
	require.NoError(t, s.Release(ctx, first.Lease, ""))
	lease, err := s.Adopt(ctx, job.Lease{JobID: first.ID, Term: first.Lease.Term})
	require.NoError(t, err)
	require.NoError(t, s.Claim(ctx, lease))
	require.Equal(t, spent[:1], get(first.ID).Spent)
	last := job.Progress{Percent: 100, Spent: spent, Total: job.Meter{Done: 12, Size: 12, Speed: 3}}
	require.NoError(t, s.End(ctx, lease, job.Outcome{Status: job.Finished, Progress: &last, Rows: ptr(4)}))
	ended := get(first.ID)
	require.Equal(t, spent, ended.Spent)
	require.EqualValues(t, 3, ended.Total.Speed)
	require.EqualValues(t, 4, *ended.Rows)
	require.InDelta(t, 100, ended.Percent, 0)
	require.Zero(t, ended.Current)

	// One that fails keeps where it was, and its percentage doesn't fall.
	second := begin(2)
	last = job.Progress{Step: "ingest", Percent: 10, Spent: spent[1:], Current: job.Meter{Done: 4, Size: 9, Percent: 61}}
	require.NoError(t, s.End(ctx, second.Lease, job.Outcome{Status: job.Failed, Progress: &last}))
	ended = get(second.ID)
	require.Equal(t, job.Progress{Step: "ingest", Percent: 20, Spent: spent[1:], Current: last.Current, Total: job.Meter{Size: ended.SourceBytes}}, ended.Progress)

	third := begin(3)
	last = job.Progress{Percent: 100, Spent: spent[1:]}
	require.NoError(t, s.End(ctx, third.Lease, job.Outcome{Status: job.Finished, Progress: &last}))
	require.NoError(t, s.End(ctx, begin(4).Lease, job.Outcome{Status: job.Cancelled}))
	all, err := s.Finished(ctx, 3)
	require.NoError(t, err)
	require.Equal(t, [][]job.Spent{spent[1:], spent}, all)
	one, err := s.Finished(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, all[:1], one)
}

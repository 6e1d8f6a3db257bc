package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
)

// testEvents: each change of a job leaves one event, however often it is said because of lost answers, and what is
// refused leaves none.
func testEvents(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	schema := newSchema()
	a, b := open(t, p, schema, "a:1", time.Minute), open(t, p, schema, "b:1", time.Minute)
	j := running(t, a, 1)
	require.NoError(t, a.Claim(ctx, j.Lease), "the answer to the first call may have been lost")
	require.NoError(t, a.Waits(ctx, j.Lease, "TiKV is away"))
	require.ErrorIs(t, b.Waits(ctx, job.Lease{JobID: j.ID, Owner: "b:1", Term: 1}, "not mine"), jobstore.ErrLost)
	for range 2 {
		done, err := b.RequestPause(ctx, j.ID, "v@%")
		require.NoError(t, err)
		require.True(t, done)
	}
	require.NoError(t, a.Pause(ctx, j.Lease, "why"))
	done, err := b.RequestPause(ctx, j.ID, "v@%")
	require.NoError(t, err)
	require.False(t, done)
	_, err = b.Alter(ctx, j.ID, "v@%", "SET thread = 2", func(options, task string) (string, string, error) { return options, task, nil })
	require.NoError(t, err)
	_, err = b.Resume(ctx, j.ID, "v@%")
	require.NoError(t, err)
	mine, err := b.Adopt(ctx, job.Lease{JobID: j.ID, Term: 1})
	require.NoError(t, err)
	require.ErrorIs(t, a.Claim(ctx, j.Lease), jobstore.ErrLost)
	require.NoError(t, b.Claim(ctx, mine))
	_, err = a.RequestCancel(ctx, j.ID, "w@%")
	require.NoError(t, err)
	require.NoError(t, b.Release(ctx, mine, "b stops"))
	again, err := a.Adopt(ctx, job.Lease{JobID: j.ID, Term: 2})
	require.NoError(t, err)
	require.NoError(t, a.Claim(ctx, again))
	require.NoError(t, a.End(ctx, again, job.Outcome{Status: job.Cancelled, Message: "cancelled by user"}))
	ended, err := a.Get(ctx, j.ID)
	require.NoError(t, err)
	_, err = a.Retry(ctx, &ended, true, "x@%")
	require.NoError(t, err)

	events, err := b.Events(ctx, j.ID)
	require.NoError(t, err)
	for i := range events {
		require.EqualValues(t, i+1, events[i].Seq)
		require.WithinDuration(t, time.Now(), events[i].Time, time.Hour)
		events[i].Seq, events[i].Time = 0, time.Time{}
	}
	require.Equal(t, []job.Event{
		{Kind: job.EventAccepted, Account: "u@%", Instance: "a:1", Term: 1, Status: job.Pending},
		{Kind: job.EventStarted, Instance: "a:1", Term: 1, Status: job.Running},
		{Kind: job.EventWaiting, Instance: "a:1", Term: 1, Status: job.Running, Message: "TiKV is away"},
		{Kind: job.EventPauseAsked, Account: "v@%", Instance: "b:1", Term: 1, Status: job.Running},
		{Kind: job.EventPaused, Instance: "a:1", Term: 1, Status: job.Paused, Message: "why"},
		{Kind: job.EventAltered, Account: "v@%", Instance: "b:1", Term: 1, Status: job.Paused, Message: "SET thread = 2"},
		{Kind: job.EventResumed, Account: "v@%", Instance: "b:1", Term: 1, Status: job.Pending},
		{Kind: job.EventAdopted, Instance: "b:1", Term: 2, Status: job.Pending},
		{Kind: job.EventStarted, Instance: "b:1", Term: 2, Status: job.Running},
		{Kind: job.EventCancelAsked, Account: "w@%", Instance: "a:1", Term: 2, Status: job.Running},
		{Kind: job.EventGivenBack, Instance: "b:1", Term: 2, Status: job.Pending, Message: "b stops"},
		{Kind: job.EventAdopted, Instance: "a:1", Term: 3, Status: job.Pending},
		{Kind: job.EventStarted, Instance: "a:1", Term: 3, Status: job.Running},
		{Kind: job.EventCancelled, Instance: "a:1", Term: 3, Status: job.Cancelled, Message: "cancelled by user"},
		{Kind: job.EventRetried, Account: "x@%", Instance: "a:1", Term: 3, Status: job.Pending},
	}, events)
}

// TestShowEvents shows them to a user, in the session's time zone.
func TestShowEvents(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	out := s.background(t.Context(), importA)
	p := <-f.running
	zone := func(offset string) string {
		s.must("SET time_zone = '" + offset + "'")
		r, err := s.run(t.Context(), "SHOW IMPORT JOB 1 EVENTS")
		require.NoError(t, err)
		require.Len(t, r.Rows, 2)
		require.Equal(t, []string{"1", "accepted", "pending", "2", "started", "running"}, []string{
			string(r.Rows[0][0]), string(r.Rows[0][2]), string(r.Rows[0][3]), string(r.Rows[1][0]), string(r.Rows[1][2]), string(r.Rows[1][3])})
		require.Equal(t, s.row("SHOW IMPORT JOB 1")["Created_By"], string(r.Rows[0][4]))
		require.Nil(t, r.Rows[1][4], "nobody asked for it")
		return string(r.Rows[0][1])
	}
	const layout = "2006-01-02 15:04:05.999999"
	utc, err := time.Parse(layout, zone("+00:00"))
	require.NoError(t, err)
	there, err := time.Parse(layout, zone("+03:00"))
	require.NoError(t, err)
	require.Equal(t, 3*time.Hour, there.Sub(utc))
	p.end(1, nil)
	require.NoError(t, (<-out).err)
}

package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore/badrows"
)

// state reads a job.
func state(t *testing.T, s *jobstore.Store, id int64) job.Job {
	t.Helper()
	j, err := s.Get(t.Context(), id)
	require.NoError(t, err)
	return j
}

// running makes a job and claims it.
func running(t *testing.T, s *jobstore.Store, tableID int64) job.Job {
	t.Helper()
	j, err := s.Create(t.Context(), aJob(tableID))
	require.NoError(t, err)
	require.NoError(t, s.Claim(t.Context(), j.Lease))
	return j
}

func testPause(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	_, err := s.RequestPause(ctx, 9, "u@%")
	require.ErrorIs(t, err, jobstore.ErrNotFound)
	j := running(t, s, 7)
	done, err := s.Resume(ctx, j.ID, "u@%")
	require.NoError(t, err)
	require.False(t, done, "only a paused job can be resumed")
	for range 2 {
		done, err = s.RequestPause(ctx, j.ID, "u@%")
		require.NoError(t, err)
		require.True(t, done)
	}
	wanted, err := s.Renew(ctx, j.Lease, job.Progress{Percent: 40, Current: job.Meter{Speed: 3}})
	require.NoError(t, err)
	require.Equal(t, job.Control{PauseRequested: true}, wanted)
	require.NoError(t, s.SaveCheckpoint(ctx, j.Lease, []byte("c")))
	require.NoError(t, s.Pause(ctx, j.Lease, "why"))

	paused := state(t, s, j.ID)
	require.Equal(t, job.Paused, paused.Status)
	require.Equal(t, job.Lease{JobID: j.ID, Term: 1}, paused.Lease, "nobody owns it")
	require.Equal(t, "why", paused.Message)
	require.InDelta(t, 40, paused.Percent, 0)
	require.Zero(t, paused.Current.Speed)
	held, err := s.Held(ctx)
	require.NoError(t, err)
	require.Empty(t, held, "nobody needs to look after it")
	_, err = s.Create(ctx, aJob(7))
	require.ErrorIs(t, err, jobstore.ErrTableBusy, "a paused job holds its table")
	for _, late := range []error{
		s.Pause(ctx, j.Lease, ""), s.Release(ctx, j.Lease, ""), s.End(ctx, j.Lease, job.Outcome{Status: job.Finished}), s.Claim(ctx, j.Lease),
		s.SaveCheckpoint(ctx, j.Lease, []byte("late")), s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 1, []badrows.Record{{}}),
	} {
		require.ErrorIs(t, late, jobstore.ErrLost)
	}
	done, err = s.RequestPause(ctx, j.ID, "u@%")
	require.NoError(t, err)
	require.False(t, done)

	done, err = s.Resume(ctx, j.ID, "u@%")
	require.NoError(t, err)
	require.True(t, done)
	again := state(t, s, j.ID)
	require.Equal(t, job.Pending, again.Status)
	require.False(t, again.PauseRequested)
	require.Empty(t, again.Message)
	data, err := s.LoadCheckpoint(ctx, j.ID)
	require.NoError(t, err)
	require.Equal(t, "c", string(data))

	// A paused job whose cancellation is asked for is there for whoever sees to that.
	require.NoError(t, s.Pause(ctx, again.Lease, ""))
	done, err = s.RequestCancel(ctx, j.ID, "u@%")
	require.NoError(t, err)
	require.True(t, done)
	again = state(t, s, j.ID)
	require.Equal(t, job.Pending, again.Status)
	require.True(t, again.CancelRequested)
	require.NoError(t, s.Pause(ctx, again.Lease, ""))
	require.Equal(t, job.Pending, state(t, s, j.ID).Status, "a cancellation wins over a pause")
	require.NoError(t, s.End(ctx, again.Lease, job.Outcome{Status: job.Cancelled}))
	data, err = s.LoadCheckpoint(ctx, j.ID)
	require.NoError(t, err)
	require.NotEmpty(t, data, "the core removes it, unless the table holds rows of the job")
}

func testRetry(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	j := running(t, s, 7)
	again := state(t, s, j.ID)
	again.Task = "{}"
	done, err := s.Retry(ctx, &again, true, "u@%")
	require.NoError(t, err)
	require.False(t, done, "it runs")
	require.NoError(t, s.SaveCheckpoint(ctx, j.Lease, []byte("c")))
	require.NoError(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 1, []badrows.Record{{File: "f"}}))
	_, err = s.RequestCancel(ctx, j.ID, "u@%")
	require.NoError(t, err)
	_, err = s.Renew(ctx, j.Lease, job.Progress{Percent: 60, Rows: ptr(3)})
	require.NoError(t, err)
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Failed, ErrorCode: 1062, Message: "m"}))

	other, err := s.Create(ctx, aJob(7))
	require.NoError(t, err)
	_, err = s.Retry(ctx, &again, false, "u@%")
	require.ErrorIs(t, err, jobstore.ErrTableBusy)
	require.Equal(t, job.Failed, state(t, s, j.ID).Status)
	require.NoError(t, s.End(ctx, other.Lease, job.Outcome{Status: job.Cancelled}))

	done, err = s.Retry(ctx, &again, false, "u@%")
	require.NoError(t, err)
	require.True(t, done)
	got := state(t, s, j.ID)
	require.Equal(t, job.Pending, got.Status)
	require.Equal(t, job.Lease{JobID: j.ID, Term: 1}, got.Lease)
	require.Zero(t, got.Control)
	require.Zero(t, got.ErrorCode)
	require.Empty(t, got.Message)
	require.True(t, got.EndTime.IsZero())
	require.InDelta(t, 60, got.Percent, 0)
	require.EqualValues(t, 1, got.ErrorRows)
	data, err := s.LoadCheckpoint(ctx, j.ID)
	require.NoError(t, err)
	require.Equal(t, "c", string(data))
	_, err = s.Create(ctx, aJob(7))
	require.ErrorIs(t, err, jobstore.ErrTableBusy)

	lease, err := s.Adopt(ctx, got.Lease)
	require.NoError(t, err)
	require.NoError(t, s.End(ctx, lease, job.Outcome{Status: job.Failed}))
	again.TableID, again.SourceBytes, again.Task = 70, 71, `{"x":1}`
	done, err = s.Retry(ctx, &again, true, "u@%")
	require.NoError(t, err)
	require.True(t, done)
	got = state(t, s, j.ID)
	require.EqualValues(t, 70, got.TableID)
	require.EqualValues(t, 71, got.SourceBytes)
	require.Zero(t, got.Percent)
	require.Nil(t, got.Rows)
	require.Zero(t, got.ErrorRows)
	task, err := s.Task(ctx, j.ID)
	require.NoError(t, err)
	require.JSONEq(t, `{"x":1}`, task)
	data, err = s.LoadCheckpoint(ctx, j.ID)
	require.NoError(t, err)
	require.Nil(t, data)
	rows, err := s.BadRows(ctx, j.ID, 0, 10)
	require.NoError(t, err)
	require.Empty(t, rows)
	_, err = s.Create(ctx, aJob(7))
	require.NoError(t, err, "the job's table is another one now")
}

func testAlter(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	j := running(t, s, 7)
	double := func(options, task string) (string, string, error) { return options + options, task + task, nil }
	done, err := s.Alter(ctx, j.ID, "u@%", "what", double)
	require.NoError(t, err)
	require.True(t, done)
	wanted, err := s.Renew(ctx, j.Lease, job.Progress{})
	require.NoError(t, err)
	require.Equal(t, job.Control{Settings: 1}, wanted)
	require.Equal(t, strings.Repeat(j.Options, 2), state(t, s, j.ID).Options)
	task, err := s.Task(ctx, j.ID)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat(aJob(7).Task, 2), task)
	_, err = s.Alter(ctx, j.ID, "u@%", "what", func(string, string) (string, string, error) { return "", "", errBoom })
	require.ErrorIs(t, err, errBoom)
	require.EqualValues(t, 1, state(t, s, j.ID).Settings)
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Finished}))
	done, err = s.Alter(ctx, j.ID, "u@%", "what", double)
	require.NoError(t, err)
	require.False(t, done)
}

// heldJob returns what Held says of a job.
func heldJob(t *testing.T, s *jobstore.Store, id int64) jobstore.Held {
	t.Helper()
	held, err := s.Held(t.Context())
	require.NoError(t, err)
	for _, h := range held {
		if h.Lease.JobID == id {
			return h
		}
	}
	require.Fail(t, "not held", "job %d", id)
	return jobstore.Held{}
}

func testTakeover(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	schema := newSchema()
	p.Process = "boot/ns/1/2"
	// The dead owner's leases are over at once; those of the living aren't.
	dead := open(t, p, schema, "dead:1", time.Microsecond)
	p.Process = ""
	alive, other := open(t, p, schema, "alive:1", time.Hour), open(t, p, schema, "other:1", time.Microsecond)
	lost := running(t, dead, 7)
	require.NoError(t, dead.SaveCheckpoint(ctx, lost.Lease, []byte("c")))
	kept := running(t, alive, 8)

	h := heldJob(t, alive, lost.ID)
	require.Equal(t, lost.Lease, h.Lease)
	require.Equal(t, job.Running, h.Status)
	require.Equal(t, job.FormatVersion, h.FormatVersion)
	require.Equal(t, "boot/ns/1/2", h.Process)
	require.True(t, h.Expired)
	require.False(t, h.Abandoned, "a store waits one more lease of its own")
	require.True(t, h.Checkpoint)
	require.True(t, heldJob(t, other, lost.ID).Abandoned)
	h = heldJob(t, other, kept.ID)
	require.False(t, h.Expired || h.Abandoned || h.Checkpoint)

	require.NoError(t, alive.Release(ctx, lost.Lease, ""))
	require.ErrorIs(t, other.Release(ctx, lost.Lease, ""), jobstore.ErrLost, "once is enough")
	_, err := dead.Renew(ctx, lost.Lease, job.Progress{})
	require.ErrorIs(t, err, jobstore.ErrLost, "the late owner is fenced")
	require.ErrorIs(t, dead.SaveCheckpoint(ctx, lost.Lease, []byte("late")), jobstore.ErrLost)
	h = heldJob(t, alive, lost.ID)
	require.Equal(t, job.Lease{JobID: lost.ID, Term: 1}, h.Lease)
	require.Equal(t, job.Pending, h.Status)
	require.Less(t, h.Waiting, time.Hour)
	require.GreaterOrEqual(t, h.Waiting, time.Duration(0))

	mine, err := alive.Adopt(ctx, h.Lease)
	require.NoError(t, err)
	require.Equal(t, job.Lease{JobID: lost.ID, Owner: "alive:1", Term: 2}, mine)
	_, err = other.Adopt(ctx, h.Lease)
	require.ErrorIs(t, err, jobstore.ErrLost)
	require.NoError(t, alive.Claim(ctx, mine))
	require.Equal(t, mine, state(t, other, lost.ID).Lease)
	// The same instance again, with the term of its earlier life.
	require.NoError(t, alive.Release(ctx, mine, ""))
	again, err := dead.Adopt(ctx, job.Lease{JobID: lost.ID, Term: 2})
	require.NoError(t, err)
	require.EqualValues(t, 3, again.Term)
	require.ErrorIs(t, dead.Claim(ctx, lost.Lease), jobstore.ErrLost)
	_, err = alive.Create(ctx, aJob(7))
	require.ErrorIs(t, err, jobstore.ErrTableBusy, "the job holds its table all the time")
}

func testCheckpoint(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	j, err := s.Create(ctx, aJob(7))
	require.NoError(t, err)
	require.ErrorIs(t, s.SaveCheckpoint(ctx, j.Lease, []byte("x")), jobstore.ErrLost, "it doesn't run")
	require.NoError(t, s.Claim(ctx, j.Lease))
	data, err := s.LoadCheckpoint(ctx, j.ID)
	require.NoError(t, err)
	require.Nil(t, data)
	big := bytes.Repeat([]byte{0, 0xff, '\'', '\\', 0x80}, jobstore.MaxCheckpoint/5)
	for _, want := range [][]byte{[]byte("first"), big, []byte("last\x00")} {
		require.NoError(t, s.SaveCheckpoint(ctx, j.Lease, want))
		data, err = s.LoadCheckpoint(ctx, j.ID)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, data))
	}
	require.ErrorContains(t, s.SaveCheckpoint(ctx, j.Lease, make([]byte, jobstore.MaxCheckpoint+1)), "at most")
	stranger := j.Lease
	stranger.Term++
	require.ErrorIs(t, s.SaveCheckpoint(ctx, stranger, []byte("y")), jobstore.ErrLost)
	data, err = s.LoadCheckpoint(ctx, j.ID)
	require.NoError(t, err)
	require.Equal(t, "last\x00", string(data))

	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Failed}))
	data, err = s.LoadCheckpoint(ctx, j.ID)
	require.NoError(t, err)
	require.NotEmpty(t, data, "a failed job keeps it")
	j = running(t, s, 8)
	require.NoError(t, s.SaveCheckpoint(ctx, j.Lease, []byte("z")))
	require.True(t, heldJob(t, s, j.ID).Checkpoint)
	require.NoError(t, s.SaveCheckpoint(ctx, j.Lease, nil))
	require.False(t, heldJob(t, s, j.ID).Checkpoint, "nothing is none")
	require.NoError(t, s.SaveCheckpoint(ctx, j.Lease, []byte("z")))
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Finished}))
	data, err = s.LoadCheckpoint(ctx, j.ID)
	require.NoError(t, err)
	require.Nil(t, data, "a finished one doesn't")
}

func testRemoveEnded(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	schema := newSchema()
	s := open(t, p, schema, "a:1", time.Minute)
	old, young, active := running(t, s, 1), running(t, s, 2), running(t, s, 3)
	for _, j := range []job.Job{old, young, active} {
		records := make([]badrows.Record, 2500)
		require.NoError(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 1, records))
		require.NoError(t, s.SaveCheckpoint(ctx, j.Lease, []byte("c")))
	}
	require.NoError(t, s.End(ctx, old.Lease, job.Outcome{Status: job.Failed}))
	require.NoError(t, s.End(ctx, young.Lease, job.Outcome{Status: job.Failed}))
	c := connect(t, p)
	quoted := "`" + strings.ReplaceAll(schema, "`", "``") + "`"
	_, err := c.Execute("UPDATE " + quoted + ".jobs SET end_time = end_time - INTERVAL 2 HOUR WHERE id IN (1, 3)")
	require.NoError(t, err)
	_, err = c.Execute("UPDATE " + quoted + ".jobs SET kind = 'restore' WHERE id IN (1, 2)")
	require.NoError(t, err)
	var told []string
	away := errors.New("away")
	n, err := s.RemoveEnded(ctx, time.Hour, func(_ context.Context, checkpoint []byte) error {
		told = append(told, string(checkpoint))
		_, err := c.Execute("BEGIN /*T! PESSIMISTIC */")
		require.NoError(t, err)
		_, err = c.Execute("SELECT id FROM " + quoted + ".jobs WHERE id = 1 FOR UPDATE NOWAIT")
		require.Error(t, err, "nobody can try the job again meanwhile")
		_, err = c.Execute("ROLLBACK")
		require.NoError(t, err)
		return away
	})
	require.ErrorIs(t, err, away)
	require.Zero(t, n)
	kept, err := s.LoadCheckpoint(ctx, old.ID)
	require.NoError(t, err)
	require.Equal(t, "c", string(kept))
	forget := func(_ context.Context, checkpoint []byte) error {
		told = append(told, string(checkpoint))
		return nil
	}
	n, err = s.RemoveEnded(ctx, time.Hour, forget)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Equal(t, []string{"c", "c"}, told, "of the old restore alone")
	_, err = s.Get(ctx, old.ID)
	require.ErrorIs(t, err, jobstore.ErrNotFound)
	r, err := c.Execute("SELECT COUNT(*), COUNT(DISTINCT job_id), MIN(job_id), (SELECT COUNT(*) FROM " + quoted + ".checkpoints) FROM " + quoted + ".job_errors")
	require.NoError(t, err)
	for i, want := range []int64{5000, 2, young.ID, 2} {
		got, err := r.GetInt(0, i)
		require.NoError(t, err)
		require.Equal(t, want, got, i)
	}
	for id, events := range map[int64]int{old.ID: 0, young.ID: 3, active.ID: 2} {
		have, err := s.Events(ctx, id)
		require.NoError(t, err)
		require.Len(t, have, events)
	}
	n, err = s.RemoveEnded(ctx, time.Hour, forget)
	require.NoError(t, err)
	require.Zero(t, n)
}

// testUpgrade brings tables of the version before to the present one.
func testUpgrade(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	p.Schema, p.Owner = newSchema(), "m"
	none := p
	none.Existing = true
	_, err := jobstore.Open(ctx, none)
	require.ErrorIs(t, err, jobstore.ErrNoTables)
	s, err := jobstore.Open(ctx, p)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	j := running(t, s, 7)
	c := connect(t, p)
	quoted := "`" + strings.ReplaceAll(p.Schema, "`", "``") + "`"
	for _, sql := range append(beforeJobTables,
		"DELETE FROM %s.migrations WHERE version > 2", "DROP TABLE %s.checkpoints", "UPDATE %s.jobs SET format_version = 1",
		"ALTER TABLE %s.jobs DROP COLUMN pause_requested", "ALTER TABLE %s.jobs DROP COLUMN task", "ALTER TABLE %s.jobs DROP COLUMN percent",
	) {
		_, err := c.Execute(fmt.Sprintf(sql, quoted))
		require.NoError(t, err, sql)
	}
	again, err := jobstore.Open(ctx, none)
	require.NoError(t, err, "there are tables")
	t.Cleanup(again.Close)
	old := state(t, again, j.ID)
	require.Equal(t, 1, old.FormatVersion)
	require.Zero(t, old.Percent)
	task, err := again.Task(ctx, j.ID)
	require.NoError(t, err)
	require.Empty(t, task)
	require.NoError(t, again.End(ctx, j.Lease, job.Outcome{Status: job.Finished}))
}

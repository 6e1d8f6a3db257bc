package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore"
)

// controlTwo is a job's Sluice and another one in front of the same cluster, with
// sessions of root.
func controlTwo(t *testing.T) (f, f2 *fakeEngine, s, other *session, schema string) {
	t.Helper()
	f, _, s, schema = fakeSetup(t)
	f2 = newFakeEngine()
	other = sessionOf(t, fakeExecutor(t, f2, schema, "fake:2"), "root", "", s.conn.GetDB())
	return f, f2, s, other, schema
}

// TestPauseAndResume by the owner's client, or at another Sluice.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	for name, remote := range map[string]bool{"owner": false, "other Sluice": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, f2, s, other, _ := controlTwo(t)
			by := sessionOf(t, s.e, "root", "", "")
			if remote {
				by = other
			}
			out := s.background(t.Context(), importA+" WITH group_key='g'")
			p := <-f.running
			require.NoError(t, p.task.Checkpoints.Save(t.Context(), []byte("half")))
			require.Contains(t, by.fails(8171, "RESUME IMPORT JOB 1"), "RESUME")
			require.Contains(t, by.fails(8171, "RETRY IMPORT JOB 1"), "RETRY")
			began := time.Now()
			r, err := by.run(t.Context(), "PAUSE IMPORT JOB 1")
			require.NoError(t, err)
			require.Empty(t, r.Columns)
			t.Logf("paused within %v", time.Since(began))
			code, message := (<-out).message(t)
			require.EqualValues(t, 1317, code)
			require.Contains(t, message, "paused by user: RESUME IMPORT JOB")
			row := by.row("SHOW IMPORT JOB 1")
			require.Equal(t, "paused", row["Status"])
			require.NotContains(t, row, "End_Time")
			require.Contains(t, by.fails(8171, "PAUSE IMPORT JOB 1"), "PAUSE")
			require.Contains(t, by.fails(8173, importAIn(s)), "there is active job on the target table already")

			_, err = by.run(t.Context(), "RESUME IMPORT JOB 1")
			require.NoError(t, err)
			var again *fakePlan
			select {
			case again = <-f.running:
			case again = <-f2.running:
			}
			data, err := again.task.Checkpoints.Load(t.Context())
			require.NoError(t, err)
			require.Equal(t, "half", string(data))
			require.Equal(t, p.task.Spec, again.task.Spec, "who runs it makes no difference")
			again.end(5, nil)
			waitState(t, by, "1", "finished")
			group := by.row("SHOW IMPORT GROUP 'g'")
			require.Equal(t, "1", group["Total_Jobs"])
			require.Equal(t, "1", group["Completed"])
		})
	}
}

// importAIn is importA for a session without a current database.
func importAIn(s *session) string {
	return strings.Replace(importA, "INTO a", "INTO "+s.conn.GetDB()+".a", 1)
}

// TestEngineIsTold: what stops a job says whether it goes on later.
func TestEngineIsTold(t *testing.T) {
	t.Parallel()
	for verb, goesOn := range map[string]bool{"PAUSE": true, "CANCEL": false} {
		f, _, s, _ := fakeSetup(t)
		s.row(importA + " WITH detached")
		p := <-f.running
		_, err := s.run(t.Context(), verb+" IMPORT JOB 1")
		require.NoError(t, err)
		require.Equal(t, goesOn, errors.Is(<-p.stopped, importcore.ErrPaused))
	}
}

// TestPausedWhileWaiting: a job that waits for its turn, and one that nobody
// owns, can be paused and cancelled.
func TestPausedWhileWaiting(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	s.row(importA + " WITH detached")
	first := <-f.running
	s.row("IMPORT INTO b FROM '/d/b.csv' WITH detached")
	_, err := s.run(t.Context(), "PAUSE IMPORT JOB 2")
	require.NoError(t, err)
	require.Equal(t, "paused", s.row("SHOW IMPORT JOB 2")["Status"])
	_, err = s.run(t.Context(), "RESUME IMPORT JOB 2")
	require.NoError(t, err)
	require.Equal(t, "pending", s.row("SHOW IMPORT JOB 2")["Status"])
	_, err = s.run(t.Context(), "PAUSE IMPORT JOB 2")
	require.NoError(t, err)
	_, err = s.run(t.Context(), "CANCEL IMPORT JOB 2")
	require.NoError(t, err)
	require.Equal(t, "cancelled", s.row("SHOW IMPORT JOB 2")["Status"])
	first.end(1, nil)
	waitState(t, s, "1", "finished")
}

// pausedHalfway leaves job 1 paused, with a checkpoint.
func pausedHalfway(t *testing.T, f *fakeEngine, s *session) *fakePlan {
	t.Helper()
	s.row(importA + " WITH detached")
	p := <-f.running
	require.NoError(t, p.task.Checkpoints.Save(t.Context(), []byte("half")))
	_, err := s.run(t.Context(), "PAUSE IMPORT JOB 1")
	require.NoError(t, err)
	return p
}

// TestCancelOfAPausedJob puts right what the job has left before it ends.
func TestCancelOfAPausedJob(t *testing.T) {
	t.Parallel()
	f, f2, s, other, _ := controlTwo(t)
	p := pausedHalfway(t, f, s)
	_, err := other.run(t.Context(), "CANCEL IMPORT JOB 1")
	require.NoError(t, err)
	var task executor.Task
	select {
	case task = <-f.cleaned:
	case task = <-f2.cleaned:
	}
	require.Equal(t, p.task.Spec, task.Spec)
	row := other.row("SHOW IMPORT JOB 1")
	require.Equal(t, "cancelled", row["Status"])
	require.Equal(t, "cancelled by user; table `"+s.conn.GetDB()+"`.`a` was emptied again", row["Result_Message"])
}

// TestCleanUpIsNotStopped: what a cancelled job has left is put right to the end, though its row says all the while
// that it is to be cancelled, and its user says it again.
func TestCleanUpIsNotStopped(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	f.abandoning = func(ctx context.Context) error {
		close(begun)
		<-goOn
		return context.Cause(ctx)
	}
	pausedHalfway(t, f, s)
	_, err := s.run(t.Context(), "CANCEL IMPORT JOB 1")
	require.NoError(t, err)
	<-begun
	_, err = s.run(t.Context(), "CANCEL IMPORT JOB 1") // answers after a while, in which the heartbeat looks too
	require.NoError(t, err)
	close(goOn)
	require.Contains(t, waitState(t, s, "1", "cancelled")["Result_Message"], "was emptied again")
}

// TestCancelBeforeAJobGoesOn: a job that is cancelled while it is looked at anew has what it left put right.
func TestCancelBeforeAJobGoesOn(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	pausedHalfway(t, f, s)
	planning, goOn := make(chan struct{}), make(chan struct{})
	f.planErr = func(int64) error { // nobody plans meanwhile
		close(planning)
		<-goOn
		return context.Canceled // by then
	}
	_, err := s.run(t.Context(), "RESUME IMPORT JOB 1")
	require.NoError(t, err)
	<-planning
	_, err = s.run(t.Context(), "CANCEL IMPORT JOB 1")
	require.NoError(t, err)
	close(goOn)
	require.Contains(t, waitState(t, s, "1", "cancelled")["Result_Message"], "was emptied again")
}

// TestCancelBeforeAJobsTurn: a job that has left something and waits for its turn when it is cancelled, or for its
// claim, has that put right.
func TestCancelBeforeAJobsTurn(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	pausedHalfway(t, f, s)
	s.row("IMPORT INTO b FROM '/d/b.csv' WITH detached")
	busy := <-f.running
	_, err := s.run(t.Context(), "RESUME IMPORT JOB 1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // until it has an owner again
		r, err := s.run(t.Context(), "SHOW IMPORT JOB 1 EVENTS")
		require.NoError(t, err)
		return string(r.Rows[len(r.Rows)-1][2]) == string(job.EventAdopted)
	}, 5*time.Minute, 20*time.Millisecond)
	_, err = s.run(t.Context(), "CANCEL IMPORT JOB 1")
	require.NoError(t, err)
	require.Contains(t, waitState(t, s, "1", "cancelled")["Result_Message"], "was emptied again")
	busy.end(1, nil)
	waitState(t, s, "2", "finished")
}

// TestRetry of a failed job begins anew, with the table and the files as they are.
func TestRetry(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	s.row(importA + " WITH detached, skip_rows=3")
	(<-f.running).end(0, errBoom)
	waitState(t, s, "1", "failed")
	f.tableID = func(int64, executor.Task) int64 { return 4711 }
	require.Contains(t, s.fails(8171, "RESUME IMPORT JOB 1"), "RESUME")
	_, err := s.run(t.Context(), "RETRY IMPORT JOB 1")
	require.NoError(t, err)
	p := <-f.running
	require.EqualValues(t, 3, p.task.Options.SkipRows)
	require.Equal(t, "4711", s.row("SHOW IMPORT JOB 1")["Table_ID"])
	require.Contains(t, s.fails(8171, "RETRY IMPORT JOB 1"), "RETRY")
	p.end(2, nil)
	row := waitState(t, s, "1", "finished")
	require.Empty(t, row["Result_Message"])
	require.Contains(t, s.fails(8171, "RETRY IMPORT JOB 1"), "RETRY", "a finished job stays so")
}

// TestRetryGoesOnFromItsCheckpoint, if it has one.
func TestRetryGoesOnFromItsCheckpoint(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	s.row(importA + " WITH detached")
	p := <-f.running
	require.NoError(t, p.task.Checkpoints.Save(t.Context(), []byte("half")))
	p.end(0, errBoom)
	waitState(t, s, "1", "failed")
	plans := f.plans.Load()
	_, err := s.run(t.Context(), "RETRY IMPORT JOB 1")
	require.NoError(t, err)
	p = <-f.running
	require.Equal(t, plans+1, f.plans.Load(), "the table has rows by now: only whoever goes on with the job may look at it")
	data, err := p.task.Checkpoints.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, "half", string(data))
	p.end(2, nil)
	waitState(t, s, "1", "finished")
}

// TestAlter gives a running job other settings at once, also from another Sluice.
func TestAlter(t *testing.T) {
	t.Parallel()
	f, _, s, other, _ := controlTwo(t)
	out := s.background(t.Context(), importA+" WITH thread=1")
	p := <-f.running
	require.Equal(t, 1, p.task.Threads)
	_, err := other.run(t.Context(), "ALTER IMPORT JOB 1 SET thread = 2, max_write_speed = '1MiB', disk_quota = '1GiB'")
	require.NoError(t, err)
	require.ErrorIs(t, <-p.stopped, importcore.ErrPaused, "it keeps what it has done")
	p = <-f.running
	require.Equal(t, 2, p.task.Threads)
	require.EqualValues(t, 1<<20, p.task.MaxWriteSpeed)
	require.EqualValues(t, 1<<30, p.task.DiskQuota)
	require.EqualValues(t, 1, p.task.JobID)
	require.Contains(t, other.fails(8164, "ALTER IMPORT JOB 1 SET disk_quota = '1KiB'"), "the least is 1MiB")
	p.end(3, nil)
	require.NoError(t, (<-out).err)
	require.Contains(t, other.fails(8171, "ALTER IMPORT JOB 1 SET thread = 1"), "ALTER")
}

// TestShutdownHandsOver: no job is lost with the Sluice that runs it, blocking
// or not, and its clients hear of that.
func TestShutdownHandsOver(t *testing.T) {
	t.Parallel()
	f, f2, s, other, _ := controlTwo(t)
	blocked := s.background(t.Context(), importA)
	<-f.running
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.e.Close(ctx))
	code, message := (<-blocked).message(t)
	require.EqualValues(t, 1053, code)
	require.Contains(t, message, "this Sluice is shutting down")
	require.Contains(t, message, "goes on")
	p := <-f2.running
	require.Equal(t, "a", p.task.Table)
	p.end(7, nil)
	require.Equal(t, "7", waitState(t, other, "1", "finished")["Imported_Rows"])
}

// TestShutdownOfTheProxy: a blocking job whose statement is ended because the
// process ends was not cancelled by its client.
func TestShutdownOfTheProxy(t *testing.T) {
	t.Parallel()
	f, f2, s, other, _ := controlTwo(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	out := s.background(ctx, importA)
	<-f.running
	cancel(fmt.Errorf("draining: %w", executor.ErrShutdown))
	code, _ := (<-out).message(t)
	require.EqualValues(t, 1053, code)
	select {
	case p := <-f2.running:
		p.end(1, nil)
	case p := <-f.running: // which goes on until it is closed
		p.end(1, nil)
	}
	waitState(t, other, "1", "finished")
}

// expire makes it look as if the owner of a job had been silent for long.
func expire(t *testing.T, schema string) {
	t.Helper()
	_, err := connect(t, onTiDB(t)).Execute("UPDATE `" + strings.ReplaceAll(schema, "`", "``") +
		"`.jobs SET lease_until = UTC_TIMESTAMP(6) - INTERVAL 1 HOUR WHERE id = 1")
	require.NoError(t, err)
}

// deadJob leaves a job as an owner does that died: its row says that it runs.
func deadJob(t *testing.T, f *fakeEngine, s *session, schema string) *jobstore.Store {
	t.Helper()
	first := fakeExecutor(t, f, schema, "dead:1")
	by := sessionOf(t, first, "root", "", s.conn.GetDB())
	by.row(importA + " WITH detached, thread=1")
	<-f.running
	dead := open(t, onTiDB(t), schema, "dead:1", time.Minute)
	// Its process goes on, but the row is another's from here on.
	lease := job.Lease{JobID: 1, Owner: "dead:1", Term: 1}
	require.NoError(t, dead.Release(t.Context(), lease, ""))
	_, err := connect(t, onTiDB(t)).Execute("UPDATE `" + strings.ReplaceAll(schema, "`", "``") + "`.jobs SET owner = 'gone:1', " +
		"status = 'running', term = 5, step = 'encode', process = '', lease_until = UTC_TIMESTAMP(6) + INTERVAL 1 HOUR WHERE id = 1")
	require.NoError(t, err)
	require.NoError(t, first.Close(t.Context()))
	return dead
}

// TestTakeover: any Sluice goes on with the job of an owner that is gone.
func TestTakeover(t *testing.T) {
	t.Parallel()
	f, _, s, schema := fakeSetup(t)
	store := deadJob(t, newFakeEngine(), s, schema)
	require.Equal(t, "running", s.row("SHOW IMPORT JOB 1")["Status"])
	require.Contains(t, s.fails(8173, importA), "active job")
	expire(t, schema)
	p := <-f.running
	require.EqualValues(t, 1, p.task.JobID)
	require.Equal(t, 1, p.task.Threads)
	require.Equal(t, s.conn.GetDB(), p.task.DB)
	j := state(t, store, 1)
	require.Equal(t, "fake:1", j.Lease.Owner)
	require.EqualValues(t, 6, j.Lease.Term)
	p.end(4, nil)
	waitState(t, s, "1", "finished")
}

// TestTakeoverOfACancelledJob: a job that was to be cancelled when its owner went away is.
func TestTakeoverOfACancelledJob(t *testing.T) {
	t.Parallel()
	_, _, s, schema := fakeSetup(t)
	store := deadJob(t, newFakeEngine(), s, schema)
	_, err := store.RequestCancel(t.Context(), 1, "u@%")
	require.NoError(t, err)
	expire(t, schema)
	require.Contains(t, waitState(t, s, "1", "cancelled")["Result_Message"], "cancelled by user; the table is as it was")
}

// TestUnreachableSource: a job that no Sluice can read the source of waits for one, and ends when none comes.
func TestUnreachableSource(t *testing.T) {
	t.Parallel()
	f, _, s, schema := fakeSetup(t)
	f.unreadable = func(location string) error { return fmt.Errorf("open %s: no such file", location) }
	cfg := config(t, schema, "fake:3")
	cfg.TakeoverTimeout = time.Millisecond
	deadJob(t, newFakeEngine(), s, schema)
	expire(t, schema)
	waitState(t, s, "1", "pending")
	fakeExecutorWith(t, f, cfg)
	row := waitState(t, s, "1", "failed")
	require.Contains(t, row["Result_Message"], "no Sluice could go on with this job; here: open /d/a.csv: no such file; the table is as it was")
	out := s.background(t.Context(), importA)
	(<-f.running).end(1, nil)
	require.NoError(t, (<-out).err, "the table is free")
}

// TestJobsOfOlderVersions can't be run by others; they end, and free their tables.
func TestJobsOfOlderVersions(t *testing.T) {
	t.Parallel()
	f, _, s, schema := fakeSetup(t)
	store := deadJob(t, newFakeEngine(), s, schema)
	c := connect(t, onTiDB(t))
	jobs := "`" + strings.ReplaceAll(schema, "`", "``") + "`.jobs"
	_, err := c.Execute("UPDATE " + jobs + " SET format_version = 1, task = NULL")
	require.NoError(t, err)
	expire(t, schema)
	row := waitState(t, s, "1", "failed")
	require.Contains(t, row["Result_Message"], "(gone:1) stopped or lost the cluster; the table may hold a part of the rows")
	require.EqualValues(t, 1105, state(t, store, 1).ErrorCode)
	require.Contains(t, s.fails(1105, "RETRY IMPORT JOB 1"), "can't be run again")

	// Those of newer ones are left alone.
	out := s.background(t.Context(), importA)
	p := <-f.running
	_, err = c.Execute("UPDATE " + jobs + " SET format_version = 99, owner = 'newer:1', term = 9, lease_until = '2020-01-01' WHERE id = 2")
	require.NoError(t, err)
	require.Error(t, (<-out).err)
	require.ErrorIs(t, <-p.stopped, importcore.ErrNotOwner)
	s.must("DO SLEEP(3)")
	require.Equal(t, "newer:1", state(t, store, 2).Lease.Owner)
}

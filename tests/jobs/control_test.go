package jobs_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/sqlext"
)

const importA = "IMPORT INTO a FROM '/d/a.csv'"

func (a answer) message(t *testing.T) (uint16, string) {
	t.Helper()
	require.Error(t, a.err)
	code, _, message := executor.MySQLError(a.err)
	return code, message
}

func TestDetached(t *testing.T) {
	t.Parallel()
	f, e, s, _ := fakeSetup(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.run(ctx, importA+" WITH detached, thread=1, max_write_speed='1KiB'")
	require.NoError(t, err)
	row := byName(r)[0]
	require.Equal(t, "pending", row["Status"])
	require.NotContains(t, row, "Start_Time")
	require.NotContains(t, row, "Imported_Rows")
	p := <-f.running
	cancel() // the statement is over; its context ends nothing
	require.EqualValues(t, 1, p.task.JobID)
	require.Equal(t, 1, p.task.Threads)
	require.EqualValues(t, 1024, p.task.MaxWriteSpeed)

	p.rows.Store(77)
	row = s.row("SHOW IMPORT JOB 1")
	require.Equal(t, "running", row["Status"])
	require.Equal(t, "importing", row["Phase"])
	require.Equal(t, "77", row["Imported_Rows"], "the owner shows what it knows, not what the row last held")
	require.Contains(t, row, "Start_Time")
	require.NotContains(t, row, "End_Time")
	require.Contains(t, s.fails(8173, importA), "there is active job on the target table already")

	p.end(78, nil)
	ended := waitState(t, s, "1", "finished")
	require.Equal(t, "78", ended["Imported_Rows"])
	require.Equal(t, "", ended["Phase"])
	require.Contains(t, ended, "End_Time")
	require.NoError(t, e.Close(t.Context()))
	require.NoError(t, e.Close(t.Context()), "closing twice is safe")
	require.True(t, f.closed.Load())
	require.Contains(t, s.fails(1053, "SHOW IMPORT JOBS"), "shutdown")
}

// waitState polls SHOW IMPORT JOB until the job is in a state.
func waitState(t *testing.T, s *session, id, state string) map[string]string {
	t.Helper()
	var row map[string]string
	require.Eventually(t, func() bool {
		row = s.row("SHOW IMPORT JOB " + id)
		return row["Status"] == state
	}, 5*time.Minute, 20*time.Millisecond, "job %s never was %s", id, state)
	return row
}

func TestJobFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(*fakeEngine)
		end     func(*fakePlan)
		code    uint16
		text    string
	}{
		"error": {end: func(p *fakePlan) { p.end(0, errBoom) }, code: 1105, text: "boom at s3://b/p?secret-access-key=xxxxxx"},
		"panic": {end: func(p *fakePlan) {
			p.finish <- func() (executor.Summary, error) { panic("oops") }
		}, code: 1105, text: "internal error of Sluice: panic: oops"},
		"table replaced meanwhile": {prepare: func(f *fakeEngine) {
			f.tableID = func(plan int64, _ executor.Task) int64 { return plan }
		}, code: 1105, text: "was dropped or truncated"},
		"precheck fails under the reservation": {prepare: func(f *fakeEngine) {
			f.planErr = func(plan int64) error {
				if plan == 2 {
					return errors.New("target table is not empty")
				}
				return nil
			}
		}, code: 1105, text: "target table is not empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _, s, _ := fakeSetup(t)
			if tc.prepare != nil {
				tc.prepare(f)
			}
			out := s.background(t.Context(), importA)
			if tc.end != nil {
				tc.end(<-f.running)
			}
			code, message := (<-out).message(t)
			require.Equal(t, tc.code, code)
			require.Contains(t, message, tc.text)
			row := s.row("SHOW IMPORT JOB 1")
			require.Equal(t, "failed", row["Status"])
			require.Equal(t, message, "import job "+row["Job_ID"]+": "+row["Result_Message"])
			require.Contains(t, row, "End_Time")

			// The process and the table are fit for the next job.
			if tc.prepare == nil {
				out = s.background(t.Context(), importA)
				(<-f.running).end(3, nil)
				require.NoError(t, (<-out).err)
			}
		})
	}
}

// TestClientGoesAway: a blocking import ends with its client, as by KILL.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	f, e, s, _ := fakeSetup(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := s.background(ctx, importA)
	<-f.running
	cancel()
	code, message := (<-out).message(t)
	require.EqualValues(t, 1317, code)
	require.Contains(t, message, "the client's connection ended")
	row := sessionOf(t, e, "root", "", "").row("SHOW IMPORT JOB 1")
	require.Equal(t, "cancelled", row["Status"])
	require.Contains(t, row["Result_Message"], "the client's connection ended")
}

// TestCancel cancels through the owner and through another Sluice.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, remote := range map[string]bool{"owner": false, "other Sluice": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, e, s, schema := fakeSetup(t)
			if remote {
				e = fakeExecutor(t, newFakeEngine(), schema, "fake:2")
			}
			other := sessionOf(t, e, "root", "", "")
			out := s.background(t.Context(), importA)
			<-f.running
			r, err := other.run(t.Context(), "CANCEL IMPORT JOB 1")
			require.NoError(t, err)
			require.Empty(t, r.Columns)
			require.Equal(t, "cancelled", other.row("SHOW IMPORT JOB 1")["Status"], "CANCEL answers when the job has ended")
			code, message := (<-out).message(t)
			require.EqualValues(t, 1317, code)
			require.Contains(t, message, "cancelled by user")
			require.Contains(t, other.fails(8171, "CANCEL IMPORT JOB 1"), "CANCEL")
		})
	}
}

// TestCancelTooLate: a job that finishes although it was asked to stop stays
// finished, and CANCEL says so.
func TestCancelTooLate(t *testing.T) {
	t.Parallel()
	f, e, s, _ := fakeSetup(t)
	other := sessionOf(t, e, "root", "", "")
	out := s.background(t.Context(), importA)
	p := <-f.running
	p.end(5, nil) // before the cancellation, which it wins over
	require.NoError(t, (<-out).err)
	require.Contains(t, other.fails(8171, "CANCEL IMPORT JOB 1"), "CANCEL")
	require.Equal(t, "finished", other.row("SHOW IMPORT JOB 1")["Status"])
}

// TestQueue: one job runs, the next waits as pending and can be cancelled.
func TestQueue(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	s.row(importA + " WITH detached")
	first := <-f.running
	s.row("IMPORT INTO b FROM '/d/b.csv' WITH detached")
	require.Equal(t, "pending", s.row("SHOW IMPORT JOB 2")["Status"])
	_, err := s.run(t.Context(), "CANCEL IMPORT JOB 2")
	require.NoError(t, err)
	require.Equal(t, "cancelled", s.row("SHOW IMPORT JOB 2")["Status"])
	s.row("IMPORT INTO b FROM '/d/b.csv' WITH detached")
	first.end(1, nil)
	second := <-f.running
	require.Equal(t, "b", second.task.Table)
	second.end(2, nil)
	waitState(t, s, "3", "finished")
}

// TestPriority: those that wait come by priority, which can be altered while they wait.
func TestPriority(t *testing.T) {
	t.Parallel()
	f, schema := newFakeEngine(), newSchema()
	cfg := config(t, schema, "fake:1")
	core, logged := observer.New(zap.InfoLevel)
	cfg.Logger = zap.New(core)
	s, _ := withTableA(t, fakeExecutorWith(t, f, cfg))
	s.row(importA + " WITH detached")
	running := <-f.running
	for _, job := range [][2]string{{"b", "low"}, {"c", "medium"}, {"d", "low"}, {"e", "high"}} {
		s.must("CREATE TABLE IF NOT EXISTS " + job[0] + " (i INT PRIMARY KEY)")
		s.row("IMPORT INTO " + job[0] + " FROM '/d/b.csv' WITH detached, job_priority = '" + job[1] + "'")
	}
	_, err := s.run(t.Context(), "ALTER IMPORT JOB 4 SET job_priority = 'HIGH'")
	require.NoError(t, err)
	waiting := func(job int64, priority sqlext.Priority) func() bool {
		return func() bool {
			return logged.FilterMessage("import job waits for its turn").FilterField(zap.Int64("job", job)).FilterField(zap.String("priority", string(priority))).Len() > 0
		}
	}
	for job, priority := range map[int64]sqlext.Priority{2: "low", 3: "medium", 4: "high", 5: "high"} {
		require.Eventually(t, waiting(job, priority), 5*time.Minute, 10*time.Millisecond)
	}
	for _, table := range []string{"d", "e", "c", "b"} {
		running.end(1, nil)
		running = <-f.running
		require.Equal(t, table, running.task.Table)
	}
	running.end(1, nil)
}

// TestShutdownWaits lets a job end that has time to.
func TestShutdownWaits(t *testing.T) {
	t.Parallel()
	f, e, s, schema := fakeSetup(t)
	s.row(importA + " WITH detached")
	p := <-f.running
	closed := make(chan error, 1)
	go func() { closed <- e.Close(context.Background()) }()
	require.Eventually(t, func() bool {
		_, err := s.run(t.Context(), "SHOW IMPORT JOBS")
		return err != nil && strings.Contains(err.Error(), "shutdown")
	}, 5*time.Minute, 10*time.Millisecond)
	p.end(9, nil)
	require.NoError(t, <-closed)
	next := sessionOf(t, fakeExecutor(t, newFakeEngine(), schema, "fake:2"), "root", "", "")
	require.Equal(t, "finished", next.row("SHOW IMPORT JOB 1")["Status"])
}

// TestLostJob: an owner whose row was given to somebody else stops and leaves
// the row alone.
func TestLostJob(t *testing.T) {
	t.Parallel()
	f, _, s, schema := fakeSetup(t)
	out := s.background(t.Context(), importA)
	<-f.running
	p := onTiDB(t)
	quoted := "`" + strings.ReplaceAll(schema, "`", "``") + "`"
	c := connect(t, p)
	_, err := c.Execute("UPDATE " + quoted + ".jobs SET term = term + 1, owner = 'thief' WHERE id = 1")
	require.NoError(t, err)
	_, message := (<-out).message(t)
	require.Contains(t, message, "lost the job")
	j, err := open(t, p, schema, "thief", time.Minute).Get(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, job.Running, j.Status)
	require.Equal(t, "thief", j.Lease.Owner)
}

// TestTwoSluices accept a job for one table at the same moment: one wins.
func TestTwoSluices(t *testing.T) {
	t.Parallel()
	f, _, s, schema := fakeSetup(t)
	f2 := newFakeEngine()
	other := sessionOf(t, fakeExecutor(t, f2, schema, "fake:2"), "root", "", s.conn.GetDB())
	one, two := s.background(t.Context(), importA), other.background(t.Context(), importA)
	var loser, winner answer
	select {
	case p := <-f.running:
		loser = <-two
		p.end(1, nil)
		winner = <-one
	case p := <-f2.running:
		loser = <-one
		p.end(1, nil)
		winner = <-two
	}
	code, message := loser.message(t)
	require.EqualValues(t, 8173, code, message)
	require.Contains(t, message, "there is active job on the target table already")
	require.NoError(t, winner.err)
}

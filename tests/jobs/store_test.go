package jobs_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/playground"
)

// schemas numbers the schemas of a process: each test has one of its own.
var schemas atomic.Int64

func newSchema() string { return fmt.Sprintf("sluice`%d", schemas.Add(1)) }

// database is a server that the store's suite runs on.
type database func(t testing.TB) jobstore.Params

func onTiDB(t testing.TB) jobstore.Params {
	return jobstore.Params{Backends: []string{playground.Shared(t).TiDB}, User: "root"}
}

func onMariaDB(t testing.TB) jobstore.Params {
	return jobstore.Params{Backends: []string{mariadb.Shared(t).Socket}, User: mariadb.User, Password: mariadb.Password}
}

func open(t testing.TB, p jobstore.Params, schema, owner string, lease time.Duration) *jobstore.Store {
	t.Helper()
	p.Schema, p.Owner, p.Lease = schema, owner, lease
	s, err := jobstore.Open(t.Context(), p)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]database{"TiDB": onTiDB, "MariaDB": onMariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := db(t)
			for name, f := range map[string]func(*testing.T, jobstore.Params){
				"Life": testLife, "Guard": testGuard, "GuardRace": testGuardRace, "Fence": testFence,
				"Cancel": testCancel, "Pause": testPause, "Retry": testRetry, "Alter": testAlter, "Takeover": testTakeover,
				"Checkpoint": testCheckpoint, "Changes": testChanges, "Events": testEvents, "Steps": testSteps, "RemoveEnded": testRemoveEnded, "Upgrade": testUpgrade, "JobTables": testJobTables, "RestoreTables": testRestoreTables, "Migrate": testMigrate,
				"Backends": testBackends, "Context": testContext,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					f(t, p)
				})
			}
		})
	}
}

func aJob(tableID int64) job.Job {
	return job.Job{
		GroupKey: "g", DataSource: "s3://b/p?access-key=xxxxxx", DB: "d'b", Table: "t`é😀", TableID: tableID,
		Statement: `IMPORT INTO t FROM '\x'`, Options: `{"thread":4}`, Task: `{"Version":1,"DB":"é😀\''"}`, SourceBytes: math.MaxInt64, CreatedBy: "u@%",
	}
}

func ptr(n int64) *int64 { return &n }

func testLife(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	_, err := s.Get(ctx, 1)
	require.ErrorIs(t, err, jobstore.ErrNotFound)

	before := time.Now().Add(-time.Hour)
	j, err := s.Create(ctx, aJob(7))
	require.NoError(t, err)
	want := aJob(7)
	want.ID, want.Kind, want.Status, want.FormatVersion = 1, job.Import, job.Pending, job.FormatVersion
	want.Lease = job.Lease{JobID: 1, Owner: "a:1", Term: 1}
	require.True(t, j.CreateTime.After(before))
	require.Equal(t, time.UTC, j.CreateTime.Location())
	require.InDelta(t, time.Minute.Seconds(), j.LeaseUntil.Sub(j.CreateTime).Seconds(), 5)
	want.CreateTime, want.UpdateTime, want.LeaseUntil = j.CreateTime, j.UpdateTime, j.LeaseUntil
	task, err := s.Task(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, want.Task, task)
	want.Task, want.Total.Size = "", want.SourceBytes
	require.Equal(t, want, j)
	_, err = s.Task(ctx, 2)
	require.ErrorIs(t, err, jobstore.ErrNotFound)

	require.NoError(t, s.Claim(ctx, j.Lease))
	require.NoError(t, s.Claim(ctx, j.Lease), "the answer to the first call may have been lost")
	progress := job.Progress{Phase: job.PhaseValidating, Step: "checksum", Rows: ptr(12), Percent: 98.25,
		Current: job.Meter{Done: 3, Size: 1 << 40, Speed: 5, Left: 25 * time.Hour},
		Total:   job.Meter{Done: 7, Size: math.MaxInt64, Speed: 9, Left: time.Second}}
	wanted, err := s.Renew(ctx, j.Lease, progress)
	require.NoError(t, err)
	require.Zero(t, wanted)
	j, err = s.Get(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, job.Running, j.Status)
	require.Equal(t, progress, j.Progress)
	_, err = s.Renew(ctx, j.Lease, job.Progress{Percent: 50, Total: job.Meter{Left: 1500 * time.Millisecond}})
	require.NoError(t, err)
	j, err = s.Get(ctx, 1)
	require.NoError(t, err)
	require.InDelta(t, 98.25, j.Percent, 0, "it never falls")
	require.EqualValues(t, 12, *j.Rows, "what is not known doesn't hide what was")
	require.Equal(t, 2*time.Second, j.Total.Left)
	require.False(t, j.StartTime.IsZero())
	require.True(t, j.EndTime.IsZero())

	require.Error(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Running}))
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Finished, Rows: ptr(13), Message: "w"}))
	require.ErrorIs(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Failed}), jobstore.ErrLost, "a terminal state is never left")
	_, err = s.Renew(ctx, j.Lease, job.Progress{})
	require.ErrorIs(t, err, jobstore.ErrLost)
	j, err = s.Get(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, job.Finished, j.Status)
	require.Equal(t, job.PhaseNone, j.Phase)
	require.InDelta(t, 100, j.Percent, 0)
	require.Zero(t, j.Total.Left)
	require.EqualValues(t, 13, *j.Rows)
	require.Equal(t, "w", j.Message)
	require.False(t, j.EndTime.IsZero())

	other := aJob(7)
	other.CreatedBy, other.GroupKey = "v@%", ""
	j, err = s.Create(ctx, other)
	require.NoError(t, err, "the table is free again")
	require.EqualValues(t, 2, j.ID)
	require.NoError(t, s.Claim(ctx, j.Lease))
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Failed, ErrorCode: 8173, Message: strings.Repeat("é", 1<<16)}))
	all, err := s.List(ctx, "")
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.EqualValues(t, 1, all[0].ID)
	require.EqualValues(t, 8173, all[1].ErrorCode)
	require.Len(t, all[1].Message, 2<<16)
	require.Nil(t, all[1].Rows)
	mine, err := s.List(ctx, "v@%")
	require.NoError(t, err)
	require.Equal(t, all[1:], mine)
	none, err := s.List(ctx, "V@%")
	require.NoError(t, err)
	require.Empty(t, none)
}

func testGuard(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	first, err := s.Create(ctx, aJob(7))
	require.NoError(t, err)
	_, err = s.Create(ctx, aJob(7))
	require.ErrorIs(t, err, jobstore.ErrTableBusy)
	renamed := aJob(7)
	renamed.Table = "other"
	_, err = s.Create(ctx, renamed)
	require.ErrorIs(t, err, jobstore.ErrTableBusy, "a renamed table is the same table")
	second, err := s.Create(ctx, aJob(8))
	require.NoError(t, err)
	require.EqualValues(t, 2, second.ID, "a refused job takes no id")
	require.NoError(t, s.End(ctx, first.Lease, job.Outcome{Status: job.Cancelled}))
	_, err = s.Create(ctx, aJob(7))
	require.NoError(t, err)
}

// testGuardRace lets several processes accept jobs for one table at once.
func testGuardRace(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	const stores, rounds = 4, 5
	schema := newSchema()
	var all []*jobstore.Store
	for i := range stores {
		all = append(all, open(t, p, schema, fmt.Sprintf("s%d", i), time.Minute))
	}
	for round := range int64(rounds) {
		var won atomic.Int64
		var wg sync.WaitGroup
		errs := make([]error, stores)
		for i, s := range all {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, err := s.Create(ctx, aJob(100+round))
				if err == nil {
					won.Add(1)
				}
				errs[i] = err
			}()
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load(), "%v", errs)
		for _, err := range errs {
			if err != nil {
				require.ErrorIs(t, err, jobstore.ErrTableBusy)
			}
		}
	}
	jobs, err := all[0].List(ctx, "")
	require.NoError(t, err)
	require.Len(t, jobs, rounds)
	for i, j := range jobs {
		require.EqualValues(t, i+1, j.ID)
	}
}

func testFence(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	j, err := s.Create(ctx, aJob(7))
	require.NoError(t, err)
	require.NoError(t, s.Claim(ctx, j.Lease))
	for _, stranger := range []job.Lease{
		{JobID: j.ID, Owner: "b:1", Term: 1}, {JobID: j.ID, Owner: "a:1", Term: 2}, {JobID: j.ID + 1, Owner: "a:1", Term: 1},
	} {
		_, err := s.Renew(ctx, stranger, job.Progress{})
		require.ErrorIs(t, err, jobstore.ErrLost)
		require.ErrorIs(t, s.End(ctx, stranger, job.Outcome{Status: job.Failed}), jobstore.ErrLost)
		require.ErrorIs(t, s.Claim(ctx, stranger), jobstore.ErrLost)
	}
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Finished}))

	// From pending there is no way to finished.
	j, err = s.Create(ctx, aJob(8))
	require.NoError(t, err)
	require.ErrorIs(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Finished}), jobstore.ErrLost)
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Failed}))
}

func testCancel(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	schema := newSchema()
	owner, other := open(t, p, schema, "a:1", time.Minute), open(t, p, schema, "b:1", time.Minute)
	_, err := other.RequestCancel(ctx, 1, "u@%")
	require.ErrorIs(t, err, jobstore.ErrNotFound)
	j, err := owner.Create(ctx, aJob(7))
	require.NoError(t, err)
	require.NoError(t, owner.Claim(ctx, j.Lease))
	for range 2 {
		found, err := other.RequestCancel(ctx, j.ID, "u@%")
		require.NoError(t, err)
		require.True(t, found)
	}
	wanted, err := owner.Renew(ctx, j.Lease, job.Progress{})
	require.NoError(t, err)
	require.Equal(t, job.Control{CancelRequested: true}, wanted)
	require.NoError(t, owner.End(ctx, j.Lease, job.Outcome{Status: job.Cancelled, Message: "m"}))
	found, err := other.RequestCancel(ctx, j.ID, "u@%")
	require.NoError(t, err)
	require.False(t, found)
	j, err = other.Get(ctx, j.ID)
	require.NoError(t, err)
	require.Equal(t, job.Cancelled, j.Status)
}

// testMigrate lets many processes start at once on an empty cluster.
func testMigrate(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	p.Schema, p.Owner = newSchema(), "m"
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s, err := jobstore.Open(ctx, p)
			if err == nil {
				s.Close()
			}
			errs[i] = err
		}()
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	c := connect(t, p)
	quoted := "`" + strings.ReplaceAll(p.Schema, "`", "``") + "`"
	r, err := c.Execute("SELECT COUNT(*), MAX(version) FROM " + quoted + ".migrations")
	require.NoError(t, err)
	count, err := r.GetInt(0, 0)
	require.NoError(t, err)
	newest, err := r.GetInt(0, 1)
	require.NoError(t, err)
	require.Equal(t, count, newest)
	_, err = c.Execute("INSERT INTO "+quoted+".migrations VALUES (?, 'from the future', NOW())", newest+1)
	require.NoError(t, err)
	_, err = jobstore.Open(ctx, p)
	require.ErrorIs(t, err, jobstore.ErrNewerSchema)
}

// testBackends skips a backend that is away.
func testBackends(t *testing.T, p jobstore.Params) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dead := l.Addr().String()
	require.NoError(t, l.Close())
	p.Backends = append([]string{dead}, p.Backends...)
	s := open(t, p, newSchema(), "a:1", 0)
	_, err = s.List(t.Context(), "")
	require.NoError(t, err)
	p.Backends = p.Backends[:1]
	_, err = jobstore.Open(t.Context(), p)
	require.ErrorContains(t, err, dead)
}

func testContext(t *testing.T, p jobstore.Params) {
	s := open(t, p, newSchema(), "a:1", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.List(ctx, "")
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.List(t.Context(), "")
	require.NoError(t, err, "a cancelled call leaves no broken connection behind")
}

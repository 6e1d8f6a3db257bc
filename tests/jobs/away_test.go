package jobs_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

var errPartAway = fault.Wrap(fault.Retryable(errors.New("no answer")), fault.Cluster, 0, "cannot ask the cluster")

// TestAJobWaitsForItsCluster: attempts that end because a part of the cluster is away are repeated, whether they had
// begun or not, and the client that waits for the job hears only of its end.
func TestAJobWaitsForItsCluster(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	f.planErr = func(plan int64) error {
		if plan == 2 || plan == 4 { // the first one is the statement's
			return errPartAway
		}
		return nil
	}
	out := s.background(t.Context(), importA)
	for range 2 {
		(<-f.running).end(0, fmt.Errorf("%w: %w", importcore.ErrAway, errPartAway))
	}
	(<-f.running).end(3, nil)
	require.NoError(t, (<-out).err)
	row := s.row("SHOW IMPORT JOB 1")
	require.Equal(t, "finished", row["Status"])
	require.Equal(t, "3", row["Imported_Rows"])
	require.Empty(t, row["Result_Message"])
	require.Empty(t, f.cleaned)
}

// TestAJobIsGivenBackWhenItsClusterStaysAway: every step forward gives the cluster new time; without one the job waits
// for any Sluice, with what it has done, and the client hears why.
func TestAJobIsGivenBackWhenItsClusterStaysAway(t *testing.T) {
	t.Parallel()
	f, schema := newFakeEngine(), newSchema()
	f.unreadable = func(string) error { return errBoom } // so it doesn't take the job again itself
	cfg := config(t, schema, "fake:1")
	cfg.AwayPatience = time.Nanosecond
	s, _ := withTableA(t, fakeExecutorWith(t, f, cfg))
	out := s.background(t.Context(), importA)
	noAnswer := fmt.Errorf("%w: %w", importcore.ErrAway, errPartAway)
	for step := range 3 {
		p := <-f.running
		require.NoError(t, p.task.Checkpoints.Save(t.Context(), fmt.Append(nil, "step ", step)))
		p.end(0, noAnswer)
	}
	(<-f.running).end(0, noAnswer)
	_, _, text := executor.MySQLError((<-out).err)
	const why = "cannot ask the cluster: no answer: for 1ns the job got no further; it is tried again when the cluster is back"
	require.Contains(t, text, why)
	row := s.row("SHOW IMPORT JOB 1")
	require.Equal(t, "pending", row["Status"])
	require.Contains(t, row["Result_Message"], why)
	owner, err := s.must("SELECT owner FROM "+sqlconn.QuoteName(schema)+".jobs WHERE id = 1").GetString(0, 0)
	require.NoError(t, err)
	require.Empty(t, owner)

	other := newFakeEngine()
	fakeExecutor(t, other, schema, "fake:2")
	p := <-other.running
	done, err := p.task.Checkpoints.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, "step 2", string(done))
	p.end(3, nil)
	row = waitState(t, s, "1", "finished")
	require.Equal(t, "3", row["Imported_Rows"])
	require.Empty(t, row["Result_Message"])
	require.Empty(t, f.cleaned)
	require.Empty(t, other.cleaned)
}

// TestCancelWhileTheClusterIsAway: between two attempts nobody but the runner can put right what the job has done.
func TestCancelWhileTheClusterIsAway(t *testing.T) {
	t.Parallel()
	f, e, s, _ := fakeSetup(t)
	var away atomic.Bool
	f.planErr = func(int64) error {
		if away.Load() {
			return errPartAway
		}
		return nil
	}
	_, err := s.run(t.Context(), importA+" WITH detached")
	require.NoError(t, err)
	p := <-f.running
	require.NoError(t, p.task.Checkpoints.Save(t.Context(), []byte("done so far")))
	away.Store(true)
	p.end(0, fmt.Errorf("%w: %w", importcore.ErrAway, errPartAway))
	_, err = sessionOf(t, e, "root", "", "").run(t.Context(), "CANCEL IMPORT JOB 1")
	require.NoError(t, err)
	<-f.cleaned
	row := waitState(t, s, "1", "cancelled")
	require.Contains(t, row["Result_Message"], "was emptied again")
}

// TestAFullDiskPausesTheJob: and RESUME goes on with it.
func TestAFullDiskPausesTheJob(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	out := s.background(t.Context(), importA)
	(<-f.running).end(0, fmt.Errorf("%w: no space left on device", importcore.ErrDiskFull))
	err := (<-out).err
	code, _, text := executor.MySQLError(err)
	require.EqualValues(t, 1021, code)
	require.Contains(t, text, "no space left on device: RESUME IMPORT JOB 1 goes on with it when there is room")
	row := s.row("SHOW IMPORT JOB 1")
	require.Equal(t, "paused", row["Status"])
	require.Contains(t, row["Result_Message"], "RESUME IMPORT JOB 1")
	_, err = s.run(t.Context(), "RESUME IMPORT JOB 1")
	require.NoError(t, err)
	(<-f.running).end(3, nil)
	waitState(t, s, "1", "finished")
	require.Empty(t, f.cleaned)
}

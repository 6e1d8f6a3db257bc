package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// TestSlowClusterFailsNoJob: a job whose row can't be written for longer than
// its lease, and whom nobody has given up, writes nothing meanwhile and goes on
// when the cluster does.
func TestSlowClusterFailsNoJob(t *testing.T) {
	t.Parallel()
	f, schema := newFakeEngine(), newSchema()
	cfg := config(t, schema, "slow:1")
	cfg.Lease = 2 * time.Second
	e := fakeExecutorWith(t, f, cfg)
	s, db := withTableA(t, e)
	out := s.background(t.Context(), importA)
	p := <-f.running
	require.NoError(t, p.task.Hold(t.Context()))

	jobs := sqlconn.QuoteName(schema) + ".jobs"
	c := connect(t, onTiDB(t))
	for _, sql := range []string{"BEGIN PESSIMISTIC", "SELECT id FROM " + jobs + " WHERE id = 1 FOR UPDATE"} {
		_, err := c.Execute(sql)
		require.NoError(t, err)
	}
	look := connect(t, onTiDB(t))
	require.Eventually(t, func() bool {
		r, err := look.Execute("SELECT lease_until < UTC_TIMESTAMP(6) - INTERVAL 3 SECOND FROM " + jobs)
		require.NoError(t, err)
		expired, err := r.GetInt(0, 0)
		require.NoError(t, err)
		return expired == 1
	}, 5*time.Minute, 50*time.Millisecond)
	// Others might end the job by now. It goes on, but may not write.
	waiting, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.task.Hold(waiting), context.DeadlineExceeded)
	select {
	case a := <-out:
		require.Fail(t, "the job has ended", "%v", a.err)
	default:
	}

	_, err := c.Execute("ROLLBACK")
	require.NoError(t, err)
	// This Sluice doesn't end its own job, although its row says that it is dead.
	again := sessionOf(t, e, "root", "", db)
	require.Equal(t, "running", again.row("SHOW IMPORT JOB 1")["Status"])
	require.NoError(t, p.task.Hold(t.Context()))
	require.NoError(t, p.task.Owned(t.Context()))
	p.end(3, nil)
	require.NoError(t, (<-out).err)
	require.Equal(t, "finished", again.row("SHOW IMPORT JOB 1")["Status"])
}

// TestLostBeforeItsEnd: a run with nothing left to do doesn't say that it has ended a job which is another's by then.
func TestLostBeforeItsEnd(t *testing.T) {
	t.Parallel()
	f, schema := newFakeEngine(), newSchema()
	cfg := config(t, schema, "late:1")
	core, logged := observer.New(zap.InfoLevel)
	cfg.Logger = zap.New(core)
	s, _ := withTableA(t, fakeExecutorWith(t, f, cfg))
	out := s.background(t.Context(), importA)
	p := <-f.running
	_, err := connect(t, onTiDB(t)).Execute("UPDATE " + sqlconn.QuoteName(schema) + ".jobs SET owner = 'another:1', term = 2, " +
		"lease_until = UTC_TIMESTAMP(6) + INTERVAL 1 DAY WHERE id = 1")
	require.NoError(t, err)
	p.end(3, nil)
	require.ErrorContains(t, (<-out).err, "lost the job")
	require.Equal(t, 1, logged.FilterMessage("import job lost").Len())
	require.Zero(t, logged.FilterMessage("import job ended").Len())
	require.Equal(t, "running", s.row("SHOW IMPORT JOB 1")["Status"])
}

package jobs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/tests/playground"
)

// The text of an error may hold any bytes of a source; the job has to end all
// the same, and to say what is left.
func TestErrorTextOfAnyBytesEndsTheJob(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	out := s.background(t.Context(), importA)
	(<-f.running).end(0, errors.New("bad value '\xff\xfe"+strings.Repeat("\x80", 8<<20)+"'; the table holds a part"))
	_, message := (<-out).message(t)
	require.Less(t, len(message), 16<<10)
	row := s.row("SHOW IMPORT JOB 1")
	require.Equal(t, "failed", row["Status"])
	require.Less(t, len(row["Result_Message"]), 16<<10)
	require.Contains(t, row["Result_Message"], "bad value '\uFFFD")
	require.Contains(t, row["Result_Message"], "the table holds a part")
	require.Contains(t, message, "import job 1: bad value '\uFFFD")
	require.Contains(t, message, "the table holds a part")
}

// Session state must be read right whatever character set results come in.
func TestSessionInGBK(t *testing.T) {
	t.Parallel()
	f := newFakeEngine()
	e := fakeExecutor(t, f, newSchema(), "fake:1")
	s := sessionOf(t, e, "root", "", "")
	const db = "库review"
	s.must("CREATE DATABASE `" + db + "`")
	t.Cleanup(func() { s.must("SET NAMES utf8mb4"); s.must("DROP DATABASE `" + db + "`") })
	require.NoError(t, s.conn.UseDB(db))
	s.must("CREATE TABLE a (i INT PRIMARY KEY)")
	s.must("SET NAMES gbk")
	out := s.background(t.Context(), importA)
	p := <-f.running
	require.Equal(t, db, p.task.DB)
	p.end(0, nil)
	require.NoError(t, (<-out).err)
	require.Contains(t, s.fails(1235, "SHOW IMPORT JOBS WHERE Target_Table LIKE '%库%'"), "character_set_client = gbk")
}

// Filters work on any number of jobs.
func TestFilterOfManyJobs(t *testing.T) {
	t.Parallel()
	_, _, s, schema := fakeSetup(t)
	store, err := jobstore.Open(t.Context(), jobstore.Params{
		Backends: []string{playground.Shared(t).TiDB}, User: "root", Schema: schema, Owner: "fake:1"})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	const jobs = 250
	for i := range jobs {
		j, err := store.Create(t.Context(), job.Job{DB: "x", Table: fmt.Sprintf("t%d", i), CreatedBy: "root@%"})
		require.NoError(t, err)
		require.NoError(t, store.End(t.Context(), j.Lease, job.Outcome{Status: job.Cancelled, Message: "m"}))
	}
	r, err := s.run(t.Context(), "SHOW IMPORT JOBS WHERE Job_ID > 1 AND Status = 'cancelled'")
	require.NoError(t, err)
	require.Len(t, r.Rows, jobs-1)
	require.Equal(t, "2", byName(r)[0]["Job_ID"])
	require.Equal(t, fmt.Sprint(jobs), byName(r)[jobs-2]["Job_ID"])
}

// A temporary table hides the real one of the same name in its session; nothing
// may reach the real one then.
func TestTemporaryTableHidesTheTarget(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	for _, kind := range []string{"TEMPORARY TABLE a (i INT PRIMARY KEY)", "GLOBAL TEMPORARY TABLE c (i INT PRIMARY KEY) ON COMMIT DELETE ROWS"} {
		s.must("CREATE " + kind)
	}
	for _, sql := range []string{importA, "IMPORT INTO c FROM '/d/a.csv'"} {
		require.Contains(t, s.fails(1105, sql), "does not support temporary table")
	}
	require.Zero(t, f.plans.Load())
	s.must("DROP TEMPORARY TABLE a")
	out := s.background(t.Context(), importA)
	(<-f.running).end(0, nil)
	require.NoError(t, (<-out).err)
}

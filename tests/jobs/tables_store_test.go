package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// beforeJobTables brings a schema back to when jobs held their tables in a column of their own.
var beforeJobTables = []string{
	"ALTER TABLE %s.jobs ADD COLUMN active_key VARCHAR(160) NULL",
	"UPDATE %s.jobs SET active_key = CONCAT('id/', table_id) WHERE status IN ('pending', 'running', 'paused') AND table_id > 0",
	"UPDATE %s.jobs SET active_key = LOWER(CONCAT('name/', table_schema, '.', table_name)) WHERE status IN ('pending', 'running', 'paused') AND table_id = 0",
	"ALTER TABLE %s.jobs ADD UNIQUE KEY active_key (active_key)",
	"DROP TABLE %s.job_tables",
	"ALTER TABLE %s.jobs DROP COLUMN kind", "ALTER TABLE %s.jobs DROP COLUMN targets", "ALTER TABLE %s.jobs DROP COLUMN result",
	"ALTER TABLE %s.jobs DROP COLUMN connection_id",
	"DELETE FROM %s.migrations WHERE version > 6",
}

// testJobTables: with the schema's step to job_tables each job keeps its table, and a Sluice from before can neither accept a job nor end one.
func testJobTables(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	schema := newSchema()
	s := open(t, p, schema, "a:1", time.Minute)
	active, ended := running(t, s, 7), running(t, s, 8)
	require.NoError(t, s.End(ctx, ended.Lease, job.Outcome{Status: job.Failed}))
	nameless := aJob(0)
	nameless.DB, nameless.Table = "Nobody", "Knows"
	nameless, err := s.Create(ctx, nameless)
	require.NoError(t, err)
	c := connect(t, p)
	quoted := sqlconn.QuoteName(schema)
	for _, sql := range beforeJobTables {
		_, err := c.Execute(fmt.Sprintf(sql, quoted))
		require.NoError(t, err, sql)
	}
	for range 2 { // a step can be repeated if the process died before its end was noted
		s = open(t, p, schema, "a:1", time.Minute)
		for id, want := range map[int64]int64{7: active.ID, 8: 0, 9: 0} {
			holder, err := s.ActiveOn(ctx, id, "x", "y")
			require.NoError(t, err)
			require.Equal(t, want, holder)
		}
		holder, err := s.ActiveOn(ctx, 0, "NOBODY", "knows")
		require.NoError(t, err)
		require.Equal(t, nameless.ID, holder)
		require.Equal(t, job.Import, state(t, s, active.ID).Kind)
		_, err = s.Create(ctx, aJob(7))
		require.ErrorIs(t, err, jobstore.ErrTableBusy)
		for _, sql := range []string{
			"UPDATE %s.jobs SET status = 'finished', active_key = NULL WHERE id = 1",
			"INSERT INTO %s.jobs (id, active_key) VALUES (99, 'id/99')",
		} {
			_, err = c.Execute(fmt.Sprintf(sql, quoted))
			require.ErrorContains(t, err, "active_key", "a Sluice from before goes on as if nothing were")
		}
		_, err = c.Execute("DELETE FROM " + quoted + ".migrations WHERE version > 7")
		require.NoError(t, err)
	}
	require.NoError(t, s.End(ctx, active.Lease, job.Outcome{Status: job.Finished}))
	_, err = s.Create(ctx, aJob(7))
	require.NoError(t, err)
}

// aRestore is a job that writes tables of a database, which don't exist.
func aRestore(db string, names ...string) job.Job {
	j := aJob(0)
	j.Kind, j.DB, j.Table, j.Targets = job.Restore, "", "", "`"+db+"`"
	for i, name := range names {
		j.Tables = append(j.Tables, job.Table{DB: db, Name: name, Bytes: int64(i)})
	}
	return j
}

// testRestoreTables: a restore holds all of its tables, for as long as it has not ended.
func testRestoreTables(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	schema := newSchema()
	s := open(t, p, schema, "a:1", time.Minute)
	db := strings.Trim(schema, "`") + "_data"
	j, err := s.Create(ctx, aRestore(db, "a", "Bé", "c'"))
	require.NoError(t, err)
	require.Equal(t, job.Restore, j.Kind)
	require.Equal(t, "`"+db+"`", j.Targets)
	tables, err := s.Tables(ctx, j.ID)
	require.NoError(t, err)
	require.Equal(t, []job.Table{{DB: db, Name: "a"}, {DB: db, Name: "Bé", Bytes: 1}, {DB: db, Name: "c'", Bytes: 2}}, tables)

	busy := &jobstore.BusyError{}
	_, err = s.Create(ctx, aRestore(db, "x", "C'"))
	require.ErrorIs(t, err, jobstore.ErrTableBusy)
	require.ErrorAs(t, err, &busy)
	require.Equal(t, jobstore.BusyError{DB: db, Table: "c'", JobID: j.ID}, *busy)
	_, err = s.Create(ctx, aRestore(db, "x"))
	require.NoError(t, err, "the refused job holds nothing")
	into := aJob(4711)
	into.DB, into.Table = strings.ToUpper(db), "A"
	_, err = s.Create(ctx, into)
	require.ErrorIs(t, err, jobstore.ErrTableBusy, "an import into a table that the restore has made meanwhile")

	// Its owner finds that it is to write others, and tells of them.
	require.ErrorIs(t, s.Reserve(ctx, j.Lease, tables), jobstore.ErrLost, "it doesn't run yet")
	require.NoError(t, s.Claim(ctx, j.Lease))
	states := []job.Table{{DB: db, Name: "BÉ", State: "done", Rows: 5, Bytes: 7, Message: "m"}, {DB: db, Name: "unknown", State: "done"}}
	require.NoError(t, s.SetTables(ctx, j.Lease, states))
	more := []job.Table{{DB: db, Name: "a"}, {DB: db, Name: "Bé"}, {DB: db, Name: "d"}}
	for range 2 {
		require.NoError(t, s.Reserve(ctx, j.Lease, more))
	}
	tables, err = s.Tables(ctx, j.ID)
	require.NoError(t, err)
	require.Equal(t, []job.Table{{DB: db, Name: "a"}, {DB: db, Name: "Bé", State: "done", Rows: 5, Bytes: 7, Message: "m"}, {DB: db, Name: "d"}}, tables)
	counts, err := s.CountTables(ctx, "done")
	require.NoError(t, err)
	require.Equal(t, map[int64]jobstore.TableCount{j.ID: {All: 3, Done: 1}, 2: {All: 1}}, counts)
	err = s.Reserve(ctx, j.Lease, append(more, job.Table{DB: db, Name: "x"}))
	require.ErrorIs(t, err, jobstore.ErrTableBusy)
	require.ErrorContains(t, err, "`x`")
	stale := j.Lease
	stale.Term++
	require.ErrorIs(t, s.Reserve(ctx, stale, more), jobstore.ErrLost)
	require.ErrorIs(t, s.SetTables(ctx, stale, states), jobstore.ErrLost)

	// With its end they are free; a RETRY takes them again, if they still are.
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Failed, Result: `{"x":1}`}))
	require.JSONEq(t, `{"x":1}`, state(t, s, j.ID).Result)
	other, err := s.Create(ctx, aRestore(db, "d"))
	require.NoError(t, err)
	for _, fresh := range []bool{false, true} {
		j.Tables = aRestore(db, "a", "d").Tables
		_, err = s.Retry(ctx, &j, fresh, "u@%")
		require.ErrorIs(t, err, jobstore.ErrTableBusy)
		require.ErrorContains(t, err, fmt.Sprintf("job %d holds", other.ID))
	}
	require.NoError(t, s.End(ctx, other.Lease, job.Outcome{Status: job.Cancelled}))
	done, err := s.Retry(ctx, &j, false, "u@%")
	require.NoError(t, err)
	require.True(t, done)
	again, err := s.Tables(ctx, j.ID)
	require.NoError(t, err)
	require.Equal(t, tables, again, "what it had, and what is known of it")
	_, err = s.Create(ctx, aRestore(db, "bé"))
	require.ErrorIs(t, err, jobstore.ErrTableBusy)
}

// TestRestoreHoldsExistingTables: a table that exists is held by its id too, so that no import takes it by another name.
func TestRestoreHoldsExistingTables(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := onTiDB(t)
	s := open(t, p, newSchema(), "a:1", time.Minute)
	db := strings.ReplaceAll(newSchema(), "`", "_")
	c := connect(t, p)
	for _, sql := range []string{"CREATE DATABASE %s", "CREATE TABLE %s.T1 (a INT)"} {
		_, err := c.Execute(fmt.Sprintf(sql, db))
		require.NoError(t, err)
	}
	j, err := s.Create(ctx, aRestore(db, "t0", "t1"))
	require.NoError(t, err)
	tables, err := s.Tables(ctx, j.ID)
	require.NoError(t, err)
	require.Zero(t, tables[0].ID)
	require.Positive(t, tables[1].ID)
	_, err = c.Execute(fmt.Sprintf("RENAME TABLE %[1]s.t1 TO %[1]s.t2", db))
	require.NoError(t, err)
	into := aJob(tables[1].ID)
	into.DB, into.Table = db, "t2"
	_, err = s.Create(ctx, into)
	require.ErrorIs(t, err, jobstore.ErrTableBusy)
	_, err = s.Create(ctx, aRestore(db, "t2"))
	require.ErrorIs(t, err, jobstore.ErrTableBusy)
	require.ErrorContains(t, err, fmt.Sprintf("job %d holds", j.ID))
}

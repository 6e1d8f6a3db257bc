package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// TestBadRowRecords runs the store's table of bad rows on TiDB and MariaDB.
func TestBadRowRecords(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]database{"TiDB": onTiDB, "MariaDB": onMariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := db(t)
			t.Run("Kept", func(t *testing.T) {
				t.Parallel()
				testBadRowsKept(t, p)
			})
			t.Run("Fenced", func(t *testing.T) {
				t.Parallel()
				testBadRowsFenced(t, p)
			})
			t.Run("Tables", func(t *testing.T) {
				t.Parallel()
				testBadRowsOfTables(t, p)
			})
			t.Run("Upgrade", func(t *testing.T) {
				t.Parallel()
				testBadRowsUpgrade(t, p)
			})
		})
	}
}

// someBadRows are records with texts of all lengths that can occur.
func someBadRows(n int) []badrows.Record {
	records := make([]badrows.Record, n)
	for i := range records {
		records[i] = badrows.Record{
			Class: badrows.Class(i % 4), File: "/data/é'\\😀.csv", Line: int64(i) + 1, Offset: 1<<40 + int64(i),
			Column: "c`'ö", Value: "x'\"\\\n\x00😀" + strings.Repeat("\\xff", i%badrows.MaxValueBytes),
			Code: uint16(1000 + i), Message: fmt.Sprintf("message %d: é", i) + strings.Repeat("m", badrows.MaxMessageBytes),
		}
	}
	return records
}

// runningJob is a claimed job of a store.
func runningJob(t *testing.T, s *jobstore.Store) job.Job {
	t.Helper()
	j, err := s.Create(t.Context(), aJob(7))
	require.NoError(t, err)
	require.NoError(t, s.Claim(t.Context(), j.Lease))
	return j
}

// badRowsOf reads a job's records as a user does.
func badRowsOf(t *testing.T, c *client.Conn, s *jobstore.Store, id int64) (seqs []int64, records []badrows.Record) {
	t.Helper()
	_, err := c.Execute("SET NAMES utf8mb4") // MariaDB's default is another
	require.NoError(t, err)
	r, err := c.Execute(fmt.Sprintf("SELECT seq, class, file, line, byte_offset, column_name, value, error_code, message, "+
		"recorded_time > NOW() - INTERVAL 2 DAY FROM %s WHERE job_id = %d", s.BadRowsTable(), id))
	require.NoError(t, err)
	classes := map[string]badrows.Class{"type": badrows.Type, "syntax": badrows.Syntax, "charset": badrows.Charset, "conflict": badrows.Conflict}
	for i := range r.RowNumber() {
		text := func(col int) string {
			v, err := r.GetString(i, col)
			require.NoError(t, err)
			return strings.Clone(v)
		}
		number := func(col int) int64 {
			v, err := r.GetInt(i, col)
			require.NoError(t, err)
			return v
		}
		class, known := classes[text(1)]
		require.True(t, known, text(1))
		require.EqualValues(t, 1, number(9))
		seqs = append(seqs, number(0))
		records = append(records, badrows.Record{Class: class, File: text(2), Line: number(3), Offset: number(4), Column: text(5),
			Value: text(6), Code: uint16(number(7)), Message: text(8)})
	}
	return seqs, records
}

func testBadRowsKept(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	j := runningJob(t, s)
	want := someBadRows(600)
	require.NoError(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 1, nil))
	require.NoError(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 1, want[:256]))
	// The answer to the first attempt got lost.
	require.NoError(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 257, want[256:512]))
	require.NoError(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 257, want[256:512]))
	require.NoError(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 513, want[512:]))
	c := connect(t, p)
	seqs, got := badRowsOf(t, c, s, j.ID)
	require.Len(t, got, len(want))
	for i := range got {
		require.EqualValues(t, i+1, seqs[i])
		require.Equal(t, want[i], got[i])
	}
	j, err := s.Get(ctx, j.ID)
	require.NoError(t, err)
	require.EqualValues(t, len(want), j.ErrorRows)
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Finished, Rows: ptr(1)}))
	_, got = badRowsOf(t, c, s, j.ID)
	require.Len(t, got, len(want), "they outlive the job")
}

// testBadRowsOfTables: each table of a job has records of its own, which are forgotten without the others'; the job counts all.
func testBadRowsOfTables(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	j := runningJob(t, s)
	first, second := jobstore.BadRowsOf{Number: 1, DB: "d", Table: "é"}, jobstore.BadRowsOf{Number: 2, DB: "d", Table: "u"}
	records := someBadRows(6)
	require.NoError(t, s.AddBadRows(ctx, j.Lease, second, 1, records[:2]))
	require.NoError(t, s.AddBadRows(ctx, j.Lease, first, 1, records[2:4]))
	require.NoError(t, s.AddBadRows(ctx, j.Lease, second, 2, records[1:2])) // again
	require.NoError(t, s.AddBadRows(ctx, j.Lease, first, 3, records[4:]))
	has := func(want ...string) {
		t.Helper()
		rows, err := s.BadRows(ctx, j.ID, 0, 100)
		require.NoError(t, err)
		var got []string
		for i, row := range rows {
			require.EqualValues(t, i+1, row.Seq)
			got = append(got, fmt.Sprintf("%s.%s %d", row.DB, row.Table, row.Line))
		}
		require.Equal(t, want, got)
		now, err := s.Get(ctx, j.ID)
		require.NoError(t, err)
		require.EqualValues(t, len(want), now.ErrorRows)
	}
	has("d.é 3", "d.é 4", "d.é 5", "d.é 6", "d.u 1", "d.u 2")
	page, err := s.BadRows(ctx, j.ID, 4, 1)
	require.NoError(t, err)
	require.EqualValues(t, 5, page[0].Seq)
	require.NoError(t, s.RewindBadRows(ctx, j.Lease, first, 1))
	has("d.é 3", "d.u 1", "d.u 2")
	require.NoError(t, s.RewindBadRows(ctx, j.Lease, second, 0))
	require.NoError(t, s.RewindBadRows(ctx, j.Lease, second, 0))
	has("d.é 3")
	require.NoError(t, s.RewindBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 0))
	has("d.é 3")
}

func testBadRowsFenced(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	s := open(t, p, newSchema(), "a:1", time.Minute)
	j, err := s.Create(ctx, aJob(7))
	require.NoError(t, err)
	records := someBadRows(3)
	require.ErrorIs(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 1, records), jobstore.ErrLost, "the job isn't running yet")
	require.NoError(t, s.Claim(ctx, j.Lease))
	for _, stranger := range []job.Lease{
		{JobID: j.ID, Owner: "b:1", Term: 1}, {JobID: j.ID, Owner: "a:1", Term: 2}, {JobID: j.ID + 1, Owner: "a:1", Term: 1},
	} {
		require.ErrorIs(t, s.AddBadRows(ctx, stranger, jobstore.BadRowsOf{}, 1, records), jobstore.ErrLost)
	}
	require.NoError(t, s.End(ctx, j.Lease, job.Outcome{Status: job.Failed}))
	require.ErrorIs(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 1, records), jobstore.ErrLost, "the job has ended")
	c := connect(t, p)
	_, got := badRowsOf(t, c, s, j.ID)
	require.Empty(t, got)

	// A statement that can't be run leaves no count behind.
	j = runningJob(t, s)
	records[1].Column = strings.Repeat("c", 65)
	require.Error(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 1, records))
	_, got = badRowsOf(t, c, s, j.ID)
	require.Empty(t, got)
	j, err = s.Get(ctx, j.ID)
	require.NoError(t, err)
	require.Zero(t, j.ErrorRows)
}

// testBadRowsUpgrade starts on the tables of a Sluice that had no bad rows, with a job in them.
func testBadRowsUpgrade(t *testing.T, p jobstore.Params) {
	ctx := t.Context()
	schema := newSchema()
	s := open(t, p, schema, "a:1", time.Minute)
	j := runningJob(t, s)
	c := connect(t, p)
	quoted := sqlconn.QuoteName(schema)
	for _, sql := range append(beforeJobTables, "DROP TABLE %s.job_errors", "ALTER TABLE %s.jobs DROP COLUMN error_rows",
		"DELETE FROM %s.migrations WHERE version > 1") {
		_, err := c.Execute(fmt.Sprintf(sql, quoted))
		require.NoError(t, err)
	}
	s = open(t, p, schema, "a:1", time.Minute)
	before := j
	j, err := s.Get(ctx, j.ID)
	require.NoError(t, err)
	require.Equal(t, before.Statement, j.Statement)
	require.Zero(t, j.ErrorRows)
	require.NoError(t, s.AddBadRows(ctx, j.Lease, jobstore.BadRowsOf{}, 1, someBadRows(2)))
	seqs, _ := badRowsOf(t, c, s, j.ID)
	require.Equal(t, []int64{1, 2}, seqs)
}

// TestBadRowsOfAJob: what the core hands over while a job runs is in the
// cluster at once, and the job's message says where; secrets stay out of it.
func TestBadRowsOfAJob(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err     error
		state   string
		message string
	}{
		"finished": {nil, "finished", "rows left out and recorded: 2 (1 type, 1 syntax), shown by SHOW IMPORT JOB "},
		// Redaction takes the semicolon for a part of the URL.
		"failed": {errBoom, "failed", "boom at s3://b/p?secret-access-key=xxxxxx bad rows: 2 (1 type, 1 syntax), shown by SHOW IMPORT JOB "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _, s, schema := fakeSetup(t)
			out := s.background(t.Context(), importA+" WITH max_errors=7")
			p := <-f.running
			require.EqualValues(t, 7, p.task.Options.MaxErrors)
			records := someBadRows(2)
			records[0].File, records[1].Message = "s3://b/p/a.csv?secret-access-key=SSSS", "at s3://b/p?secret-access-key=SSSS"
			require.NoError(t, p.task.BadRows.Put(t.Context(), 1, records))
			table := sqlconn.QuoteName(schema) + ".job_errors"
			r := s.must("SELECT file, message FROM " + table + " ORDER BY seq")
			require.Equal(t, 2, r.RowNumber())
			for i, col := range []int{0, 1} {
				text, err := r.GetString(i, col)
				require.NoError(t, err)
				require.NotContains(t, text, "SSSS")
				require.Contains(t, text, "xxxxxx")
			}
			p.end(5, tc.err)
			a := <-out
			row := s.row("SHOW IMPORT JOB 1")
			require.Equal(t, tc.state, row["Status"])
			require.Equal(t, tc.message+"1 ERRORS", row["Result_Message"])
			if tc.err != nil {
				_, message := a.message(t)
				require.Equal(t, "import job 1: "+row["Result_Message"], message)
			} else {
				require.NoError(t, a.err)
			}
			r = s.must("SELECT error_rows FROM " + sqlconn.QuoteName(schema) + ".jobs")
			n, err := r.GetInt(0, 0)
			require.NoError(t, err)
			require.EqualValues(t, 2, n)
		})
	}
}

// TestBadRowsOfALostJob: a Sluice whose job was taken from it records nothing
// more and leaves the row to its new owner.
func TestBadRowsOfALostJob(t *testing.T) {
	t.Parallel()
	f, _, s, schema := fakeSetup(t)
	out := s.background(t.Context(), importA+" WITH max_errors=7")
	p := <-f.running
	s.must("UPDATE " + sqlconn.QuoteName(schema) + ".jobs SET term = term + 1, owner = 'other:1'")
	err := p.task.BadRows.Put(t.Context(), 1, someBadRows(2))
	require.ErrorContains(t, err, "lost the job")
	p.end(0, err)
	_, message := (<-out).message(t)
	require.Contains(t, message, "lost the job")
	require.Zero(t, s.must("SELECT * FROM "+sqlconn.QuoteName(schema)+".job_errors").RowNumber())
	require.Equal(t, "running", s.row("SHOW IMPORT JOB 1")["Status"])
}

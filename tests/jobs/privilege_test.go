package jobs_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/badrows"
)

// TestPrivileges is the table of every statement about jobs, for the job's user,
// for somebody else, for one with SUPER and for one without SUPER: his own jobs
// are a user's, everybody's are SUPER's.
func TestPrivileges(t *testing.T) {
	t.Parallel()
	f, e, root, _ := fakeSetup(t)
	db := root.conn.GetDB()
	rights := []string{"SELECT", "UPDATE", "INSERT", "DELETE", "ALTER"}
	user := func(name string, super bool) *session {
		name = db + name
		newUser(root, name, db, rights...)
		root.must("GRANT FILE ON *.* TO '" + name + "'@'%'")
		if super {
			root.must("GRANT SUPER ON *.* TO '" + name + "'@'%'")
		}
		return sessionOf(t, e, name, "pw", db)
	}
	owner, stranger, super := user("o", false), user("s", false), user("a", true)
	// Jobs of the owner: 1 runs, 2 waits, 3 has failed.
	owner.row("IMPORT INTO b FROM '/d/b.csv' WITH detached, group_key='g', max_errors=5")
	failing := <-f.running
	require.NoError(t, failing.task.BadRows.Put(t.Context(), 1, []badrows.Record{{File: "f", Value: "v"}}))
	failing.end(0, errBoom)
	waitState(t, owner, "1", "failed")
	owner.row(importA + " WITH detached, group_key='g'")
	<-f.running

	const denied, unknown, wrongState = 1227, 8170, 8171
	for _, tc := range []struct {
		sql      string
		stranger uint16   // what he gets
		after    []string // what follows when it was done, by the owner
	}{
		{"SHOW IMPORT JOB 1", denied, nil},
		{"SHOW IMPORT JOB 1 ERRORS", denied, nil},
		{"SHOW IMPORT JOB 1 EVENTS", denied, nil},
		{"PAUSE IMPORT JOB 2", denied, nil},
		{"ALTER IMPORT JOB 2 SET thread = 1", denied, nil},
		{"RESUME IMPORT JOB 2", denied, nil},
		{"CANCEL IMPORT JOB 2", denied, nil},
		{"RETRY IMPORT JOB 1", denied, []string{"CANCEL IMPORT JOB 1"}},
	} {
		require.Contains(t, stranger.fails(tc.stranger, tc.sql), "SUPER", tc.sql)
		for _, by := range []*session{owner, super} {
			missing := strings.NewReplacer("JOB 1", "JOB 77", "JOB 2", "JOB 77").Replace(tc.sql)
			require.Equal(t, "Job ID 77 doesn't exist", by.fails(unknown, missing))
		}
		require.Equal(t, "Job ID 77 doesn't exist", stranger.fails(unknown, strings.NewReplacer("JOB 1", "JOB 77", "JOB 2", "JOB 77").Replace(tc.sql)))
		_, err := owner.run(t.Context(), tc.sql)
		require.NoError(t, err, tc.sql)
		for _, sql := range tc.after {
			_, err := owner.run(t.Context(), sql)
			require.NoError(t, err, sql)
		}
	}
	// SUPER does all of that to somebody else's jobs; job 2 has been cancelled, and so has job 1.
	for _, sql := range []string{"RETRY IMPORT JOB 2", "PAUSE IMPORT JOB 2", "ALTER IMPORT JOB 2 SET max_write_speed='1MiB'", "RESUME IMPORT JOB 2",
		"CANCEL IMPORT JOB 2", "SHOW IMPORT JOB 2", "SHOW IMPORT JOB 1 ERRORS"} {
		_, err := super.run(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	for _, sql := range []string{"PAUSE IMPORT JOB 2", "ALTER IMPORT JOB 2 SET thread=1", "RESUME IMPORT JOB 2", "CANCEL IMPORT JOB 2"} {
		require.Contains(t, super.fails(wrongState, sql), "The current job status cannot perform the operation. "+strings.Fields(sql)[0])
	}
	// Lists hold what one may see.
	for _, tc := range []struct {
		by   *session
		jobs int
	}{{owner, 2}, {super, 2}, {stranger, 0}} {
		for sql, want := range map[string]int{"SHOW IMPORT JOBS": tc.jobs, "SHOW IMPORT GROUPS": tc.jobs / 2, "SHOW IMPORT GROUP 'g'": tc.jobs / 2,
			"SHOW IMPORT GROUP 'none'": 0} {
			r, err := tc.by.run(t.Context(), sql)
			require.NoError(t, err)
			require.Len(t, r.Rows, want, sql)
		}
	}
	// A job that is tried again needs what a new import needs.
	root.must("REVOKE ALTER ON " + db + ".* FROM '" + db + "o'@'%'")
	again := sessionOf(t, e, db+"o", "pw", db)
	require.Contains(t, again.fails(1142, "RETRY IMPORT JOB 2"), "ALTER command denied")
}

// TestShowErrors shows the rows that a job left out.
func TestShowErrors(t *testing.T) {
	t.Parallel()
	f, _, s, _ := fakeSetup(t)
	s.must("SET time_zone = '+03:00'")
	out := s.background(t.Context(), importA+" WITH max_errors=5000")
	p := <-f.running
	records := make([]badrows.Record, 2500)
	for i := range records {
		records[i] = badrows.Record{Class: badrows.Syntax, File: "/d/a.csv", Line: int64(i) + 1, Offset: int64(i) * 10, Column: "é", Value: "v", Code: 1261, Message: "m"}
	}
	require.NoError(t, p.task.BadRows.Put(t.Context(), 1, records))
	p.end(1, nil)
	require.NoError(t, (<-out).err)
	require.Contains(t, s.row("SHOW IMPORT JOB 1")["Result_Message"], "rows left out and recorded: 2500 (2500 syntax), shown by SHOW IMPORT JOB 1 ERRORS")
	for limit, want := range map[string][2]int{"": {1, 2500}, " LIMIT 3": {1, 3}, " LIMIT 2400, 5000": {2401, 100}, " LIMIT 0": {0, 0}, " LIMIT 2500, 1": {0, 0},
		" LIMIT 10, 1000": {11, 1000}} {
		r, err := s.run(t.Context(), "SHOW IMPORT JOB 1 ERRORS"+limit)
		require.NoError(t, err)
		require.Len(t, r.Rows, want[1], limit)
		if want[1] > 0 {
			require.Equal(t, strconv.Itoa(want[0]), byName(r)[0]["Seq"], limit)
		}
	}
	row := s.row("SHOW IMPORT JOB 1 ERRORS LIMIT 1")
	require.NotEmpty(t, row["Recorded_Time"])
	delete(row, "Recorded_Time")
	require.Equal(t, map[string]string{"Seq": "1", "Class": "syntax", "File": "/d/a.csv", "Line": "1", "Offset": "0", "Column_Name": "é",
		"Value": "v", "Error_Code": "1261", "Message": "m", "Table_Schema": row["Table_Schema"], "Table_Name": "a"}, row)
	require.NotEmpty(t, row["Table_Schema"])
}

package sqlext

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

func TestParseControl(t *testing.T) {
	t.Parallel()
	key := func(s string) *string { return &s }
	for sql, want := range map[string]Statement{
		"PAUSE IMPORT JOB 7":                         &PauseImportJob{ID: 7},
		"pause/* x */import\njob 007 ;":              &PauseImportJob{ID: 7},
		"RESUME IMPORT JOB 9223372036854775807":      &ResumeImportJob{ID: 1<<63 - 1},
		"/*!40101 RETRY */ IMPORT JOB 0":             &RetryImportJob{},
		"SHOW IMPORT JOB 3 ERRORS":                   &ShowImportErrors{ID: 3, Count: -1},
		"show import job 3 errors limit 5":           &ShowImportErrors{ID: 3, Count: 5},
		"SHOW /* x */ import JOB 3 Events ;":         &ShowImportEvents{ID: 3},
		"show import job 3 tables":                   &ShowImportTables{ID: 3},
		"SHOW IMPORT JOB 3 ERRORS LIMIT 10, 5; -- x": &ShowImportErrors{ID: 3, Offset: 10, Count: 5},
		"SHOW IMPORT GROUPS":                         &ShowImportGroups{},
		"SHOW IMPORT GROUP 'a''b\\n'":                &ShowImportGroups{Key: key("a'b\n")},
		"SHOW IMPORT GROUP \"k;\" ;":                 &ShowImportGroups{Key: key("k;")},
	} {
		require.Equal(t, want, mustParse(t, sql), sql)
	}
	st := mustParse(t, "ALTER IMPORT JOB 7 SET THREAD = +8, `max_write_speed`='200MiB'").(*AlterImportJob)
	require.EqualValues(t, 7, st.ID)
	require.EqualValues(t, 8, st.Options.Thread)
	require.EqualValues(t, 200<<20, st.Options.MaxWriteSpeed)
	require.Equal(t, map[string]any{"thread": int64(8), "max_write_speed": "200MiB"}, st.Options.Specified)

	o := mustParse(t, "IMPORT INTO t FROM '/d/a.csv' WITH thread=2, skip_rows=1, max_write_speed='1MiB'").(*ImportInto).Options
	mustParse(t, "ALTER IMPORT JOB 7 SET thread=3").(*AlterImportJob).Apply(&o)
	require.EqualValues(t, 3, o.Thread)
	require.EqualValues(t, 1<<20, o.MaxWriteSpeed)
	require.Equal(t, map[string]any{"thread": int64(3), "skip_rows": int64(1), "max_write_speed": "1MiB"}, o.Specified)
	require.Nil(t, o.MaxLatency)
	mustParse(t, "ALTER IMPORT JOB 7 SET max_latency='50ms', max_write_speed='0', job_priority='low'").(*AlterImportJob).Apply(&o)
	require.Equal(t, 50*time.Millisecond, *o.MaxLatency)
	require.Zero(t, o.MaxWriteSpeed)
	require.Equal(t, PriorityLow, o.Priority)
	require.EqualValues(t, 3, o.Thread)
	mustParse(t, "ALTER IMPORT JOB 7 SET max_latency='0'").(*AlterImportJob).Apply(&o)
	require.Zero(t, *o.MaxLatency, "none, whatever is configured")
	mustParse(t, "ALTER IMPORT JOB 7 SET disk_quota='2GiB'").(*AlterImportJob).Apply(&o)
	require.EqualValues(t, 2<<30, o.DiskQuota)
}

// A statement's own text means the same, in the mode that it is written for.
func TestRedactedControl(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"PAUSE IMPORT JOB 7", "RESUME IMPORT JOB 7", "RETRY IMPORT JOB 7", "SHOW IMPORT JOB 7 ERRORS", "SHOW IMPORT JOB 7 EVENTS", "SHOW IMPORT JOB 7 TABLES", "SHOW IMPORT JOB 7 ERRORS LIMIT 1, 2",
		"SHOW IMPORT GROUPS", `SHOW IMPORT GROUP 'it''s \\ "x"'`, "ALTER IMPORT JOB 7 SET thread=3, max_write_speed='1MiB'",
		"ALTER IMPORT JOB 7 SET max_latency='50ms'",
	} {
		st := mustParse(t, sql)
		again := mustParse(t, st.Redacted())
		require.Equal(t, st.Redacted(), again.Redacted())
		if alter, ok := st.(*AlterImportJob); ok {
			require.Equal(t, alter.Options, again.(*AlterImportJob).Options)
			continue
		}
		require.Equal(t, st, again)
	}
}

func TestControlErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		sql  string
		code uint16
		text string
	}{
		{"ALTER IMPORT JOB 1 SET thread=0", 8164, "Invalid option value for thread"},
		{"ALTER IMPORT JOB 1 SET max_latency='4 ms'", 8164, "Invalid option value for max_latency, should be a time from '1ms' to '1m'"},
		{"ALTER IMPORT JOB 1 SET thread='4'", 8164, "Invalid option value for thread"},
		{"ALTER IMPORT JOB 1 SET thread=4, thread=5", 8165, "Option thread specified more than once"},
		{"ALTER IMPORT JOB 1 SET foo=4", 8163, "Unknown option foo"},
		{"ALTER IMPORT JOB 1 SET skip_rows=4", 8166, "Unsupported option skip_rows for ALTER IMPORT JOB"},
		{"ALTER IMPORT JOB 1 SET thread=4 5", 1064, `near "5" `},
		{"ALTER IMPORT JOB 1 SET thread=", 1064, `near "" `},
		{"ALTER IMPORT JOB 1 SET thread", 1064, `near "" `},
		{"ALTER IMPORT JOB 1 SET thread=4,", 1064, `near "" `},
		{"ALTER IMPORT JOB 1 SET thread=(4)", 1064, `near "(4)" `},
		{"ALTER IMPORT JOB 1 thread=4", 1064, `line 1 column 25 near "thread=4" `},
		{"SHOW IMPORT GROUP k", 1064, `near "k" `},
		{"SHOW IMPORT GROUP 'k' 1", 1064, `near "1" `},
		{"SHOW IMPORT GROUPS LIKE 'x'", 1064, `near "LIKE 'x'" `},
		{"SHOW IMPORT GROUP 1", 1064, `near "1" `},
		{"SHOW IMPORT GROUP null", 1064, `near "null" `},
		{"SHOW IMPORT JOB x ERRORS", 1064, `near "x ERRORS" `},
		{"SHOW IMPORT JOB 1 ERRORS LIMIT -1", 1064, `near "-1" `},
		{"SHOW IMPORT JOB x EVENTS", 1064, `near "x EVENTS" `},
		{"SHOW IMPORT JOB x TABLES", 1064, `near "x TABLES" `},
		{"SHOW IMPORT JOB 1 EVENTS LIMIT 1", 1064, `near "LIMIT 1" `},
		{"PAUSE IMPORT JOB 1; SELECT 1", 1105, "must be sent alone"},
		{"PAUSE IMPORT JOB 1 '" + strings.Repeat("x", 3000), 1064, "(total length 3001)"},
		{"PAUSE IMPORT JOB \xff", 1105, "not valid UTF-8"},
	} {
		st, err := Parse(tc.sql, mysql.ModeNone)
		require.Nil(t, st, tc.sql)
		var e *Error
		require.True(t, errors.As(err, &e), tc.sql)
		require.Equal(t, tc.code, e.Code, tc.sql)
		require.Contains(t, e.Message, tc.text, tc.sql)
	}
	for _, sql := range []string{"SHOW IMPORT", "SHOW IMPORT JOBS WHERE", "SHOW IMPORT JOB", "SHOW IMPORT JOB 1 ERROR", "PAUSE", "PAUSE IMPORT", "ALTER IMPORT TABLE t", "RESUME IMPORT JOBS 1",
		"RETRYIMPORT JOB 1", "PAUSE BACKUP LOGS", "SHOW RAW", "SELECT 1; PAUSE IMPORT JOB 1"} {
		st, err := Parse(sql, mysql.ModeNone)
		require.NoError(t, err, sql)
		require.Nil(t, st, "%s is the cluster's to answer", sql)
	}
}

// TestSyntaxErrorsAreTiDBs compares with what TiDB's parser says of the same
// text behind CANCEL, which has as many letters as RESUME.
func TestSyntaxErrorsAreTiDBs(t *testing.T) {
	t.Parallel()
	for _, tail := range []string{
		"", " ", "x", "1x", "1.5", "-1", "'1'", "1 2", "1 x", "1, 2", "\n\n  x y", "é", "/* c */ x", "1 /* c */ 'abc", "@a", "`1`", "0x10 2", "1;;x",
		"1 (", "*", "1e3 x",
	} {
		_, theirs := parseText("CANCEL IMPORT JOB "+tail, mysql.ModeNone)
		require.Error(t, theirs, tail)
		_, err := Parse("RESUME IMPORT JOB "+tail, mysql.ModeNone)
		require.Error(t, err, tail)
		var e *Error
		require.ErrorAs(t, err, &e)
		if e.Code != errno.ErrParse {
			continue
		}
		want := strings.TrimPrefix(e.Message, "You have an error in your SQL syntax; check the manual that corresponds to your TiDB version "+
			"for the right syntax to use ")
		require.Equal(t, theirs.Error(), want, "%q", tail)
	}
}

func TestGroupKey(t *testing.T) {
	t.Parallel()
	const begin = "IMPORT INTO t FROM '/d/a.csv' WITH group_key="
	require.Equal(t, "Night-2026_01", mustParse(t, begin+"'Night-2026_01'").(*ImportInto).Options.GroupKey)
	mustParse(t, begin+"'"+strings.Repeat("k", 256)+"'")
	for _, value := range []string{"''", "'a b'", "'é'", "1", "null", "'a;b'", "'" + strings.Repeat("k", 257) + "'"} {
		_, err := Parse(begin+value, mysql.ModeNone)
		require.ErrorContains(t, err, "Invalid option value for group_key", value)
	}
}

func TestParseExpr(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"CONCAT(@`b`, _UTF8MB4'x\\\\')", "1", "CASE WHEN @`a`>1 THEN NULL ELSE CAST(@`a` AS UNSIGNED) END"} {
		expr, err := ParseExpr(text)
		require.NoError(t, err)
		again := exprText(expr)
		expr, err = ParseExpr(again)
		require.NoError(t, err)
		require.Equal(t, again, exprText(expr))
	}
	for _, text := range []string{"", "1, 2", "*", "1; SELECT 2", "1 FROM"} {
		_, err := ParseExpr(text)
		require.Error(t, err, text)
	}
}

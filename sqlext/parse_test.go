package sqlext

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

// parseSeeds start the fuzzers; the tables below add what they expect.
var parseSeeds = []string{
	"IMPORT INTO t FROM '/d/a.csv'",
	"IMPORT INTO `db`.`t` (a, @b, c) SET d = CONCAT(@b, 'x') FROM 's3://b/p*.csv?access-key=A&secret-access-key=B' FORMAT 'csv' WITH thread=4, detached",
	"IMPORT INTO t FROM '/d/a.csv' WITH fields_terminated_by=x'09', fields_enclosed_by='', max_write_speed='1MiB'",
	"IMPORT INTO t FROM SELECT * FROM s",
	"SHOW IMPORT JOBS LIKE '1%'",
	"SHOW IMPORT JOBS WHERE Status = 'it''s \\\\ running' AND Job_ID > 3",
	"SHOW IMPORT JOB 7",
	"CANCEL IMPORT JOB 7",
	"RESTORE TABLE a.b FROM 's3://b/x?secret-access-key=S' CONCURRENCY 4",
	"RESTORE DATABASE * FROM 'local:///b' ONLINE = 18446744073709551615",
	"SHOW RESTORES",
	"SHOW RESTORES WHERE State = 'running'",
	"EXPLAIN RESTORE DATABASE a AS b, c FROM '/d' DETACHED FILTER = 'a.*, !a.t' CSV_HEADER = 1",
	"RESTORE TABLE `a``b`.t AS u, c FROM 'local:///d' ROUTE 'a.t? -> b.`t u`' DRY RUN BACKEND tidb max_errors = 5",
	"EXPLAIN IMPORT INTO t FROM '/d/a.csv'",
	"DESC FORMAT='brief' IMPORT INTO t PARTITION (p) FROM '/d/a.csv' WITH on_duplicate='ignore', dry_run",
	"SELECT 1; IMPORT INTO t FROM '/d/a.csv'",
	"SHOW IMPORT CLUSTER STATE;",
	"repair /* x */ import cluster state",
	"ALTER IMPORT JOB 7 SET thread = 8, `max_write_speed`='200MiB' ;",
	"SHOW IMPORT JOB 7 ERRORS",
	"SHOW IMPORT JOB 7 EVENTS",
	"SHOW IMPORT JOB 7 TABLES",
	"SHOW IMPORT JOB 7 ERRORS LIMIT 10, 20",
	"PAUSE IMPORT JOB 7",
	"/*! RESUME */ IMPORT JOB 7;",
	"RETRY IMPORT JOB 9223372036854775807",
	"SHOW IMPORT GROUPS",
	"SHOW IMPORT GROUP 'it''s'",
	"SHOW IMPORT GROUP _utf8mb4 x'6b'",
}

func mustParse(t *testing.T, sql string) Statement {
	t.Helper()
	st, err := Parse(sql, mysql.ModeNone)
	require.NoError(t, err, sql)
	require.NotNil(t, st, sql)
	require.True(t, MaybeOurs([]byte(sql)), sql)
	return st
}

func TestParseImportInto(t *testing.T) {
	t.Parallel()
	st := mustParse(t, parseSeeds[1]).(*ImportInto)
	require.Equal(t, "db", st.DB)
	require.Equal(t, "t", st.Table)
	require.Equal(t, []Field{{Column: "a"}, {Var: "b"}, {Column: "c"}}, st.Fields)
	require.Len(t, st.Assignments, 1)
	require.Equal(t, "d", st.Assignments[0].Column)
	require.Equal(t, "CONCAT(@`b`, _UTF8MB4'x')", st.Assignments[0].Text)
	require.NotNil(t, st.Assignments[0].Expr)
	require.Equal(t, FormatCSV, st.Format)
	require.False(t, st.Location.IsLocal())
	require.True(t, st.Options.Detached)
	require.EqualValues(t, 4, st.Options.Thread)
	require.Equal(t, map[string]any{"thread": int64(4), "detached": nil}, st.Options.Specified)
	require.NotContains(t, st.Redacted(), "access-key=A")
	require.NotContains(t, st.Redacted(), "key=B")
	require.Contains(t, st.Redacted(), "secret-access-key=xxxxxx")

	st = mustParse(t, "import into t from '/d/a.csv' format 'cSv'").(*ImportInto)
	require.Equal(t, "", st.DB)
	require.Empty(t, st.Fields)
	require.True(t, st.Location.IsLocal())
	want := defaultOptions()
	require.Equal(t, want, st.Options)
}

func TestParseOptionValues(t *testing.T) {
	t.Parallel()
	o := mustParse(t, `IMPORT INTO t FROM '/d/a.csv' WITH CHARACTER_SET='UTF8', FIELDS_TERMINATED_BY=x'09',
		FIELDS_ENCLOSED_BY='', FIELDS_ESCAPED_BY='\\', FIELDS_DEFINED_NULL_BY='', LINES_TERMINATED_BY='\r\n',
		SKIP_ROWS=1, SPLIT_FILE, DISK_QUOTA='10GiB', THREAD=+3, MAX_WRITE_SPEED='100', CHECKSUM_TABLE='TRUE',
		RECORD_ERRORS=-1, DETACHED, DISABLE_TIKV_IMPORT_MODE, CLOUD_STORAGE_URI='s3://b/p?access_key=K',
		DISABLE_PRECHECK, __MAX_ENGINE_SIZE='1MiB', __FORCE_MERGE_STEP`).(*ImportInto).Options
	uri := "s3://b/p?access_key=K"
	require.Equal(t, Options{
		CharacterSet: "utf8", FieldsTerminatedBy: "\t", FieldsEscapedBy: `\`, LinesTerminatedBy: "\r\n",
		SkipRows: 1, SplitFile: true, DiskQuota: 10 << 30, Thread: 3, MaxWriteSpeed: 100,
		ChecksumTable: ChecksumRequired, RecordErrors: -1, Detached: true, DisableTiKVImportMode: true,
		CloudStorageURI: &uri, DisablePrecheck: true, MaxEngineSize: 1 << 20, ForceMergeStep: true, Priority: PriorityMedium, OnDuplicate: DuplicateError,
		Specified: map[string]any{
			"character_set": "UTF8", "fields_terminated_by": "\t", "fields_enclosed_by": "", "fields_escaped_by": `\`,
			"fields_defined_null_by": "", "lines_terminated_by": "\r\n", "skip_rows": int64(1), "split_file": nil,
			"disk_quota": "10GiB", "thread": int64(3), "max_write_speed": "100", "checksum_table": "TRUE",
			"record_errors": int64(-1), "detached": nil, "disable_tikv_import_mode": nil,
			"cloud_storage_uri": "s3://b/p?access_key=xxxxxx", "disable_precheck": nil,
			"__max_engine_size": "1MiB", "__force_merge_step": nil,
		},
	}, o)
	require.Nil(t, o.MaxLatency)
	for value, want := range map[string]time.Duration{"50ms": 50 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "1m": time.Minute, "1000us": time.Millisecond, "0": 0, "0s": 0} {
		o := mustParse(t, "IMPORT INTO t FROM '/a.csv' WITH max_latency='"+value+"'").(*ImportInto).Options
		require.Equal(t, want, *o.MaxLatency)
		require.Equal(t, value, o.Specified["max_latency"])
	}
	for value, want := range map[string]Checksum{"off": ChecksumOff, "FALSE": ChecksumOff, "optional": ChecksumOptional} {
		st := mustParse(t, "IMPORT INTO t FROM '/a.csv' WITH checksum_table='"+value+"'").(*ImportInto)
		require.Equal(t, want, st.Options.ChecksumTable)
	}
}

func TestParseControlStatements(t *testing.T) {
	t.Parallel()
	require.Equal(t, &ShowImportJobs{}, mustParse(t, "show import jobs"))
	require.Equal(t, &ShowImportJob{ID: 7}, mustParse(t, "/* x */ show import job 7 ;"))
	require.Equal(t, &CancelImportJob{ID: 9}, mustParse(t, "CANCEL IMPORT JOB 9"))
	require.Equal(t, "`Job_ID` LIKE _UTF8MB4'1%'", mustParse(t, "SHOW IMPORT JOBS LIKE '1%'").(*ShowImportJobs).Where)
	require.Equal(t, "`Status`=_UTF8MB4'a''\\\\b'",
		strings.ReplaceAll(mustParse(t, `SHOW IMPORT JOBS WHERE Status = 'a''\\b'`).(*ShowImportJobs).Where, " ", ""))
	require.Equal(t, "SHOW IMPORT JOB 7", (&ShowImportJob{ID: 7}).Redacted())
	require.Equal(t, "CANCEL IMPORT JOB 9", (&CancelImportJob{ID: 9}).Redacted())
}

func TestParseNotOurs(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"", ";", "select 1", "select 'import into t'", "import", "import into t", "import into t from csv",
		"import into t from '/a.csv' format csv", "show import job", "show import job 1 where 1", "show import jobz",
		"cancel import job 99999999999999999999", "cancel import jobs", "import into t set a=1 from select 1",
		"prepare s from 'import into t from \"/a.csv\"'", "backup database * to 'x'", "show backups",
		"cancel br job 1", "explain select 1", "select 1; import into t", "restore point from 's3://b/x'",
		"show backups like 'x'", "backup table t to 's3://b/x'", "explain backup database * to 'x'", "restore", "restore tables", "desc restore",
		"restore database a from", "restore index i from 'x'", "restore database a to 'x'",
		"pause backup logs", "alter table import add index(a)",
	} {
		st, err := Parse(sql, mysql.ModeNone)
		require.NoError(t, err, sql)
		require.Nil(t, st, sql)
	}
	st, err := Parse(`import into t from "/a.csv"`, mysql.ModeANSIQuotes)
	require.NoError(t, err)
	require.Nil(t, st, "with ANSI_QUOTES a double-quoted text is a name")
}

// TestParseErrors is the table of refusals that the text alone decides.
func TestParseErrors(t *testing.T) {
	t.Parallel()
	const uri = "The URI of data source is invalid. Reason: "
	with := func(opts string) string { return "IMPORT INTO t FROM '/d/a.csv' WITH " + opts }
	set := func(expr string) string { return "IMPORT INTO t (a, @x) SET b=" + expr + " FROM '/d/a.csv'" }
	for _, tc := range []struct {
		sql  string
		code uint16
		text string // the whole message, or its beginning when it ends in ...
	}{
		{with("foo"), 8163, "Unknown option foo"},
		{with("on_duplicate_key='error'"), 8163, "Unknown option on_duplicate_key"},
		{with("thread=1, THREAD=2"), 8165, "Option thread specified more than once"},
		{with("thread"), 8164, "Invalid option value for thread"},
		{with("detached=true"), 8164, "Invalid option value for detached"},
		{with("split_file='x'"), 8164, "Invalid option value for split_file"},
		{with("thread='4'"), 8164, "Invalid option value for thread"},
		{with("thread=true"), 8164, "Invalid option value for thread"},
		{with("thread=null"), 8164, "Invalid option value for thread"},
		{with("thread=0"), 8164, "Invalid option value for thread"},
		{with("thread=-1"), 8164, "Invalid option value for thread"},
		{with("thread=1.5"), 8164, "Invalid option value for thread"},
		{with("thread=18446744073709551615"), 8164, "Invalid option value for thread"},
		{with("character_set=''"), 8164, "Invalid option value for character_set"},
		{with("character_set='ucs2'"), 8164, "Invalid option value for character_set"},
		{with("character_set=1"), 8164, "Invalid option value for character_set"},
		{with("fields_terminated_by=''"), 8164, "Invalid option value for fields_terminated_by"},
		{with("fields_enclosed_by='\"\"'"), 8164, "Invalid option value for fields_enclosed_by"},
		{with("fields_escaped_by='ab'"), 8164, "Invalid option value for fields_escaped_by"},
		{with("fields_escaped_by='é'"), 8164, "Invalid option value for fields_escaped_by"},
		{with("fields_defined_null_by=null"), 8164, "Invalid option value for fields_defined_null_by"},
		{with("lines_terminated_by=''"), 8164, "Invalid option value for lines_terminated_by"},
		{with("skip_rows=-1"), 8164, "Invalid option value for skip_rows"},
		{with("skip_rows='1'"), 8164, "Invalid option value for skip_rows"},
		{with("csv_header=1"), 8164, "Invalid option value for csv_header"},
		{with("csv_header='names'"), 8164, "Invalid option value for csv_header"},
		{with("`csv_header`"), 8164, "Invalid option value for csv_header"},
		{with("csv_header='fields', csv_header='columns'"), 8165, "Option csv_header specified more than once"},
		{"IMPORT INTO t (a, b) FROM '/d/a.csv' WITH csv_header='columns'", 8166, "Unsupported option csv_header for an import with a list of columns"},
		{"IMPORT INTO t (@x) SET a=@x FROM '/d/a.csv' WITH csv_header='columns'", 8166, "Unsupported option csv_header for an import with a list of columns"},
		{"IMPORT INTO t SET a=@x FROM '/d/a.csv' WITH csv_header='columns'", 1105, "column assignment cannot use variables set outside IMPORT INTO statement, index 0"},
		{"IMPORT INTO t FROM '/d/a.sql' FORMAT 'sql' WITH csv_header='columns'", 8166, "Unsupported option csv_header for non-CSV format"},
		{with("split_file, skip_rows=2, lines_terminated_by='\\n'"), 8164,
			"Invalid option value for skip_rows, should be <= 1 when split-file is enabled"},
		{with("split_file"), 8164, "Invalid option value for lines_terminated_by, should not be empty when use split_file"},
		{with("disk_quota='0'"), 8164, "Invalid option value for disk_quota"},
		{with("disk_quota='-1'"), 8164, "Invalid option value for disk_quota"},
		{with("disk_quota='ten'"), 8164, "Invalid option value for disk_quota"},
		{with("job_priority='urgent'"), 8164, "Invalid option value for job_priority"},
		{with("job_priority=1"), 8164, "Invalid option value for job_priority"},
		{with("max_write_speed=100"), 8164, "Invalid option value for max_write_speed"},
		{with("max_latency"), 8164, "Invalid option value for max_latency"},
		{with("max_latency=50"), 8164, "Invalid option value for max_latency, should be a time from '1ms' to '1m', or '0' for any"},
		{with("max_latency='50'"), 8164, "Invalid option value for max_latency, should be..."},
		{with("max_latency='50 ms'"), 8164, "Invalid option value for max_latency, should be..."},
		{with("max_latency='50 parsecs'"), 8164, "Invalid option value for max_latency, should be..."},
		{with("max_latency='999us'"), 8164, "Invalid option value for max_latency, should be..."},
		{with("max_latency='61s'"), 8164, "Invalid option value for max_latency, should be..."},
		{with("max_latency='-50ms'"), 8164, "Invalid option value for max_latency, should be..."},
		{with("max_latency='1s', MAX_LATENCY='2s'"), 8165, "Option max_latency specified more than once"},
		{with("max_write_speed='-1'"), 8164, "Invalid option value for max_write_speed"},
		{with("checksum_table=true"), 8164, "Invalid option value for checksum_table"},
		{with("checksum_table='maybe'"), 8164, "Invalid option value for checksum_table"},
		{with("record_errors=-2"), 8164, "Invalid option value for record_errors"},
		{with("cloud_storage_uri='/local'"), 8164, "Invalid option value for cloud_storage_uri"},
		{with("cloud_storage_uri='s3:///nobucket'"), 8164, "Invalid option value for cloud_storage_uri"},
		{with("cloud_storage_uri=null"), 8164, "Invalid option value for cloud_storage_uri"},
		{with("__max_engine_size='x'"), 8164, "Invalid option value for __max_engine_size"},
		{"IMPORT INTO t FROM '/d/a.sql' FORMAT 'sql' WITH skip_rows=1", 8166, "Unsupported option skip_rows for non-CSV format"},
		{"IMPORT INTO t FROM '/d/a.parquet' FORMAT 'parquet' WITH split_file", 8166, "Unsupported option split_file for non-CSV format"},
		{with("fields_enclosed_by=','"), 8162, "FIELDS ENCLOSED BY and TERMINATED BY must not be prefix of each other"},
		{with("fields_terminated_by='\"|'"), 8162, "FIELDS ENCLOSED BY and TERMINATED BY must not be prefix of each other"},
		{"IMPORT INTO t FROM ''", 8156, "The value of INFILE must not be empty when LOAD DATA from LOCAL"},
		{"IMPORT INTO t FROM '/d/a.csv' FORMAT 'ORC'", 8157, "The FORMAT 'orc' is not supported"},
		{"IMPORT INTO t FROM 'd/a.csv'", 8158, uri + "file location should be absolute path when import from server disk. ..."},
		{"IMPORT INTO t FROM 'file:///d/a.csv'", 8158, uri + "file location should be absolute path when import from server disk. ..."},
		{"IMPORT INTO t FROM '/etc/passwd'", 8158, uri + "the file suffix is not supported when import from server disk. ..."},
		{"IMPORT INTO t FROM '/d/[.csv'", 8158, uri + "Glob pattern error: syntax error in pattern. ..."},
		{"IMPORT INTO t FROM 'http://h/a.csv'", 8158, uri + "storage http not support yet. ..."},
		{"IMPORT INTO t FROM 'xyz://h/a.csv'", 8158, uri + "storage xyz not support yet. ..."},
		{"IMPORT INTO t FROM 's3:///a.csv?secret-access-key=SSSS'", 8158, uri + "please specify the bucket in ..."},
		{"IMPORT INTO t FROM ':'", 8158, uri + "missing protocol scheme. ..."},
		{"IMPORT INTO t (a, b, A) FROM '/d/a.csv'", 1110, "Column 'A' specified twice"},
		{set("a"), 1105, "COLUMN reference is not supported in IMPORT INTO column assignment, index 0"},
		{set("(select c from u)"), 1105, "subquery is not supported in IMPORT INTO column assignment, index 0"},
		{set("exists(select 1)"), 1105, "subquery is not supported in IMPORT INTO column assignment, index 0"},
		{set("@@sql_mode"), 1105, "system variable is not supported in IMPORT INTO column assignment, index 0"},
		{set("@x:=1"), 1105, "setting a variable is not supported in IMPORT INTO column assignment, index 0"},
		{set("@x, c=@y"), 1105, "column assignment cannot use variables set outside IMPORT INTO statement, index 1"},
		{set("default"), 1105, "FUNCTION default is not supported in IMPORT INTO column assignment, index 0"},
		{set("default(c)"), 1105, "FUNCTION default is not supported in IMPORT INTO column assignment, index 0"},
		{set("sum(@x)"), 1105, "aggregate FUNCTION sum is not supported in IMPORT INTO column assignment, index 0"},
		{set("row_number() over ()"), 1105, "window FUNCTION row_number is not supported in IMPORT INTO column assignment, index 0"},
		{"IMPORT INTO t FROM SELECT * FROM s", 1235, "IMPORT INTO ... FROM SELECT is not supported yet"},
		{"EXPLAIN IMPORT INTO t FROM SELECT 1", 1235, "IMPORT INTO ... FROM SELECT is not supported yet"},
		{"EXPLAIN ANALYZE IMPORT INTO t FROM SELECT 1", 1235, "EXPLAIN ANALYZE IMPORT INTO is not supported yet"},
		{"EXPLAIN ANALYZE IMPORT INTO t FROM '/d/a.csv'", 1235, "EXPLAIN ANALYZE IMPORT INTO is not supported yet"},
		{"EXPLAIN FORMAT='dot' IMPORT INTO t FROM '/d/a.csv'", 1235, "EXPLAIN FORMAT = 'dot' IMPORT INTO is not supported yet"},
		{"EXPLAIN IMPORT INTO t FROM '/d/a.csv' WITH foo", 8163, "Unknown option foo"},
		{"EXPLAIN IMPORT INTO t PARTITION (p) FROM '/d/a.csv' WITH foo", 8163, "Unknown option foo"},
		{with("dry_run=1"), 8164, "Invalid option value for dry_run"},
		{with("skip_prechecks"), 8164, "Invalid option value for skip_prechecks"},
		{with("skip_prechecks=''"), 8164, "Invalid option value for skip_prechecks"},
		{with("skip_prechecks='a,,b'"), 8164, "Invalid option value for skip_prechecks"},
		{with("skip_prechecks=7"), 8164, "Invalid option value for skip_prechecks"},
		{"SHOW RAW IMPORT JOBS", 1235, "SHOW RAW IMPORT JOBS is not supported yet"},
		{"SELECT 1; SHOW IMPORT JOBS", 1105, "SHOW IMPORT JOBS must be sent alone, not together with other statements"},
		{"IMPORT INTO t FROM '/d/a.csv'; SELECT 1", 1105, "IMPORT INTO must be sent alone, not together with other statements"},
	} {
		st, err := Parse(tc.sql, mysql.ModeNone)
		require.Nil(t, st, tc.sql)
		require.True(t, MaybeOurs([]byte(tc.sql)), tc.sql)
		var e *Error
		require.True(t, errors.As(err, &e), "%s: %v", tc.sql, err)
		code, state, message := e.MySQLError()
		require.Equal(t, tc.code, code, tc.sql)
		require.Len(t, state, 5)
		if prefix, ok := strings.CutSuffix(tc.text, "..."); ok {
			require.True(t, strings.HasPrefix(message, prefix), "%s: %s", tc.sql, message)
		} else {
			require.Equal(t, tc.text, message, tc.sql)
		}
		require.NotContains(t, message, "SSSS")
	}
}

// TestParserPanics: no text that a client sends ends the process.
func TestParserPanics(t *testing.T) {
	t.Parallel()
	const sql = "RESTORE DATABASE * FROM 'local:///b' ONLINE = 18446744073709551615"
	_, err := parseText(sql, mysql.ModeNone)
	require.ErrorIs(t, err, errParserPanicked, "if TiDB's parser has learnt to refuse it, parseText needs no recover")
	require.NotPanics(t, func() { _, _ = Parse(sql, mysql.ModeNone) })
	mustParse(t, "SHOW IMPORT JOBS")
}

func TestErrorState(t *testing.T) {
	t.Parallel()
	for code, want := range map[uint16]string{1235: "42000", 1110: "42000", 8164: "HY000"} {
		_, state, _ := (&Error{Code: code}).MySQLError()
		require.Equal(t, want, state)
	}
}

// TestStripCredentials: what is left hides nothing, and what was hidden is gone.
func TestStripCredentials(t *testing.T) {
	t.Parallel()
	for _, tc := range [][2]string{
		{"/d/a.csv?b=c", "/d/a.csv?b=c"},
		{"s3://b/p", "s3://b/p"},
		{"s3://b/p%20q/*.csv?region=r&endpoint=http%3A%2F%2Fh", "s3://b/p%20q/*.csv?region=r&endpoint=http%3A%2F%2Fh"},
		{"s3://b/p?access-key=A&region=r&secret_access_key=B+/=&Session-Token=T", "s3://b/p?region=r"},
		{"s3://b/p?access-key=A&secret_access_key=B", "s3://b/p"},
		{"s3://u:p@b/p@q?x=y#z", "s3://b/p@q"},
		{"S3://u@b", "S3://b"},
	} {
		got := StripCredentials(tc[0])
		require.Equal(t, tc[1], got)
		require.Equal(t, got, RedactURL(got))
		require.Equal(t, RedactURL(tc[0]) == tc[0], got == tc[0])
	}
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for _, tc := range [][2]string{
		{"/d/a.csv", "/d/a.csv"},
		{"/d/a?b=c.csv", "/d/a?b=c.csv"},
		{"s3://b/p", "s3://b/p"},
		{"s3://b/p?access-key=A&secret_access_key=B+/=&region=r", "s3://b/p?access-key=xxxxxx&secret_access_key=xxxxxx&region=r"},
		{"S3://b/p?Session-Token=T", "S3://b/p?Session-Token=xxxxxx"},
		{"azure://c/p?account-name=n&account-key=K&sas-token=T", "azure://c/p?account-name=n&account-key=xxxxxx&sas-token=xxxxxx"},
		{"http://u:p@h/x", "http://xxxxxx@h/x"},
		{"s3:/p?secret-access-key=S", "s3:/p?secret-access-key=xxxxxx"},
		{"s3://b/p?flag&empty=", "s3://b/p?flag&empty="},
		{"s3://b/p#S", "s3://b/p#xxxxxx"},
		{"://x?secret=S", "://x?secret=S"},
	} {
		require.Equal(t, tc[1], RedactURL(tc[0]))
	}
	st := mustParse(t, "IMPORT INTO t FROM 's3://b/a.csv?secret-access-key=SSSS' WITH cloud_storage_uri='s3://b/x?secret-access-key=SSSS'")
	require.NotContains(t, st.Redacted(), "SSSS")
	require.NotContains(t, st.(*ImportInto).Location.String(), "SSSS")
	require.NotContains(t, st.(*ImportInto).Options.Specified["cloud_storage_uri"], "SSSS")
}

func FuzzParse(f *testing.F) {
	for _, sql := range parseSeeds {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		st, err := Parse(sql, mysql.ModeNone)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code == 0 || e.Message == "" {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if st == nil {
			return
		}
		if st.Redacted() == "" {
			t.Fatal("no text")
		}
		if again, err := Parse(st.Redacted(), mysql.ModeNone); err == nil && again == nil {
			t.Fatalf("%q is ours, but its own text %q isn't", sql, st.Redacted())
		}
	})
}

// In a name the parser writes ? for what it can't read: that may be another table.
func TestInvalidUTF8IsRefused(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{"IMPORT INTO `t\xff` FROM '/a.csv'", "IMPORT INTO t FROM '/a\xff.csv'"} {
		st, err := Parse(sql, mysql.ModeNone)
		require.Nil(t, st, "%q", sql)
		require.ErrorContains(t, err, "not valid UTF-8", "%q", sql)
	}
}

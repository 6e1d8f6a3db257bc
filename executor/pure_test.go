package executor

import (
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/sqlext"
)

func TestParseTimeZone(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		zone, system, want string
	}{
		{"SYSTEM", "UTC", "12:00"}, {"system", "Asia/Shanghai", "20:00"}, {"+08:00", "", "20:00"}, {"-03:30", "", "08:30"},
		{"+0:00", "", "12:00"}, {"Europe/Berlin", "", "14:00"}, {"SYSTEM", "", "12:00"},
	} {
		location, err := parseTimeZone(tc.zone, tc.system)
		require.NoError(t, err, tc.zone)
		require.Equal(t, tc.want, at.In(location).Format("15:04"), tc.zone)
	}
	for _, zone := range []string{"Mars/Base", "+99:00", "+x", "Local", "../etc/passwd"} {
		_, err := parseTimeZone(zone, "UTC")
		require.Error(t, err, zone)
	}
}

func TestJobRow(t *testing.T) {
	t.Parallel()
	rows := int64(42)
	j := job.Job{
		ID: 3, DataSource: "/d/a.csv", DB: "d", Table: "t`x", TableID: 104, Status: job.Running,
		Progress: job.Progress{Phase: job.PhaseImporting, Step: "encode", Rows: &rows, Percent: 31.9,
			Current: job.Meter{Done: 72_000_000, Size: 144_000_000, Percent: 50.5, Speed: 10_960_000, Left: 7*time.Hour + 26*time.Minute + 2500*time.Millisecond},
			Total:   job.Meter{Done: 45_000_000, Size: 144_000_000, Speed: 4_000_000, Left: 100 * time.Hour}},
		GroupKey: "g", UpdateTime: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC), Control: job.Control{PauseRequested: true},
		SourceBytes: 144_000_000, CreateTime: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), CreatedBy: "u@%",
	}
	row := jobRow(&j, time.FixedZone("", 3600))
	require.Len(t, row, len(jobColumns))
	texts := make([]string, len(row))
	for i, v := range row {
		texts[i] = string(v)
	}
	require.Equal(t, []string{"3", "/d/a.csv", "`d`.`t``x`", "104", "importing", "pausing", "137.3MiB", "42", "",
		"2026-01-02 04:04:05.000006", "", "", "u@%",
		"g", "2026-01-02 04:04:06.000000", "encode", "72MB", "144MB", "50", "10.96MB/s", "07:26:03", "31", "4MB/s", "100:00:00"}, texts)
	require.NotNil(t, row[8], "an empty message is not NULL")
	require.Nil(t, row[10])
	for i, v := range jobRow(&job.Job{}, time.UTC)[13:] {
		require.Equal(t, jobColumns[13+i].Name == "Progress_Pct", v != nil, "%s of a job that has not begun", jobColumns[13+i].Name)
	}
	require.Nil(t, jobRow(&job.Job{}, time.UTC)[7])
}

func TestCheckSupported(t *testing.T) {
	t.Parallel()
	for sql, refused := range map[string]string{
		"IMPORT INTO t FROM '/d/a.csv'": "",
		"IMPORT INTO t FROM '/d/*.CSV' WITH thread=3, skip_rows=1, detached, record_errors=1": "",
		"IMPORT INTO t FROM '/d/a.csv' WITH cloud_storage_uri='', character_set='UTF8'":       "",
		"IMPORT INTO t FROM '/d/a.csv' WITH max_errors=5":                                     "",
		"IMPORT INTO t FROM '/d/a.sql' FORMAT 'sql'":                                          "",
		"IMPORT INTO t FROM '/d/a.parquet' FORMAT 'parquet'":                                  "FORMAT 'parquet'",
		"IMPORT INTO t FROM 's3://b/a.csv'":                                                   "",
		"IMPORT INTO t FROM 'ks3://b/a.csv'":                                                  "a data source of scheme ks3",
		"IMPORT INTO t FROM 's3://b/a.csv.gz?region=r'":                                       "",
		"IMPORT INTO t FROM '/d/a.csv.gz'":                                                    "",
		"IMPORT INTO t (a, @b) SET c=@b FROM '/d/a.csv'":                                      "",
		"IMPORT INTO t FROM '/d/a.csv' WITH character_set='gbk', csv_header='columns'":        "",
		"IMPORT INTO t FROM '/d/a.csv' WITH split_file, lines_terminated_by='\\n'":            "SPLIT_FILE",
		"IMPORT INTO t FROM '/d/a.csv' WITH disk_quota='1GiB', max_errors=3":                  "",
		"IMPORT INTO t FROM '/d/a.csv' WITH cloud_storage_uri='s3://b/x'":                     "CLOUD_STORAGE_URI",
		"IMPORT INTO t FROM '/d/a.csv' WITH __max_engine_size='1GiB'":                         "__MAX_ENGINE_SIZE",
		"IMPORT INTO t FROM '/d/a.csv' WITH __force_merge_step":                               "__FORCE_MERGE_STEP",
	} {
		st, err := sqlext.Parse(sql, mysql.ModeNone)
		require.NoError(t, err, sql)
		err = checkSupported(st.(*sqlext.ImportInto))
		if refused == "" {
			require.NoError(t, err, sql)
			continue
		}
		code, _, message := MySQLError(err)
		require.EqualValues(t, 1235, code, sql)
		require.Equal(t, refused+" is not supported yet", message)
	}
}

func TestDiskQuota(t *testing.T) {
	t.Parallel()
	e := &Executor{}
	e.cfg.DiskQuota, e.cfg.Concurrency = 7<<30, 1
	for _, c := range []struct {
		with    string
		quota   int64
		message string // of the refusal
	}{
		{"", 7 << 30, ""},
		{" WITH disk_quota='1MiB'", 1 << 20, ""},
		{" WITH disk_quota='1048575'", 0, "Invalid option value for disk_quota: the least is 1MiB"},
		{" WITH on_duplicate='replace'", 7 << 30, ""},
		{" WITH allow_non_empty, disk_quota='50GiB'", 50 << 30, ""},
	} {
		st, err := sqlext.Parse("IMPORT INTO t FROM '/d/a.csv'"+c.with, mysql.ModeNone)
		require.NoError(t, err, c.with)
		in := st.(*sqlext.ImportInto)
		if err = checkSupported(in); c.message != "" {
			code, _, message := MySQLError(err)
			require.EqualValues(t, 8164, code, c.with)
			require.Equal(t, c.message, message)
			continue
		}
		require.NoError(t, err, c.with)
		require.Equal(t, c.quota, e.task(1, &Spec{Options: in.Options}).DiskQuota, c.with)
	}
}

func TestCheckCharset(t *testing.T) {
	t.Parallel()
	parse := func(sql string) string {
		st, err := sqlext.Parse(sql, mysql.ModeNone)
		require.NoError(t, err)
		return st.(*sqlext.ImportInto).Redacted()
	}
	require.NoError(t, checkCharset(parse("IMPORT INTO t FROM '/d/é.csv'"), "utf8mb4"))
	require.NoError(t, checkCharset(parse("IMPORT INTO t FROM '/d/e.csv'"), "gbk"))
	require.Error(t, checkCharset(parse("IMPORT INTO t FROM '/d/é.csv'"), "gbk"))
	require.Error(t, checkCharset(parse("IMPORT INTO `é` FROM '/d/e.csv'"), "latin1"))
}

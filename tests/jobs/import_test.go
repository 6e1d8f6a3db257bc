package jobs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/tests/playground"
)

// realExecutor runs imports with the real core.
func realExecutor(t *testing.T) (e *executor.Executor, root *session, db string) {
	t.Helper()
	e, err := executor.New(config(t, newSchema(), "real:1"))
	require.NoError(t, err)
	closeWith(t, e)
	db, _ = playground.Shared(t).Database(t)
	return e, sessionOf(t, e, "root", "", db), db
}

func writeCSV(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestImport(t *testing.T) {
	t.Parallel()
	_, s, db := realExecutor(t)
	s.must("CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR(20), ts TIMESTAMP NULL, KEY (v))")
	s.must("SET time_zone = '+03:00'")
	file := writeCSV(t, "a.csv", "skipped\n3,c,2026-01-02 03:04:05\n1,a,\\N\n2,b,\\N\n")
	row := s.row("IMPORT INTO t FROM '" + file + "' WITH skip_rows=1, thread=99")
	require.Equal(t, "1", row["Job_ID"])
	require.Equal(t, file, row["Data_Source"])
	require.Equal(t, "`"+db+"`.`t`", row["Target_Table"])
	require.Equal(t, "finished", row["Status"])
	require.Equal(t, "", row["Phase"])
	require.Equal(t, "3", row["Imported_Rows"])
	require.Equal(t, "46B", row["Source_File_Size"])
	require.Equal(t, "root@%", row["Created_By"])
	require.Contains(t, row["Result_Message"], "thread was lowered from 99 to 2")
	require.NotEmpty(t, row["End_Time"])
	r := s.must("SELECT GROUP_CONCAT(id, v ORDER BY id), UNIX_TIMESTAMP(MAX(ts)) FROM t")
	text, err := r.GetString(0, 0)
	require.NoError(t, err)
	require.Equal(t, "1a,2b,3c", text)
	unix, err := r.GetString(0, 1)
	require.NoError(t, err)
	require.Equal(t, "1767312245", unix, "TIMESTAMP values are read in the session's time zone")
	s.must("ADMIN CHECK TABLE t")

	require.Equal(t, row, s.row("SHOW IMPORT JOB 1"))
	require.Equal(t, row, s.row("SHOW IMPORT JOBS"))
	require.Contains(t, s.fails(8173, "IMPORT INTO t FROM '"+file+"'"), "target table is not empty")
	require.Contains(t, s.fails(8171, "CANCEL IMPORT JOB 1"), "CANCEL")
}

// TestImportAutocommitOff: what is asked on the user's connection opens no
// transaction there, so a first and a second import are taken.
func TestImportAutocommitOff(t *testing.T) {
	t.Parallel()
	_, s, _ := realExecutor(t)
	file := writeCSV(t, "a.csv", "1\n")
	s.must("CREATE TABLE t1 (a INT PRIMARY KEY)")
	s.must("CREATE TABLE t2 (a INT PRIMARY KEY)")
	s.must("SET autocommit = 0")
	require.Equal(t, "1", s.row("IMPORT INTO t1 FROM '" + file + "'")["Imported_Rows"])
	require.Equal(t, "2", s.row("IMPORT INTO t2 FROM '" + file + "'")["Job_ID"])
	s.must("SET autocommit = 1")
	s.must("DO SLEEP(0)")
	s.must("SET @@tidb_snapshot = NOW(6)")
	require.Contains(t, s.fails(1105, "IMPORT INTO t1 FROM '"+file+"'"), "when 'tidb_snapshot' is set")
}

// TestImportRefused is the table of refusals that need the cluster or the file:
// one clear error each, no job, and the target as it was.
func TestImportRefused(t *testing.T) {
	t.Parallel()
	e, s, db := realExecutor(t)
	for _, sql := range []string{
		"CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(5) NOT NULL)",
		"CREATE VIEW v AS SELECT * FROM t", "CREATE SEQUENCE sq",
		"CREATE TABLE cached (a INT PRIMARY KEY)", "ALTER TABLE cached CACHE",
		"CREATE TEMPORARY TABLE tmp (a INT PRIMARY KEY)", "CREATE TABLE full (a INT PRIMARY KEY)", "INSERT INTO full VALUES (1)",
	} {
		s.must(sql)
	}
	good := writeCSV(t, "good.csv", "1,a\n")
	empty := writeCSV(t, "empty.csv", "")
	dir := filepath.Dir(good)
	into := func(table string) string { return "IMPORT INTO " + table + " FROM '" + good + "'" }
	for _, tc := range []struct {
		sql  string
		code uint16
		text string
	}{
		{into("nope"), 1146, "doesn't exist"},
		{into("nodb.t"), 1146, "doesn't exist"},
		{into("v"), 1288, "not updatable"},
		{into("sq"), 1288, "not updatable"},
		{into("cached"), 1105, "IMPORT INTO does not support cached table"},
		{into("tmp"), 1105, "IMPORT INTO does not support temporary table"},
		{into("full"), 8173, "PreCheck failed: target table is not empty"},
		{into("mysql.user"), 8173, "PreCheck failed: target table is a system table"},
		{into("t (a, zz)"), 1054, "zz"},
		{"IMPORT INTO t FROM '" + dir + "/missing.csv'", 8160, "no such file or directory"},
		{"IMPORT INTO t FROM '/no/such/dir/a.csv'", 8158, "no such file or directory"},
		{"IMPORT INTO t FROM '" + dir + "/x*.csv'", 8173, "No file matched"},
		{"IMPORT INTO t FROM '" + empty + "'", 8173, "No file matched, or the file is empty"},
		{into("t") + " WITH foo", 8163, "Unknown option foo"},
		{into("t") + " WITH split_file, lines_terminated_by='\\n'", 1235, "not supported yet"},
	} {
		require.Contains(t, s.fails(tc.code, tc.sql), tc.text, tc.sql)
	}

	s.must("BEGIN")
	require.Contains(t, s.fails(1105, into("t")), "cannot run IMPORT INTO in explicit transaction")
	s.must("ROLLBACK")
	s.must("SET autocommit = 0")
	s.must("SELECT * FROM t")
	require.Contains(t, s.fails(1105, into("t")), "cannot run IMPORT INTO in explicit transaction")
	s.must("ROLLBACK")
	s.must("SET autocommit = 1")
	noDB := sessionOf(t, e, "root", "", "")
	require.Contains(t, noDB.fails(1046, into("t")), "No database selected")

	r, err := s.run(t.Context(), "SHOW IMPORT JOBS")
	require.NoError(t, err)
	require.Empty(t, r.Rows, "a refused statement leaves no job")
	n, err := s.must("SELECT COUNT(*) FROM "+db+".t").GetInt(0, 0)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, "finished", s.row(into("t"))["Status"], "after all that, the table takes an import")
}

// TestImportBadData: the job fails at the first bad row, says where, and the
// table is unchanged.
func TestImportBadData(t *testing.T) {
	t.Parallel()
	_, s, db := realExecutor(t)
	s.must("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(5) NOT NULL)")
	for i, tc := range []struct{ data, text string }{
		{"1,a\n2\n", "line 2"},
		{"1,a\n2,b,c\n", "line 2"},
		{"1,a\nx,b\n", "line 2"},
		{"1,a\n2,\xff\xfe\n", "line 2"},
		{"1,a\n2,\"b\n", "bad.csv"},
		{"1,a\n2,toolong\n", "line 2"},
		{"1,a\n2,\\N\n", "line 2"},
	} {
		file := writeCSV(t, "bad.csv", tc.data)
		_, err := s.run(t.Context(), "IMPORT INTO t FROM '"+file+"'")
		require.Error(t, err, "%q", tc.data)
		code, _, message := executor.MySQLError(err)
		require.NotZero(t, code)
		require.Contains(t, message, tc.text, "%q", tc.data)
		row := s.row(fmt.Sprintf("SHOW IMPORT JOB %d", i+1))
		require.Equal(t, "failed", row["Status"])
		require.Equal(t, message, "import job "+row["Job_ID"]+": "+row["Result_Message"])
		n, err := s.must("SELECT COUNT(*) FROM "+db+".t").GetInt(0, 0)
		require.NoError(t, err)
		require.Zero(t, n, "%q", tc.data)
	}
}

func TestImportPrivileges(t *testing.T) {
	t.Parallel()
	e, root, db := realExecutor(t)
	root.must("CREATE TABLE t (a INT PRIMARY KEY)")
	file := writeCSV(t, "a.csv", "1\n")
	sql := "IMPORT INTO " + db + ".t FROM '" + file + "'"
	all := []string{"SELECT", "UPDATE", "INSERT", "DELETE", "ALTER"}

	// Grants are on the whole schema of the test, so a user per case.
	for i, missing := range all {
		var have []string
		for j, p := range all {
			if i != j {
				have = append(have, p)
			}
		}
		name := fmt.Sprintf("%s_u%d", db, i)
		newUser(root, name, db, have...)
		root.must("GRANT FILE ON *.* TO '" + name + "'@'%'")
		text := sessionOf(t, e, name, "pw", "").fails(1142, sql)
		require.Equal(t, fmt.Sprintf("%s command denied to user '%s'@'%%' for table 't'", missing, name), text)
	}
	noFile := db + "_nofile"
	newUser(root, noFile, db, all...)
	require.Contains(t, sessionOf(t, e, noFile, "pw", "").fails(1227, sql), "FILE")

	// Rights that come by a role count.
	role, viaRole := db+"_role", db+"_viarole"
	root.must("CREATE ROLE '" + role + "'")
	t.Cleanup(func() { root.must("DROP ROLE '" + role + "'") })
	root.must("GRANT " + strings.Join(all, ",") + " ON " + db + ".* TO '" + role + "'")
	root.must("GRANT FILE ON *.* TO '" + role + "'")
	newUser(root, viaRole, db)
	root.must("GRANT '" + role + "' TO '" + viaRole + "'@'%'")
	other := sessionOf(t, e, viaRole, "pw", "")
	other.fails(1142, sql)
	other.must("SET ROLE '" + role + "'")
	row := other.row(sql)
	require.Equal(t, "finished", row["Status"])
	require.Equal(t, viaRole+"@%", row["Created_By"])

	// Others' jobs are invisible without SUPER.
	stranger := sessionOf(t, e, noFile, "pw", "")
	r, err := stranger.run(t.Context(), "SHOW IMPORT JOBS")
	require.NoError(t, err)
	require.Empty(t, r.Rows)
	require.Contains(t, stranger.fails(1227, "SHOW IMPORT JOB 1"), "SUPER")
	require.Contains(t, stranger.fails(1227, "CANCEL IMPORT JOB 1"), "SUPER")
	require.Equal(t, "Job ID 99 doesn't exist", stranger.fails(8170, "SHOW IMPORT JOB 99"))
	require.Equal(t, "Job ID 99 doesn't exist", stranger.fails(8170, "CANCEL IMPORT JOB 99"))
	require.Equal(t, row, other.row("SHOW IMPORT JOBS"))
	require.Equal(t, row["Job_ID"], root.row("SHOW IMPORT JOBS")["Job_ID"])
	root.must("GRANT SUPER ON *.* TO '" + noFile + "'@'%'")
	require.Equal(t, row["Job_ID"], stranger.row("SHOW IMPORT JOB 1")["Job_ID"])
}

func TestShowFilter(t *testing.T) {
	t.Parallel()
	_, s, _ := realExecutor(t)
	file := writeCSV(t, "a'b.csv", "1\n")
	for i := range 3 {
		s.must(fmt.Sprintf("CREATE TABLE t%d (a INT PRIMARY KEY)", i))
		s.row(fmt.Sprintf("IMPORT INTO t%d FROM '%s'", i, strings.ReplaceAll(file, "'", "''")))
	}
	s.must("SET time_zone = '-05:00'")
	for filter, want := range map[string]string{
		"LIKE '2'": "2", "LIKE '%'": "1 2 3", "WHERE Job_ID > 1": "2 3", "WHERE Status = 'failed'": "",
		"WHERE target_table LIKE '%t0%' OR `Imported_Rows` = 1 AND Job_ID = 3":                  "1 3",
		"WHERE Data_Source LIKE '%a''b.csv'":                                                    "1 2 3",
		"WHERE Create_Time > NOW() - INTERVAL 1 HOUR AND Create_Time < NOW() + INTERVAL 1 HOUR": "1 2 3",
		"WHERE Job_ID IN (SELECT 2)":                                                            "2",
	} {
		r, err := s.run(t.Context(), "SHOW IMPORT JOBS "+filter)
		require.NoError(t, err, filter)
		var ids []string
		for _, row := range byName(r) {
			ids = append(ids, row["Job_ID"])
		}
		require.Equal(t, want, strings.Join(ids, " "), filter)
	}
	s.fails(1054, "SHOW IMPORT JOBS WHERE nope = 1")
}

// TestColumnsAreTiDBs compares the result set's description with TiDB's own.
func TestColumnsAreTiDBs(t *testing.T) {
	t.Parallel()
	_, s, _ := realExecutor(t)
	theirs := s.must("SHOW IMPORT JOBS")
	ours, err := s.run(t.Context(), "SHOW IMPORT JOBS")
	require.NoError(t, err)
	var want []executor.Column
	for _, f := range theirs.Fields {
		want = append(want, executor.Column{
			Name: string(f.Name), Type: f.Type, Charset: f.Charset, Length: f.ColumnLength, Flags: f.Flag, Decimals: f.Decimal,
		})
	}
	require.Len(t, want, 13)
	require.Equal(t, want, ours.Columns[:13], "Sluice's own columns come behind TiDB's")
	require.EqualValues(t, mysql.MYSQL_TYPE_LONGLONG, want[0].Type)
}

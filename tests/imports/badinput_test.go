package imports_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBadSources: whatever is wrong with a file, there is one clear error with
// its code and place, and the target stays as it was.
func TestBadSources(t *testing.T) {
	t.Parallel()
	good := lines("1,a,10,1.5", "2,b,20,2.5")
	tests := []struct {
		name string
		text string
		code uint16
		want []string
	}{
		{"too few columns", good + "3,c,30\n", 1261, []string{"line 3", "offset 22"}},
		{"too many columns", good + "3,c,30,3.5,extra\n", 1262, []string{"line 3", "offset 22"}},
		{"bad number", good + "3,c,12x,3.5\n", 1366, []string{"line 3", "offset 22", "column n", "12x"}},
		{"number out of range", good + "3,c,3000000000,3.5\n", 1264, []string{"line 3", "column n", "3000000000"}},
		{"bad decimal", good + "3,c,30,1.2.3\n", 1366, []string{"line 3", "column d", "1.2.3"}},
		{"text too long", good + "3,cccccccccccc,30,3.5\n", 1406, []string{"line 3", "column s", "cccccccccccc"}},
		{"NULL in a NOT NULL column", good + "3,\\N,30,3.5\n", 1048, []string{"line 3", "column s"}},
		{"invalid UTF-8", good + "3,a\xff\xfe,30,3.5\n", 1366, []string{"line 3", "column s", `\xff\xfe`}},
		{"unterminated quote", good + "3,\"c,30,3.5\n", 1105, []string{"line 3", "offset 22"}},
		{"bytes after the closing quote", good + "3,\"c\"x,30,3.5\n", 1105, []string{"line 3", "offset 22"}},
		{"duplicate primary key", good + "2,c,30,3.5\n", 1062, []string{"Duplicate entry '2'", "t.PRIMARY"}},
		{"duplicate unique key", good + "3,b,30,3.5\n", 1062, []string{"Duplicate entry", "t.uk"}},
		{"first of several bad rows", good + "x,c,30,3.5\n" + strings.Repeat("y,c,30,3.5\n", 50_000), 1366, []string{"line 3", "column id"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec("CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(10) NOT NULL, n INT, d DECIMAL(10,2), UNIQUE KEY uk (s), KEY k (n))")
			path := b.file("bad.csv", tt.text)
			words := append([]string(nil), tt.want...)
			if tt.code != 1062 {
				words = append(words, path)
			}
			err := b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH thread=4", path), tt.code, words...)
			require.Equal(t, "0", b.count("t"))
			_, values, qerr := rows(t, b.direct, "SELECT status, CONCAT('import job ', id, ': ', message) FROM sluice.jobs WHERE table_schema = ?", b.name)
			require.NoError(t, qerr)
			require.Len(t, values, 1)
			require.Equal(t, "failed", values[0][0])
			require.Equal(t, err.Message, values[0][1])
			// The table is free again.
			b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s'", b.file("good.csv", good)))
			b.consistent("t")
		})
	}
}

// TestRefusedBeforeAJob: what is wrong with the statement or the target is
// said at once, and no job row appears.
func TestRefusedBeforeAJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(
		"CREATE TABLE t (a INT PRIMARY KEY, b INT)",
		"CREATE TABLE full (a INT PRIMARY KEY, b INT)", "INSERT INTO full VALUES (1,1)",
		"CREATE VIEW v AS SELECT * FROM t", "CREATE SEQUENCE s", "CREATE TEMPORARY TABLE tmp (a INT PRIMARY KEY)",
		"CREATE TABLE part (a INT PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 2",
	)
	path := b.file("x.csv", "1,1\n")
	from := " FROM '" + path + "'"
	tests := []struct {
		stmt string
		code uint16
		want []string
	}{
		{"IMPORT INTO full" + from, 8173, []string{"target table is not empty"}},
		{"IMPORT INTO nowhere" + from, 1146, []string{"nowhere"}},
		{"IMPORT INTO nodb.t" + from, 1146, []string{"nodb"}},
		{"IMPORT INTO v" + from, 1288, []string{"v"}},
		{"IMPORT INTO s" + from, 1288, []string{"s"}},
		{"IMPORT INTO part PARTITION (nope)" + from, 1735, []string{"nope"}},
		{"IMPORT INTO t PARTITION (p0)" + from, 1747, nil},
		{"IMPORT INTO t" + from + " WITH split_file, lines_terminated_by='\\n'", 1235, []string{"SPLIT_FILE"}},
		{"IMPORT INTO t" + from + " WITH disk_quota='1000KiB'", 8164, []string{"disk_quota", "1MiB"}},
		{"IMPORT INTO mysql.user" + from, 8173, nil},
		{"IMPORT INTO t (a, zz)" + from, 1054, []string{"zz"}},
		{"IMPORT INTO t (a, a)" + from, 1110, []string{"a"}},
		{"IMPORT INTO t" + from + " WITH nonsense=1", 8163, []string{"nonsense"}},
		{"IMPORT INTO t" + from + " WITH thread='4'", 8164, []string{"thread"}},
		{"IMPORT INTO t" + from + " WITH thread=1, thread=2", 8165, []string{"thread"}},
		{"IMPORT INTO t FROM 'x.csv'", 8158, []string{"absolute path"}},
		{"IMPORT INTO t FROM ''", 8156, nil},
		{"IMPORT INTO t FROM '/etc/passwd'", 8158, []string{"suffix"}},
		{"IMPORT INTO t FROM '" + filepath.Join(b.dir, "missing.csv") + "'", 8160, []string{"missing.csv"}},
		{"IMPORT INTO t FROM '" + filepath.Join(b.dir, "nodir", "x.csv") + "'", 8158, []string{"no such file"}},
		{"IMPORT INTO t FROM '" + filepath.Join(b.dir, "nomatch*.csv") + "'", 8173, []string{"No file matched"}},
		{"IMPORT INTO t" + from + " FORMAT 'orc'", 8157, []string{"orc"}},
		{"IMPORT INTO t FROM SELECT * FROM full", 1235, []string{"not", "support"}},
		{"RESTORE DATABASE * FROM 'local:///backup' CHECKPOINT = FALSE", 1235, []string{"not", "support"}},
		{"CANCEL IMPORT JOB 99999999", 8170, []string{"99999999"}},
		{"SHOW IMPORT JOB 99999999", 8170, []string{"99999999"}},
	}
	for _, tt := range tests {
		b.fails(tt.stmt, tt.code, tt.want...)
	}
	require.Equal(t, [][]string{{"0"}}, b.query("SELECT COUNT(*) FROM sluice.jobs WHERE table_schema = ?", b.name))
	require.Equal(t, "0", b.count("t"))
	require.Equal(t, "1", b.count("full"))
}

func TestInsideATransaction(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY)")
	tx, err := b.proxy.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "INSERT INTO t VALUES (1)")
	require.NoError(t, err)
	stmt := fmt.Sprintf("IMPORT INTO t FROM '%s'", b.file("x.csv", "1\n"))
	_, _, err = rows(t, tx, stmt)
	_ = requireMySQLError(t, stmt, err, 1105, "cannot run IMPORT INTO in explicit transaction")
	require.NoError(t, tx.Rollback())
	require.Equal(t, "0", b.count("t"))
}

func TestPrivileges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user := b.name + "_u"
	b.exec("CREATE TABLE t (a INT PRIMARY KEY)", "CREATE USER '"+user+"' IDENTIFIED BY 'pw'",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON "+b.name+".* TO '"+user+"'")
	stmt := fmt.Sprintf("IMPORT INTO %s.t FROM '%s'", b.name, b.file("x.csv", "1\n"))
	db, err := b.sluice.Open(user, "pw", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })

	_, _, err = rows(t, db, stmt)
	_ = requireMySQLError(t, stmt, err, 1142, "ALTER command denied to user '"+user+"'", "'t'")
	b.exec("GRANT ALTER ON " + b.name + ".t TO '" + user + "'")
	_, _, err = rows(t, db, stmt)
	_ = requireMySQLError(t, stmt, err, 1227, "FILE")
	require.Equal(t, "0", b.count("t"))
	b.exec("GRANT FILE ON *.* TO '" + user + "'")
	_, values, err := rows(t, db, stmt)
	require.NoError(t, err)
	require.Equal(t, user+"@%", values[0][12])
	b.consistent("t")

	// Jobs of others are neither shown to nor cancelled by the user.
	b.exec("CREATE TABLE other (a INT PRIMARY KEY)")
	job := b.mustImport(fmt.Sprintf("IMPORT INTO other FROM '%s'", b.file("y.csv", "1\n")))
	_, values, err = rows(t, db, "SHOW IMPORT JOBS")
	require.NoError(t, err)
	require.Len(t, values, 1)
	for _, stmt := range []string{"SHOW IMPORT JOB " + job["Job_ID"], "CANCEL IMPORT JOB " + job["Job_ID"]} {
		_, _, err = rows(t, db, stmt)
		_ = requireMySQLError(t, stmt, err, 1227, "SUPER")
	}
	b.fails("CANCEL IMPORT JOB "+job["Job_ID"], 8171, "CANCEL")
}

func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY)")
	const secret = "TOPSECRETKEY"
	err := b.fails("IMPORT INTO t FROM 'ks3://bucket/x.csv?access-key=AK&secret-access-key="+secret+"'", 1235)
	require.NotContains(t, err.Message, secret)
	err = b.fails("IMPORT INTO t FROM '"+b.file("x.csv", "1\n")+"' WITH cloud_storage_uri='s3://b/p?secret-access-key="+secret+"'", 1235)
	require.NotContains(t, err.Message, secret)
	log := b.sluice.LogTail(1 << 20)
	require.NotContains(t, log, secret)
	require.NotContains(t, log, b.sluice.Password)
}

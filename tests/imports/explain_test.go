package imports_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
)

// explained is a row of EXPLAIN IMPORT INTO by its item.
type explained map[string]struct{ status, value, detail string }

// explain runs a statement that tells what an import would find.
func (b *bench) explain(stmt string) explained {
	b.t.Helper()
	columns, values, err := rows(b.t, b.proxy, stmt)
	require.NoError(b.t, err, stmt)
	require.Equal(b.t, []string{"Item", "Status", "Value", "Detail"}, columns)
	out := explained{}
	for _, v := range values {
		_, twice := out[v[0]]
		require.False(b.t, twice, "%s: %s", stmt, v[0])
		out[v[0]] = struct{ status, value, detail string }{v[1], v[2], v[3]}
	}
	return out
}

// require looks for a status, and for words in the detail.
func (e explained) require(t *testing.T, item, status string, words ...string) {
	t.Helper()
	got, ok := e[item]
	require.True(t, ok, "%s is not in %v", item, e)
	require.Equal(t, status, got.status, "%s: %s", item, got.detail)
	for _, w := range words {
		require.Contains(t, got.detail, w, item)
	}
}

// critical returns the items that keep an import from beginning.
func (e explained) critical() (items []string) {
	for item, row := range e {
		if row.status == "critical" {
			items = append(items, item)
		}
	}
	return items
}

func (e explained) number(t *testing.T, item string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(e[item].value, 10, 64)
	require.NoError(t, err, "%s: %v", item, e[item])
	return n
}

// TestExplainTellsWhatTheImportDoes: the estimates of a sample are near to what comes of the import.
func TestExplainTellsWhatTheImportDoes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(dataset.DemoSchema("demo"))
	path, _ := b.demoFile(30_000, 11)
	got := b.explain(fmt.Sprintf("EXPLAIN IMPORT INTO demo FROM '%s' WITH thread=3", path))
	require.Empty(t, got.critical())
	for _, item := range []string{"privileges", "active_job", "source_file", "schema", "target_empty", "cluster_version", "cluster_space",
		"log_backup", "changefeed", "local_disk", "disk_placement", "sort_directory", "large_file"} {
		got.require(t, item, "passed")
	}
	got.require(t, "sample_rows", "passed", "of 1 file can be imported")
	got.require(t, "source_files", "exact", path)
	got.require(t, "rows", "estimate", "extrapolated from ")
	got.require(t, "encode_time", "estimate", "3 threads")
	got.require(t, "ingest_time", "estimate", "64MiB per second")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, info.Size(), got.number(t, "source_size"))

	b.mustImport(fmt.Sprintf("IMPORT INTO demo FROM '%s' WITH thread=3", path))
	require.InEpsilon(t, 30_000, got.number(t, "rows"), 0.05)
	_, sum, err := rows(t, b.direct, "ADMIN CHECKSUM TABLE demo")
	require.NoError(t, err)
	size, err := strconv.ParseInt(sum[0][4], 10, 64)
	require.NoError(t, err)
	require.InEpsilon(t, size, got.number(t, "sorted_size"), 0.05)
	require.EqualValues(t, 1, got.number(t, "regions"))
	require.Zero(t, got.number(t, "sort_disk"))

	// All of a small file is read.
	b.exec("CREATE TABLE s (a INT PRIMARY KEY, b VARCHAR(10), KEY (b))")
	got = b.explain(fmt.Sprintf("IMPORT INTO s FROM '%s' WITH dry_run, skip_rows=1", b.file("s.csv", lines("a,b", "1,x", "2,\"y", "z\""))))
	got.require(t, "rows", "exact", "all rows were read")
	require.EqualValues(t, 2, got.number(t, "rows"))
	require.Equal(t, "0", b.count("s"))
}

// TestExplainFindsAllAtOnce: whatever is wrong is in one result, and an import
// of the same fails with the error that it always had, followed by the rest.
func TestExplainFindsAllAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b INT)", "CREATE TABLE filled (a INT PRIMARY KEY, b INT)", "INSERT INTO filled VALUES (1, 1)")
	good, bad := b.file("good.csv", lines("1,2", "3,4")), b.file("bad.csv", lines("1,2", "3,four", "5,6"))
	none, header := filepath.Join(b.dir, "none.csv"), b.file("header.csv", lines("A,c", "1,2"))
	const missing, full = "no such file or directory", "PreCheck failed: target table is not empty"
	for _, c := range []struct {
		table, file, with string
		items             []string
		words             map[string]string
		code              uint16 // of the import
		says              []string
	}{
		{"filled", good, "", []string{"target_empty"}, map[string]string{"target_empty": full}, 8173, []string{full}},
		{"filled", none, "", []string{"source_file", "target_empty"}, map[string]string{"source_file": missing, "target_empty": full},
			8160, []string{missing, "; also failed: target_empty: target table is not empty"}},
		{"filled", header, "csv_header='columns'", []string{"csv_header", "target_empty"},
			map[string]string{"csv_header": "Unknown column 'c' in 'field list'"}, 1054, []string{"header.csv, line 1", "also failed: target_empty"}},
		{"t", none, "csv_header='columns'", []string{"source_file"}, map[string]string{"csv_header": "because source_file failed",
			"sample_rows": "because source_file failed", "cluster_space": "because source_file failed"}, 8160, nil},
		{"t", bad, "", []string{"sample_rows"}, map[string]string{"sample_rows": "1 of 3 rows of 1 file can't be imported, the first of them: Incorrect int value: \"four\" for column 'b' (file " + bad + ", line 2, offset 4, column b, value \"four\")"},
			1366, []string{"import job", "line 2, offset 4"}},
		{"t", bad, "max_errors=1", nil, map[string]string{"sample_rows": "1 of 3 rows of 1 file will be left out"}, 0, nil},
		{"t", b.file("open.csv", "1,2\n3,\"four\n5,6\n"), "max_errors=1", []string{"sample_rows"}, map[string]string{"sample_rows": "unterminated quoted field"}, 1105, nil},
		{"t", b.file("few.csv", "1\n"), "", []string{"sample_rows"}, map[string]string{"sample_rows": "few.csv, line 1"}, 1261, nil},
		{"filled", b.file("more.csv", "7,7\n"), "allow_non_empty", nil, map[string]string{"target_empty": "there are rows, and allow_non_empty adds to them"}, 0, nil},
	} {
		with := ""
		if c.with != "" {
			with = " WITH " + c.with
		}
		stmt := fmt.Sprintf("IMPORT INTO %s FROM '%s'%s", c.table, c.file, with)
		got := b.explain("EXPLAIN " + stmt)
		require.ElementsMatch(t, c.items, got.critical(), stmt)
		for item, words := range c.words {
			require.Contains(t, got[item].detail, words, stmt)
		}
		if c.code != 0 {
			b.fails(stmt, c.code, c.says...)
			continue
		}
		b.mustImport(stmt)
		b.exec("DELETE FROM " + c.table + " WHERE a <> 1 OR b <> 1")
	}
	require.Equal(t, "1", b.count("filled"))
}

// TestHugeSource: a file of many terabytes, of which only the head is there, needs
// more disk than anybody has. All that is wrong is told before there is a job.
func TestHugeSource(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b INT, KEY (b))")
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "%d,%d\n", i, i)
	}
	path := b.file("huge.csv", text.String())
	require.NoError(t, os.Truncate(path, 4<<40))
	stmt := fmt.Sprintf("IMPORT INTO t FROM '%s'", path)
	got := b.explain("EXPLAIN " + stmt)
	got.require(t, "local_disk", "critical", "sorting needs about ", b.sluice.SortDir())
	got.require(t, "cluster_space", "critical", "TiKV gets about ", "3 replicas")
	got.require(t, "disk_placement", "warning", "on the same disk")
	got.require(t, "sample_rows", "passed")
	require.Greater(t, got.number(t, "rows"), int64(1)<<37)
	require.Greater(t, got.number(t, "sort_disk"), int64(4)<<40)
	require.Greater(t, got.number(t, "regions"), int64(1000))
	b.fails(stmt, 8173, "PreCheck failed: ", "local_disk: sorting needs about ", "cluster_space: TiKV gets about ", "skip_prechecks = ")
	require.Empty(t, b.query("SELECT id FROM sluice.jobs WHERE table_schema = ?", b.name), "there is no job")

	got = b.explain("EXPLAIN " + stmt + " WITH skip_prechecks='Cluster_Space, local_disk'")
	got.require(t, "local_disk", "skipped")
	got.require(t, "cluster_space", "skipped")
	b.fails(stmt+" WITH skip_prechecks='cluster_space'", 8173, "local_disk")
	b.fails("EXPLAIN "+stmt+" WITH skip_prechecks='target_empty'", 8164, "Invalid option value for skip_prechecks", `"target_empty" is none of`, "local_disk")
}

// TestExplainSeesOtherJobs: a job on the table is told with its number.
func TestExplainSeesOtherJobs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(300))")
	path := filepath.Join(b.dir, "x.csv")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("1,"+strings.Repeat("x", 250)+"\n", 1000)), 0o600))
	stmt := fmt.Sprintf("IMPORT INTO t FROM '%s'", path)
	b.explain("EXPLAIN "+stmt).require(t, "active_job", "passed")
	b.exec("CREATE TABLE first (a INT)")
	b.mustImport(fmt.Sprintf("IMPORT INTO first FROM '%s'", b.file("first.csv", "1\n"))) // makes the tables for jobs
	b.explain("EXPLAIN "+stmt).require(t, "active_job", "passed", "no other job")
	// As another Sluice would have it.
	_, err := b.direct.ExecContext(t.Context(), `INSERT INTO sluice.jobs (id, data_source, table_schema, table_name, table_id, statement, options,
		format_version, status, phase, step, source_bytes, message, created_by, create_time, update_time, owner, term, lease_until)
		SELECT 1000000, '', ?, 't', tidb_table_id, '', '{}', 1, 'running', '', '', 0, '', '', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 'other', 1,
		UTC_TIMESTAMP(6) + INTERVAL 1 HOUR FROM information_schema.tables WHERE table_schema = ? AND table_name = 't'`, b.name, b.name)
	require.NoError(t, err)
	_, err = b.direct.ExecContext(t.Context(), `INSERT INTO sluice.job_tables (job_id, seq, table_schema, table_name, table_id, active, message)
		SELECT 1000000, 1, ?, 't', tidb_table_id, 1, '' FROM information_schema.tables WHERE table_schema = ? AND table_name = 't'`, b.name, b.name)
	require.NoError(t, err)
	b.explain("EXPLAIN "+stmt).require(t, "active_job", "critical", "there is active job on the target table already: job 1000000")
	b.fails(stmt, 8173, "there is active job on the target table already")
	_, err = b.direct.ExecContext(t.Context(), "DELETE j, t FROM sluice.jobs j JOIN sluice.job_tables t ON t.job_id = j.id WHERE j.id = 1000000")
	require.NoError(t, err)
}

// TestExplainNeedsTheRightsOfTheImport: who may not import learns nothing of files and tables.
func TestExplainNeedsTheRightsOfTheImport(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user := "reader_" + b.name
	b.exec("CREATE TABLE t (a INT PRIMARY KEY)", "CREATE USER "+user, "GRANT SELECT, INSERT ON "+b.name+".* TO "+user)
	t.Cleanup(func() { _, _ = b.direct.ExecContext(context.WithoutCancel(t.Context()), "DROP USER "+user) })
	db, err := b.sluice.Open(user, "", b.name)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, table := range []string{"t", "none"} {
		stmt := fmt.Sprintf("IMPORT INTO %s FROM '%s'", table, filepath.Join(b.dir, "none.csv"))
		_, _, want := rows(t, db, stmt)
		require.NotZero(t, mysqlCode(want))
		for _, asked := range []string{"EXPLAIN " + stmt, stmt + " WITH dry_run"} {
			_, _, err := rows(t, db, asked)
			requireMySQLError(t, asked, err, mysqlCode(want))
			require.Equal(t, want.Error(), err.Error(), asked)
		}
	}
}

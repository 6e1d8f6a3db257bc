package crash_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/format/csv"
)

// kind is a kind of job. Every one of them goes through the same matrix.
type kind struct {
	name  string
	table string // columns and keys
	rows  func(i int) string
	fill  string // INSERT ... behind the table's name, for one that has rows
	task  func(*importcore.ImportTask)
	// with is what task does, as options of the statement.
	with string
	// drawn says that two jobs don't leave the same rows: this column differs.
	drawn string
	// rounds says that the source is imported in several parts.
	rounds bool
	// form is the suffix of the files: ".csv" if it is empty. givenFiles stands for files of several forms that the task names.
	form string
	size size
}

const givenFiles = "given"

// size is that of a source.
type size struct{ files, rowsPerFile int }

func (s size) rows() int { return s.files * s.rowsPerFile }

func (s size) plainRow(i int) string {
	n := i * 7919 % s.rows()
	return fmt.Sprintf("%d,u%05d,%s", n, n, strings.Repeat("v", 100+i%50))
}

// collidingRow shares its key, its unique value or both with others now and then.
func (s size) collidingRow(i int) string {
	id, u := i*7919%s.rows(), i
	if i%10 == 3 {
		id = (i - 3) * 7919 % s.rows()
	}
	if i%10 == 7 {
		u = i / 2
	}
	return fmt.Sprintf("%d,u%05d,%s-%d", id, u, strings.Repeat("v", 100+i%50), i)
}

const fillRows = " SELECT n, CONCAT('u', LPAD(n, 5, '0')), 'was here' FROM (WITH RECURSIVE s(n) AS " +
	"(SELECT 100 UNION ALL SELECT n + 1 FROM s WHERE n < 400) SELECT n FROM s) x"

func kinds(s size) []kind {
	const plain = "(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT, UNIQUE KEY (u))"
	onDuplicate := func(d importcore.OnDuplicate, filled bool) func(*importcore.ImportTask) {
		return func(t *importcore.ImportTask) { t.OnDuplicate, t.AllowNonEmpty = d, filled }
	}
	all := []kind{
		{name: "plain", table: plain, rows: s.plainRow},
		{name: "row ids", table: "(id BIGINT, u VARCHAR(20), v TEXT, KEY (u)) SHARD_ROW_ID_BITS = 2", rows: s.plainRow},
		{name: "partitions", table: "(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT) PARTITION BY HASH (id) PARTITIONS 3", rows: s.plainRow},
		{name: "replace", table: plain, rows: s.collidingRow, with: "on_duplicate='replace'", task: onDuplicate(importcore.DuplicateReplace, false)},
		{name: "ignore", table: plain, rows: s.collidingRow, with: "on_duplicate='ignore'", task: onDuplicate(importcore.DuplicateIgnore, false)},
		{name: "capture", table: plain, rows: s.collidingRow, with: "on_duplicate='capture'", task: onDuplicate(importcore.DuplicateCapture, false)},
		{name: "bad rows", table: plain, with: "max_errors=9000", task: func(t *importcore.ImportTask) { t.MaxErrors = 9000 }, rows: func(i int) string {
			if i%9 == 4 {
				return fmt.Sprintf("no number %d,u,v", i)
			}
			return s.plainRow(i)
		}},
		{name: "filled, replace", table: plain, rows: s.collidingRow, fill: fillRows,
			with: "allow_non_empty, on_duplicate='replace'", task: onDuplicate(importcore.DuplicateReplace, true)},
		{name: "filled, ignore", table: plain, rows: s.collidingRow, fill: fillRows,
			with: "allow_non_empty, on_duplicate='ignore'", task: onDuplicate(importcore.DuplicateIgnore, true)},
		{name: "filled, capture", table: plain, rows: s.collidingRow, fill: fillRows,
			with: "allow_non_empty, on_duplicate='capture'", task: onDuplicate(importcore.DuplicateCapture, true)},
		{name: "drawn values", rows: s.plainRow, drawn: "d",
			table: "(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT, d VARCHAR(36) DEFAULT (UUID()), KEY (d))"},
	}
	// The pairs of a row have some 220 bytes.
	quota := int64(s.rows()) * 75
	all = append(all,
		kind{name: "disk quota", table: plain, rows: s.plainRow, rounds: true},
		kind{name: "disk quota, row ids", table: "(id BIGINT, u VARCHAR(20), v TEXT, KEY (u), KEY (id)) SHARD_ROW_ID_BITS = 2", rows: s.plainRow, rounds: true},
		kind{name: "disk quota, bad rows", table: plain, rounds: true, with: "max_errors=9000", task: func(t *importcore.ImportTask) { t.MaxErrors = 9000 },
			rows: all[6].rows},
		kind{name: "disk quota, drawn values", rows: s.plainRow, drawn: "d", rounds: true,
			table: "(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT, d VARCHAR(36) DEFAULT (UUID()), KEY (d))"})
	all = append(all,
		kind{name: "SQL", table: plain, rows: s.plainRow, form: ".sql"},
		kind{name: "SQL, replace", table: plain, rows: s.collidingRow, form: ".sql.zst", with: "on_duplicate='replace'",
			task: onDuplicate(importcore.DuplicateReplace, false)},
		kind{name: "SQL, bad rows", table: plain, rows: all[6].rows, form: ".sql.gz", with: "max_errors=9000", task: all[6].task},
		kind{name: "SQL, disk quota", table: plain, rows: s.plainRow, form: ".sql.zst", rounds: true},
		kind{name: "packed CSV", table: plain, rows: s.plainRow, form: ".csv.gz"},
		kind{name: "given files", table: plain, rows: s.plainRow, form: givenFiles})
	for i := range all {
		all[i].size = s
		if !all[i].rounds {
			continue
		}
		if all[i].with != "" {
			all[i].with += ", "
		}
		all[i].with += fmt.Sprintf("disk_quota='%d'", quota)
		task := all[i].task
		all[i].task = func(t *importcore.ImportTask) {
			if t.DiskQuota = quota; task != nil {
				task(t)
			}
		}
	}
	return all
}

// source writes the files of a kind and returns the location.
func (k *kind) source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for f := range k.size.files {
		form := k.suffix(f)
		text := k.text(f, form)
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("part%02d%s", f, form)), packed(t, form, text), 0o600))
	}
	if k.form == givenFiles {
		return dir
	}
	return filepath.Join(dir, "part*"+k.suffix(0))
}

func (k *kind) create(t *testing.T, db *sql.DB, schema, table string) {
	t.Helper()
	run := func(stmt string) {
		_, err := db.ExecContext(t.Context(), stmt)
		require.NoError(t, err, stmt)
	}
	run(fmt.Sprintf("DROP TABLE IF EXISTS %s.%s", schema, table))
	run(fmt.Sprintf("CREATE TABLE %s.%s %s", schema, table, k.table))
	if k.fill != "" {
		run(fmt.Sprintf("INSERT INTO %s.%s (id, u, v)%s", schema, table, k.fill))
	}
}

func (k *kind) newTask(t *testing.T, schema, table, location string) importcore.ImportTask {
	task := importcore.ImportTask{
		JobID: 1, DB: schema, Table: table, Location: location, Files: k.files(t, location), CSV: csv.Config{FieldsTerminatedBy: ",", FieldsEnclosedBy: `"`, FieldsEscapedBy: `\`},
		Threads: 2, SQLMode: mysql.ModeStrictTransTables,
	}
	if strings.HasPrefix(k.form, ".sql") {
		task.Format = importcore.FormatSQL // and the statements list columns
	} else {
		for _, name := range []string{"id", "u", "v"} {
			task.Columns = append(task.Columns, columnNamed(name))
		}
	}
	if k.task != nil {
		k.task(&task)
	}
	return task
}

// content is what a table holds, apart from what is drawn.
func (k *kind) content(t *testing.T, db *sql.DB, schema, table string) (rows []string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), fmt.Sprintf("ADMIN CHECK TABLE %s.%s", schema, table))
	require.NoError(t, err)
	result, err := db.QueryContext(t.Context(), fmt.Sprintf("SELECT CONCAT_WS('|', id, u, v) FROM %s.%s ORDER BY id, u, v", schema, table))
	require.NoError(t, err)
	defer result.Close()
	for result.Next() {
		var row string
		require.NoError(t, result.Scan(&row))
		rows = append(rows, row)
	}
	require.NoError(t, result.Err())
	if k.drawn != "" {
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), fmt.Sprintf("SELECT COUNT(DISTINCT %s) FROM %s.%s", k.drawn, schema, table)).Scan(&n))
		require.Equal(t, len(rows), n)
	}
	return rows
}

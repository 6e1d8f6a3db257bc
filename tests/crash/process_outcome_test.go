package crash_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// outcome is what a job has left.
type outcome struct {
	rows    []string
	records []string // of rows that were left out
	sums    []string // pairs and bytes of each table, as the cluster counts them
	job     endedJob
}

// endedJob is what the job's row says.
type endedJob struct {
	status, message         string
	rows, errorRows, pairs  int64
	bytes, sum              uint64
	checkpoints, percentage int
}

// outcome asks for what a job has left.
func (b *processBench) outcome(t *testing.T, job int64) (o outcome) {
	t.Helper()
	j := &o.job
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT status, message, COALESCE(imported_rows, 0), error_rows, COALESCE(total_kvs, 0),
		COALESCE(total_bytes, 0), COALESCE(checksum, 0), percent, (SELECT COUNT(*) FROM sluice.checkpoints c WHERE c.job_id = j.id)
		FROM sluice.jobs j WHERE id = ?`, job).Scan(&j.status, &j.message, &j.rows, &j.errorRows, &j.pairs, &j.bytes, &j.sum, &j.percentage, &j.checkpoints))
	require.Equal(t, "finished", j.status, j.message)
	o.rows = b.content(t, b.db, b.schema)
	for _, table := range b.tables {
		var schema, name string
		var sum, pairs, bytes uint64
		require.NoError(t, b.db.QueryRowContext(t.Context(), fmt.Sprintf("ADMIN CHECKSUM TABLE %s.%s", b.schema, table)).
			Scan(&schema, &name, &sum, &pairs, &bytes))
		o.sums = append(o.sums, fmt.Sprint(table, pairs, bytes))
		if b.alone {
			require.Equal(t, [3]uint64{sum, pairs, bytes}, [3]uint64{j.sum, uint64(j.pairs), j.bytes})
		}
	}
	j.sum = 0 // depends on the table's id
	j.message = strings.ReplaceAll(j.message, fmt.Sprintf("JOB %d ERRORS", job), "JOB n ERRORS")
	o.records = b.records(t, job)
	b.noTableReserved(t, job)
	return o
}

// noTableReserved: a job that has ended keeps no table from others.
func (b *processBench) noTableReserved(t *testing.T, job int64) {
	t.Helper()
	var n int
	require.NoError(t, b.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM sluice.job_tables WHERE job_id = ? AND active IS NOT NULL", job).Scan(&n))
	require.Zero(t, n)
}

// records are the rows that a job left out.
func (b *processBench) records(t *testing.T, job int64) (all []string) {
	t.Helper()
	rows, err := b.db.QueryContext(t.Context(), `SELECT CONCAT_WS('|', seq, class, file, line, byte_offset, column_name, value, error_code, message)
		FROM sluice.job_errors WHERE job_id = ? ORDER BY seq`, job)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var record string
		require.NoError(t, rows.Scan(&record))
		all = append(all, strings.ReplaceAll(record, b.schema+".", ""))
	}
	require.NoError(t, rows.Err())
	return all
}

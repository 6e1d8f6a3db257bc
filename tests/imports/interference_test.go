package imports_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// TestTableChangesDuringAnImport: DDL that comes while pairs are being written
// fails the job, which says what was changed. Otherwise a new index would miss
// the imported rows, and a truncated table all of them.
func TestTableChangesDuringAnImport(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	before := steering(t, b.cluster)
	path := b.file("x.csv", lines("1,1", "2,2", "3,3"))
	const emptied, replaced = "was emptied again", "was truncated, dropped or replaced meanwhile"
	for i, c := range []struct{ name, ddl, what, fate string }{
		{"add index", "ALTER TABLE %s ADD INDEX k (b)", "indexes", emptied},
		{"add column", "ALTER TABLE %s ADD COLUMN c INT DEFAULT 7", "columns", emptied},
		{"truncate", "TRUNCATE TABLE %s", "ids", replaced},
		{"foreign key", "ALTER TABLE %s ADD FOREIGN KEY (b) REFERENCES parent (id)", "foreign keys", emptied},
	} {
		table := fmt.Sprintf("t%d", i)
		b.exec("CREATE TABLE IF NOT EXISTS parent (id INT PRIMARY KEY)",
			"CREATE TABLE "+table+" (a INT PRIMARY KEY, b INT, KEY b (b))")
		b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Slow, Delay: time.Nanosecond, Count: 1}) // asks whether the store is busy
		b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Hold, Count: 1})
		job, err := b.importInto(fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH detached", table, path))
		require.NoError(t, err, c.name)
		eventually(t, func() bool { return b.fired(rpcIngest) > 1 })
		_, err = b.direct.ExecContext(t.Context(), fmt.Sprintf(c.ddl, table))
		require.NoError(t, err, c.name)
		require.NoError(t, b.cluster.ClearFaults(t.Context()))
		shown := b.ended(job["Job_ID"])
		require.Equal(t, "failed", shown["Status"], c.name)
		require.Contains(t, shown["Result_Message"], "was changed while it was being imported into: its "+c.what, c.name)
		require.Contains(t, shown["Result_Message"], c.fate, c.name)
	}
	require.Equal(t, before, steering(t, b.cluster))
}

// ended waits for a job's end and returns its row.
func (b *bench) ended(id string) jobRow {
	b.t.Helper()
	row := jobRow{}
	require.Eventually(b.t, func() bool {
		columns, values, err := rows(b.t, b.proxy, "SHOW IMPORT JOB "+id)
		require.NoError(b.t, err)
		for i, c := range columns {
			row[c] = values[0][i]
		}
		return row["Status"] != "running" && row["Status"] != "pausing" && row["Status"] != "cancelling" && row["Status"] != "pending"
	}, 5*time.Minute, 20*time.Millisecond)
	return row
}

// TestIndexEntriesLeftBehind: a job that fails after its first region leaves
// index entries without records, because those come first in key order. If they
// are to be kept, the table reads as empty and is not: the next job must say so,
// not put its rows beside.
func TestIndexEntriesLeftBehind(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{RegionSplitSize: 128 << 10, RegionSplitKeys: 2_000})
	b.exec("CREATE TABLE t (a INT PRIMARY KEY, b INT, c VARCHAR(40), KEY `c of t` (c), KEY b (b))")
	var text strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&text, "%d,%d,value %d\n", i, i, i)
	}
	// A probe and an ingest go through; then the store refuses.
	require.NoError(t, b.cluster.InjectFault(t.Context(),
		fault.Rule{RPC: "ImportSST/MultiIngest", Kind: fault.Slow, Delay: time.Millisecond, Count: 2}))
	require.NoError(t, b.cluster.InjectFault(t.Context(), fault.Rule{RPC: "ImportSST/Write", Kind: fault.Slow, Delay: time.Millisecond, Count: 1}))
	require.NoError(t, b.cluster.InjectFault(t.Context(), fault.Rule{RPC: "ImportSST/Write", Kind: fault.Refused}))
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH thread=1, keep_partial", b.file("x.csv", text.String())), 1105, "holds a part of the rows")
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	for hint, left := range map[string]bool{"FORCE INDEX (`c of t`)": true, "FORCE INDEX (b)": false, "USE INDEX ()": false} {
		_, values, err := rows(t, b.direct, "SELECT COUNT(*) FROM t "+hint)
		require.NoError(t, err)
		require.Equalf(t, left, values[0][0] != "0", "%s: this test shows nothing", hint)
	}

	b.exec("ALTER TABLE t ALTER INDEX `c of t` INVISIBLE")
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH checksum_table='off'", b.file("y.csv", lines("1,-1,x"))), 8173, "not empty")
	b.exec("TRUNCATE TABLE t")
	b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s'", b.file("y.csv", lines("1,-1,x"))))
	b.consistent("t")
}

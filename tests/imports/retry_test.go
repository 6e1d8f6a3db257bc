package imports_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// TestRetryBringsNoRowInTwice: a job that has failed and left its rows in a table without unique keys, because
// that had rows before, goes on from what it has done, however often it is tried again.
func TestRetryBringsNoRowInTwice(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
	b.exec("CREATE TABLE t (id INT, code VARCHAR(40), n INT, note VARCHAR(300))", "INSERT INTO t VALUES (-1, 'own', 0, 'x')")
	b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Hold, Count: 1})
	row, err := b.importInto(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH thread=1, allow_non_empty, detached", b.csvFile("x.csv", 6_000)))
	require.NoError(t, err)
	eventually(t, func() bool { return b.fired(rpcIngest) > 0 })
	b.exec("INSERT INTO t VALUES (7000, 'theirs', 0, 'x')")
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	for range 3 {
		ended := b.ended(row["Job_ID"])
		require.Equal(t, "failed", ended["Status"])
		require.Contains(t, ended["Result_Message"], "checksum mismatched")
		require.Contains(t, ended["Result_Message"], "holds, beside the rows that were there before, the rows")
		require.Equal(t, "6002", b.count("t"))
		b.exec("RETRY IMPORT JOB " + row["Job_ID"])
	}
	b.ended(row["Job_ID"])
	b.exec("DELETE FROM t WHERE id = 7000", "RETRY IMPORT JOB "+row["Job_ID"])
	require.Equal(t, "finished", b.ended(row["Job_ID"])["Status"])
	require.Equal(t, "6001", b.count("t"))
}

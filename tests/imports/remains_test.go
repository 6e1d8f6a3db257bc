package imports_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// TestEmptyTableWithAllowNonEmpty: a table that had no rows is emptied again,
// whatever it would have been allowed to have, unless others have written to it.
func TestEmptyTableWithAllowNonEmpty(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	stmt := fmt.Sprintf("IMPORT INTO t FROM '%s' WITH allow_non_empty, on_duplicate='replace'", b.csvFile("x.csv", 100))
	b.exec("CREATE TABLE t " + cleanupTable)
	b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Refused})
	failed := b.fails(stmt, 1105, "; table `"+b.name+"`.`t` was emptied again")
	require.Regexp(t, "was emptied again$", failed.Message)
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	require.Equal(t, "0", b.count("t"))

	b.inject(fault.Rule{RPC: rpcSwitch, Kind: fault.Hold})
	row, err := b.importInto(stmt + ", detached")
	require.NoError(t, err)
	eventually(t, func() bool { return b.fired(rpcSwitch) > 0 })
	b.exec("INSERT INTO t VALUES (1000, 'theirs', 1, 'x')")
	b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Refused})
	require.NoError(t, b.cluster.RemoveFaults(t.Context(), rpcSwitch))
	require.Contains(t, b.ended(row["Job_ID"])["Result_Message"], "was not emptied: it also holds or held rows that others had written before")
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	require.Equal(t, [][]string{{"theirs"}}, b.query("SELECT code FROM t"))

	b.mustImport(stmt)
	b.exec("ADMIN CHECK TABLE t")
	require.Equal(t, "101", b.count("t"))
}

// TestWhatRemainsInAFilledTable: what the job's row says of a table that had
// rows is just what it holds, at each stage of the job, and the moment before
// the job's rows shows what it held without them.
func TestWhatRemainsInAFilledTable(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
	path := b.csvFile("x.csv", 6_000)
	const deleted = "300 of the rows that were there before have been deleted, because rows of the source replace them"
	for _, tc := range []struct {
		name string
		fail []fault.Rule
		// options of the statement; remains is what the message says of the table, and may end in the commit timestamp.
		options, remains string
		// Rows of the 500 that were there are there still, and of the job's this many, -1 for some.
		before, job int
		// cancelled says that the job, which a request holds, is cancelled; others fail.
		cancelled bool
	}{
		{name: "collision", options: "on_duplicate='error'", before: 500},
		{name: "leases, nothing replaced", options: "on_duplicate='ignore'", before: 500,
			cancelled: true, fail: []fault.Rule{{RPC: rpcSwitch, Kind: fault.Hold}}},
		{name: "leases", options: "on_duplicate='replace'", before: 200,
			remains: "no row of this job; " + deleted, cancelled: true, fail: []fault.Rule{{RPC: rpcSwitch, Kind: fault.Hold}}},
		{name: "write", options: "on_duplicate='replace'", before: 200,
			remains: "no row of this job; " + deleted, fail: []fault.Rule{{RPC: rpcWrite, Kind: fault.Refused}}},
		{name: "ingest", options: "on_duplicate='replace', thread=1", before: 200, job: -1,
			remains: "a part of the rows; " + deleted + "; those of this job have the commit timestamp ",
			fail: []fault.Rule{{RPC: rpcIngest, Kind: fault.Slow, Delay: time.Nanosecond, Count: halfIngest},
				{RPC: rpcIngest, Kind: fault.Refused}}},
		{name: "checksum", options: "on_duplicate='ignore'", before: 500, job: 5_700,
			remains: "the rows, but nothing says that they are right; those of this job have the commit timestamp ",
			fail:    []fault.Rule{{RPC: rpcIngest, Kind: fault.Hold, Count: 1}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := b.in(t)
			b.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t "+cleanupTable)
			// 300 of these ids are the source's, the codes are not.
			b.exec("INSERT INTO t WITH RECURSIVE s AS (SELECT 5701 AS i UNION ALL SELECT i + 1 FROM s WHERE i < 6200) SELECT i, CONCAT('old ', i), 0, 'x' FROM s")
			for _, rule := range tc.fail {
				b.inject(rule)
			}
			row, err := b.importInto(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH allow_non_empty, detached, %s", path, tc.options))
			require.NoError(t, err)
			if tc.name == "checksum" { // which somebody's row spoils
				eventually(t, func() bool { return b.fired(rpcIngest) > 0 })
				b.exec("INSERT INTO t VALUES (7000, 'theirs', 0, 'x')")
				require.NoError(t, b.cluster.ClearFaults(t.Context()))
			}
			status := "failed"
			if tc.cancelled {
				status = "cancelled"
				eventually(t, func() bool { return b.fired(rpcSwitch) > 0 })
				b.exec("CANCEL IMPORT JOB " + row["Job_ID"])
			}
			ended := b.ended(row["Job_ID"])
			require.NoError(t, b.cluster.ClearFaults(t.Context()))
			require.Equal(t, status, ended["Status"])
			message := ended["Result_Message"]
			if tc.remains == "" {
				require.NotContains(t, message, "; table")
			} else {
				require.Regexp(t, "; table `"+b.name+"`.`t` holds, beside the rows that were there before, "+regexp.QuoteMeta(tc.remains)+"[0-9]*$", message)
			}
			require.Equal(t, strconv.Itoa(tc.before), b.count("t WHERE code LIKE 'old %'"))
			ofJob := b.count("t WHERE code LIKE 'code %'")
			if tc.job >= 0 {
				require.Equal(t, strconv.Itoa(tc.job), ofJob)
			}
			if at := regexp.MustCompile("[0-9]{18}$").FindString(message); at != "" {
				ts, err := strconv.ParseUint(at, 10, 64)
				require.NoError(t, err)
				conn, err := b.direct.Conn(t.Context())
				require.NoError(t, err)
				defer func() { _ = conn.Close() }()
				_, err = conn.ExecContext(t.Context(), fmt.Sprintf("SET SESSION tidb_snapshot = '%d'", ts-1))
				require.NoError(t, err)
				_, values, err := rows(t, conn, "SELECT SUM(code LIKE 'old %'), SUM(code LIKE 'code %') FROM t")
				require.NoError(t, err)
				require.Equal(t, [][]string{{strconv.Itoa(tc.before), "0"}}, values)
				_, err = conn.ExecContext(t.Context(), "SET SESSION tidb_snapshot = ''") // it goes back to the pool
				require.NoError(t, err)
			} else {
				require.Equal(t, "0", ofJob)
			}
		})
	}
}

// TestTheSecondLookReadsLess: to prove that a table may be emptied, and that
// nothing went with it, the stores read its records six times.
func TestTheSecondLookReadsLess(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	b.exec("CREATE TABLE t " + cleanupTable)
	for _, rpc := range []string{rpcDetect, rpcChecksum} {
		b.inject(fault.Rule{RPC: rpc, Kind: fault.Slow, Delay: time.Nanosecond})
	}
	b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Refused})
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s'", b.csvFile("x.csv", 100)), 1105, "was emptied again")
	regions := b.fired(rpcDetect) / 2
	require.Positive(t, regions)
	require.Equal(t, 4*regions, b.fired(rpcChecksum))
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
}

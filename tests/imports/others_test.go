package imports_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

// TestRowsOfOthersAreNotEmptied: whatever others do to the table while a job
// runs, the job's failure takes nothing of it away, and says why.
func TestRowsOfOthersAreNotEmptied(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
	path := b.csvFile("x.csv", 6_000)
	for _, tc := range []struct {
		name string
		hold string
		// others do something to t, which keeps what kept selects.
		others []string
		kept   string
	}{
		{"a row before the first of the job", rpcSwitch,
			[]string{"INSERT INTO t VALUES (100001, 'theirs', 1, 'x')"}, "id = 100001"},
		{"a row beside those of the job", rpcIngest,
			[]string{"INSERT INTO t VALUES (100001, 'theirs', 1, 'x')"}, "id = 100001"},
		{"a changed row", afterIngest, []string{"UPDATE t SET note = 'theirs' WHERE id = 7"}, "note = 'theirs'"},
		{"a row in the place of an equal one", afterIngest,
			[]string{"BEGIN", "CREATE TEMPORARY TABLE keep " + cleanupTable, "INSERT INTO keep SELECT * FROM t WHERE id = 7",
				"DELETE FROM t WHERE id = 7", "INSERT INTO t SELECT * FROM keep", "COMMIT"}, "id = 7"},
		{"a removed row", afterIngest, []string{"DELETE FROM t WHERE id = 7"}, "id = 8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := b.in(t)
			b.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t "+cleanupTable)
			job, letGo := b.heldAt(tc.hold, path)
			conn, err := b.direct.Conn(t.Context())
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			for _, stmt := range tc.others {
				_, err := conn.ExecContext(t.Context(), stmt)
				require.NoError(t, err, stmt)
			}
			if tc.hold == rpcSwitch {
				// This one is to fail after its first pairs.
				b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Slow, Delay: time.Nanosecond, Count: halfIngest})
				b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Refused})
				letGo()
			} else {
				b.exec("CANCEL IMPORT JOB " + job)
				letGo()
			}
			row := b.ended(job)
			require.NoError(t, b.cluster.ClearFaults(t.Context()))
			require.Contains(t, row["Result_Message"], "and was not emptied: it also holds or held rows that others")
			require.NotEqual(t, "0", b.count("t WHERE "+tc.kept))
			b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s'", path), 8173, "not empty")
		})
	}
}

// afterIngest is when all pairs are in and the ids are to be moved.
const afterIngest = "ALTER TABLE"

// heldAt starts a job into t and returns its id when it is held in an RPC or
// afterIngest; letGo ends that, or what a cancelled job leaves of it.
func (b *bench) heldAt(where, path string) (job string, letGo func()) {
	b.t.Helper()
	if where == rpcIngest {
		b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Slow, Delay: time.Nanosecond, Count: halfIngest})
	}
	if where == afterIngest {
		letGo = b.useTable()
	} else {
		b.inject(fault.Rule{RPC: where, Kind: fault.Hold})
		letGo = func() { require.NoError(b.t, b.cluster.RemoveFaults(b.t.Context(), where)) }
	}
	row, err := b.importInto(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH thread=1, detached", path))
	require.NoError(b.t, err)
	eventually(b.t, func() bool {
		switch where {
		case afterIngest:
			return len(b.running(afterIngest)) > 0
		case rpcIngest:
			return b.fired(rpcIngest) > halfIngest
		default:
			return b.fired(where) > 0
		}
	})
	return row["Job_ID"], letGo
}

// cancel cancels a job in the background; the channel is closed when it is answered.
func (b *bench) cancel(job string) <-chan struct{} {
	done := make(chan struct{})
	b.t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		_, err := b.proxy.ExecContext(b.t.Context(), "CANCEL IMPORT JOB "+job)
		assert.NoError(b.t, err)
	}()
	return done
}

// TestRowsThatCommitDuringTheTruncate: a transaction that is open when the
// table is emptied and commits then is found, and its rows can be had back.
func TestRowsThatCommitDuringTheTruncate(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
	b.exec("CREATE TABLE t " + cleanupTable)
	job, letGo := b.heldAt(rpcIngest, b.csvFile("x.csv", 6_000))
	tx, err := b.direct.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "INSERT INTO t VALUES (100001, 'theirs', 1, 'x')")
	require.NoError(t, err)
	cancelled := b.cancel(job)
	eventually(t, func() bool { return len(b.running("TRUNCATE TABLE")) > 0 })
	require.NoError(t, tx.Commit())
	<-cancelled
	letGo()
	row := b.ended(job)
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	require.Equal(t, "cancelled", row["Status"])
	require.Contains(t, row["Result_Message"], "with it went rows that others wrote")
	require.Contains(t, row["Result_Message"], "FLASHBACK TABLE `"+b.name+"`.`t` TO")
	require.Equal(t, "0", b.count("t"))
	_, err = b.direct.ExecContext(t.Context(), "FLASHBACK TABLE t TO old")
	require.NoError(t, err)
	require.Equal(t, "1", b.count("old WHERE code = 'theirs'"))
}

// TestKeepPartial: on demand, what a failed job has ingested stays.
func TestKeepPartial(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
	b.exec("CREATE TABLE t " + cleanupTable)
	b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Slow, Delay: time.Nanosecond, Count: halfIngest})
	b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Refused})
	stmt := fmt.Sprintf("IMPORT INTO t FROM '%s' WITH thread=1, keep_partial", b.csvFile("x.csv", 6_000))
	b.fails(stmt, 1105, "; table `"+b.name+"`.`t` holds a part of the rows (keep_partial): TRUNCATE it")
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	_, values, err := rows(t, b.direct, "ADMIN CHECKSUM TABLE t")
	require.NoError(t, err)
	require.NotEqual(t, "0", values[0][3], "something must have been ingested")
	b.fails(stmt, 8173, "not empty")
	b.exec("TRUNCATE TABLE t")
	b.mustImport(stmt)
	b.consistent("t")
}

// TestIDsBeginAgainAfterAFailure: generated ids are those that the failed job
// would have given, whatever the allocator.
func TestIDsBeginAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	path := b.file("x.csv", lines("a", "b", "c"))
	for i, def := range []string{
		"(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(9)) AUTO_INCREMENT = 5000",
		"(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(9)) AUTO_INCREMENT = 5000 AUTO_ID_CACHE 1",
		"(id BIGINT UNIQUE AUTO_INCREMENT, v VARCHAR(9)) AUTO_INCREMENT = 5000 AUTO_ID_CACHE 1",
		"(id BIGINT UNIQUE AUTO_INCREMENT, v VARCHAR(9)) AUTO_INCREMENT = 5000",
		"(id BIGINT PRIMARY KEY AUTO_RANDOM(3), v VARCHAR(9)) AUTO_RANDOM_BASE = 5000",
		"(id INT DEFAULT 1, v VARCHAR(9)) AUTO_INCREMENT = 5000",
	} {
		table := fmt.Sprintf("t%d", i)
		b.exec("CREATE TABLE " + table + def)
		next := func() [][]string { return b.query("SHOW TABLE " + table + " NEXT_ROW_ID") }
		before := next()
		b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Refused})
		stmt := fmt.Sprintf("IMPORT INTO %s (v) FROM '%s'", table, path)
		b.fails(stmt, 1105, "was emptied again")
		require.NoError(t, b.cluster.ClearFaults(t.Context()))
		require.Equal(t, before, next(), def)
		b.mustImport(stmt)
		b.consistent(table)
	}
}

// TestParentsAreEmptiedToo: a foreign key that refers to the table hinders
// nothing while no row uses it.
func TestParentsAreEmptiedToo(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	b.exec("CREATE TABLE parent (a INT, b INT, PRIMARY KEY (a, b))", "CREATE TABLE child (id INT PRIMARY KEY, a INT, b INT, "+
		"CONSTRAINT `to parent` FOREIGN KEY (a, b) REFERENCES parent (a, b))", "INSERT INTO child VALUES (1, NULL, NULL), (2, 1, NULL)")
	stmt := fmt.Sprintf("IMPORT INTO parent FROM '%s'", b.file("x.csv", lines("1,1", "2,2")))
	b.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Refused})
	b.fails(stmt, 1105, "`parent` was emptied again")
	conn, err := b.direct.Conn(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	for _, stmt := range []string{"SET foreign_key_checks = 0", "INSERT INTO child VALUES (3, 9, 9)"} {
		_, err := conn.ExecContext(t.Context(), stmt)
		require.NoError(t, err)
	}
	b.fails(stmt, 1105, "could not be emptied", "`child` refer to it by the foreign key to parent")
}

// TestProcessDies: another Sluice goes on with the jobs of one that is killed,
// with what it had begun and with what waited, without its sort directory.
func TestProcessDies(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	b.exec("CREATE TABLE t "+cleanupTable, "CREATE TABLE waiting LIKE t")
	victim, err := instance.Start(t.Context(), instance.Options{TiDB: b.cluster.TiDB, Race: true, Import: `memory-budget = "160MiB"`})
	require.NoError(t, err)
	defer func() { require.NoError(t, victim.Close()) }()
	b.inject(fault.Rule{RPC: rpcWrite, Kind: fault.Hold})
	proxy, err := victim.Open("root", "", b.name)
	require.NoError(t, err)
	path := b.csvFile("x.csv", 100)
	jobs := map[string]string{}
	for _, table := range []string{"t", "waiting"} {
		_, values, err := rows(t, proxy, fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH detached", table, path))
		require.NoError(t, err)
		jobs[table] = values[0][0]
	}
	require.NoError(t, proxy.Close())
	eventually(t, func() bool { return b.fired(rpcWrite) > 0 })
	victim.Kill()
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	require.NoError(t, os.RemoveAll(victim.SortDir()))
	for table, job := range jobs {
		row := b.ended(job)
		require.Equal(t, "finished", row["Status"], row["Result_Message"])
		require.Equal(t, "100", b.count(table))
		b.consistent(table)
	}
}

// TestTwoSluicesAtOnce: of two Sluices that get the same import at the same
// moment exactly one takes it.
func TestTwoSluicesAtOnce(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{})
	other := startWith(t, b.cluster, instance.Options{})
	second, err := other.Open("root", "", b.name)
	require.NoError(t, err)
	defer func() { require.NoError(t, second.Close()) }()
	b.exec("CREATE TABLE t " + cleanupTable)
	stmt := fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached", b.csvFile("x.csv", 100))
	won := [2]int{}
	for range 15 {
		b.inject(fault.Rule{RPC: rpcWrite, Kind: fault.Hold})
		var ids [2]string
		var errs [2]error
		var both sync.WaitGroup
		start := make(chan struct{})
		for i, proxy := range []sqlrows.Queryer{b.proxy, second} {
			both.Go(func() {
				<-start
				var values [][]string
				if _, values, errs[i] = rows(t, proxy, stmt); errs[i] == nil {
					ids[i] = values[0][0]
				}
			})
		}
		close(start)
		both.Wait()
		winner := 0
		if errs[0] != nil {
			winner = 1
		}
		require.NoError(t, errs[winner])
		_ = requireMySQLError(t, stmt, errs[1-winner], 8173, "there is active job on the target table already")
		won[winner]++
		require.NoError(t, b.cluster.ClearFaults(t.Context()))
		require.Equal(t, "finished", b.ended(ids[winner])["Status"])
		require.Equal(t, "100", b.count("t"))
		b.consistent("t")
		b.exec("TRUNCATE TABLE t")
	}
	t.Logf("won: %v", won)
}

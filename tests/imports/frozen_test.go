package imports_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// freezing is a place in a job's life where its owner is frozen.
type freezing struct {
	at string
	// options of the statement, the rows that the table has before it.
	options, fill string
	// rows of the file, smallSource's unless told; bad of them can't be encoded.
	source sourceFile
	bad    int
	// arm is called before the statement, and reached, polled, tells that the
	// owner is there.
	arm     func(c *frozenCase)
	reached func(c *frozenCase) bool
	// letGo ends what keeps the job there, with the owner frozen.
	letGo func(c *frozenCase)
	// cancelled says that the job is cancelled while it is there.
	cancelled bool
	// locked says that the owner has locked its job's row.
	locked bool
}

// rpcFreezing freezes the owner with a request under way.
func rpcFreezing(name, rpc string, after int) freezing {
	return freezing{
		at: name, options: ", thread=1",
		arm: func(c *frozenCase) {
			if after > 0 {
				c.inject(fault.Rule{RPC: rpc, Kind: fault.Slow, Delay: time.Nanosecond, Count: after})
			}
			c.inject(fault.Rule{RPC: rpc, Kind: fault.Hold, Count: 1})
		},
		reached: func(c *frozenCase) bool { return c.fired(rpc) > after },
	}
}

// gateFreezing freezes the owner before it gets an answer, for which it has to
// wait until it is thawed.
func gateFreezing(name, statement string, skip int) freezing {
	return freezing{
		at: name, options: ", thread=1",
		arm:     func(c *frozenCase) { c.kept = c.gate.keep(statement, skip) },
		reached: func(c *frozenCase) bool { return closed(c.kept.kept) },
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// frozenCase is a job and its owner.
type frozenCase struct {
	*bench
	freezing
	owner *instance.Instance
	gate  *gate
	kept  *keptAnswer
	table string
	job   string
	leave func() // ends the transaction that uses the table
	lost  bool   // the owner knows that it has lost the job
}

// freeze starts a Sluice and a job, and freezes it.
func (b *bench) freeze(f freezing, table string) *frozenCase {
	t := b.t
	t.Log(f.at)
	c := &frozenCase{bench: b, freezing: f, table: table, gate: newGate(t, b.cluster.TiDB)}
	_, err := b.direct.ExecContext(t.Context(), "CREATE TABLE "+table+" "+cleanupTable)
	require.NoError(t, err)
	if f.fill != "" {
		_, err := b.direct.ExecContext(t.Context(), "INSERT INTO "+table+f.fill)
		require.NoError(t, err)
	}
	if c.source == (sourceFile{}) {
		c.source = smallSource
	}
	path := b.wideFile(table+".csv", c.source.rows, c.source.width)
	if f.bad > 0 {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		for i := range f.bad {
			_, err := fmt.Fprintf(file, "no number %d,x,1,y\n", i)
			require.NoError(t, err)
		}
		require.NoError(t, file.Close())
	}
	c.owner = startWith(t, b.cluster, instance.Options{TiDB: c.gate.addr, Import: "memory-budget = \"160MiB\"\nthreads = 2"})
	t.Cleanup(func() { assert.NoError(t, c.owner.Thaw()) })
	proxy, err := c.owner.Open("root", "", b.name)
	require.NoError(t, err)
	c.arm(c)
	_, values, err := rows(t, proxy, fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH detached%s", table, path, f.options))
	require.NoError(t, err)
	require.NoError(t, proxy.Close())
	c.job = values[0][0]
	eventually(t, func() bool { return c.reached(c) })
	require.NoError(t, c.owner.Freeze())
	if !f.locked {
		// Others leave it alone until all owners are where they shall be.
		c.setLease("UTC_TIMESTAMP(6) + INTERVAL 1 HOUR")
	}
	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	if f.letGo != nil {
		f.letGo(c)
	}
	return c
}

func (c *frozenCase) setLease(until string) {
	_, err := c.direct.ExecContext(c.t.Context(), "UPDATE sluice.jobs SET lease_until = "+until+" WHERE id = "+c.job)
	require.NoError(c.t, err)
}

// state is the job's.
func (c *frozenCase) state() string {
	_, values, err := rows(c.t, c.direct, "SELECT status FROM sluice.jobs WHERE id = "+c.job)
	require.NoError(c.t, err)
	return values[0][0]
}

// thaw lets the owner go on and waits until it knows that it has lost the job.
func (c *frozenCase) thaw() {
	if c.kept != nil {
		c.kept.give()
	}
	require.NoError(c.t, c.owner.Thaw())
	over := func(how string) bool {
		lines, err := c.owner.Logged(how)
		require.NoError(c.t, err)
		return len(lines) > 0
	}
	eventually(c.t, func() bool { return over("import job lost") || over("import job ended") })
	c.lost = over("import job lost")
}

// ends makes sure that another Sluice brings the job to its right end.
func (c *frozenCase) ends() {
	t := c.t
	eventually(t, func() bool { s := c.state(); return s != "running" && s != "pending" })
	_, values, err := rows(t, c.direct, "SELECT status, message, error_rows, term FROM sluice.jobs WHERE id = "+c.job)
	require.NoError(t, err)
	row := values[0]
	require.NotEqual(t, "1", row[3], c.at)
	require.Equal(t, fmt.Sprint(c.bad), row[2], c.at)
	if c.cancelled {
		require.Equal(t, "cancelled", row[0], "%s: %s", c.at, row[1])
		require.Equal(t, "0", c.count(c.table), c.at)
		return
	}
	require.Equal(t, "finished", row[0], "%s: %s", c.at, row[1])
	require.Equal(t, fmt.Sprint(c.source.rows), c.count(c.table), c.at)
	if c.fill == "" {
		c.consistent(c.table)
	}
}

// use is what users do with a table when its job has ended.
func (c *frozenCase) use() {
	for _, stmt := range []string{
		"DELETE FROM " + c.table + " WHERE id % 3 = 0", "UPDATE " + c.table + " SET note = 'changed', n = -1 WHERE id % 3 = 1",
		"INSERT INTO " + c.table + " (code, n) VALUES ('theirs', 7)",
	} {
		_, err := c.direct.ExecContext(c.t.Context(), stmt)
		require.NoError(c.t, err)
	}
}

// left is everything that a job's owner may write.
type left struct {
	Jobs, Checkpoints, Errors [][]string
	Tables                    map[string][]string
	Steering                  playground.Steering
	Written, Ingested         []int64
}

// left reads what is there now.
func (b *bench) left(cases []*frozenCase) left {
	b.t.Helper()
	query := func(stmt string) [][]string {
		_, values, err := rows(b.t, b.direct, stmt)
		require.NoError(b.t, err, stmt)
		return values
	}
	l := left{
		Jobs: query("SELECT * FROM sluice.jobs ORDER BY id"), Checkpoints: query("SELECT * FROM sluice.checkpoints ORDER BY job_id"),
		Errors: query("SELECT * FROM sluice.job_errors ORDER BY job_id, seq"), Tables: map[string][]string{}, Steering: steering(b.t, b.cluster),
	}
	l.Steering.SafePoints = nil // each has a name of its own: whoever took it gives it back
	for _, c := range cases {
		query("ADMIN CHECK TABLE " + c.table)
		l.Tables[c.at] = append(query("ADMIN CHECKSUM TABLE " + c.table)[0],
			query("SELECT TIDB_TABLE_ID FROM information_schema.tables WHERE table_schema = '" + b.name + "' AND table_name = '" + c.table + "'")[0]...)
		for _, id := range query("SHOW TABLE " + c.table + " NEXT_ROW_ID") {
			l.Tables[c.at] = append(l.Tables[c.at], id...)
		}
	}
	l.Written, l.Ingested = b.imported()
	return l
}

// imported is what was written to and ingested by each store.
func (b *bench) imported() (written, ingested []int64) {
	state, err := b.cluster.State(b.t.Context())
	require.NoError(b.t, err)
	for _, s := range state.Stores {
		written, ingested = append(written, s.Written), append(ingested, s.Ingested)
	}
	return written, ingested
}

// frozenBench is a cluster without a Sluice.
func frozenBench(t *testing.T) *bench {
	cluster := playground.ForTest(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
	name, direct := cluster.Database(t)
	_, err := direct.ExecContext(t.Context(), "SET GLOBAL tidb_enable_auto_analyze = OFF") // it would answer to the same rules
	require.NoError(t, err)
	return &bench{t: t, cluster: cluster, name: name, direct: direct, dir: t.TempDir()}
}

// TestFrozenOwnersWriteNothing: owners of jobs are frozen at all stages, past their
// leases; another Sluice takes the jobs over and ends them, and users go on with the
// tables. Thawed, the first owners write nothing.
func TestFrozenOwnersWriteNothing(t *testing.T) {
	t.Parallel()
	b := frozenBench(t)
	// The first one holds leases on the cluster, between writing SSTs and ingesting them.
	betweenWriteAndIngest := rpcFreezing("between write and ingest", rpcIngest, 0)
	whileWriting := rpcFreezing("write", rpcWrite, 0)
	whileWriting.options, whileWriting.bad = ", thread=1, max_errors=100", 30
	cleanUp := rpcFreezing("clean-up", rpcIngest, halfIngest)
	cleanUp.cancelled = true
	cleanUp.reached = func(c *frozenCase) bool {
		if c.fired(rpcIngest) > halfIngest && c.leave == nil {
			c.leave = c.useTableNamed(c.table)
			_, err := c.direct.ExecContext(t.Context(), "UPDATE sluice.jobs SET cancel_requested = 1 WHERE id = "+c.job)
			require.NoError(t, err)
		}
		return len(c.running("TRUNCATE TABLE")) > 0
	}
	cleanUp.letGo = func(c *frozenCase) { c.leave() }
	var cases []*frozenCase
	for i, f := range []freezing{
		betweenWriteAndIngest,
		{
			at: "sort", source: sourceFile{20_000, 1000}, arm: func(*frozenCase) {},
			reached: func(c *frozenCase) bool {
				runs, err := filepath.Glob(filepath.Join(c.owner.SortDir(), "job-*", "sort-*", "*"))
				require.NoError(t, err)
				return len(runs) > 0
			},
		},
		rpcFreezing("leases", rpcSwitch, 0),
		whileWriting,
		rpcFreezing("ingest", rpcIngest, halfIngest),
		{
			at: "auto ids", arm: func(c *frozenCase) { c.leave = c.useTableNamed(c.table) },
			reached: func(c *frozenCase) bool { return len(c.running("ALTER TABLE")) > 0 },
			letGo:   func(c *frozenCase) { c.leave() },
		},
		rpcFreezing("checksum", rpcChecksum, 0),
		rpcFreezing("analyze", rpcAnalyze, 0),
		cleanUp,
	} {
		cases = append(cases, b.freeze(f, fmt.Sprintf("t%d", i)))
	}
	b.inject(fault.Rule{RPC: rpcWrite, Kind: fault.Hold, Count: 1})
	for _, c := range cases {
		c.setLease("update_time + INTERVAL 30 SECOND") // as it was
	}
	startWith(t, b.cluster, instance.Options{})

	// The first job's new owner is where the first one was, and holds the same.
	eventually(t, func() bool { return b.fired(rpcWrite) > 0 })
	held := steering(t, b.cluster)
	require.Contains(t, held.ImportMode, true)
	require.Contains(t, fmt.Sprint(held.Labels), "sluice-job-"+cases[0].job)
	written, ingested := b.imported()
	cases[0].thaw()
	require.Equal(t, held, steering(t, b.cluster), "what the new owner holds")
	w, i := b.imported()
	require.Equal(t, written, w)
	require.Equal(t, ingested, i)
	require.NoError(t, b.cluster.ClearFaults(t.Context()))

	b.thawAll(cases)
}

// thawAll waits for the ends of the jobs, and thaws their first owners.
func (b *bench) thawAll(cases []*frozenCase) {
	for _, c := range cases {
		c.ends()
		c.use()
	}
	before := b.left(cases)
	require.NotContains(b.t, fmt.Sprint(before.Steering.Labels), "sluice-job")
	for _, c := range cases {
		c.thaw()
		now := b.left(cases)
		if c.at == "write" {
			// The rest of a stream that was past its last check when the owner was frozen can't be
			// recalled. The store then has one more file, which nobody ingests.
			for i := range now.Written {
				require.LessOrEqual(b.t, now.Written[i], before.Written[i]+1)
			}
			before.Written = now.Written
		}
		require.Equal(b.t, before, now, c.at)
		require.True(b.t, c.lost, "%s: the owner says that it has ended the job", c.at)
	}
}

// useTableNamed is useTable for another table.
func (b *bench) useTableNamed(table string) (leave func()) {
	tx, err := b.direct.BeginTx(b.t.Context(), nil)
	require.NoError(b.t, err)
	_, _, err = rows(b.t, tx, "SELECT id FROM "+table+" LIMIT 1")
	require.NoError(b.t, err)
	return func() { require.NoError(b.t, tx.Rollback()) }
}

// TestFrozenBeforeTruncate: an owner that is frozen on the way to empty the table of a
// cancelled job doesn't empty it when it is thawed: another one has done that, and users
// have put rows into it since.
func TestFrozenBeforeTruncate(t *testing.T) {
	t.Parallel()
	b := frozenBench(t)
	f := rpcFreezing("truncate", rpcIngest, halfIngest)
	f.cancelled = true
	f.reached = func(c *frozenCase) bool {
		if c.fired(rpcIngest) > halfIngest && c.kept == nil {
			// The clean-up asks for the table's id, for its structure, and once more
			// right before the TRUNCATE.
			c.kept = c.gate.keep("SELECT TIDB_TABLE_ID", 2)
			_, err := c.direct.ExecContext(t.Context(), "UPDATE sluice.jobs SET cancel_requested = 1 WHERE id = "+c.job)
			require.NoError(t, err)
		}
		return c.kept != nil && closed(c.kept.kept)
	}
	cases := []*frozenCase{b.freeze(f, "t0")}
	cases[0].setLease("update_time + INTERVAL 30 SECOND")
	startWith(t, b.cluster, instance.Options{})
	b.thawAll(cases)
}

// TestFrozenInTransaction: an owner that is frozen in a transaction keeps nobody from
// its job and its table for long, and doesn't end the transaction when it is thawed.
func TestFrozenInTransaction(t *testing.T) {
	t.Parallel()
	b := frozenBench(t)
	replacing := gateFreezing("delete", "DELETE FROM `play_", 0)
	replacing.options += ", on_duplicate='replace', allow_non_empty"
	replacing.fill = " (id, code, n) VALUES (1, 'was here', 1), (2, 'was here too', 2)"
	saving := gateFreezing("checkpoint", "SELECT id FROM `sluice`.jobs WHERE id = ? AND owner", 0)
	saving.locked = true
	cases := []*frozenCase{b.freeze(replacing, "t0"), b.freeze(saving, "t1")}
	cases[0].setLease("update_time + INTERVAL 30 SECOND")
	startWith(t, b.cluster, instance.Options{})
	b.thawAll(cases)
}

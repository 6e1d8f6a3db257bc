package imports_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// way is how a job is ended before its time.
type way string

const (
	byError  way = "error"
	byCancel way = "CANCEL"
	byClient way = "client gone"
	byKill   way = "KILL"
	bySignal way = "SIGTERM"
	byPause  way = "PAUSE"
)

// moment is a point in a job's life at which it can be held.
type moment struct {
	name string
	// source is imported; the zero value means smallSource.
	source sourceFile
	// options of the statement.
	options string
	// arm is called before the statement. With byError it lets the job fail by
	// itself at that moment, unless fail does; the rules of other ways hold it there.
	arm func(c *cleanupCase)
	// fail lets a job that is there fail.
	fail func(c *cleanupCase)
	// reached, polled, tells that the job is there, and may steer it there.
	reached func(c *cleanupCase) bool
	// letGo frees what the clean-up needs, once the job has been told to stop.
	letGo func(c *cleanupCase)
	// after undoes what arm did, if need be.
	after func(c *cleanupCase)
	// untouched says that nothing has been sent to the table by then.
	untouched bool
	// split says that its regions, which are empty then, have been split all the
	// same: PD merges them, and a rerun needs them again.
	split bool
	// ways that make sense; nil means all.
	ways []way
}

const (
	rpcSwitch = "ImportSST/SwitchMode"
	rpcSplit  = "Tikv/SplitRegion"
	rpcWrite  = "ImportSST/Write"
	rpcIngest = "ImportSST/MultiIngest"
	rpcDetect = "ImportSST/DuplicateDetect"

	rpcChecksum = "Coprocessor/checksum"
	rpcAnalyze  = "Coprocessor/analyze"

	halfIngest = 7 // calls of MultiIngest that pass, of which two, a probe and an ingest, belong to a file
)

func moments() []moment {
	hold := func(rpc string, onError fault.Kind) func(*cleanupCase) {
		return func(c *cleanupCase) {
			if c.way == byError {
				c.inject(fault.Rule{RPC: rpc, Kind: onError, Count: 1})
			} else {
				c.inject(fault.Rule{RPC: rpc, Kind: fault.Hold, Count: 1})
			}
		}
	}
	fired := func(rpc string) func(*cleanupCase) bool {
		return func(c *cleanupCase) bool { return c.fired(rpc) > 0 }
	}
	// free lets go what TiDB does for the job, which goes on with it when the job
	// has stopped, and for which a TRUNCATE may wait.
	free := func(c *cleanupCase) {
		c.eventually(func() bool { return len(c.running("TRUNCATE TABLE")) > 0 || c.status() != "running" })
		require.NoError(c.t, c.cluster.ClearFaults(c.t.Context()))
	}
	// without takes a privilege from the service account that a step needs, and
	// the clean-up doesn't.
	without := func(privilege string, otherwise func(*cleanupCase)) (arm, after func(*cleanupCase)) {
		return func(c *cleanupCase) {
				if c.way == byError {
					c.account("REVOKE " + privilege + " ON *.* FROM ")
				} else {
					otherwise(c)
				}
			}, func(c *cleanupCase) {
				if c.way == byError {
					c.account("GRANT " + privilege + " ON *.* TO ")
				}
			}
	}
	armIDs, afterIDs := without("ALTER", func(c *cleanupCase) { c.leave = c.useTable() })
	armChecksum, afterChecksum := without("SUPER", func(c *cleanupCase) {
		c.inject(fault.Rule{RPC: rpcChecksum, Kind: fault.Hold, Count: 1})
	})
	return []moment{
		{name: "encode", source: wideSource, untouched: true, ways: []way{byCancel, byClient, byKill, bySignal, byPause},
			reached: func(c *cleanupCase) bool { n := c.row()["Imported_Rows"]; return n != "NULL" && n != "0" }},
		// It may be done with all runs when it is told to stop, but no further.
		{name: "spill", source: wideSource, untouched: true,
			arm:     func(c *cleanupCase) { c.inject(fault.Rule{RPC: rpcSwitch, Kind: fault.Hold}) },
			reached: func(c *cleanupCase) bool { return len(c.sortFiles("sort-*/*")) > 0 },
			fail: func(c *cleanupCase) { // the directory vanishes
				for _, dir := range c.sortFiles("") {
					require.NoError(c.t, os.RemoveAll(dir))
				}
			}},
		// A store that can't be switched is waited for.
		{name: "leases", untouched: true, ways: []way{byCancel, byClient, byKill, bySignal, byPause},
			arm:     func(c *cleanupCase) { c.inject(fault.Rule{RPC: rpcSwitch, Kind: fault.Hold, Count: 1}) },
			reached: fired(rpcSwitch)},
		// A split that fails costs speed only. TiDB splits as well, when a table is
		// made, so the rule stays until the job has gone.
		{name: "split", untouched: true, ways: []way{byCancel, byClient, byKill, bySignal, byPause},
			arm:     func(c *cleanupCase) { c.inject(fault.Rule{RPC: rpcSplit, Kind: fault.Hold}) },
			reached: func(c *cleanupCase) bool { return c.inImportMode() && c.fired(rpcSplit) > 0 },
			letGo: func(c *cleanupCase) {
				c.eventually(func() bool { return !c.inImportMode() })
				require.NoError(c.t, c.cluster.RemoveFaults(c.t.Context(), rpcSplit))
			}},
		{name: "write", untouched: true, split: true, reached: fired(rpcWrite), arm: func(c *cleanupCase) {
			kind := fault.Hold
			if c.way == byError {
				kind = fault.Refused
			}
			c.inject(fault.Rule{RPC: rpcWrite, Kind: kind})
		}},
		{name: "ingest", options: ", thread=1",
			arm: func(c *cleanupCase) {
				c.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Slow, Delay: time.Nanosecond, Count: halfIngest})
				hold(rpcIngest, fault.Refused)(c)
			},
			reached: func(c *cleanupCase) bool { return c.fired(rpcIngest) > halfIngest }},
		{name: "ingest, answer lost", options: ", thread=1", ways: []way{byError},
			arm: func(c *cleanupCase) {
				c.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Slow, Delay: time.Nanosecond, Count: halfIngest - 1})
				c.inject(fault.Rule{RPC: rpcIngest, Kind: fault.DropAfter, Count: 1})
				c.inject(fault.Rule{RPC: rpcIngest, Kind: fault.Refused})
			},
			reached: func(c *cleanupCase) bool { return c.fired(rpcIngest) > halfIngest }},
		{name: "auto ids", arm: armIDs, after: afterIDs,
			reached: func(c *cleanupCase) bool { return len(c.running("ALTER TABLE")) > 0 },
			letGo: func(c *cleanupCase) {
				c.eventually(func() bool { return len(c.running("TRUNCATE TABLE")) > 0 })
				c.leave()
			}},
		{name: "checksum", arm: armChecksum, after: afterChecksum, reached: fired(rpcChecksum), letGo: free},
		// Statistics that can't be had are a warning, not an error.
		{name: "analyze", ways: []way{byCancel, byClient, byKill, bySignal, byPause},
			arm:     func(c *cleanupCase) { c.inject(fault.Rule{RPC: rpcAnalyze, Kind: fault.Hold, Count: 1}) },
			reached: fired(rpcAnalyze), letGo: free},
	}
}

// TestTableIsEmptyAfterEveryFailure: whenever and however a job ends before
// its time, the table is empty again, the cluster is as before, the job's row
// says so, and the same statement then brings in the same rows. A job that is
// paused, or whose Sluice shuts down, doesn't end: it goes on, to the same rows.
func TestTableIsEmptyAfterEveryFailure(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
	b.exec("SET GLOBAL tidb_enable_auto_analyze = OFF") // it would answer to the same rules
	files := map[sourceFile]string{}
	for _, f := range []sourceFile{smallSource, wideSource} {
		files[f] = b.wideFile(fmt.Sprintf("%d.csv", f.rows), f.rows, f.width)
	}
	for _, m := range moments() {
		ways := m.ways
		if ways == nil {
			ways = []way{byError, byCancel, byClient, byKill, bySignal, byPause}
		}
		for _, w := range ways {
			t.Run(m.name+"/"+string(w), func(t *testing.T) {
				c := &cleanupCase{bench: b.in(t), moment: m, way: w, sourceFile: m.source}
				if m.source == (sourceFile{}) {
					c.sourceFile = smallSource
				}
				c.file = files[c.sourceFile]
				c.run()
			})
		}
	}
}

// in returns the bench for a subtest.
func (b *bench) in(t *testing.T) *bench {
	sub := *b
	sub.t = t
	return &sub
}

// sourceFile is a file of so many rows with notes of so many characters.
type sourceFile struct{ rows, width int }

var (
	smallSource = sourceFile{6_000, 60}
	// wideSource keeps the encoder busy for a while and doesn't fit into a job's memory.
	wideSource = sourceFile{30_000, 1000}
)

// csvFile writes rows for cleanupTable: ids from 1 on, unless rows is a multiple of 7.
func (b *bench) csvFile(name string, rows int) string {
	return b.rowsFile(name, rows, func() string { return strings.Repeat("x", 60) })
}

// wideFile is csvFile with notes of so many characters that don't compress.
func (b *bench) wideFile(name string, rows, width int) string {
	random := rand.NewChaCha8([32]byte{})
	note := make([]byte, width/2)
	return b.rowsFile(name, rows, func() string {
		_, _ = random.Read(note)
		return hex.EncodeToString(note)
	})
}

func (b *bench) rowsFile(name string, rows int, note func() string) string {
	var text strings.Builder
	for i := range rows {
		fmt.Fprintf(&text, "%d,code %d,%d,%s\n", i*7%rows+1, i, i%10, note())
	}
	return b.file(name, text.String())
}

const cleanupTable = "(id BIGINT PRIMARY KEY AUTO_INCREMENT, code VARCHAR(40), n INT, note VARCHAR(1000), UNIQUE KEY code (code), KEY n (n))"

// cleanupCase is one job that is ended in one way at one moment.
type cleanupCase struct {
	*bench
	sourceFile
	moment moment
	way    way
	file   string
	victim *instance.Instance // runs the job
	job    string
	leave  func() // ends the transaction that uses the table
}

func (c *cleanupCase) run() {
	t := c.t
	c.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t "+cleanupTable)
	before, regions, id := steering(t, c.cluster), c.regions(), c.tableID()
	c.inject(fault.Rule{RPC: rpcDetect, Kind: fault.Slow, Delay: time.Nanosecond}) // counts
	c.victim = c.sluice
	if c.way == bySignal {
		c.victim = startWith(t, c.cluster, instance.Options{Top: `graceful-wait = "0s"`})
	} else if c.sourceFile != smallSource { // with less memory
		c.victim = startWith(t, c.cluster, instance.Options{})
	}
	if c.moment.arm != nil {
		c.moment.arm(c)
	}
	end := c.start()
	switch {
	case c.way == byError && c.moment.fail == nil:
		end()
	case c.way == byError:
		c.eventually(func() bool { return c.moment.reached(c) })
		c.moment.fail(c)
	default:
		c.eventually(func() bool { return c.moment.reached(c) })
		end()
		switch c.way {
		case bySignal:
			<-c.victim.Exited()
			c.goesOn(before)
			return
		case byPause:
			c.pauses(before)
			c.goesOn(before)
			return
		}
		if c.moment.letGo != nil {
			c.moment.letGo(c)
		}
	}
	row := c.bench.ended(c.job)
	if c.moment.untouched {
		require.Zero(t, c.fired(rpcDetect), "nothing is to be looked for")
		require.Equal(t, id, c.tableID(), "nothing is to be truncated")
	}
	require.NoError(t, c.cluster.ClearFaults(t.Context()))
	if c.moment.after != nil {
		c.moment.after(c)
	}
	status := "cancelled"
	if c.way == byError {
		status = "failed"
	}
	require.Equal(t, status, row["Status"], row["Result_Message"])
	require.Equal(t, "0", row["Imported_Rows"])
	if c.moment.untouched {
		require.NotContains(t, row["Result_Message"], "`t`")
	} else {
		require.Contains(t, row["Result_Message"], "; table `"+c.name+"`.`t` was emptied again")
		require.True(t, strings.HasSuffix(row["Result_Message"], "was emptied again"), row["Result_Message"])
	}
	for _, hint := range []string{"USE INDEX ()", "FORCE INDEX (code)", "FORCE INDEX (n)"} {
		require.Equal(t, "0", c.count("t "+hint), hint)
	}
	require.Empty(t, c.sortFiles(""))
	require.Equal(t, before, steering(t, c.cluster))
	if c.moment.split {
		require.Greater(t, c.regions(), regions)
	} else {
		require.Equal(t, regions, c.regions())
	}
	c.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s'", c.file))
	c.holdsAll()
}

// pauses pauses the job, which then holds nothing in the cluster, and resumes it.
func (c *cleanupCase) pauses(before any) {
	t := c.t
	began := time.Now()
	_, err := c.proxy.ExecContext(t.Context(), "PAUSE IMPORT JOB "+c.job)
	require.NoError(t, err)
	t.Logf("paused within %v", time.Since(began))
	require.Equal(t, "paused", c.bench.ended(c.job)["Status"])
	require.Equal(t, before, steering(t, c.cluster))
	_, err = c.proxy.ExecContext(t.Context(), "RESUME IMPORT JOB "+c.job)
	require.NoError(t, err)
}

// goesOn makes sure that the job goes on, after a pause or in another Sluice
// without its sort directory, to the right end.
func (c *cleanupCase) goesOn(before any) {
	t := c.t
	require.NoError(t, c.cluster.ClearFaults(t.Context()))
	if c.leave != nil {
		c.leave()
	}
	row := c.bench.ended(c.job)
	require.Equal(t, "finished", row["Status"], row["Result_Message"])
	require.Equal(t, fmt.Sprint(c.rows), row["Imported_Rows"])
	require.Equal(t, before, steering(t, c.cluster))
	c.holdsAll()
}

// holdsAll makes sure that the table holds the rows of the source, once.
func (c *cleanupCase) holdsAll() {
	t := c.t
	c.consistent("t")
	n := int64(c.rows)
	require.Equal(t, []string{fmt.Sprint(n), fmt.Sprint(n * (n + 1) / 2), fmt.Sprint(n), fmt.Sprint(n / 10 * 45)}, c.query("SELECT COUNT(*), SUM(id), COUNT(DISTINCT code), SUM(n) FROM t")[0])
}

// sortFiles are the directories that jobs of the victim sort in, or the files
// in them that have such a name.
func (c *cleanupCase) sortFiles(name string) []string {
	found, err := filepath.Glob(filepath.Join(c.victim.SortDir(), "job-*", filepath.FromSlash(name)))
	require.NoError(c.t, err)
	return found
}

// inImportMode tells whether the leases of a job are taken.
func (c *cleanupCase) inImportMode() bool {
	state, err := c.cluster.State(c.t.Context())
	require.NoError(c.t, err)
	return state.Stores[0].ImportMode
}

// account runs a statement about the service account's privileges, by whose name it ends.
func (c *cleanupCase) account(stmt string) {
	_, err := c.direct.ExecContext(c.t.Context(), stmt+"'sluice_"+c.victim.Password[:6]+"'@'%'")
	require.NoError(c.t, err)
}

// start runs the statement and returns what ends the job in the case's way.
func (c *cleanupCase) start() (end func()) {
	t := c.t
	proxy, err := c.victim.Open("root", "", c.name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = proxy.Close() }) // whose connections may have ended with the Sluice
	stmt := fmt.Sprintf("IMPORT INTO t FROM '%s' WITH disable_precheck%s", c.file, c.moment.options)
	if c.way != byClient && c.way != byKill {
		_, values, err := rows(t, proxy, stmt+", detached")
		require.NoError(t, err)
		c.job = values[0][0]
		return func() {
			switch c.way {
			case byCancel:
				c.cancel(c.job)
			case bySignal:
				c.background(func() { assert.NoError(t, c.victim.Stop()) })
			}
		}
	}
	conn, err := proxy.Conn(t.Context())
	require.NoError(t, err)
	_, values, err := rows(t, conn, "SELECT CONNECTION_ID()")
	require.NoError(t, err)
	ctx, gone := context.WithCancel(t.Context())
	end = gone
	if c.way == byKill {
		end = func() {
			_, err := c.direct.ExecContext(t.Context(), "KILL "+values[0][0])
			assert.NoError(t, err)
		}
	}
	c.background(func() {
		defer gone()
		_, err := conn.ExecContext(ctx, stmt)
		if c.way == byKill {
			assert.EqualValues(t, 1317, mysqlCode(err), "%v", err)
		} else {
			assert.ErrorIs(t, err, context.Canceled)
		}
	})
	c.eventually(func() bool {
		_, values, err := rows(t, c.direct, "SELECT job_id FROM sluice.job_tables WHERE table_schema = ? AND active = 1", c.name)
		require.NoError(t, err)
		if len(values) == 1 {
			c.job = values[0][0]
		}
		return len(values) == 1
	})
	return end
}

// background runs f in a goroutine that the test waits for.
func (c *cleanupCase) background(f func()) {
	done := make(chan struct{})
	c.t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		f()
	}()
}

func (c *cleanupCase) eventually(what func() bool) {
	c.t.Helper()
	eventually(c.t, what)
}

// eventually polls in the test's own goroutine, so that what may fail the test.
func eventually(t *testing.T, what func() bool) {
	t.Helper()
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !what() {
		select {
		case <-tick.C:
		case <-limit.C:
			require.FailNow(t, "it never came")
		}
	}
}

func (b *bench) inject(rule fault.Rule) {
	b.t.Helper()
	require.NoError(b.t, b.cluster.InjectFault(b.t.Context(), rule))
}

// fired counts how often the rules for an RPC have fired.
func (b *bench) fired(rpc string) (n int) {
	b.t.Helper()
	hits, err := b.cluster.FaultHits(b.t.Context())
	require.NoError(b.t, err)
	for _, h := range hits {
		if h.Rule.RPC == rpc {
			n += h.Fired
		}
	}
	return n
}

// running returns the ids of the connections that run such a statement.
func (b *bench) running(statement string) []string {
	b.t.Helper()
	_, values, err := rows(b.t, b.direct, "SHOW FULL PROCESSLIST")
	require.NoError(b.t, err)
	var ids []string
	for _, v := range values {
		if strings.HasPrefix(v[7], statement) {
			ids = append(ids, v[0])
		}
	}
	return ids
}

// row is the job's row as its Sluice shows it, or any.
func (c *cleanupCase) row() jobRow {
	c.t.Helper()
	proxy := c.proxy
	if c.victim != c.sluice {
		db, err := c.victim.Open("root", "", "")
		require.NoError(c.t, err)
		defer func() { require.NoError(c.t, db.Close()) }()
		proxy = db
	}
	columns, values, err := rows(c.t, proxy, "SHOW IMPORT JOB "+c.job)
	require.NoError(c.t, err)
	row := jobRow{}
	for i, name := range columns {
		row[name] = values[0][i]
	}
	return row
}

// status is that of the job's row.
func (c *cleanupCase) status() string {
	c.t.Helper()
	_, values, err := rows(c.t, c.direct, "SELECT status FROM sluice.jobs WHERE id = "+c.job)
	require.NoError(c.t, err)
	return values[0][0]
}

// regions is the number of the table's regions.
func (b *bench) regions() int {
	b.t.Helper()
	_, values, err := rows(b.t, b.direct, "SHOW TABLE t REGIONS")
	require.NoError(b.t, err)
	return len(values)
}

// tableID is t's.
func (b *bench) tableID() string {
	b.t.Helper()
	_, values, err := rows(b.t, b.direct, "SELECT tidb_table_id FROM information_schema.tables WHERE table_schema = ? AND table_name = 't'", b.name)
	require.NoError(b.t, err)
	return values[0][0]
}

// useTable opens a transaction that uses t, for which DDL on it waits.
func (b *bench) useTable() (leave func()) {
	b.t.Helper()
	tx, err := b.direct.BeginTx(b.t.Context(), nil)
	require.NoError(b.t, err)
	_, _, err = rows(b.t, tx, "SELECT id FROM t LIMIT 1")
	require.NoError(b.t, err)
	return func() { require.NoError(b.t, tx.Rollback()) }
}

// startWith starts a further Sluice in front of a cluster, which closes with
// the test at the latest.
func startWith(t *testing.T, cluster *playground.Cluster, opts instance.Options) *instance.Instance {
	t.Helper()
	opts.Race = true
	if opts.TiDB == "" {
		opts.TiDB = cluster.TiDB
	}
	if opts.Import == "" {
		opts.Import = "memory-budget = \"160MiB\"\nthreads = 4"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	in, err := instance.Start(ctx, opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(in.LogTail(40))
		}
		require.NoError(t, in.Close())
	})
	return in
}

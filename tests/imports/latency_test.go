package imports_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// The long form of TestPauseAndCancelAtAnyMoment: so many moments, from this seed on,
// and a file for the line that says how long the statements took. It wants all of them
// below latencyLimit, which the short form doesn't look at.
const (
	latencyEnv       = "SLUICE_LATENCY"
	latencySeedEnv   = "SLUICE_LATENCY_SEED"
	latencyReportEnv = "SLUICE_LATENCY_REPORT"
	latencyLimit     = 2 * time.Second
	latencyMoments   = 8
)

// latencyKind is a kind of job.
type latencyKind struct {
	name, options, fill string
	source              sourceFile
	bad                 int
	// repeats tells that rows share a code with others.
	repeats bool
}

func latencyKinds() []latencyKind {
	return []latencyKind{
		{name: "plain"},
		{name: "large", source: sourceFile{20_000, 1000}},
		{name: "bad rows", bad: 50, options: ", max_errors=100"},
		{name: "replace", repeats: true, options: ", on_duplicate='replace'"},
		{name: "filled", repeats: true, options: ", on_duplicate='replace', allow_non_empty",
			fill: " (id, code, n) VALUES (1, 'was here', 1), (100001, 'was here too', 2)"},
	}
}

// heldRPCs are what a job may wait for at the moment, and go on to wait for: a store
// that doesn't answer.
var heldRPCs = []string{rpcSwitch, rpcSplit, rpcWrite, rpcIngest, rpcChecksum, rpcAnalyze}

// latencyBench runs jobs and stops them.
type latencyBench struct {
	*bench
	rnd     *rand.Rand
	sluices []*instance.Instance
	proxies []*sql.DB
	files   map[string]string
	before  playground.Steering
	took    map[string][]time.Duration
	slow    []string // what took too long
}

// TestPauseAndCancelAtAnyMoment pauses and cancels jobs of all kinds at random moments:
// when the owner has logged its n-th event, or hangs in a store that doesn't answer.
// They stop, hold nothing, and end right when they go on.
func TestPauseAndCancelAtAnyMoment(t *testing.T) {
	t.Parallel()
	number := func(env string, otherwise int) int {
		n, err := strconv.Atoi(os.Getenv(env))
		if err != nil {
			return otherwise
		}
		return n
	}
	moments, seed := number(latencyEnv, latencyMoments), number(latencySeedEnv, 1)
	b := newLatencyBench(t, uint64(seed))
	for i := range moments {
		b.moment(i)
	}
	line := fmt.Sprintf("latency: %d moments, pause %s; cancel %s", moments, spread(b.took["PAUSE"]), spread(b.took["CANCEL"]))
	t.Log(line)
	if path := os.Getenv(latencyReportEnv); path != "" {
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(append(b.slow, line), "\n")+"\n"), 0o600))
	}
	if os.Getenv(latencyEnv) != "" {
		require.Empty(t, b.slow)
	}
}

// spread describes durations.
func spread(took []time.Duration) string {
	if len(took) == 0 {
		return "never"
	}
	slices.Sort(took)
	at := func(share float64) int64 { return took[int(share*float64(len(took)-1)+0.5)].Milliseconds() }
	return fmt.Sprintf("%d times, median %d ms, p99 %d ms, max %d ms", len(took), at(0.5), at(0.99), at(1))
}

func newLatencyBench(t *testing.T, seed uint64) *latencyBench {
	b := &latencyBench{bench: ownBench(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000}),
		rnd: rand.New(rand.NewPCG(seed, 1)), files: map[string]string{}, took: map[string][]time.Duration{}}
	b.exec("SET GLOBAL tidb_enable_auto_analyze = OFF") // it would answer to the same rules
	for range 2 {
		in := startWith(t, b.cluster, instance.Options{Import: "memory-budget = \"160MiB\"\nthreads = 4\ncheckpoint-bytes = \"256KiB\""})
		db, err := in.Open("root", "", b.name)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		b.sluices, b.proxies = append(b.sluices, in), append(b.proxies, db)
	}
	for _, k := range latencyKinds() {
		b.files[k.name] = b.latencyFile(&k)
	}
	b.before = steering(t, b.cluster)
	return b
}

// rows of the kind's file that end in an empty table, without the bad ones.
func (k *latencyKind) rows() sourceFile {
	if k.source == (sourceFile{}) {
		return smallSource
	}
	return k.source
}

func (b *latencyBench) latencyFile(k *latencyKind) string {
	source := k.rows()
	path := b.wideFile(strings.ReplaceAll(k.name, " ", "_")+".csv", source.rows, source.width)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(b.t, err)
	for i := range k.bad {
		_, err := fmt.Fprintf(file, "no number %d,x,1,y\n", i)
		require.NoError(b.t, err)
	}
	if k.repeats {
		// The last of those who share a code stays, here with another id than the first.
		for i := range 100 {
			_, err := fmt.Fprintf(file, "%d,code %d,1,again\n", 200_000+i, i*7)
			require.NoError(b.t, err)
		}
	}
	require.NoError(b.t, file.Close())
	return path
}

// moment starts a job, stops it and sees what becomes of it. A job that ends before
// its moment has come is begun again.
func (b *latencyBench) moment(n int) {
	kinds := latencyKinds()
	k := kinds[b.rnd.IntN(len(kinds))]
	verb := []string{"PAUSE", "CANCEL"}[b.rnd.IntN(2)]
	owner, by := b.rnd.IntN(2), b.rnd.IntN(2)
	for {
		held, event := "", 1+b.rnd.IntN(9)
		if b.rnd.IntN(2) == 0 {
			held = heldRPCs[b.rnd.IntN(len(heldRPCs))]
		}
		what := fmt.Sprintf("moment %d: %s of a %s job by %d, which %d runs, at event %d", n, verb, k.name, by, owner, event)
		if held != "" {
			what = fmt.Sprintf("moment %d: %s of a %s job by %d, which %d runs, in %s", n, verb, k.name, by, owner, held)
		}
		m := &latencyMoment{latencyBench: b, kind: &k, what: what, verb: verb, held: held, event: event, proxy: b.proxies[by], owner: b.sluices[owner]}
		m.begin(b.proxies[owner])
		if m.stop() {
			m.check()
			return
		}
		m.forget()
	}
}

// latencyMoment is a job that is stopped.
type latencyMoment struct {
	*latencyBench
	kind       *latencyKind
	what, verb string
	held       string // RPC, or "" for
	event      int    // of the log
	proxy      *sql.DB
	owner      *instance.Instance
	job        string
}

func (m *latencyMoment) begin(proxy *sql.DB) {
	t := m.t
	m.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t "+cleanupTable)
	if m.kind.fill != "" {
		m.exec("INSERT INTO t" + m.kind.fill)
	}
	if m.held != "" {
		m.inject(fault.Rule{RPC: m.held, Kind: fault.Hold})
	} else {
		// What is over in a moment lasts a little, so that moments come in it.
		for _, rpc := range []string{rpcWrite, rpcIngest, rpcChecksum, rpcAnalyze} {
			m.inject(fault.Rule{RPC: rpc, Kind: fault.Slow, Delay: 30 * time.Millisecond})
		}
	}
	_, values, err := rows(t, proxy, fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached, thread=2, disable_precheck%s", m.files[m.kind.name], m.kind.options))
	require.NoError(t, err)
	m.job = values[0][0]
}

// status is that of the job's row, with the name of its owner.
func (m *latencyMoment) status() (status, owner string) {
	_, values, err := rows(m.t, m.direct, "SELECT status, owner FROM sluice.jobs WHERE id = "+m.job)
	require.NoError(m.t, err)
	return values[0][0], values[0][1]
}

// reached tells whether the job is where it is to be stopped.
func (m *latencyMoment) reached() bool {
	if m.held != "" {
		return m.fired(m.held) > 0
	}
	lines, err := m.owner.Logged(`"job": ` + m.job + `,`)
	require.NoError(m.t, err)
	return len(lines) >= m.event
}

// stop waits for the moment and stops the job; false if that has ended before.
func (m *latencyMoment) stop() bool {
	t := m.t
	over := false
	eventually(t, func() bool {
		if m.reached() {
			return true
		}
		status, _ := m.status()
		over = status != "pending" && status != "running"
		return over
	})
	if over {
		return false
	}
	if m.held == rpcWrite || m.held == rpcIngest {
		// A store that hangs hears nothing of import mode either.
		m.inject(fault.Rule{RPC: rpcSwitch, Kind: fault.Hold})
	}
	began := time.Now()
	_, err := m.proxy.ExecContext(t.Context(), m.verb+" IMPORT JOB "+m.job)
	took := time.Since(began)
	if mysqlCode(err) == 8171 { // too late
		status, _ := m.status()
		require.Equal(t, "finished", status, m.what)
		return false
	}
	require.NoError(t, err, m.what)
	m.took[m.verb] = append(m.took[m.verb], took)
	if took >= latencyLimit {
		m.slow = append(m.slow, fmt.Sprintf("%s: %v", m.what, took))
	}
	t.Logf("%s: %v", m.what, took)
	return true
}

// forget waits for the end of a job that was too fast.
func (m *latencyMoment) forget() {
	require.NoError(m.t, m.cluster.ClearFaults(m.t.Context()))
	m.ended(m.job)
}

// check sees that the job has stopped, and lets a paused one go on.
func (m *latencyMoment) check() {
	t := m.t
	if m.verb == "PAUSE" {
		status, owner := m.status()
		require.Equal(t, "paused", status, m.what)
		require.Empty(t, owner, m.what)
	}
	written, ingested := m.imported()
	require.NoError(t, m.cluster.ClearFaults(t.Context()))
	row := m.ended(m.job)
	if m.verb == "PAUSE" {
		m.holdsNothing(m.before)
		w, i := m.imported()
		require.Equal(t, written, w, m.what)
		require.Equal(t, ingested, i, m.what)
		m.exec("RESUME IMPORT JOB " + m.job)
		row = m.ended(m.job)
		require.Equal(t, "finished", row["Status"], "%s: %s", m.what, row["Result_Message"])
		m.holdsRows()
	} else {
		require.Equal(t, "cancelled", row["Status"], "%s: %s", m.what, row["Result_Message"])
		switch {
		case m.kind.fill == "":
			require.Equal(t, "0", m.count("t"), m.what)
		case !strings.Contains(row["Result_Message"], "`t` holds"):
			require.Equal(t, "2", m.count("t"), m.what)
		}
	}
	m.holdsNothing(m.before)
}

// holdsRows compares the table with what the job has to make of it.
func (m *latencyMoment) holdsRows() {
	t := m.t
	want := m.kind.rows().rows
	if m.kind.fill != "" {
		want++ // the row of id 1 is replaced
	}
	require.Equal(t, strconv.Itoa(want), m.count("t"), m.what)
	_, values, err := rows(t, m.direct, "SELECT COUNT(DISTINCT code), COUNT(IF(note = 'again', 1, NULL)) FROM t")
	require.NoError(t, err)
	again := "0"
	if m.kind.repeats {
		again = "100"
	}
	require.Equal(t, []string{strconv.Itoa(want), again}, values[0], m.what)
	_, errs, err := rows(t, m.direct, "SELECT COUNT(*) FROM sluice.job_errors WHERE job_id = "+m.job)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(m.kind.bad), errs[0][0], m.what)
	if m.kind.fill == "" {
		m.consistent("t")
	} else {
		_, err := m.direct.ExecContext(t.Context(), "ADMIN CHECK TABLE t")
		require.NoError(t, err)
	}
}

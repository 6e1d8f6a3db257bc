package memory

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(m, playground.Options{Stores: 3}))
}

// longEnv asks for the large form of the tests.
const longEnv = "SLUICE_MEMORY_LONG"

func long() bool { return os.Getenv(longEnv) != "" }

// size picks the size of a test.
func size(short, tenfold int) int {
	if long() {
		return tenfold
	}
	return short
}

const mib = 1 << 20

// startTimeout covers a cold build.
const startTimeout = 20 * time.Minute

// bench is one test's database in front of which a Sluice with a memory budget runs.
type bench struct {
	t      *testing.T
	sluice *instance.Instance
	budget int64   // bytes
	db     *sql.DB // root through the proxy
	direct *sql.DB // root at TiDB
	name   string  // of the database
	dir    string  // for files
}

// newBench starts a Sluice with a memory budget in MiB, which runs so many jobs at a time. The tests
// of this package run one after the other, because each takes memory.
func newBench(t *testing.T, budget, concurrency int, more ...string) *bench {
	t.Helper()
	cluster := playground.Shared(t)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	in, err := instance.Start(ctx, instance.Options{
		TiDB:   cluster.TiDB,
		Import: fmt.Sprintf("memory-budget = \"%dMiB\"\nthreads = 4\n%s\n\n[jobs]\nconcurrency = %d", budget, strings.Join(more, "\n"), concurrency),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(in.LogTail(40))
		}
		require.NoError(t, in.Close())
	})
	b := &bench{t: t, sluice: in, budget: int64(budget) * mib, dir: t.TempDir()}
	b.name, b.direct = cluster.Database(t)
	b.db, err = in.Open("root", "", b.name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.db.Close()) })
	return b
}

// within reports the process's peak and holds it to the budget.
func (b *bench) within() {
	b.t.Helper()
	peak := b.peak()
	b.t.Logf("peak memory %.1f MiB of a budget of %d MiB (%.2f)", float64(peak)/mib, b.budget/mib, float64(peak)/float64(b.budget))
	require.LessOrEqual(b.t, float64(peak), 1.2*float64(b.budget), "peak memory in bytes, and the budget with a fifth added")
}

// peak returns the largest resident size of the process so far, in bytes.
func (b *bench) peak() int64 {
	b.t.Helper()
	peak, err := b.sluice.PeakMemory()
	require.NoError(b.t, err)
	return peak
}

// resident returns the process's resident size in bytes.
func (b *bench) resident() int64 {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.sluice.PID()))
	require.NoError(b.t, err)
	_, value, found := strings.Cut(string(text), "VmRSS:")
	require.True(b.t, found)
	var kib int64
	_, err = fmt.Sscan(value, &kib)
	require.NoError(b.t, err)
	return kib << 10
}

func (b *bench) exec(statements ...string) {
	b.t.Helper()
	for _, stmt := range statements {
		_, err := b.db.ExecContext(b.t.Context(), stmt)
		require.NoError(b.t, err, stmt)
	}
}

// file creates a source file and has write fill it.
func (b *bench) file(name string, write func(f *os.File) error) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	f, err := os.Create(path)
	require.NoError(b.t, err)
	require.NoError(b.t, write(f))
	require.NoError(b.t, f.Close())
	return path
}

// text returns one row of text, asked from TiDB itself.
func (b *bench) text(query string, args ...any) []string {
	b.t.Helper()
	r, err := sqlrows.Query(b.t.Context(), b.direct, query, args...)
	require.NoError(b.t, err, query)
	require.Len(b.t, r.Rows, 1, query)
	return r.Rows[0]
}

// start begins a detached import and returns the job's id.
func (b *bench) start(stmt string) string {
	b.t.Helper()
	r, err := sqlrows.Query(b.t.Context(), b.db, stmt)
	require.NoError(b.t, err, stmt)
	require.Len(b.t, r.Rows, 1, stmt)
	return r.Rows[0][0]
}

// jobTimeout is long enough for any machine.
const jobTimeout = 30 * time.Minute

// finished waits for a job's end.
func (b *bench) finished(job string) {
	b.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(jobTimeout); ; <-tick.C {
		row := b.text("SELECT status, message FROM sluice.jobs WHERE id = ?", job)
		if row[0] == "finished" {
			return
		}
		require.Contains(b.t, []string{"pending", "running"}, row[0], "job %s: %s", job, row[1])
		require.True(b.t, time.Now().Before(deadline), "job %s does not end", job)
	}
}

// checked checks a table by TiDB's own means.
func (b *bench) checked(table string, rows int) {
	b.t.Helper()
	require.Equal(b.t, []string{fmt.Sprint(rows)}, b.text("SELECT COUNT(*) FROM "+b.name+"."+table))
	_, err := b.direct.ExecContext(b.t.Context(), "ADMIN CHECK TABLE "+b.name+"."+table)
	require.NoError(b.t, err)
}

// consistent checks a table that was empty before, and its checksum against what the job says.
func (b *bench) consistent(table string, rows int) {
	b.t.Helper()
	b.checked(table, rows)
	sum := b.text("ADMIN CHECKSUM TABLE " + b.name + "." + table)
	require.Equal(b.t, sum[2:], b.text(`SELECT checksum, total_kvs, total_bytes FROM sluice.jobs
		WHERE table_schema = ? AND table_name = ? AND status = 'finished' ORDER BY id DESC LIMIT 1`, b.name, table))
}

package imports_test

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/s3store"
)

// s3Rows are rows for cleanupTable, behind the id-th.
func s3Rows(id, rows int) []byte {
	var text strings.Builder
	for id++; rows > 0; id, rows = id+1, rows-1 {
		fmt.Fprintf(&text, "%d,code-%d,%d,%s\n", id, id, id%100, strings.Repeat("x", 900))
	}
	return []byte(text.String())
}

// TestS3Import: from a bucket as from a directory, with prechecks, sample, patterns and headers.
func TestS3Import(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := s3store.Start(t)
	for i := range 20 {
		s.Put(fmt.Sprintf("in/f%02d.csv", i), s3Rows(i*100, 100))
		s.Put(fmt.Sprintf("in/h%02d.csv", i), append([]byte("id,code,n,note\n"), s3Rows(i*100, 100)...))
	}
	s.Put("in/x.txt", []byte("no data"))
	b.exec("CREATE TABLE t " + cleanupTable)
	found := map[string][]string{}
	for _, row := range b.query("EXPLAIN IMPORT INTO t FROM '" + s.WithKeys("in/f*.csv") + "'") {
		found[row[0]] = row[1:]
	}
	require.Equal(t, "passed", found["source_file"][0], "%v", found)
	require.Equal(t, "passed", found["sample_rows"][0], "%v", found)
	require.Equal(t, []string{"exact", "20", "s3://data/in/f00.csv to s3://data/in/f19.csv"}, found["source_files"])
	row := b.mustImport("IMPORT INTO t FROM '" + s.WithKeys("in/f*.csv") + "' WITH thread=4")
	require.Equal(t, "2000", row["Imported_Rows"])
	require.Contains(t, row["Data_Source"], "s3://data/in/f*.csv?endpoint=")
	require.Contains(t, row["Data_Source"], "access-key=xxxxxx&secret-access-key=xxxxxx")
	b.consistent("t")
	require.Equal(t, [][]string{{"2000", "2001000", "99000"}}, b.query("SELECT COUNT(*), SUM(id), SUM(n) FROM t WHERE code = CONCAT('code-', id) AND LENGTH(note) = 900"))

	b.exec("TRUNCATE TABLE t")
	require.Equal(t, "2000", b.mustImport("IMPORT INTO t FROM '" + s.WithKeys("in/h*.csv") + "' WITH csv_header='columns'")["Imported_Rows"])
	b.consistent("t")
	b.exec("TRUNCATE TABLE t")
	require.Equal(t, "100", b.mustImport("IMPORT INTO t FROM '" + s.WithKeys("in/f07.csv") + "'")["Imported_Rows"])
	b.consistent("t")
	b.exec("TRUNCATE TABLE t")

	b.fails("IMPORT INTO t FROM '"+s.WithKeys("in/none.csv")+"'", 8160, "s3://data/in/none.csv: there is no such file")
	b.fails("IMPORT INTO t FROM '"+s.WithKeys("in/*.parquet")+"'", 8173, "No file matched")
	b.fails("IMPORT INTO t FROM '"+s.Location("in/*.csv")+"&access-key=OTHER&secret-access-key=SSSSSSSS'", 8159, "Access to the data source has been denied")
	b.fails("IMPORT INTO t FROM '"+strings.Replace(s.WithKeys("x.csv"), "data", "nothing", 1)+"'", 8159, "there is no bucket s3://nothing")
	b.fails("IMPORT INTO t FROM '"+s.WithKeys("in/f07.csv")+"&acess-key=SSSSSSSS'", 8158, "unknown parameter acess-key")
	b.fails("IMPORT INTO t FROM 'ks3://data/a.csv?credentials-file=SSSSSSSS'", 1235, "a data source of scheme ks3 is not supported yet")
	b.noSecret("SSSSSSSS", s.SecretKey, url.QueryEscape(s.SecretKey), s.AccessKey)
}

// noSecret looks for texts wherever Sluice writes.
func (b *bench) noSecret(secrets ...string) {
	b.t.Helper()
	look := func(where, text string) {
		for _, secret := range secrets {
			require.False(b.t, strings.Contains(text, secret), "%s holds %q", where, secret)
		}
	}
	log, err := os.ReadFile(b.sluice.LogFile())
	require.NoError(b.t, err)
	look("the log", string(log))
	for _, table := range b.query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'sluice'") {
		look(table[0], fmt.Sprint(b.query("SELECT * FROM sluice.`"+table[0]+"`")))
	}
	for _, stmt := range []string{"SHOW IMPORT JOBS", "SHOW IMPORT CLUSTER STATE"} {
		look(stmt, fmt.Sprint(b.query(stmt)))
	}
	metrics, err := http.Get("http://" + b.sluice.Status + "/metrics")
	require.NoError(b.t, err)
	text, err := io.ReadAll(metrics.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, metrics.Body.Close())
	look("the metrics", string(text))
	require.NoError(b.t, filepath.WalkDir(b.sluice.SortDir(), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // gone meanwhile
		}
		data, _ := os.ReadFile(path)
		look(path, string(data))
		return nil
	}))
}

// s3Bench is a cluster and a bucket with a file that is held somewhere within.
type s3Bench struct {
	*bench
	store *s3store.Server
	rows  int

	mu      sync.Mutex
	reads   int
	held    chan struct{} // closed when the read has arrived that hangs
	holding bool
}

func newS3Bench(t *testing.T, store *s3store.Server, opts instance.Options) *s3Bench {
	t.Helper()
	cluster := playground.ForTest(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
	b := &s3Bench{store: store, rows: 9_000}
	b.bench = benchOn(t, cluster, startWith(t, cluster, opts))
	b.store.Put("in/a.csv", s3Rows(0, b.rows/2))
	b.store.Put("in/b.csv", s3Rows(b.rows/2, b.rows/2))
	b.exec("CREATE TABLE t " + cleanupTable)
	return b
}

// checkpointing are lines of the configuration with which a job of this size makes checkpoints.
const checkpointing = "memory-budget = \"160MiB\"\nthreads = 4\ncheckpoint-bytes = \"1MiB\""

// hold makes the n-th read of a part from now on, and those after it, hang.
func (b *s3Bench) hold(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads, b.held, b.holding = 0, make(chan struct{}), true
	b.store.OnRequest(func(r *http.Request) s3store.Fault {
		if !s3store.IsRead(r) {
			return s3store.None
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.reads++; b.reads == n {
			close(b.held)
		}
		if b.holding && b.reads >= n {
			return s3store.Hang
		}
		return s3store.None
	})
}

// free lets all reads pass. Those that hang are cut with all other connections.
func (b *s3Bench) free() {
	b.let()
	b.store.Down()
	b.store.Up()
}

// let makes reads pass that arrive from now on.
func (b *s3Bench) let() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holding = false
}

// start begins a job and waits until it is held within its files.
func (b *s3Bench) start(location string, n int) (job string) {
	b.t.Helper()
	b.hold(n)
	row, err := b.importInto("IMPORT INTO t FROM '" + location + "' WITH detached, thread=2")
	require.NoError(b.t, err)
	<-b.held
	return row["Job_ID"]
}

func (b *s3Bench) right(row jobRow) {
	b.t.Helper()
	require.Equal(b.t, "finished", row["Status"], row["Result_Message"])
	b.consistent("t")
	_, values, err := rows(b.t, b.direct, "SELECT COUNT(*), SUM(id) FROM t WHERE code = CONCAT('code-', id)")
	require.NoError(b.t, err)
	require.Equal(b.t, []string{fmt.Sprint(b.rows), fmt.Sprint(b.rows * (b.rows + 1) / 2)}, values[0])
}

func (b *s3Bench) logged(in *instance.Instance, text string) {
	b.t.Helper()
	eventually(b.t, func() bool {
		lines, err := in.Logged(text)
		require.NoError(b.t, err)
		return len(lines) > 0
	})
}

// behindCheckpoint waits until what was read before the job was held is safe.
func (b *s3Bench) behindCheckpoint() {
	b.t.Helper()
	b.logged(b.sluice, "checkpoint\t{")
}

// TestS3StoreGoesAway: a job waits for its source, and can be paused and cancelled meanwhile.
func TestS3StoreGoesAway(t *testing.T) {
	t.Parallel()
	b := newS3Bench(t, s3store.Start(t), instance.Options{Import: checkpointing})
	job := b.start(b.store.WithKeys("in/*.csv"), 18)
	b.behindCheckpoint()
	b.store.Down()
	b.logged(b.sluice, "the source's store fails and is tried again")
	b.let()
	b.exec("PAUSE IMPORT JOB " + job)
	require.Equal(t, "paused", b.ended(job)["Status"])
	b.exec("RESUME IMPORT JOB " + job)
	b.store.Up()
	row := b.ended(job)
	b.right(row)
	b.logged(b.sluice, "the job goes on from its checkpoint")
	b.noSecret(b.store.SecretKey, url.QueryEscape(b.store.SecretKey), b.store.AccessKey)

	b.exec("TRUNCATE TABLE t")
	job = b.start(b.store.WithKeys("in/*.csv"), 5)
	b.store.Down()
	b.let()
	eventually(t, func() bool {
		lines, err := b.sluice.Logged("the source's store fails and is tried again")
		require.NoError(t, err)
		return len(lines) > 1
	})
	b.store.Up()
	row = b.ended(job)
	b.right(row)
	require.Contains(t, row["Result_Message"], "the source's store failed for ")

	b.exec("TRUNCATE TABLE t")
	job = b.start(b.store.WithKeys("in/*.csv"), 5)
	b.store.Down()
	b.exec("CANCEL IMPORT JOB " + job)
	require.Equal(t, "cancelled", b.ended(job)["Status"])
}

// TestS3PatienceEnds: what has lasted for too long pauses the job, which goes on from its checkpoint.
func TestS3PatienceEnds(t *testing.T) {
	t.Parallel()
	b := newS3Bench(t, s3store.Start(t), instance.Options{Import: checkpointing + "\n[storage]\npatience = \"1s\""})
	job := b.start(b.store.WithKeys("in/*.csv"), 18)
	b.behindCheckpoint()
	b.store.Down()
	b.let()
	row := b.ended(job)
	require.Equal(t, "paused", row["Status"])
	for _, words := range []string{"s3://data/in/", ".csv at byte ", "can't be read, for ", "connection refused", "RESUME IMPORT JOB " + job} {
		require.Contains(t, row["Result_Message"], words)
	}
	b.store.Up()
	b.exec("RESUME IMPORT JOB " + job)
	b.right(b.ended(job))
	b.logged(b.sluice, "the job goes on from its checkpoint")
}

// TestS3FileChanged: a job never mixes two versions of a file.
func TestS3FileChanged(t *testing.T) {
	t.Parallel()
	b := newS3Bench(t, s3store.Start(t), instance.Options{Import: checkpointing})
	job := b.start(b.store.WithKeys("in/*.csv"), 12)
	b.store.Put("in/a.csv", s3Rows(100_000, b.rows/2))
	b.store.Put("in/b.csv", s3Rows(200_000, b.rows/2))
	b.free()
	row := b.ended(job)
	require.Equal(t, "failed", row["Status"])
	require.Contains(t, row["Result_Message"], ".csv was changed after it had been listed")
	require.Equal(t, "0", b.count("t"))
}

// TestS3Takeover: with credentials in the environment any Sluice goes on with a job.
func TestS3Takeover(t *testing.T) {
	t.Parallel()
	store := s3store.Start(t)
	opts := instance.Options{Import: checkpointing, Env: append(s3store.NoEnv(), store.Env()...)}
	b := newS3Bench(t, store, opts)
	victim := opts
	victim.TiDB, victim.Race = b.cluster.TiDB, true
	owner, err := instance.Start(t.Context(), victim)
	require.NoError(t, err)
	survivor := b.proxy
	b.through(owner)
	job := b.start(store.Location("in/*.csv"), 18)
	owner.Kill()
	require.NoError(t, owner.Close())
	b.proxy = survivor
	b.let()
	store.Down()
	store.Up()
	b.right(b.ended(job))
	_, values, err := rows(t, b.direct, "SELECT term FROM sluice.jobs WHERE id = "+job)
	require.NoError(t, err)
	require.Equal(t, "2", values[0][0])
}

// through makes another Sluice the one that statements go through.
func (b *bench) through(in *instance.Instance) *sql.DB {
	b.t.Helper()
	db, err := in.Open("root", "", b.name)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, db.Close()) })
	b.proxy = db
	return db
}

// TestS3CredentialsInTheStatement: they last for as long as the process, which goes on with a paused job; behind its death
// RESUME says what is needed, and a Sluice with credentials of its own goes on.
func TestS3CredentialsInTheStatement(t *testing.T) {
	t.Parallel()
	b := newS3Bench(t, s3store.Start(t), instance.Options{Import: checkpointing, Env: s3store.NoEnv()})
	job := b.start(b.store.WithKeys("in/*.csv"), 18)
	b.exec("PAUSE IMPORT JOB " + job)
	require.Equal(t, "paused", b.ended(job)["Status"])
	_, values, err := rows(t, b.direct, "SELECT task FROM sluice.jobs WHERE id = "+job)
	require.NoError(t, err)
	require.Contains(t, values[0][0], "s3://data/in/*.csv?endpoint=")
	b.hold(12)
	b.exec("RESUME IMPORT JOB " + job)
	<-b.held
	b.noSecret(b.store.SecretKey, url.QueryEscape(b.store.SecretKey), b.store.AccessKey)
	b.sluice.Kill()
	b.let()
	require.NoError(t, b.sluice.Restart(t.Context()))
	b.through(b.sluice)
	b.logged(b.sluice, "a job without an owner can't be run here")
	b.exec("PAUSE IMPORT JOB " + job)
	require.Equal(t, "paused", b.ended(job)["Status"])
	refusal := b.fails("RESUME IMPORT JOB "+job, 8159, "Access to the data source has been denied", "there are no credentials",
		"known only to the Sluice that accepted it", "[storage.s3]", "RESUME or RETRY IMPORT JOB "+job)
	require.NotContains(t, refusal.Message, b.store.AccessKey)
	require.Equal(t, "paused", b.ended(job)["Status"])

	config := fmt.Sprintf("\n[storage.s3]\nendpoint = %q\naccess-key = %q\nsecret-access-key = %q", b.store.Endpoint(), b.store.AccessKey, b.store.SecretKey)
	b.sluice = startWith(t, b.cluster, instance.Options{Import: checkpointing + config, Env: s3store.NoEnv()})
	b.through(b.sluice)
	b.exec("RESUME IMPORT JOB " + job)
	b.right(b.ended(job))
	b.noSecret(b.store.SecretKey, url.QueryEscape(b.store.SecretKey), b.store.AccessKey)
}

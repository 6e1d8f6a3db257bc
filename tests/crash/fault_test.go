package crash_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
)

// faultCluster has a store that others can do without, and sessions of it can be killed in transactions.
var faultCluster = playground.Options{Stores: 3, RegionSplitSize: 1 << 20, RegionSplitKeys: 5_000, TxnTotalSizeLimit: 1 << 30}

// faultKinds are the kinds of jobs that go through all troubles.
var faultKinds = []string{"plain", "filled, replace", "bad rows", "capture", "disk quota", "RESTORE dump", "RESTORE archive", "RESTORE dump by SQL",
	"RESTORE archive by SQL", "RESTORE incremental archive"}

// TestKilledTransactions: sessions of such a cluster that are killed in transactions, within statements and between
// them, end alone.
func TestKilledTransactions(t *testing.T) {
	t.Parallel()
	_, db := playground.ForTest(t, faultCluster).Database(t)
	_, err := db.ExecContext(t.Context(), "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)")
	require.NoError(t, err)
	for i := range 60 {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		var id uint64
		require.NoError(t, tx.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id))
		killed := make(chan error, 1)
		time.AfterFunc(time.Duration(i)*3*time.Millisecond, func() {
			_, err := db.ExecContext(t.Context(), fmt.Sprintf("KILL QUERY %d", id))
			killed <- err
		})
		for n := 0; n < 50 && err == nil; n++ { // TiDB forgets a KILL between two statements
			_, err = tx.ExecContext(t.Context(), "INSERT INTO t (v) WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 900) "+
				"SELECT REPEAT('x', 100) FROM s")
		}
		require.NoError(t, <-killed)
		_ = tx.Rollback() // of a statement that was killed; otherwise the session has ended
	}
	var n int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&n))
	require.Zero(t, n)
}

// TestPartsOfTheClusterGoAway: while jobs run, parts of the cluster go away or hang, connections are cut and sessions
// killed, at moments spread over a job's life. It goes on by itself when that is over, and leaves what an undisturbed job
// leaves.
func TestPartsOfTheClusterGoAway(t *testing.T) {
	t.Parallel()
	t.Logf("%s=%d", seedEnv, seed)
	var names []string
	for _, name := range faultKinds {
		if strings.HasPrefix(name, os.Getenv(kindsEnv)) {
			names = append(names, name)
		}
	}
	if longFaults == 0 {
		names = names[:2]
	}
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			b := newProcessBench(t, playground.ForTest(t, faultCluster), processKindNamed(t, name), uint64(100+i))
			all := troubles()
			cases := 4
			if longFaults > 0 {
				cases = (longFaults + len(names) - 1) / len(names)
			}
			for n := range cases {
				b.disturb(n, all[(n+4*i)%len(all)])
			}
		})
	}
}

// disturb runs the n-th case.
func (b *processBench) disturb(n int, tr trouble) {
	places := tr.places
	if len(places) == 0 {
		places = append([]string{inLog, inSQL}, rpcs...)
	}
	var moments []moment
	for i := 0; len(moments) == 0; i++ { // not all kinds make all requests
		moments = momentsAt(b.moments, places[(n+n/len(troubles())+i)%len(places)])
	}
	c := &faultCase{processBench: b, trouble: tr, number: n, at: spread(moments, b.start, n), detached: n%2 == 0}
	b.Run(fmt.Sprintf("%d %s at %s", n, tr.name, c.at), func(t *testing.T) {
		c.T = t
		defer func() { faultReport.ended(t.Name(), t.Failed()) }()
		c.run()
	})
}

// momentsAt are the moments at a place, without the last ones: another job may have fewer.
func momentsAt(all []moment, place string) []moment {
	var at []moment
	for _, m := range all {
		if m.place == place {
			at = append(at, m)
		}
	}
	return at[:(4*len(at)+4)/5]
}

// faultCase is one job around which something goes wrong.
type faultCase struct {
	*processBench
	*testing.T
	trouble
	number   int
	at       moment
	detached bool

	node *node
}

func (c *faultCase) run() {
	t := c.T
	before := c.newestJob(t)
	c.ready(t)
	held := (&killCase{processBench: c.processBench, T: t}).steering()
	addrs := []string{c.pg.TiDB}
	if c.second { // the one that can be away without its status port
		addrs = []string{c.pg.TiDB2, c.pg.TiDB}
	}
	c.node = c.startNode(t, addrs...)
	defer func() {
		if t.Failed() {
			t.Log(c.node.LogTail(400))
		}
		c.node.close(t)
	}()
	happened := c.disturbed(before)
	faultReport.killed(c.processBench.name, append([]string{c.trouble.name}, happened...)...)
	k := &killCase{processBench: c.processBench, T: t, victim: c.node, successor: c.node, job: c.newestJob(t), saved: []int64{0}}
	if k.job == before {
		k.job = 0 // its trouble came before it was accepted
	}
	k.repeatLost()
	k.waitForEnd(nil)
	o := c.outcome(t, k.job)
	if strings.Contains(o.job.message, "or more rows of the table were replaced") {
		o.job.message = c.want.job.message // as with a job that lost its process
	}
	require.Equal(t, c.want.rows, o.rows)
	require.Equal(t, c.want, o)
	k.nothingMoreHeld(held)
	k.follow(c.node)
}

// disturbed runs the statement with its trouble, and returns what there is to say about it.
func (c *faultCase) disturbed(before int64) (happened []string) {
	t := c.T
	quit := make(chan struct{})
	var once sync.Once
	began := make(chan error, 1)
	hit, wait := c.node.armFor(t, c.pg, c.at, func() { once.Do(func() { began <- c.begin(c) }) }, quit)
	answered, leave := c.give(t, c.node, c.detached)
	defer leave()
	happened = c.last(hit, began)
	close(quit)
	wait()
	require.NoError(t, c.end(c))
	require.NoError(t, c.pg.ClearFaults(t.Context()))
	require.EventuallyWithT(t, func(t *assert.CollectT) { // TiDB itself has to find what was away
		for _, sql := range []string{
			"SELECT 1 FROM mysql.user LIMIT 1",
			"SELECT 1 FROM mysql.tidb WHERE variable_name = 'tikv_gc_safe_point'", // one key: only if it knows the safe point anew
		} {
			_, err := c.db.ExecContext(c.T.Context(), sql)
			assert.NoError(t, err)
		}
	}, 5*time.Minute, 50*time.Millisecond)
	c.node.disarm()
	var err error
	select {
	case err = <-answered:
	case <-time.After(waitLimit):
		require.FailNow(t, "the statement is not answered")
	}
	if err != nil {
		// A client whose own connection breaks hears of it, and so does one whose job isn't accepted.
		t.Log("the statement:", err)
		happened = append(happened, "statement failed")
		if job := c.newestJob(t); job != before && !c.detached {
			var status string
			require.NoError(t, c.db.QueryRowContext(t.Context(), "SELECT status FROM sluice.jobs WHERE id = ?", job).Scan(&status))
			require.NotEqual(t, "cancelled", status, "its client was there all the time")
		}
	}
	return happened
}

// last waits for the trouble to begin and returns when it has lasted long enough, or the job is at its end.
func (c *faultCase) last(hit <-chan struct{}, began <-chan error) []string {
	t := c.T
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for waiting := true; waiting; {
		select {
		case <-hit:
			waiting = false
		case <-look.C:
			if _, ended := c.node.log.since(0); ended {
				return []string{"after the end"}
			}
		case <-limit.C:
			require.FailNow(t, "the job doesn't end")
		}
	}
	require.NoError(t, <-began)
	if k := c.at.place; k != inLog && k != inSQL {
		require.NoError(t, c.pg.ClearFaults(t.Context())) // lets the request go on
	}
	from := c.node.log.length()
	most := time.NewTimer(troubleLimit)
	defer most.Stop()
	for {
		warnings, ended := c.node.log.since(from)
		if warnings >= int(c.lasts) || ended {
			return nil
		}
		select {
		case <-look.C:
		case <-most.C:
			return nil
		}
	}
}

// troubleLimit ends a trouble of which Sluice has little to say, because it waits for answers.
const troubleLimit = 100 * time.Second

// length is how many lines there are.
func (f *follower) length() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.lines)
}

// since counts the warnings behind the first lines, and tells whether a job has ended there.
func (f *follower) since(first int) (warnings int, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.lines[min(first, len(f.lines)):] {
		if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
			warnings++
		}
		ended = ended || strings.Contains(line, `"msg":"import job ended"`)
	}
	return warnings, ended
}

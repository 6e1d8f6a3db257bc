package crash_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

// processCluster makes the jobs of processKinds go to several regions.
var processCluster = playground.Options{Stores: 1, RegionSplitSize: 1 << 20, RegionSplitKeys: 5_000}

// TestKilledProcesses kills Sluice while it runs jobs of each kind, at moments spread over their life. The same or
// another process goes on, with or without the sort directory, and leaves what an undisturbed job leaves.
func TestKilledProcesses(t *testing.T) {
	t.Parallel()
	t.Logf("%s=%d", seedEnv, seed)
	var shared *playground.Cluster
	if longKills == 0 {
		shared = playground.ForTest(t, processCluster)
	}
	for i, k := range processKinds() {
		if longKills == 0 && !k.short {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			pg := shared
			if pg == nil { // regions of dropped tables stay: not one cluster for all
				pg = playground.ForTest(t, processCluster)
			}
			b := newProcessBench(t, pg, k, uint64(i))
			for n := 0; b.more(n); n++ {
				b.kill(n)
			}
		})
	}
}

// processBench is a kind's database, and what an undisturbed job leaves in it.
type processBench struct {
	*testing.T
	processKind
	pg       *playground.Cluster
	db       *sql.DB
	schema   string
	location string
	rnd      *rand.Rand
	start    float64 // of the sequence of moments
	moments  []moment
	want     outcome
	found    []string // objects that are there before the job, with a kind that is onto others
}

func newProcessBench(t *testing.T, pg *playground.Cluster, k processKind, number uint64) *processBench {
	schema, db := pg.Database(t)
	rnd := rand.New(rand.NewPCG(seed, number))
	b := &processBench{T: t, processKind: k, pg: pg, db: db, schema: schema, location: k.source(t, db, schema), rnd: rnd, start: rnd.Float64()}
	_, err := db.ExecContext(t.Context(), "SET GLOBAL tidb_enable_auto_analyze = OFF") // its requests would count
	require.NoError(t, err)
	b.undisturbed()
	return b
}

// ready makes what a job finds.
func (b *processBench) ready(t *testing.T) {
	b.prepare(t, b.db, b.schema)
	if b.base != nil {
		b.base(t, b)
	}
	if b.onto {
		b.found = b.objects(t)
	}
}

// objects are the names of all that the target has.
func (b *processBench) objects(t *testing.T) (names []string) {
	for _, object := range queryAll(t, b.db, "SHOW TABLES FROM `"+b.target()+"`") {
		names = append(names, object[0])
	}
	return names
}

// undisturbed runs the job that others are compared with, and notes the moments of its life.
func (b *processBench) undisturbed() {
	b.ready(b.T)
	n := b.startNode(b.T)
	defer n.close(b.T)
	countRequests(b.T, b.pg)
	n.disarm()
	answered, leave := b.give(b.T, n, false)
	defer leave()
	require.NoError(b, <-answered)
	b.moments = momentsOf(b.T, b.pg, n.log.counted(), n.sql.counted())
	b.want = b.outcome(b.T, b.newestJob(b.T))
	b.Logf("%s: %d moments, %d rows, %d records: %+v", b.name, len(b.moments), len(b.want.rows), len(b.want.records), b.want.job)
	b.Log(n.LogTail(100))
}

// more tells whether there is to be an n-th case.
func (b *processBench) more(n int) bool {
	if longKills == 0 {
		return n < shortKills
	}
	return report.made(b.name) < (longKills+len(processKinds())-1)/len(processKinds())
}

// kill runs the n-th case.
func (b *processBench) kill(n int) {
	c := &killCase{
		processBench: b, at: spread(b.moments, b.start, n), other: n%2 == 1, lose: n/2%2 == 1, detached: n/4%2 == 0, again: n%5 == 3,
		cancelled: b.restores && n%6 == 5, // imports: TestNothingIsHeldForTheDead
	}
	if b.restores {
		c.at = spreadOver(b.moments, b.start, n)
	}
	name := fmt.Sprintf("%d %s", n, c.at)
	b.Run(name, func(t *testing.T) {
		c.T = t
		defer func() { report.ended(t.Name(), t.Failed()) }()
		c.run()
	})
}

// give gives the statement to a node. answered gets what it ends with; leave closes its client.
func (b *processBench) give(t *testing.T, n *node, detached bool) (answered <-chan error, leave func()) {
	t.Helper()
	client, err := n.Open("root", "", "")
	require.NoError(t, err)
	out := make(chan error, 1)
	go func() {
		_, err := client.ExecContext(t.Context(), b.statement(b.schema, b.location, detached))
		out <- err
	}()
	return out, func() { _ = client.Close() }
}

// target is the database that the job writes.
func (b *processBench) target() string {
	if b.restores {
		return restoredDB(b.schema)
	}
	return b.schema
}

// newestJob is the id of the schema's newest job, 0 if there is none.
func (b *processBench) newestJob(t *testing.T) (id int64) {
	t.Helper()
	require.NoError(t, b.db.QueryRowContext(t.Context(),
		"SELECT COALESCE(MAX(job_id), 0) FROM sluice.job_tables WHERE table_schema = ?", b.target()).Scan(&id))
	return id
}

// node is a Sluice that may be killed and started again.
type node struct {
	*instance.Instance
	log  *follower
	sql  *sqlRelay
	dead bool
}

// startNode starts a Sluice for which everything is small, in front of the cluster's TiDB or those at the addresses.
func (b *processBench) startNode(t *testing.T, tidb ...string) *node {
	t.Helper()
	tidb = append(tidb, b.pg.TiDB)
	n := &node{log: &follower{}, sql: newSQLRelay(t, tidb[0])}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	var err error
	n.Instance, err = instance.Start(ctx, instance.Options{
		TiDB: n.sql.addr, MoreTiDB: tidb[1:max(1, len(tidb)-1)], Top: fmt.Sprintf("instance = \"crash-%d\"\ngraceful-wait = \"0s\"", b.rnd.Uint64()),
		Import: "memory-budget = \"160MiB\"\nthreads = 2\ncheckpoint-bytes = \"32KiB\"", Log: "level = \"debug\"\nformat = \"json\"",
		OnLog: n.log.follow,
	})
	require.NoError(t, err)
	return n
}

// startLimit covers a build with cold caches.
const startLimit = 20 * time.Minute

// close ends a node and removes what it has.
func (n *node) close(t *testing.T) {
	t.Helper()
	if err := n.Close(); !n.dead {
		require.NoError(t, err)
	}
}

package crash_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/tests/playground"
)

// killCase is one job whose Sluice is killed.
type killCase struct {
	*processBench
	*testing.T
	at moment
	// other tells that another process goes on, not the same one, started again; lose that it doesn't
	// have the sort directory.
	other, lose bool
	// detached is a statement that doesn't wait for the job's end.
	detached bool
	// again tells that the process that goes on is killed as well.
	again bool
	// cancelled tells that the job is cancelled before another process can go on.
	cancelled bool

	victim, successor *node
	job               int64
	saved             []int64 // source bytes of the checkpoints that may be the last one
}

func (c *killCase) run() {
	t := c.T
	before := c.newestJob(t)
	c.ready(t)
	held := c.steering()
	c.victim = c.startNode(t)
	c.successor = c.victim
	defer func() {
		nodes := []*node{c.victim}
		if c.successor != c.victim {
			nodes = append(nodes, c.successor)
		}
		for _, n := range nodes {
			if t.Failed() {
				t.Log(n.LogTail(150))
			}
			n.close(t)
		}
	}()
	if c.other && !c.lose { // it is there already when the job loses its process
		c.successor = c.startNode(t)
	}
	c.saved = []int64{0}
	killed := c.firstLife()
	if c.job = c.newestJob(t); c.job == before {
		c.job = 0
	}
	if c.lose && c.needsRuns && c.ingests() {
		c.lose = false // as documented
	}
	c.report(killed)
	c.follow(c.victim)
	if c.lose {
		require.NoError(t, os.RemoveAll(c.victim.SortDir()))
		c.saved = []int64{0}
	}
	if c.cancelled && c.job != 0 && active(c.status(c.job)) {
		c.giveUp(held)
		return
	}
	c.nextLife()
	o := c.outcome(t, c.job)
	require.Equal(t, c.want.rows, o.rows)
	if strings.Contains(o.job.message, "or more rows of the table were replaced") {
		o.job.message = c.want.job.message // documented: who goes on doesn't know how many were replaced before
	}
	require.Equal(t, c.want, o)
	require.Zero(t, o.job.checkpoints)
	c.nothingMoreHeld(held)
	left, err := filepath.Glob(filepath.Join(c.successor.SortDir(), "job-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// giveUp cancels the job while nobody runs it.
func (c *killCase) giveUp(held playground.Steering) {
	t := c.T
	_, err := c.db.ExecContext(t.Context(), "UPDATE sluice.jobs SET cancel_requested = 1 WHERE id = ?", c.job) // what CANCEL does first
	require.NoError(t, err)
	require.True(t, c.startAgain(nil))
	c.waitForEnd(nil)
	require.Equal(t, "cancelled", c.status(c.job))
	c.nothingMoreHeld(held)
	c.noTableReserved(t, c.job)
	if !c.restores {
		return
	}
	report.count(c.name, "given up")
	if !c.onto {
		require.Empty(t, queryAll(t, c.db, "SELECT * FROM information_schema.schemata WHERE schema_name = '"+c.target()+"'"), "what the job had made is dropped")
		return
	}
	c.tryAgain(held)
}

// tryAgain lets a job that was given up be tried again: it goes on behind the rows that stay in tables which were there before it.
func (c *killCase) tryAgain(held playground.Steering) {
	t := c.T
	if message := queryAll(t, c.db, fmt.Sprintf("SELECT message FROM sluice.jobs WHERE id = %d", c.job))[0][0]; !strings.Contains(message, "all that the job has made stays") {
		require.Equal(t, c.found, c.objects(t), "what the job had made is dropped, and nothing else: %s", message)
	}
	client, err := c.successor.Open("root", "", "")
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.ExecContext(t.Context(), fmt.Sprintf("RETRY IMPORT JOB %d", c.job))
	require.NoError(t, err)
	c.waitForEnd(nil)
	o := c.outcome(t, c.job)
	require.Equal(t, c.want.rows, o.rows)
	require.Equal(t, c.want, o)
	c.nothingMoreHeld(held)
}

// steering is what is held in the cluster.
func (c *killCase) steering() playground.Steering {
	s, err := c.pg.Steering(c.T.Context())
	require.NoError(c.T, err)
	return s
}

// nothingMoreHeld waits until no more is held than before: what a dead process has left is undone at the
// next look of another one.
func (c *killCase) nothingMoreHeld(before playground.Steering) {
	require.EventuallyWithT(c.T, func(t *assert.CollectT) {
		now, err := c.pg.Steering(c.T.Context())
		assert.NoError(t, err)
		assert.Equal(t, before, now, "something is left in the cluster")
	}, 5*time.Minute, 50*time.Millisecond)
}

func (c *killCase) status(job int64) (status string) {
	require.NoError(c.T, c.db.QueryRowContext(c.Context(), "SELECT status FROM sluice.jobs WHERE id = ?", job).Scan(&status))
	return status
}

// report counts the kill.
func (c *killCase) report(killed bool) {
	what := []string{"blocking", "with its sort directory", "same process", "at a request to a store"}
	if c.detached {
		what[0] = "detached"
	}
	if c.lose {
		what[1] = "without its sort directory"
	}
	if c.other {
		what[2] = "other process"
	}
	switch place := c.at.place; {
	case place == inLog, place == inSQL:
		what[3] = "at a " + place
	case strings.HasPrefix(place, beforeSQL), strings.HasPrefix(place, behindSQL):
		what[3] = "at a step's statement"
	}
	if !killed {
		what[3] = "after the end"
	}
	report.killed(c.name, what...)
}

// ingests tells whether the job is about to bring its rows into the table.
func (c *killCase) ingests() bool {
	t := c.T
	rows, err := c.db.QueryContext(t.Context(), "SELECT data FROM sluice.checkpoints WHERE job_id = ?", c.job)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var data []byte
		require.NoError(t, rows.Scan(&data))
		state, err := checkpoint.Unmarshal(data)
		require.NoError(t, err)
		return state.Ingest != nil && !state.Ingest.Complete
	}
	require.NoError(t, rows.Err())
	return false
}

// follow reads in the log of a life that is over, or whose job is, from where it went on and what it saved: it
// must go on from the last checkpoint, or from the one before that if it was being saved when its Sluice died.
func (c *killCase) follow(n *node) {
	t := c.T
	if c.restores {
		n.log.takeLines() // tables go on from checkpoints of their own
		return
	}
	began, from := false, int64(0)
	for _, text := range n.log.takeLines() {
		var line struct {
			Message string `json:"msg"`
			Step    string `json:"step"`
			Bytes   int64  `json:"source_bytes"`
		}
		require.NoError(t, json.Unmarshal([]byte(text), &line), text)
		switch {
		case line.Message == "the job goes on from its checkpoint":
			from = line.Bytes
		case line.Message == "import step" && line.Step == "encode" && !began: // and not one of another round
			began = true
			require.Contains(t, c.saved[max(0, len(c.saved)-2):], from, "more is done again than what came behind the last checkpoint")
			c.saved = []int64{from}
		case line.Message == "checkpoint":
			require.True(t, began, "a checkpoint before the job began")
			c.saved = append(c.saved, line.Bytes)
		}
	}
	if began {
		t.Logf("goes on at %d of the source, checkpoints %v", from, c.saved)
	}
}

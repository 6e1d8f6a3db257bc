package crash_test

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"
)

// firstLife runs the statement until its Sluice is killed. It returns false if the moment never came and Sluice
// was killed when the job had ended.
func (c *killCase) firstLife() bool {
	t := c.T
	quit := make(chan struct{})
	hit, wait := c.victim.armFor(t, c.pg, c.at, c.victim.Crash, quit)
	killed := c.statementRuns(hit)
	close(quit)
	wait()
	c.victim.Kill()
	c.victim.disarm()
	c.victim.dead = true
	require.NoError(t, c.pg.ClearFaults(t.Context()))
	return killed
}

// statementRuns makes the job and returns when hit is closed, or false when the job has ended before.
func (c *killCase) statementRuns(hit <-chan struct{}) bool {
	t := c.T
	answered, leave := c.give(t, c.victim, c.detached)
	defer leave()
	ended := func() bool { return false }
	limit, tick := time.NewTimer(waitLimit), time.NewTicker(5*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for waiting := true; ; {
		select {
		case <-hit:
			if waiting {
				<-answered
			}
			return true
		case err := <-answered:
			waiting = false
			select {
			case <-hit:
				return true
			default:
			}
			require.NoError(t, err)
			if !c.detached {
				return false
			}
			job := c.newestJob(t)
			ended = func() bool { return !active(c.status(job)) }
		case <-tick.C:
			if !waiting && ended() {
				return false
			}
		case <-limit.C:
			require.FailNow(t, "the job doesn't end")
		}
	}
}

// waitLimit bounds every wait.
const waitLimit = 10 * time.Minute

func active(status string) bool { return status == "pending" || status == "running" }

// nextLife lets the successor bring the job to its end, whom it may cost a life.
func (c *killCase) nextLife() {
	t := c.T
	at := 0
	if c.again && c.job != 0 {
		at = 1 + c.rnd.IntN(len(c.moments)/2)
	}
	if c.successor == c.victim && c.other {
		c.successor = c.startNode(t)
	}
	hit := c.successor.log.arm(at, c.successor.Crash)
	if c.startAgain(hit) {
		c.repeatLost()
	}
	killed := c.waitForEnd(hit)
	c.successor.log.arm(0, nil) // what it writes behind the job's end counts no more
	select {
	case <-hit: // maybe at its very end
		killed = true
	default:
	}
	if killed {
		<-c.successor.Exited()
		c.successor.dead = true
		report.killed(c.name, "once more")
		c.follow(c.successor)
		c.startAgain(nil)
		c.waitForEnd(nil)
	}
	c.follow(c.successor)
}

// startAgain starts the successor if it was killed. It returns false when it was killed again, for which hit is closed.
func (c *killCase) startAgain(hit <-chan struct{}) bool {
	if !c.successor.dead {
		return true
	}
	ctx, cancel := context.WithTimeout(c.T.Context(), startLimit)
	defer cancel()
	err := c.successor.Restart(ctx)
	select {
	case <-hit:
		return false
	default:
	}
	require.NoError(c.T, err)
	c.successor.dead = false
	return true
}

// repeatLost gives the statement again if its Sluice died before it had accepted the job.
func (c *killCase) repeatLost() {
	if c.job != 0 {
		return
	}
	t := c.T
	answered, leave := c.give(t, c.successor, true)
	defer leave()
	require.NoError(t, <-answered)
	c.job = c.newestJob(t)
}

// waitForEnd returns false when the job has ended, or true when hit is closed before.
func (c *killCase) waitForEnd(hit <-chan struct{}) bool {
	limit, tick := time.NewTimer(waitLimit), time.NewTicker(5*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for {
		select {
		case <-hit:
			return true
		case <-tick.C:
			if !active(c.status(c.job)) {
				return false
			}
		case <-limit.C:
			require.FailNow(c.T, "the job doesn't end")
		}
	}
}

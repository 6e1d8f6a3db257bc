package executor

import (
	"sync"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
)

// counted brings what the core counts of one job into the metrics: it is shown the counts from
// time to time and adds what is new. So the core's hot paths know nothing of metrics.
type counted struct {
	metrics *metrics
	mu      struct {
		sync.Mutex
		taken bool
		last  importcore.Progress // of the present plan
		came  importcore.Step     // the job has come to the end of the steps before
		// top is what was counted for Lightning's names, for which a job counts once, whatever is done again.
		top struct{ source, rows, pairs, ingested, files, running int64 }
	}
}

// begin is called before a plan runs.
func (c *counted) begin(p *importcore.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.last = importcore.Progress{}
	if !c.mu.taken && p.SourceTotal > 0 {
		c.mu.taken = true
		c.metrics.lightning.taken(p)
	}
}

// add counts what is new.
func (c *counted) add(p *importcore.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(p.Steps) == 0 {
		return
	}
	last, m := &c.mu.last, c.metrics
	for i := range p.Steps {
		s, was := &p.Steps[i], importcore.StepProgress{}
		if i < len(last.Steps) {
			was = last.Steps[i]
		}
		name := s.Step.String()
		m.stepSeconds.WithLabelValues(name).Add(max(s.Took-was.Took, 0).Seconds())
		m.stepCPU.WithLabelValues(name).Add(max(s.CPU-was.CPU, 0).Seconds())
		m.stepBytes.WithLabelValues(name).Add(float64(max(s.Did-was.Did, 0)))
		m.stepRows.WithLabelValues(name).Add(float64(max(s.Rows-was.Rows, 0)))
	}
	before := waitsOf(&last.Waits)
	for i, w := range waitsOf(&p.Waits) {
		m.waits.WithLabelValues(waitsFor[i]).Add(max(w-before[i], 0).Seconds())
	}
	m.slowdowns.Add(float64(max(p.Slowdowns-last.Slowdowns, 0)))
	m.heldBack.set(c, p.HeldBack)
	m.spilled.Add(float64(max(p.SpilledBytes-last.SpilledBytes, 0)))
	c.addLightning(p)
	*last = *p
}

// addLightning counts under Lightning's names; the lock is held.
func (c *counted) addLightning(p *importcore.Progress) {
	l, top := c.metrics.lightning, &c.mu.top
	grow := func(now int64, was *int64) float64 {
		d := max(now-*was, 0)
		*was = max(*was, now)
		return float64(d)
	}
	l.bytes.WithLabelValues(stateRestored).Add(grow(p.SourceBytes, &top.source))
	l.bytes.WithLabelValues("written").Add(grow(p.PairBytes, &top.pairs))
	l.bytes.WithLabelValues("imported").Add(grow(p.IngestedBytes, &top.ingested))
	l.rows.WithLabelValues(stateRestored).Add(grow(p.Rows, &top.rows))
	l.chunks.WithLabelValues("finished").Add(grow(p.FilesRead, &top.files))
	running := p.FilesRead
	if p.Step == importcore.StepEncode {
		running = min(p.FilesRead+1, p.Files)
	}
	l.chunks.WithLabelValues("running").Add(grow(running, &top.running))
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Step < p.Step && s.Step > c.mu.came {
			c.mu.came = s.Step
			if s.Took > 0 || s.Size == 0 {
				l.came(s.Step, s.Took.Seconds())
			}
		}
	}
}

// ended counts a job that has come to its end here.
func (c *counted) ended(status job.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.taken {
		c.metrics.lightning.ended(status, &c.mu.last)
	}
}

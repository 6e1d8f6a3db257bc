package restore

import (
	"sync"
	"time"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/logical"
)

// The steps of a restore.
const (
	stepPrepare = "prepare"
	stepSchema  = "schema"
	stepData    = "data"
	stepViews   = "views"
	stepSystem  = "system"
	stepCompact = "compact"
	stepDone    = "done"
)

// Progress is where a restore is.
type Progress struct {
	// Step is prepare, schema, data, views, system (only with system tables), compact (only if that is asked for) or done.
	Step string
	// Steps are those between, in order.
	Steps []StepProgress
	// TablesDone of Tables have all their rows.
	Tables, TablesDone int
	// SourceBytes of SourceTotal bytes of data files have been read, with Rows rows.
	SourceBytes, SourceTotal, Rows int64
	// Counted is what the imports of all tables have counted in this run, for metrics.
	Counted importcore.Progress
}

// StepProgress is where a step is.
type StepProgress struct {
	Name string
	// Done of Size objects, or bytes of the source.
	Done, Size int64
	Bytes      bool
	// Took is of this run of the job.
	Took time.Duration
}

// progress counts.
type progress struct {
	mu    sync.Mutex
	step  string
	began time.Time
	steps []StepProgress
	// tables, and done, rows and bytes of those that are done.
	tables, done, rows, bytes, total int64
	running                          map[*importcore.Plan]bool
	// counted is that of imports that are over in this run.
	counted importcore.Progress
	// under are tables whose rows go in by SQL at the moment.
	under map[*counting]bool
}

// init is called once the plan's state is known.
func (g *progress) init(p *Plan) {
	g.step, g.running, g.under = stepPrepare, map[*importcore.Plan]bool{}, map[*counting]bool{}
	schemas := len(p.databases) + len(p.sequences) + len(p.tables)
	g.tables = int64(len(p.tables))
	for _, t := range p.tables {
		g.total += t.bytes
		if t.state.Done {
			g.done, g.rows, g.bytes = g.done+1, g.rows+t.state.Rows, g.bytes+t.bytes
		}
	}
	g.steps = []StepProgress{{Name: stepSchema, Size: int64(schemas)}, {Name: stepData, Size: g.total, Bytes: true}, {Name: stepViews, Size: int64(len(p.views))}}
	if p.system != nil {
		g.steps = append(g.steps, StepProgress{Name: stepSystem, Size: 1})
	}
	if p.task.Options.Compact {
		g.steps = append(g.steps, StepProgress{Name: stepCompact, Size: 1})
	}
}

// enter moves the job to a step.
func (g *progress) enter(step string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop()
	if s := g.at(g.step); s != nil {
		s.Done = s.Size
	}
	g.step, g.began = step, time.Now()
}

// stop adds the time since the step began to it.
func (g *progress) stop() {
	if s := g.at(g.step); s != nil {
		s.Took += time.Since(g.began)
		g.began = time.Now()
	}
}

func (g *progress) at(step string) *StepProgress {
	for i := range g.steps {
		if g.steps[i].Name == step {
			return &g.steps[i]
		}
	}
	return nil
}

// did counts objects of a step, "" for the present one.
func (g *progress) did(step string, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if step == "" {
		step = g.step
	}
	if s := g.at(step); s != nil {
		s.Done = min(s.Done+n, s.Size)
	}
}

// run counts an import until over is called.
func (g *progress) run(plan *importcore.Plan) (over func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running[plan] = true
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.running, plan)
		p := plan.Progress()
		add(&g.counted, &p)
	}
}

// counting is a table whose rows go in by SQL. The progress' lock guards it.
type counting struct {
	progress    *progress
	total       int64 // bytes of its files
	bytes, rows int64
}

// count counts a table until its end is called.
func (g *progress) count(total int64) *counting {
	c := &counting{progress: g, total: total}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.under[c] = true
	return c
}

// begin takes what earlier runs have brought in, add what a batch does.
func (c *counting) begin(n logical.Counts) {
	c.progress.mu.Lock()
	defer c.progress.mu.Unlock()
	c.bytes, c.rows = n.Bytes, n.Rows-n.Ignored
}

func (c *counting) add(n logical.Counts) {
	g := c.progress
	g.mu.Lock()
	defer g.mu.Unlock()
	c.bytes, c.rows = c.bytes+n.Bytes, c.rows+n.Rows-n.Ignored
	g.counted.SourceBytes, g.counted.Rows = g.counted.SourceBytes+n.Bytes, g.counted.Rows+n.Rows-n.Ignored
}

func (c *counting) end() {
	c.progress.mu.Lock()
	defer c.progress.mu.Unlock()
	delete(c.progress.under, c)
}

// tableDone counts a table whose rows are all there.
func (g *progress) tableDone(bytes, rows int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done, g.rows, g.bytes = g.done+1, g.rows+rows, g.bytes+bytes
}

// sent counts files of an archive whose pairs are in the cluster.
func (g *progress) sent(bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bytes += bytes
}

// Progress returns where the restore is. It may be called at any time and from any goroutine.
func (p *Plan) Progress() Progress {
	g := &p.progress
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop()
	out := Progress{Step: g.step, Tables: int(g.tables), TablesDone: int(g.done), SourceBytes: g.bytes, SourceTotal: g.total, Rows: g.rows, Counted: g.counted}
	for plan := range g.running {
		now := plan.Progress()
		add(&out.Counted, &now)
		out.SourceBytes, out.Rows = out.SourceBytes+now.SourceBytes, out.Rows+now.Rows
	}
	for c := range g.under {
		out.SourceBytes, out.Rows = out.SourceBytes+min(c.bytes, c.total), out.Rows+c.rows
	}
	out.SourceBytes = min(out.SourceBytes, out.SourceTotal)
	out.Steps = append(out.Steps, g.steps...)
	out.Steps[1].Done = max(out.Steps[1].Done, out.SourceBytes)
	return out
}

// add adds what an import has counted to what others have.
func add(to, p *importcore.Progress) {
	to.SourceBytes += p.SourceBytes
	to.SourceTotal += p.SourceTotal
	to.Rows += p.Rows
	to.Files += p.Files
	to.FilesRead += p.FilesRead
	to.PairBytes += p.PairBytes
	to.IngestedBytes += p.IngestedBytes
	to.SpilledBytes += p.SpilledBytes
	to.Waits.Source += p.Waits.Source
	to.Waits.Memory += p.Waits.Memory
	to.Waits.Disk += p.Waits.Disk
	to.Waits.Store += p.Waits.Store
	to.Waits.Limit += p.Waits.Limit
	to.Waits.Backoff += p.Waits.Backoff
	to.Slowdowns += p.Slowdowns
	to.HeldBack = max(to.HeldBack, p.HeldBack)
	if len(to.Steps) == 0 {
		to.Steps = make([]importcore.StepProgress, 0, len(p.Steps))
		for _, s := range p.Steps {
			to.Steps = append(to.Steps, importcore.StepProgress{Step: s.Step, Tail: s.Tail, Blind: s.Blind})
		}
	}
	for i := range to.Steps {
		if i < len(p.Steps) {
			s, o := &to.Steps[i], &p.Steps[i]
			s.Done, s.Size, s.Did, s.Rows = s.Done+o.Done, s.Size+o.Size, s.Did+o.Did, s.Rows+o.Rows
			s.Took, s.CPU = s.Took+o.Took, s.CPU+o.CPU
		}
	}
}

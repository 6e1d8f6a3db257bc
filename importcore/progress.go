package importcore

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// progress is what the steps count while they run: per block, batch or part, never
// per row. Numbers only grow, but for the rows of a job that failed and what is
// encoded when a source is read again.
type progress struct {
	sourceBytes, sourceTotal, rows atomic.Int64
	files, filesRead, lostRows     atomic.Int64
	// madePairs and madeBytes are of the keys and values that encoding made, without row numbers. allPairs and
	// allBytes are of those that are to be ingested, once known says so.
	madePairs, madeBytes atomic.Int64
	allPairs, allBytes   atomic.Int64
	known                atomic.Bool
	spilled              atomic.Int64
	sorted               atomic.Pointer[sortkv.Sorted] // in the step sort
	looked               atomic.Int64                  // permille of the step conflicts
	// sent bytes of pairs were given to the stores, the last ones at allSent (nanoseconds since 1970); ingested ones are
	// in the cluster for good. underWay are at most between the two.
	sent, allSent, ingested, underWay atomic.Int64
	round, roundsBytes                atomic.Int64  // see Progress.Round; bytes of the pairs of rounds that are over
	tableBytes                        atomic.Int64  // that the table had before
	writeSpeed                        atomic.Uint64 // what max_write_speed allows the cluster, in bytes per second; 0 is no limit

	// Nanoseconds that goroutines waited.
	sourceWait, restWait   atomic.Int64
	memoryWait, sorterWait atomic.Int64 // of the sorters of rounds that are over
	sorter                 atomic.Pointer[sortkv.Sorter]
	ingestWaits            ingest.Waits

	mu struct {
		sync.Mutex
		clock
		shape
	}
}

// shape is which steps the job has, and what decides about their sizes.
type shape struct {
	numbered, checksum bool
	memory             int64 // bytes of runs that stay in memory
	checkpoints        due
	thumb              float64                                         // bytes of pairs for a byte of source, as long as nothing is encoded
	before             struct{ source, rows, ingested, spilled int64 } // what runs before this one have done
}

// clock is how long the steps took.
type clock struct {
	step  Step
	began time.Time
	cpu   time.Duration // of the process, when the step began
	jobs  int64         // imports of this process that had begun by then
	alone bool          // no other was running
	// ingestEnd is until when the ingest has gone on, if it has begun.
	ingestEnd time.Time
	took      [StepDone + 1]time.Duration
	cpuTook   [StepDone + 1]time.Duration
}

// resume counts what a checkpoint has.
func (p *progress) resume(rows, source, files int64, made kv.Checksum, spilled int64) {
	p.rows.Store(rows)
	p.sourceBytes.Store(source)
	p.filesRead.Store(files)
	p.madePairs.Store(int64(made.Pairs))
	p.madeBytes.Store(int64(made.Bytes))
	p.mu.Lock()
	p.spilled.Store(spilled)
	p.mu.before.source, p.mu.before.rows, p.mu.before.spilled = source, rows, spilled
	p.mu.Unlock()
}

// settle notes what is to be ingested, exactly: all of it, or what has been so far and the present round's.
func (p *progress) settle(pairs, bytes int64, all bool) {
	p.allPairs.Store(pairs)
	p.allBytes.Store(bytes)
	p.known.Store(all)
}

// step is the one that the job is at.
func (p *progress) step() Step {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.clock.step
}

// enter moves the clock to a step and says what the one before it took. If no other import ran in
// this process during that one, its CPU time is known.
func (p *progress) enter(s Step, load *load) (took, cpu time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.mu.clock
	took, cpu = c.stop(load)
	jobs, running := load.now()
	c.step, c.began, c.cpu, c.jobs, c.alone = s, time.Now(), cpuTime(), jobs, running == 1
	return took, cpu
}

// halt stops the clock of a job that stops where it is.
func (p *progress) halt(load *load) (took, cpu time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.clock.stop(load)
}

// stop ends the present step's time.
func (c *clock) stop(load *load) (took, cpu time.Duration) {
	if c.began.IsZero() {
		return 0, 0
	}
	now := time.Now()
	took = now.Sub(c.began)
	c.took[c.step] += took
	c.began = time.Time{}
	if c.step == StepIngest {
		c.ingestEnd = now
	}
	if jobs, _ := load.now(); c.alone && c.jobs == jobs {
		cpu = cpuTime() - c.cpu
		c.cpuTook[c.step] += cpu
	}
	return took, cpu
}

// load counts the imports of a process.
type load struct{ begun, running atomic.Int64 }

func (l *load) now() (begun, running int64) { return l.begun.Load(), l.running.Load() }

// enter counts an import until leave.
func (l *load) enter() (leave func()) {
	l.begun.Add(1)
	l.running.Add(1)
	return func() { l.running.Add(-1) }
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Progress returns where the import is. It may be called at any time and from
// any goroutine.
func (p *Plan) Progress() Progress {
	g := &p.progress
	out := Progress{
		SourceBytes: g.sourceBytes.Load(), SourceTotal: g.sourceTotal.Load(), Rows: g.rows.Load(),
		Files: g.files.Load(), FilesRead: g.filesRead.Load(),
		PairBytes: g.madeBytes.Load(), IngestedBytes: g.ingested.Load(), Round: g.round.Load(),
		Waits: Waits{
			Source: time.Duration(g.sourceWait.Load()), Memory: time.Duration(g.memoryWait.Load()), Disk: time.Duration(g.restWait.Load() + g.sorterWait.Load()),
			Store: g.ingestWaits.Store.Load(), Limit: g.ingestWaits.Limit.Load(), Backoff: g.ingestWaits.Backoff.Load(),
		},
	}
	if s := g.sorter.Load(); s != nil {
		memory, disk := s.Waits()
		out.Waits.Memory, out.Waits.Disk = out.Waits.Memory+memory, out.Waits.Disk+disk
	}
	out.Slowdowns, out.HeldBack = p.held.now()
	g.mu.Lock()
	c, shape := g.mu.clock, g.mu.shape
	g.mu.Unlock()
	out.SpilledBytes = max(g.spilled.Load()-shape.before.spilled, 0)
	out.Step = c.step
	if !c.began.IsZero() && c.step != StepDone {
		now := time.Now()
		c.took[c.step] += now.Sub(c.began)
		if c.step == StepIngest {
			c.ingestEnd = now
		}
	}
	out.Steps = g.steps(&c, &shape)
	return out
}

// steps returns all steps with what is known of them.
func (p *progress) steps(c *clock, s *shape) []StepProgress {
	source, total := p.sourceBytes.Load(), p.sourceTotal.Load()
	bytes := p.expectPairs(source, total, s)
	sort, conflicts, checksum := int64(0), int64(0), int64(0)
	if !s.numbered && p.expectRuns(source, total, bytes, c, s) {
		sort = bytes
	}
	if s.numbered {
		conflicts = bytes
	}
	if s.checksum {
		checksum = bytes + p.tableBytes.Load()
	}
	speed := float64(p.writeSpeed.Load())
	if pairs := p.madePairs.Load(); speed > 0 && pairs > 0 {
		// The limit is for messages, in which a pair has a frame.
		made := float64(max(p.madeBytes.Load(), 1))
		speed *= made / (made + float64(pairs*ingest.PairFrame))
	}
	rest := min(p.underWay.Load(), bytes)
	steps := []StepProgress{
		{Step: StepEncode, Done: source, Size: total},
		{Step: StepSort, Done: p.merged(sort, c), Size: sort},
		{Step: StepConflicts, Done: conflicts / 1000 * p.looked.Load(), Size: conflicts},
		{Step: StepIngest, Done: p.sent.Load(), Size: bytes, MaxSpeed: speed},
		{Step: StepIngest, Tail: true, Size: rest, Blind: true},
		{Step: StepChecksum, Size: checksum, Blind: true},
		{Step: StepAnalyze, Size: bytes + p.tableBytes.Load(), Blind: true},
	}
	for i := range steps {
		o := &steps[i]
		o.Took, o.CPU = p.tookOf(o, c), c.cpuTook[o.Step]
		if o.Tail {
			o.CPU = 0 // counted already
		}
		if o.Step < c.step && (p.round.Load() == 0 || c.step > StepIngest) { // with rounds the job comes back to it
			o.Done = o.Size
		}
		o.Done = min(o.Done, o.Size)
		p.did(o, c, s)
	}
	return steps
}

// tookOf returns how long this run was at a step. The time of the ingest is divided at the moment when all was sent.
func (p *progress) tookOf(o *StepProgress, c *clock) time.Duration {
	took := c.took[o.Step]
	if o.Step != StepIngest || took == 0 {
		return took
	}
	tail := time.Duration(0)
	if at := p.allSent.Load(); at > 0 {
		tail = min(max(c.ingestEnd.Sub(time.Unix(0, at)), 0), took)
	}
	if o.Tail {
		return tail
	}
	return took - tail
}

// tellSent counts what was given to the stores.
func (p *progress) tellSent(bytes int64) {
	if p.sent.Add(bytes) == p.allBytes.Load() && p.known.Load() {
		p.allSent.Store(time.Now().UnixNano())
	}
}

// did says what this run of the job has done of a step.
func (p *progress) did(o *StepProgress, c *clock, s *shape) {
	switch {
	case o.Took == 0, o.Tail: // a run before has done it, or the step that it belongs to
		return
	case o.Step == StepEncode:
		o.Did, o.Rows = p.sourceBytes.Load()-s.before.source, p.rows.Load()-s.before.rows
		return
	case o.Step == StepIngest:
		o.Did = p.sent.Load() - s.before.ingested
	default:
		o.Did = o.Done
	}
	if o.Step < c.step {
		o.Rows = p.rows.Load() - p.lostRows.Load()
	}
}

// expectPairs returns the size of the pairs: what the source has given so far tells of the rest.
func (p *progress) expectPairs(source, total int64, s *shape) int64 {
	if p.known.Load() {
		return p.allBytes.Load()
	}
	made := p.madeBytes.Load()
	if source == 0 || made == 0 {
		return int64(s.thumb * float64(total))
	}
	return int64(float64(made) / float64(source) * float64(total))
}

// expectRuns tells whether not all pairs stay in memory until they are ingested.
func (p *progress) expectRuns(source, total, bytes int64, c *clock, s *shape) bool {
	if c.step > StepEncode {
		return p.spilled.Load() > 0
	}
	if p.spilled.Load() > 0 || runShare*float64(bytes) > float64(s.memory) {
		return true
	}
	// A checkpoint brings them to the disk.
	next, did, all := &s.checkpoints, source-s.before.source, total-s.before.source
	switch {
	case next.never:
		return false
	case all > next.limit:
		return true
	case did <= 0:
		return false
	}
	return float64(c.took[StepEncode])/float64(did)*float64(all) > float64(next.interval)
}

// merged is how much of the sorted pairs' bytes the search for duplicates has seen.
func (p *progress) merged(size int64, c *clock) int64 {
	sorted, pairs := p.sorted.Load(), p.madePairs.Load()
	if sorted == nil || pairs == 0 {
		return 0
	}
	if p.round.Load() > 0 {
		over, made := p.roundsBytes.Load(), p.madeBytes.Load()
		switch {
		case c.step < StepSort:
			return over
		case c.step > StepSort:
			return made
		}
		return over + min(int64(float64(made)/float64(pairs)*float64(sorted.Compared())), made-over)
	}
	return int64(float64(size) * min(float64(sorted.Compared())/float64(pairs), 1))
}

package forecast

import (
	"math"
	"time"

	"github.com/sluicedb/sluice/executor/job"
)

// Step is what is known of a step of a job at a moment.
type Step struct {
	// Name is the same in all jobs.
	Name string
	// Done of Size bytes, whatever the step counts. Size is an expectation before the step begins;
	// with 0 there is nothing to do.
	Done, Size int64
	// ObjectsDone of Objects are what takes its time however few bytes it has, such as the tables of a restore.
	ObjectsDone, Objects int64
	// Took is for how long this run of the job has been at the step.
	Took time.Duration
	// MaxSpeed is what a limit lets the step do, in bytes per second; 0 is no limit.
	MaxSpeed float64
	// Blind tells that Done says nothing before the step's end.
	Blind bool
}

// objectBytes are as many bytes as take as long as an object: by default about 20 ms.
const objectBytes = 1 << 20

// weighed returns the step with its objects as bytes.
func (s Step) weighed() Step {
	s.Done, s.Size = s.Done+s.ObjectsDone*objectBytes, s.Size+s.Objects*objectBytes
	return s
}

// Reading is what a job shows at a moment.
type Reading struct {
	// Percent of the job and of the step, 0 to 100; they never fall, that of a step as
	// long as the job is at it.
	Percent, StepPercent float64
	// Left is the expected rest of the job and of the step, 0 if nothing is known.
	Left, StepLeft time.Duration
	// StepSpeed is what the step does, in bytes per second, and Whole what the job takes from its
	// beginning to its end; 0 if that is not known.
	StepSpeed float64
	Whole     time.Duration
}

const (
	// window is the time over which a step's speed is measured, in seconds, at least; it grows with the
	// step, because what went evenly for long goes on so.
	window       = 30
	windowShare  = 0.5
	measuredFrom = 1 // seconds after which a speed counts
	gapShare     = 0.3
	// pastLeast is how many seconds earlier runs of the job must have been at a step to say anything of its speed.
	pastLeast = 5
	// pastLimit bounds, in seconds, what the speed of earlier runs of the job counts; it counts
	// for less with each second of this one.
	pastLimit = 10
	// slack is how far the percentage may stand still before it goes on at another pace.
	slack = 0.5
	// most is the percentage of a job that has not ended.
	most = 99.9
)

// Model follows one job. It is used by one goroutine at a time.
type Model struct {
	costs   Costs
	spent   []job.Spent // by runs that are over, in the order of the steps
	percent float64
	// base is where the percentage's present way began.
	base struct{ percent, elapsed float64 }
	run  run
	// known tells that something better than assumptions was known before.
	known bool
}

// run is the present run of the job.
type run struct {
	steps []Step
	at    int
	step  measured
}

// measured is the step that is under way.
type measured struct {
	name    string
	begun   bool
	done    int64   // at the last reading
	took    float64 // likewise
	moved   bool    // something was done, and so the clock runs
	since   float64 // Took when the clock began to run
	num     float64 // bytes, older ones count less
	den     float64 // seconds in which they were done, likewise
	wait    float64 // seconds since something was done last
	gap     float64 // seconds between two times at which something was done, usually
	percent float64
	base    struct {
		percent float64
		done    int64
	}
}

// New returns the model of a job that has done what spent says and shown a percentage.
func New(costs Costs, spent []job.Spent, percent float64) *Model {
	m := &Model{costs: costs, spent: append([]job.Spent(nil), spent...), percent: percent}
	return m
}

// Restart begins another run of the job in the same process. Its steps count their time from zero.
func (m *Model) Restart() {
	m.spent = m.Spent()
	m.run = run{}
}

// Percent is what was shown last.
func (m *Model) Percent() float64 { return m.percent }

// Spent returns what all runs of the job have put into its steps so far.
func (m *Model) Spent() []job.Spent {
	out := append([]job.Spent(nil), m.spent...)
	for _, s := range m.run.steps {
		if s.Took == 0 {
			continue
		}
		add(&out, job.Spent{Step: s.Name, Seconds: s.Took.Seconds(), Bytes: s.Done, Limited: s.MaxSpeed > 0})
	}
	for i := range out {
		switch {
		case !m.run.step.begun:
		case out[i].Step == m.run.step.name:
			out[i].Percent = m.run.step.percent
		default: // a step that the job comes to once more begins anew
			out[i].Percent = 0
		}
	}
	return out
}

// add adds to what was spent on a step. What is done of it is as much as any run has found or left.
func add(list *[]job.Spent, s job.Spent) {
	for i := range *list {
		if o := &(*list)[i]; o.Step == s.Step {
			o.Seconds += s.Seconds
			o.Bytes = max(o.Bytes, s.Bytes)
			o.Limited = o.Limited || s.Limited
			return
		}
	}
	*list = append(*list, s)
}

// past returns what runs that are over have put into a step.
func (m *Model) past(step string) job.Spent {
	for _, s := range m.spent {
		if s.Step == step {
			return s
		}
	}
	return job.Spent{}
}

// Read takes in how far the steps are, of which number at is under way, and returns what
// there is to show.
func (m *Model) Read(at int, steps []Step) Reading {
	bytes := steps[at].Size
	m.run.steps, m.run.at = m.run.steps[:0], at
	for _, s := range steps {
		m.run.steps = append(m.run.steps, s.weighed())
	}
	steps = m.run.steps
	s := &steps[at]
	m.measure(s)
	left, known := m.rest(s)
	m.known = m.known || known
	r := Reading{StepSpeed: m.run.step.speed(), StepPercent: m.run.step.share(s)}
	if s.Size > 0 {
		r.StepSpeed *= float64(bytes) / float64(s.Size)
	}
	if known && s.Size > 0 {
		r.StepLeft = duration(left)
	}
	for i := range steps {
		if i != at { // also of those before: a job that does steps in turn comes to them again
			left += m.expect(&steps[i])
		}
	}
	elapsed := 0.0
	for _, s := range m.Spent() {
		elapsed += s.Seconds
	}
	if m.known {
		m.advance(elapsed, left)
		r.Left, r.Whole = duration(left), duration(elapsed+left)
	}
	r.Percent = m.percent
	return r
}

// duration is at least a second: 0 would mean that nothing is known.
func duration(seconds float64) time.Duration {
	return max(time.Duration(math.Min(seconds, 1e9)*float64(time.Second)), time.Second)
}

// measure notes what the step has done since the last reading.
func (m *Model) measure(s *Step) {
	c := &m.run.step
	took := s.Took.Seconds()
	if !c.begun || c.name != s.Name {
		*c = measured{name: s.Name, begun: true, done: s.Done, took: took}
		if p := m.past(s.Name); p.Percent > 0 {
			c.percent, c.base.percent, c.base.done = p.Percent, p.Percent, s.Done
		}
		return
	}
	did, passed := s.Done-c.done, took-c.took
	c.done, c.took = s.Done, took
	if did < 0 { // it was begun again
		c.base.percent, c.base.done = c.percent, s.Done
		did = 0
	}
	if !c.moved {
		// What comes before the first bytes is no measure of speed, and neither are they.
		c.moved, c.since = did > 0, took
		return
	}
	c.wait += passed
	if did == 0 {
		return
	}
	old := math.Exp(-c.wait / max(window, windowShare*(took-c.since)))
	c.num, c.den = c.num*old+float64(did), c.den*old+c.wait
	if c.gap == 0 {
		c.gap = c.wait
	}
	c.gap += gapShare * (c.wait - c.gap)
	c.wait = 0
}

// pace returns how many bytes the step does in how many seconds. Large pieces come seldom: a wait counts only
// when it is longer than usual.
func (c *measured) pace() (bytes, seconds float64) {
	if c.gap == 0 {
		return 0, 0
	}
	return c.num, c.den + max(c.wait-c.gap, 0)
}

// speed returns what the step does per second, 0 if that is not known yet.
func (c *measured) speed() float64 {
	num, den := c.pace()
	if den < measuredFrom || num <= 0 {
		return 0
	}
	return num / den
}

// share returns the step's percentage.
func (c *measured) share(s *Step) float64 {
	if s.Size > c.base.done && !s.Blind {
		share := float64(s.Done-c.base.done) / float64(s.Size-c.base.done)
		c.percent = max(c.percent, c.base.percent+(100-c.base.percent)*min(share, 1))
	}
	return c.percent
}

// rest returns how many seconds the step under way will still take. known tells
// whether that is more than an assumption.
func (m *Model) rest(s *Step) (seconds float64, known bool) {
	if s.Size <= 0 {
		return 0, true
	}
	expected := m.expect(s)
	if s.Blind {
		whole := expected
		took := s.Took.Seconds()
		return max(whole-took, 0.1*max(whole, took)), true
	}
	todo := max(float64(s.Size-s.Done), 0)
	least := 0.0
	if s.MaxSpeed > 0 {
		least = todo / s.MaxSpeed
	}
	num, den := m.run.step.pace()
	past := m.past(s.Name)
	if past.Seconds >= pastLeast && past.Bytes > 0 {
		counts := max(min(past.Seconds, pastLimit)-den, 0)
		num, den = num+counts*float64(past.Bytes)/past.Seconds, den+counts
	}
	if den >= measuredFrom && num > 0 {
		// What is under way is not told yet.
		under := min(m.run.step.wait, m.run.step.gap) * num / den
		return max((todo-min(under, 0.9*todo))*den/num, least), true
	}
	// A part of what is expected has passed, but nothing shows how large it is.
	return max(expected-s.Took.Seconds(), 0.8*expected, least), m.costs.of(s.Name).learned || s.MaxSpeed > 0
}

// expect returns how many seconds a step takes that comes, or comes again.
func (m *Model) expect(s *Step) float64 {
	todo := s.Size - s.Done
	if todo <= 0 {
		return 0
	}
	seconds := m.costs.of(s.Name).of(todo)
	if s.MaxSpeed > 0 {
		seconds = max(seconds, float64(todo)/s.MaxSpeed)
	}
	return seconds
}

// advance moves the percentage.
func (m *Model) advance(elapsed, left float64) {
	at := func() float64 {
		passed := max(elapsed-m.base.elapsed, 0)
		if passed == 0 {
			return m.base.percent
		}
		return m.base.percent + (100-m.base.percent)*passed/(passed+left)
	}
	percent := at()
	if percent < m.percent-slack {
		m.base.percent, m.base.elapsed = m.percent, elapsed
		percent = at()
	}
	m.percent = max(m.percent, min(percent, most))
}

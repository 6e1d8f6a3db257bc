package forecast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// part is a step of a made-up job, with what it really takes.
type part struct {
	name    string
	size    int64
	seconds float64
	dead    float64 // seconds of these before the first byte
	blind   bool
	limit   float64 // bytes per second
	lump    int64   // bytes come in pieces of this size; 0 is evenly
	// guess is what the size seems to be before the job knows it, as a factor; 0 is 1.
	guess float64
}

// world is a made-up job under way. It has no clock but its own.
type world struct {
	parts []part
	at    int
	took  []float64 // in this run
	done  []float64 // seconds of work that count
	rnd   *rand.Rand
}

func newWorld(parts []part) *world {
	return &world{parts: parts, took: make([]float64, len(parts)), done: make([]float64, len(parts)), rnd: rand.New(rand.NewPCG(1, 2))}
}

// pass lets time pass; false when the job has come to its end.
func (w *world) pass(seconds float64) bool {
	for seconds > 0 && w.at < len(w.parts) {
		step := min(seconds, w.parts[w.at].seconds-w.done[w.at])
		w.took[w.at] += step
		w.done[w.at] += step
		seconds -= step
		if w.done[w.at] >= w.parts[w.at].seconds-1e-9 {
			w.at++
		}
	}
	return w.at < len(w.parts)
}

// restart begins another run from where fraction says of the present step.
func (w *world) restart(step int, share float64) {
	for i := step; i < len(w.parts); i++ {
		w.done[i] = 0
	}
	w.at, w.done[step] = step, share*w.parts[step].seconds
	clear(w.took)
	for i := range w.parts {
		w.parts[i].guess = 0 // the first run has shown it
	}
}

// left is the true rest.
func (w *world) left() float64 {
	sum := 0.0
	for i, p := range w.parts {
		sum += p.seconds - w.done[i]
	}
	return sum
}

func (w *world) steps() []Step {
	var out []Step
	for i, p := range w.parts {
		size := p.size
		if i > w.at && p.guess > 0 && w.at == 0 {
			// What encoding has shown so far makes the guess better.
			share := min(w.done[0]/w.parts[0].seconds*10, 1)
			size = int64(float64(size) * (p.guess + (1-p.guess)*share))
		}
		s := Step{Name: p.name, Size: size, Took: time.Duration(w.took[i] * 1e9), MaxSpeed: p.limit, Blind: p.blind}
		switch {
		case i < w.at || w.done[i] >= p.seconds:
			s.Done = size
		case !p.blind && w.done[i] > p.dead:
			s.Done = int64(float64(size) * (w.done[i] - p.dead) / (p.seconds - p.dead))
			if p.lump > 0 {
				s.Done -= s.Done % p.lump
			}
		}
		out = append(out, s)
	}
	return out
}

// of returns the job's finished record.
func (w *world) record() []job.Spent {
	var out []job.Spent
	for i, p := range w.parts {
		if p.seconds > 0 {
			out = append(out, job.Spent{Step: p.name, Seconds: w.took[i], Bytes: p.size, Limited: p.limit > 0})
		}
	}
	return out
}

// shapes are kinds of jobs, each at its size times scale.
func shapes(scale float64) map[string][]part {
	of := func(parts ...part) []part {
		for i := range parts {
			p := &parts[i]
			p.size = int64(float64(p.size) * scale)
			p.seconds = p.dead + (p.seconds-p.dead)*scale
		}
		return parts
	}
	return map[string][]part{
		"encode-heavy": of(part{name: "encode", size: 2 * gib, seconds: 100, dead: 0.1, lump: 4 * mib}, part{name: "ingest", size: 3 * gib, seconds: 15, dead: 1},
			part{name: "checksum", size: 3 * gib, seconds: 2, blind: true}, part{name: "analyze", size: 3 * gib, seconds: 1, blind: true}),
		"ingest-heavy": of(part{name: "encode", size: gib, seconds: 9}, part{name: "ingest", size: 2 * gib, seconds: 70, dead: 2, guess: 0.7, lump: 16 * mib},
			part{name: "checksum", size: 2 * gib, seconds: 6, blind: true}, part{name: "analyze", size: 2 * gib, seconds: 8, blind: true}),
		"limited": of(part{name: "encode", size: gib, seconds: 9}, part{name: "ingest", size: 2 * gib, seconds: 102.4, limit: 20 * mib, guess: 1.5},
			part{name: "checksum", size: 2 * gib, seconds: 6, blind: true}, part{name: "analyze", size: 2 * gib, seconds: 4, blind: true}),
		"spill": of(part{name: "encode", size: 5 * gib, seconds: 60}, part{name: "sort", size: 9 * gib, seconds: 25}, part{name: "ingest", size: 9 * gib, seconds: 50, dead: 1},
			part{name: "checksum", size: 9 * gib, seconds: 10, blind: true}, part{name: "analyze", size: 9 * gib, seconds: 10, blind: true}),
		"conflicts": of(part{name: "encode", size: 2 * gib, seconds: 40}, part{name: "conflicts", size: 4 * gib, seconds: 35, lump: 512 * mib},
			part{name: "ingest", size: 4 * gib, seconds: 50, dead: 1}, part{name: "checksum", size: 4 * gib, seconds: 5, blind: true}),
		"checksum long": of(part{name: "encode", size: gib, seconds: 20}, part{name: "ingest", size: 2 * gib, seconds: 30},
			part{name: "checksum", size: 8 * gib, seconds: 45, blind: true}, part{name: "analyze", size: 2 * gib, seconds: 10, blind: true}),
		"encode alone": of(part{name: "encode", size: gib, seconds: 60, lump: mib}, part{name: "ingest"}, part{name: "checksum", blind: true}),
	}
}

// learned are the costs that smaller and larger jobs of the same kind have shown.
func learned(name string) Costs {
	var jobs [][]job.Spent
	for _, scale := range []float64{0.001, 0.05, 0.3, 2.5} {
		w := newWorld(shapes(scale)[name])
		w.pass(math.MaxFloat64)
		jobs = append(jobs, w.record())
	}
	return Learn(jobs)
}

// follow runs a job to its end, looking each second, and returns the largest part by
// which the expected total was wrong, from 10 % on. look is called after each reading; it may be nil.
func follow(t *testing.T, w *world, m *Model, look func(r Reading)) (worst float64) {
	t.Helper()
	last := m.Percent()
	for {
		r := m.Read(w.at, w.steps())
		require.GreaterOrEqual(t, r.Percent, last)
		require.Less(t, r.Percent, 100.0)
		last = r.Percent
		elapsed := 0.0
		for _, s := range m.Spent() {
			elapsed += s.Seconds
		}
		if total := elapsed + w.left(); r.Percent >= 10 {
			require.NotZero(t, r.Left)
			// An expected rest is at least a second.
			worst = max(worst, math.Abs(elapsed+r.Left.Seconds()-max(total, elapsed+1))/total)
		}
		if look != nil {
			look(r)
		}
		if !w.pass(1) {
			return worst
		}
	}
}

// TestSteadyJobs: with what jobs before have shown, the expected end is right within a fifth from 10 % on.
func TestSteadyJobs(t *testing.T) {
	t.Parallel()
	for name, parts := range shapes(1) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, passed, total := newWorld(parts), 0.0, 0.0
			for _, p := range parts {
				total += p.seconds
			}
			m := New(learned(name), nil, 0)
			worst := follow(t, w, m, func(r Reading) {
				if r.Percent >= 10 {
					require.InDelta(t, 100*passed/total, r.Percent, 20, "after %v s", passed)
				}
				passed++
			})
			require.LessOrEqual(t, worst, 0.2)
			t.Logf("largest deviation %.3f", worst)
			require.Greater(t, m.Percent(), 90.0)
		})
	}
}

// TestFirstJob: without any job before, the step that is under way is expected right, and the
// percentage neither falls nor comes to its end early.
func TestFirstJob(t *testing.T) {
	t.Parallel()
	for name, parts := range shapes(1) {
		w := newWorld(parts)
		follow(t, w, New(Costs{}, nil, 0), func(r Reading) {
			p := &parts[w.at]
			lump := p.seconds * float64(p.lump) / float64(max(p.size, 1))
			if rest := p.seconds - w.done[w.at]; !p.blind && w.took[w.at] > p.dead+5+3*lump && rest > 3 {
				require.InEpsilon(t, rest, r.StepLeft.Seconds(), 0.25, "%s: %s after %v s", name, p.name, w.took[w.at])
				require.NotZero(t, r.StepSpeed)
			}
		})
	}
}

// TestRunsOfOneJob: another run of a job goes on with percentages where they were, after a pause, after a
// loss, and when all is done again from the source's beginning.
func TestRunsOfOneJob(t *testing.T) {
	t.Parallel()
	type again struct {
		step  int
		share float64
	}
	for name, parts := range shapes(1) {
		for at, stop := range map[float64]again{0.05: {0, 0.05}, 0.2: {0, 0}, 0.35: {0, 0.1}, 0.6: {0, 0}, 0.8: {1, 0.5}} {
			w, total := newWorld(parts), 0.0
			for _, p := range parts {
				total += p.seconds
			}
			costs := learned(name)
			m := New(costs, nil, 0)
			var before Reading
			for passed := 0.0; passed < at*total; passed++ {
				before = m.Read(w.at, w.steps())
				w.pass(1)
			}
			was, spent := w.at, m.Spent()
			if name == "encode alone" || stop.step > was {
				stop.step = 0
			}
			w.restart(stop.step, stop.share)
			next := New(costs, spent, m.Percent())
			first := true
			worst := follow(t, w, next, func(r Reading) {
				if first {
					require.InDelta(t, before.Percent, r.Percent, 1, "%s at %v", name, at)
					if stop.step == was {
						require.GreaterOrEqual(t, r.StepPercent, before.StepPercent)
					}
				}
				first = false
			})
			require.LessOrEqual(t, worst, 0.2, "%s stopped at %v", name, at)
		}
	}
}

// TestPercentGoesOnAfterALoss: it doesn't stand still until what was lost is done again.
func TestPercentGoesOnAfterALoss(t *testing.T) {
	t.Parallel()
	parts := shapes(1)["encode-heavy"]
	w, m := newWorld(parts), New(learned("encode-heavy"), nil, 0)
	for range 60 {
		m.Read(w.at, w.steps())
		w.pass(1)
	}
	at := m.Percent()
	w.restart(0, 0)
	m.Restart()
	for range 20 {
		m.Read(w.at, w.steps())
		w.pass(1)
	}
	// 118 seconds lie ahead, of which 20 have passed.
	require.InDelta(t, at+(100-at)*20/118, m.Percent(), 3)
}

// TestStepPercent never falls while the job is at the step, although its size grows and it is begun again.
func TestStepPercent(t *testing.T) {
	t.Parallel()
	m := New(Costs{}, nil, 0)
	read := func(seconds, done, size int64) float64 {
		return m.Read(0, []Step{{Name: "encode", Done: done, Size: size, Took: time.Duration(seconds) * time.Second}}).StepPercent
	}
	require.InDelta(t, 0, read(0, 0, 100), 0)
	require.InDelta(t, 40, read(1, 40, 100), 1e-9)
	require.InDelta(t, 40, read(2, 50, 200), 1e-9, "it has become larger")
	require.InDelta(t, 45, read(3, 90, 200), 1e-9)
	require.InDelta(t, 45, read(4, 0, 200), 1e-9, "begun again")
	require.InDelta(t, 72.5, read(5, 100, 200), 1e-9)
	require.InDelta(t, 100, read(6, 200, 200), 1e-9)
	next := New(Costs{}, m.Spent(), m.Percent())
	m = next
	require.InDelta(t, 100, read(0, 150, 200), 1e-9, "in another process")
}

// TestSpeedChanges: a new pace is noticed, and one of earlier runs is forgotten.
func TestSpeedChanges(t *testing.T) {
	t.Parallel()
	m := New(Costs{}, []job.Spent{{Step: "ingest", Seconds: 100, Bytes: 100 * mib}}, 30)
	done, r := int64(100*mib), Reading{}
	for s := range 40 {
		r = m.Read(0, []Step{{Name: "ingest", Done: done, Size: gib, Took: time.Duration(s) * time.Second}})
		if s == 0 {
			require.InDelta(t, float64(gib-100*mib)/mib, r.StepLeft.Seconds(), 1, "as it went before")
			require.Zero(t, r.StepSpeed)
		}
		done += 10 * mib
	}
	require.InEpsilon(t, 10*mib, r.StepSpeed, 0.01)
	require.InEpsilon(t, float64(gib-(done-10*mib))/(10*mib), r.StepLeft.Seconds(), 0.05)
	for s := range 90 {
		r = m.Read(0, []Step{{Name: "ingest", Done: done, Size: gib, Took: time.Duration(40+s) * time.Second}})
		done += mib
	}
	require.InEpsilon(t, mib, r.StepSpeed, 0.5)
}

// TestNothingIsKnownAtFirst: no end is told and no percentage moves on assumptions alone.
func TestNothingIsKnownAtFirst(t *testing.T) {
	t.Parallel()
	w, m := newWorld(shapes(1)["ingest-heavy"]), New(Costs{}, nil, 0)
	require.Equal(t, Reading{}, m.Read(0, w.steps()))
	w.pass(0.5)
	require.Zero(t, m.Read(0, w.steps()).Left)
	require.Zero(t, m.Percent())
}

// TestLearn: a fixed time and a time for each byte are told apart, whatever the sizes; limited jobs teach nothing.
func TestLearn(t *testing.T) {
	t.Parallel()
	of := func(fixed, speed float64, sizes ...int64) (jobs [][]job.Spent) {
		for _, n := range sizes {
			jobs = append(jobs, []job.Spent{{Step: "ingest", Seconds: fixed + float64(n)/speed, Bytes: n}})
		}
		return jobs
	}
	require.InEpsilon(t, 2+50.0, Learn(of(2, 20*mib, 10*mib, 200*mib, 3*gib)).of("ingest").of(1000*mib), 0.05)
	require.InEpsilon(t, 50, Learn(of(0, 20*mib, 500*mib)).of("ingest").of(1000*mib), 0.1, "one is enough")
	tiny := Learn(of(0.4, 20*mib, 1000, 2000, 1500)).of("ingest")
	require.InEpsilon(t, 0.4+gib/defaults["ingest"], tiny.of(gib), 0.2, "small ones say nothing of large ones")
	require.InEpsilon(t, 0.4, tiny.of(3000), 0.1)
	limited := [][]job.Spent{{{Step: "ingest", Seconds: 1000, Bytes: mib, Limited: true}}}
	require.Equal(t, Costs{}.of("ingest"), Learn(limited).of("ingest"))
	require.InEpsilon(t, 1/otherSpeed, Costs{}.of("restore").perByte, 1e-9)
}

// TestStepsInTurn: a job that does two steps in turn, part by part, is expected to come to the first one again.
func TestStepsInTurn(t *testing.T) {
	t.Parallel()
	left := func(encoded int64) time.Duration {
		m := New(Costs{}, nil, 0)
		var r Reading
		for s := range int64(20) {
			r = m.Read(1, []Step{
				{Name: "encode", Done: encoded, Size: gib, Took: 100 * time.Second},
				{Name: "ingest", Done: s * mib, Size: gib, Took: time.Duration(s) * time.Second},
			})
		}
		return r.Left
	}
	require.Greater(t, left(gib/4), left(gib/2))
	require.Greater(t, left(gib/2), left(gib)+time.Second)
}

// TestObjects: what takes its time by number, as the small tables of a restore, is neither done at once nor told as bytes.
func TestObjects(t *testing.T) {
	t.Parallel()
	const objects, bytes = 10_000, 20 * mib
	m := New(Costs{}, nil, 0)
	at := func(step, second int) Reading {
		schema := Step{Name: "schema", Objects: objects, ObjectsDone: min(int64(second)*40, objects), Took: time.Duration(second) * time.Second}
		data := Step{Name: "data", Size: bytes, Objects: objects}
		if step == 1 {
			schema.ObjectsDone, schema.Took = objects, objects/40*time.Second
			data.Done, data.ObjectsDone, data.Took = bytes, min(int64(second)*20, objects), time.Duration(second)*time.Second // all read at once
		}
		return m.Read(step, []Step{schema, data})
	}
	var r Reading
	for s := range 126 {
		r = at(0, s)
	}
	require.InDelta(t, 50, r.StepPercent, 1)
	require.InDelta(t, 125, r.StepLeft.Seconds(), 5)
	require.Zero(t, r.StepSpeed, "it has no bytes")
	require.InDelta(t, 30, r.Percent, 10, "250 of 750 seconds in truth, and of about 450 as it looks")
	for s := range 251 {
		r = at(1, s)
	}
	require.InDelta(t, 50, r.StepPercent, 1)
	require.InDelta(t, 250, r.StepLeft.Seconds(), 10)
	require.InDelta(t, 67, r.Percent, 15, "what was shown doesn't fall")
	require.Less(t, r.StepSpeed, float64(bytes)/250*2)
}

package executor

import (
	"sync"
	"time"

	"github.com/sluicedb/sluice/executor/job"
)

// weights are the shares that the stages usually have of a job's time. They turn
// the progress of a stage into that of the job.
var weights = [stages]float64{StageEncode: 0.60, StageIngest: 0.36, StageVerify: 0.04}

// speedWindow is the time over which speeds are measured.
const speedWindow = 30 * time.Second

// meter turns what a plan tells from time to time into a job's progress, with
// speeds and expectations. The percentage never falls, also not when a job that
// another process began goes on from an earlier place.
type meter struct {
	mu      sync.Mutex
	percent float64
	stage   Stage
	samples []sample      // of the stage, oldest first
	whole   time.Duration // what the job would take from beginning to end; 0 = not known
}

type sample struct {
	at   time.Time
	done int64
}

// read is called with what the plan tells at a time.
func (m *meter) read(now time.Time, p Progress) job.Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := p.Rows
	out := job.Progress{Phase: p.Phase, Step: p.Step, Rows: &rows}
	out.Total.Size = p.SourceBytes
	share := 0.0 // of the stage
	if p.Size > 0 {
		share = min(float64(p.Done)/float64(p.Size), 1)
		// All sizes are told in bytes of the source.
		out.Current.Size = p.SourceBytes
		out.Current.Done = int64(share * float64(p.SourceBytes))
	}
	before, after := 0.0, 0.0
	for s, w := range weights {
		switch {
		case Stage(s) < p.Stage:
			before += w
		case Stage(s) > p.Stage:
			after += w
		}
	}
	m.percent = max(m.percent, min(100*(before+share*weights[p.Stage]), 100))
	out.Percent = m.percent
	out.Total.Done = int64(m.percent / 100 * float64(p.SourceBytes))

	elapsed, done := m.measure(now, p.Stage, out.Current.Done)
	left := time.Duration(0)
	if done > 0 && elapsed > 0 {
		speed := float64(done) / elapsed.Seconds()
		out.Current.Speed = int64(speed)
		left = time.Duration(float64(out.Current.Size-out.Current.Done) / speed * float64(time.Second))
		out.Current.Left = left
		m.whole = time.Duration(float64(out.Current.Size) / speed / weights[p.Stage] * float64(time.Second))
	} else if m.whole > 0 {
		left = time.Duration((1-share)*weights[p.Stage]*float64(m.whole)) - elapsed
	}
	if m.whole > 0 {
		out.Total.Left = max(left+time.Duration(after*float64(m.whole)), time.Second)
		out.Total.Speed = int64(float64(p.SourceBytes) / m.whole.Seconds())
	}
	return out
}

// measure returns how much was done in how long, lately.
func (m *meter) measure(now time.Time, stage Stage, done int64) (time.Duration, int64) {
	if stage != m.stage || len(m.samples) > 0 && done < m.samples[len(m.samples)-1].done {
		m.stage, m.samples = stage, nil
	}
	if n := len(m.samples); n == 0 || now.Sub(m.samples[n-1].at) >= progressInterval/2 {
		m.samples = append(m.samples, sample{now, done})
	}
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= speedWindow {
		m.samples = m.samples[1:]
	}
	return now.Sub(m.samples[0].at), done - m.samples[0].done
}

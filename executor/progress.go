package executor

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/forecast"
	"github.com/sluicedb/sluice/executor/job"
)

// meter turns what a plan tells from time to time into a job's progress.
type meter struct {
	mu    sync.Mutex
	model *forecast.Model
	// last is what read returned last, or what the job's row had.
	last job.Progress
}

// newMeter goes on with what a job's row has.
func newMeter(costs forecast.Costs, p job.Progress) *meter {
	p.Current.Speed, p.Current.Left, p.Total.Speed, p.Total.Left = 0, 0, 0, 0
	return &meter{model: forecast.New(costs, p.Spent, p.Percent), last: p}
}

// begin is called before another plan of the job runs in this process.
func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.model.Restart()
}

// shown returns what was read last.
func (m *meter) shown() job.Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// read is called with what the plan tells at a moment.
func (m *meter) read(p Progress) job.Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := p.Rows
	out := job.Progress{Phase: p.Phase, Step: p.Step, Rows: &rows, Percent: m.model.Percent(), Spent: m.last.Spent}
	out.Total.Size = p.SourceBytes
	if p.At >= 0 {
		now, step := m.model.Read(p.At, p.Steps), &p.Steps[p.At]
		switch {
		case step.Name != p.Step && p.At > 0: // the end of a step
			s := &p.Steps[p.At-1]
			out.Current = job.Meter{Done: s.Done, Size: s.Size, Percent: 100}
		case !step.Blind:
			out.Current = job.Meter{Done: step.Done, Size: step.Size, Percent: now.StepPercent, Speed: int64(now.StepSpeed)}
		}
		out.Current.Left, out.Total.Left = now.StepLeft, now.Left
		if now.Whole > 0 {
			out.Total.Speed = int64(float64(p.SourceBytes) / now.Whole.Seconds())
		}
		out.Percent, out.Spent = now.Percent, m.model.Spent()
	}
	out.Total.Done = int64(out.Percent / 100 * float64(p.SourceBytes))
	m.last = out
	return out
}

// finished is what a job shows whose plan has come to its end: of speeds the one of the whole job stays.
func (m *meter) finished(p Progress) job.Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.At < 0 && len(p.Steps) > 0 {
		// The last step's time was not read yet.
		m.model.Read(len(p.Steps)-1, p.Steps)
	}
	out := job.Progress{Percent: 100, Spent: m.model.Spent(), Total: job.Meter{Done: p.SourceBytes, Size: p.SourceBytes}}
	seconds := 0.0
	for i := range out.Spent {
		out.Spent[i].Percent = 100
		seconds += out.Spent[i].Seconds
	}
	if seconds > 0 {
		out.Total.Speed = int64(float64(p.SourceBytes) / seconds)
	}
	return out
}

// learnFrom is how many of the last finished jobs say what steps take.
const learnFrom = 32

// learn makes the job's meter with what jobs before have shown.
func (r *runner) learn(ctx context.Context) {
	jobs, err := r.store.Finished(ctx, learnFrom)
	if err != nil {
		r.log.Warn("what jobs before took is not to be had, so the expected end is only an assumption at first", zap.Error(err))
		return
	}
	m := newMeter(forecast.Learn(jobs), r.record.Progress)
	r.mu.Lock()
	r.mu.meter = m
	r.mu.Unlock()
}

// progress is what is known of the job.
func (r *runner) progress() job.Progress {
	r.mu.Lock()
	plan, claimed, m := r.mu.plan, r.mu.claimed, r.mu.meter
	r.mu.Unlock()
	switch {
	case plan != nil:
		p := plan.Progress()
		r.counted.add(&p.Counted)
		return m.read(p)
	case claimed:
		p := m.shown()
		p.Phase = job.PhaseImporting
		return p
	default:
		return r.record.Progress
	}
}

// live overlays a row of this process's job with what it knows better than the
// row. Percentages are the row's: what was shown once must not fall when this process dies.
func (e *Executor) live(j *job.Job) {
	e.mu.Lock()
	r := e.mu.jobs[j.ID]
	e.mu.Unlock()
	if r == nil || j.Status != job.Running || j.Lease != r.record.Lease {
		return
	}
	kept := j.Progress
	j.Progress = r.progress()
	j.Percent, j.Total.Done = kept.Percent, kept.Total.Done
	if j.Step == kept.Step {
		j.Current.Percent = kept.Current.Percent
	} else {
		j.Current.Percent = 0
	}
}

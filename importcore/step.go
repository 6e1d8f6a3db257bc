package importcore

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/ingest"
)

// enter moves the job to a step and tells of it, and of the one that has ended.
func (r *run) enter(s Step) {
	before := r.plan.Progress()
	took, cpu := r.plan.progress.enter(s, &r.core.load)
	if before.Step != StepPrepare {
		r.tellStep(took, cpu, &before)
	}
	next := stepOf(before.Steps, s)
	r.log.Info("import step", zap.Stringer("step", s), zap.Int64("expected_bytes", next.Size))
	r.events(Event{JobID: r.plan.Task.JobID, Time: time.Now(), Step: s})
}

// leave ends the clock of a job that stops where it is.
func (r *run) leave() {
	before := r.plan.Progress()
	took, cpu := r.plan.progress.halt(&r.core.load)
	if before.Step != StepPrepare && before.Step != StepDone {
		r.tellStep(took, cpu, &before)
	}
}

// tellStep logs what a step took. Waits are those since the step before it.
func (r *run) tellStep(took, cpu time.Duration, p *Progress) {
	fields := []zap.Field{zap.Stringer("step", p.Step), zap.Duration("took", took)}
	if s := stepOf(p.Steps, p.Step); !s.Blind {
		did := s.Did - r.told[p.Step] // with rounds the job comes to a step again
		r.told[p.Step] = s.Did
		fields = append(fields, zap.Int64("bytes", did), zap.Int64("bytes_per_second", int64(float64(did)/max(took.Seconds(), 1e-6))))
	}
	fields = append(fields, zap.Int64("rows", p.Rows))
	if cpu > 0 {
		fields = append(fields, zap.Duration("cpu", cpu))
	}
	w, b := p.Waits, r.waited
	for _, wait := range []struct {
		name string
		d    time.Duration
	}{
		{"waited_for_source", w.Source - b.Source}, {"waited_for_memory", w.Memory - b.Memory}, {"waited_for_disk", w.Disk - b.Disk},
		{"waited_for_stores", w.Store - b.Store}, {"waited_for_limit", w.Limit - b.Limit}, {"waited_after_errors", w.Backoff - b.Backoff},
	} {
		if wait.d > 0 {
			fields = append(fields, zap.Duration(wait.name, wait.d))
		}
	}
	r.waited = w
	r.log.Info("import step ended", fields...)
}

func stepOf(steps []StepProgress, s Step) (found StepProgress) {
	for i := range steps {
		if steps[i].Step == s && !steps[i].Tail {
			found = steps[i]
		}
	}
	return found
}

// shape says which steps the job has.
func (r *run) shape() {
	p, memory := r.plan, r.plan.splitMemory(r.plan.Task.MemoryBudget)
	p.progress.mu.Lock()
	defer p.progress.mu.Unlock()
	before := p.progress.mu.before
	before.ingested = p.progress.sent.Load()
	p.progress.mu.shape = shape{
		numbered: p.numbered(), checksum: p.Task.Checksum != ChecksumOff, memory: memory.fits(p.Task.Threads),
		checkpoints: r.newDue(), thumb: thumb(p.encoding.PairsPerRow() - 1), before: before,
	}
}

// usualRegion is the size of regions, in bytes, as long as the cluster hasn't been asked.
const usualRegion = 96 << 20

// speedPatience bounds the questions of allowedSpeed: a job can do without the answers.
const speedPatience = 500 * time.Millisecond

// allowedSpeed finds out what max_write_speed, which is for one store, lets the cluster take.
func (r *run) allowedSpeed(ctx context.Context) {
	limit := float64(r.plan.Task.MaxWriteSpeed)
	if limit <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, speedPatience)
	defer cancel()
	spread := 1.0 // a pair goes to this part of the stores
	replicas, err := r.core.cluster.MaxReplicas(ctx)
	if err == nil {
		usage, err := r.core.cluster.Usage(ctx)
		if n := storesOf(usage); err == nil && n > 0 {
			spread = float64(min(replicas, n)) / float64(n)
		}
	}
	r.plan.progress.writeSpeed.Store(uint64(limit / spread))
}

// observer is what the ingest tells of its pieces.
func (r *run) observer() ingest.Observer {
	if r.plan.Task.Observer == nil {
		return nil
	}
	return ingestObserver{r.plan.Task.Observer}
}

type ingestObserver struct{ to Observer }

// Retried implements ingest.Observer.
func (ingestObserver) Retried(ingest.Kind, ingest.Stage) {}

// Ingested implements ingest.Observer.
func (ingestObserver) Ingested(int64, int64, time.Duration) {}

// Took implements ingest.Observer.
func (o ingestObserver) Took(stage ingest.Stage, took time.Duration) { o.to.Stored(stage, took) }

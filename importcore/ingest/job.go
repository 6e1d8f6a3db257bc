package ingest

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/fault"
)

// job brings one range into the cluster. One goroutine runs it.
type job struct {
	*runner
	rng  Range
	from *Download // the files that the range's pairs come from; nil: from src

	cursor []byte        // raw; everything before it is ingested
	told   []byte        // raw; Options.Done knows everything before it
	region region.Region // set by StageScan, holds the cursor
	sst    *sst          // set by StageWrite, nil when there was nothing to write
	sent   int64         // bytes behind the cursor that Options.Sent knows of

	tries   int // errors in a row without an ingested SST
	repeats int // errors in a row in StageIngest
}

// run is the machine's loop. It returns nil when all pairs of the range are in
// the cluster or the run is to stop, ctx's error when that ended, and else a *fault.Error.
func (j *job) run(ctx context.Context) error {
	j.cursor, j.told = j.rng.Start, j.rng.Start
	stage := StageScan
	for stage != StageDone {
		if stage != StageIngest && j.stopping() {
			return nil
		}
		began := time.Now()
		f := j.step(ctx, stage)
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if f == nil {
			j.observe(stage, time.Since(began))
			if stage = j.advance(stage); stage == StageDone {
				j.tell(j.rng.End, 0, 0)
				j.completed.Add(1)
				if j.from != nil {
					j.opts.Sent(j.from.bytes())
				}
			}
			continue
		}
		next, err := j.handle(ctx, stage, f)
		if err != nil {
			return err
		}
		stage = next
	}
	return nil
}

// observe tells of a stage that went well.
func (j *job) observe(stage Stage, took time.Duration) {
	if j.opts.Observer != nil && (stage == StageWrite && j.sst != nil || stage == StageIngest) {
		j.opts.Observer.Took(stage, took)
	}
}

func (j *job) step(ctx context.Context, stage Stage) *failure {
	switch stage {
	case StageScan:
		return j.scan(ctx)
	case StageWrite:
		if j.from != nil {
			return j.download(ctx)
		}
		return j.write(ctx)
	default:
		return j.ingest(ctx)
	}
}

// scan runs StageScan.
func (j *job) scan(ctx context.Context) *failure {
	key := region.Enc(j.cursor)
	regions, err := j.cluster.ScanRegions(ctx, key, successor(key))
	if err != nil {
		return &failure{kind: KindLookup, cause: err}
	}
	if len(regions) == 0 || !regions[0].Contains(key) {
		return fail(KindLookup, 0, "no region holds key %x", j.cursor)
	}
	j.region = regions[0]
	return nil
}

// advance returns the stage that follows a stage without an error.
func (j *job) advance(stage Stage) Stage {
	switch {
	case stage == StageScan:
		return StageWrite
	case stage == StageWrite && j.sst != nil:
		return StageIngest
	case stage == StageIngest:
		j.commit()
	}
	switch {
	case bytes.Compare(j.cursor, j.rng.End) >= 0:
		return StageDone
	case j.region.Contains(region.Enc(j.cursor)):
		return StageWrite
	default:
		return StageScan
	}
}

// commit counts the SST that the leader has taken and moves the cursor.
func (j *job) commit() {
	s := j.sst
	j.sst, j.cursor, j.region = nil, s.next, s.region
	j.tries, j.repeats = 0, 0
	j.tellSent(s.bytes)
	j.sent -= s.bytes
	j.ingested(s)
	j.tell(s.next, s.pairs, s.bytes)
}

// tellSent says that so many bytes behind the cursor were given to the stores.
func (j *job) tellSent(bytes int64) {
	if bytes > j.sent {
		j.opts.Sent(bytes - j.sent)
		j.sent = bytes
	}
}

// tell says what has become of the range up to a key.
func (j *job) tell(end []byte, pairs, bytesIn int64) {
	if j.opts.Done != nil && bytes.Compare(j.told, end) < 0 {
		j.opts.Done(j.told, end, pairs, bytesIn)
	}
	j.told = end
}

// handle decides what follows an error, waits and returns the next stage, or
// the error that ends the run.
func (j *job) handle(ctx context.Context, stage Stage, f *failure) (Stage, error) {
	if stage == StageIngest {
		j.repeats++
	} else {
		j.repeats = 0
	}
	fresh, known := f.holding(region.Enc(j.cursor))
	next := react(stage, f.kind, known, j.repeats)
	if next == StageFail || j.tries >= j.opts.Backoff.Tries {
		return 0, j.giveUp(stage, f)
	}
	if known && next == StageWrite {
		j.region = fresh
	}
	if next != StageIngest {
		j.sst = nil
		j.repeats = 0
	}
	j.retried(f.kind, next)
	wait := j.opts.Backoff.delay(j.tries, f.wait)
	j.tries++
	j.opts.Logger.Warn("ingest: error in a region",
		zap.Stringer("stage", stage), zap.Stringer("kind", f.kind), zap.Stringer("next", next),
		zap.Uint64("region", j.regionID()), zap.Uint64("store", f.store),
		zap.Int("try", j.tries), zap.Duration("wait", wait), zap.Error(f.cause))
	paused := time.Now()
	err := sleep(ctx, wait)
	j.opts.Waits.Backoff.since(paused)
	if err != nil {
		return 0, context.Cause(ctx)
	}
	return next, nil
}

func (j *job) regionID() uint64 {
	if j.region.Meta == nil {
		return 0
	}
	return j.region.ID()
}

// codeCantAccess and codeCantRead are TiDB's ErrLoadDataCantAccess and ErrLoadDataCantRead.
const (
	codeCantAccess = 8159
	codeCantRead   = 8160
)

// giveUp builds the error that ends the run. A fault that the source has
// already classified keeps its owner and code.
func (j *job) giveUp(stage Stage, f *failure) error {
	what := fmt.Sprintf("cannot %s the range [%x, %x) at key %x in region %d on store %d, %s after %d retries",
		stage, j.rng.Start, j.rng.End, j.cursor, j.regionID(), f.store, f.kind, j.tries)
	if fault.As(f.cause) != nil {
		return fmt.Errorf("%s: %w", what, f.cause)
	}
	cause, code := f.cause, uint16(0)
	switch {
	case f.kind == KindDamaged:
		code = codeCantRead
	case f.kind == KindDenied:
		code = codeCantAccess
	case f.kind == KindDiskFull:
		cause = fmt.Errorf("%w: %w", fault.ErrStoreFull, cause)
	case f.passes():
		cause = fault.Retryable(cause)
	}
	return fault.Wrap(cause, f.whose(), code, "%s", what)
}

// ingested and retried add to the run's statistics and tell the observers.
func (r *runner) ingested(s *sst) {
	r.stats.Lock()
	r.stats.sum.Pairs += s.pairs
	r.stats.sum.Bytes += s.bytes
	r.stats.sum.SSTs++
	r.stats.regions[s.region.ID()] = struct{}{}
	r.stats.Unlock()
	if r.opts.Observer != nil {
		r.opts.Observer.Ingested(s.pairs, s.bytes, time.Since(s.began))
	}
}

func (r *runner) retried(kind Kind, next Stage) {
	r.stats.Lock()
	r.stats.sum.Retries[kind]++
	r.stats.Unlock()
	if r.opts.Observer != nil {
		r.opts.Observer.Retried(kind, next)
	}
}

package importcore

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
)

// What is done again after an interruption, at most, unless configured otherwise.
const (
	DefaultCheckpointBytes    = 1 << 30
	DefaultCheckpointInterval = time.Minute
)

// # Checkpoints of an import
//
// While the source is encoded, the goroutine that cuts it into blocks stops between two
// blocks from time to time, lets the workers finish what they have, and has the sorter
// bring what is in memory to its directory. What is then saved says: all pairs of the
// rows before this place are in these runs. A source that is smaller than what may be done
// again is never written to disk for that.
//
// Before the first pair is sent it is saved which pairs these are (their sum) and which
// timestamp they get; while they are sent, which key ranges are in the cluster for good.
// What was under way is sent again with the same timestamp, which changes nothing.
//
// The state is saved before anything that depends on it being known happens, and
// nothing that a saved state names is removed before the next one is saved.

// due tells when the next checkpoint while encoding is: at half of what may be done again. Encoding
// goes on while it is saved, and waits at the next one, if it isn't saved until then.
type due struct {
	never    bool
	limit    int64
	interval time.Duration
	bytes    int64 // of source since the last one
	last     time.Time
}

func (r *run) newDue() due {
	d := due{never: !r.durable() || r.together, limit: r.core.cfg.CheckpointBytes / 2, interval: r.core.cfg.CheckpointInterval / 2, last: time.Now()}
	if r.plan.SourceBytes <= r.core.cfg.CheckpointBytes {
		d.limit = r.plan.SourceBytes
	}
	return d
}

// before reports whether to make a checkpoint before so many further bytes: they would be too
// many, it is time, or the job is to pause.
func (d *due) before(next int, pausing <-chan struct{}) bool {
	if d.never {
		return false
	}
	return closed(pausing) || d.bytes > 0 && (d.bytes+int64(next) > d.limit || time.Since(d.last) >= d.interval)
}

func (d *due) reset() { d.bytes, d.last = 0, time.Now() }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// durable tells whether the job can go on after this process.
func (r *run) durable() bool { return r.plan.Task.Checkpoints != nil }

// save makes the present state the one that the job goes on from.
func (r *run) save(ctx context.Context) error {
	data, err := r.saved.Marshal()
	if err != nil {
		return err
	}
	return r.plan.Task.Checkpoints.Save(ctx, data)
}

// forget makes the job, should it be run again, begin from its start.
func (r *run) forget(ctx context.Context) error {
	if !r.durable() {
		return nil
	}
	return r.plan.Task.Checkpoints.Save(ctx, nil)
}

// mayForget tells whether a job that has ended without success may begin anew. One that has left rows
// in the table would bring them in twice: it can only go on from its checkpoint.
func (r *run) mayForget() bool { return r.settled || !r.sent.Load() }

// mustSaveEncoded tells whether the pairs have to be on disk before the first one
// is sent, because encoding the rest of the source again would not do.
func (r *run) mustSaveEncoded() bool { return r.durable() && r.saved.Ingest == nil && r.needsRuns() }

// needsRuns tells whether, once pairs were sent, the job can't go on without its
// runs: the source would give others, or the table, which had rows, can't be asked again
// which of the source's collide with them.
func (r *run) needsRuns() bool { return r.drawn || r.plan.filled }

// encodedSaver makes the checkpoints of the encode step. What takes long, bringing
// files to the disk, goes on beside the encoding.
type encodedSaver struct {
	run   *run
	ctx   context.Context // of the step, which outlives the workers'
	tally *tally
	// saving is nil, or gets the outcome of the checkpoint that is being saved.
	saving chan error
}

// wait returns when no checkpoint is being saved any more.
func (s *encodedSaver) wait() error {
	if s.saving == nil {
		return nil
	}
	err := <-s.saving
	s.saving = nil
	return err
}

// begin notes that all rows before next are encoded. No worker may have anything in
// hand until it returns; wait says when it is saved.
func (s *encodedSaver) begin(ctx context.Context, next checkpoint.Place) error {
	if err := s.wait(); err != nil {
		return err
	}
	r := s.run
	e := checkpoint.Encoded{
		Dir: r.dir.path, Next: next, IDs: s.tally.maxIDs(),
		Rows: r.plan.progress.rows.Load(), SourceBytes: r.plan.progress.sourceBytes.Load(),
	}
	e.Warnings, e.Warned = s.tally.warningsSoFar()
	runs, err := r.sorter.Checkpoint(ctx)
	if err != nil {
		if isDuplicateKey(err) {
			return nil // the job fails, only bad rows come first
		}
		return err
	}
	e.Runs = runs
	var syncBlocks func() error
	if e.Blocks, syncBlocks, err = r.blocks.flush(); err != nil {
		return err
	}
	if r.bad != nil {
		if e.Bad, err = r.bad.Progress(ctx); err != nil {
			return err
		}
	}
	r.plan.progress.spilled.Store(r.spilledBefore() + e.Runs.Spilled())
	s.saving = make(chan error, 1)
	go func() { s.saving <- fault.Contain(func() error { return s.save(e, syncBlocks) })() }()
	return nil
}

// save saves what begin has noted once it is on the disk.
func (s *encodedSaver) save(e checkpoint.Encoded, syncBlocks func() error) error {
	r := s.run
	if err := errors.Join(r.sorter.Sync(s.ctx, e.Runs), syncBlocks()); err != nil {
		return err
	}
	if err := r.dir.keep(r.core.cluster.ID()); err != nil {
		return err
	}
	r.saved.Encoded = e
	r.log.Info("checkpoint", zap.Int64("rows", e.Rows), zap.Int64("source_bytes", e.SourceBytes), zap.Int("runs", len(e.Runs.Runs)))
	return r.save(s.ctx)
}

// saveBegin notes, before the first pair is sent, what is going to be sent: pairs with this sum.
func (r *run) saveBegin(ctx context.Context, sum kv.Checksum) (err error) {
	r.noteBegin(sum)
	if !r.durable() {
		return nil
	}
	if r.plan.filled {
		// What collides isn't looked for again, so what was recorded of it stays.
		if r.bad != nil {
			if r.saved.Encoded.Bad, err = r.bad.Progress(ctx); err != nil {
				return err
			}
		}
		if err := r.resolved.Lost.WriteFile(r.lostFile()); err != nil {
			return err
		}
	}
	return r.save(ctx)
}

// noteBegin is saveBegin without the saving.
func (r *run) noteBegin(sum kv.Checksum) {
	r.saved.Ingest = &checkpoint.Ingest{
		CommitTS: r.committed.ts, Alone: r.committed.alone, Used: encode.MaxIDs(r.committed.used), IDs: encode.MaxIDs(r.ids),
		Sum: sum, End: r.end, Before: r.before, Verifiable: !r.unverified,
		Rows: r.summary.Rows, LostRows: r.summary.LostRows, DeletedRows: r.summary.DeletedRows,
		Warnings: r.summary.Warnings,
	}
	if r.bad != nil {
		r.saved.Ingest.BadRows = r.bad.Counted()
	}
}

// lostFile is where the rows are noted that lose a conflict, in a table that had rows.
func (r *run) lostFile() string { return filepath.Join(r.dir.path, "lost.rows") }

// saveDeleting notes that rows of the table are about to be deleted.
func (r *run) saveDeleting(ctx context.Context) error {
	if r.saved.Deleting || !r.durable() {
		return nil
	}
	r.saved.Deleting = true
	return r.save(ctx)
}

// saveInterval is how often what was ingested is noted: what is sent again after an interruption.
const saveInterval = 2 * time.Second

// doneKeeper notes, while the ingest goes on, what is in the cluster for good.
type doneKeeper struct {
	run *run
	mu  sync.Mutex
	// changed since the last save.
	changed bool
}

// done is ingest.Options.Done.
func (k *doneKeeper) done(start, end []byte, pairs, bytes int64) {
	k.mu.Lock()
	k.run.saved.Ingest.Done = k.run.saved.Ingest.Done.Add(checkpoint.Range{Start: start, End: end, Pairs: pairs, Bytes: bytes})
	k.changed = true
	k.mu.Unlock()
	k.run.plan.progress.ingested.Add(bytes)
}

// save saves what has changed.
func (k *doneKeeper) save(ctx context.Context) error {
	k.mu.Lock()
	changed := k.changed && k.run.durable()
	k.changed = false
	var data []byte
	var err error
	if changed {
		data, err = k.run.saved.Marshal()
	}
	k.mu.Unlock()
	if err != nil || !changed {
		return err
	}
	return k.run.plan.Task.Checkpoints.Save(ctx, data)
}

// keep saves until stop is closed, and at the end once more. An error that says that the
// job is no longer ours cancels the ingest; others only cost time if it is interrupted.
func (k *doneKeeper) keep(ctx context.Context, stop <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(saveInterval)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-stop:
			last = true
		}
		err := k.save(context.WithoutCancel(ctx))
		if errors.Is(err, ErrNotOwner) {
			cancel(err)
			return
		}
		if err != nil {
			k.run.log.Warn("what was ingested could not be noted", zap.Error(err))
			k.mu.Lock()
			k.changed = true
			k.mu.Unlock()
		}
	}
}

// saveComplete notes that all pairs are in the cluster.
func (r *run) saveComplete(ctx context.Context) error {
	r.saved.Ingest.Complete, r.saved.Ingest.Warnings = true, r.summary.Warnings
	if !r.durable() {
		return nil
	}
	return r.save(ctx)
}

// restore takes up what a run before this one has saved.
func (r *run) restore() {
	r.saved = r.plan.saved
	if r.saved.Deleting {
		r.left, r.moreDeleted = leftNone, r.saved.Ingest == nil
	}
	r.restoreRounds()
	in := r.saved.Ingest
	if in != nil {
		r.committed = commit{ts: in.CommitTS, alone: in.Alone, used: cluster.AutoIDs(in.Used)}
		r.ids = cluster.AutoIDs(in.IDs)
		r.before, r.unverified = in.Before, !in.Verifiable
		r.summary.DeletedRows = in.DeletedRows
		r.left = leftPart
		r.sent.Store(true)
		_, size := in.Done.Total()
		r.plan.progress.sent.Add(size)
		r.plan.progress.ingested.Add(size)
		r.settle(in.Sum, in.End == nil)
		r.plan.progress.tableBytes.Store(int64(in.Before.Bytes))
		r.plan.progress.lostRows.Store(in.LostRows)
	}
	if in != nil && in.Complete {
		r.summary.Local, r.summary.Rows, r.summary.LostRows = r.total(in.Sum), in.Rows, in.LostRows
		r.summary.SourceBytes, r.summary.Warnings = r.plan.SourceBytes, in.Warnings
		r.plan.progress.resume(in.Rows+in.LostRows, r.plan.SourceBytes, int64(len(r.plan.Files)), r.summary.Local, 0)
		r.summary.Rounds = r.roundsBefore() + 1
		r.left = leftUnverified
	}
}

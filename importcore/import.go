package importcore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/conflict"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
	"github.com/sluicedb/sluice/importcore/source"
)

// run is one Import under way.
type run struct {
	core   *Core
	plan   *Plan
	log    *zap.Logger
	events func(Event)
	sorter *sortkv.Sorter
	ids    cluster.AutoIDs
	bad    *badrows.Collector // nil if the task has no sink
	dir    *sortDir
	sortFS vfs.FS           // that dir is in
	saved  checkpoint.State // what the job goes on from if it is interrupted
	// moreDeleted tells that more rows of the table than summary.DeletedRows may have been deleted, by a run before this one.
	moreDeleted bool
	// together tells that the run is one of several, which share a directory and have their checkpoints saved at once: see together.go.
	together bool
	// drawn tells that encoding a row again may give another one. pausing is closed when the job is to pause.
	drawn   bool
	pausing <-chan struct{}
	// numbered tells that the keys of pairs end in the number of their row, counted from firstRowID.
	numbered   bool
	firstRowID int64            // row id of the source's first row
	blocks     *blockIndex      // where rows are, by number; nil unless numbered
	resolved   *conflict.Result // nil until resolve is done
	before     kv.Checksum      // of the rows that the table had before the ingest
	unverified bool             // before is not to be had
	summary    Summary
	waited     Waits               // before the present step
	told       [StepDone + 1]int64 // bytes that the log was told of steps
	// meter is nil without a disk quota. end is where the present round ends, once that is known; nil for the source's end.
	meter *meter
	end   *checkpoint.Place
	// counted is what the encoders of the present round know.
	counted *tally
	// sent tells that pairs may have reached the table.
	sent atomic.Bool
	// left says what the table holds since then, or since rows of it were deleted; "" before.
	left string
	// committed is set before the first pair is sent.
	committed commit
	// fate says what became of the table after an error; see cleanUp.
	fate string
	// settled tells that the table holds no row of the job after an error.
	settled bool
}

func (c *Core) newRun(plan *Plan, events func(Event)) *run {
	return &run{core: c, plan: plan, events: events, log: c.cfg.Logger.With(zap.Int64("job", plan.Task.JobID), zap.Stringer("table", plan.target))}
}

// Import runs the plan to its end and closes it. events may be nil; it is
// called in order by one goroutine at a time and must not block.
//
// When ctx is cancelled the import stops, gives back its leases and returns
// the context's cause. If that is ErrPaused, and the task has Checkpoints, table and checkpoint stay
// as they are, so that a later Plan and Import go on from there; so they do, whatever ctx is, after an error that is source.ErrAway,
// ErrAway or ErrDiskFull. Errors are *fault.Error. After one that comes when pairs
// were sent the table is emptied again, which may go on for a while after ctx
// has ended; the error says what the table holds now.
func (c *Core) Import(ctx context.Context, plan *Plan, events func(Event)) (_ *Summary, err error) {
	if events == nil {
		events = func(Event) {}
	}
	r := c.newRun(plan, events)
	defer func() { err = errors.Join(err, plan.Close()) }()
	defer c.load.enter()()
	if sink := plan.Task.BadRows; sink != nil {
		r.bad = badrows.NewShared(plan.Task.errorLimit(), sink)
	} else if plan.Task.MaxErrors > 0 {
		return nil, fault.New(fault.Sluice, 0, "bad rows are to be recorded, but there is no sink for them")
	}
	r.restore()
	r.shape()
	r.plan.progress.underWay.Store(int64(r.plan.Task.Threads) * usualRegion)
	work, stop := r.graceful(ctx)
	err = fault.Contain(func() error { return r.steps(work) })()
	stop()
	return r.conclude(ctx, err)
}

// conclude does what follows when the work of an import has ended with err.
func (r *run) conclude(ctx context.Context, err error) (*Summary, error) {
	r.leave()
	interrupted := r.interrupted(ctx, err)
	keep := err != nil && (interrupted != nil || r.paused(ctx, err) || errors.Is(context.Cause(ctx), ErrNotOwner) || r.plan.filled && r.sent.Load())
	r.cleaned(r.closeSorting(keep))
	if err == nil {
		r.dropSorting()
		r.summary.Warnings = append(r.summary.Warnings, r.plan.troubles.told()...)
		r.summary.Warnings = append(r.summary.Warnings, r.plan.held.told(r.plan.Task.MaxLatency)...)
		return &r.summary, nil
	}
	if r.paused(ctx, err) {
		return nil, context.Cause(ctx)
	}
	if interrupted != nil {
		return nil, interrupted
	}
	r.sayDeleted()
	r.cleanUp(ctx)
	if !errors.Is(context.Cause(ctx), ErrNotOwner) && r.mayForget() {
		if forgetErr := r.forget(context.WithoutCancel(ctx)); forgetErr != nil {
			r.log.Warn("the checkpoint of a job that failed could not be removed", zap.Error(forgetErr))
		}
	}
	return nil, r.explain(ctx, err)
}

// steps takes the job from where it is to its end.
func (r *run) steps(ctx context.Context) error {
	if in := r.saved.Ingest; in == nil || !in.Complete {
		if err := r.bringIn(ctx); err != nil {
			return err
		}
	} else if r.bad != nil {
		if err := r.bad.Keep(in.BadRows); err != nil {
			return err
		}
	}
	if r.bad != nil {
		r.summary.BadRows = r.bad.Counted()
	}
	return r.finish(ctx)
}

// bringIn brings all pairs into the table.
func (r *run) bringIn(ctx context.Context) error {
	memory := r.plan.splitMemory(r.plan.Task.MemoryBudget)
	r.numbered, r.drawn = r.plan.numbered(), len(r.plan.drawnColumns()) > 0
	if err := r.openSorting(memory); err != nil {
		return err
	}
	if r.bad != nil && r.durable() {
		// Without a checkpoint too: a run before this one may have recorded rows.
		if err := r.bad.Resume(ctx, r.saved.Encoded.Bad); err != nil {
			return err
		}
	}
	r.allowedSpeed(ctx)
	if err := r.numberRows(ctx); err != nil {
		return err
	}
	for {
		if err := r.bringInRound(ctx, memory); err != nil || r.end == nil {
			return err
		}
		if err := r.nextRound(ctx, memory); err != nil {
			return err
		}
	}
}

// bringInRound brings the pairs of what is left of the source into the table, or of as much as the disk quota allows.
func (r *run) bringInRound(ctx context.Context, memory memorySplit) error {
	r.beginRound()
	src, err := r.sortRound(ctx, memory)
	if err != nil {
		return err
	}
	r.enter(StepIngest)
	return r.ingest(ctx, src, memory)
}

// sortRound makes the pairs of a round.
func (r *run) sortRound(ctx context.Context, memory memorySplit) (*content, error) {
	r.enter(StepEncode)
	sorted, err := r.encode(ctx, memory)
	if err != nil {
		return nil, r.locateDuplicate(ctx, err, memory)
	}
	src, err := r.resolve(ctx, sorted, memory)
	if err != nil {
		return nil, err
	}
	if err := r.checkSame(src); err != nil {
		return nil, err
	}
	r.summary.Local = r.total(src.Checksum())
	r.summary.Rows = r.plan.progress.rows.Load() - r.summary.LostRows
	r.summary.SourceBytes = r.plan.progress.sourceBytes.Load()
	r.summary.SpilledBytes = r.spilledBefore() + sorted.Spilled()
	r.plan.progress.spilled.Store(r.summary.SpilledBytes)
	r.settle(src.Checksum(), r.end == nil)
	r.summary.Rounds = r.roundsBefore() + 1
	return src, nil
}

// cleaned warns of files of the sort directory that could not be removed. The
// rows have nothing to do with it, whether the import went well or not.
func (r *run) cleaned(err error) {
	if err != nil {
		r.warn("the sort directory could not be cleaned up", err)
	}
}

// warn records something that the user should hear of and that is no reason to fail.
func (r *run) warn(text string, err error) {
	r.log.Warn(text, zap.Error(err))
	if err != nil {
		text = fmt.Sprintf("%s: %v", text, err)
	}
	r.summary.Warnings = append(r.summary.Warnings, text)
	r.events(Event{JobID: r.plan.Task.JobID, Time: time.Now(), Step: r.plan.progress.step(), Warning: text})
}

// What a table holds after an error, by the step that failed, if it isn't emptied.
const (
	leftPart       = "a part of the rows"
	leftUnverified = "the rows, but nothing says that they are right"
	leftAll        = "all rows, only without statistics"
)

// explain makes sure that an error says what is left in the table. Of a job that was stopped it doesn't say what could not
// be done because of that.
func (r *run) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && (errors.Is(err, cause) || errors.Is(err, ctx.Err()) || status.Code(err) == codes.Canceled) {
		err = cause
	}
	if r.left == "" {
		return err
	}
	left := fmt.Sprintf("; table %s %s", r.plan.target, r.fate)
	told := fault.Error{Whose: fault.Sluice, Message: err.Error() + left, Cause: nil}
	if f := fault.As(err); f != nil {
		told.Whose, told.Code, told.Message = f.Whose, f.Code, f.Error()+left
	}
	return &explained{told: &told, cause: err}
}

// explained shows the completed message and still leads to the original error.
type explained struct {
	told  *fault.Error
	cause error
}

// Error returns the completed message.
func (e *explained) Error() string { return e.told.Error() }

// Unwrap returns the completed fault first, so that errors.As finds the full
// message, and then the original chain.
func (e *explained) Unwrap() []error { return []error{e.told, e.cause} }

// numbered tells whether pairs carry the numbers of their rows, so that conflicts can be resolved.
func (p *Plan) numbered() bool { return p.Task.OnDuplicate != DuplicateError || p.filled }

// splitMemory shares out the job's budget.
func (p *Plan) splitMemory(budget int64) memorySplit {
	ahead := int64(0)
	if source.Remote(p.store) {
		ahead = budget / aheadShare
	}
	m := splitMemory(budget-ahead-p.unpackMemory(budget), p.Task.Threads)
	m.ahead = ahead
	if p.numbered() {
		m = m.withConflicts()
	}
	if p.Task.has(FormatCSV) && p.Task.CSV.Decodes() {
		m.blockBytes /= 2 // the splitter and each worker have a block's text besides
	}
	return m
}

// memorySplit is how a job's budget is shared out, in bytes.
type memorySplit struct {
	blocks     int // number of source blocks in flight
	blockBytes int
	ahead      int64 // parts of files that are read ahead, see source.NewAhead; 0 for files on this machine
	sort       int64 // arenas, spilling, merging
	conflicts  int64 // looking for rows that collide, see package conflict
	arenaBytes int   // size of one arena, a part of sort
	ingest     int64 // batches under way to the stores
}

// aheadShare is the part of a budget that parts of files get which come over a network.
const aheadShare = 16

// maxArenaBytes fits the second-level cache of a processor, where sorting is cheapest.
const maxArenaBytes = 1 << 20

// splitMemory gives the source a few blocks per worker, the ingest an eighth,
// and the sorter the rest. Blocks shrink for small budgets, because the number
// of workers is the user's.
func splitMemory(budget int64, threads int) memorySplit {
	m := memorySplit{blocks: 2*threads + 2, blockBytes: 1 << 20}
	for int64(m.blocks*m.blockBytes) > budget/4 && m.blockBytes > 16<<10 {
		m.blockBytes /= 2
	}
	m.ingest = budget / 8
	m.sort = budget - m.ingest - int64(m.blocks*m.blockBytes)
	// Every worker holds one arena; together they must leave half of the
	// sorter's budget to those that wait to be spilled.
	m.arenaBytes = int(min(m.sort/16, m.sort*7/16/int64(threads), maxArenaBytes))
	return m
}

// withConflicts takes a third of the sorter's part for the search for rows that
// collide: if all rows do, a second sort has half as many bytes as the first one.
func (m memorySplit) withConflicts() memorySplit {
	m.conflicts = m.sort / 3
	m.sort -= m.conflicts
	m.arenaBytes = min(m.arenaBytes, int(m.sort/16))
	return m
}

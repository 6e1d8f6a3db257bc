package importcore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/format"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/sortkv"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/importcore/table"
)

// ErrCantGoOn says that what a job's work depends on has changed since its last
// checkpoint. Nothing was touched; the job can go on when the change is undone, or be cancelled.
var ErrCantGoOn = errors.New("the job can't go on from its checkpoint")

// load takes up the task's checkpoint, if it has one.
func (p *Plan) load(ctx context.Context) error {
	if p.Task.Checkpoints == nil {
		return nil
	}
	data, err := p.Task.Checkpoints.Load(ctx)
	if err != nil || len(data) == 0 {
		return err
	}
	saved, err := checkpoint.Unmarshal(data)
	if err != nil {
		return p.cantGoOn("%v", err)
	}
	p.saved = *saved
	return nil
}

// begun tells whether the plan goes on from a checkpoint.
func (p *Plan) begun() bool { return p.saved.Version != 0 }

// checkBasis compares what the job's work depends on with what it was, or notes it.
func (p *Plan) checkBasis() error {
	now, err := p.basis()
	if err != nil || p.Task.Checkpoints == nil {
		return err
	}
	if !p.begun() {
		p.saved.Basis = now
		return nil
	}
	if what := p.saved.Basis.Difference(&now, func(i int) string { return p.Files[i].Path }); what != "" {
		return p.cantGoOn("%s", what)
	}
	return nil
}

func (p *Plan) cantGoOn(format string, args ...any) error {
	return fault.Wrap(ErrCantGoOn, fault.User, codePrecheckFailed,
		"%s; undo that and RESUME IMPORT JOB %d, or CANCEL IMPORT JOB %d, which puts the table back, and import again",
		fmt.Sprintf(format, args...), p.Task.JobID, p.Task.JobID)
}

// basis returns what the job's work depends on, as it is now.
func (p *Plan) basis() (b checkpoint.Basis, err error) {
	var failed error
	digest := func(v any) checkpoint.Digest {
		d, err := checkpoint.DigestOf(v)
		failed = errors.Join(failed, err)
		return d
	}
	for i := range p.Task.Files {
		b.Files = append(b.Files, digest(p.Task.Files[i].identity()))
	}
	for i := range p.Files {
		if len(p.Task.Files) == 0 {
			b.Files = append(b.Files, digest(p.Files[i].Identity()))
		}
	}
	b.TableID = p.TableID
	b.Table = map[string]checkpoint.Digest{}
	for _, part := range cluster.Structure(p.target.Info) {
		b.Table[part.Name] = digest(part.Value)
	}
	t, zone := p.Task, "UTC"
	if t.TimeZone != nil {
		zone = t.TimeZone.String()
	}
	form := []any{t.CSV, t.HeaderNames}
	if t.Format != FormatCSV {
		form = append(form, t.Format.String())
	}
	var assigned []string
	for _, a := range t.Assignments {
		var text strings.Builder
		failed = errors.Join(failed, a.Expr.Restore(format.NewRestoreCtx(format.DefaultRestoreFlags, &text)))
		assigned = append(assigned, a.Column, text.String())
	}
	b.Options = map[string]checkpoint.Digest{
		"format": digest(form), "fields": digest([]any{t.Columns, assigned}), "partitions": digest(t.Partitions),
		"session": digest([]any{t.SysVars, t.User, t.CurrentDB, t.SQLMode, zone, t.IgnoreForeignKeys}),
		"options": digest([]any{t.OnDuplicate, t.MaxErrors, t.AllowNonEmpty}),
	}
	return b, failed
}

// pauseGrace is how long a job that is to pause may go on to the next place where it loses no work.
// The user waits for it, and for what comes before and after it: two seconds altogether.
const pauseGrace = 800 * time.Millisecond

// graceful returns the context for a job's work. It ends with ctx, but for a pause
// only after pauseGrace; r.pausing is closed at once. stop frees it.
func (r *run) graceful(ctx context.Context) (work context.Context, stop func()) {
	pausing := make(chan struct{})
	r.pausing = pausing
	if !r.durable() {
		return ctx, func() {}
	}
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
		case <-work.Done():
			return
		}
		if errors.Is(context.Cause(ctx), ErrPaused) {
			close(pausing)
			grace := time.NewTimer(pauseGrace)
			defer grace.Stop()
			select {
			case <-grace.C:
			case <-work.Done():
			}
		}
		cancel(context.Cause(ctx))
	}()
	return work, func() {
		cancel(nil)
		<-ended
	}
}

// IsAway tells whether an error says that a part of the cluster doesn't answer, or not now, and
// nothing about what was asked for. ctx is that of the call.
func IsAway(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrNotOwner) || errors.Is(err, source.ErrAway) {
		return false
	}
	// A context that has ended within a call that has not was a limit of the call's own.
	return errors.Is(err, ErrAway) || fault.IsRetryable(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// interrupted returns the error of a job that keeps what it has done because it can go on when
// the source or the cluster is back, or a disk has room again; nil if err is not like that.
func (r *run) interrupted(ctx context.Context, err error) error {
	switch {
	case err == nil || !r.durable():
		return nil
	case errors.Is(err, source.ErrAway):
		return r.plan.orLater(err)
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w in the sort directory: %w", ErrDiskFull, err)
	case errors.Is(err, fault.ErrStoreFull):
		return fmt.Errorf("%w in the cluster: %w", ErrDiskFull, err)
	case IsAway(ctx, err):
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// paused tells whether a job that ended with err did so to go on later.
func (r *run) paused(ctx context.Context, err error) bool {
	if !r.durable() || !errors.Is(context.Cause(ctx), ErrPaused) {
		return false
	}
	return errors.Is(err, ErrPaused) || errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled
}

// openSorting takes up what a run before this one has sorted, or begins anew.
func (r *run) openSorting(memory memorySplit) error {
	if r.saved.Encoded.Dir != "" {
		err := r.reopenSorting(memory)
		if err == nil {
			return nil
		}
		if lost := (*sortkv.ManifestError)(nil); !errors.As(err, &lost) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if r.saved.Ingest != nil && r.needsRuns() {
			return fault.Wrap(err, fault.User, 0, "the job's sorted rows are lost, and it can't go on without them, because "+
				"the table had rows before or values are drawn (RAND, UUID, a sequence)")
		}
		r.log.Warn("the job's sorted rows are not to be had: they are encoded again", zap.Error(err))
	}
	r.saved.Encoded = r.saved.Begin()
	r.saved.Encoded.Dir = ""
	r.countFrom(&r.saved.Encoded)
	return r.newSorting(memory)
}

// newSorting begins in a directory of its own.
func (r *run) newSorting(memory memorySplit) (err error) {
	if !r.together {
		if r.dir, err = newSortDir(r.core.cfg.SortDir, r.core.cluster.ID(), r.plan.Task.JobID, r.plan.Task.Part, r.log); err != nil {
			return err
		}
	}
	r.sortFS = sortFS(r.dir.path, r.plan.Task.DiskQuota)
	if r.numbered {
		r.blocks = &blockIndex{dir: r.dir.path}
	}
	if r.sorter, err = sortkv.New(r.sortOptions(memory)); err == nil {
		r.plan.progress.sorter.Store(r.sorter)
	}
	return err
}

// reopenSorting goes on in the directory of the checkpoint.
func (r *run) reopenSorting(memory memorySplit) (err error) {
	e := &r.saved.Encoded
	if r.dir, err = takeSortDir(e.Dir); err != nil {
		return err
	}
	r.sortFS = sortFS(r.dir.path, r.plan.Task.DiskQuota)
	defer func() {
		if err != nil {
			err = errors.Join(err, r.blocks.Close(), r.dir.release())
			r.dir, r.blocks = nil, nil
		}
	}()
	if r.numbered {
		r.blocks = &blockIndex{dir: r.dir.path}
		if err = r.blocks.reopen(e.Blocks); err != nil {
			return err
		}
	}
	if err = r.dropRounds(e.Runs.Dir); err != nil {
		return err
	}
	if r.sorter, err = sortkv.Reopen(r.sortOptions(memory), e.Runs); err != nil {
		return err
	}
	r.countFrom(e)
	r.plan.progress.sorter.Store(r.sorter)
	r.log.Info("the job goes on from its checkpoint", zap.Int64("rows", e.Rows), zap.Int64("source_bytes", e.SourceBytes))
	return nil
}

// closeSorting frees what openSorting took. The directory goes too, unless the
// job is to go on from it.
func (r *run) closeSorting(keep bool) error {
	if r.dir == nil {
		return nil
	}
	err := r.closeConflicts()
	if keep && r.saved.Encoded.Dir != "" {
		if r.sorter != nil {
			err = errors.Join(err, r.sorter.CloseKeep(), r.trimSorting())
		}
		return errors.Join(err, r.dir.release())
	}
	if r.sorter != nil {
		err = errors.Join(err, r.sorter.Close())
	}
	if r.together {
		return err
	}
	return errors.Join(err, r.dir.remove())
}

// trimSorting removes, behind a job that goes on later, what its checkpoint doesn't need: it may have
// ended because the disk is full.
func (r *run) trimSorting() error {
	if r.saved.Encoded.Dir != r.dir.path {
		return nil // the directory of the checkpoint is another one, which was not to be had
	}
	if err := r.dropRounds(r.saved.Encoded.Runs.Dir); err != nil {
		return err
	}
	trimmed, err := sortkv.Reopen(r.sortOptions(r.plan.splitMemory(r.plan.Task.MemoryBudget)), r.saved.Encoded.Runs)
	if err != nil {
		return err
	}
	return trimmed.CloseKeep()
}

// Abandon gives up a job that was paused or interrupted: it puts the table back
// as a failed job does, and removes what the checkpoint depends on, if that is on this machine. It
// returns what the table holds now, as a sentence's end ("was emptied again"), or "" if
// the job had not touched it. Nobody else may be running the job.
func (c *Core) Abandon(ctx context.Context, task ImportTask) (fate string, err error) {
	p := &Plan{Task: task}
	if err := p.load(ctx); err != nil {
		return "", err
	}
	if !p.begun() {
		return "", nil
	}
	p.TableID, p.filled = p.saved.Basis.TableID, p.saved.Filled
	r := &run{core: c, plan: p, events: func(Event) {}}
	r.restore()
	info, newCollation, err := c.cluster.LoadTable(ctx, task.DB, task.Table)
	switch f := fault.As(err); {
	case f != nil && f.Code == errno.ErrNoSuchTable:
		r.left, r.fate, r.settled = "", "is gone", true
	case err != nil:
		return "", err
	default:
		if p.target, err = table.NewTarget(task.DB, info, newCollation); err != nil {
			return "", err
		}
	}
	r.log = c.cfg.Logger.With(zap.Int64("job", task.JobID), zap.String("table", task.DB+"."+task.Table))
	if r.left != "" {
		r.sayDeleted()
		r.cleanUp(ctx)
	}
	if !r.mayForget() {
		return r.fate, nil
	}
	r.dropSorting()
	return r.fate, r.forget(ctx)
}

// dropSorting removes the directory of the checkpoint, if it is here and nobody uses it. A job that went on
// behind its ingest has not opened it.
func (r *run) dropSorting() {
	if r.saved.Encoded.Dir == "" {
		return
	}
	dir, err := takeSortDir(r.saved.Encoded.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = dir.remove()
	}
	if err != nil {
		r.log.Warn("the job's sort directory stays", zap.String("dir", r.saved.Encoded.Dir), zap.Error(err))
	}
}

// numberRows decides which row id the source's first row gets, once for the job.
func (r *run) numberRows(ctx context.Context) (err error) {
	switch {
	case r.plan.begun():
	case r.together && !r.plan.givesIDs():
		r.saved.FirstRowID = 1 // of a table that has been made a moment ago
	default:
		if r.saved.FirstRowID, err = r.core.cluster.NextRowID(ctx, r.plan.Task.DB, r.plan.Task.Table); err != nil {
			return err
		}
	}
	r.firstRowID = r.saved.FirstRowID
	return nil
}

// checkSame makes sure that what is about to be sent is what was being sent
// before the interruption.
func (r *run) checkSame(src *content) error {
	if r.saved.Ingest == nil || src.Checksum() == r.saved.Ingest.Sum {
		return nil
	}
	was, now := r.saved.Ingest.Sum, src.Checksum()
	return fault.New(fault.Source, 0, "the source does not give the rows any more that it gave before the job was interrupted "+
		"(checksum %d, now %d; pairs %d, now %d)", was.Sum, now.Sum, was.Pairs, now.Pairs)
}

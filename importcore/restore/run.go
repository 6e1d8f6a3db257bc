package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/fence"
	"github.com/sluicedb/sluice/importcore/source"
	targettable "github.com/sluicedb/sluice/importcore/table"
)

// Summary is what a finished restore did.
type Summary struct {
	// Databases, Tables, Views and Sequences are those that were restored; ones that were there count.
	Databases, Tables, Views, Sequences int
	// Rows were restored from Bytes of data files.
	Rows, Bytes int64
	// BackupTS is the timestamp of the dump's snapshot or of the archive, 0 if it names none; ClusterTS is one after the restore.
	BackupTS, ClusterTS uint64
	Warnings            []string
	Skipped             []Skipped
	// PerTable is in the order of Contents.Tables.
	PerTable []TableResult
}

// TableResult is what became of a table.
type TableResult struct {
	To          Name
	Rows, Bytes int64
	// BadRows were left out because of MaxErrors.
	BadRows int64
}

// Run restores, and ends the use of the plan.
//
// When ctx is cancelled it returns the context's cause. If that is importcore.ErrPaused everything stays as it is, so that a
// later Plan and Run go on; so it does, whatever ctx is, after an error that is source.ErrAway, importcore.ErrAway or
// importcore.ErrDiskFull. After any other error what the job has made is given up as Abandon does it, and the error says what is left.
func (p *Plan) Run(ctx context.Context) (_ *Summary, err error) {
	defer func() { err = errors.Join(err, p.Close()) }()
	err = fault.Contain(func() error { return p.steps(ctx) })()
	if err == nil {
		return p.summary(ctx), nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if p.keeps(ctx, err) {
		if saveErr := p.keeper.save(context.WithoutCancel(ctx)); saveErr != nil {
			p.log().Warn("the restore's last state could not be saved", zap.Error(saveErr))
		}
		return nil, err
	}
	return nil, p.failed(ctx, err)
}

func (p *Plan) log() *zap.Logger { return p.r.log.With(zap.Int64("job", p.task.JobID)) }

// keeps tells whether the job may go on after an error.
func (p *Plan) keeps(ctx context.Context, err error) bool {
	if errors.Is(err, importcore.ErrNotOwner) {
		return true // whoever has the job now decides
	}
	if p.task.Checkpoints == nil {
		return false
	}
	return errors.Is(err, importcore.ErrPaused) || errors.Is(err, source.ErrAway) || errors.Is(err, importcore.ErrAway) ||
		errors.Is(err, importcore.ErrDiskFull) || errors.Is(err, importcore.ErrCantGoOn) || importcore.IsAway(ctx, err)
}

// failed gives the job up and says what is left.
func (p *Plan) failed(ctx context.Context, err error) error {
	if p.task.Options.KeepPartial {
		if unmarkErr := p.unmark(context.WithoutCancel(ctx)); unmarkErr != nil {
			p.log().Warn("tables may have the job's mark in the place of their comments", zap.Error(unmarkErr))
		}
		return left(err, "what was restored so far stays (keep_partial)")
	}
	if half := p.saved.halfChanged(); half != "" && p.task.Checkpoints != nil {
		return left(err, half)
	}
	a := abandoning{r: p.r, server: p.server, sql: p.sql, task: &p.task, state: p.saved}
	fate, giveUpErr := a.all(context.WithoutCancel(ctx))
	if giveUpErr != nil {
		return left(err, fmt.Sprintf("what it has made could not be removed: %v", giveUpErr))
	}
	if p.task.Checkpoints != nil {
		if forgetErr := a.end(context.WithoutCancel(ctx)); forgetErr != nil {
			p.log().Warn("the checkpoint of a job that failed could not be removed", zap.Error(forgetErr))
		}
	}
	return left(err, fate)
}

// left adds to an error what the target holds now.
func left(err error, fate string) error {
	if fate == "" {
		return err
	}
	told := &fault.Error{Whose: fault.Sluice, Message: err.Error() + "; " + fate}
	if f := fault.As(err); f != nil {
		told.Whose, told.Code = f.Whose, f.Code
	}
	return &explained{told, err}
}

// explained shows the completed message and still leads to the original error.
type explained struct {
	told  *fault.Error
	cause error
}

// Error returns the completed message.
func (e *explained) Error() string { return e.told.Error() }

// Unwrap returns the completed fault first, so that errors.As finds all of the message.
func (e *explained) Unwrap() []error { return []error{e.told, e.cause} }

// step is a part of a job.
type step struct {
	name string
	do   func(context.Context) error
}

// steps takes the job from where it is to its end.
func (p *Plan) steps(ctx context.Context) error {
	if p.task.Reserve != nil {
		if err := p.task.Reserve(ctx, p.Facts().Tables); err != nil {
			return err
		}
	}
	if err := p.keeper.save(ctx); err != nil {
		return err
	}
	steps := []step{{stepSchema, p.define}, {stepData, p.bringIn}, {stepViews, p.defineViews}}
	if p.system != nil {
		steps = append(steps, step{stepSystem, p.bringInSystem})
	}
	if p.task.Options.Compact {
		steps = append(steps, step{stepCompact, p.compact})
	}
	for _, step := range steps {
		p.progress.enter(step.name)
		began := time.Now()
		if err := step.do(p.fenced(ctx)); err != nil {
			return err
		}
		if err := p.checkMade(ctx); err != nil {
			return err
		}
		p.log().Info("restore step ended", zap.String("step", step.name), zap.Duration("took", time.Since(began)))
	}
	p.progress.enter(stepDone)
	if err := p.keeper.save(ctx); err != nil || p.sql == nil {
		return err
	}
	p.forget(ctx)
	return nil
}

// fenced returns a context for what changes the target: nothing is sent once the job may be another's.
func (p *Plan) fenced(ctx context.Context) context.Context {
	if p.task.Hold == nil {
		return ctx
	}
	return fence.With(ctx, p.task.Hold)
}

// endPatience bounds the questions of a restore that is done.
const endPatience = 10 * time.Second

func (p *Plan) summary(ctx context.Context) *Summary {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience) // the work is done, whatever ctx says by now
	defer cancel()
	_, ts, err := p.clock(ctx)
	if err != nil {
		p.warn("the cluster's timestamp after the restore is not known: %v", err)
	}
	s := &Summary{Databases: len(p.databases), Tables: len(p.tables), Views: len(p.views), Sequences: len(p.sequences),
		BackupTS: p.backupTS, ClusterTS: ts, Skipped: p.skipped, Warnings: p.saved.told()}
	var ttl []string
	for _, t := range p.tables {
		s.PerTable = append(s.PerTable, TableResult{To: t.to, Rows: t.state.Rows, Bytes: t.bytes, BadRows: t.state.BadRows})
		s.Rows, s.Bytes = s.Rows+t.state.Rows, s.Bytes+t.bytes
		if t.made != nil && t.made.TTL && t.state.Own {
			ttl = append(ttl, t.to.String())
		}
	}
	if len(ttl) > 0 {
		s.Warnings = append(s.Warnings, "TTL_ENABLE is off after the restore of "+enumerate(ttl))
	}
	return s
}

// checkForeignKeys looks, when all rows are there, for rows whose parents are missing.
func (p *Plan) checkForeignKeys(ctx context.Context) error {
	if p.task.Session.IgnoreForeignKeys {
		return nil
	}
	if p.sql != nil {
		return p.checkForeignKeysBySQL(ctx)
	}
	c := p.r.core.Cluster()
	for _, t := range p.tables {
		if t.bytes == 0 || t.made != nil && !t.made.ForeignKeys && !t.exists {
			continue
		}
		info, newCollation, err := c.LoadTable(ctx, t.to.DB, t.to.Table)
		if err != nil {
			return err
		}
		target, err := targettable.NewTarget(t.to.DB, info, newCollation)
		if err != nil {
			return err
		}
		for _, fk := range target.ForeignKeys() {
			if err := c.CheckForeignKey(ctx, t.to.DB, t.to.Table, fk); err != nil {
				return err
			}
		}
	}
	return nil
}

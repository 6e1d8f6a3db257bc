package executor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sluicedb/sluice/executor/forecast"
	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/importcore/table"
	"github.com/sluicedb/sluice/sqlext"
)

// coreEngine is the Engine over importcore.
type coreEngine struct {
	core *importcore.Core
	restoring
}

func openCore(ctx context.Context, cfg Config, ledger cluster.Ledger) (Engine, error) {
	core, err := importcore.New(ctx, importcore.Config{
		Cluster: cluster.Config{
			TiDB: cfg.Backends, User: cfg.ServiceAccount.User, Password: cfg.ServiceAccount.Password,
			Ledger: ledger, Logger: cfg.Logger,
		},
		SortDir: cfg.SortDir, SortCompression: cfg.SortCompression,
		CheckpointBytes: cfg.CheckpointBytes, CheckpointInterval: cfg.CheckpointInterval, MemoryAdvice: cfg.MemoryAdvice, Logger: cfg.Logger,
		Source: source.Config{S3: cfg.S3, Patience: cfg.SourcePatience},
	})
	if err != nil {
		return nil, err
	}
	return &coreEngine{core: core, restoring: restoring{restore.New(core)}}, nil
}

// Close implements Engine.
func (e *coreEngine) Close() error { return e.core.Close() }

// Plan implements Engine.
func (e *coreEngine) Plan(ctx context.Context, t Task) (Plan, error) {
	if t.Restore != nil {
		return e.planRestore(ctx, &t)
	}
	plan, err := e.core.Plan(ctx, coreTask(&t))
	if err != nil {
		return nil, err
	}
	return &corePlan{core: e.core, plan: plan}, nil
}

// Abandon implements Engine.
func (e *coreEngine) Abandon(ctx context.Context, t Task) (fate string, err error) {
	if t.Restore != nil {
		return e.restorer.Abandon(ctx, restoreTask(&t))
	}
	return e.core.Abandon(ctx, coreTask(&t))
}

// Sweep implements Engine.
func (e *coreEngine) Sweep(over func(jobID int64) bool) { e.core.SweepSortDirs(over) }

// Named implements Engine.
func (e *coreEngine) Named(ctx context.Context) ([]cluster.Change, error) { return e.core.Named(ctx) }

// Undo implements Engine.
func (e *coreEngine) Undo(ctx context.Context, c cluster.Change) error { return e.core.Undo(ctx, c) }

// Inspect implements Engine.
func (e *coreEngine) Inspect(ctx context.Context, t Task, full bool) (Inspection, error) {
	if t.Restore != nil {
		return e.inspectRestore(ctx, &t, full)
	}
	found, err := e.core.Inspect(ctx, coreTask(&t), full)
	if err != nil {
		return Inspection{}, err
	}
	out := Inspection{Findings: found.Findings, TableID: found.TableID, Estimate: found.Estimate}
	if found.Plan != nil {
		out.Plan = &corePlan{core: e.core, plan: found.Plan}
	}
	return out, nil
}

// coreTask is a task in the core's terms.
func coreTask(t *Task) importcore.ImportTask {
	return importcore.ImportTask{
		JobID: t.JobID, DB: t.DB, Table: t.Table, Partitions: t.Partitions, Location: t.Location, Format: coreFormat(t.Format),
		CSV: csv.Config{
			FieldsTerminatedBy: t.Options.FieldsTerminatedBy,
			FieldsEnclosedBy:   t.Options.FieldsEnclosedBy,
			FieldsEscapedBy:    t.Options.FieldsEscapedBy,
			NullText:           []string{t.Options.FieldsDefinedNullBy},
			LinesTerminatedBy:  t.Options.LinesTerminatedBy,
			SkipRows:           t.Options.SkipRows,
			CharacterSet:       t.Options.CharacterSet,
		},
		HeaderNames: t.Options.CSVHeader,
		Columns:     fieldTargets(t.Fields), Assignments: assignments(t.Assignments),
		SysVars: t.SysVars, User: t.User, CurrentDB: t.CurrentDB, IgnoreForeignKeys: t.IgnoreForeignKeys, SQLMode: t.SQLMode, TimeZone: t.TimeZone,
		Threads: t.Threads, MaxWriteSpeed: t.MaxWriteSpeed, MaxLatency: t.MaxLatency, MemoryBudget: t.MemoryBudget, DiskQuota: t.DiskQuota,
		Checksum: checksumLevel(t.Options.ChecksumTable), DisableImportMode: t.Options.DisableTiKVImportMode,
		OnDuplicate: onDuplicate(t.Options.OnDuplicate), MaxErrors: t.Options.MaxErrors, BadRows: t.BadRows,
		AllowNonEmpty: t.Options.AllowNonEmpty, KeepPartial: t.Options.KeepPartial,
		Observer: t.Observer, Owned: t.Owned, Hold: t.Hold, Checkpoints: t.Checkpoints, Now: t.Now,
		SkipPrechecks: skippedPrechecks(&t.Options),
	}
}

func coreFormat(f sqlext.Format) importcore.Format {
	if f == sqlext.FormatSQL {
		return importcore.FormatSQL
	}
	return importcore.FormatCSV
}

// readablePatience is how long a store that fails is tried when a job could be taken over:
// that is tried again later.
const readablePatience = 2 * time.Second

// Readable implements Engine.
func (e *coreEngine) Readable(ctx context.Context, s *Spec) (err error) {
	if s.Restore != nil {
		return e.restoreReadable(ctx, s)
	}
	cfg := e.core.SourceConfig()
	cfg.Patience, cfg.Stall = readablePatience, readablePatience // other jobs wait for the answer
	store, err := source.Open(ctx, s.Location, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	files, err := store.List(ctx)
	if err != nil {
		return err
	}
	if s.Source != "" && fingerprint(files) != s.Source {
		return errSourceChanged
	}
	stream, err := store.Open(ctx, files[0], 0)
	if err != nil {
		return err
	}
	return stream.Close()
}

// fingerprint is Facts.Source.
func fingerprint(files []source.File) string {
	var text []byte
	for _, f := range files {
		text = fmt.Appendf(text, "%q %d %d", f.Path, f.Size, f.ModTime.UnixNano())
		if f.ETag != "" {
			text = fmt.Appendf(text, " %q", f.ETag)
		}
		text = append(text, '\n')
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

func fieldTargets(fields []sqlext.Field) []table.FieldTarget {
	targets := make([]table.FieldTarget, len(fields))
	for i, f := range fields {
		targets[i] = table.FieldTarget{Column: f.Column, Var: f.Var}
	}
	return targets
}

func assignments(list []sqlext.Assignment) []table.Assignment {
	out := make([]table.Assignment, len(list))
	for i, a := range list {
		out[i] = table.Assignment{Column: a.Column, Expr: a.Expr}
	}
	return out
}

func checksumLevel(c sqlext.Checksum) importcore.ChecksumLevel {
	switch c {
	case sqlext.ChecksumOff:
		return importcore.ChecksumOff
	case sqlext.ChecksumOptional:
		return importcore.ChecksumOptional
	default:
		return importcore.ChecksumRequired
	}
}

func onDuplicate(d sqlext.OnDuplicate) importcore.OnDuplicate {
	switch d {
	case sqlext.DuplicateReplace:
		return importcore.DuplicateReplace
	case sqlext.DuplicateIgnore:
		return importcore.DuplicateIgnore
	case sqlext.DuplicateCapture:
		return importcore.DuplicateCapture
	default:
		return importcore.DuplicateError
	}
}

// corePlan is the Plan over importcore.
type corePlan struct {
	core *importcore.Core
	plan *importcore.Plan
}

// Facts implements Plan.
func (p *corePlan) Facts() Facts {
	return Facts{TableID: p.plan.TableID, SourceBytes: p.plan.SourceBytes, Source: fingerprint(p.plan.Files), Now: p.plan.Now().UTC()}
}

// Close implements Plan.
func (p *corePlan) Close() error { return p.plan.Close() }

// Run implements Plan.
func (p *corePlan) Run(ctx context.Context) (Summary, error) {
	// The core logs its steps and warnings itself, with the job's id.
	s, err := p.core.Import(ctx, p.plan, nil)
	if err != nil {
		return Summary{}, err
	}
	sum := job.Checksum{Crc64Xor: s.Local.Sum, TotalKvs: s.Local.Pairs, TotalBytes: s.Local.Bytes}
	return Summary{Rows: s.Rows, Checksum: sum, Warnings: s.Warnings}, nil
}

// Progress implements Plan.
func (p *corePlan) Progress() Progress {
	at := p.plan.Progress()
	out := Progress{Phase: job.PhaseImporting, Step: at.Step.String(), At: -1, SourceBytes: p.plan.SourceBytes, Rows: at.Rows, Counted: at}
	if at.Step > importcore.StepIngest {
		out.Phase = job.PhaseValidating
	}
	for i, s := range at.Steps {
		name := s.Step.String()
		if s.Tail {
			name += " end"
		}
		if s.Step == at.Step && (!s.Tail || s.Took > 0) {
			out.At = i
		}
		out.Steps = append(out.Steps, forecast.Step{
			Name: name, Done: s.Done, Size: s.Size, Took: s.Took, MaxSpeed: s.MaxSpeed, Blind: s.Blind,
		})
	}
	return out
}

package executor

import (
	"context"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/table"
	"github.com/sluicedb/sluice/sqlext"
)

// coreEngine is the Engine over importcore.
type coreEngine struct {
	core *importcore.Core
}

func openCore(ctx context.Context, cfg Config) (Engine, error) {
	core, err := importcore.New(ctx, importcore.Config{
		Cluster: cluster.Config{
			TiDB: cfg.Backends, User: cfg.ServiceAccount.User, Password: cfg.ServiceAccount.Password, Logger: cfg.Logger,
		},
		SortDir: cfg.SortDir, SortCompression: cfg.SortCompression, MemoryBudget: cfg.MemoryBudget, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &coreEngine{core: core}, nil
}

// Close implements Engine.
func (e *coreEngine) Close() error { return e.core.Close() }

// Plan implements Engine.
func (e *coreEngine) Plan(ctx context.Context, t Task) (Plan, error) {
	plan, err := e.core.Plan(ctx, importcore.ImportTask{
		JobID: t.JobID, DB: t.DB, Table: t.Table, Partitions: t.Partitions, Location: t.Location,
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
		Threads: t.Threads, MaxWriteSpeed: t.MaxWriteSpeed, MemoryBudget: t.MemoryBudget,
		Checksum: checksumLevel(t.Options.ChecksumTable), DisableImportMode: t.Options.DisableTiKVImportMode,
		OnDuplicate: onDuplicate(t.Options.OnDuplicate), MaxErrors: t.Options.MaxErrors, BadRows: t.BadRows,
		AllowNonEmpty: t.Options.AllowNonEmpty, KeepPartial: t.Options.KeepPartial,
		Owned: t.Owned, Hold: t.Hold,
	})
	if err != nil {
		return nil, err
	}
	return &corePlan{core: e.core, plan: plan}, nil
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

// TableID implements Plan.
func (p *corePlan) TableID() int64 { return p.plan.TableID }

// SourceBytes implements Plan.
func (p *corePlan) SourceBytes() int64 { return p.plan.SourceBytes }

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
func (p *corePlan) Progress() job.Progress {
	at := p.plan.Progress()
	rows := at.Rows
	phase := job.PhaseImporting
	switch at.Step {
	case importcore.StepChecksum, importcore.StepAnalyze, importcore.StepDone:
		phase = job.PhaseValidating
	}
	return job.Progress{Phase: phase, Step: at.Step.String(), Rows: &rows}
}

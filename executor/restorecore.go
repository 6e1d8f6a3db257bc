package executor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluicedb/sluice/executor/forecast"
	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/sqlext"
)

// restoring is what engines do for restores.
type restoring struct{ restorer *restore.Restorer }

// Forget implements Engine.
func (e *restoring) Forget(ctx context.Context, checkpoint []byte) error {
	return e.restorer.Forget(ctx, checkpoint)
}

func (e *restoring) planRestore(ctx context.Context, t *Task) (Plan, error) {
	task, err := readingTask(t)
	if err != nil {
		return nil, err
	}
	plan, err := e.restorer.Plan(ctx, task)
	if err != nil {
		return nil, err
	}
	return &restorePlan{plan: plan}, nil
}

// inspectRestore makes the prechecks. A full inspection has contents, any other a plan.
func (e *restoring) inspectRestore(ctx context.Context, t *Task, full bool) (Inspection, error) {
	if !full {
		plan, err := e.planRestore(ctx, t)
		if err != nil {
			return Inspection{}, err
		}
		return Inspection{Plan: plan}, nil
	}
	task, err := readingTask(t)
	if err != nil {
		return Inspection{}, err
	}
	found, err := e.restorer.Inspect(ctx, task)
	if err != nil {
		return Inspection{}, err
	}
	return Inspection{Findings: found.Findings, Contents: &found.Contents}, nil
}

func (e *restoring) restoreReadable(ctx context.Context, s *Spec) error {
	cipher, err := cipherOf(s)
	if err != nil {
		return err
	}
	err = e.restorer.Readable(ctx, s.Location, s.Source, cipher)
	if errors.Is(err, restore.ErrSourceChanged) {
		return errSourceChanged
	}
	return err
}

// readingTask is restoreTask for somebody who reads the source.
func readingTask(t *Task) (task restore.Task, err error) {
	task = restoreTask(t)
	task.Options.Cipher, err = cipherOf(&t.Spec)
	return task, err
}

// cipherOf reads the key of an encrypted archive, which no row holds: whoever runs the job reads it again from its file.
func cipherOf(s *Spec) (*archive.Cipher, error) {
	o := &s.Restore.Options
	return archive.ParseCipher(string(o.Encryption), "", o.EncryptionKeyFile)
}

// restoreTask is a task in the core's terms, without the key of an archive.
func restoreTask(t *Task) restore.Task {
	out := restore.Task{
		JobID: t.JobID, Location: t.Location, Selection: selection(t.Restore), Options: restoreOptions(t),
		Session: restore.Session{SQLMode: t.SQLMode, TimeZone: t.TimeZone, SysVars: t.SysVars, User: t.User, Account: t.Account,
			IgnoreForeignKeys: t.IgnoreForeignKeys},
		Threads: t.Threads, MemoryBudget: t.MemoryBudget, MaxWriteSpeed: t.MaxWriteSpeed, DiskQuota: t.DiskQuota, MaxLatency: t.MaxLatency,
		Now: t.Now, Checkpoints: t.Checkpoints, Owned: t.Owned, Hold: t.Hold, Observer: t.Observer,
	}
	if t.Reserve != nil {
		out.Reserve = func(ctx context.Context, names []restore.Name) error { return t.Reserve(ctx, jobTables(names)) }
	}
	if t.LastRestores != nil {
		out.Restored = func(ctx context.Context, names []restore.Name) ([]restore.Restored, error) {
			return lastRestores(ctx, t, names)
		}
	}
	if t.BadRowsOf != nil {
		out.BadRows = func(number int, table restore.Name) badrows.Sink {
			return t.BadRowsOf(int64(number), table.DB, table.Table)
		}
	}
	if t.Tell != nil {
		out.Events = func(e restore.Event) {
			table := job.Table{DB: e.Table.DB, Name: e.Table.Table, State: string(e.State), Rows: e.Rows, Bytes: e.Bytes}
			if e.BadRows > 0 {
				table.Message = fmt.Sprintf("rows left out and recorded: %d", e.BadRows)
			}
			if e.Err != nil {
				_, _, table.Message = MySQLError(e.Err)
			}
			t.Tell(table)
		}
	}
	return out
}

// lastRestores are the newest restores of tables in the core's terms.
func lastRestores(ctx context.Context, t *Task, names []restore.Name) ([]restore.Restored, error) {
	tables := jobTables(names)
	last, err := t.LastRestores(ctx, tables)
	if err != nil {
		return nil, err
	}
	out := make([]restore.Restored, len(tables))
	for i := range tables {
		found, ok := last[tables[i].NameKey()]
		if !ok {
			continue
		}
		done, err := restoredOf(&job.Job{ID: found.JobID, Result: found.Result})
		if err != nil {
			return nil, err
		}
		out[i] = restore.Restored{JobID: found.JobID, Finished: found.Finished, BackupTS: done.BackupTS, ClusterTS: done.ClusterTS}
	}
	return out, nil
}

func selection(r *RestoreSpec) restore.Selection {
	s := restore.Selection{Everything: r.All, Exclude: r.Exclude, Filters: r.Options.Filters}
	for _, d := range r.Databases {
		s.Databases = append(s.Databases, d.Name)
		if d.As != "" {
			s.Renames = append(s.Renames, restore.Rename{From: restore.Name{DB: d.Name}, To: restore.Name{DB: d.As}})
		}
	}
	for _, t := range r.Tables {
		from := restore.Name{DB: t.DB, Table: t.Table}
		s.Tables = append(s.Tables, from)
		if t.AsTable != "" {
			to := restore.Name{DB: t.AsDB, Table: t.AsTable}
			if to.DB == "" {
				to.DB = t.DB
			}
			s.Renames = append(s.Renames, restore.Rename{From: from, To: to})
		}
	}
	for _, route := range r.Options.Routes {
		s.Routes = append(s.Routes, restore.Route{DB: route.Schema, Table: route.Table, ToDB: route.ToSchema, ToTable: route.ToTable})
	}
	return s
}

func restoreOptions(t *Task) restore.Options {
	o := &t.Restore.Options
	return restore.Options{
		CSV: restoreCSV(o, t.Options.CharacterSet), CSVHeader: o.CSVHeader == sqlext.CSVHeaderColumns, SkipSchemaFiles: o.SkipSchemaFiles,
		BySQL:       o.Backend == sqlext.BackendTiDB,
		OnDuplicate: onDuplicate(t.Options.OnDuplicate), MaxErrors: t.Options.MaxErrors, Checksum: checksumLevel(t.Options.ChecksumTable), Analyze: analyzeLevel(o.Analyze), LoadStats: o.LoadStats, Compact: o.Compact, WaitTiFlashReady: o.WaitTiFlashReady,
		ChecksumConcurrency: int(min(o.ChecksumConcurrency, maxConcurrency)), KeepCredentials: !o.SendCredentials, DisableImportMode: o.Online,
		Concurrency: int(min(t.Options.Thread, maxConcurrency)), KeepPartial: t.Options.KeepPartial, SkipPrechecks: skippedPrechecks(&t.Options),
		SystemTables: wantsSystemTables(o, &t.Options), LastBackup: o.LastBackup, Files: fileRules(o.Files), DefaultFiles: o.DefaultFileRules,
		ForDumps: given(t, dumpOptions), ForArchives: given(t, archiveOptions),
	}
}

// Options that only one kind of source has. What keeps to both, such as disk_quota, is in neither.
var (
	dumpOptions = []string{
		"character_set", "csv_backslash_escape", "csv_delimiter", "csv_header", "csv_not_null", "csv_null", "csv_separator", "csv_trim_last_separators", "max_errors", "on_duplicate",
		"files", "skip_schema_files", "strict_format",
	}
	archiveOptions = []string{
		"encryption_keyfile", "encryption_method", "last_backup", "load_stats", "send_credentials_to_tikv", "wait_tiflash_ready", "with_sys_table",
	}
)

func fileRules(list []sqlext.FileRule) (rules []dump.Rule) {
	for _, r := range list {
		rules = append(rules, dump.Rule(r))
	}
	return rules
}

// given are those of some options that the statement has, as statements have them.
func given(t *Task, names []string) (list []string) {
	for _, name := range names {
		if _, ok := t.Options.Specified[name]; ok {
			list = append(list, strings.ToUpper(name))
		}
	}
	return list
}

// maxConcurrency is more tables than a process could have at a time.
const maxConcurrency = 1 << 10

func restoreCSV(o *sqlext.RestoreOptions, charset string) csv.Config {
	c := restore.DefaultCSV()
	c.FieldsTerminatedBy, c.FieldsEnclosedBy, c.FieldsEscapedBy = o.CSVSeparator, o.CSVDelimiter, ""
	if o.CSVBackslashEscape {
		c.FieldsEscapedBy = `\`
	}
	c.NullText = []string{o.CSVNull}
	if o.CSVNotNull {
		c.NullText = nil
	}
	c.SkipRows = max(0, o.CSVHeader)
	c.TrimLastSeparator = o.CSVTrimLastSeparators
	c.CharacterSet = charset
	return c
}

func analyzeLevel(l sqlext.Level) importcore.AnalyzeLevel {
	switch l {
	case sqlext.LevelOff:
		return importcore.AnalyzeOff
	case sqlext.LevelRequired:
		return importcore.AnalyzeRequired
	default:
		return importcore.AnalyzeOptional
	}
}

func jobTables(names []restore.Name) []job.Table {
	tables := make([]job.Table, len(names))
	for i, n := range names {
		tables[i] = job.Table{DB: n.DB, Name: n.Table}
	}
	return tables
}

// restorePlan is the Plan over importcore/restore.
type restorePlan struct{ plan *restore.Plan }

// Facts implements Plan.
func (p *restorePlan) Facts() Facts {
	f := p.plan.Facts()
	tables := jobTables(f.Tables)
	for i, t := range p.plan.Contents().Tables { // they come first
		if i < len(tables) {
			tables[i].Bytes = t.Bytes
		}
	}
	return Facts{SourceBytes: f.SourceBytes, Source: f.Source, Now: f.Now, Tables: tables}
}

// Close implements Plan.
func (p *restorePlan) Close() error { return p.plan.Close() }

// Run implements Plan.
func (p *restorePlan) Run(ctx context.Context) (Summary, error) {
	s, err := p.plan.Run(ctx)
	if err != nil {
		return Summary{}, err
	}
	done := &Restored{
		Size: s.Bytes, BackupTS: s.BackupTS, ClusterTS: s.ClusterTS, Databases: s.Databases, Tables: s.Tables, Views: s.Views, Sequences: s.Sequences,
	}
	return Summary{Rows: s.Rows, Restored: done, Warnings: append(s.Warnings, skippedFiles(s.Skipped)...)}, nil
}

// skippedFiles are told by their reasons, with one of the files each.
func skippedFiles(list []restore.Skipped) []string {
	var texts []string
	counts, first, order := map[string]int64{}, map[string]string{}, []string(nil)
	for _, f := range list {
		if counts[f.Reason]++; counts[f.Reason] == 1 {
			first[f.Reason] = f.Path
			order = append(order, f.Reason)
		}
	}
	for _, reason := range order {
		text := first[reason]
		if n := counts[reason] - 1; n > 0 {
			text += " and " + precheck.Counted(n, "other file")
		}
		texts = append(texts, text+": "+strings.TrimSuffix(reason, "."))
	}
	return texts
}

// Progress implements Plan.
func (p *restorePlan) Progress() Progress {
	at := p.plan.Progress()
	out := Progress{Phase: job.PhaseImporting, Step: at.Step, At: -1, SourceBytes: at.SourceTotal, Rows: at.Rows, Counted: at.Counted}
	for i, s := range at.Steps {
		if s.Name == at.Step {
			out.At = i
		}
		step := forecast.Step{Name: s.Name, Objects: s.Size, ObjectsDone: s.Done, Took: s.Took}
		if s.Bytes {
			step.Done, step.Size, step.Objects, step.ObjectsDone = s.Done, s.Size, int64(at.Tables), int64(at.TablesDone)
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format/compress"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/restore/systables"
	"github.com/sluicedb/sluice/importcore/source"
)

// codePrecheckFailed is TiDB's ErrLoadDataPreCheckFailed.
const codePrecheckFailed = 8173

// Plan is a task whose source and target have been looked at. It is used for one Run.
type Plan struct {
	r        *Restorer
	task     Task
	folder   source.Folder
	unpacked *compress.Store
	shared   *compress.Shared // of dumps in one compressed file, while rows are brought in; else nil
	listing  *dump.Listing
	archived *archived // nil: the source is a dump
	server   server
	sql      *bySQL // nil: rows go into TiDB's stores
	source   string // fingerprint of the location's files

	databases []*database
	tables    []*table // in the order in which their rows are imported
	sequences []*defined
	views     []*defined
	policies  []*model.PolicyInfo // that the job makes
	system    *systables.Tables   // nil unless accounts and bindings are restored
	leaving   []leaving           // what the archive has no more
	// moved are the targets of all objects that are restored, by their lower-case names in the source.
	moved    map[Name]Name
	skipped  []Skipped
	warnings []string
	findings []precheck.Finding
	backupTS uint64
	// checksTold tells that one of findings is about CHECK constraints.
	checksTold bool

	now      time.Time
	saved    *state // nil for a job that begins, until begin
	resumed  bool   // the job has been run before
	keeper   *keeper
	errors   *badrows.Limit // while rows are brought in
	history  history
	progress progress
}

// database is one of the target.
type database struct {
	name   string
	schema *dump.Schema // nil if the dump has none
	sql    string
	exists bool
	left   []string // of its options, by a server that isn't TiDB
}

// table is one of the target.
type table struct {
	from []Name // more than one if shards are merged
	to   Name
	// schemas are of the same length as from; nil for tables without a schema file.
	schemas []*dump.Schema
	data    []dump.Data
	bytes   int64
	// made is how the table is made, nil if it isn't; ported what a server that isn't TiDB makes of it.
	made   *schema.Table
	ported ported
	exists bool
	// columns are the names of those of a table that exists.
	columns []string
	// was is what a table is called that the archive continues, alters tells that its structure changes, and later which indexes come after its rows.
	was    Name
	alters bool
	later  map[string]bool
	base   int64            // the id of a table whose changes the source has
	info   *model.TableInfo // as it is in the target when an archive's pairs are brought in
	state  *object
}

// renamed tells whether a table that is there has another name in the archive.
func (t *table) renamed() bool { return t.exists && t.was != Name{} && lower(t.was) != lower(t.to) }

// defined is a view or a sequence.
type defined struct {
	from, to Name
	schema   *dump.Schema
	sql      []string
	// collation is a view's collation_connection, "" for the server's own.
	collation string
	runsAs    schema.Account // with whose rights a view is read
	exists    bool
	state     *object
}

// Plan reads listing and schema files, makes all prechecks and changes nothing. Its error holds
// all that they have found; it is importcore.ErrCantGoOn for a checkpoint that doesn't fit any more. The caller runs or closes the plan.
func (r *Restorer) Plan(ctx context.Context, task Task) (_ *Plan, err error) {
	p, err := r.look(ctx, task)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err := precheck.Failure(p.findings); err != nil {
		return nil, err
	}
	for _, f := range precheck.Warnings(p.findings) {
		p.warn("%s", f.Message)
	}
	return p, p.begin()
}

// Inspect is Plan for somebody who only asks: what the prechecks find is in the result. The error is that of
// a location that can't be listed, of an invalid task, or of a context that has ended.
func (r *Restorer) Inspect(ctx context.Context, task Task) (*Inspection, error) {
	p, err := r.look(ctx, task)
	if err != nil {
		return nil, err
	}
	return &Inspection{Findings: p.findings, Contents: p.Contents()}, p.Close()
}

// look makes a plan with all findings.
func (r *Restorer) look(ctx context.Context, task Task) (_ *Plan, err error) {
	p := &Plan{r: r, task: task, moved: map[Name]Name{}}
	if p.task.MemoryBudget == 0 {
		p.task.MemoryBudget = importcore.DefaultMemoryBudget
	}
	if p.task.MemoryBudget < importcore.MinMemoryBudget {
		return nil, fault.New(fault.User, 0, "a memory budget of %d bytes is too small for a restore: at least %d are needed",
			p.task.MemoryBudget, importcore.MinMemoryBudget)
	}
	if p.saved, err = load(ctx, task.Checkpoints); err != nil {
		return nil, fmt.Errorf("%w: %w", importcore.ErrCantGoOn, err)
	}
	p.resumed = p.saved != nil
	if p.folder, err = source.OpenFolder(ctx, task.Location, r.inspect); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err = p.openTarget(ctx); err != nil {
		return nil, err
	}
	p.unpacked = compress.NewStore(p.folder, 0)
	if err = p.openSource(ctx); err != nil {
		return nil, err
	}
	return p, p.prepare(ctx)
}

// openSource finds out what the location holds.
func (p *Plan) openSource(ctx context.Context) error {
	files, err := p.folder.List(ctx)
	if err != nil {
		return err
	}
	p.source = fingerprint(files)
	if archive.Is(files) {
		return p.openArchive(ctx)
	}
	if err := p.list(files); err != nil {
		return err
	}
	return errors.Join(p.unmask(ctx), p.readWhole(ctx))
}

// list finds out what a dump's files are.
func (p *Plan) list(files []source.File) error {
	if source.IsFile(p.task.Location, files) {
		p.listing = dump.ReadFile(files[0])
		return nil
	}
	rules, err := dump.NewRules(p.task.Options.Files, p.task.Options.DefaultFiles)
	if err != nil {
		return err
	}
	p.listing = dump.ReadBy(files, rules)
	if p.listing.Shell != "" {
		return fault.New(fault.User, codePrecheckFailed, "%s says that this is a dump of MySQL Shell (util.dumpInstance and the like), which can't be restored: "+
			"use mysqldump, mydumper or Dumpling", p.listing.Shell)
	}
	return nil
}

// prepare finds out what is restored and checks it.
func (p *Plan) prepare(ctx context.Context) error {
	if err := p.choose(); err != nil {
		return err
	}
	if err := p.checkOptions(); err != nil {
		return err
	}
	p.checkStats()
	if err := p.readSchemas(ctx); err != nil {
		return err
	}
	if err := p.lookAtTarget(ctx); err != nil {
		return err
	}
	if err := p.choosePolicies(ctx); err != nil {
		return err
	}
	if err := p.lookForLosses(ctx); err != nil {
		return err
	}
	if err := p.chooseSystem(ctx); err != nil {
		return err
	}
	if err := p.checkHeaders(ctx); err != nil {
		return err
	}
	p.order()
	p.shed()
	if p.saved != nil {
		p.now = time.UnixMilli(p.saved.Now)
		return nil
	}
	if p.sql == nil {
		surroundings, err := p.r.core.InspectCluster(ctx, p.need(), p.task.Options.SkipPrechecks)
		if err != nil {
			return err
		}
		p.findings = append(p.findings, surroundings...)
	}
	if p.now = p.task.Now; p.now.IsZero() {
		now, _, err := p.clock(ctx)
		p.now = now
		return err
	}
	return nil
}

// shed lets go of what only the checks needed: there may be tens of thousands of tables.
func (p *Plan) shed() {
	if p.archived != nil {
		p.archived.texts = nil
	}
	for _, t := range p.tables {
		if t.made != nil && p.sql == nil {
			t.made.Columns = nil
		}
	}
}

// openTarget finds out which way rows take, and what the target is.
func (p *Plan) openTarget(ctx context.Context) (err error) {
	if p.task.Options.BySQL || p.r.core == nil {
		if p.sql, err = openBySQL(ctx, p.r, &p.task); err != nil {
			return err
		}
		p.server = p.r.server(p.sql.target)
		return nil
	}
	p.server = p.r.server(nil)
	return nil
}

// physicalShift is the number of logical bits of a PD timestamp.
const physicalShift = 18

// caution notes what the restore may begin with, but somebody should know.
func (p *Plan) caution(check precheck.Name, format string, args ...any) {
	f := precheck.Warn(format, args...)
	f.Check = check
	p.findings = append(p.findings, f)
}

// finding notes what keeps the restore from beginning.
func (p *Plan) finding(check precheck.Name, format string, args ...any) {
	f := precheck.Fail(format, args...)
	f.Check = check
	p.findings = append(p.findings, f)
}

// begin makes the job's state, or takes up the one that was saved.
func (p *Plan) begin() error {
	basis, err := p.basis()
	if err != nil {
		return err
	}
	if p.saved == nil {
		p.saved = p.newState(basis)
	} else if p.saved.Basis != basis {
		return fault.Wrap(importcore.ErrCantGoOn, fault.User, codePrecheckFailed,
			"the files of the source, or what is to be restored of them, have changed since job %d began; undo that and resume the job, or cancel it", p.task.JobID)
	}
	states := map[Name]*object{}
	for _, o := range p.saved.Objects {
		states[lower(o.name())] = o
	}
	for _, t := range p.tables {
		t.state = states[lower(t.to)]
		t.alters, t.later = t.state.Alters, t.state.Later
	}
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		d.state = states[lower(d.to)]
	}
	p.saved.warnAgain(p.warnings)
	p.keeper = newKeeper(p.task.Checkpoints, p.saved)
	p.progress.init(p)
	return nil
}

// Close ends the use of a plan that is not run.
func (p *Plan) Close() error {
	if p.sql == nil {
		return p.folder.Close()
	}
	return errors.Join(p.sql.close(), p.folder.Close())
}

// basis is a digest of what the work done depends on.
func (p *Plan) basis() (checkpoint.Digest, error) {
	var objects []any
	for _, t := range p.tables {
		var files []any
		for _, d := range t.data {
			files = append(files, d.Identity())
		}
		objects = append(objects, []any{t.from, t.to, files})
	}
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		objects = append(objects, []any{d.from, d.to})
	}
	o, s := p.task.Options, p.task.Session
	zone := "UTC"
	if s.TimeZone != nil {
		zone = s.TimeZone.String()
	}
	all := []any{objects, o.CSV, o.CSVHeader, o.SkipSchemaFiles, o.OnDuplicate, s.SQLMode, zone, s.SysVars, s.User, s.IgnoreForeignKeys}
	if o.MaxErrors > 0 {
		all = append(all, o.MaxErrors)
	}
	return checkpoint.DigestOf(all)
}

// maxNamed bounds how many things an error names.
const maxNamed = 200

// enumerate names things, separated by commas.
func enumerate(list []string) string {
	more := ""
	if len(list) > maxNamed {
		more = fmt.Sprintf(" and %d more", len(list)-maxNamed)
		list = list[:maxNamed]
	}
	return strings.Join(list, ", ") + more
}

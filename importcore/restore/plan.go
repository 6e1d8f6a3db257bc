package restore

import (
	"cmp"
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
	files    []source.File

	databases []*database
	tables    []*table // in the order in which their rows are imported
	sequences []*defined
	views     []*defined
	policies  []*model.PolicyInfo // that the job makes
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
	base   int64 // the id of a table whose changes the source has
	state  *object
}

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

// Contents is what a plan restores.
type Contents struct {
	// Source is the kind of the source.
	Source string
	// Databases are those of the target.
	Databases []string
	// Tables are in the order of the job.
	Tables           []Table
	Views, Sequences []Object
	Skipped          []Skipped
	// Bytes is the size of all data files.
	Bytes int64
}

// Table is a table that is restored. From are several if shards are merged.
type Table struct {
	From   []Name
	To     Name
	Files  int
	Bytes  int64
	Exists bool // and keeps its schema
}

// Object is a view or a sequence that is restored.
type Object struct {
	From, To Name
	Exists   bool // and stays as it is
}

// Skipped is a file that is not restored.
type Skipped struct{ Path, Reason string }

// Inspection is what Inspect has found.
type Inspection struct {
	Findings []precheck.Finding
	Contents Contents
}

// Facts are what a job's row has to hold.
type Facts struct {
	SourceBytes int64
	// Source is another one when a file's name, size or time of change is.
	Source string
	Now    time.Time
	// Tables are the targets that the job writes: tables, views and sequences.
	Tables []Name
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
		p.warnings = append(p.warnings, f.Message)
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
	if p.files, err = p.folder.List(ctx); err != nil {
		return nil, err
	}
	if err := p.list(); err != nil {
		return nil, err
	}
	if archive.Is(p.files) {
		if err := p.openArchive(ctx); err != nil {
			return nil, err
		}
	} else if err := p.readWhole(ctx); err != nil {
		return nil, err
	}
	return p, p.prepare(ctx)
}

// list finds out what the files are.
func (p *Plan) list() error {
	if source.IsFile(p.task.Location, p.files) {
		p.listing = dump.ReadFile(p.files[0])
		return nil
	}
	rules, err := dump.NewRules(p.task.Options.Files, p.task.Options.DefaultFiles)
	if err != nil {
		return err
	}
	p.listing = dump.ReadBy(p.files, rules)
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
	p.order()
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

// choose finds the objects that are restored, and where they go.
func (p *Plan) choose() error {
	c, err := newChooser(&p.task.Selection)
	if err != nil {
		return err
	}
	for _, s := range p.listing.Skipped {
		p.skipped = append(p.skipped, Skipped(s))
	}
	for _, f := range p.listing.Policies {
		p.skipped = append(p.skipped, Skipped{f.Path, "placement policies are not restored: those that tables and databases name must exist"})
	}
	if err := p.chooseTables(c); err != nil {
		return err
	}
	for _, kind := range []struct {
		from []dump.Object
		to   *[]*defined
	}{{p.listing.Sequences, &p.sequences}, {p.listing.Views, &p.views}} {
		for _, o := range kind.from {
			from := Name{o.DB, o.Name}
			if !c.object(from) || p.task.Options.SkipSchemaFiles {
				continue
			}
			to, err := p.move(c, from)
			if err != nil {
				return err
			}
			*kind.to = append(*kind.to, &defined{from: from, to: to, schema: o.Schema})
		}
	}
	p.collisions()
	if err := p.chooseDatabases(c); err != nil {
		return err
	}
	for _, problem := range p.listing.Problems {
		if o := (Name{problem.DB, problem.Object}); o.Table != "" && c.object(o) || o.Table == "" && c.database(o.DB) {
			p.finding(precheck.SourceFile, "%s can't be restored: %s", problem.Path, problem.Reason)
		}
	}
	if missing := c.missing(); len(missing) > 0 {
		p.finding(precheck.SourceFile, "%s holds no %s", locationOf(p.task.Location), enumerate(missing))
	} else if len(p.tables)+len(p.views)+len(p.sequences)+len(p.databases) == 0 {
		p.finding(precheck.SourceFile, "%s holds nothing of a dump that is to be restored", locationOf(p.task.Location))
	}
	p.checkJobs(c)
	return nil
}

// collisions finds objects that would go to one place. Only tables that routes merge may.
func (p *Plan) collisions() {
	at := map[Name]Name{}
	for _, t := range p.tables {
		at[lower(t.to)] = t.from[0]
	}
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		if other, taken := at[lower(d.to)]; taken {
			p.finding(precheck.Schema, "%s and %s can't both become %s", other, d.from, d.to)
			continue
		}
		at[lower(d.to)] = d.from
	}
}

// move notes where an object goes. No two go to one place, but for tables that routes merge.
func (p *Plan) move(c *chooser, from Name) (Name, error) {
	to, err := c.target(from)
	if err == nil {
		p.moved[lower(from)] = to
	}
	return to, err
}

func (p *Plan) chooseTables(c *chooser) error {
	at := map[Name]*table{}
	for _, o := range p.listing.Tables {
		from := Name{o.DB, o.Name}
		if !c.object(from) {
			continue
		}
		to, err := p.move(c, from)
		if err != nil {
			return err
		}
		t := at[lower(to)]
		if t == nil {
			t = &table{to: to}
			at[lower(to)] = t
			p.tables = append(p.tables, t)
		}
		t.from, t.schemas = append(t.from, from), append(t.schemas, o.Schema)
		t.data, t.bytes = append(t.data, o.Data...), t.bytes+o.Bytes
	}
	return nil
}

// chooseDatabases finds the databases that have to be there: those that are restored, and those of objects.
func (p *Plan) chooseDatabases(c *chooser) error {
	at := map[string]*database{}
	need := func(name string) *database {
		l := strings.ToLower(name)
		if at[l] == nil {
			at[l] = &database{name: name}
			p.databases = append(p.databases, at[l])
		}
		return at[l]
	}
	for _, to := range p.moved {
		need(to.DB)
	}
	for _, d := range p.listing.Databases {
		if !c.database(d.Name) {
			continue
		}
		to, err := c.target(Name{DB: d.Name})
		if err != nil {
			return err
		}
		if !c.whole(d.Name) && at[strings.ToLower(to.DB)] == nil {
			continue // some of its objects are selected, and these go elsewhere
		}
		if n := need(to.DB); n.schema == nil {
			n.schema = d.Schema
		}
	}
	slices.SortFunc(p.databases, func(a, b *database) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// order brings the tables into the order in which their rows are imported: small ones first, but those of a compressed file in its order.
func (p *Plan) order() {
	slices.SortStableFunc(p.tables, func(a, b *table) int {
		if a.rank() != b.rank() {
			return cmp.Compare(a.rank(), b.rank())
		}
		if a.rank() != rankOthers {
			return cmp.Or(cmp.Compare(a.data[0].Path, b.data[0].Path), cmp.Compare(a.data[0].Section.Start, b.data[0].Section.Start))
		}
		return cmp.Or(cmp.Compare(a.bytes, b.bytes), cmp.Compare(a.to.DB, b.to.DB), cmp.Compare(a.to.Table, b.to.Table))
	})
}

// The order of tables: first those that are small parts of a compressed file, last those that are large ones.
const (
	rankSmallParts = iota
	rankOthers
	rankLargeParts
)

func (t *table) rank() int {
	switch {
	case !t.part():
		return rankOthers
	case t.bytes <= smallTable:
		return rankSmallParts
	}
	return rankLargeParts
}

// part tells whether the table's rows are in a part of a compressed file.
func (t *table) part() bool {
	return len(t.data) > 0 && t.data[0].Section != nil && t.data[0].Compression != source.Plain
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
	}
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		d.state = states[lower(d.to)]
	}
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

// Contents returns what the plan restores.
func (p *Plan) Contents() Contents {
	out := Contents{Source: "dump", Skipped: p.skipped}
	if p.archived != nil {
		out.Source = "br"
	}
	for _, d := range p.databases {
		out.Databases = append(out.Databases, d.name)
	}
	for _, t := range p.tables {
		out.Tables = append(out.Tables, Table{From: t.from, To: t.to, Files: len(t.data), Bytes: t.bytes, Exists: t.exists})
		out.Bytes += t.bytes
	}
	for _, v := range p.views {
		out.Views = append(out.Views, Object{v.from, v.to, v.exists})
	}
	for _, s := range p.sequences {
		out.Sequences = append(out.Sequences, Object{s.from, s.to, s.exists})
	}
	return out
}

// Facts returns what the job's row has to hold.
func (p *Plan) Facts() Facts {
	f := Facts{Source: fingerprint(p.files), Now: p.now.UTC()}
	for _, t := range p.tables {
		f.SourceBytes += t.bytes
		f.Tables = append(f.Tables, t.to)
	}
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		f.Tables = append(f.Tables, d.to)
	}
	return f
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

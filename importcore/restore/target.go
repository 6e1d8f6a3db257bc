package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// lookers is how many tables of the target are looked at at a time.
const lookers = 6

// lookAtTarget finds what of the target exists already, and whether the dump's objects fit it.
func (p *Plan) lookAtTarget(ctx context.Context) error {
	var names []string
	for _, d := range p.databases {
		names = append(names, d.name)
	}
	databases, objects, err := p.server.Objects(ctx, append(names, p.chainDatabases()...))
	if err != nil {
		return err
	}
	for _, d := range p.databases {
		d.exists = slices.ContainsFunc(databases, func(have string) bool { return strings.EqualFold(have, d.name) })
	}
	have := map[Name]cluster.Object{}
	for _, o := range objects {
		have[lower(Name{o.DB, o.Name})] = o
	}
	p.lookAtDefined(have)
	if p.incremental() {
		return p.lookAtChain(ctx, have)
	}
	own := p.ownObjects()
	var missing, others, taken []string
	var existing []*table
	for _, t := range p.tables {
		is, exists := have[lower(t.to)]
		if o := own[lower(t.to)]; o != nil && o.Own {
			// Of this job; whether it is still the one that it has made is seen when its rows are imported.
			continue
		}
		switch t.exists = exists; {
		case exists && is.Kind != cluster.KindTable:
			others = append(others, t.to.String())
		case exists && p.archived != nil && p.sql == nil:
			taken = append(taken, t.to.String())
		case exists:
			existing = append(existing, t)
		case t.made == nil && (t.schemas[0] == nil || p.task.Options.SkipSchemaFiles): // others have a finding of their own
			missing = append(missing, p.without(t))
		}
	}
	if len(others) > 0 {
		p.finding(precheck.Schema, "the source has tables where the target has views or sequences: %s", enumerate(others))
	}
	if len(taken) > 0 {
		p.finding(precheck.TargetEmpty, "tables of the archive exist already in the cluster: %s", enumerate(taken))
	}
	if len(missing) > 0 {
		p.finding(precheck.Schema, "there is no such table, and no schema file that says how to make it: %s", enumerate(missing))
	}
	if p.sql != nil {
		p.refusePorted()
		p.readableBySQL()
		return p.lookAtTablesBySQL(ctx, existing)
	}
	return p.lookAtTables(ctx, existing, own)
}

// without names a table that can't be made.
func (p *Plan) without(t *table) string {
	switch {
	case p.task.Options.SkipSchemaFiles:
		return t.to.String() + " (skip_schema_files)"
	case len(t.data) > 0:
		return fmt.Sprintf("%s (%s)", t.to, t.data[0].Path)
	}
	return t.to.String()
}

// ownObjects are those of the job's checkpoint.
func (p *Plan) ownObjects() map[Name]*object {
	own := map[Name]*object{}
	if p.saved != nil {
		for _, o := range p.saved.Objects {
			own[lower(o.name())] = o
		}
	}
	return own
}

// lookAtDefined finds the views and sequences that exist. They stay as they are, but for a sequence's next value.
func (p *Plan) lookAtDefined(have map[Name]cluster.Object) {
	own := p.ownObjects()
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		if o := own[lower(d.to)]; o != nil && o.Own {
			continue
		}
		is, exists := have[lower(d.to)]
		if !exists {
			continue
		}
		d.exists = true
		if p.incremental() {
			continue // see lookAtChain
		}
		if want := p.kindOf(d); is.Kind != want {
			p.finding(precheck.Schema, "%s is a %s in the dump and a %s in the cluster", d.to, strings.ToLower(want.String()), strings.ToLower(is.Kind.String()))
			continue
		}
		stays := fmt.Sprintf("%s exists already and stays as it is", d.to)
		if len(d.sql) > 1 { // what follows the CREATE is about values
			stays += ", but it goes on behind the values that the source's has given"
		}
		p.warn("%s", stays)
	}
}

// kindOf tells views from sequences.
func (p *Plan) kindOf(d *defined) cluster.ObjectKind {
	if slices.Contains(p.views, d) {
		return cluster.KindView
	}
	return cluster.KindSequence
}

// lookAtTables checks tables that exist: they take the dump's rows, and have none, unless an earlier run of this job has
// brought them in.
func (p *Plan) lookAtTables(ctx context.Context, existing []*table, own map[Name]*object) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookers)
	filled, differ := make([]bool, len(existing)), make([][]string, len(existing))
	for i, t := range existing {
		group.Go(fault.Contain(func() error {
			info, _, err := p.r.core.Cluster().LoadTable(ctx, t.to.DB, t.to.Table)
			if err != nil {
				return err
			}
			if t.made != nil {
				differ[i] = t.made.Differences(info)
			}
			for _, c := range info.Cols() {
				t.columns = append(t.columns, c.Name.O)
			}
			if o := own[lower(t.to)]; o != nil && (o.Done || len(o.Import) > 0) || len(t.data) == 0 {
				return nil
			}
			var indexes []string
			for _, idx := range info.Indices {
				indexes = append(indexes, idx.Name.O)
			}
			empty, err := p.r.core.Cluster().TableIsEmpty(ctx, t.to.DB, t.to.Table, nil, indexes)
			filled[i] = !empty
			return err
		}))
	}
	if err := group.Wait(); err != nil {
		if f := fault.As(err); f != nil && f.Whose == fault.User && !errors.Is(err, context.Canceled) {
			p.finding(precheck.Schema, "%v", err)
			return nil
		}
		return err
	}
	var full []string
	for i, t := range existing {
		if filled[i] {
			full = append(full, t.to.String())
		}
		if len(differ[i]) > 0 {
			p.finding(precheck.Schema, "table %s exists and doesn't fit the dump's: %s", t.to, enumerate(differ[i]))
		}
	}
	if len(full) > 0 {
		p.finding(precheck.TargetEmpty, "tables that rows are to be restored into hold rows already: %s", enumerate(full))
	}
	return nil
}

// newState is that of a job that begins.
func (p *Plan) newState(basis checkpoint.Digest) *state {
	s := &state{Version: stateVersion, Basis: basis, Now: p.now.UnixMilli(), Mark: "sluice " + uuid.NewString()}
	if p.archived != nil {
		s.BackupTS = p.backupTS
	}
	if p.sql != nil {
		s.SQL = &sqlState{Job: uuid.NewString()}
	}
	if p.system != nil {
		s.System = &systemState{}
	}
	for _, d := range p.databases {
		if !d.exists {
			s.Databases = append(s.Databases, d.name)
		}
	}
	for _, policy := range p.policies {
		s.Policies = append(s.Policies, policy.Name.O)
	}
	for _, t := range p.tables {
		s.Objects = append(s.Objects, &object{DB: t.to.DB, Name: t.to.Table, Own: !t.exists, ID: t.base, Alters: t.alters, Renames: t.renamed(), Later: t.later})
	}
	for _, l := range p.leaving {
		if l.id != 0 {
			s.Gone = append(s.Gone, &object{DB: l.to.DB, Name: l.to.Table, Kind: l.kind, ID: l.id})
		}
	}
	if p.changesWhatWasThere() {
		s.Version = changingState
	}
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		if !d.exists {
			s.Objects = append(s.Objects, &object{DB: d.to.DB, Name: d.to.Table, Kind: p.kindOf(d), Own: true})
		}
	}
	return s
}

// need is what the rows of all tables take. Of compressed files nobody knows the text's size yet: they count as they are. The pairs of an archive
// are as large as its files.
func (p *Plan) need() (n importcore.Need) {
	_, large := p.shares()
	for _, t := range p.tables {
		if p.archived != nil {
			n.Pairs += t.bytes
			continue
		}
		pairs := importcore.PairsOf(t.bytes, t.indexes())
		n.Pairs += pairs
		if t.bytes > smallTable { // one at a time; small ones fit into memory, or nearly
			n.Spill = max(n.Spill, importcore.SpillOf(pairs, large.memory, large.quota))
		}
	}
	return n
}

// indexes is how many the table is made with, beside the key of its rows; of one that exists it counts as one.
func (t *table) indexes() int {
	if t.made == nil {
		return 1
	}
	return t.made.Indexes
}

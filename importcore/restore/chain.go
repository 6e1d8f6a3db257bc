package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/archive/define"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// lookAtChain finds the objects that the archive continues, before anything is changed: they are what the archives before have left.
func (p *Plan) lookAtChain(ctx context.Context, have map[Name]cluster.Object) error {
	if p.saved != nil {
		return p.lookAgain(have)
	}
	leaves := map[Name]bool{} // names that get free
	var missing, taken []string
	for i := range p.leaving {
		l := &p.leaving[i]
		is, exists := have[lower(l.to)]
		switch {
		case exists && l.how == "DROP "+is.Kind.String():
			leaves[lower(l.to)], l.id, l.kind = true, is.ID, is.Kind
		case !l.soft:
			missing = append(missing, l.to.String())
		}
	}
	var bases []*table
	for _, t := range p.tables {
		if p.archived.changes.created[p.archived.objects[lower(t.from[0])].Info.ID] {
			continue
		}
		if is, exists := have[lower(t.was)]; !exists || is.Kind != cluster.KindTable {
			missing = append(missing, t.was.String())
			continue
		}
		if t.exists = true; t.renamed() {
			leaves[lower(t.was)] = true
		}
		bases = append(bases, t)
	}
	for _, t := range p.tables {
		if _, exists := have[lower(t.to)]; exists && !leaves[lower(t.to)] && (!t.exists || t.renamed()) {
			taken = append(taken, t.to.String())
		}
	}
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		d.exists = d.exists && !leaves[lower(d.to)]
		switch {
		case !d.exists:
		case p.archived.changes.created[p.archived.objects[lower(d.from)].Info.ID]:
			taken = append(taken, d.to.String())
		case have[lower(d.to)].Kind != p.kindOf(d):
			missing = append(missing, d.to.String())
		}
	}
	slices.Sort(missing)
	slices.Sort(taken)
	if len(missing) > 0 {
		p.finding(precheck.Schema, "there is no such table, view or sequence, and the archives before have it: %s", enumerate(missing))
	}
	if len(taken) > 0 {
		p.finding(precheck.TargetEmpty, "%s: what exists by these names was made after the archive before", enumerate(taken))
	}
	if err := p.lookAtBases(ctx, bases); err != nil {
		return err
	}
	return p.lookAtLeaving(ctx)
}

// lookAgain takes up what a job has found when it began.
func (p *Plan) lookAgain(have map[Name]cluster.Object) error {
	own := p.ownObjects()
	for _, t := range p.tables {
		if o := own[lower(t.to)]; o != nil && !o.Own {
			t.exists = true
			if is := have[lower(t.to)]; is.ID == o.ID {
				t.was = t.to // it has its name already
			}
		}
	}
	return nil
}

// lookAtBases checks the tables that an archive continues: they have its structure, or that of the archive before, and hold nothing that is later than
// that.
func (p *Plan) lookAtBases(ctx context.Context, bases []*table) error {
	if len(bases) == 0 {
		return nil
	}
	names := make([]Name, len(bases))
	for i, t := range bases {
		names[i] = t.was
	}
	infos, err := p.loadNamed(ctx, names)
	if err != nil {
		return err
	}
	if err := p.checkLast(ctx, names, infos); err != nil {
		return err
	}
	for i, t := range bases {
		from := p.archived.objects[lower(t.from[0])].Info
		t.base = infos[i].ID
		if err := p.checkBase(t, from, infos[i]); err != nil {
			p.finding(precheck.Schema, "%v", err)
		}
		if global := slices.IndexFunc(from.Indices, func(x *model.IndexInfo) bool { return x.Global }); global >= 0 {
			p.finding(precheck.Schema, "changes of table %s can't be restored yet: its index %s is global", t.to, from.Indices[global].Name.O)
			continue
		}
		if err := p.lookForLater(ctx, t.was, infos[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkLast compares the timestamp that the archive begins at with those of what jobs have restored into the tables. The tables themselves can't tell: changes
// that are missing are nowhere. Of a table that was made or altered after its last restore nothing is known.
func (p *Plan) checkLast(ctx context.Context, names []Name, infos []*model.TableInfo) error {
	if p.task.Restored == nil {
		return nil
	}
	last, err := p.task.Restored(ctx, names)
	if err != nil {
		return err
	}
	start := p.archived.archive.StartTS
	var older, parts, unknown []string
	for i, l := range last {
		switch {
		case l.JobID != 0 && !l.Finished:
			parts = append(parts, fmt.Sprintf("%s (job %d)", names[i], l.JobID))
		case l.BackupTS == 0 || infos[i].UpdateTS > l.ClusterTS:
			unknown = append(unknown, names[i].String())
		case l.BackupTS < start:
			older = append(older, fmt.Sprintf("%s (job %d, %d)", names[i], l.JobID, l.BackupTS))
		}
	}
	for _, list := range [][]string{older, parts, unknown} {
		slices.Sort(list)
	}
	note := p.finding
	if slices.Contains(p.task.Options.SkipPrechecks, precheck.LastBackup) {
		note = p.caution
	}
	if len(older) > 0 {
		note(precheck.LastBackup, "the archive has what was changed after the timestamp %d, and tables hold archives of earlier ones, so that the changes in between are missing: %s", start, enumerate(older))
	}
	if len(parts) > 0 {
		note(precheck.LastBackup, "tables may hold a part of what a job was to restore, which RETRY IMPORT JOB completes: %s", enumerate(parts))
	}
	if len(unknown) > 0 {
		p.caution(precheck.LastBackup, "it isn't known what was restored last into tables, so LAST_BACKUP is taken at its word: %s", enumerate(unknown))
	}
	return nil
}

// checkBase finds out whether a table fits, or what has to be changed.
func (p *Plan) checkBase(t *table, from, now *model.TableInfo) error {
	changed := p.archived.changes.first[from.ID] != nil
	if !changed {
		_, err := archive.NewRules(from, now)
		return err
	}
	if how := p.archived.changes.differs(now, from.ID); how != "" {
		return fault.New(fault.User, 0, "the table %s is not what the archive before has left: %s", t.was, how)
	}
	change, err := define.Change(now, from, p.oldIndex(from.ID))
	if err != nil {
		return err
	}
	t.alters, t.later = len(change.Before)+len(change.After) > 0, change.Later
	for _, part := range p.archived.objects[lower(t.from[0])].Parts {
		if _, err := archive.LaterPart(part, t.later); err != nil {
			return err
		}
	}
	return nil
}

// oldIndex tells which of a table's indexes were there before.
func (p *Plan) oldIndex(id int64) func(*model.IndexInfo) bool {
	old := p.archived.changes.oldIndexes(id)
	return func(x *model.IndexInfo) bool { return old == nil || old[x.ID] }
}

// lookForLater finds what others have written to a table after the archive before.
func (p *Plan) lookForLater(ctx context.Context, name Name, info *model.TableInfo) error {
	others, err := p.r.core.Cluster().WrittenAfter(ctx, importcore.RecordIDs(info), p.archived.archive.StartTS)
	if err != nil {
		return err
	}
	if others != "" {
		p.finding(precheck.TargetEmpty, "table %s is not what the archive of the timestamp %d has left: it holds or held %s", name, p.archived.archive.StartTS, others)
	}
	return nil
}

// lookAtLeaving checks the tables that are to be dropped, and tells what is going to be changed.
func (p *Plan) lookAtLeaving(ctx context.Context) error {
	var names []Name
	var told []string
	for _, l := range p.leaving {
		if l.id == 0 {
			continue
		}
		told = append(told, fmt.Sprintf("%s %s", l.how, l.to))
		if l.kind == cluster.KindTable {
			names = append(names, l.to)
		}
	}
	for _, t := range p.tables {
		if t.renamed() {
			told = append(told, fmt.Sprintf("RENAME TABLE %s TO %s", t.was, t.to))
		}
		if t.alters {
			told = append(told, fmt.Sprintf("ALTER TABLE %s", t.to))
		}
	}
	if len(told) > 0 {
		p.caution(precheck.Schema, "what was there is changed as in the archive: %s", enumerate(told))
	}
	if len(names) == 0 {
		return nil
	}
	infos, err := p.loadNamed(ctx, names)
	if err != nil {
		return err
	}
	for i, info := range infos {
		if err := p.lookForLater(ctx, names[i], info); err != nil {
			return err
		}
	}
	return nil
}

// chainDatabases are the databases in which something is that the archive has elsewhere, or no more.
func (p *Plan) chainDatabases() (names []string) {
	add := func(db string) {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, db) }) {
			names = append(names, db)
		}
	}
	for _, l := range p.leaving {
		add(l.to.DB)
	}
	for _, t := range p.tables {
		if t.was != (Name{}) {
			add(t.was.DB)
		}
	}
	return names
}

package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// # Archives that continue another one
//
// They hold the newest change of each key since the archive before, with the timestamps of these changes. So they go into tables
// that hold just what the archives before have brought in: all of it is older, nothing of it is newer. Because the timestamps
// stay, bringing the changes in again changes nothing, and what others write to the tables is known by its later timestamps.

// incremental tells whether the source is such an archive.
func (p *Plan) incremental() bool { return p.archived != nil && p.archived.archive.Incremental() }

// checkChain makes sure that the archive continues what the user says that the tables hold.
func (p *Plan) checkChain(a *archive.Archive) error {
	refuse := func(format string, args ...any) error {
		return fault.New(fault.User, codePrecheckFailed, format, args...)
	}
	last := p.task.Options.LastBackup
	switch {
	case !a.Incremental() && last != 0:
		return refuse("LAST_BACKUP = %d: the archive is a full one, of the timestamp %d, and continues none", last, a.EndTS)
	case !a.Incremental():
		return nil
	case last == 0:
		return refuse("the archive holds only what has changed since another one of the timestamp %d: LAST_BACKUP = %d says that this, and all before it, has been restored", a.StartTS, a.StartTS)
	case last != a.StartTS:
		return refuse("the archive continues the one of the timestamp %d, and not that of LAST_BACKUP = %d", a.StartTS, last)
	case p.sql != nil:
		return refuse("the archive holds only what has changed since another one, which can't be restored by SQL")
	}
	return nil
}

// checkJobs finds the changes of schemas that the archive has, and refuses those that would have to be made to what is there. It comes
// after everything else has been chosen.
func (p *Plan) checkJobs(c *chooser) {
	if !p.incremental() {
		return
	}
	var refused []string
	p.archived.created = map[int64]bool{}
	for _, j := range p.archived.archive.Jobs {
		name := p.jobName(j)
		if name.DB != "" && (name.Table != "" && !c.object(name) || name.Table == "" && !c.database(name.DB)) {
			continue
		}
		switch j.Type {
		case model.ActionCreateSchema:
		case model.ActionCreateTable, model.ActionCreateView, model.ActionCreateSequence:
			p.archived.created[j.TableID] = true
		case model.ActionCreateTables:
			for _, t := range j.BinlogInfo.MultipleTableInfos {
				p.archived.created[t.ID] = true
			}
		default:
			if dropped := j.Type == model.ActionDropTable && p.archived.created[j.TableID]; !dropped {
				refused = append(refused, fmt.Sprintf("%s (%s)", name, j.Type))
			}
		}
	}
	if len(refused) > 0 {
		p.finding(precheck.Schema, "between the archive and the one before schemas were changed, which can't be restored yet: %s", enumerate(refused))
	}
}

// jobName is what a change of a schema was made to. Old jobs name databases by their ids alone.
func (p *Plan) jobName(j *model.Job) Name {
	name := Name{j.SchemaName, j.TableName}
	for _, db := range p.archived.archive.Databases {
		if name.DB == "" && db.Info.ID == j.SchemaID {
			name.DB = db.Name
		}
	}
	if b := j.BinlogInfo; name.Table == "" && b != nil && b.TableInfo != nil {
		name.Table = b.TableInfo.Name.O
	}
	return name
}

// lookAtBases checks the tables that an archive continues: they have its structure, and hold nothing that is later than the archive before.
func (p *Plan) lookAtBases(ctx context.Context, bases []*table) error {
	infos, err := p.loadTables(ctx, bases)
	if err != nil {
		return err
	}
	own := p.ownObjects()
	for i, t := range bases {
		from := p.archived.objects[lower(t.from[0])].Info
		t.base = infos[i].ID
		if _, err := archive.NewRules(from, infos[i]); err != nil {
			p.finding(precheck.Schema, "%v", err)
		}
		switch global := slices.IndexFunc(from.Indices, func(x *model.IndexInfo) bool { return x.Global }); {
		case p.archived.created[from.ID]:
			p.finding(precheck.TargetEmpty, "table %s exists, but was made after the archive before", t.to)
			continue
		case global >= 0:
			p.finding(precheck.Schema, "changes of table %s can't be restored yet: its index %s is global", t.to, from.Indices[global].Name.O)
			continue
		}
		if o := own[lower(t.to)]; o != nil && o.Sent {
			continue // what is later may be the job's
		}
		others, err := p.r.core.Cluster().WrittenAfter(ctx, importcore.RecordIDs(infos[i]), p.archived.archive.StartTS)
		if err != nil {
			return err
		}
		if others != "" {
			p.finding(precheck.TargetEmpty, "table %s is not what the archive of the timestamp %d has left: it holds or held %s", t.to, p.archived.archive.StartTS, others)
		}
	}
	return nil
}

// loadTables returns the present schemas of tables of the target.
func (p *Plan) loadTables(ctx context.Context, tables []*table) ([]*model.TableInfo, error) {
	names := make([]cluster.TableName, len(tables))
	for i, t := range tables {
		names[i] = cluster.TableName{DB: t.to.DB, Table: t.to.Table}
	}
	infos, _, err := p.r.core.Cluster().LoadTables(ctx, names)
	return infos, err
}

// checkBases returns an error if others have written to tables that the archive continues: anything later than a timestamp. Tables whose
// changes may have been sent are left out if unsent is asked for.
func (p *Plan) checkBases(ctx context.Context, tables []*table, ts uint64, unsent bool) error {
	bases := slices.DeleteFunc(slices.Clone(tables), func(t *table) bool { return t.state.Own || unsent && t.state.Sent })
	if len(bases) == 0 {
		return nil
	}
	infos, err := p.loadTables(ctx, bases)
	if err != nil {
		return err
	}
	var found []string
	for i, t := range bases {
		others, err := p.r.core.Cluster().WrittenAfter(ctx, importcore.RecordIDs(infos[i]), ts)
		if err != nil {
			return err
		}
		if others != "" {
			found = append(found, fmt.Sprintf("%s (%s)", t.to, others))
		}
	}
	if len(found) > 0 {
		return fault.New(fault.User, codePrecheckFailed, "tables were changed by others while the restore went on: %s", enumerate(found))
	}
	return nil
}

// endBase does for a table that the archive continues what making it does for others: next automatic ids. The archive's sums are of the changes
// alone, so the table's rows and indexes are compared with each other.
func (p *Plan) endBase(ctx context.Context, t *table) error {
	info, c := p.archived.objects[lower(t.from[0])].Info, p.r.core.Cluster()
	var ids cluster.AutoIDs
	if next := info.AutoIncID; next > 1 {
		ids.RowID, ids.AutoIncrement = next-1, uint64(next-1)
	}
	if info.SepAutoInc() {
		ids.RowID = max(info.AutoIncIDExtra-1, 0)
	}
	if next := info.AutoRandID; next > 1 {
		ids.AutoRandom = next - 1
	}
	if err := c.RebaseAutoIDs(ctx, t.to.DB, t.to.Table, ids); err != nil {
		return err
	}
	if p.task.Options.Checksum == importcore.ChecksumOff {
		return nil
	}
	if _, err := c.Query(ctx, "ADMIN CHECK TABLE "+t.to.String()); err != nil {
		return fault.Wrap(err, fault.Cluster, 0, "the rows and indexes of table %s don't agree, or can't be compared", t.to)
	}
	return nil
}

// advance makes sequences that exist go on behind the values that the archive's have given.
func (p *Plan) advance(exec cluster.Exec) error {
	if !p.incremental() {
		return nil
	}
	for _, s := range p.sequences {
		if !s.exists {
			continue
		}
		for _, sql := range s.sql[1:] {
			if _, err := exec(sql); err != nil {
				return definingError(err, s.to, s.schema)
			}
		}
	}
	return nil
}

// halfChanged says which tables that were there may hold a part of the archive's changes, and what becomes of these: nothing but the job itself can
// bring in the rest, so it keeps its checkpoint and what it has made. "" if no table does.
func (s *state) halfChanged() string {
	var names []string
	for _, o := range s.Objects {
		if !o.Own && o.Sent {
			names = append(names, o.name().String())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "tables may hold a part of the archive's changes: " + strings.TrimSpace(enumerate(names)) +
		": RETRY IMPORT JOB brings in the others, and none twice; all that the job has made stays"
}

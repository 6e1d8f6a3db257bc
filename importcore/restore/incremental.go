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

// loadTables returns the present schemas of tables of the target.
func (p *Plan) loadTables(ctx context.Context, tables []*table) ([]*model.TableInfo, error) {
	names := make([]Name, len(tables))
	for i, t := range tables {
		names[i] = t.to
	}
	return p.loadNamed(ctx, names)
}

func (p *Plan) loadNamed(ctx context.Context, list []Name) ([]*model.TableInfo, error) {
	names := make([]cluster.TableName, len(list))
	for i, n := range list {
		names[i] = cluster.TableName{DB: n.DB, Table: n.Table}
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
	return changedByOthers(found)
}

func changedByOthers(found []string) error {
	if len(found) == 0 {
		return nil
	}
	return fault.New(fault.User, codePrecheckFailed, "tables were changed by others while the restore went on: %s", enumerate(found))
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

// halfChanged says which tables that were there may hold a part of the archive's changes, and what becomes of these: nothing but the job itself can
// bring in the rest, so it keeps its checkpoint and what it has made. "" if no table does.
func (s *state) halfChanged() string {
	var names []string
	for _, o := range s.Objects {
		if s.touched(o) {
			names = append(names, o.name().String())
		}
	}
	for _, g := range s.Gone {
		if s.Changing {
			names = append(names, (Name{g.DB, g.Name}).String()+" (dropped as in the archive)")
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "tables may hold a part of the archive's changes: " + strings.TrimSpace(enumerate(names)) +
		": RETRY IMPORT JOB brings in the others, and none twice; all that the job has made stays"
}

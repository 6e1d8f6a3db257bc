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
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
)

// changesWhatWasThere tells whether the job drops, renames or alters something.
func (p *Plan) changesWhatWasThere() bool {
	return p.incremental() && (slices.ContainsFunc(p.leaving, func(l leaving) bool { return l.id != 0 }) || slices.ContainsFunc(p.tables, func(t *table) bool {
		return t.alters || t.renamed()
	}))
}

// changeObjects drops what the archive has no more, and gives tables their new names. What an earlier run of the job may have asked for is waited for:
// the server goes on with that.
func (p *Plan) changeObjects(ctx context.Context, exec cluster.Exec) error {
	if !p.incremental() {
		return nil
	}
	if err := p.alterDatabases(exec); err != nil {
		return err
	}
	if p.saved.Version < changingState || p.saved.Altered {
		return nil
	}
	if p.resumed && p.saved.Changing {
		if err := p.r.core.Cluster().Settle(ctx, p.saved.Mark); err != nil {
			return err
		}
	}
	if err := p.checkUnchanged(ctx); err != nil {
		return err
	}
	p.keeper.change(func() { p.saved.Changing = true })
	if err := p.keeper.save(ctx); err != nil {
		return err
	}
	for _, o := range p.saved.Gone {
		if err := p.dropGone(ctx, exec, o); err != nil {
			return err
		}
	}
	return p.renameTables(ctx, exec)
}

// dropGone drops an object that the archive has no more. What others write to a table in the moment in which it is dropped is found afterwards, in
// the keys of its ids, and is an error; a job that is tried again goes on behind it.
func (p *Plan) dropGone(ctx context.Context, exec cluster.Exec, o *object) error {
	id, exists, err := p.server.TableID(ctx, o.DB, o.Name)
	if err != nil || !exists || id != o.ID {
		return err // it is gone already
	}
	var ids []int64
	if o.Kind == cluster.KindTable {
		infos, err := p.loadNamed(ctx, []Name{o.name()})
		if err != nil {
			return err
		}
		ids = importcore.RecordIDs(infos[0])
	}
	if _, err := exec(p.saved.marked(fmt.Sprintf("DROP %s %s", o.Kind, o.name()))); err != nil {
		return changingError(err, o.name())
	}
	if err := p.keeper.save(ctx); err != nil { // which also says whether the job is still this process's
		return err
	}
	if len(ids) == 0 {
		return nil
	}
	others, err := p.r.core.Cluster().WrittenAfter(ctx, ids, p.archived.archive.StartTS)
	if err == nil && others != "" {
		err = fault.New(fault.User, codePrecheckFailed, "table %s was dropped as in the archive, and with it %s: FLASHBACK TABLE %s TO another name brings them back while tikv_gc_life_time lasts",
			o.name(), others, o.name())
	}
	return err
}

// vacated are the names of what was there and is dropped or gets another name.
func (p *Plan) vacated() (names []Name) {
	for _, o := range p.saved.Gone {
		names = append(names, o.name())
	}
	for _, t := range p.tables {
		if t.renamed() {
			names = append(names, t.was)
		}
	}
	return names
}

// checkUnchanged makes sure, right before the first change, that nobody has written to tables that go.
func (p *Plan) checkUnchanged(ctx context.Context) error {
	var found []string
	for _, o := range p.saved.Gone {
		if o.Kind != cluster.KindTable {
			continue
		}
		id, exists, err := p.server.TableID(ctx, o.DB, o.Name)
		if err != nil {
			return err
		}
		if !exists || id != o.ID {
			if p.saved.Changing {
				continue
			}
			return replaced("table " + o.name().String())
		}
		infos, err := p.loadNamed(ctx, []Name{o.name()})
		if err != nil {
			return err
		}
		others, err := p.r.core.Cluster().WrittenAfter(ctx, importcore.RecordIDs(infos[0]), p.archived.archive.StartTS)
		if err != nil {
			return err
		}
		if others != "" {
			found = append(found, fmt.Sprintf("%s (%s)", o.name(), others))
		}
	}
	return changedByOthers(found)
}

// renameTables gives the tables of before the names that they have in the archive, all by one statement, which has an effect as a whole or none.
func (p *Plan) renameTables(ctx context.Context, exec cluster.Exec) error {
	var from, to []Name
	for _, t := range p.tables {
		if !t.renamed() {
			continue
		}
		id, exists, err := p.server.TableID(ctx, t.to.DB, t.to.Table)
		if err != nil {
			return err
		}
		if exists && id == t.state.ID {
			continue
		}
		if id, exists, err = p.server.TableID(ctx, t.was.DB, t.was.Table); err != nil {
			return err
		} else if !exists || id != t.state.ID {
			return replaced("table " + t.was.String())
		}
		from, to = append(from, t.was), append(to, t.to)
	}
	if len(from) == 0 {
		return nil
	}
	var first, second []string
	for i := range from {
		between := Name{to[i].DB, fmt.Sprintf("_sluice_renamed_%d", i+1)}
		first = append(first, from[i].String()+" TO "+between.String())
		second = append(second, between.String()+" TO "+to[i].String())
	}
	if _, err := exec(p.saved.marked("RENAME TABLE " + strings.Join(append(first, second...), ", "))); err != nil {
		return changingError(err, from[0])
	}
	return p.keeper.save(ctx)
}

// alterDatabases gives databases of before the character sets of the archive's. It is harmless to do it again.
func (p *Plan) alterDatabases(exec cluster.Exec) error {
	for _, d := range p.databases {
		info := p.archived.database(d.schema)
		if info == nil || slices.Contains(p.saved.Databases, d.name) || !p.archived.changes.altered[info.Name.L] {
			continue
		}
		sql := "ALTER DATABASE " + (Name{DB: d.name}).String() + " CHARACTER SET " + info.Charset
		if info.Collate != "" {
			sql += " COLLATE " + info.Collate
		}
		if _, err := exec(p.saved.marked(sql)); err != nil {
			return changingError(err, Name{DB: d.name})
		}
	}
	return nil
}

// altering are the tables of before whose structure changes, and that aren't done.
func (p *Plan) altering() []*table {
	return slices.DeleteFunc(slices.Clone(p.tables), func(t *table) bool { return t.state.Own || !t.alters || t.state.Done })
}

// alterTables gives tables of before the archive's structure, but for what comes when their rows are there.
func (p *Plan) alterTables(ctx context.Context) error {
	tables := p.altering()
	if len(tables) == 0 || p.saved.Altered {
		return nil
	}
	err := p.server.Define(ctx, p.setup(), func(exec cluster.Exec) error {
		for _, t := range tables {
			from := p.archived.objects[lower(t.from[0])].Info
			if err := p.change(ctx, exec, t, p.oldIndex(from.ID), func(c *define.Changing) []string { return c.Before }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.keeper.change(func() { p.saved.Altered = true })
	return nil
}

// change runs statements that change a table, and only those that are left to be run.
func (p *Plan) change(ctx context.Context, exec cluster.Exec, t *table, old func(*model.IndexInfo) bool, pick func(*define.Changing) []string) error {
	from := p.archived.objects[lower(t.from[0])].Info
	infos, err := p.loadTables(ctx, []*table{t})
	if err != nil {
		return err
	}
	if infos[0].ID != t.state.ID {
		return replaced("table " + t.to.String())
	}
	change, err := define.Change(infos[0], from, old)
	if err != nil {
		return err
	}
	for _, text := range pick(change) {
		sql, err := schema.ReadAlter(&schema.File{Path: t.schemas[0].Path, Text: text}, schema.Object{DB: t.from[0].DB, Name: t.from[0].Table}, p.newNames)
		if err != nil {
			return err
		}
		if err := p.prepareSession(exec, t.from[0]); err != nil {
			return err
		}
		remarks, err := exec(p.saved.marked(sql))
		if err != nil {
			return changingError(err, t.to)
		}
		p.remark(t.to, remarks)
		if err := p.keeper.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// completeTables makes what was left out until the rows are there: indexes, and what looks at the rows.
func (p *Plan) completeTables(ctx context.Context) error {
	tables := p.altering()
	if len(tables) == 0 {
		return nil
	}
	if p.resumed {
		if err := p.r.core.Cluster().Settle(ctx, p.saved.Mark); err != nil {
			return err
		}
	}
	all := func(*model.IndexInfo) bool { return true } // those that were there have been dropped
	err := p.server.Define(ctx, p.setup(), func(exec cluster.Exec) error {
		for _, t := range tables {
			if err := p.change(ctx, exec, t, all, func(c *define.Changing) []string { return append(c.Before, c.After...) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	infos, err := p.loadTables(ctx, tables)
	if err != nil {
		return err
	}
	for i, t := range tables {
		if _, err := archive.NewRules(p.archived.objects[lower(t.from[0])].Info, infos[i]); err != nil {
			return err
		}
	}
	return nil
}

// changingError says which object a statement was to change. The end of a context and a cluster that is away stay what they are.
func changingError(err error, name Name) error {
	code := sqlconn.Code(err)
	if code == 0 || fault.IsRetryable(err) {
		return err
	}
	return fault.Wrap(err, fault.User, code, "%s can't be changed as in the archive", name)
}

// newNames gives an object of the source its name in the target.
func (p *Plan) newNames(o schema.Object) schema.Object {
	if to, ok := p.moved[lower(Name{o.DB, o.Name})]; ok {
		return schema.Object{DB: to.DB, Name: to.Table}
	}
	return o
}

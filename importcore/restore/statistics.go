package restore

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// statistics gives tables of an archive statistics: the archive's, or new ones to those that it has none for, or that the options want them for.
func (p *Plan) statistics(ctx context.Context, tables []*table) error {
	var bare []*table
	level := p.task.Options.Analyze
	for _, t := range tables {
		loaded, err := p.loadStats(ctx, t)
		if err != nil {
			return inTable(t.to, err, "")
		}
		if (!loaded || level == importcore.AnalyzeRequired) && level != importcore.AnalyzeOff && p.archivedRows(t) > 0 {
			bare = append(bare, t)
		}
	}
	if len(bare) == 0 {
		return nil
	}
	names := make([]cluster.TableName, len(bare))
	for i, t := range bare {
		names[i] = cluster.TableName{DB: t.to.DB, Table: t.to.Table}
	}
	for i, err := range p.r.core.Cluster().AnalyzeTables(ctx, names) {
		switch {
		case err == nil:
		case level == importcore.AnalyzeRequired || p.ends(ctx, err):
			return inTable(bare[i].to, err, "")
		default:
			p.warn(bare[i], []string{fmt.Sprintf("the rows are restored, but the table could not be analysed: %v", err)})
		}
	}
	return nil
}

// loadStats brings in the archive's statistics of a table. Only an error after which the job can't go on is returned: rows are whole without them.
func (p *Plan) loadStats(ctx context.Context, t *table) (loaded bool, err error) {
	if !p.task.Options.LoadStats {
		return false, nil
	}
	c := p.r.core.Cluster()
	err = p.archived.archive.Stats(ctx, p.archived.objects[lower(t.from[0])], t.to.DB, t.to.Table, func(text []byte) error { return c.LoadStats(ctx, text) })
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, archive.ErrNoStats):
		return false, nil
	case p.ends(ctx, err):
		return false, err
	}
	p.warn(t, []string{fmt.Sprintf("the rows are restored, but not the archive's statistics: %v", err)})
	return false, nil
}

// ends tells whether an error of something that can be left undone is one after which the job can't go on.
func (p *Plan) ends(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, importcore.ErrNotOwner) || importcore.IsAway(ctx, err)
}

// checkStats looks whether the archive has all files with statistics that it says it has.
func (p *Plan) checkStats() {
	if p.archived == nil || p.sql != nil || !p.task.Options.LoadStats {
		return
	}
	for _, t := range p.tables {
		if err := p.archived.archive.CheckStats(p.archived.objects[lower(t.from[0])]); err != nil {
			p.finding(precheck.SourceFile, "%v; LOAD_STATS = FALSE does without", err)
		}
	}
}

package restore

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/archive/tablestats"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/precheck"
)

const (
	// smallStats is up to which size, in bytes, a text of statistics is brought in together with others.
	smallStats = 256 << 10
	// statsTogether is how many bytes of these go together.
	statsTogether = 1 << 20
)

// statistics gives tables of an archive statistics: the archive's, or new ones to those that it has none for, or that the options want them for.
func (p *Plan) statistics(ctx context.Context, tables []*table) error {
	loaded, err := p.loadStats(ctx, tables)
	if err != nil {
		return err
	}
	var bare []*table
	level := p.task.Options.Analyze
	for _, t := range tables {
		if (!loaded[t] || level == importcore.AnalyzeRequired) && level != importcore.AnalyzeOff && p.archivedRows(t) > 0 {
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
			p.warnOf(bare[i], []string{fmt.Sprintf("the rows are restored, but the table could not be analysed: %v", err)})
		}
	}
	return nil
}

// loadStats brings in the archive's statistics of tables, and returns those that have them now. Only an error after which the job can't go on is returned:
// rows are whole without them.
func (p *Plan) loadStats(ctx context.Context, tables []*table) (loaded map[*table]bool, err error) {
	if !p.task.Options.LoadStats {
		return nil, nil
	}
	l := &statsLoader{p: p, loaded: make(map[*table]bool, len(tables))}
	for _, t := range tables {
		err := p.archived.archive.Stats(ctx, p.archived.objects[lower(t.from[0])], t.to.DB, t.to.Table, func(text []byte) error { return l.take(ctx, t, text) })
		if errors.Is(err, archive.ErrNoStats) {
			continue
		}
		if err := l.note(ctx, t, err); err != nil {
			return nil, err
		}
	}
	return l.loaded, l.flush(ctx)
}

// statsLoader brings in statistics, those of small tables together.
type statsLoader struct {
	p      *Plan
	loaded map[*table]bool
	waits  []waitingStats
	size   int // of their texts
}

// waitingStats are statistics that are brought in with others, and the same as LOAD STATS takes it.
type waitingStats struct {
	of   *table
	text []byte
	list []cluster.Statistics
}

// take takes a text of a table's statistics.
func (l *statsLoader) take(ctx context.Context, t *table, text []byte) error {
	if t.state.Own && len(text) <= smallStats { // others' tables may have statistics
		if list, err := tablestats.Read(text, t.info); err == nil {
			l.waits, l.size = append(l.waits, waitingStats{t, text, list}), l.size+len(text)
			if l.size >= statsTogether {
				return l.flush(ctx)
			}
			return nil
		}
	}
	return l.p.r.core.Cluster().LoadStats(ctx, text)
}

// flush brings in what waits: each by LOAD STATS if that doesn't work for all together.
func (l *statsLoader) flush(ctx context.Context) error {
	var all []cluster.Statistics
	for _, w := range l.waits {
		all = append(all, w.list...)
	}
	waits := l.waits
	l.waits, l.size = nil, 0
	c := l.p.r.core.Cluster()
	err := c.SaveStatistics(ctx, all)
	if err == nil || l.p.ends(ctx, err) {
		return err
	}
	l.p.log().Info("statistics are loaded table by table", zap.Int("tables", len(waits)), zap.Error(err))
	for _, w := range waits {
		if err := l.note(ctx, w.of, c.LoadStats(ctx, w.text)); err != nil {
			return err
		}
	}
	return nil
}

// note notes what became of a table's statistics.
func (l *statsLoader) note(ctx context.Context, t *table, err error) error {
	_, again := l.loaded[t]
	l.loaded[t] = err == nil && (!again || l.loaded[t])
	switch {
	case err == nil:
		return nil
	case l.p.ends(ctx, err):
		return inTable(t.to, err, "")
	}
	l.p.warnOf(t, []string{fmt.Sprintf("the rows are restored, but not the archive's statistics: %v", err)})
	return nil
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

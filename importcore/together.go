package importcore

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/pingcap/tidb/pkg/meta/model"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/table"
)

// # Small tables together
//
// An import of a table with a few rows takes its time with questions: is the table the same, is it empty, which sum does it have. Tables that the
// caller has made itself a moment ago, and that have few rows, are imported together, and each of these is asked once for all:
//
//	schemas, ids            a statement and an answer of a status port for all (cluster.LoadTables)
//	is it still empty       a sum over the keys of all, of which a store is asked once per region; it has to be zero
//	checkpoints             saved before the first pair of any is sent, and when all pairs of all are there
//	pairs                   all commit at one timestamp, and those of a region go into one SST, whatever tables they are of
//	checksum                the sum over the keys of all is that of all pairs; if not, each table is asked for its own
//	statistics              one ANALYZE TABLE
//
// What is saved of each table is what Import saves. So a job that was interrupted goes on table by table, with Plan and Import, and each is
// given up by Abandon as any other. The source of such a table is encoded again then.

// TableError is an error of one of several tables. Its text is that of its cause.
type TableError struct {
	// Table is the table's number in the caller's order.
	Table int
	cause error
}

// Error implements error.
func (e *TableError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *TableError) Unwrap() error { return e.cause }

// ofTable says which table an error is of.
func ofTable(i int, err error) error {
	if err == nil {
		return nil
	}
	return &TableError{i, err}
}

// PlanTogether is Plan for tables that the caller has made and that nobody has written to, as far as it knows: it isn't looked whether
// they are empty before the first pair is sent. Each task must begin, and have Checkpoints and Files. Errors of one table are a *TableError. The caller
// imports or closes the plans.
func (c *Core) PlanTogether(ctx context.Context, tasks []ImportTask) (plans []*Plan, err error) {
	defer func() {
		for i := 0; err != nil && i < len(plans); i++ {
			if plans[i] != nil {
				err = errors.Join(err, plans[i].Close())
			}
		}
	}()
	names := make([]cluster.TableName, len(tasks))
	for i := range tasks {
		names[i] = cluster.TableName{DB: tasks[i].DB, Table: tasks[i].Table}
	}
	infos, newCollation, err := c.cluster.LoadTables(ctx, names)
	if err != nil {
		return nil, err
	}
	plans = make([]*Plan, len(tasks))
	for i := range tasks {
		p := &Plan{Task: tasks[i]}
		if err := c.planKnown(ctx, p, infos[i], newCollation); err != nil {
			if p.store != nil {
				err = errors.Join(err, p.Close())
			}
			return plans, ofTable(i, err)
		}
		plans[i] = p
	}
	return plans, nil
}

// planKnown plans the import of a table whose schema is known.
func (c *Core) planKnown(ctx context.Context, p *Plan, info *model.TableInfo, newCollation bool) (err error) {
	if err := c.completeTask(&p.Task); err != nil {
		return err
	}
	if err := p.openSource(ctx, c.SourceConfig()); err != nil {
		return err
	}
	if err := p.load(ctx); err != nil {
		return err
	}
	if p.begun() {
		return fault.New(fault.Sluice, 0, "a table whose import has begun can't be imported together with others")
	}
	p.TableID = info.ID
	if p.target, err = table.NewTarget(p.Task.DB, info, newCollation); err != nil {
		return err
	}
	if err := c.layOut(ctx, p); err != nil {
		return err
	}
	return p.checkBasis()
}

// Together tells whether ImportTogether takes the plan: no row can collide with another one's but by an error, nothing of what is encoded has
// to be kept because encoding it again gives something else, and all of the table is filled.
func (p *Plan) Together() bool {
	t := &p.Task
	return t.OnDuplicate == DuplicateError && t.MaxErrors == 0 && t.BadRows == nil && !t.AllowNonEmpty && len(t.Partitions) == 0 && !p.filled &&
		t.Checkpoints != nil && !p.begunBefore() && len(p.drawnColumns()) == 0
}

// begunBefore tells whether a run before this one has saved something.
func (p *Plan) begunBefore() bool {
	return p.saved.Ingest != nil || p.saved.Encoded.Dir != "" || p.saved.Rounds != nil
}

// givesIDs tells whether rows may get ids that the table's allocators have to know of.
func (p *Plan) givesIDs() bool {
	return p.target.HasRowID() || p.target.AutoIncrement() != nil || p.target.AutoRandom() != nil
}

// ImportTogether runs plans of small tables, for each of which Together holds, and closes them. saveAll makes the given checkpoints, one for each plan
// in its order, those of its task, all at once. The summaries are in the order of the plans.
//
// An error is Import's, and of one table if it is a *TableError: that table is put back as Import does it. All others keep their
// checkpoints and what they hold, for Import or Abandon.
func (c *Core) ImportTogether(ctx context.Context, plans []*Plan, saveAll func(context.Context, [][]byte) error) (_ []*Summary, err error) {
	defer func() {
		for _, p := range plans {
			err = errors.Join(err, p.Close())
		}
	}()
	defer c.load.enter()()
	g := &group{core: c, saveAll: saveAll, log: c.cfg.Logger.With(zap.Int64("job", plans[0].Task.JobID), zap.Int("tables", len(plans)))}
	for _, p := range plans {
		if !p.Together() {
			return nil, fault.New(fault.Sluice, 0, "table %s can't be imported together with others", p.target)
		}
		r := c.newRun(p, func(Event) {})
		r.log = r.log.WithOptions(zap.IncreaseLevel(zap.WarnLevel)) // the steps of thousands of tables are too many lines
		r.together = true
		r.restore()
		r.shape()
		g.runs = append(g.runs, r)
	}
	first := g.runs[0]
	if g.dir, err = newSortDir(c.cfg.SortDir, c.cluster.ID(), first.plan.Task.JobID, first.plan.Task.Part, first.log); err != nil {
		return nil, err
	}
	defer func() { first.cleaned(g.dir.remove()) }()
	work, stop := first.graceful(ctx)
	for _, r := range g.runs {
		r.pausing, r.dir = first.pausing, g.dir
	}
	err = fault.Contain(func() error { return g.steps(work) })()
	stop()
	return g.conclude(ctx, err)
}

// conclude does for all tables what conclude does for one.
func (g *group) conclude(ctx context.Context, err error) ([]*Summary, error) {
	at := 0
	if one := (*TableError)(nil); errors.As(err, &one) {
		at = one.Table
	}
	summaries := make([]*Summary, len(g.runs))
	for i, r := range g.runs {
		if err == nil {
			summaries[i], _ = r.conclude(ctx, nil)
			continue
		}
		if i != at {
			r.leave()
			r.cleaned(r.closeSorting(false))
		}
	}
	if err == nil {
		return summaries, nil
	}
	_, err = g.runs[at].conclude(ctx, err)
	return nil, ofTable(at, err)
}

// group is one ImportTogether under way.
type group struct {
	core    *Core
	runs    []*run
	log     *zap.Logger
	dir     *sortDir
	saveAll func(context.Context, [][]byte) error
	sources []*content // of the runs
}

// steps takes all tables to their end.
func (g *group) steps(ctx context.Context) error {
	for i, r := range g.runs {
		if closed(r.pausing) {
			return ErrPaused
		}
		src, err := r.sortSmall(ctx)
		if err != nil {
			return ofTable(i, err)
		}
		g.sources = append(g.sources, src)
	}
	if err := g.bringIn(ctx); err != nil {
		return err
	}
	return g.finish(ctx)
}

// sortSmall makes the pairs of a run, all of them, with no more memory than a small source needs.
func (r *run) sortSmall(ctx context.Context) (*content, error) {
	memory := r.plan.splitMemory(r.plan.Task.MemoryBudget)
	const least, times = 32 << 10, 4
	need := int(min(times*r.plan.SourceBytes, maxArenaBytes)) + least
	memory.arenaBytes = min(memory.arenaBytes, need)
	for memory.blockBytes > need {
		memory.blockBytes /= 2
	}
	if err := r.openSorting(memory); err != nil {
		return nil, err
	}
	if err := r.numberRows(ctx); err != nil {
		return nil, err
	}
	r.beginRound()
	r.meter = nil // what is small is one round
	return r.sortRound(ctx, memory)
}

// names are the tables' names.
func (g *group) names() []cluster.TableName {
	names := make([]cluster.TableName, len(g.runs))
	for i, r := range g.runs {
		names[i] = cluster.TableName{DB: r.plan.Task.DB, Table: r.plan.Task.Table}
	}
	return names
}

// checkUnchanged looks whether all tables still are what they were when they were planned.
func (g *group) checkUnchanged(ctx context.Context) error {
	infos := make([]*model.TableInfo, len(g.runs))
	for i, r := range g.runs {
		infos[i] = r.plan.target.Info
	}
	return g.core.cluster.CheckTablesUnchanged(ctx, g.names(), infos)
}

// spans are the keys that may be of the tables, in order.
func (g *group) spans() (spans []cluster.KeyRange) {
	for _, r := range g.runs {
		spans = append(spans, r.spans()...)
	}
	slices.SortFunc(spans, func(a, b cluster.KeyRange) int { return bytes.Compare(a.Start, b.Start) })
	return spans
}

// spans are the keys that may be of the table.
func (r *run) spans() []cluster.KeyRange {
	ids := append(RecordIDs(r.plan.target.Info), r.plan.target.Info.ID)
	slices.Sort(ids)
	return spansOf(slices.Compact(ids))
}

// checkEmpty looks whether nobody has written to the tables.
func (g *group) checkEmpty(ctx context.Context) error {
	sum, err := g.core.cluster.ChecksumMany(ctx, "", g.spans())
	if err != nil || sum.Pairs == 0 {
		return err
	}
	for i, r := range g.runs {
		sum, err := g.core.cluster.ChecksumMany(ctx, "", r.spans())
		if err != nil {
			return err
		}
		if sum.Pairs > 0 {
			return ofTable(i, fault.New(fault.User, codePrecheckFailed, "PreCheck failed: target table is not empty"))
		}
	}
	return nil // what there was is gone
}

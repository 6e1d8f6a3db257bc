package restore

import (
	"context"
	"errors"

	"github.com/sluicedb/sluice/importcore"
)

const (
	// leastTogether tables, if there are so many, are imported together even if lanes have nothing to do for it. togetherTables tables at most are imported together, with togetherBytes of data files at most; a table of more than smallestTable is imported alone.
	leastTogether  = 16
	togetherTables = 64
	togetherBytes  = 4 << 20
	smallestTable  = 512 << 10
)

// batches divides the tables that a share is for, and that are not done, into those that are imported together, by their numbers.
func (p *Plan) batches(s share) (out [][]int) {
	var few []int
	for i, t := range p.tables {
		switch {
		case t.state.Done || (t.bytes <= smallTable) != s.small:
		case p.mayGoTogether(t):
			few = append(few, i)
		default:
			out = append(out, []int{i}) // what may take long comes first
		}
	}
	most := min(max((len(few)+s.lanes-1)/max(s.lanes, 1), leastTogether), togetherTables)
	var batch []int
	var bytes int64
	for _, i := range few {
		if len(batch) == most || len(batch) > 0 && bytes+p.tables[i].bytes > togetherBytes {
			out = append(out, batch)
			batch, bytes = nil, 0
		}
		batch, bytes = append(batch, i), bytes+p.tables[i].bytes
	}
	if len(batch) > 0 {
		out = append(out, batch)
	}
	return out
}

// mayGoTogether tells whether a table is small, has been made by the job, and has nothing of a run before this one.
func (p *Plan) mayGoTogether(t *table) bool {
	const margin = 16 // pairs of the source on the disk, if it came to that
	return p.sql == nil && t.bytes > 0 && t.bytes <= smallestTable && t.state.Own && t.state.Made && len(t.state.Import) == 0 &&
		p.task.Options.OnDuplicate == importcore.DuplicateError && p.task.Options.MaxErrors == 0 && (p.task.DiskQuota == 0 || p.task.DiskQuota > margin*togetherBytes)
}

// planned is a table, by its number, and the plan of its import.
type planned struct {
	number int
	plan   *importcore.Plan
}

// bringInTogether imports the rows of several small tables. After an error at is the table that it is of.
func (p *Plan) bringInTogether(ctx context.Context, batch []int, s share) (at int, err error) {
	tasks := make([]importcore.ImportTask, len(batch))
	for i, n := range batch {
		tasks[i] = p.importTask(n, s)
		p.tell(Event{Table: p.tables[n].to, State: TableRunning})
	}
	plans, err := p.r.core.PlanTogether(ctx, tasks)
	if err != nil {
		at = tableOf(batch, err)
		return at, p.imported(p.tables[at], 0, err)
	}
	var together, alone []planned
	for i, plan := range plans {
		if plan.Together() {
			together = append(together, planned{batch[i], plan})
			continue
		}
		alone = append(alone, planned{batch[i], plan})
	}
	if at, err = p.importTogether(ctx, together); err != nil {
		return at, errors.Join(err, closeAll(alone))
	}
	for i, one := range alone {
		t := p.tables[one.number]
		rows, err := p.importPlanned(ctx, t, one.plan)
		if err = p.imported(t, rows, err); err != nil {
			return one.number, errors.Join(err, closeAll(alone[i+1:]))
		}
	}
	return batch[0], nil
}

// tableOf returns the table of a batch that an error is of; of one that is of all, the first.
func tableOf(batch []int, err error) int {
	if one := (*importcore.TableError)(nil); errors.As(err, &one) {
		return batch[one.Table]
	}
	return batch[0]
}

func closeAll(list []planned) (err error) {
	for _, one := range list {
		err = errors.Join(err, one.plan.Close())
	}
	return err
}

// importTogether imports tables together, and ends the use of their plans.
func (p *Plan) importTogether(ctx context.Context, list []planned) (at int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	var batch []int
	var plans []*importcore.Plan
	for _, one := range list {
		if t := p.tables[one.number]; one.plan.TableID != t.state.ID {
			return one.number, errors.Join(p.imported(t, 0, replaced("table "+t.to.String())), closeAll(list))
		}
		batch, plans = append(batch, one.number), append(plans, one.plan)
		defer p.progress.run(one.plan)()
	}
	sums, err := p.r.core.ImportTogether(ctx, plans, func(ctx context.Context, data [][]byte) error {
		p.keeper.change(func() {
			for i, n := range batch {
				p.tables[n].state.Import = data[i]
			}
		})
		return p.keeper.save(ctx)
	})
	if err != nil {
		at = tableOf(batch, err)
		return at, p.imported(p.tables[at], 0, errors.Join(err, p.renew(ctx, p.tables[at])))
	}
	for i, n := range batch {
		p.warnOf(p.tables[n], sums[i].Warnings)
		if err := p.imported(p.tables[n], sums[i].Rows, nil); err != nil {
			return n, err
		}
	}
	return batch[0], nil
}

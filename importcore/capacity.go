package importcore

import (
	"errors"

	"github.com/docker/go-units"

	"github.com/sluicedb/sluice/importcore/conflict"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// runBytesPerSource is how many bytes of sorted runs a byte of the source
// becomes, as the tables of the benchmarks have it: the records take about
// half of what they are in the file, each index entry a third of that, and the
// number of its row a tenth in every pair.
func runBytesPerSource(indexes int, numbered bool) float64 {
	perByte := 0.6 + 0.3*float64(indexes)
	if numbered {
		perByte += 0.1 * float64(indexes+1)
	}
	return perByte
}

// numbered tells whether pairs carry the numbers of their rows, so that conflicts can be resolved.
func (p *Plan) numbered() bool { return p.Task.OnDuplicate != DuplicateError || p.filled }

// splitMemory shares out the job's budget.
func (p *Plan) splitMemory(budget int64) memorySplit {
	m := splitMemory(budget, p.Task.Threads)
	if p.numbered() {
		m = m.withConflicts()
	}
	if p.Task.CSV.Decodes() {
		m.blockBytes /= 2 // the splitter and each worker have a block's text besides
	}
	return m
}

// checkCapacity refuses a source that is too large to be sorted with the job's
// memory budget, and names one that will do. What a source becomes is an
// estimate; where it is too low, sortkv.FullError ends the job later. How many
// conflicts there are is not known before they are looked for.
func (p *Plan) checkCapacity(indexes int) error {
	estimate := int64(float64(p.SourceBytes) * runBytesPerSource(indexes, p.numbered()))
	budget := p.Task.MemoryBudget
	needed := leastBudget(budget, func(budget int64) bool {
		return estimate <= sortkv.Capacity(p.splitMemory(budget).sort)
	})
	if needed == budget {
		return nil
	}
	return fault.New(fault.User, codePrecheckFailed,
		"PreCheck failed: a memory budget of %s can't sort a source of %s: set import.memory-budget to %s or more",
		units.BytesSize(float64(budget)), units.BytesSize(float64(p.SourceBytes)), units.BytesSize(float64(needed)))
}

// leastBudget doubles a budget until it suffices.
func leastBudget(budget int64, suffices func(int64) bool) int64 {
	for !suffices(budget) {
		budget *= 2
	}
	return budget
}

// describeFull turns what a sorter says of its own memory into the budget that the job needs.
func (r *run) describeFull(err error) error {
	budget := r.plan.Task.MemoryBudget
	var full *sortkv.FullError
	var many *conflict.TooManyError
	var what string
	var suffices func(memorySplit) bool
	switch {
	case errors.As(err, &many):
		what = "the conflicts of this source"
		suffices = func(m memorySplit) bool { return conflict.Capacity(m.conflicts) >= many.Bytes }
	case errors.As(err, &full):
		what = "this source"
		// A quarter more, because blocks count as read before all of their pairs are sorted.
		times := 1.25 * float64(r.plan.SourceBytes) / float64(max(r.plan.progress.sourceBytes.Load(), 1))
		all := int64(times * float64(sortkv.Capacity(full.MemoryBudget)))
		suffices = func(m memorySplit) bool { return sortkv.Capacity(m.sort) >= all }
	default:
		return err
	}
	needed := leastBudget(2*budget, func(b int64) bool { return suffices(r.plan.splitMemory(b)) })
	return fault.Wrap(err, fault.User, codePrecheckFailed, "a memory budget of %s can't sort %s: set import.memory-budget to %s or more",
		units.BytesSize(float64(budget)), what, units.BytesSize(float64(needed)))
}

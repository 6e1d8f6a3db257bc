package logical

import (
	"cmp"
	"context"
	"slices"

	"github.com/sluicedb/sluice/importcore/badrows"
)

// reject is a row that is left out.
type reject struct {
	file   int
	row    int64
	record badrows.Record
}

// tooMany ends an import with more bad rows than MaxErrors. Those of the batch that it ends are in it, the others in the ledger.
type tooMany struct{ rejects []reject }

// Error is never shown: handOver puts the collector's error in its place.
func (*tooMany) Error() string { return "too many bad rows" }

// handOver gives the rows that were left out to the task's sink, in the order of the files, in the place of what an earlier
// run has given it. last are some that aren't in the ledger. Too many of them are a *badrows.LimitError.
func (r *run) handOver(ctx context.Context, last []reject) error {
	if r.task.MaxErrors <= 0 {
		return nil
	}
	var all []reject
	err := r.target.patiently(ctx, func() (err error) {
		all, err = r.ledger.rejects(ctx, r.task.MaxErrors+1)
		return err
	})
	if err != nil {
		return err
	}
	all = append(all, last...)
	slices.SortFunc(all, func(a, b reject) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.row, b.row)) })
	c := badrows.NewCollector(r.task.MaxErrors, r.task.BadRows)
	if err := c.Resume(ctx, badrows.Progress{}); err != nil {
		return err
	}
	for _, one := range all {
		if err := c.Add(ctx, one.record); err != nil {
			return err
		}
	}
	return c.Flush(ctx)
}

package sortkv

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

const (
	// leastIterators are how many iterators over all runs the memory must suffice for.
	leastIterators = 4
	// mostRuns keeps the number of open files, two for each run, below what a
	// process may usually have.
	mostRuns = 400
	// leastFanIn is how many runs one merge should take, before several are made at a time.
	leastFanIn = 64
)

// excess returns how many runs there are more than iterators can do with, in
// number or in memory.
func (s *Sorter) excess(runs []runInfo) int {
	limit := s.budget.total / leastIterators
	var sum int64
	for i, r := range runs {
		if sum += r.needs(s.opts.pageBytes()); i >= 1 && (sum > limit || i >= mostRuns) {
			return len(runs) - i
		}
	}
	return 0
}

// compact merges runs, the smallest first, until no more are left than iterators can do
// with. What was merged is removed from the disk merge by merge.
func (s *Sorter) compact(ctx context.Context) error {
	for {
		groups, workers := s.planCompaction()
		if len(groups) == 0 {
			return nil
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(workers)
		for _, runs := range groups {
			group.Go(func() error { return s.mergeRuns(ctx, runs) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
}

// planCompaction returns the groups of runs to be merged next, and how many at a time.
func (s *Sorter) planCompaction() (groups [][]runInfo, workers int) {
	s.mu.Lock()
	runs := slices.Clone(s.mu.runs)
	s.mu.Unlock()
	slices.SortFunc(runs, func(x, y runInfo) int {
		return cmp.Or(cmp.Compare(x.bytes, y.bytes), cmp.Compare(x.number, y.number))
	})
	excess := s.excess(runs)
	if excess == 0 {
		return nil, 0
	}
	var most int64
	for _, r := range runs {
		most = max(most, r.needs(s.opts.pageBytes()))
	}
	pages := min(int(s.budget.total/most), mostRuns)
	workers = max(1, min(runtime.GOMAXPROCS(0), pages/leastFanIn))
	// A merge has a page to write as well.
	fanIn := max(2, pages/workers-2)
	named, later := s.divide(runs)
	for _, runs := range [][]runInfo{later, named} {
		for excess > 0 && len(runs) > 1 {
			n := min(fanIn, excess+1, len(runs))
			groups = append(groups, runs[:n])
			runs = runs[n:]
			excess -= n - 1
		}
	}
	return groups, workers
}

// mergeRuns makes one run of several.
func (s *Sorter) mergeRuns(ctx context.Context, infos []runInfo) (err error) {
	r := &Sorted{s: s, suffix: s.opts.SuffixBytes}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(infos); err != nil {
		return err
	}
	it, err := r.Iter(ctx, nil, nil)
	if err != nil {
		return err
	}
	merged, err := s.writeRun(ctx, &it.m)
	if err := errors.Join(err, it.Close()); err != nil {
		return err
	}
	s.mu.Lock()
	s.mu.runs = slices.DeleteFunc(s.mu.runs, func(r runInfo) bool { return slices.Contains(infos, r) })
	s.mu.runs = append(s.mu.runs, merged)
	s.mu.written += merged.bytes
	s.mu.Unlock()
	s.opts.Logger.Info("sort runs merged", zap.String("file", s.runPath(merged.number)), zap.Int64("bytes", merged.bytes),
		zap.Int("runs", len(infos)))
	if err := r.close(); err != nil {
		return readError(s.opts.Dir, err)
	}
	if err := s.leaveNote(merged, infos); err != nil {
		return writeError(s.opts.Dir, err)
	}
	for _, info := range infos {
		if err := removeRun(s.opts.FS, s.runPath(info.number)); err != nil {
			return writeError(s.opts.Dir, err)
		}
	}
	return nil
}

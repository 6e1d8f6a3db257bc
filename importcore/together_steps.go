package importcore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/importcore/kv"
)

// saveRuns saves the present states of all tables at once.
func (g *group) saveRuns(ctx context.Context) error {
	all := make([][]byte, len(g.runs))
	for i, r := range g.runs {
		var err error
		if all[i], err = r.saved.Marshal(); err != nil {
			return ofTable(i, err)
		}
	}
	return g.saveAll(ctx, all)
}

// sum is that of all pairs.
func (g *group) sum() (sum kv.Checksum) {
	for _, src := range g.sources {
		sum.Merge(src.Checksum())
	}
	return sum
}

// bringIn sends the pairs of all tables.
func (g *group) bringIn(ctx context.Context) error {
	for _, r := range g.runs {
		r.enter(StepIngest)
	}
	sum := g.sum()
	if sum.Pairs == 0 {
		return nil
	}
	if err := g.checkUnchanged(ctx); err != nil {
		return err
	}
	if err := g.checkEmpty(ctx); err != nil {
		return err
	}
	if err := g.begin(ctx); err != nil {
		return err
	}
	defer func() {
		for _, r := range g.runs {
			if r.sent.Load() {
				r.left = leftPart
			}
		}
	}()
	if err := g.ingest(ctx, sum); err != nil {
		return err
	}
	if err := g.checkUnchanged(ctx); err != nil {
		return err
	}
	for i, r := range g.runs {
		r.saved.Ingest.Complete, r.saved.Ingest.Warnings = true, r.summary.Warnings
		r.plan.progress.ingested.Store(int64(g.sources[i].Checksum().Bytes))
	}
	return g.saveRuns(ctx)
}

// begin decides at which timestamp all pairs commit, and saves what is about to be sent.
func (g *group) begin(ctx context.Context) error {
	ts, alone, err := g.core.cluster.CommitTSO(ctx)
	if err != nil {
		return err
	}
	for i, r := range g.runs {
		r.committed = commit{ts: ts, alone: alone}
		if r.plan.givesIDs() {
			if r.committed.used, err = g.core.cluster.UsedIDs(ctx, r.plan.Task.DB, r.plan.Task.Table); err != nil {
				return ofTable(i, err)
			}
		}
		r.noteBegin(g.sources[i].Checksum())
	}
	return g.saveRuns(ctx)
}

// groupRanges is into how many ranges, at most, the keys of a group are cut: in a cluster with a region for each table so many are written to at a time.
const groupRanges = 8

// leastTogether is how many tables a range has at least: where they share a region, more ranges are only more files.
const leastTogether = 8

// ingest sends the pairs.
func (g *group) ingest(ctx context.Context, sum kv.Checksum) error {
	limits, err := g.core.cluster.RegionLimits(ctx)
	if err != nil {
		return err
	}
	first := g.runs[0]
	src := newManyContents(g)
	stats, err := ingest.Run(ctx, g.core.cluster, src, src.ranges(max(leastTogether, (len(src.parts)+groupRanges-1)/groupRanges)), ingest.Options{
		Concurrency:     groupRanges,
		RegionSplitSize: limits.SplitSize,
		RegionSplitKeys: limits.SplitKeys,
		CutBySize:       true,
		WriteSpeedLimit: first.plan.Task.MaxWriteSpeed,
		Care:            first.care(),
		Total:           ingest.Total{Pairs: int64(sum.Pairs), Bytes: int64(sum.Bytes)},
		CommitTS:        first.committed.ts,
		MemoryBudget:    first.plan.splitMemory(first.plan.Task.MemoryBudget).ingest,
		Permit:          g.permit,
		Hold:            first.hold,
		Stop:            first.pausing,
		Waits:           &first.plan.progress.ingestWaits,
		Observer:        first.observer(),
		Logger:          g.log,
	})
	first.plan.held.end(time.Now())
	if errors.Is(err, ingest.ErrStopped) {
		return ErrPaused
	}
	if err != nil {
		return err
	}
	first.summary.Regions += int64(stats.SSTs)
	for i, r := range g.runs {
		r.plan.progress.tellSent(int64(g.sources[i].Checksum().Bytes))
	}
	return nil
}

// permit is asked before pairs are sent.
func (g *group) permit(ctx context.Context) error {
	if err := g.runs[0].permit(ctx); err != nil {
		return err
	}
	for _, r := range g.runs {
		r.sent.Store(true)
	}
	return nil
}

// finish does what comes after the pairs.
func (g *group) finish(ctx context.Context) error {
	for i, r := range g.runs {
		if r.saved.Ingest != nil {
			r.left = leftUnverified
		}
		r.enter(StepChecksum)
		task := &r.plan.Task
		if err := g.core.cluster.RebaseAutoIDs(r.fenced(ctx), task.DB, task.Table, r.ids); err != nil {
			return ofTable(i, err)
		}
	}
	if err := g.compareChecksums(ctx); err != nil {
		return err
	}
	for i, r := range g.runs {
		if err := r.checkForeignKeys(ctx); err != nil {
			return ofTable(i, err)
		}
		if r.left != "" {
			r.left = leftAll
		}
	}
	if err := g.analyze(ctx); err != nil {
		return err
	}
	for _, r := range g.runs {
		r.enter(StepDone)
	}
	return nil
}

// compareChecksums compares the sum over the keys of all tables with that of all pairs.
func (g *group) compareChecksums(ctx context.Context) error {
	if g.runs[0].plan.Task.Checksum == ChecksumOff {
		return nil
	}
	remote, err := g.core.cluster.ChecksumMany(ctx, "", g.spans())
	if err == nil && remote == g.sum() {
		for _, r := range g.runs {
			r.summary.Remote, r.summary.RemoteKnown = r.summary.Local, true
		}
		return nil
	}
	g.log.Warn("the sum over all tables is not the right one, so each is looked at", zap.Error(err))
	for i, r := range g.runs { // each on its own, with what the options say about an answer that is not to be had
		if err := r.compareChecksum(ctx); err != nil {
			return ofTable(i, err)
		}
	}
	if err == nil { // keys that are neither rows nor entries of an index
		return fault.New(fault.Cluster, 0, "checksum mismatched remote vs local over %d tables together => (checksum: %d vs %d) (total_kvs: %d vs %d) (total_bytes:%d vs %d)",
			len(g.runs), remote.Sum, g.sum().Sum, remote.Pairs, g.sum().Pairs, remote.Bytes, g.sum().Bytes)
	}
	return nil
}

// analyze collects statistics of those tables that have rows.
func (g *group) analyze(ctx context.Context) error {
	level := g.runs[0].plan.Task.Analyze
	if level == AnalyzeOff {
		return nil
	}
	for _, r := range g.runs {
		r.enter(StepAnalyze)
	}
	for i, err := range g.core.cluster.AnalyzeTables(g.runs[0].fenced(ctx), g.names()) {
		r := g.runs[i]
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, ErrNotOwner) || r.interrupted(ctx, err) != nil, level == AnalyzeRequired:
			return ofTable(i, err)
		default:
			r.warn("the rows are imported, but the table could not be analysed", err)
		}
	}
	return nil
}

// manyContents are the pairs of several tables as one. It implements ingest.Pairs.
type manyContents struct{ parts []contentPart } // in key order

// contentPart is where pairs of a table are.
type contentPart struct {
	cluster.KeyRange
	src         *content
	bytes, keys int64 // about
}

func newManyContents(g *group) *manyContents {
	m := &manyContents{}
	for i, r := range g.runs {
		src := g.sources[i]
		sum := src.Checksum()
		if sum.Pairs == 0 {
			continue
		}
		spans := r.spans()
		for _, s := range spans {
			n := int64(len(spans))
			m.parts = append(m.parts, contentPart{KeyRange: s, src: src, bytes: int64(sum.Bytes) / n, keys: int64(sum.Pairs) / n})
		}
	}
	slices.SortFunc(m.parts, func(a, b contentPart) int { return bytes.Compare(a.Start, b.Start) })
	return m
}

// ranges cuts the pairs into ranges of so many parts.
func (m *manyContents) ranges(parts int) (ranges []ingest.Range) {
	for some := range slices.Chunk(m.parts, parts) {
		rng := ingest.Range{Start: some[0].Start, End: some[len(some)-1].End}
		for _, p := range some {
			rng.Bytes, rng.Keys = rng.Bytes+p.bytes, rng.Keys+p.keys
		}
		ranges = append(ranges, rng)
	}
	return ranges
}

// Iter implements ingest.Pairs.
func (m *manyContents) Iter(ctx context.Context, start, end []byte) (ingest.Iterator, error) {
	it := &manyIterator{ctx: ctx}
	for _, p := range m.parts {
		if bytes.Compare(p.Start, start) < 0 {
			p.Start = start
		}
		if bytes.Compare(p.End, end) > 0 {
			p.End = end
		}
		if bytes.Compare(p.Start, p.End) < 0 {
			it.parts = append(it.parts, p)
		}
	}
	return it, nil
}

// manyIterator walks over one table after the other.
type manyIterator struct {
	ctx   context.Context
	parts []contentPart // that are not open yet
	open  ingest.Iterator
	err   error
}

// Next implements ingest.Iterator.
func (it *manyIterator) Next() bool {
	for it.err == nil {
		if it.open != nil {
			if it.open.Next() {
				return true
			}
			it.err = errors.Join(it.open.Err(), it.open.Close())
			it.open = nil
			continue
		}
		if len(it.parts) == 0 {
			return false
		}
		p := it.parts[0]
		it.parts = it.parts[1:]
		it.open, it.err = p.src.Iter(it.ctx, p.Start, p.End)
	}
	return false
}

// Key implements ingest.Iterator.
func (it *manyIterator) Key() []byte { return it.open.Key() }

// Value implements ingest.Iterator.
func (it *manyIterator) Value() []byte { return it.open.Value() }

// Err implements ingest.Iterator.
func (it *manyIterator) Err() error { return it.err }

// Close implements ingest.Iterator.
func (it *manyIterator) Close() error {
	if it.open == nil {
		return nil
	}
	err := it.open.Close()
	it.open = nil
	return err
}

package ingest

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/fault"
)

const (
	minBatchSize = 16 << 10
	maxBatchSize = 256 << 10
)

func (o Options) withDefaults() Options {
	if o.Concurrency <= 0 {
		o.Concurrency = 4
	}
	if o.RegionSplitSize <= 0 {
		o.RegionSplitSize = 96 << 20
	}
	if o.RegionSplitKeys <= 0 {
		o.RegionSplitKeys = 960_000
	}
	if o.MemoryBudget <= 0 {
		o.MemoryBudget = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Sent == nil {
		o.Sent = func(int64) {}
	}
	if o.Waits == nil {
		o.Waits = &Waits{}
	}
	o.Backoff = o.Backoff.withDefaults()
	return o
}

// batchSize is the size of one message in bytes. A worker holds the one it
// fills and up to two in each peer's stream.
func (o Options) batchSize(peers int) int {
	share := o.MemoryBudget / int64(o.Concurrency) / int64(1+2*peers)
	return int(min(max(share, minBatchSize), maxBatchSize))
}

// runner is what the jobs of one Run share.
type runner struct {
	cluster Cluster
	src     Pairs
	opts    Options
	limits  *limiters
	careful *careful
	slots   *slots // nil: Run has none
	get     *DownloadOptions
	// completed counts the ranges of which all is in the cluster.
	completed atomic.Int64
	stats     struct {
		sync.Mutex
		sum     Stats
		regions map[uint64]struct{}
	}
}

// Run brings every pair of the ranges into the cluster, exactly once each, and
// returns what it did. The ranges must be disjoint and ascending. On an error,
// which is a *fault.Error or ctx's cause, part of the pairs may be in the
// cluster; running again with the same CommitTS is harmless. Run returns after
// everything it started has ended.
func Run(ctx context.Context, c Cluster, src Pairs, ranges []Range, opts Options) (Stats, error) {
	if opts.CommitTS == 0 {
		return Stats{}, fault.New(fault.Sluice, 0, "ingest without a commit timestamp")
	}
	if err := validate(ranges); err != nil {
		return Stats{}, err
	}
	r := newRunner(c, opts)
	r.src = src
	total, err := r.run(ctx, ranges, nil)
	if err == nil && len(ranges) > 0 {
		err = checkTotal(total, opts.Total)
	}
	return total, err
}

func newRunner(c Cluster, opts Options) *runner {
	r := &runner{cluster: c, opts: opts.withDefaults(), limits: newLimiters(opts.WriteSpeedLimit, opts.Care.MaxLatency > 0)}
	r.stats.sum.Retries = make(map[Kind]int64)
	r.stats.regions = make(map[uint64]struct{})
	return r
}

// run brings the ranges into the cluster. If there are files, those of a range have its index.
func (r *runner) run(ctx context.Context, ranges []Range, files []Download) (Stats, error) {
	if len(ranges) == 0 {
		return r.total(), nil
	}
	cuts, groups := everyBorder(ranges)
	if files != nil || r.opts.CutBySize {
		cuts, groups = bySize(ranges, r.opts.RegionSplitSize)
	}
	if err := r.prepare(ctx, cuts, groups); err != nil {
		return r.total(), err
	}
	r.careful = newCareful(ctx, &r.opts, r.limits)
	err := r.runJobs(ctx, ranges, files)
	r.careful.close()
	return r.total(), err
}

// runJobs runs a job per range, Concurrency at a time and in key order, which
// keeps neighbouring ranges close in time and the source's reads local.
func (r *runner) runJobs(ctx context.Context, ranges []Range, files []Download) error {
	g, jobCtx := errgroup.WithContext(ctx)
	g.SetLimit(r.opts.Concurrency)
	for i, rng := range ranges {
		if jobCtx.Err() != nil || r.stopping() {
			break
		}
		g.Go(fault.Contain(func() error {
			j := &job{runner: r, rng: rng}
			if files != nil {
				j.from = &files[i]
			}
			return j.run(jobCtx)
		}))
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if r.stopping() && r.completed.Load() < int64(len(ranges)) {
		return ErrStopped
	}
	return nil
}

// stopping tells whether nothing more is to be begun.
func (r *runner) stopping() bool {
	select {
	case <-r.opts.Stop:
		return true
	default:
		return false
	}
}

// prepare cuts the regions at the keys and spreads those of the groups. Both only
// make the ingest faster and the load even: what fails here is logged and the
// pairs go to the regions that there are.
func (r *runner) prepare(ctx context.Context, keys [][]byte, groups [][]Range) error {
	if len(keys) == 0 {
		return nil
	}
	if err := r.cluster.SplitRegions(ctx, keys); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.opts.Logger.Warn("ingest: regions could not be split, going on without", zap.Error(err))
		return nil
	}
	for _, g := range groups {
		if err := r.cluster.ScatterRegions(ctx, g[0].Start, g[len(g)-1].End); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r.opts.Logger.Warn("ingest: regions could not be scattered, going on without", zap.Error(err))
		}
	}
	return nil
}

// everyBorder cuts at the borders of all ranges.
func everyBorder(ranges []Range) (keys [][]byte, groups [][]Range) {
	groups = touching(ranges)
	for _, g := range groups {
		for _, rng := range g {
			keys = append(keys, rng.Start)
		}
		keys = append(keys, g[len(g)-1].End)
	}
	return keys, groups
}

// touching groups ranges between which nothing lies: what lies between two
// groups belongs to others.
func touching(ranges []Range) [][]Range {
	var groups [][]Range
	start := 0
	for i := 1; i <= len(ranges); i++ {
		if i == len(ranges) || !bytes.Equal(ranges[i-1].End, ranges[i].Start) {
			groups = append(groups, ranges[start:i])
			start = i
		}
	}
	return groups
}

func (r *runner) total() Stats {
	r.stats.Lock()
	defer r.stats.Unlock()
	s := r.stats.sum
	s.Regions = len(r.stats.regions)
	return s
}

func validate(ranges []Range) error {
	for i, rng := range ranges {
		if len(rng.Start) == 0 || bytes.Compare(rng.Start, rng.End) >= 0 {
			return fault.New(fault.Sluice, 0, "ingest of the empty range [%x, %x)", rng.Start, rng.End)
		}
		if i > 0 && bytes.Compare(ranges[i-1].End, rng.Start) > 0 {
			return fault.New(fault.Sluice, 0, "ingest of overlapping ranges at %x", rng.Start)
		}
	}
	return nil
}

// checkTotal compares what was ingested with what the source holds.
func checkTotal(s Stats, want Total) error {
	if s.Pairs != want.Pairs || s.Bytes != want.Bytes {
		return fault.New(fault.Sluice, 0, "the source has %d pairs of %d bytes, but %d pairs of %d bytes were ingested",
			want.Pairs, want.Bytes, s.Pairs, s.Bytes)
	}
	return nil
}

package ingest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/importcore/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fastOptions are for ingesting all of src, with hardly any waits.
func fastOptions(src *mapPairs) Options {
	return Options{
		Total:    src.total(),
		CommitTS: 42, Concurrency: 3, RegionSplitKeys: 70, MemoryBudget: 1,
		Backoff: Backoff{Base: time.Microsecond, Max: 10 * time.Microsecond},
	}
}

// requireAll checks that the stores hold exactly the source's pairs and that
// nothing happened that must not.
func (kv *fakeTiKV) requireAll(t *testing.T, src *mapPairs) {
	t.Helper()
	kv.mu.Lock()
	defer kv.mu.Unlock()
	require.Empty(t, kv.violations)
	require.Len(t, kv.data, len(src.keys))
	for i, k := range src.keys {
		require.Equal(t, src.values[i], kv.data[k], "key %q", k)
	}
	require.Equal(t, map[uint64]bool{42: true}, kv.commitTS)
}

// doneParts collects what Options.Done is told.
type doneParts struct {
	mu    sync.Mutex
	parts []Range
}

func (d *doneParts) add(start, end []byte, pairs, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.parts = append(d.parts, Range{Start: start, End: end, Keys: pairs, Bytes: bytes})
}

// requireTiles checks that the parts are the ranges, cut somewhere, and hold what the run has ingested.
func (d *doneParts) requireTiles(t *testing.T, ranges []Range, stats Stats) {
	t.Helper()
	slices.SortFunc(d.parts, func(a, b Range) int { return bytes.Compare(a.Start, b.Start) })
	i := 0
	var pairs, size int64
	for _, r := range ranges {
		for at := r.Start; !bytes.Equal(at, r.End); i++ {
			require.Less(t, i, len(d.parts), "nothing behind %q", at)
			require.Equal(t, string(at), string(d.parts[i].Start))
			at = d.parts[i].End
			pairs, size = pairs+d.parts[i].Keys, size+d.parts[i].Bytes
		}
	}
	require.Len(t, d.parts, i)
	require.Equal(t, [2]int64{stats.Pairs, stats.Bytes}, [2]int64{pairs, size})
}

func TestRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		stores  int
		borders []string
		ranges  int
	}{
		{"one store, one region", 1, nil, 1},
		{"three stores", 3, nil, 4},
		{"regions inside ranges", 3, []string{"k000100", "k0001005", "k000101", "k0007", "kz"}, 2},
		{"border between keys and far away", 2, []string{"a", "k", "k0003x", "z"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kv := newFakeTiKV(t, c.stores, c.borders...)
			src := somePairs(1000)
			ranges := src.ranges(c.ranges)
			opts := fastOptions(src)
			var done doneParts
			opts.Done = done.add
			stats, err := Run(t.Context(), kv, src, ranges, opts)
			require.NoError(t, err)
			kv.requireAll(t, src)
			require.EqualValues(t, 1000, stats.Pairs)
			done.requireTiles(t, ranges, stats)
			var size int64
			for _, r := range ranges {
				size += r.Bytes
			}
			require.Equal(t, size, stats.Bytes)
			require.GreaterOrEqual(t, stats.SSTs, 1000/70)
			require.Empty(t, stats.Retries)
			for _, r := range ranges {
				require.Contains(t, kv.splitKeys, r.Start)
			}
		})
	}
}

// TestRunSurvives injects one fault after another, a few of each, and wants
// every pair in its place all the same.
func TestRunSurvives(t *testing.T) {
	t.Parallel()
	answer := func(e *errorpb.Error) func(*fakeStore, *fakeCall) error {
		return func(_ *fakeStore, c *fakeCall) error { c.answer = e; return nil }
	}
	text := func(s string) func(*fakeStore, *fakeCall) error {
		return func(*fakeStore, *fakeCall) error { return status.Error(codes.Unknown, s) }
	}
	unavailable := func(*fakeStore, *fakeCall) error { return status.Error(codes.Unavailable, "gone") }
	for _, c := range []struct {
		name, method string
		fault        func(*fakeStore, *fakeCall) error
		kind         Kind
	}{
		{"behind PD", "Write", text(`RequestTooNew("")`), KindRequestTooNew},
		{"stale", "Write", text(`RequestTooOld("")`), KindRequestTooOld},
		{"connection lost in write", "Write", unavailable, KindTransport},
		{"unknown text", "Write", text("new in v9"), KindOther},
		{"split before write", "Write", func(s *fakeStore, c *fakeCall) error {
			s.kv.cut([]byte("k000150"))
			return status.Error(codes.Unknown, `RequestTooOld("")`)
		}, KindRequestTooOld},
		{"busy", "MultiIngest", answer(&errorpb.Error{ServerIsBusy: &errorpb.ServerIsBusy{BackoffMs: 1}}), KindServerIsBusy},
		{"stalled", "Probe", answer(&errorpb.Error{ServerIsBusy: &errorpb.ServerIsBusy{}}), KindServerIsBusy},
		{"leader moved", "MultiIngest", func(_ *fakeStore, c *fakeCall) error {
			c.region.leader = (c.region.leader + 1) % len(c.region.meta.Peers)
			c.answer = &errorpb.Error{NotLeader: &errorpb.NotLeader{Leader: c.region.meta.Peers[c.region.leader]}}
			return nil
		}, KindNotLeader},
		{"leader lost", "MultiIngest", answer(&errorpb.Error{NotLeader: &errorpb.NotLeader{}}), KindNotLeader},
		{"split before ingest", "MultiIngest", func(s *fakeStore, c *fakeCall) error {
			s.kv.cut([]byte("k000333"))
			s.kv.cut([]byte("k000035"))
			c.answer = &errorpb.Error{EpochNotMatch: s.kv.current()}
			return nil
		}, KindEpochNotMatch},
		{"epoch without regions", "MultiIngest", answer(&errorpb.Error{EpochNotMatch: &errorpb.EpochNotMatch{}}), KindEpochNotMatch},
		{"region not found", "MultiIngest", answer(&errorpb.Error{RegionNotFound: &errorpb.RegionNotFound{}}), KindRegionNotFound},
		{"stale command", "MultiIngest", answer(&errorpb.Error{StaleCommand: &errorpb.StaleCommand{}}), KindStaleCommand},
		{"dropped", "MultiIngest", answer(&errorpb.Error{Message: "raft: proposal dropped"}), KindProposalDropped},
		{"merging", "MultiIngest", answer(&errorpb.Error{ProposalInMergingMode: &errorpb.ProposalInMergingMode{}}), KindMerging},
		{"connection lost before ingest", "MultiIngest", unavailable, KindTransport},
		{"answer lost after ingest", "MultiIngest", func(s *fakeStore, c *fakeCall) error {
			c.after = true
			return status.Error(codes.Unavailable, "gone")
		}, KindTransport},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kv := newFakeTiKV(t, 3, "k0005")
			src := somePairs(600)
			for range 5 {
				kv.inject(c.method, c.fault)
			}
			var done doneParts
			var sent atomic.Int64
			opts := fastOptions(src)
			opts.Done = done.add
			opts.Waits = &Waits{}
			opts.Sent = func(bytes int64) {
				require.Positive(t, bytes)
				sent.Add(bytes)
			}
			stats, err := Run(t.Context(), kv, src, src.ranges(3), opts)
			require.NoError(t, err)
			kv.requireAll(t, src)
			require.EqualValues(t, 600, stats.Pairs)
			require.Equal(t, stats.Bytes, sent.Load(), "what is sent again isn't told again")
			require.Positive(t, opts.Waits.Store.Load())
			require.Positive(t, opts.Waits.Backoff.Load())
			require.Zero(t, opts.Waits.Limit.Load())
			done.requireTiles(t, src.ranges(3), stats)
			require.Positive(t, stats.Retries[c.kind], "%v", stats.Retries)
			require.Empty(t, kv.faults[c.method], "all faults were met")
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	diskFull := func(_ *fakeStore, c *fakeCall) error {
		c.answer = &errorpb.Error{DiskFull: &errorpb.DiskFull{StoreId: []uint64{2}}}
		return nil
	}
	always := func(kv *fakeTiKV) {
		for range 100 {
			kv.inject("MultiIngest", func(_ *fakeStore, c *fakeCall) error {
				c.answer = &errorpb.Error{RegionNotFound: &errorpb.RegionNotFound{}}
				return nil
			})
		}
	}
	broken := errors.New("disk broken")
	for _, c := range []struct {
		name   string
		arm    func(*fakeTiKV, *mapPairs, []Range, *Options)
		whose  fault.Whose
		text   []string
		causes error
	}{
		{"disk full", func(kv *fakeTiKV, _ *mapPairs, _ []Range, _ *Options) { kv.inject("MultiIngest", diskFull) },
			fault.Cluster, []string{"disk_full after 0 retries", "in region ", "on store ", "6b3030"}, nil},
		{"too many errors", func(kv *fakeTiKV, _ *mapPairs, _ []Range, o *Options) { o.Backoff.Tries = 4; always(kv) },
			fault.Cluster, []string{"region_not_found after 4 retries"}, nil},
		{"source out of order", func(_ *fakeTiKV, p *mapPairs, _ []Range, _ *Options) { p.keys[7] = p.keys[6] },
			fault.Sluice, []string{"key_order"}, nil},
		{"source broken", func(_ *fakeTiKV, p *mapPairs, _ []Range, _ *Options) { p.fail = broken },
			fault.Sluice, []string{"source"}, broken},
		{"count is wrong", func(_ *fakeTiKV, _ *mapPairs, _ []Range, o *Options) { o.Total.Pairs++ },
			fault.Sluice, []string{"has 201 pairs of", "but 200 pairs of"}, nil},
		{"not permitted", func(_ *fakeTiKV, _ *mapPairs, _ []Range, o *Options) {
			o.Permit = func(context.Context) error { return broken }
		}, fault.Sluice, []string{"forbidden after 0 retries"}, broken},
		{"no timestamp", func(_ *fakeTiKV, _ *mapPairs, _ []Range, o *Options) { o.CommitTS = 0 },
			fault.Sluice, []string{"commit timestamp"}, nil},
		{"ranges overlap", func(_ *fakeTiKV, _ *mapPairs, r []Range, _ *Options) { r[0].End = []byte("k0009") },
			fault.Sluice, []string{"overlapping"}, nil},
		{"empty range", func(_ *fakeTiKV, _ *mapPairs, r []Range, _ *Options) { r[0].End = r[0].Start },
			fault.Sluice, []string{"empty range"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kv := newFakeTiKV(t, 3)
			src := somePairs(200)
			ranges, opts := src.ranges(2), fastOptions(src)
			c.arm(kv, src, ranges, &opts)
			_, err := Run(t.Context(), kv, src, ranges, opts)
			require.Error(t, err)
			f := fault.As(err)
			require.NotNil(t, f, "%v", err)
			require.Equal(t, c.whose, f.Whose, "%v", err)
			for _, text := range c.text {
				require.ErrorContains(t, err, text)
			}
			if c.causes != nil {
				require.ErrorIs(t, err, c.causes)
			}
			require.Empty(t, kv.violations)
		})
	}
}

func TestRunIsCancelled(t *testing.T) {
	t.Parallel()
	kv := newFakeTiKV(t, 3)
	src := somePairs(500)
	stopped := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	var once sync.Once
	opts := fastOptions(src)
	opts.Backoff = Backoff{Base: time.Hour, Max: time.Hour}
	opts.Observer = observer{retried: func(Kind, Stage) { once.Do(func() { cancel(stopped) }) }}
	kv.inject("MultiIngest", func(_ *fakeStore, c *fakeCall) error {
		c.answer = &errorpb.Error{ServerIsBusy: &errorpb.ServerIsBusy{}}
		return nil
	})
	_, err := Run(ctx, kv, src, src.ranges(5), opts)
	require.ErrorIs(t, err, stopped, "an hour's wait ends at once")
}

// Took implements Observer.
func (o observer) Took(Stage, time.Duration) {}

// observer implements Observer.
type observer struct{ retried func(Kind, Stage) }

func (o observer) Retried(k Kind, s Stage)                      { o.retried(k, s) }
func (o observer) Ingested(pairs, bytes int64, _ time.Duration) {}

func TestRunOfNothing(t *testing.T) {
	t.Parallel()
	stats, err := Run(t.Context(), newFakeTiKV(t, 1), somePairs(0), nil, fastOptions(somePairs(0)))
	require.NoError(t, err)
	require.Zero(t, stats.Pairs)
}

func TestLimitersWait(t *testing.T) {
	t.Parallel()
	require.NoError(t, newLimiters(0, false).wait(t.Context(), 1, 1<<30), "no limit")
	l := newLimiters(1<<20, false)
	require.NoError(t, l.wait(t.Context(), 1, 1<<16), "the first tenth of a second is free")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.Error(t, l.wait(ctx, 1, 1<<30), "a gigabyte takes longer than that")
	require.NoError(t, l.wait(t.Context(), 2, 1<<16), "another store has tokens of its own")
}

func TestBackoffDelay(t *testing.T) {
	t.Parallel()
	b := Backoff{}.withDefaults()
	var sum time.Duration
	for n := range b.Tries {
		d := b.delay(n, 0)
		require.LessOrEqual(t, d, b.Max*6/5)
		require.GreaterOrEqual(t, d, b.Base*4/5)
		sum += d
	}
	require.Greater(t, sum, 10*time.Minute)
	require.Equal(t, time.Hour, b.delay(0, time.Hour), "what the store asks for counts")
}

// TestGapsBetweenRanges: what lies between ranges is somebody else's, and is
// neither cut nor scattered.
func TestGapsBetweenRanges(t *testing.T) {
	t.Parallel()
	kv := newFakeTiKV(t, 2, "k000700")
	src := somePairs(900)
	src.keys = slices.Delete(src.keys, 300, 600)
	src.values = slices.Delete(src.values, 300, 600)
	ranges := []Range{
		{Start: []byte("k000000"), End: []byte("k000150")},
		{Start: []byte("k000150"), End: []byte("k000300")},
		{Start: []byte("k000600"), End: []byte("l")},
	}
	_, err := Run(t.Context(), kv, src, ranges, fastOptions(src))
	require.NoError(t, err)
	kv.requireAll(t, src)
	require.Equal(t, [][2]string{{"k000000", "k000300"}, {"k000600", "l"}}, kv.scattered)
	var cuts []string
	for _, key := range kv.splitKeys {
		cuts = append(cuts, string(key))
	}
	require.Equal(t, []string{"k000000", "k000150", "k000300", "k000600", "l"}, cuts)
}

// TestRunStops: a run that is to stop ingests what it has written, and the rest is
// for the next one.
func TestRunStops(t *testing.T) {
	t.Parallel()
	kv := newFakeTiKV(t, 3)
	src := somePairs(1000)
	ranges, opts := src.ranges(4), fastOptions(src)
	stop := make(chan struct{})
	var once sync.Once
	var done doneParts
	opts.Stop = stop
	opts.Done = func(start, end []byte, pairs, bytes int64) {
		done.add(start, end, pairs, bytes)
		once.Do(func() { close(stop) })
	}
	stats, err := Run(t.Context(), kv, src, ranges, opts)
	require.ErrorIs(t, err, ErrStopped)
	require.Less(t, stats.Pairs, int64(1000))
	require.Positive(t, stats.Pairs)
	kv.mu.Lock()
	require.Len(t, kv.data, int(stats.Pairs))
	for store, files := range kv.files {
		require.Empty(t, files, "store %d has files that nobody ingests", store)
	}
	kv.mu.Unlock()
	var told int64
	for _, p := range done.parts {
		told += p.Keys
	}
	require.Equal(t, stats.Pairs, told)

	opts.Stop, opts.Done = nil, nil
	_, err = Run(t.Context(), kv, src, ranges, opts)
	require.NoError(t, err)
	kv.requireAll(t, src)
}

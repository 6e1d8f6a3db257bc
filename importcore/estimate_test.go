package importcore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/source"
)

func TestEstimate(t *testing.T) {
	t.Parallel()
	files := []source.File{{Path: "/d/a"}, {Path: "/d/b"}}
	p := &Plan{Task: ImportTask{MemoryBudget: 64 << 20, Threads: 4}, Files: files, SourceBytes: 1_000_000}
	s := &sample{Sample: precheck.Sample{Files: 2, Rows: 100, Bad: 20}, good: 80, read: 10_000, pairs: 160, bytes: 8_000, records: 6_000, spent: 4 * time.Millisecond}

	e := p.estimate(s)
	require.Equal(t, "/d/a", e.FirstFile)
	require.Equal(t, "/d/b", e.LastFile)
	require.EqualValues(t, 10_000, e.Rows, "a hundred times what was read")
	require.EqualValues(t, 20_000, e.Pairs, "with those of rows that could not be encoded")
	require.EqualValues(t, 1_000_000, e.PairBytes)
	require.EqualValues(t, 750_000, e.RecordBytes)
	require.Equal(t, 100*time.Millisecond, e.Encode, "by four threads")
	require.False(t, e.Exact)
	require.Zero(t, e.Spill)

	s.whole = true
	e = p.estimate(s)
	require.True(t, e.Exact)
	require.EqualValues(t, 100, e.Rows)
	require.EqualValues(t, 10_000, e.PairBytes)
	s.whole = false

	// Where the pairs stop to fit into memory, all of them are spilled; the numbers
	// of rows that pairs carry when conflicts are resolved count as well.
	fits := p.splitMemory(p.Task.MemoryBudget).fits(4)
	p.SourceBytes = int64(float64(fits) / runShare)
	require.Zero(t, p.estimate(s).Spill)
	p.SourceBytes += 10_000
	require.Greater(t, p.estimate(s).Spill, fits)
	p.Task.DiskQuota = fits / 3
	require.Equal(t, fits/3, p.estimate(s).Spill)
	require.EqualValues(t, 4, p.estimate(s).Rounds)
	p.Task.DiskQuota = 2 * fits
	require.Zero(t, p.estimate(s).Rounds)
	require.Greater(t, p.estimate(s).Spill, fits)
	p.Task.DiskQuota = 0
	p.SourceBytes = int64(float64(fits) / runShare * 0.9)
	p.Task.OnDuplicate = DuplicateIgnore
	numbered := p.estimate(s)
	require.Less(t, numbered.SortMemory, e.SortMemory)
	require.InEpsilon(t, runShare*float64(numbered.PairBytes+8*numbered.Pairs), numbered.Spill, 0.001)
	p.Task.DiskQuota = numbered.Spill / 2 // which makes no rounds of it
	require.Equal(t, numbered.Spill, p.estimate(s).Spill)
	require.Zero(t, p.estimate(s).Rounds)
}

func TestEstimateOfTheCluster(t *testing.T) {
	t.Parallel()
	limits := cluster.RegionLimits{SplitSize: 100, SplitKeys: 10}
	for _, c := range []struct {
		bytes, pairs, speed int64
		stores, replicas    int
		regions             int64
		writeSpeed          int64
		seconds             float64
	}{
		{0, 0, 0, 3, 3, 1, assumedWriteSpeed, 0},
		{1000, 1, 0, 3, 3, 10, assumedWriteSpeed, 1000.0 / assumedWriteSpeed},
		{1000, 101, 500, 3, 3, 11, 500, 2},
		{1001, 1, 500, 6, 3, 11, 500, 1.001},
		{1000, 1, 500, 1, 3, 10, 500, 2}, // a store has one peer of a region
		{1000, 1, 1 << 40, 0, 3, 10, assumedWriteSpeed, 0},
	} {
		e := Estimate{PairBytes: c.bytes, Pairs: c.pairs}
		e.inCluster(limits, c.stores, c.replicas, c.speed)
		require.Equal(t, c.regions, e.Regions, c)
		require.Equal(t, c.writeSpeed, e.WriteSpeed, c)
		require.InDelta(t, c.seconds, e.Ingest.Seconds(), 1e-6, c)
	}
}

func TestSpillOf(t *testing.T) {
	t.Parallel()
	for _, c := range [][4]int64{{1000, 750, 0, 0}, {1000, 749, 0, 750}, {1000, 749, 1000, 750}, {1000, 749, 100, 100}} {
		require.Equal(t, c[3], SpillOf(c[0], c[1], c[2]), "%v", c)
	}
	require.EqualValues(t, 1400, PairsOf(1000, 1))
}

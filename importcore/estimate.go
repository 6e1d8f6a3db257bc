package importcore

import (
	"time"

	"github.com/sluicedb/sluice/importcore/cluster"
)

// Estimate is what an import is expected to read, make and need. Sizes are in bytes.
type Estimate struct {
	// Files and SourceBytes are exact; the first and the last file are named as users know them.
	Files               int
	FirstFile, LastFile string
	SourceBytes         int64
	// SampledRows is how many rows the rest is extrapolated from; 0 means that it is only a rule of thumb.
	// Exact says that these are all rows there are.
	SampledRows int64
	Exact       bool
	// Rows of the source, the pairs that they become, the size of these and of the records among them.
	Rows, Pairs, PairBytes, RecordBytes int64
	// SortMemory is what sorting may use of the memory budget, Spill what goes to the sort directory.
	SortMemory, Spill int64
	// Rounds is in how many parts the source is imported because of the disk quota; 0 means that it isn't.
	Rounds int64
	// Regions is how many regions the pairs fill; 0 means unknown.
	Regions int64
	// Encode is how long encoding takes with the task's threads, at the speed of the sample. Ingest is
	// how long writing takes at WriteSpeed bytes per second and store.
	Encode, Ingest time.Duration
	WriteSpeed     int64
}

const (
	// runShare is how many bytes of runs a byte of pairs becomes without compression,
	// rounded up from what the benchmarks have: a page leaves out what its keys share.
	runShare = 0.75
	// numberBytes is what the number of its row adds to a pair in a run.
	numberBytes = 8
	// inMemoryShare of the sorter's memory that encoders don't hold is filled before
	// pairs are spilled, see package sortkv: three quarters of fifteen sixteenths.
	inMemoryShare = 0.7
	// assumedWriteSpeed is what one store takes in, in bytes per second, where
	// max_write_speed says nothing: a cautious figure for a store with a fast disk.
	assumedWriteSpeed = 64 << 20
)

// thumb is how many bytes of pairs a byte of the source becomes, as a rule of
// thumb: about as many in the record, and two fifths in each index entry.
func thumb(indexes int) float64 { return 1 + 0.4*float64(indexes) }

// fits is how many bytes of runs stay in memory.
func (m memorySplit) fits(threads int) int64 {
	return int64(inMemoryShare * float64(m.sort-2*int64(threads*m.arenaBytes)))
}

// sampleMatters tells whether it could be that the pairs don't fit into memory.
func (p *Plan) sampleMatters() bool {
	most := 2 * thumb(p.encoding.PairsPerRow()-1) * float64(p.SourceBytes)
	return most > float64(p.splitMemory(p.Task.MemoryBudget).fits(p.Task.Threads))
}

// estimate extrapolates from a sample, which may be nil or have no good row.
func (p *Plan) estimate(s *sample) Estimate {
	e := Estimate{Files: len(p.Files), FirstFile: p.Files[0].Path, LastFile: p.Files[len(p.Files)-1].Path, SourceBytes: p.SourceBytes}
	memory := p.splitMemory(p.Task.MemoryBudget)
	e.SortMemory = memory.sort
	if s == nil || s.good == 0 {
		e.PairBytes = int64(thumb(p.encoding.PairsPerRow()-1) * float64(p.SourceBytes))
		e.RecordBytes = p.SourceBytes
	} else {
		times := 1.0
		if !s.whole {
			times = float64(p.SourceBytes) / float64(s.read)
		}
		// Rows that can't be encoded count as if they could.
		all := times * float64(s.Rows) / float64(s.good)
		e.SampledRows, e.Exact = s.Rows, s.whole
		e.Rows = int64(times * float64(s.Rows))
		e.Pairs = int64(all * float64(s.pairs))
		e.PairBytes = int64(all * float64(s.bytes))
		e.RecordBytes = int64(all * float64(s.records))
		e.Encode = time.Duration(times * float64(s.spent) / float64(p.Task.Threads))
	}
	sorted := e.PairBytes
	if p.numbered() {
		sorted += numberBytes * e.Pairs
	}
	runs := int64(runShare * float64(sorted))
	if runs > memory.fits(p.Task.Threads) {
		e.Spill = runs
	}
	if quota := p.Task.DiskQuota; quota > 0 && runs > quota && p.Task.divisible() {
		e.Rounds = (runs + quota - 1) / quota
		e.Spill = min(e.Spill, quota)
	}
	return e
}

// inCluster completes an estimate by what depends on the cluster.
func (e *Estimate) inCluster(limits cluster.RegionLimits, stores, replicas int, maxWriteSpeed int64) {
	e.Regions = max(1, (e.PairBytes+limits.SplitSize-1)/limits.SplitSize, (e.Pairs+limits.SplitKeys-1)/limits.SplitKeys)
	e.WriteSpeed = assumedWriteSpeed
	if maxWriteSpeed > 0 {
		e.WriteSpeed = min(e.WriteSpeed, maxWriteSpeed)
	}
	perStore := float64(e.PairBytes) * float64(min(replicas, stores)) / float64(max(stores, 1))
	e.Ingest = time.Duration(perStore / float64(e.WriteSpeed) * float64(time.Second))
}

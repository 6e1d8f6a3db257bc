package importcore

import "sync/atomic"

// progress is what the steps count while they run. Every number only grows,
// but for the rows of a job that failed.
type progress struct {
	step                     atomic.Int32
	sourceBytes, sourceTotal atomic.Int64
	rows                     atomic.Int64
	pairsIngested, pairs     atomic.Int64
	spilled                  atomic.Int64
}

// restart counts from the source's beginning again.
func (p *progress) restart() {
	p.rows.Store(0)
	p.sourceBytes.Store(0)
}

// Progress returns where the import is. It may be called at any time and from
// any goroutine.
func (p *Plan) Progress() Progress {
	return Progress{
		Step:          Step(p.progress.step.Load()),
		SourceBytes:   p.progress.sourceBytes.Load(),
		SourceTotal:   p.progress.sourceTotal.Load(),
		Rows:          p.progress.rows.Load(),
		PairsIngested: p.progress.pairsIngested.Load(),
		Pairs:         p.progress.pairs.Load(),
		SpilledBytes:  p.progress.spilled.Load(),
	}
}

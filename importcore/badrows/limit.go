package badrows

import "sync/atomic"

// Limit is how many bad rows a job may have, and counts them: those of one collector, or of several that work at a time. It is
// safe for concurrent use.
type Limit struct {
	most    int64
	counted atomic.Int64
}

// NewLimit returns a limit for a job that may have so many bad rows.
func NewLimit(most int64) *Limit { return &Limit{most: most} }

// Keep counts rows that no collector knows of, because an earlier run of the job has recorded them and they stay. It is called before
// the collectors begin.
func (l *Limit) Keep(counted int64) { l.count(counted) }

// count adds rows and returns how many there are now.
func (l *Limit) count(n int64) int64 { return l.counted.Add(n) }

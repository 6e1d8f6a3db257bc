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

// Most is how many bad rows the job may have.
func (l *Limit) Most() int64 { return l.most }

// Keep counts rows that no collector knows of, because an earlier run of the job has recorded them and they stay. It is called before
// the collectors begin.
func (l *Limit) Keep(counted int64) { l.Count(counted) }

// Count adds rows and returns how many there are now. It is for whoever keeps records without a collector; rows that turn out not to be
// left out are counted back by a negative number.
func (l *Limit) Count(n int64) int64 { return l.counted.Add(n) }

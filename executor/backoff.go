package executor

import (
	"sync"
	"time"
)

// The pauses before a job is taken up again that could not go on because of the cluster.
const (
	firstBackoff = time.Second
	mostBackoff  = time.Minute
)

// backoff remembers jobs that this process has given back because the cluster was in
// no state to go on with them, so that they are tried again, but less and less often.
type backoff struct {
	mu   sync.Mutex
	jobs map[int64]pausing
}

type pausing struct {
	length time.Duration
	until  time.Time
}

func newBackoff() *backoff { return &backoff{jobs: map[int64]pausing{}} }

// failed begins a job's next pause, twice as long as the one before.
func (b *backoff) failed(job int64, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	length := min(max(firstBackoff, 2*b.jobs[job].length), mostBackoff)
	b.jobs[job] = pausing{length, now.Add(length)}
	return length
}

// forget ends a job's pauses: it has gone on, or is over.
func (b *backoff) forget(job int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.jobs, job)
}

// over tells whether a job may be tried again.
func (b *backoff) over(job int64, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !now.Before(b.jobs[job].until)
}

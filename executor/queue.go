package executor

import (
	"context"
	"slices"
	"sync"
)

// queue decides which of this process's jobs run. Of those that wait the one with the
// highest priority comes first, and of equal ones the oldest.
type queue struct {
	mu struct {
		sync.Mutex
		free    int
		waiting []*place
	}
}

// place is a job that waits.
type place struct {
	priority int
	job      int64
	turn     chan struct{} // closed when the job may run
}

func newQueue(jobs int) *queue {
	q := &queue{}
	q.mu.free = jobs
	return q
}

// enter waits for a job's turn; waits is called if it doesn't come at once. leave ends it and
// may be called once. The error is the context's cause.
func (q *queue) enter(ctx context.Context, priority int, job int64, waits func()) (leave func(), err error) {
	p := &place{priority: priority, job: job, turn: make(chan struct{})}
	q.mu.Lock()
	q.mu.waiting = append(q.mu.waiting, p)
	q.callLocked()
	q.mu.Unlock()
	select {
	case <-p.turn:
		return q.leave, nil
	default:
		waits()
	}
	select {
	case <-p.turn:
		return q.leave, nil
	case <-ctx.Done():
		q.mu.Lock()
		defer q.mu.Unlock()
		if i := slices.Index(q.mu.waiting, p); i >= 0 {
			q.mu.waiting = slices.Delete(q.mu.waiting, i, i+1)
		} else { // its turn came in the same moment
			q.mu.free++
			q.callLocked()
		}
		return nil, context.Cause(ctx)
	}
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.free++
	q.callLocked()
}

// callLocked gives what is free to those that come first.
func (q *queue) callLocked() {
	for q.mu.free > 0 && len(q.mu.waiting) > 0 {
		first := 0
		for i, p := range q.mu.waiting {
			if best := q.mu.waiting[first]; p.priority > best.priority || p.priority == best.priority && p.job < best.job {
				first = i
			}
		}
		close(q.mu.waiting[first].turn)
		q.mu.waiting = slices.Delete(q.mu.waiting, first, first+1)
		q.mu.free--
	}
}

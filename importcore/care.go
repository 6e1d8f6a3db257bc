package importcore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/ingest"
)

// care is how the ingest keeps to the task's MaxLatency.
func (r *run) care() ingest.Care {
	task := &r.plan.Task
	if task.MaxLatency <= 0 {
		return ingest.Care{}
	}
	probe := r.core.cluster.NewProbe(tablecodec.EncodeTablePrefix(r.plan.encoding.Tables()[0]))
	return ingest.Care{
		MaxLatency: task.MaxLatency,
		Read: func(ctx context.Context, store uint64, patience time.Duration) (time.Duration, error) {
			took, err := probe.Read(ctx, store, patience)
			if err == nil && task.Observer != nil {
				task.Observer.Answered(took)
			}
			return took, err
		},
		Changed: func(store uint64, speed int64, latency time.Duration) {
			r.plan.held.change(time.Now(), store, speed, latency)
		},
	}
}

// heldBack knows which stores get less than they might because they are slow. The zero value is none.
type heldBack struct {
	mu     sync.Mutex
	speeds map[uint64]int64 // bytes per second, by store
	since  time.Time        // when the first of these was held back
	total  time.Duration    // before that
	slower int64            // times that a store got less
	worst  time.Duration
}

// change notes what a store may get from now on; 0 is all.
func (h *heldBack) change(now time.Time, store uint64, speed int64, latency time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.speeds[store]
	if speed == 0 {
		delete(h.speeds, store)
		if before > 0 && len(h.speeds) == 0 {
			h.total += now.Sub(h.since)
		}
		return
	}
	if len(h.speeds) == 0 {
		h.speeds, h.since = map[uint64]int64{}, now
	}
	h.speeds[store] = speed
	if before == 0 || speed < before {
		h.slower++
		h.worst = max(h.worst, latency)
	}
}

// end lets go of all stores.
func (h *heldBack) end(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.speeds) > 0 {
		h.total += now.Sub(h.since)
		h.speeds = nil
	}
}

// now returns how often a store got less, and the lowest of the present speeds, 0 if no store is held back.
func (h *heldBack) now() (slower, lowest int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, speed := range h.speeds {
		if lowest == 0 || speed < lowest {
			lowest = speed
		}
	}
	return h.slower, lowest
}

// told is what a user should hear of it once the ingest is over.
func (h *heldBack) told(limit time.Duration) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slower == 0 {
		return nil
	}
	return []string{fmt.Sprintf("for %v stores were written to more slowly, because their answers took up to %v (max_latency is %v)",
		h.total.Round(100*time.Millisecond), h.worst.Round(time.Millisecond), limit)}
}

package logical

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// maxSamples is how many warnings are shown.
const maxSamples = 10

// run is one import from one claim of the ledger to the end of its lanes.
type run struct {
	target *Target
	task   *Task
	ledger *ledger
	pool   *format.BlockPool
	bad    firstBad

	samples struct {
		sync.Mutex
		texts []string
	}
	// claimed tells that the ledger is this run's.
	claimed bool
	// counted is how many bad rows of the table the task's limit knows of by this run.
	counted atomic.Int64
}

// leftOut counts bad rows and returns how many the limit knows of.
func (r *run) leftOut(n int64) int64 {
	r.counted.Add(n)
	return r.task.ErrorLimit.Count(n)
}

// Import brings a table's rows in, or what is left of them after an earlier Import of the same job, on any machine. When it
// returns no request is under way. The summary is there with an error too: it tells what is in the table, once the ledger
// could be read.
//
// Errors: ErrFenced; ErrBasis; a *fault.Error with its place, of the first row in the order of the files that can't be taken; a
// *badrows.LimitError; the cause of a context that has ended; one that is marked (fault.IsRetryable) if the server was away for
// longer than the target's patience. In all of these cases another Import of the job goes on.
func (t *Target) Import(ctx context.Context, task Task) (*Summary, error) {
	task, err := task.withDefaults(t.maxPacket)
	if err != nil {
		return nil, err
	}
	sum := &Summary{}
	for {
		r := &run{target: t, task: &task, ledger: newLedger(t.pool, &task), bad: firstBad{seq: noBlock}}
		err := r.all(ctx, sum)
		sum.WarningSamples = r.samples.texts
		if !errors.Is(err, errMoved) {
			return sum, r.end(ctx, err)
		}
		task.Begun = true
		r.leftOut(-r.counted.Load()) // the next run counts what the ledger says then
	}
}

// all claims the ledger and does what it says is left.
func (r *run) all(ctx context.Context, sum *Summary) error {
	rows, err := r.claim(ctx)
	if err != nil {
		return err
	}
	r.claimed = true
	states := make([]laneState, 0, len(rows))
	for _, row := range rows {
		states = append(states, row.state)
	}
	done := merge(states)
	sum.Counts = done.counts
	if r.task.Claimed != nil {
		r.task.Claimed(done.counts)
	}
	if r.leftOut(done.counts.Rejected) > r.task.ErrorLimit.Most() {
		return &tooMany{}
	}
	if rows[0].state.Complete {
		return nil
	}
	return r.lanes(ctx, rows, done, sum)
}

func (r *run) claim(ctx context.Context) (rows []laneRow, err error) {
	if err := r.target.patiently(ctx, func() error { return r.ledger.prepare(ctx) }); err != nil {
		return nil, err
	}
	err = r.target.patiently(ctx, func() (err error) {
		rows, err = r.ledger.claim(ctx, r.task.Lanes, r.task.Begun)
		return err
	})
	return rows, err
}

// lanes runs the lanes from what is done to the end.
func (r *run) lanes(ctx context.Context, rows []laneRow, done progress, sum *Summary) error {
	r.pool = format.NewBlockPool(max(r.task.BatchBytes*blockParts/blockOf, minBlockBytes), r.task.Lanes+1, r.task.Room)
	f := newFeeder(r, done)
	lanes := make([]*lane, 0, r.task.Lanes)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(fault.Contain(func() error { return f.feed(groupCtx) }))
	for i := range r.task.Lanes {
		l := &lane{run: r, feeder: f, row: rows[i], reader: r.task.Source.Reader(), forms: map[*Layout]*form{}}
		lanes = append(lanes, l)
		group.Go(fault.Contain(func() error { return l.work(groupCtx) }))
	}
	err := group.Wait()
	for i, l := range lanes {
		rows[i] = l.row
	}
	states := make([]laneState, 0, len(rows))
	for _, row := range rows {
		states = append(states, row.state)
	}
	sum.Counts = merge(states).counts
	if err == nil {
		err = r.bad.err
	}
	if err != nil {
		if many := (*tooMany)(nil); errors.As(err, &many) {
			for _, l := range lanes {
				many.rejects = append(many.rejects, l.counted...)
			}
		}
		return err
	}
	return r.target.patiently(ctx, func() error {
		counts, err := r.ledger.complete(ctx, f.next)
		if err == nil {
			sum.Counts = counts
		}
		return err
	})
}

// Pauses between two tries of something that has failed for a while.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = 3 * time.Second
)

// patiently calls f until it succeeds, fails for good, or the target's patience ends.
func (t *Target) patiently(ctx context.Context, f func() error) error {
	began := time.Now()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := f()
		if err == nil || !isPassing(err) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Since(began) > t.patience {
			return fault.Retryable(fault.Wrap(err, fault.Cluster, sqlconn.Code(err), "the server could not be written to for %v", t.patience))
		}
		// Deadlocks come again if those who met in one try again at the same time.
		wait := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		}
	}
}

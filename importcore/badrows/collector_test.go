package badrows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/fault"
)

// memory is a sink that checks what the collector promises.
type memory struct {
	mu      sync.Mutex // to find out that there are two at a time
	records []Record
	puts    int
	err     error
	errAt   int // fail at this Put
}

func (m *memory) Put(_ context.Context, first int64, records []Record) error {
	if !m.mu.TryLock() {
		return errors.New("two at a time")
	}
	defer m.mu.Unlock()
	m.puts++
	if m.err != nil && m.puts >= m.errAt {
		return m.err
	}
	if first != int64(len(m.records))+1 || len(records) == 0 || len(records) > batchRecords {
		return fmt.Errorf("record %d after %d, %d of them", first, len(m.records), len(records))
	}
	m.records = append(m.records, records...)
	return nil
}

func (m *memory) Rewind(_ context.Context, keep int64, counts Counts) error {
	m.records = m.records[:keep]
	var have Counts
	for i := range m.records {
		have.Add(m.records[i].Class)
	}
	if have != counts {
		return fmt.Errorf("%v records are kept, not %v", have, counts)
	}
	return m.err
}

// record is a row's, told apart by its offset.
func record(n int64) Record {
	return Record{Class: Class(n % 3), File: "f", Line: n + 1, Offset: n, Column: "c", Value: strings.Repeat("v", int(n%900)), Code: 1366, Message: "m"}
}

// blocks is a source: how many bad rows each block has. lost is the number of a
// block that ends the source, -1 for none.
type blocks struct {
	bad   []int
	lost  int
	first int64 // record of the first block's first bad row
}

func someBlocks(rnd *rand.Rand, n int) blocks {
	b := blocks{lost: -1}
	for range n {
		switch rnd.IntN(6) {
		case 0:
			b.bad = append(b.bad, rnd.IntN(2000))
		case 1:
			b.bad = append(b.bad, rnd.IntN(5))
		default:
			b.bad = append(b.bad, 0)
		}
	}
	return b
}

var errLost = errors.New("lost")

// run is a job: workers take the blocks in order.
func (b blocks) run(ctx context.Context, c *Collector, workers int) error {
	type block struct {
		seq   int64
		first int64
		bad   int
	}
	queue := make(chan block)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(queue)
		first := b.first
		for seq, bad := range b.bad {
			select {
			case queue <- block{int64(seq), first, bad}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			first += int64(bad)
		}
		return nil
	})
	for range workers {
		group.Go(func() error {
			for work := range queue {
				to := c.Block(work.seq)
				for i := range work.bad {
					if err := to.Add(ctx, record(work.first+int64(i))); err != nil {
						return err
					}
				}
				end := to.Done
				if b.lost == int(work.seq) {
					end = func(ctx context.Context) error { return to.Fail(ctx, errLost) }
				}
				if err := end(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return errors.Join(err, c.Flush(context.WithoutCancel(ctx)))
}

// TestOrderIndependentOfWorkers: what is recorded, and the error past the limit,
// is the same for any number of workers.
func TestOrderIndependentOfWorkers(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 42))
	passed := 0
	for range 25 {
		source := someBlocks(rnd, 1+rnd.IntN(60))
		if rnd.IntN(4) == 0 {
			source.lost = rnd.IntN(len(source.bad))
		}
		total, limit := 0, int64(1)+rnd.Int64N(6000)
		for seq, n := range source.bad {
			if total += n; seq == source.lost {
				break
			}
		}
		var want string
		for _, workers := range []int{1, 2, 7} {
			sink := &memory{}
			c := NewCollector(limit, sink)
			err := source.run(t.Context(), c, workers)
			for i, r := range sink.records {
				require.Equal(t, record(int64(i)), r)
			}
			require.EqualValues(t, len(sink.records), c.Counts().Total())
			require.Empty(t, c.batch)
			switch {
			case int64(total) > limit:
				passed++
				var over *LimitError
				require.ErrorAs(t, err, &over)
				require.Len(t, sink.records, int(limit)+1)
				require.Len(t, over.First, int(min(limit+1, maxFirst)))
				require.Equal(t, uint16(1366), fault.As(err).Code)
				require.ErrorContains(t, err, fmt.Sprintf("more than %d rows can't be imported (max_errors = %d); the first: m (file f, line 1, offset 0, column c)", limit, limit))
			case source.lost >= 0:
				require.ErrorIs(t, err, errLost)
				require.Len(t, sink.records, total)
			default:
				require.NoError(t, err)
				require.Len(t, sink.records, total)
			}
			if workers > 1 {
				require.Equal(t, want, fmt.Sprint(err))
			}
			want = fmt.Sprint(err)
		}
	}
	require.Greater(t, passed, 8)
}

// TestMemoryIsBounded: while the head block is slow, those ahead leave no more
// than the bounds and then wait, each with one buffer.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const ahead = 200
	sink := &memory{}
	c := NewCollector(1<<40, sink)
	head := c.Block(0)
	group, ctx := errgroup.WithContext(t.Context())
	var mu sync.Mutex
	waiting, done := 0, make(chan struct{})
	for seq := range ahead {
		group.Go(func() error {
			b := c.Block(int64(seq) + 1)
			// 48 KiB: less than what a block buffers on its own.
			for i := range 40 {
				r := record(int64(i))
				r.Value = strings.Repeat("v", 1<<10)
				if err := b.Add(ctx, r); err != nil {
					return err
				}
			}
			mu.Lock()
			if waiting++; waiting == ahead {
				close(done)
			}
			mu.Unlock()
			return b.Done(ctx)
		})
	}
	<-done
	c.mu.Lock()
	require.LessOrEqual(t, c.mu.deposit, depositBytes)
	require.Less(t, len(c.mu.done), ahead)
	c.mu.Unlock()
	require.Empty(t, sink.records)
	require.NoError(t, head.Add(ctx, record(7)))
	require.NoError(t, head.Done(ctx))
	require.NoError(t, group.Wait())
	require.NoError(t, c.Flush(t.Context()))
	require.Len(t, sink.records, ahead*40+1)
	require.EqualValues(t, 7, sink.records[0].Offset)
	require.Zero(t, c.mu.deposit)
	require.Empty(t, c.mu.done)
}

// TestBlockFullOfBadRows: a block whose records alone pass the limit waits for
// its turn and is not gone through to its end.
func TestBlockFullOfBadRows(t *testing.T) {
	t.Parallel()
	sink := &memory{}
	c := NewCollector(3, sink)
	first, second := c.Block(0), c.Block(1)
	require.NoError(t, first.Add(t.Context(), record(0)))
	result := make(chan error, 1)
	go func() {
		n := int64(1)
		for ; ; n++ {
			if err := second.Add(t.Context(), record(n)); err != nil {
				result <- errors.Join(err, fmt.Errorf("at %d", n))
				return
			}
		}
	}()
	require.NoError(t, first.Done(t.Context()))
	err := <-result
	var over *LimitError
	require.ErrorAs(t, err, &over)
	require.ErrorContains(t, err, "at 4")
	require.Len(t, sink.records, 4)
	require.EqualValues(t, 3, sink.records[3].Offset)
}

// TestIdleBlocksKeepNothing: before a block waits for another one it gives back
// what that one may need to get on, and it does so only then.
func TestIdleBlocksKeepNothing(t *testing.T) {
	t.Parallel()
	c := NewCollector(0, &memory{})
	arena := make(chan int, 1) // there is one, and the block behind has it
	first, second := c.Block(0), c.Block(1)
	first.Idle = func(context.Context) error { return errors.New("the first block waits for nobody") }
	second.Idle = func(context.Context) error { arena <- 1; return nil }
	result := make(chan error, 1)
	go func() { result <- second.Add(t.Context(), record(1)) }()
	select {
	case <-arena:
	case <-t.Context().Done():
	}
	require.NoError(t, first.Done(t.Context()))
	var over *LimitError
	require.ErrorAs(t, <-result, &over)

	third := c.Block(2)
	third.Idle = func(context.Context) error { return errLost }
	require.ErrorIs(t, third.Add(t.Context(), record(2)), errLost)
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	c := NewCollector(3, &memory{})
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	require.ErrorIs(t, c.Block(1).Fail(ctx, errLost), cause)
	b := c.Block(2)
	var err error
	for err == nil {
		err = b.Add(ctx, record(1))
	}
	require.ErrorIs(t, err, cause)
}

// TestFlushOnceMore: records whose way to the sink was cut off get there with another context, each once.
func TestFlushOnceMore(t *testing.T) {
	t.Parallel()
	for _, cut := range []int{0, 1} { // before the sink has them, or behind it
		ctx, cancel := context.WithCancelCause(t.Context())
		sink := &repeated{cut: cut, cancel: cancel}
		c := NewCollector(1<<40, sink)
		b := c.Block(0)
		for n := range int64(3) {
			require.NoError(t, b.Add(ctx, record(n)))
		}
		require.NoError(t, b.Done(ctx))
		require.ErrorIs(t, c.Flush(ctx), errLost)
		require.NoError(t, c.Flush(t.Context()))
		require.NoError(t, c.Flush(t.Context()))
		require.Equal(t, []Record{record(0), record(1), record(2)}, sink.records)
	}
}

// repeated is a sink whose first Put is cut off by its context, and that keeps records by their numbers.
type repeated struct {
	memory
	cut    int
	cancel context.CancelCauseFunc
}

func (r *repeated) Put(ctx context.Context, first int64, records []Record) error {
	here := r.cancel != nil
	if here && r.cut == 0 {
		r.cancel(errLost)
	}
	if ctx.Err() == nil {
		r.records = append(r.records[:first-1], records...)
	}
	if here && r.cut == 1 {
		r.cancel(errLost)
	}
	r.cancel = nil
	return context.Cause(ctx)
}

func TestSinkErrorsLast(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, errAt := range []int{1, 2} {
		sink := &memory{err: boom, errAt: errAt}
		c := NewCollector(1<<40, sink)
		source := blocks{bad: []int{0, 500, 0, 3000}, lost: -1}
		require.ErrorIs(t, source.run(t.Context(), c, 2), boom)
		require.ErrorIs(t, c.Flush(t.Context()), boom)
		require.Equal(t, errAt, sink.puts, "it is not asked again")
	}
}

// TestAfterTheBlocks: later steps add in their own order, and what the user has
// asked for never passes the limit.
func TestAfterTheBlocks(t *testing.T) {
	t.Parallel()
	sink := &memory{}
	c := NewCollector(2, sink)
	require.NoError(t, blocks{bad: []int{1, 0}, lost: -1}.run(t.Context(), c, 2))
	for n := range int64(1000) {
		require.NoError(t, c.Note(t.Context(), record(1+n)))
	}
	require.NoError(t, c.Add(t.Context(), record(1001)))
	require.NoError(t, c.Flush(t.Context()))
	require.NoError(t, c.Flush(t.Context()))
	require.Len(t, sink.records, 1002)
	err := c.Add(t.Context(), record(1002))
	var over *LimitError
	require.ErrorAs(t, err, &over)
	require.Len(t, over.First, 3, "notes are not among them")
	require.Len(t, sink.records, 1003)
	require.EqualValues(t, 1003, c.Counts().Total())
}

// TestStepsWithoutBlocks: with the default limit conflicts can still be noted,
// and the first counted record is too many.
func TestStepsWithoutBlocks(t *testing.T) {
	t.Parallel()
	sink := &memory{}
	c := NewCollector(0, sink)
	require.NoError(t, c.Note(t.Context(), record(0)))
	require.ErrorContains(t, c.Add(t.Context(), record(1)), "more than 0 rows")
	require.Len(t, sink.records, 2)
}

// TestGoesOnFromProgress: a job that is interrupted and goes on from its last
// progress, however often, records what one does that isn't, and ends at the same row.
func TestGoesOnFromProgress(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 20 {
		source := someBlocks(rnd, 30)
		total := 0
		for _, n := range source.bad {
			total += n
		}
		limit := rnd.Int64N(int64(total) + 2)
		whole, broken := &memory{}, &memory{}
		want := source.run(t.Context(), NewCollector(limit, whole), 3)

		var saved Progress
		var got error
		for from := 0; from < len(source.bad) && got == nil; {
			c := NewCollector(limit, broken)
			require.NoError(t, c.Resume(t.Context(), saved))
			to := from + 1 + rnd.IntN(len(source.bad)-from)
			var first int64
			for _, n := range source.bad[:from] {
				first += int64(n)
			}
			part := blocks{bad: source.bad[from:to], lost: -1, first: first}
			if got = part.run(t.Context(), c, 3); got != nil {
				break
			}
			if rnd.IntN(3) == 0 {
				continue // what was recorded since is forgotten
			}
			var err error
			saved, err = c.Progress(t.Context())
			require.NoError(t, err)
			text, err := json.Marshal(saved)
			require.NoError(t, err)
			saved = Progress{}
			require.NoError(t, json.Unmarshal(text, &saved))
			from = to
		}
		require.Equal(t, fmt.Sprint(want), fmt.Sprint(got))
		require.Equal(t, whole.records, broken.records)
	}
	sink := &memory{err: errors.New("away")}
	require.ErrorIs(t, NewCollector(1, sink).Resume(t.Context(), Progress{}), sink.err)
}

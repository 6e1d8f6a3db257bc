package badrows

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Sizes of what is held. A block's buffer is small, because every worker has
// one; deposits are what workers that are ahead may leave behind.
const (
	batchRecords = 256
	batchBytes   = 256 << 10
	blockBytes   = 64 << 10
	depositBytes = 2 << 20
	// flushInterval is how long a record may wait for others while blocks end.
	flushInterval = time.Second
)

// Collector brings the records of a job into order and to the sink. It is safe
// for concurrent use as its methods say.
type Collector struct {
	limit *Limit
	sink  Sink

	mu struct {
		sync.Mutex
		head    int64            // the first block that isn't done
		done    map[int64]*Block // blocks behind head that are
		deposit int              // bytes of their records
		moved   chan struct{}    // closed when head moves
	}

	// What follows belongs to the one whose turn it is: the worker of the head
	// block, or after the blocks the caller of Add.
	batch   []Record
	bytes   int
	flushed time.Time
	stored  int64
	counted int64 // records that the limit is for, and which it knows of
	first   []Record
	counts  Counts
	err     error // the sink's, lasting, but for that of a context that has ended
}

// NewCollector returns a collector for one job that stops it at the first
// record beyond limit. It starts no goroutine.
func NewCollector(limit int64, sink Sink) *Collector { return NewShared(NewLimit(limit), sink) }

// NewShared is NewCollector for one of several that have a limit in common. Each has a sink of its own.
func NewShared(limit *Limit, sink Sink) *Collector {
	c := &Collector{limit: limit, sink: sink, flushed: time.Now()}
	c.mu.done = make(map[int64]*Block)
	c.mu.moved = make(chan struct{})
	return c
}

// Resume makes the collector, which must be new, go on behind what another one has
// given to the sink, and the sink forget what came after that. A *LimitError says that with what others have counted meanwhile there are too many.
func (c *Collector) Resume(ctx context.Context, p Progress) error {
	c.stored, c.counts, c.first = p.Stored, p.Counts, slices.Clone(p.First)
	if c.err = c.sink.Rewind(ctx, p.Stored, p.Counts); c.err != nil {
		return c.err
	}
	return c.Keep(p.Counted)
}

// Keep makes a new collector count records that another one has given to the sink, where they stay, if nothing follows them. Errors
// are Resume's.
func (c *Collector) Keep(counted int64) error {
	c.counted = counted
	if counted > 0 && c.limit.Count(counted) > c.limit.most {
		return c.Exceeded()
	}
	return nil
}

// Again returns a new collector, whose blocks are numbered from 0, that goes on behind this one. It is called where Flush is; this
// one must not be used any more.
func (c *Collector) Again() *Collector {
	next := NewShared(c.limit, c.sink)
	next.batch, next.bytes, next.stored, next.counted, next.first, next.counts, next.err = c.batch, c.bytes, c.stored, c.counted, c.first, c.counts, c.err
	return next
}

// Progress brings what is held to the sink and returns what that has now. It is
// called where Flush is, and between blocks when all blocks given out are done.
func (c *Collector) Progress(ctx context.Context) (Progress, error) {
	if err := c.Flush(ctx); err != nil {
		return Progress{}, err
	}
	return Progress{Stored: c.stored, Counted: c.counted, Counts: c.counts, First: slices.Clone(c.first)}, nil
}

// Block is a worker's access to the collector while it works on one block of
// the source. It belongs to one goroutine.
type Block struct {
	// Idle, if set, is called before the block waits for those before it: the
	// worker gives back what these may need to go on. Its error ends the wait.
	Idle func(ctx context.Context) error

	c       *Collector
	seq     int64
	records []Record
	bytes   int
	count   int64 // records added
}

// Block returns the access for the block with the number seq. Blocks are
// numbered from 0, without gaps; each is used once, and ends with Done or Fail
// unless the job ends before. Workers have to take blocks in this order:
// whoever is ahead may have to wait for those before.
func (c *Collector) Block(seq int64) *Block { return &Block{c: c, seq: seq} }

// Add takes the record of a row, in the order of the block's rows. It waits
// for the blocks before where memory or the limit ask for it. Errors end the
// job: *LimitError, the sink's, the context's cause.
func (b *Block) Add(ctx context.Context, r Record) error {
	b.records = append(b.records, r)
	b.bytes += r.bytes()
	b.count++
	if b.bytes < blockBytes && b.count <= b.c.limit.most {
		return nil
	}
	if err := b.turn(ctx); err != nil {
		return err
	}
	return b.hand(ctx)
}

// Done ends the block. Errors are those of Add.
func (b *Block) Done(ctx context.Context) error {
	c := b.c
	c.mu.Lock()
	if c.mu.head != b.seq {
		if len(b.records) == 0 || c.mu.deposit+b.bytes <= depositBytes {
			c.mu.done[b.seq] = b
			c.mu.deposit += b.bytes
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		if err := b.turn(ctx); err != nil {
			return err
		}
		c.mu.Lock()
	}
	// From here on it is this goroutine's turn, until head is a block that isn't done.
	for next := b; next != nil; {
		c.mu.Unlock()
		if err := next.hand(ctx); err != nil {
			return err
		}
		c.mu.Lock()
		c.mu.head++
		if next = c.mu.done[c.mu.head]; next != nil {
			delete(c.mu.done, c.mu.head)
			c.mu.deposit -= next.bytes
		}
	}
	close(c.mu.moved)
	c.mu.moved = make(chan struct{})
	c.mu.Unlock()
	return nil
}

// Fail ends the block, and the job, with an error of the data behind which
// there are no rows: it waits for the blocks before, keeps what was added and
// returns err, or the *LimitError of rows that come first.
func (b *Block) Fail(ctx context.Context, err error) error {
	if turnErr := b.turn(ctx); turnErr != nil {
		return turnErr
	}
	if handErr := b.hand(ctx); handErr != nil {
		return handErr
	}
	if flushErr := b.c.Flush(ctx); flushErr != nil {
		return flushErr
	}
	return err
}

// turn waits until all blocks before are done.
func (b *Block) turn(ctx context.Context) error {
	c := b.c
	for idle := b.Idle; ; {
		c.mu.Lock()
		head, moved := c.mu.head, c.mu.moved
		c.mu.Unlock()
		if head == b.seq {
			return nil
		}
		if idle != nil {
			if err := idle(ctx); err != nil {
				return err
			}
			idle = nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hand gives the block's records to the batch. It is the block's turn.
func (b *Block) hand(ctx context.Context) error {
	for _, r := range b.records {
		if err := b.c.take(ctx, r, true); err != nil {
			return err
		}
	}
	clear(b.records)
	b.records, b.bytes = b.records[:0], 0
	if c := b.c; len(c.batch) > 0 && time.Since(c.flushed) >= flushInterval {
		return c.Flush(ctx)
	}
	return nil
}

// Add takes a record that counts towards the limit. It is for the steps after
// the blocks: by one goroutine at a time, in an order that must not depend on
// the number of workers. Errors are those of Block.Add.
func (c *Collector) Add(ctx context.Context, r Record) error { return c.take(ctx, r, true) }

// Note is Add for a record that the user has asked for: it never passes the limit.
func (c *Collector) Note(ctx context.Context, r Record) error { return c.take(ctx, r, false) }

// Known is Note for a record that the limit has counted already.
func (c *Collector) Known(ctx context.Context, r Record) error {
	c.remember(r)
	c.counted++
	return c.take(ctx, r, false)
}

// Exceeded is the error of a job with more bad rows than it may have. It describes the first ones that the collector was given.
func (c *Collector) Exceeded() *LimitError { return newLimitError(c.limit.most, c.first) }

// remember keeps a record for the job's error, if it is one of the first.
func (c *Collector) remember(r Record) {
	if len(c.first) < maxFirst {
		c.first = append(c.first, r)
	}
}

func (c *Collector) take(ctx context.Context, r Record, limited bool) error {
	var all int64 // bad rows of the job
	if limited {
		c.remember(r)
		if all = c.limit.Count(1); all > c.limit.most+1 { // another one has recorded the one too many
			return c.Exceeded()
		}
		c.counted++
	}
	c.batch = append(c.batch, r)
	c.bytes += r.bytes()
	c.counts[r.Class]++
	if all > c.limit.most {
		if err := c.Flush(ctx); err != nil {
			return err
		}
		return c.Exceeded()
	}
	if len(c.batch) >= batchRecords || c.bytes >= batchBytes {
		return c.Flush(ctx)
	}
	return nil
}

// Flush brings what is held to the sink. It is called after the blocks, or
// after the last Add of a step; if the context has ended before all of it was safe, once more with another one.
func (c *Collector) Flush(ctx context.Context) error {
	c.flushed = time.Now()
	if len(c.batch) == 0 || c.err != nil {
		return c.err
	}
	if err := c.sink.Put(ctx, c.stored+1, c.batch); err != nil {
		if ctx.Err() == nil {
			c.err = err
		}
		return err
	}
	c.stored += int64(len(c.batch))
	clear(c.batch)
	c.batch, c.bytes = c.batch[:0], 0
	return nil
}

// Counts returns how many records were taken. It is called where Flush is.
func (c *Collector) Counts() Counts { return c.counts }

// Counted returns how many of them count towards the limit. It is called where Flush is.
func (c *Collector) Counted() int64 { return c.counted }

package importcore

import (
	"context"
	"fmt"
	"sync"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// # Rows that are longer than a block
//
// Such a row is held several times at a moment: in its block, unescaped, encoded, and as a page
// of the sorter. All of that is taken from the job's memory before its block grows, and given back when
// the block is released: at first from what is for the steps that follow, then from the sorter's,
// which writes pairs to its directory for it. A block in flight has all that it needs, so it
// never waits for another one; the one that grows waits for those in flight.

// wideRows is the memory of a job for such rows. It implements format.Room.
type wideRows struct {
	sorter *sortkv.Sorter
	base   int64 // bytes that nobody else uses while rows are encoded
	most   int64 // bytes in all
	perRow rowCost
	advice func(row int64) string

	mu struct {
		sync.Mutex
		used     int64
		reserved int64         // bytes beyond base
		taken    int64         // of these, bytes that the sorter has set aside
		freed    chan struct{} // closed when memory is given back
	}
}

// rowCost is how many quarters of a byte a byte of a block stands for.
type rowCost int64

func (c rowCost) of(size int) int64 { return int64(size) * int64(c) / 4 }

// rowCost says how often a row of the job is held.
func (p *Plan) rowCost(compressed bool) rowCost {
	// The block, the unescaped fields, the pair in an arena, its page; half for what
	// has been read behind the row, and for a smaller block while it is copied.
	c := rowCost(4*4 + 2)
	if p.numbered() {
		c += 4 // the row's pairs before they get its number
	}
	if compressed {
		c += 5 // the page on its way to the disk
	}
	if p.Task.has(FormatCSV) && p.Task.CSV.Decodes() {
		// Splitter and reader hold the text as well, with buffers that grow; a character of
		// two bytes may have three in it.
		c += 2*8 + 6
	}
	return c
}

// wideMemory returns what a job may use for long rows: in any case, and in all.
func (m memorySplit) wideMemory() (base, most int64) {
	base = m.ingest + m.conflicts
	return base, base + sortkv.Reservable(m.sort, m.arenaBytes)
}

// newWideRows returns the memory for long rows; close gives it back.
func (r *run) newWideRows(memory memorySplit) *wideRows {
	w := &wideRows{sorter: r.sorter, perRow: r.plan.rowCost(r.core.compression != sortkv.CompressionNone), advice: r.adviseFor}
	w.base, w.most = memory.wideMemory()
	w.mu.freed = make(chan struct{})
	return w
}

// adviseFor says what budget is enough for a row of so many bytes.
func (r *run) adviseFor(row int64) string {
	cost := r.plan.rowCost(r.core.compression != sortkv.CompressionNone).of(format.BlockBytesFor(row))
	budget := int64(MinMemoryBudget)
	for ; budget < 1<<40; budget += 1 << 20 {
		if _, most := r.plan.splitMemory(budget).wideMemory(); most >= cost {
			break
		}
	}
	if advice := r.core.cfg.MemoryAdvice; advice != nil {
		return advice(budget)
	}
	return fmt.Sprintf("a memory budget of %d bytes", budget)
}

// Take implements format.Room.
func (w *wideRows) Take(ctx context.Context, have, size int) error {
	own := w.perRow.of(have)
	need := w.perRow.of(size) - own
	if own+need > w.most {
		return &format.NoRoomError{Size: have, Advice: w.advice}
	}
	for {
		w.mu.Lock()
		missing := need - (w.base + w.mu.reserved - w.mu.used)
		if missing <= 0 {
			w.mu.used += need
			w.mu.Unlock()
			return nil
		}
		reservable := w.most - w.base
		if w.mu.used > own {
			reservable /= 2 // more than that only for one that can't do without
		}
		more := w.mu.reserved+missing <= reservable
		freed := w.mu.freed
		w.mu.Unlock()
		if more {
			if err := w.reserve(ctx, missing); err != nil {
				return err
			}
			continue
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// reserve takes memory from the sorter. One that has met a key twice holds none any more.
func (w *wideRows) reserve(ctx context.Context, n int64) error {
	err := w.sorter.Reserve(ctx, n)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.mu.taken += n
	case !isDuplicateKey(err):
		return err
	}
	w.mu.reserved += n
	return nil
}

// Give implements format.Room.
func (w *wideRows) Give(size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.used -= w.perRow.of(size)
	close(w.mu.freed)
	w.mu.freed = make(chan struct{})
}

// close gives the sorter its memory back. No block may be in flight.
func (w *wideRows) close() {
	w.sorter.Unreserve(w.mu.taken)
	w.mu.taken, w.mu.reserved = 0, 0
}

// receive waits for a worker's next block; false is the end. If somebody waits for the sorter's memory meanwhile,
// and the worker may hold some of it, relieve is called to give it back; see sortkv.Sorter.Hurry.
func (w *wideRows) receive(blocks <-chan numberedBlock, holds *bool, relieve func() error) (block numberedBlock, ok bool, err error) {
	for {
		var hurry <-chan struct{}
		if *holds {
			hurry = w.sorter.Hurry()
		}
		select {
		case block, ok = <-blocks:
			return block, ok, nil
		case <-hurry:
			*holds = false
			if err := relieve(); err != nil {
				return numberedBlock{}, false, err
			}
		}
	}
}

// relieveSorter makes the sorter give up what it holds, of which no arena may be the caller's.
func (r *run) relieveSorter(ctx context.Context) error {
	if err := r.sorter.Relieve(ctx); !isDuplicateKey(err) {
		return err
	}
	return nil
}

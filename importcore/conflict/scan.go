package conflict

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// The second sort holds two kinds of pairs, both with the number of the group as
// suffix. A member of a group is 'm' and the row's number plus one, so that members stand
// in the order of rows, with the other row of the collision, the index and the key as value.
// Row 0 of a group says that a row of the table has its key. A row of the table
// that has to go is 't' and its record key.
const (
	memberKind   = 'm'
	tableRowKind = 't'
	memberKey    = 1 + 8
	memberValue  = 8 + 4 // in front of the key
)

// scanner finds groups, in several goroutines.
type scanner struct {
	cfg    Config
	found  *sortkv.Sorter
	groups atomic.Uint64 // numbers given out

	mu struct {
		sync.Mutex
		counts []Count
		best   *Collision // for Find
	}
}

// scan goes over all keys that may collide.
func (s *scanner) scan(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	parts := s.parts()
	var next, done atomic.Int64
	for range s.cfg.Threads {
		group.Go(fault.Contain(func() error {
			w := &scanWorker{scanner: s}
			defer w.discard()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(parts) {
					return w.finish(ctx)
				}
				if err := w.scan(ctx, parts[i]); err != nil {
					return err
				}
				if s.cfg.Scanned != nil {
					s.cfg.Scanned(int(done.Add(1)), len(parts))
				}
			}
		}))
	}
	return group.Wait()
}

// partsPerWorker is how finely the keys are divided, so that workers end together.
const partsPerWorker = 4

// parts cuts the key ranges at the borders of parts of similar size.
func (s *scanner) parts() []KeyRange {
	size := int64(s.cfg.Sorted.Checksum().Bytes)/int64(partsPerWorker*s.cfg.Threads) + 1
	var parts []KeyRange
	for _, r := range s.cfg.Sorted.Ranges(size, 0) {
		for _, k := range s.cfg.Keys {
			start, end := k.Start, k.End
			if bytes.Compare(r.Start, start) > 0 {
				start = r.Start
			}
			if bytes.Compare(r.End, end) < 0 {
				end = r.End
			}
			if bytes.Compare(start, end) < 0 {
				parts = append(parts, KeyRange{start, end, k.Index})
			}
		}
	}
	return parts
}

// scanWorker is one goroutine's part.
type scanWorker struct {
	*scanner
	arena  *kv.Arena // for found
	counts []Count
	index  int // of the present part

	key         []byte // of the present group, which is of one row or more
	first, last int64
	size        int64
	id          uint64 // 0 while it isn't known to be a conflict

	freeFrom, freeTo uint64 // numbers for groups
	pending          []lookup
}

// lookup is a key of the source that the table may have.
type lookup struct {
	key   []byte
	first int64
	size  int64
	id    uint64
}

// lookupBatch is how many keys are looked up at once.
const lookupBatch = 128

func (w *scanWorker) scan(ctx context.Context, part KeyRange) error {
	w.index = part.Index
	for w.index >= len(w.counts) {
		w.counts = append(w.counts, Count{})
	}
	it, err := w.cfg.Sorted.Keys(ctx, part.Start, part.End)
	if err != nil {
		return err
	}
	err = w.groupKeys(ctx, it)
	if e := it.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = w.look(ctx)
	}
	return err
}

func (w *scanWorker) groupKeys(ctx context.Context, it *sortkv.Iterator) error {
	w.size = 0
	for it.NextKey() {
		key, row := it.Key(), NumberOf(it.Suffix())
		if w.size > 0 && bytes.Equal(key, w.key) {
			if err := w.another(ctx, row); err != nil {
				return err
			}
			continue
		}
		if w.size > 0 && bytes.Compare(key, w.key) < 0 {
			return fault.New(fault.Sluice, 0, "key %x is the start of key %x: their rows can't be told apart", key, w.key)
		}
		if err := w.endGroup(ctx); err != nil {
			return err
		}
		w.key = append(w.key[:0], key...)
		w.first, w.last, w.size, w.id = row, row, 1, 0
	}
	if err := it.Err(); err != nil {
		return err
	}
	return w.endGroup(ctx)
}

// another adds a row to the present group.
func (w *scanWorker) another(ctx context.Context, row int64) error {
	if w.size == 1 {
		w.id = w.newGroup()
		w.counts[w.index].Groups++
		w.counts[w.index].Rows++
		if w.cfg.Strategy == Ignore || w.cfg.Strategy == Capture {
			if err := w.emit(ctx, w.first, row, w.id, w.key); err != nil {
				return err
			}
		}
	}
	w.counts[w.index].Rows++
	w.size++
	before := w.last
	w.last = row
	switch w.cfg.Strategy {
	case Find:
		w.refused(Collision{Row: row, Other: before, Index: w.index, Key: w.key})
		return nil
	case Replace:
		return w.emit(ctx, before, row, w.id, w.key)
	default:
		return w.emit(ctx, row, before, w.id, w.key)
	}
}

// endGroup leaves the present group's key to be looked up in the table.
func (w *scanWorker) endGroup(ctx context.Context) error {
	if w.size == 0 || w.cfg.Table == nil {
		return nil
	}
	w.pending = append(w.pending, lookup{bytes.Clone(w.key), w.first, w.size, w.id})
	if len(w.pending) < lookupBatch {
		return nil
	}
	return w.look(ctx)
}

// look asks the table for the pending keys.
func (w *scanWorker) look(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	keys := make([][]byte, len(w.pending))
	for i := range w.pending {
		keys[i] = w.pending[i].key
	}
	values, err := w.cfg.Table.Lookup(ctx, keys)
	if err != nil {
		return err
	}
	for i, value := range values {
		if value == nil {
			continue
		}
		if err := w.inTable(ctx, &w.pending[i], value); err != nil {
			return err
		}
	}
	w.pending = w.pending[:0]
	return nil
}

// inTable deals with a key that a row of the table has.
func (w *scanWorker) inTable(ctx context.Context, l *lookup, value []byte) error {
	count := &w.counts[w.index]
	count.TableRows++
	if l.size == 1 {
		count.Rows++
	}
	if l.id == 0 {
		l.id = w.newGroup()
	}
	switch w.cfg.Strategy {
	case Find:
		w.refused(Collision{Row: l.first, Other: TableRow, Index: w.index, Key: l.key})
		return nil
	case Replace:
		record, err := w.cfg.Table.RecordKey(l.key, value)
		if err != nil || record == nil {
			return err
		}
		return w.add(ctx, append([]byte{tableRowKind}, record...), nil, l.id)
	case Ignore:
		if err := w.emit(ctx, TableRow, TableRow, l.id, nil); err != nil {
			return err
		}
	}
	if l.size > 1 {
		return nil // its rows are known
	}
	return w.emit(ctx, l.first, TableRow, l.id, l.key)
}

// newGroup returns a number that no other group has. Numbers are dense: the
// bits of a set stand for them.
func (w *scanWorker) newGroup() uint64 {
	const block = 1024
	if w.freeFrom == w.freeTo {
		w.freeTo = w.groups.Add(block)
		w.freeFrom = w.freeTo - block
	}
	w.freeFrom++
	return w.freeFrom // from 1
}

// emit puts a member of a group into the second sort.
func (w *scanWorker) emit(ctx context.Context, row, other int64, id uint64, key []byte) error {
	var k [memberKey]byte
	k[0] = memberKind
	binary.BigEndian.PutUint64(k[1:], uint64(row+1))
	value := make([]byte, 0, 64)
	value = binary.BigEndian.AppendUint64(value, uint64(other))
	value = binary.BigEndian.AppendUint32(value, uint32(w.index))
	return w.add(ctx, k[:], append(value, key...), id)
}

// add puts a pair with a suffix into the second sort.
func (w *scanWorker) add(ctx context.Context, key, value []byte, suffix uint64) (err error) {
	if w.arena == nil {
		if w.arena, err = w.found.Arena(ctx); err != nil {
			return err
		}
	}
	a := w.arena
	a.Buf = append(a.Buf, key...)
	a.Buf = binary.BigEndian.AppendUint64(a.Buf, suffix)
	a.EndKey()
	a.Buf = append(a.Buf, value...)
	a.EndPair()
	if a.Bytes() < w.found.ArenaBytes() {
		return nil
	}
	w.arena = nil
	return w.found.Add(ctx, a)
}

// refused notes a row that INSERT would refuse, if it is the first one so far.
func (w *scanWorker) refused(c Collision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if best := w.mu.best; best != nil && !before(&c, best) {
		return
	}
	c.Key = bytes.Clone(c.Key)
	w.mu.best = &c
}

// before orders collisions by what INSERT meets first.
func before(x, y *Collision) bool {
	switch {
	case x.Row != y.Row:
		return x.Row < y.Row
	case x.Index != y.Index:
		return x.Index < y.Index
	default:
		return bytes.Compare(x.Key, y.Key) < 0
	}
}

// finish gives what is left to the second sort and adds up the counts.
func (w *scanWorker) finish(ctx context.Context) error {
	w.mu.Lock()
	for i, c := range w.counts {
		if i >= len(w.mu.counts) {
			w.mu.counts = append(w.mu.counts, Count{})
		}
		sum := &w.mu.counts[i]
		sum.Groups += c.Groups
		sum.Rows += c.Rows
		sum.TableRows += c.TableRows
	}
	w.mu.Unlock()
	if w.arena == nil {
		return nil
	}
	a := w.arena
	w.arena = nil
	return w.found.Add(ctx, a)
}

func (w *scanWorker) discard() {
	if w.arena != nil {
		w.found.Discard(w.arena)
	}
}

package conflict

import (
	"bytes"
	"context"
	"sync"

	"github.com/pingcap/tidb/pkg/tablecodec"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// Checksum returns the sum of all pairs of the rows that stay. It reads the
// keys of all pairs and the values of those that are left out, on threads goroutines.
func (r *Result) Checksum(ctx context.Context, threads int) (kv.Checksum, error) {
	sum := r.sorted.Checksum()
	if r.Lost.Count() == 0 {
		return sum, nil
	}
	var mu sync.Mutex
	var out kv.Checksum
	var records int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(threads, 1))
	for _, part := range r.sorted.Ranges(int64(sum.Bytes)/int64(partsPerWorker*max(threads, 1))+1, 0) {
		group.Go(fault.Contain(func() error {
			part, n, err := r.lostIn(ctx, part)
			mu.Lock()
			defer mu.Unlock()
			out.Merge(part)
			records += n
			return err
		}))
	}
	if err := group.Wait(); err != nil {
		return kv.Checksum{}, err
	}
	if records != r.Lost.Count() {
		return kv.Checksum{}, fault.New(fault.Sluice, 0, "%d rows are to be left out, but %d records are", r.Lost.Count(), records)
	}
	sum.Subtract(out)
	return sum, nil
}

// lostIn sums up the pairs of lost rows in a range and counts the records among them.
func (r *Result) lostIn(ctx context.Context, part sortkv.Range) (sum kv.Checksum, records int64, err error) {
	it, err := r.sorted.Keys(ctx, part.Start, part.End)
	if err != nil {
		return sum, 0, err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	lost := r.Lost.NewReader()
	for it.NextKey() {
		gone, err := lost.Has(NumberOf(it.Suffix()))
		if err != nil {
			return sum, 0, err
		}
		if !gone {
			continue
		}
		value, err := it.LoadValue()
		if err != nil {
			return sum, 0, err
		}
		sum.Add(it.Key(), value)
		if tablecodec.IsRecordKey(it.Key()) {
			records++
		}
	}
	return sum, records, it.Err()
}

// Survivors walks over the pairs of the rows that stay, in key order. It is
// used by one goroutine.
type Survivors struct {
	it   *sortkv.Iterator
	lost *BitsReader
	last []byte
	val  []byte
	err  error
}

// Iter returns an iterator on [start, end) as sortkv.Sorted.Iter does, without the
// pairs of lost rows. The caller closes it.
func (r *Result) Iter(ctx context.Context, start, end []byte) (*Survivors, error) {
	it, err := r.sorted.Iter(ctx, start, end)
	if err != nil {
		return nil, err
	}
	return &Survivors{it: it, lost: r.Lost.NewReader()}, nil
}

// Next moves to the next pair, at first to the first one. It returns false at
// the end and after an error, which Err tells.
func (s *Survivors) Next() bool {
	for s.err == nil && s.it.NextKey() {
		gone, err := s.lost.Has(NumberOf(s.it.Suffix()))
		if err != nil {
			s.err = err
			break
		}
		if gone {
			continue
		}
		key := s.it.Key()
		if s.last != nil && bytes.Compare(key, s.last) <= 0 {
			s.err = fault.New(fault.Sluice, 0, "key %x follows key %x although conflicts were resolved", key, s.last)
			break
		}
		s.last = append(s.last[:0], key...)
		s.val, s.err = s.it.LoadValue()
		return s.err == nil
	}
	return false
}

// Key returns the present key: valid until Next or Close, not to be changed.
func (s *Survivors) Key() []byte { return s.it.Key() }

// Value returns the present value: valid until Next or Close, not to be changed.
func (s *Survivors) Value() []byte { return s.val }

// Err returns what ended the iteration early, nil at the end of the range.
func (s *Survivors) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.it.Err()
}

// Close frees the iterator's memory. It may be called twice.
func (s *Survivors) Close() error { return s.it.Close() }

package conflict

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// maxThreads keeps arenas of all workers within the least budget.
const maxThreads = 16

// Decide finds the conflicts among the pairs and says which rows are lost. The
// result does not depend on cfg.Threads nor on how the pairs came to be sorted.
// Errors: the context's, those of the sort directory, of cfg.Table and of cfg.OnLost.
func Decide(ctx context.Context, cfg Config) (_ *Result, err error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	cfg.MemoryBudget = max(cfg.MemoryBudget, MinMemoryBudget)
	cfg.Threads = min(max(cfg.Threads, 1), maxThreads)
	r := &Result{sorted: cfg.Sorted}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	r.Lost = NewBits(cfg.Dir, cfg.MemoryBudget/16)
	r.close = append(r.close, r.Lost.Close)
	budget := sortBudget(cfg.MemoryBudget)
	s := &scanner{cfg: cfg}
	s.found, err = sortkv.New(sortkv.Options{
		Dir: cfg.Dir, FS: cfg.FS, MemoryBudget: budget, SuffixBytes: kv.NumberBytes, Logger: cfg.Logger,
		ArenaBytes: arenaBytes(budget, cfg.Threads),
	})
	if err != nil {
		return nil, err
	}
	r.close = append(r.close, s.found.Close)
	if err := s.scan(ctx); err != nil {
		return nil, err
	}
	r.Counts = s.mu.counts
	if s.mu.best != nil {
		r.First = []Collision{*s.mu.best}
	}
	found, err := s.found.Finish(ctx)
	if err != nil {
		return nil, notDuplicate(err)
	}
	if err := r.walk(ctx, cfg, found); err != nil {
		return nil, notDuplicate(err)
	}
	r.Lost.Freeze()
	if cfg.Strategy == Replace && cfg.Table != nil {
		r.tableRows = found
		return r, nil
	}
	return r, s.found.Close()
}

// arenaBytes leaves half of a sorter's budget to what waits to be spilled, whatever the number of workers.
func arenaBytes(budget int64, threads int) int {
	return int(max(min(budget/16, budget*7/16/int64(threads), 256<<10), 4<<10))
}

// notDuplicate makes sure that a mistake of ours is not taken for two equal keys of the source.
func notDuplicate(err error) error {
	if dup := (*sortkv.DuplicateKeyError)(nil); errors.As(err, &dup) {
		return fault.New(fault.Sluice, 0, "looking for conflicts: %s", dup.Error())
	}
	return err
}

// member is one row's place in one group.
type member struct {
	Collision
	group uint64
}

// walk goes over the members in the order of rows and decides about each row.
func (r *Result) walk(ctx context.Context, cfg Config, found *sortkv.Sorted) (err error) {
	taken := NewBits(cfg.Dir, cfg.MemoryBudget/16)
	defer func() { err = errors.Join(err, taken.Close()) }()
	it, err := found.Iter(ctx, []byte{memberKind}, []byte{memberKind + 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var row []member // the members of one row; memory is reused
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		lost, err := r.decide(cfg.Strategy, row[:n], taken)
		n = 0
		if err != nil || lost == nil {
			return err
		}
		return r.lose(cfg, lost)
	}
	for it.Next() {
		key, value := it.Key(), it.Value()
		number, group := int64(binary.BigEndian.Uint64(key[1:]))-1, binary.BigEndian.Uint64(it.Suffix())
		if number == TableRow {
			if _, err := taken.Add(int64(group)); err != nil {
				return err
			}
			continue
		}
		if n > 0 && row[0].Row != number {
			if err := flush(); err != nil {
				return err
			}
		}
		if n == len(row) {
			row = append(row, member{})
		}
		m := &row[n]
		n++
		m.Row, m.group = number, group
		m.Other = int64(binary.BigEndian.Uint64(value))
		m.Index = int(binary.BigEndian.Uint32(value[8:]))
		m.Key = append(m.Key[:0], value[memberValue:]...)
	}
	if err := it.Err(); err != nil {
		return err
	}
	return flush()
}

// decide returns why a row is lost, or nil if it stays.
func (r *Result) decide(s Strategy, row []member, taken *Bits) (lost *Collision, err error) {
	for i := range row {
		m := &row[i]
		if s == Ignore {
			was, err := taken.Has(int64(m.group))
			if err != nil {
				return nil, err
			}
			if !was {
				continue
			}
		}
		if lost == nil || before(&m.Collision, lost) {
			lost = &m.Collision
		}
	}
	if s != Ignore || lost != nil {
		return lost, nil
	}
	for i := range row {
		if _, err := taken.Add(int64(row[i].group)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// lose notes a lost row.
func (r *Result) lose(cfg Config, c *Collision) error {
	was, err := r.Lost.Add(c.Row)
	if err != nil {
		return err
	}
	if was {
		return fault.New(fault.Sluice, 0, "row %d was lost twice", c.Row)
	}
	if len(r.First) < firstKept {
		first := *c
		first.Key = bytes.Clone(c.Key)
		r.First = append(r.First, first)
	}
	if cfg.OnLost != nil {
		return cfg.OnLost(*c)
	}
	return nil
}

// EachTableRow calls f with the record key of each row of the table that has to
// be deleted, in key order and once each. The key is valid during the call only.
func (r *Result) EachTableRow(ctx context.Context, f func(record []byte) error) (err error) {
	if r.tableRows == nil {
		return nil
	}
	it, err := r.tableRows.Keys(ctx, []byte{tableRowKind}, []byte{tableRowKind + 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var last []byte
	for it.NextKey() {
		if last != nil && bytes.Equal(it.Key(), last) {
			continue
		}
		last = append(last[:0], it.Key()...)
		if err := f(last[1:]); err != nil {
			return err
		}
	}
	return it.Err()
}

// Close frees memory and files. It may be called twice.
func (r *Result) Close() error {
	var errs []error
	for _, c := range r.close {
		errs = append(errs, c())
	}
	r.close = nil
	return errors.Join(errs...)
}

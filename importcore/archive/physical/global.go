package physical

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/importcore/kv"
)

// # Indexes over all partitions
//
// The values of their entries hold the ids of partitions, which stores don't rewrite. So Sluice reads these files itself and
// sends their pairs, at the time of the backup, which is the same each time.

// spread is a key range of a part with entries of one such index.
type spread struct {
	part       *archive.Part
	global     *archive.Global
	rule       archive.Rule
	start, end []byte // in the target
}

// isGlobal tells whether a part holds entries of indexes over all partitions: they lie under the id of the table.
func isGlobal(part *archive.Part) bool {
	info := part.Table.Info
	return info.GetPartitionInfo() != nil && part.PhysicalID == info.ID
}

// addGlobal notes where a part's entries go.
func (p *Plan) addGlobal(t planned, part *archive.Part) error {
	if p.archive.Incremental() {
		return fault.New(fault.User, 0, "changes of table %s of the archive can't be restored yet: it has global indexes", t.From.Info.Name.O)
	}
	global, err := archive.NewGlobal(t.From.Info, t.To)
	if err != nil {
		return err
	}
	rules := t.rules.Of(part.Start, part.End)
	if len(rules) == 0 {
		return fault.New(fault.Source, 0, "the file %s of the archive can't be used: its keys are of no index that the table has", part.Write.Path)
	}
	for _, rule := range rules {
		s := spread{part: part, global: global, rule: rule, start: rule.New, end: archive.After(rule.New)}
		if rest, ok := bytes.CutPrefix(part.Start, rule.Old); ok {
			s.start = append(slices.Clone(rule.New), rest...)
		}
		if rest, ok := bytes.CutPrefix(part.End, rule.Old); ok {
			s.end = append(slices.Clone(rule.New), rest...)
		}
		p.global = append(p.global, s)
	}
	return nil
}

// runGlobal sends the entries, unless all are there.
func (p *Plan) runGlobal(ctx context.Context, c Cluster, opts ingest.Options, done checkpoint.Ranges) (ingest.Stats, error) {
	var ranges []ingest.Range
	missing := false
	counted := map[*archive.Part]bool{}
	for _, s := range p.global {
		missing = missing || len(done.Missing(s.start, s.end)) > 0
		if sum := s.part.Sum; !counted[s.part] {
			counted[s.part] = true
			opts.Total.Pairs, opts.Total.Bytes = opts.Total.Pairs+int64(sum.Pairs), opts.Total.Bytes+int64(sum.Bytes)
		}
		ranges = append(ranges, ingest.Range{Start: s.start, End: s.end, Bytes: int64(s.part.Sum.Bytes), Keys: int64(s.part.Sum.Pairs)})
	}
	if !missing {
		return ingest.Stats{}, nil
	}
	opts.CommitTS = p.archive.EndTS
	return ingest.Run(ctx, c, globalPairs{p}, ranges, opts)
}

// globalPairs are the entries of a plan as ingest reads them.
type globalPairs struct{ plan *Plan }

// Iter implements ingest.Pairs.
func (g globalPairs) Iter(ctx context.Context, start, end []byte) (ingest.Iterator, error) {
	return &globalIter{ctx: ctx, plan: g.plan, start: start, end: end}, nil
}

// globalIter walks over entries in the order of their new keys. A file is read from its beginning, whatever is wanted of it.
type globalIter struct {
	ctx        context.Context //nolint:containedctx // of Iter, for the files that are opened on the way
	plan       *Plan
	start, end []byte
	at         int // the next spread
	pairs      *archive.PairIter
	of         *spread
	key, value []byte
	err        error
}

// Next implements ingest.Iterator.
func (it *globalIter) Next() bool {
	for it.err == nil {
		if it.pairs == nil && !it.open() {
			return false
		}
		for it.err == nil && it.pairs.Next() {
			if !bytes.HasPrefix(it.pairs.Key(), it.of.rule.Old) {
				continue
			}
			if it.key, it.value, it.err = it.of.global.Rewrite(it.pairs.Key(), it.pairs.Value()); it.err != nil {
				it.err = fault.New(fault.Source, 0, "the file %s of the archive can't be used: %v", it.of.part.Write.Path, it.err)
				return false
			}
			if bytes.Compare(it.key, it.start) >= 0 && bytes.Compare(it.key, it.end) < 0 {
				return true
			}
		}
		if it.err == nil {
			it.err = it.pairs.Err()
		}
		if err := it.Close(); it.err == nil {
			it.err = err
		}
	}
	return false
}

// open opens the next file that may have some of the wanted keys; false at the end or after an error.
func (it *globalIter) open() bool {
	for ; it.at < len(it.plan.global); it.at++ {
		s := &it.plan.global[it.at]
		if bytes.Compare(s.start, it.end) >= 0 || bytes.Compare(s.end, it.start) <= 0 {
			continue
		}
		it.at++
		it.of = s
		it.pairs, it.err = it.plan.archive.Pairs(it.ctx, s.part)
		return it.err == nil
	}
	return false
}

// Key implements ingest.Iterator.
func (it *globalIter) Key() []byte { return it.key }

// Value implements ingest.Iterator.
func (it *globalIter) Value() []byte { return it.value }

// Err implements ingest.Iterator.
func (it *globalIter) Err() error { return it.err }

// Close implements ingest.Iterator.
func (it *globalIter) Close() error {
	if it.pairs == nil {
		return nil
	}
	err := it.pairs.Close()
	it.pairs = nil
	return err
}

// wanted is the sum that a table of the cluster has, with the archive's keys: the archive's own, but for the values that are rewritten.
func (p *Plan) wanted(ctx context.Context, t *planned) (sum kv.Checksum, err error) {
	if !slices.ContainsFunc(t.From.Parts, isGlobal) && !p.archive.Incremental() {
		return t.From.FileSum, nil
	}
	for _, part := range t.From.Parts {
		if !isGlobal(part) && !p.archive.Incremental() {
			sum.Merge(part.Sum)
			continue
		}
		read, err := p.read(ctx, t, part)
		if err != nil {
			return sum, fmt.Errorf("sum up %s: %w", part.Write.Path, err)
		}
		sum.Merge(read)
	}
	return sum, nil
}

// read is the sum of a part with rewritten values and the keys that it has, without those that were removed.
func (p *Plan) read(ctx context.Context, t *planned, part *archive.Part) (sum kv.Checksum, err error) {
	global, err := archive.NewGlobal(t.From.Info, t.To)
	if err != nil {
		return sum, err
	}
	pairs, err := p.archive.Pairs(ctx, part)
	if err != nil {
		return sum, err
	}
	defer func() {
		if closeErr := pairs.Close(); err == nil {
			err = closeErr
		}
	}()
	for pairs.Next() {
		if pairs.Deleted() {
			continue
		}
		value := pairs.Value()
		if isGlobal(part) {
			if _, value, err = global.Rewrite(pairs.Key(), value); err != nil {
				return sum, err
			}
		}
		sum.Add(pairs.Key(), value)
	}
	return sum, pairs.Err()
}

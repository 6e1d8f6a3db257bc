package sortkv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/kv"
)

// spill writes arenas as one run and recycles them.
func (s *Sorter) spill(ctx context.Context, arenas []*kv.Arena) error {
	var charged int64
	for _, a := range arenas {
		charged += footprint(a)
	}
	r, err := s.writeRun(ctx, arenas)
	s.mu.Lock()
	s.mu.spills--
	if err == nil {
		s.mu.runs = append(s.mu.runs, r)
		s.mu.written += r.bytes
	}
	s.mu.Unlock()
	s.recycle(arenas...)
	if err != nil {
		return s.fail(err)
	}
	s.opts.Logger.Info("sort run written", zap.String("file", r.path), zap.Int64("bytes", r.bytes),
		zap.Int64("memory-bytes", charged), zap.Int("arenas", len(arenas)))
	return nil
}

// writeRun merges sorted arenas into a new run and opens it.
func (s *Sorter) writeRun(ctx context.Context, arenas []*kv.Arena) (_ *run, err error) {
	path, err := s.nextRunPath()
	if err != nil {
		return nil, err
	}
	w, err := newRunWriter(s.opts.FS, path, s.opts.Compression)
	if err != nil {
		return nil, writeError(s.opts.Dir, err)
	}
	var pairBytes int64
	m := merger{cursors: make([]cursor, len(arenas))}
	for i, a := range arenas {
		m.cursors[i] = cursor{arena: a, refs: a.Refs}
		pairBytes += int64(len(a.Buf))
	}
	m.skip = sharedByArenas(arenas)
	sampler := newSampler(pairBytes)
	if err := copyPairs(ctx, &m, w, sampler, s.opts.Dir); err != nil {
		w.abort()
		return nil, err
	}
	r := &run{path: path, samples: sampler.samples}
	if r.bytes, err = w.finish(); err != nil {
		_ = s.opts.FS.Remove(path)
		return nil, writeError(s.opts.Dir, err)
	}
	if err := r.open(ctx, s.opts.FS); err != nil {
		return nil, readError(s.opts.Dir, err)
	}
	return r, nil
}

// copyPairs writes every pair of m.
func copyPairs(ctx context.Context, m *merger, w *runWriter, sampler *sampler, dir string) error {
	for m.init(); m.valid(); m.next() {
		key := m.key()
		value, err := m.value()
		if err != nil {
			return err
		}
		if err := w.w.Set(key, value); err != nil {
			return writeError(dir, err)
		}
		if sampler.add(key, len(key)+len(value)) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
	}
	return m.err
}

// sharedByArenas returns how many leading bytes all keys of sorted, non-empty arenas share.
func sharedByArenas(arenas []*kv.Arena) int {
	first := arenas[0].Key(arenas[0].Refs[0])
	n := len(first)
	for _, a := range arenas {
		n = min(n, commonPrefix(first, a.Key(a.Refs[0])), commonPrefix(first, a.Key(a.Refs[len(a.Refs)-1])))
	}
	return n
}

// nextRunPath names the next run, making the sorter's directory first if need be.
func (s *Sorter) nextRunPath() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.dir == "" {
		var id [8]byte
		if _, err := rand.Read(id[:]); err != nil {
			return "", fmt.Errorf("naming the sort directory: %w", err)
		}
		dir := s.opts.FS.PathJoin(s.opts.Dir, "sort-"+hex.EncodeToString(id[:]))
		if err := s.opts.FS.MkdirAll(dir, 0o700); err != nil {
			return "", writeError(s.opts.Dir, err)
		}
		s.mu.dir = dir
	}
	s.mu.made++
	return s.opts.FS.PathJoin(s.mu.dir, runName(s.mu.made)), nil
}

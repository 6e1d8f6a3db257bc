package sortkv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"go.uber.org/zap"
)

// spill writes chunks as one run, and gives their pages back while it does. After
// the run that is one too many the sorter has failed.
func (s *Sorter) spill(ctx context.Context, chunks []*chunk) error {
	r, err := s.writeRun(ctx, chunks)
	for _, c := range chunks {
		s.returnPages(c.pages)
	}
	s.mu.Lock()
	s.mu.spills--
	if err == nil {
		s.mu.runs = append(s.mu.runs, r)
		s.mu.written += r.bytes
		s.mu.index += r.indexBytes
		s.budget.force(r.indexBytes)
		if s.fullLocked() {
			err = s.fullErrorLocked()
		}
	}
	s.mu.Unlock()
	if err != nil {
		return s.fail(err)
	}
	s.budget.wake()
	s.opts.Logger.Info("sort run written", zap.String("file", r.name), zap.Int64("bytes", r.bytes),
		zap.Int("chunks", len(chunks)), zap.Int("pages", len(r.blocks)))
	return nil
}

// writeRun merges chunks into a new run and opens it.
func (s *Sorter) writeRun(ctx context.Context, chunks []*chunk) (*run, error) {
	name, err := s.nextRunName()
	if err != nil {
		return nil, err
	}
	p := s.borrowPage(0)
	defer func() { s.returnPages([]*page{p}) }()
	w, err := newRunWriter(s.opts.FS, name, s.codec, p)
	if err != nil {
		return nil, writeError(s.opts.Dir, err)
	}
	if err := s.copyPairs(ctx, chunks, w); err != nil {
		w.abort()
		return nil, err
	}
	r, err := w.finish()
	if err != nil {
		return nil, writeError(s.opts.Dir, err)
	}
	if err := r.open(s.opts.FS); err != nil {
		_ = r.close()
		return nil, readError(s.opts.Dir, err)
	}
	return r, nil
}

// copyPairs writes every pair of the chunks.
func (s *Sorter) copyPairs(ctx context.Context, chunks []*chunk, w *runWriter) error {
	m := merger{cursors: make([]cursor, len(chunks)), values: true}
	keyBufs := newKeyBufs(len(chunks))
	for i, c := range chunks {
		src := &chunkSource{chunk: c, done: s.returnPage}
		if err := m.cursors[i].open(src, nil, nil, keyBufs(i)); err != nil {
			return err
		}
	}
	for m.init(); m.valid(); m.next() {
		value, err := m.value()
		if err != nil {
			return err
		}
		wrote, err := w.add(m.shared(), m.key(), value)
		if err != nil {
			return writeError(s.opts.Dir, err)
		}
		if wrote {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
	}
	return m.err
}

// nextRunName names the next run, making the sorter's directory first if need be.
func (s *Sorter) nextRunName() (string, error) {
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

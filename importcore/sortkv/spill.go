package sortkv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// spill writes chunks as one run, and gives their pages back while it does.
func (s *Sorter) spill(ctx context.Context, chunks []*chunk) error {
	began := time.Now()
	defer func() { s.diskTime.Add(int64(time.Since(began))) }()
	r, err := s.writeChunks(ctx, chunks)
	for _, c := range chunks {
		s.returnPages(c.pages)
	}
	s.mu.Lock()
	s.mu.spills--
	for _, c := range chunks {
		s.mu.spilling -= c.size
	}
	if err == nil {
		s.mu.runs = append(s.mu.runs, r)
		s.mu.written += r.bytes
	}
	s.mu.Unlock()
	if err != nil {
		return s.fail(err)
	}
	s.budget.wake()
	s.opts.Logger.Info("sort run written", zap.String("file", s.runPath(r.number)), zap.Int64("bytes", r.bytes),
		zap.Int("chunks", len(chunks)), zap.Int64("pairs", r.pairs))
	return nil
}

// writeChunks merges chunks into a new run.
func (s *Sorter) writeChunks(ctx context.Context, chunks []*chunk) (runInfo, error) {
	m := merger{cursors: make([]cursor, len(chunks)), values: true}
	keyBufs := newKeyBufs(len(chunks))
	for i, c := range chunks {
		src := &chunkSource{chunk: c, done: s.returnPage}
		if err := m.cursors[i].open(src, nil, nil, keyBufs(i)); err != nil {
			return runInfo{}, err
		}
	}
	m.init()
	return s.writeRun(ctx, &m)
}

// writeRun writes what is merged, from the present pair on, as a new run.
func (s *Sorter) writeRun(ctx context.Context, m *merger) (runInfo, error) {
	number, err := s.nextRun()
	if err != nil {
		return runInfo{}, err
	}
	p := s.borrowPage(0)
	defer func() { s.returnPages([]*page{p}) }()
	foot := footer{compression: s.opts.Compression, suffix: uint32(s.opts.SuffixBytes)}
	w, err := newRunWriter(s.opts.FS, s.runPath(number), s.codec, foot, p)
	if err != nil {
		return runInfo{}, writeError(s.opts.Dir, err)
	}
	if err := s.copyPairs(ctx, m, w); err != nil {
		w.abort()
		return runInfo{}, err
	}
	if foot, err = w.finish(); err != nil {
		return runInfo{}, writeError(s.opts.Dir, err)
	}
	return foot.info(number), nil
}

// copyPairs writes every pair.
func (s *Sorter) copyPairs(ctx context.Context, m *merger, w *runWriter) error {
	for ; m.valid(); m.next() {
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

// info returns what memory holds of the run with the footer.
func (f *footer) info(number int32) runInfo {
	return runInfo{
		number: number, footer: f.crc(), giant: f.giantBytes, index: f.depth * f.blockBytes,
		bytes: f.keysBytes + int64(footerBytes) + f.valueBytes, pairs: f.pairs,
	}
}

// DirPrefix begins the name of a sorter's own directory.
const DirPrefix = "sort-"

// nextRun numbers the next run, making the sorter's directory first if need be.
func (s *Sorter) nextRun() (int32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.dir == "" {
		var id [8]byte
		if _, err := rand.Read(id[:]); err != nil {
			return 0, fmt.Errorf("naming the sort directory: %w", err)
		}
		dir := s.opts.FS.PathJoin(s.opts.Dir, DirPrefix+hex.EncodeToString(id[:]))
		if err := s.opts.FS.MkdirAll(dir, 0o700); err != nil {
			return 0, writeError(s.opts.Dir, err)
		}
		s.mu.dir = dir
	}
	s.mu.made++
	return s.mu.made, nil
}

// runPath returns the path of a run's files, without suffix.
func (s *Sorter) runPath(number int32) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opts.FS.PathJoin(s.mu.dir, runName(number))
}

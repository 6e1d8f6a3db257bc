package sortkv

import (
	"context"
	"fmt"
)

// runSource gives the pages of a run to a cursor: it reads each into the same memory.
type runSource struct {
	*run
	ctx    context.Context
	dir    string // for errors
	index  indexCursor
	page   *page // of at least the run's page size; lent
	codec  codec
	values part   // of the present page
	keys   []byte // memory for a key that is larger than a page
	giant  page   // the present page, if its pair is larger than a page
	alone  bool   // which it is
	shared *readBuffers
}

// readBuffers are what the sources of an iterator share.
type readBuffers struct {
	stored []byte // scratch: a part, compressed
	giant  []byte // a value larger than a page
}

func (s *runSource) len() int { return int(s.foot.pages) }

func (s *runSource) seek(before func(first []byte) bool) error { return s.failed(s.index.seek(before)) }

func (s *runSource) following() ([]byte, bool) { return s.index.following.first, !s.index.ended }

func (s *runSource) load() (p *page, loaded bool, err error) {
	if err := context.Cause(s.ctx); err != nil {
		return nil, false, err
	}
	e := &s.index.following
	p = s.page
	if s.alone = int(e.keys.size)+int(e.values.size)+pageSlack > len(p.buf); s.alone {
		if p = &s.giant; int(e.keys.size)+pageSlack <= len(s.page.buf) {
			p.buf = s.page.buf
		} else {
			if cap(s.keys) < int(e.keys.size)+pageSlack {
				s.keys = make([]byte, e.keys.size+pageSlack)
			}
			p.buf = s.keys[:e.keys.size+pageSlack]
		}
	}
	p.pairs = int(e.pairs)
	if err := s.read(e.keys, p.buf[:e.keys.size], keysSuffix); err != nil {
		return nil, false, err
	}
	s.values = e.values
	if err := s.index.next(); err != nil {
		return nil, false, s.failed(err)
	}
	return p, s.values.size == 0, nil
}

func (s *runSource) loadValues() (giant []byte, err error) {
	size := int(s.values.size)
	if s.alone {
		if cap(s.shared.giant) < size {
			s.shared.giant = make([]byte, size)
		}
		giant = s.shared.giant[:size:size]
		return giant, s.read(s.values, giant, valuesSuffix)
	}
	end := len(s.page.buf) - pageSlack
	return nil, s.read(s.values, s.page.buf[end-size:end], valuesSuffix)
}

// read fills to with a part, verified.
func (s *runSource) read(p part, to []byte, suffix string) error {
	f := s.run.keys
	if suffix == valuesSuffix {
		f = s.run.values
	}
	data := to
	if p.stored != p.size {
		if s.codec == nil {
			return s.failed(fmt.Errorf("%s%s: a part is compressed: %w", s.name, suffix, errDamaged))
		}
		if cap(s.shared.stored) < int(p.stored) {
			s.shared.stored = make([]byte, p.stored, max(int(p.stored), int(s.foot.pageBytes)))
		}
		data = s.shared.stored[:p.stored]
	}
	err := readVerified(f, p, data)
	if err == nil && p.stored != p.size {
		err = s.codec.decompress(to, data)
	}
	if err != nil {
		return s.failed(fmt.Errorf("%s%s: %w", s.name, suffix, err))
	}
	return nil
}

func (s *runSource) failed(err error) error {
	if err == nil {
		return nil
	}
	return readError(s.dir, err)
}

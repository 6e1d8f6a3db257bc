package sortkv

import (
	"bytes"

	"github.com/sluicedb/sluice/importcore/kv"
)

// cursor walks one sorted source, an arena or a run, up to the end of the
// merged range.
type cursor struct {
	prefix uint64 // of key, after the bytes that all keys of the range share
	key    []byte
	done   bool

	arena *kv.Arena // nil for a run
	refs  []kv.Ref  // of arena: from the present pair on
	run   *runCursor
}

// merger is a loser tree over cursors: the present pair is the smallest, and
// moving on costs one comparison per level. Inner node n (from 1) holds the
// cursor that lost there; cursor i is leaf len(cursors)+i. Since equal keys
// of two cursors are smallest at the same time, they always meet in a
// comparison before either is given out, so duplicates can't slip through.
type merger struct {
	cursors []cursor
	losers  []int32
	winner  int32
	skip    int   // bytes that all keys share
	err     error // of a source, or *DuplicateKeyError
}

// init positions the tree on the smallest pair. The cursors stand on their
// first pairs, or are done.
func (m *merger) init() {
	if len(m.cursors) == 0 {
		return
	}
	for i := range m.cursors {
		m.loadKey(&m.cursors[i])
	}
	m.losers = make([]int32, len(m.cursors))
	m.winner = m.play(1)
}

func (m *merger) play(n int) int32 {
	k := len(m.cursors)
	if n >= k {
		return int32(n - k)
	}
	x, y := m.play(2*n), m.play(2*n+1)
	if m.less(y, x) {
		x, y = y, x
	}
	m.losers[n] = y
	return x
}

// valid reports whether there is a present pair.
func (m *merger) valid() bool {
	return m.err == nil && len(m.cursors) > 0 && !m.cursors[m.winner].done
}

// key returns the present key, valid until next.
func (m *merger) key() []byte { return m.cursors[m.winner].key }

// value returns the present value, valid until next.
func (m *merger) value() ([]byte, error) { return m.cursors[m.winner].value() }

// next moves to the following pair.
func (m *merger) next() {
	w := m.winner
	c := &m.cursors[w]
	if c.arena != nil {
		c.refs = c.refs[1:]
		c.done = len(c.refs) == 0
	} else if err := c.run.next(); err != nil {
		m.err = err
		return
	}
	m.loadKey(c)
	for n := (int(w) + len(m.cursors)) >> 1; n > 0; n >>= 1 {
		if l := m.losers[n]; m.less(l, w) {
			m.losers[n], w = w, l
		}
	}
	m.winner = w
}

// loadKey takes the key that the cursor stands on.
func (m *merger) loadKey(c *cursor) {
	if c.arena != nil {
		if c.done {
			return
		}
		c.key = c.arena.Key(c.refs[0])
	} else {
		if c.done = c.run.key == nil; c.done {
			return
		}
		c.key = c.run.key
	}
	c.prefix = kv.Prefix(c.key, m.skip)
}

func (m *merger) less(x, y int32) bool {
	cx, cy := &m.cursors[x], &m.cursors[y]
	if cx.done || cy.done {
		return !cx.done
	}
	if cx.prefix != cy.prefix {
		return cx.prefix < cy.prefix
	}
	c := bytes.Compare(cx.key, cy.key)
	if c == 0 && m.err == nil {
		m.err = equalPair(cx, cy)
	}
	return c < 0
}

func equalPair(x, y *cursor) error {
	vx, err := x.value()
	if err != nil {
		return err
	}
	vy, err := y.value()
	if err != nil {
		return err
	}
	return duplicateKey(x.key, vx, vy)
}

func (c *cursor) value() ([]byte, error) {
	if c.arena != nil {
		return c.arena.Value(c.refs[0]), nil
	}
	return c.run.value()
}

package sortkv

import (
	"bytes"
	"math/bits"
)

// merger is a loser tree over cursors: the present pair is the smallest, and
// moving on costs one comparison per level. Inner node n (from 1) holds the
// cursor that lost there; cursor i is leaf len(cursors)+i.
//
// Nodes keep offset-value codes. All codes on the way from the winner's leaf
// to the root have the present key as their base: each of those losers has lost
// against it, directly or by way of others, and the winner's successor follows
// it in its source. So codes decide nearly every comparison.
//
// Since equal keys of two cursors are smallest at the same time, they always
// meet in a comparison before either is given out, so duplicates can't slip through.
type merger struct {
	cursors []cursor
	nodes   []node
	winner  int32
	code    uint64 // the winner's, against the key given out before it
	err     error  // of a source, or *DuplicateKeyError
}

type node struct {
	code uint64
	src  int32
}

// init positions the tree on the smallest pair. The cursors are open.
func (m *merger) init() {
	if len(m.cursors) == 0 {
		m.code = noKey
		return
	}
	m.nodes = make([]node, len(m.cursors))
	first := m.play(1)
	m.winner, m.code = first.src, first.code
}

func (m *merger) play(n int) node {
	k := len(m.cursors)
	if n >= k {
		return node{m.cursors[n-k].code, int32(n - k)}
	}
	x, y := m.play(2*n), m.play(2*n+1)
	switch d := x.code ^ y.code; {
	case d < sameHead:
		m.nodes[n] = y
		return m.settle(&m.nodes[n], x)
	case x.code > y.code:
		x, y = y, x
	}
	m.nodes[n] = y
	return x
}

// valid reports whether there is a present pair.
func (m *merger) valid() bool { return m.code != noKey && m.err == nil }

// key returns the present key, valid until next.
func (m *merger) key() []byte { return m.cursors[m.winner].key }

// value returns the present value, valid until next.
func (m *merger) value() ([]byte, error) { return m.cursors[m.winner].val() }

// shared returns how many bytes the present key shares with the one before it.
func (m *merger) shared() int { return sharedBytes(m.code) }

// next moves to the following pair.
func (m *merger) next() {
	c := &m.cursors[m.winner]
	if c.left > 0 {
		c.step()
	} else if err := c.next(); err != nil {
		m.err = err
		return
	}
	w := node{c.code, m.winner}
	nodes := m.nodes
	for n := (int(w.src) + len(nodes)) >> 1; n > 0; n >>= 1 {
		l := &nodes[n]
		if l.code^w.code < sameHead {
			w = m.settle(l, w)
		} else if l.code < w.code {
			*l, w = w, *l
		}
	}
	m.winner, m.code = w.src, w.code
}

// settle compares two cursors with codes that share the offset and the byte
// behind it, leaves the loser in *l, with a code against the winner, and returns the winner.
func (m *merger) settle(l *node, w node) node {
	if l.code == noKey {
		return w // both have ended
	}
	off := sharedBytes(w.code)
	winner, loser := w, *l
	var shared int
	if diff := l.code ^ w.code; diff != 0 {
		if l.code < w.code {
			winner, loser = loser, winner
		}
		shared = (bits.LeadingZeros64(diff) - (64 - codeShift)) / 8
		// Padding is no part of a key: a winner that ends there shares no more than it has.
		shared = min(off+shared, len(m.cursors[winner.src].key))
	} else {
		x, y := m.cursors[w.src].key, m.cursors[l.src].key
		shared = off + commonPrefix(x[off:], y[off:])
		switch c := bytes.Compare(x[shared:], y[shared:]); {
		case c == 0:
			if m.err == nil {
				m.err = m.equalPair(w.src, l.src)
			}
		case c > 0:
			winner, loser = loser, winner
		}
	}
	loser.code = codeOf(m.cursors[loser.src].key, shared)
	*l = loser
	return winner
}

// equalPair makes the error for two cursors with one key.
func (m *merger) equalPair(x, y int32) error {
	vx, err := m.cursors[x].val()
	if err != nil {
		return err
	}
	vy, err := m.cursors[y].val()
	if err != nil {
		return err
	}
	return duplicateKey(m.cursors[x].key, vx, vy)
}

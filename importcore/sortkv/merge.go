package sortkv

import (
	"bytes"
	"math/bits"
	"slices"
)

// merger is a loser tree over cursors: the present pair is the smallest, and
// moving on costs one comparison per level. An inner node holds the cursor
// that lost there. The tree is a Huffman tree over the cursors' sizes: those with many pairs
// are near the root, which halves the comparisons where a few runs meet many chunks.
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
	leaves  []int32 // node above each cursor
	nodes   []node  // each behind those below it, the root last
	winner  int32
	code    uint64 // the winner's, against the key given out before it
	err     error  // of a source, or *DuplicateKeyError
	values  bool   // values will be asked for
}

type node struct {
	code uint64
	src  int32
	up   int32 // the node above; top for the root
}

const top = -1

// init positions the tree on the smallest pair. The cursors are open.
func (m *merger) init() {
	k := len(m.cursors)
	switch k {
	case 0:
		m.code = noKey
		return
	case 1:
		m.leaves, m.code = []int32{top}, m.cursors[0].code
		return
	}
	sizes := make([]int, k)
	for i := range m.cursors {
		sizes[i] = m.cursors[i].src.len()
	}
	below := huffman(sizes)
	m.leaves = make([]int32, k)
	m.nodes = make([]node, k-1)
	winners := make([]node, k-1)
	for i, pair := range below {
		l, w := m.child(pair[0], int32(i), winners), m.child(pair[1], int32(i), winners)
		if l.code^w.code < sameHead {
			w = m.settle(&l, w)
		} else if l.code < w.code {
			l, w = w, l
		}
		m.nodes[i], winners[i] = node{l.code, l.src, top}, w
	}
	m.winner, m.code = winners[k-2].src, winners[k-2].code
}

// child returns what comes up from a child of node up, see huffman, and links the two.
func (m *merger) child(n int, up int32, winners []node) node {
	if n < len(m.cursors) {
		m.leaves[n] = up
		return node{code: m.cursors[n].code, src: int32(n)}
	}
	n -= len(m.cursors)
	m.nodes[n].up = up
	return winners[n]
}

// huffman returns the inner nodes of a Huffman tree over n leaves, each as its
// two children: leaf i is i, inner node i is n+i. Children come before parents.
func huffman(sizes []int) [][2]int {
	n := len(sizes)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return sizes[x] - sizes[y] })
	// Sums of merged nodes only grow, so two queues replace a heap.
	nodes, sums := make([][2]int, 0, n-1), make([]int, 0, n-1)
	leaf, inner := 0, 0
	smallest := func() (child, size int) {
		if inner == len(sums) || leaf < n && sizes[order[leaf]] <= sums[inner] {
			leaf++
			return order[leaf-1], sizes[order[leaf-1]]
		}
		inner++
		return n + inner - 1, sums[inner-1]
	}
	for range n - 1 {
		x, sizeX := smallest()
		y, sizeY := smallest()
		nodes, sums = append(nodes, [2]int{x, y}), append(sums, sizeX+sizeY)
	}
	return nodes
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
		if m.values { // the pair is given out after many others: time to fetch it
			prefetchPair(&c.buf[c.pos], &c.buf[c.value])
		}
	} else if err := c.next(); err != nil {
		m.err = err
		return
	}
	w := node{code: c.code, src: m.winner}
	nodes := m.nodes
	for n := m.leaves[m.winner]; n != top; {
		l := &nodes[n]
		n = l.up
		if l.code^w.code < sameHead {
			w = m.settle(l, w)
		} else if l.code < w.code {
			l.code, l.src, w.code, w.src = w.code, w.src, l.code, l.src
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
	l.code, l.src = loser.code, loser.src
	return winner
}

// equalPair makes the error for two cursors with one key.
func (m *merger) equalPair(x, y int32) error {
	vx, err := m.cursors[x].val()
	if err != nil {
		return err
	}
	vx = bytes.Clone(vx) // both may be larger than a page
	vy, err := m.cursors[y].val()
	if err != nil {
		return err
	}
	return duplicateKey(m.cursors[x].key, vx, vy)
}

package dataset

import "math/bits"

// rng is splitmix64: one addition and three multiplications a number, which
// keeps the generator far faster than any reader of its files.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return mix(uint64(*r))
}

// below returns a number in [0, n). The bias of the multiplication method is
// n/2^64 and of no interest here.
func (r *rng) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// permutation maps [0, n) onto itself without a table: a Feistel network on
// the next even number of bits, applied again while the result is n or more
// (at most four times on average).
type permutation struct {
	n    uint64
	half uint // bits of one half
	mask uint64
	keys [4]uint64
}

func newPermutation(n, seed uint64) permutation {
	half := uint(bits.Len64(max(n, 2)-1)+1) / 2
	p := permutation{n: n, half: half, mask: 1<<half - 1}
	r := rng(seed)
	for i := range p.keys {
		p.keys[i] = r.next()
	}
	return p
}

// at returns the image of i, which must be less than n.
func (p *permutation) at(i uint64) uint64 {
	for {
		left, right := i>>p.half, i&p.mask
		for _, key := range p.keys {
			left, right = right, left^(mix(right^key)&p.mask)
		}
		i = left<<p.half | right
		if i < p.n {
			return i
		}
	}
}

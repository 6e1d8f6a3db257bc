package sortkv

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/sluicedb/sluice/importcore/kv"
)

// insertionMax is the bucket size below which insertion sort beats another
// radix pass (which touches a table of 256 counters whatever the size).
const insertionMax = 24

// arenaSort sorts the references of one arena by key: most significant digit
// radix sort on the 8 key bytes cached in Ref.Prefix, in place, eight bits at a
// time from the highest bit that differs. When all cached bytes of a bucket
// are equal the next 8 bytes of the keys are loaded in their place, and the
// old ones put back afterwards. It allocates nothing.
type arenaSort struct {
	a    *kv.Arena
	dup  bool
	x, y kv.Ref // the equal pair if dup
}

// sortArena orders a.Refs by key, strictly, or returns *DuplicateKeyError.
func sortArena(a *kv.Arena) error {
	if len(a.Refs) < 2 {
		return nil
	}
	s := arenaSort{a: a}
	depth := a.PrefixSkip
	// Cached bytes help if all keys agree up to them and they are where keys begin to differ.
	reload := !agree(a, depth)
	if reload {
		depth = sharedPrefix(a)
		s.load(a.Refs, depth)
	}
	s.radix(a.Refs, depth)
	if reload {
		s.load(a.Refs, a.PrefixSkip)
	}
	if s.dup {
		return duplicateKey(a.Key(s.x), a.Value(s.x), a.Value(s.y))
	}
	return nil
}

// agree reports whether all keys have the same first n bytes, for 8 to 16
// bytes, where a table's keys agree; for others it says no, which costs time only.
func agree(a *kv.Arena, n int) bool {
	first := a.Key(a.Refs[0])
	if n < 8 || n > 16 || len(first) < n {
		return false
	}
	x, y := binary.LittleEndian.Uint64(first), binary.LittleEndian.Uint64(first[n-8:])
	diff := uint64(0)
	for i := range a.Refs {
		r := &a.Refs[i]
		if int(r.KeyLen) < n {
			return false
		}
		key := a.Buf[r.Off:]
		diff |= binary.LittleEndian.Uint64(key) ^ x | binary.LittleEndian.Uint64(key[n-8:]) ^ y
	}
	return diff == 0
}

// sharedPrefix returns how many leading bytes all keys share.
func sharedPrefix(a *kv.Arena) int {
	first := a.Key(a.Refs[0])
	n := len(first)
	for _, r := range a.Refs[1:] {
		key := a.Key(r)
		if len(key) < n || !bytes.Equal(key[:n], first[:n]) {
			n = commonPrefix(first[:n], key)
		}
	}
	return n
}

// load sets Prefix to the key bytes from depth on.
func (s *arenaSort) load(refs []kv.Ref, depth int) {
	for i := range refs {
		refs[i].Prefix = kv.Prefix(s.a.Key(refs[i]), depth)
	}
}

// radix sorts refs whose keys agree before depth and whose Prefix starts there.
func (s *arenaSort) radix(refs []kv.Ref, depth int) {
	if len(refs) <= insertionMax {
		s.insertion(refs, depth)
		return
	}
	and, or := refs[0].Prefix, refs[0].Prefix
	for i := range refs {
		and &= refs[i].Prefix
		or |= refs[i].Prefix
	}
	if and == or {
		s.deeper(refs, depth)
		return
	}
	shift := max(0, bits.Len64(and^or)-8)
	var end [256]int
	for i := range refs {
		end[byte(refs[i].Prefix>>shift)]++
	}
	var next [256]int
	sum := 0
	for i, n := range end {
		next[i] = sum
		sum += n
		end[i] = sum
	}
	permute(refs, shift, &next, &end)
	start := 0
	for _, e := range end {
		if e-start > 1 && !s.dup {
			s.radix(refs[start:e], depth)
		}
		start = e
	}
}

// permute moves every reference into its bucket, in place.
func permute(refs []kv.Ref, shift int, next, end *[256]int) {
	for b := range 256 {
		for next[b] < end[b] {
			r := refs[next[b]]
			for d := byte(r.Prefix >> shift); int(d) != b; d = byte(r.Prefix >> shift) {
				refs[next[d]], r = r, refs[next[d]]
				next[d]++
			}
			refs[next[b]] = r
			next[b]++
		}
	}
}

// deeper sorts refs whose Prefix at depth is equal. Keys that end within the
// prefix come first, the shorter before the longer: the prefix is padded with
// zeros, so a longer key has zeros where the shorter one has ended.
func (s *arenaSort) deeper(refs []kv.Ref, depth int) {
	next := depth + 8
	short := 0
	for i := range refs {
		if int(refs[i].KeyLen) <= next {
			refs[i], refs[short] = refs[short], refs[i]
			short++
		}
	}
	// There are at most nine lengths, so more keys than that hold a pair of equals.
	s.insertion(refs[:min(short, insertionMax)], depth)
	if short > insertionMax || s.dup || len(refs)-short < 2 {
		return
	}
	long := refs[short:]
	prefix := long[0].Prefix
	s.load(long, next)
	s.radix(long, next)
	for i := range long {
		long[i].Prefix = prefix
	}
}

// insertion sorts few references and notes equal keys.
func (s *arenaSort) insertion(refs []kv.Ref, depth int) {
	for i := 1; i < len(refs); i++ {
		r := refs[i]
		j := i
		for ; j > 0; j-- {
			before := &refs[j-1]
			if r.Prefix > before.Prefix || r.Prefix == before.Prefix && !s.less(r, *before, depth) {
				break
			}
			refs[j] = *before
		}
		refs[j] = r
	}
}

// less compares keys with equal Prefix.
func (s *arenaSort) less(x, y kv.Ref, depth int) bool {
	c := bytes.Compare(s.a.Key(x)[depth:], s.a.Key(y)[depth:])
	if c == 0 && !s.dup {
		s.dup, s.x, s.y = true, x, y
	}
	return c < 0
}

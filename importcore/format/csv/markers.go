package csv

import "math/bits"

const (
	word        = 64       // bytes of data that one word of marks covers
	minMarked   = 16 << 10 // bytes that are marked at a time
	maxMarked   = 1 << 20  // same, for long rows
	markerKinds = 5
)

// markers are the bytes of a dialect with a meaning: separator, line end,
// second line end, quote, escape byte. What a dialect doesn't have repeats
// another one: a missing quote the separator, a missing escape byte the quote.
type markers [markerKinds]byte

func (d *dialect) markers() *markers {
	m := &markers{d.sep[0], d.termByte, d.termByte, d.sep[0]}
	if d.autoTerm {
		m[2] = '\r'
	}
	if d.hasQuote {
		m[3] = d.quote
	}
	m[4] = m[3]
	if d.hasEsc {
		m[4] = d.esc
	}
	return m
}

// marks tell where markers are in a stretch of a block: bit i%64 of word i/64
// stands for byte base+i. They are found 64 bytes at a time, ahead of the
// rows, so that a row costs one step per marker and not one per byte.
type marks struct {
	m         *markers
	base, end int // the stretch of the block
	all       []uint64
	quotes    []uint64 // quotes and escape bytes: what matters inside of quotes
	tail      [word]byte
}

// fill marks data from pos on, up to size bytes.
func (k *marks) fill(data []byte, pos, size int) {
	data = data[pos:min(len(data), pos+size)]
	k.base, k.end = pos, pos+len(data)
	words := (len(data) + word - 1) / word
	if words > cap(k.all) {
		k.all, k.quotes = make([]uint64, max(words, minMarked/word)), make([]uint64, max(words, minMarked/word))
	}
	k.all, k.quotes = k.all[:words], k.quotes[:words]
	whole := len(data) / word
	if whole > 0 {
		markWords(data[:whole*word], k.all[:whole], k.quotes[:whole], k.m)
	}
	if rest := data[whole*word:]; len(rest) > 0 {
		copy(k.tail[:], rest)
		markWords(k.tail[:], k.all[whole:], k.quotes[whole:], k.m)
		valid := uint64(1)<<len(rest) - 1
		k.all[whole] &= valid
		k.quotes[whole] &= valid
	}
}

// next returns the place in the block of the first bit at or after pos, or -1
// if there is none up to the end of the stretch.
func (k *marks) next(set []uint64, pos int) int {
	pos -= k.base
	i := pos / word
	if i >= len(set) {
		return -1
	}
	x := set[i] >> (pos % word)
	if x != 0 {
		return k.base + pos + bits.TrailingZeros64(x)
	}
	for i++; i < len(set); i++ {
		if set[i] != 0 {
			return k.base + i*word + bits.TrailingZeros64(set[i])
		}
	}
	return -1
}

// markWordsGo is the plain form of markWords: data is 64 bytes per word.
func markWordsGo(data []byte, all, quotes []uint64, m *markers) {
	var class [256]uint8
	for i, b := range m {
		if class[b] |= 1; i >= 3 {
			class[b] |= 2
		}
	}
	for w := range all {
		chunk := data[w*word:][:word]
		var a, q uint64
		for i := word - 1; i >= 0; i-- {
			c := uint64(class[chunk[i]])
			a, q = a<<1|c&1, q<<1|c>>1
		}
		all[w], quotes[w] = a, q
	}
}

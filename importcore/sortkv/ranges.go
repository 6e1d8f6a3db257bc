package sortkv

import (
	"bytes"
	"slices"
)

// sample is the first key of a page and what is in the page.
type sample struct {
	key   []byte
	bytes int64
	keys  int64
}

// Range is a part of the key space and an estimate of what is in it.
type Range struct {
	Start []byte // inclusive: a key of the data, in the first range the smallest one
	End   []byte // exclusive: the next range's Start, in the last range just behind the largest key
	Bytes int64  // of keys and values, estimated
	Keys  int64  // estimated
}

// sample collects what is known of all pages.
func (r *Sorted) sample() {
	n := 0
	for _, c := range r.chunks {
		n += len(c.pages)
	}
	for _, run := range r.runs {
		n += len(run.blocks)
	}
	r.samples = make([]sample, 0, n)
	for _, c := range r.chunks {
		for _, p := range c.pages {
			r.samples = append(r.samples, r.sampleOf(p.firstKey(), p.bytes, p.pairs))
		}
	}
	for _, run := range r.runs {
		for i := range run.blocks {
			b := &run.blocks[i]
			r.samples = append(r.samples, r.sampleOf(b.first, b.bytes, b.pairs))
		}
	}
	slices.SortFunc(r.samples, func(x, y sample) int { return bytes.Compare(x.key, y.key) })
}

func (r *Sorted) sampleOf(first []byte, bytes int64, pairs int) sample {
	return sample{r.cut(first), bytes - int64(pairs*r.suffix), int64(pairs)}
}

// Ranges cuts the key space into ranges of about maxBytes bytes and maxKeys
// pairs at most (0 and less mean no limit): in key order, without gaps
// and without overlap, covering every pair. It reads no data: borders are
// first keys of pages, and a page counts for the range in which it begins, so
// a range holds more or less than is said by up to a page (64 KiB and less) per
// source, half of it typically, too much of some sources and too little of others.
// Borders are keys without suffix. The slices are shared and must not be changed. No pairs give no ranges.
func (r *Sorted) Ranges(maxBytes, maxKeys int64) []Range {
	var ranges []Range
	for _, s := range r.samples {
		n := len(ranges)
		full := n == 0 ||
			maxBytes > 0 && ranges[n-1].Bytes+s.bytes > maxBytes ||
			maxKeys > 0 && ranges[n-1].Keys+s.keys > maxKeys
		// Equal samples (one key with several suffixes) must stay together.
		if full && (n == 0 || !bytes.Equal(ranges[n-1].Start, s.key)) {
			if n > 0 {
				ranges[n-1].End = s.key
			}
			ranges = append(ranges, Range{Start: s.key})
			n++
		}
		ranges[n-1].Bytes += s.bytes
		ranges[n-1].Keys += s.keys
	}
	if n := len(ranges); n > 0 {
		ranges[n-1].End = append(slices.Clone(r.max), 0)
	}
	return ranges
}

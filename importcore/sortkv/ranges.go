package sortkv

import (
	"bytes"
	"slices"

	"github.com/sluicedb/sluice/importcore/kv"
)

// sample is a key of one sorted source and what follows it up to the source's next sample.
type sample struct {
	key   []byte
	bytes int64
	keys  int64
}

// Bounds of the distance between samples of one source, in bytes of pairs.
const (
	minSampleBytes   = 1 << 10
	maxSampleBytes   = 1 << 20
	samplesPerSource = 512
)

// sampler takes samples of a source while its pairs pass by in order.
type sampler struct {
	every   int64
	samples []sample
}

// newSampler returns a sampler for a source of about total bytes.
func newSampler(total int64) *sampler {
	return &sampler{every: min(max(total/samplesPerSource, minSampleBytes), maxSampleBytes)}
}

// add counts a pair of n bytes and reports whether it became a sample.
func (s *sampler) add(key []byte, n int) bool {
	sampled := false
	if len(s.samples) == 0 || s.samples[len(s.samples)-1].bytes >= s.every {
		s.samples = append(s.samples, sample{key: append([]byte{}, key...)})
		sampled = true
	}
	last := &s.samples[len(s.samples)-1]
	last.bytes += int64(n)
	last.keys++
	return sampled
}

// Range is a part of the key space and an estimate of what is in it.
type Range struct {
	Start []byte // inclusive: a key of the data, in the first range the smallest one
	End   []byte // exclusive: the next range's Start, in the last range just behind the largest key
	Bytes int64  // of keys and values, estimated
	Keys  int64  // estimated
}

// sample completes the samples with those of the resident arenas.
func (r *Sorted) sample() {
	for _, run := range r.runs {
		r.samples = append(r.samples, run.samples...)
	}
	for _, a := range r.arenas {
		s := newSampler(int64(len(a.Buf)))
		for _, ref := range a.Refs {
			s.add(a.Key(ref), int(ref.KeyLen+ref.ValLen))
		}
		r.samples = append(r.samples, s.samples...)
	}
	slices.SortFunc(r.samples, func(x, y sample) int { return bytes.Compare(x.key, y.key) })
}

// Ranges cuts the key space into ranges of about maxBytes bytes and maxKeys
// pairs at most (0 and less mean no limit): in key order, without gaps
// and without overlap, covering every pair. It reads no data: borders and
// estimates come from samples taken while sources were written, so a
// range may be off by the distance of samples (1/512 of a source, 1 KiB to 1
// MiB) per source, half of it typically over some sources and under in others.
// The slices are shared and must not be changed. No pairs give no ranges.
func (r *Sorted) Ranges(maxBytes, maxKeys int64) []Range {
	var ranges []Range
	for _, s := range r.samples {
		n := len(ranges)
		full := n == 0 ||
			maxBytes > 0 && ranges[n-1].Bytes+s.bytes > maxBytes ||
			maxKeys > 0 && ranges[n-1].Keys+s.keys > maxKeys
		// Equal samples (a duplicate key) must stay together.
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

// part returns the references of a sorted arena with keys in [start, end), nil meaning unbounded.
func part(a *kv.Arena, start, end []byte) []kv.Ref {
	refs := a.Refs
	if end != nil {
		refs = refs[:lowerBound(a, refs, end)]
	}
	if start != nil {
		refs = refs[lowerBound(a, refs, start):]
	}
	return refs
}

// lowerBound returns the index of the first reference with a key at or after key.
func lowerBound(a *kv.Arena, refs []kv.Ref, key []byte) int {
	i, _ := slices.BinarySearchFunc(refs, key, func(r kv.Ref, key []byte) int { return bytes.Compare(a.Key(r), key) })
	return i
}

package sortkv

import (
	"bytes"
	"container/heap"
	"slices"
)

// sample is a key and what is in the pages that begin at it or behind it, up to the next sample.
type sample struct {
	key   []byte
	bytes int64
	keys  int64
}

const (
	// sampleShare is the part of the memory budget that samples may take.
	sampleShare = 16
	// maxSampleBytes suffices for samples of a few MiB of a table of some TiB.
	maxSampleBytes = 64 << 20
	// sampleBytes is what one takes without its key.
	sampleBytes = 24 + 2*8
)

// sampler collects the first keys of pages, in order whichever source they are of,
// and thins them out when they take too much memory: neighbours become one. So what a
// sample stands for is some part of all pairs, however many runs there are.
type sampler struct {
	samples []sample
	suffix  int   // bytes at the end of keys that samples don't have
	memory  int64 // bytes
	limit   int64 // of memory
	most    int64 // bytes of pairs up to which samples become one
}

// add takes a page.
func (p *sampler) add(first []byte, size, pairs int64) {
	key := first[:len(first)-p.suffix]
	size -= pairs * int64(p.suffix)
	if n := len(p.samples); n > 0 && p.samples[n-1].bytes+size <= p.most {
		p.samples[n-1].bytes += size
		p.samples[n-1].keys += pairs
		return
	}
	p.samples = append(p.samples, sample{bytes.Clone(key), size, pairs})
	for p.memory += sampleBytes + int64(len(key)); len(p.samples) > 1 && p.memory > p.limit; {
		p.thin()
	}
}

// thin doubles what samples stand for.
func (p *sampler) thin() {
	var sum int64
	for _, s := range p.samples {
		sum += s.bytes
	}
	p.most = 2 * max(p.most, sum/int64(len(p.samples)))
	joined := p.samples[:1]
	p.memory = sampleBytes + int64(len(joined[0].key))
	for _, s := range p.samples[1:] {
		if last := &joined[len(joined)-1]; last.bytes+s.bytes <= p.most {
			last.bytes += s.bytes
			last.keys += s.keys
			continue
		}
		joined = append(joined, s)
		p.memory += sampleBytes + int64(len(s.key))
	}
	clear(p.samples[len(joined):])
	p.samples = joined
}

// pageWalk goes over the pages of a run, or of all chunks, in the order of their
// first keys. At the end it is removed from the heap.
type pageWalk struct {
	pages        []*page // of chunks, those that follow
	index        *indexCursor
	seen         footer // sums of what was seen of a run
	first        []byte // of the present page
	bytes, pairs int64
}

// next moves on and reports whether there is another page.
func (w *pageWalk) next() (bool, error) {
	if w.index == nil {
		if len(w.pages) == 0 {
			return false, nil
		}
		p := w.pages[0]
		w.pages, w.first, w.bytes, w.pairs = w.pages[1:], p.firstKey(), p.bytes, int64(p.pairs)
		return true, nil
	}
	move := w.index.next
	if w.first == nil {
		move = func() error { return w.index.seek(nil) }
	}
	if err := move(); err != nil {
		return false, err
	}
	if foot := &w.index.run.foot; w.index.ended {
		if w.seen.pages != foot.pages || w.seen.pairs != foot.pairs || w.seen.bytes != foot.bytes {
			return false, w.index.damaged(errDamaged)
		}
		return false, nil
	}
	e := &w.index.following
	w.first, w.bytes, w.pairs = e.first, e.bytes, e.pairs
	w.seen.pages++
	w.seen.pairs += e.pairs
	w.seen.bytes += e.bytes
	return true, nil
}

// pageWalks is a heap, the smallest first key on top.
type pageWalks []*pageWalk

func (h pageWalks) Len() int           { return len(h) }
func (h pageWalks) Less(i, j int) bool { return bytes.Compare(h[i].first, h[j].first) < 0 }
func (h pageWalks) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is not used: heap.Init takes all there are.
func (h *pageWalks) Push(w any) { *h = append(*h, w.(*pageWalk)) }

// Pop removes the last one.
func (h *pageWalks) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// Range is a part of the key space and an estimate of what is in it.
type Range struct {
	Start []byte // inclusive: a key of the data, in the first range the smallest one
	End   []byte // exclusive: the next range's Start, in the last range just behind the largest key
	Bytes int64  // of keys and values, estimated
	Keys  int64  // estimated
}

// sample collects what is known of all pages; of runs it reads the index.
func (r *Sorted) sample() error {
	walks := pageWalks{{}}
	for _, c := range r.chunks {
		walks[0].pages = append(walks[0].pages, c.pages...)
	}
	slices.SortFunc(walks[0].pages, func(x, y *page) int { return bytes.Compare(x.firstKey(), y.firstKey()) })
	for _, run := range r.runs {
		x := newIndexCursor(run, make([]byte, run.indexBytes()))
		walks = append(walks, &pageWalk{index: &x})
	}
	heads := walks[:0]
	for _, w := range walks {
		ok, err := w.next()
		if err != nil {
			return readError(r.s.opts.Dir, err)
		}
		if ok {
			heads = append(heads, w)
		}
	}
	heap.Init(&heads)
	p := sampler{suffix: r.suffix, limit: min(r.s.opts.MemoryBudget/sampleShare, maxSampleBytes)}
	for len(heads) > 0 {
		w := heads[0]
		p.add(w.first, w.bytes, w.pairs)
		ok, err := w.next()
		if err != nil {
			return readError(r.s.opts.Dir, err)
		}
		if ok {
			heap.Fix(&heads, 0)
		} else {
			heap.Pop(&heads)
		}
	}
	r.samples, r.sampleBytes = p.samples, p.memory
	return nil
}

// Ranges cuts the key space into ranges of about maxBytes bytes and maxKeys
// pairs at most (0 and less mean no limit): in key order, without gaps
// and without overlap, covering every pair. It reads no data: borders are
// first keys of pages, and a page counts for the range in which it begins, so
// a range holds more or less than is said by up to a page (64 KiB and less) per
// source, half of it typically, too much of some sources and too little of others. When the
// first keys would take more than a sixteenth of the budget, they are thinned out: a terabyte
// of pairs in 128 MiB is then cut at every 30 MiB or so.
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

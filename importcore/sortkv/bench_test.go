package sortkv_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

const benchPairs = 400_000

// fillArenas gives the sorter demo-like pairs: per row one of a shuffled
// integer key with 150 bytes, a unique varchar index and an integer index.
func fillArenas(tb testing.TB, s *sortkv.Sorter, n int, add func(*kv.Arena)) {
	rnd := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 150)
	for i := range value {
		value[i] = "etaoin shrdlu123"[rnd.IntN(16)]
	}
	a, err := s.Arena(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	key := make([]byte, 0, 64)
	for i := range n {
		id := uint64(i) * 2654435761 % (1 << 32)
		switch i % 3 {
		case 0:
			key = append(key[:0], "t\x80\x00\x00\x00\x00\x00\x00\x68_r"...)
			key = binary.BigEndian.AppendUint64(key, id|1<<63)
			a.Add(key, value)
		case 1:
			key = append(key[:0], "t\x80\x00\x00\x00\x00\x00\x00\x68_i\x80\x00\x00\x00\x00\x00\x00\x01\x01"...)
			key = fmt.Appendf(key, "user-%d@example.com", id)
			a.Add(key, value[:9])
		case 2:
			key = append(key[:0], "t\x80\x00\x00\x00\x00\x00\x00\x68_i\x80\x00\x00\x00\x00\x00\x00\x02\x03"...)
			key = binary.BigEndian.AppendUint64(key, id%1000|1<<63)
			key = binary.BigEndian.AppendUint64(key, id|1<<63)
			a.Add(key, value[:1])
		}
		if a.Bytes() >= s.ArenaBytes() {
			add(a)
			if a, err = s.Arena(context.Background()); err != nil {
				tb.Fatal(err)
			}
		}
	}
	add(a)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// finished returns a sorter's result and the processor time that Add took.
func finished(tb testing.TB, opts sortkv.Options, n int) (*sortkv.Sorted, time.Duration) {
	s := newSorter(tb, opts)
	var spent time.Duration
	fillArenas(tb, s, n, func(a *kv.Arena) {
		start := cpuTime()
		if err := s.Add(context.Background(), a); err != nil {
			tb.Fatal(err)
		}
		spent += cpuTime() - start
	})
	r, err := s.Finish(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return r, spent
}

// BenchmarkAdd is checksum and sort, without spilling.
func BenchmarkAdd(b *testing.B) {
	var spent time.Duration
	for b.Loop() {
		r, d := finished(b, sortkv.Options{MemoryBudget: 512 << 20, PrefixSkip: 10, ArenaBytes: 8 << 20}, benchPairs)
		b.SetBytes(int64(r.Checksum().Bytes))
		spent += d
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/benchPairs, "cpu-ns/pair")
}

var compressions = map[string]sortkv.Compression{
	"none": sortkv.CompressionNone, "snappy": sortkv.CompressionSnappy, "zstd": sortkv.CompressionZstd,
}

// BenchmarkSpill is Add with everything written (memory for half of an arena's worth is left).
func BenchmarkSpill(b *testing.B) {
	for name, c := range compressions {
		b.Run(name, func(b *testing.B) {
			var spent time.Duration
			for b.Loop() {
				r, d := finished(b, sortkv.Options{MemoryBudget: 16 << 20, PrefixSkip: 10, Compression: c}, benchPairs)
				b.SetBytes(int64(r.Checksum().Bytes))
				b.ReportMetric(float64(r.Spilled())/float64(r.Checksum().Bytes), "written/pair-bytes")
				spent += d
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/benchPairs, "cpu-ns/pair")
		})
	}
}

func benchmarkMerge(b *testing.B, r *sortkv.Sorted) {
	b.SetBytes(int64(r.Checksum().Bytes))
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		it, err := r.Iter(context.Background(), nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		for it.Next() {
		}
		if err := it.Err(); err != nil {
			b.Fatal(err)
		}
		it.Close()
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N)/benchPairs, "cpu-ns/pair")
}

func BenchmarkMergeMemory(b *testing.B) {
	r, _ := finished(b, sortkv.Options{MemoryBudget: 512 << 20, PrefixSkip: 10, ArenaBytes: 4 << 20}, benchPairs)
	benchmarkMerge(b, r)
}

func BenchmarkMergeRuns(b *testing.B) {
	for name, c := range compressions {
		b.Run(name, func(b *testing.B) {
			r, _ := finished(b, sortkv.Options{MemoryBudget: 16 << 20, PrefixSkip: 10, Compression: c}, benchPairs)
			b.ReportMetric(float64(r.Runs()), "runs")
			benchmarkMerge(b, r)
		})
	}
}

func TestSortingAndMergingInMemoryAllocateNothingPerPair(t *testing.T) {
	s := newSorter(t, sortkv.Options{MemoryBudget: 256 << 20, PrefixSkip: 10, ArenaBytes: 2 << 20})
	pairs, added := 0, 0
	fillArenas(t, s, 100_000, func(a *kv.Arena) {
		pairs += len(a.Refs)
		added++
		n := testing.AllocsPerRun(1, func() {
			if added > 0 { // AllocsPerRun calls once more to warm up
				added = -added
				return
			}
			added = -added
			if err := s.Add(context.Background(), a); err != nil {
				t.Error(err)
			}
		})
		if n > 16 { // bookkeeping per arena and slab of pages
			t.Errorf("Add of %d pairs: %v allocations", len(a.Refs), n)
		}
	})
	r, err := s.Finish(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	it, err := r.Iter(context.Background(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	got := 0
	if n := testing.AllocsPerRun(100, func() {
		for range 500 {
			if it.Next() {
				got += min(1, len(it.Key()), len(it.Value()))
			}
		}
	}); n != 0 {
		t.Errorf("500 steps: %v allocations", n)
	}
	if got != 101*500 {
		t.Errorf("%d pairs were seen", got)
	}
}

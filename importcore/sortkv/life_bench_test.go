package sortkv_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// demoRows makes the pairs of a table like the demo's: a shuffled BIGINT primary
// key with values of some 150 bytes, a unique index on 9-digit codes and an
// index on one of 1000 small numbers. Rows are numbered; n rows have n ids.
type demoRows struct {
	n    uint64
	text []byte
	key  []byte
}

func newDemoRows(n int) *demoRows {
	rnd := rand.New(rand.NewPCG(4, 2))
	text := make([]byte, 64<<10)
	for i := range text {
		text[i] = byte(rnd.Uint32N(96)) + ' '
	}
	return &demoRows{n: uint64(n), text: text, key: make([]byte, 0, 64)}
}

const pairsPerDemoRow = 3

// add puts the pairs of row i into a.
func (d *demoRows) add(a *kv.Arena, i uint64) {
	id := i * 2654435761 % d.n // a permutation: the factor is a prime above n
	hash := (id + 1) * 0x9e3779b97f4a7c15
	size := 90 + hash>>40%120
	at := hash >> 20 % uint64(len(d.text)-256)
	key := append(d.key[:0], "t\x80\x00\x00\x00\x00\x00\x00\x68_r"...)
	key = binary.BigEndian.AppendUint64(key, id|1<<63)
	a.Add(key, d.text[at:at+size])

	code := [9]byte{'0', '0', '0'}
	for j, v := 8, id*2147483629%2176782336; j >= 3; j, v = j-1, v/36 {
		code[j] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[v%36]
	}
	key = append(d.key[:0], "t\x80\x00\x00\x00\x00\x00\x00\x68_i\x80\x00\x00\x00\x00\x00\x00\x01\x01"...)
	key = append(append(key, code[:8]...), 0xff)
	key = append(key, code[8], 0, 0, 0, 0, 0, 0, 0, 0xf8)
	var handle [8]byte
	binary.BigEndian.PutUint64(handle[:], id)
	a.Add(key, handle[:])

	key = append(d.key[:0], "t\x80\x00\x00\x00\x00\x00\x00\x68_i\x80\x00\x00\x00\x00\x00\x00\x02\x03"...)
	key = binary.BigEndian.AppendUint64(key, hash>>30%1000|1<<63)
	key = append(key, 3)
	key = binary.BigEndian.AppendUint64(key, id|1<<63)
	a.Add(key, []byte{'0'})
}

// threadCPU is the processor time of the calling thread.
func threadCPU(tb testing.TB) time.Duration {
	const ofThread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(ofThread, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakHeap follows what the Go runtime holds for the heap.
type peakHeap struct{ bytes atomic.Uint64 }

func (p *peakHeap) look() {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	n := s[0].Value.Uint64() + s[1].Value.Uint64() + s[2].Value.Uint64()
	for old := p.bytes.Load(); n > old && !p.bytes.CompareAndSwap(old, n); old = p.bytes.Load() {
	}
}

// fillDemo adds the rows from several goroutines and returns the processor
// time that Add and Arena took, without that of making the pairs.
func fillDemo(tb testing.TB, s *sortkv.Sorter, rows, workers int, peak *peakHeap) time.Duration {
	var spent, next atomic.Int64
	var group errgroup.Group
	const batch = 500
	for range workers {
		group.Go(func() error {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			d := newDemoRows(rows)
			timed := func(f func() error) error {
				start := threadCPU(tb)
				defer func() { spent.Add(int64(threadCPU(tb) - start)) }()
				return f()
			}
			var a *kv.Arena
			arena := func() (err error) { a, err = s.Arena(context.Background()); return err }
			add := func() error { return s.Add(context.Background(), a) }
			if err := timed(arena); err != nil {
				return err
			}
			for from := next.Add(batch) - batch; from < int64(rows); from = next.Add(batch) - batch {
				for i := from; i < min(from+batch, int64(rows)); i++ {
					d.add(a, uint64(i))
					if a.Bytes() < s.ArenaBytes() {
						continue
					}
					if err := timed(add); err != nil {
						return err
					}
					peak.look()
					if err := timed(arena); err != nil {
						return err
					}
				}
			}
			return timed(add)
		})
	}
	if err := group.Wait(); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(spent.Load())
}

// BenchmarkLife is everything that happens to the pairs of 1,000,000 demo rows
// after they were encoded: sort, spill, search for duplicates, merge.
func BenchmarkLife(b *testing.B) {
	const rows = 1_000_000
	for name, budget := range map[string]int64{"64MiB": 64 << 20, "96MiB": 96 << 20, "512MiB": 512 << 20} {
		b.Run(name, func(b *testing.B) {
			var add, dup, merge time.Duration
			var peak peakHeap
			for b.Loop() {
				runtime.GC()
				s, err := sortkv.New(sortkv.Options{Dir: b.TempDir(), MemoryBudget: budget, PrefixSkip: 10})
				if err != nil {
					b.Fatal(err)
				}
				add += fillDemo(b, s, rows, 2, &peak)
				start := cpuTime()
				r, err := s.Finish(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				if err := r.FindDuplicate(context.Background()); err != nil {
					b.Fatal(err)
				}
				dup += cpuTime() - start
				peak.look()
				start = cpuTime()
				if n := mergeAll(b, r); n != rows*pairsPerDemoRow {
					b.Fatalf("%d pairs", n)
				}
				merge += cpuTime() - start
				peak.look()
				b.ReportMetric(float64(r.Spilled())/float64(r.Checksum().Bytes), "written/pair-bytes")
				b.ReportMetric(float64(r.Runs()), "runs")
				b.SetBytes(int64(r.Checksum().Bytes))
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			perPair := func(d time.Duration) float64 {
				return float64(d.Nanoseconds()) / float64(b.N) / rows / pairsPerDemoRow
			}
			b.ReportMetric(perPair(add), "add-cpu-ns/pair")
			b.ReportMetric(perPair(dup), "duplicates-cpu-ns/pair")
			b.ReportMetric(perPair(merge), "merge-cpu-ns/pair")
			b.ReportMetric(perPair(add+dup+merge), "cpu-ns/pair")
			b.ReportMetric(float64(peak.bytes.Load())/(1<<20), "peak-heap-MiB")
		})
	}
}

// mergeAll reads every pair by ranges of 16 MiB, two at a time.
func mergeAll(tb testing.TB, r *sortkv.Sorted) int64 {
	var pairs atomic.Int64
	var group errgroup.Group
	group.SetLimit(2)
	for _, rg := range r.Ranges(16<<20, 0) {
		group.Go(func() error {
			it, err := r.Iter(context.Background(), rg.Start, rg.End)
			if err != nil {
				return err
			}
			n := int64(0)
			for it.Next() {
				n++
			}
			pairs.Add(n)
			if err := it.Err(); err != nil {
				return err
			}
			return it.Close()
		})
	}
	if err := group.Wait(); err != nil {
		tb.Fatal(err)
	}
	return pairs.Load()
}

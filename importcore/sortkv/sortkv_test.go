package sortkv_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

type pair struct{ key, value []byte }

// randomPairs returns n pairs with distinct keys of many shapes: table-like with long shared heads,
// short ones, prefixes of each other, long ones, with zero bytes at the end.
func randomPairs(rnd *rand.Rand, n int) []pair {
	seen := make(map[string]bool)
	var pairs []pair
	for len(pairs) < n {
		var key []byte
		switch rnd.IntN(6) {
		case 0:
			key = fmt.Appendf(nil, "t\x80\x00\x00\x00\x00\x00\x00\x05_r%08d", rnd.IntN(10*n))
		case 1:
			key = fmt.Appendf(nil, "t\x80\x00\x00\x00\x00\x00\x00\x05_i\x80\x00\x00\x00\x00\x00\x00\x01%d", rnd.IntN(10*n))
		case 2:
			key = make([]byte, rnd.IntN(4))
		case 3:
			key = append([]byte("same-head"), make([]byte, rnd.IntN(40))...)
		case 4:
			key = bytes.Repeat([]byte{'l'}, rnd.IntN(3000))
			key = fmt.Appendf(key, "%d", rnd.IntN(n))
		default:
			key = make([]byte, rnd.IntN(30))
			for i := range key {
				key[i] = byte(rnd.IntN(3)) * 127
			}
		}
		if seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		value := make([]byte, rnd.IntN(100)*rnd.IntN(2))
		for i := range value {
			value[i] = byte(rnd.Uint32())
		}
		pairs = append(pairs, pair{key, value})
	}
	return pairs
}

func newSorter(t testing.TB, opts sortkv.Options) *sortkv.Sorter {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := sortkv.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// addAll gives pairs to the sorter from several goroutines, each with its own arena.
func addAll(s *sortkv.Sorter, pairs []pair, workers int) error {
	group, ctx := errgroup.WithContext(context.Background())
	for w := range workers {
		group.Go(func() error {
			a, err := s.Arena(ctx)
			if err != nil {
				return err
			}
			for i := w; i < len(pairs); i += workers {
				a.Add(pairs[i].key, pairs[i].value)
				if a.Bytes() < s.ArenaBytes() {
					continue
				}
				if err := s.Add(ctx, a); err != nil {
					return err
				}
				if a, err = s.Arena(ctx); err != nil {
					return err
				}
			}
			return s.Add(ctx, a)
		})
	}
	return group.Wait()
}

// collect returns the pairs of a range.
func collect(r *sortkv.Sorted, start, end []byte) ([]pair, error) {
	it, err := r.Iter(context.Background(), start, end)
	if err != nil {
		return nil, err
	}
	var got []pair
	for it.Next() {
		got = append(got, pair{bytes.Clone(it.Key()), bytes.Clone(it.Value())})
	}
	if err := it.Err(); err != nil {
		_ = it.Close()
		return nil, err
	}
	return got, it.Close()
}

func sortedCopy(pairs []pair) []pair {
	want := slices.Clone(pairs)
	slices.SortFunc(want, func(x, y pair) int { return bytes.Compare(x.key, y.key) })
	return want
}

func requireSame(t *testing.T, want, got []pair) {
	t.Helper()
	require.Equal(t, len(want), len(got))
	for i := range want {
		if !bytes.Equal(want[i].key, got[i].key) || !bytes.Equal(want[i].value, got[i].value) {
			t.Fatalf("pair %d: got %x=%x, want %x=%x", i, got[i].key, got[i].value, want[i].key, want[i].value)
		}
	}
}

func TestAnyBudgetAndSplitGivesTheSortedPairs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1))
			pairs := randomPairs(rnd, 1+rnd.IntN(20000))
			if seed%3 == 0 { // one value much larger than an arena
				pairs[len(pairs)/2].value = bytes.Repeat([]byte("giant"), 100_000)
			}
			opts := sortkv.Options{
				MemoryBudget: 256<<10 + rnd.Int64N(8<<20),
				PrefixSkip:   rnd.IntN(20),
				Compression:  sortkv.Compression(seed % 3),
			}
			if seed%2 == 0 {
				opts.ArenaBytes = 4<<10 + rnd.IntN(int(opts.MemoryBudget/8)-4<<10)
			}
			s := newSorter(t, opts)
			require.NoError(t, addAll(s, pairs, 1+rnd.IntN(4)))
			r, err := s.Finish(context.Background())
			require.NoError(t, err)
			require.NoError(t, r.FindDuplicate(context.Background()))

			want := sortedCopy(pairs)
			var sum kv.Checksum
			for _, p := range pairs {
				sum.Add(p.key, p.value)
			}
			require.Equal(t, sum, r.Checksum())
			got, err := collect(r, nil, nil)
			require.NoError(t, err)
			requireSame(t, want, got)
			checkRanges(t, r, rnd, want, sum)
			checkBounds(t, r, rnd, want)
		})
	}
}

// checkRanges tests that ranges of any size cover every pair once, in order, with exact sums of estimates.
func checkRanges(t *testing.T, r *sortkv.Sorted, rnd *rand.Rand, want []pair, sum kv.Checksum) {
	t.Helper()
	for _, size := range []int64{0, 1, 1 << 10, 100 << 10, 1 + rnd.Int64N(1<<20), 1 << 40} {
		ranges := r.Ranges(size, rnd.Int64N(3)*1000)
		parts := make([][]pair, len(ranges))
		var group errgroup.Group
		group.SetLimit(4)
		var bytesSum, keysSum uint64
		for i, rg := range ranges {
			require.Negative(t, bytes.Compare(rg.Start, rg.End))
			if i > 0 {
				require.Equal(t, ranges[i-1].End, rg.Start)
			}
			bytesSum += uint64(rg.Bytes)
			keysSum += uint64(rg.Keys)
			if len(ranges) < 200 || i%50 == 0 {
				group.Go(func() (err error) {
					parts[i], err = collect(r, rg.Start, rg.End)
					return err
				})
			}
		}
		require.NoError(t, group.Wait())
		require.Equal(t, sum.Bytes, bytesSum)
		require.Equal(t, sum.Pairs, keysSum)
		require.Equal(t, want[0].key, append([]byte{}, ranges[0].Start...))
		if len(ranges) < 200 {
			requireSame(t, want, slices.Concat(parts...))
			continue
		}
		for i := 0; i < len(ranges); i += 50 {
			require.Equal(t, ranges[i].Start, parts[i][0].key)
		}
	}
}

// checkBounds tests iterators with any bounds, which need not be keys.
func checkBounds(t *testing.T, r *sortkv.Sorted, rnd *rand.Rand, want []pair) {
	t.Helper()
	bound := func() []byte {
		key := bytes.Clone(want[rnd.IntN(len(want))].key)
		switch rnd.IntN(4) {
		case 0:
			return append(key, 0)
		case 1:
			return append([]byte{}, key[:rnd.IntN(len(key)+1)]...)
		case 2:
			return append(key, 0xff, 0xff)
		}
		return append([]byte{}, key...)
	}
	for range 30 {
		start, end := bound(), bound()
		var part []pair
		for _, p := range want {
			if bytes.Compare(p.key, start) >= 0 && bytes.Compare(p.key, end) < 0 {
				part = append(part, p)
			}
		}
		got, err := collect(r, start, end)
		require.NoError(t, err)
		requireSame(t, part, got)
	}
}

func TestKeyTooLongToSortIsRefused(t *testing.T) {
	t.Parallel()
	for size, refused := range map[int]bool{1<<16 - 2: false, 1<<16 - 1: true} {
		s := newSorter(t, sortkv.Options{MemoryBudget: 8 << 20})
		a, err := s.Arena(context.Background())
		require.NoError(t, err)
		a.Add(bytes.Repeat([]byte{'k'}, size), []byte("v"))
		a.Add(bytes.Repeat([]byte{'k'}, 1<<16-3), []byte("w"))
		err = s.Add(context.Background(), a)
		require.Equal(t, refused, err != nil, "%v", err)
		if refused {
			continue
		}
		r, err := s.Finish(context.Background())
		require.NoError(t, err)
		got, err := collect(r, nil, nil)
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, "w", string(got[0].value))
		require.Len(t, got[1].key, size)
	}
}

// TestManyRunsLeaveMemoryForIterators spills so often that what is left at the
// end must make room, and reads with more iterators than there is memory for.
func TestManyRunsLeaveMemoryForIterators(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(6, 6))
	pairs := make([]pair, 24_000)
	for i := range pairs {
		value := make([]byte, 150)
		for j := range value {
			value[j] = byte(rnd.Uint32())
		}
		pairs[i] = pair{fmt.Appendf(nil, "t12345678_r%07d", (i*7919)%len(pairs)), value}
	}
	s := newSorter(t, sortkv.Options{MemoryBudget: 384 << 10, PrefixSkip: 11})
	require.NoError(t, addAll(s, pairs, 2))
	r, err := s.Finish(context.Background())
	require.NoError(t, err)
	require.Greater(t, r.Runs(), 15)
	require.NoError(t, r.FindDuplicate(context.Background()))
	ranges := r.Ranges(100<<10, 0)
	parts := make([][]pair, len(ranges))
	var group errgroup.Group
	for i, rg := range ranges {
		group.Go(func() (err error) {
			parts[i], err = collect(r, rg.Start, rg.End)
			return err
		})
	}
	require.NoError(t, group.Wait())
	requireSame(t, sortedCopy(pairs), slices.Concat(parts...))
	for i, rg := range ranges[:len(ranges)-1] {
		require.InDelta(t, len(parts[i]), rg.Keys, float64(r.Runs()*40), "an estimate is off by a page of each run at most")
	}
}

func TestSpillsOnlyWhenTheBudgetIsUsedUp(t *testing.T) {
	t.Parallel()
	pairs := randomPairs(rand.New(rand.NewPCG(3, 3)), 5000)
	for budget, spilled := range map[int64]bool{64 << 20: false, 512 << 10: true} {
		dir := t.TempDir()
		s, err := sortkv.New(sortkv.Options{Dir: dir, MemoryBudget: budget})
		require.NoError(t, err)
		require.NoError(t, addAll(s, pairs, 2))
		r, err := s.Finish(context.Background())
		require.NoError(t, err)
		require.Equal(t, spilled, r.Spilled() > 0)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Equal(t, spilled, len(entries) == 1)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		entries, err = os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
}

func TestDuplicatesNeverPass(t *testing.T) {
	t.Parallel()
	// Where the second pair with the key is put: into the same arena, far behind it, or at the very end.
	for _, tc := range []struct {
		name   string
		budget int64
		at     int // distance behind the first
	}{
		{"same arena", 64 << 20, 1},
		{"other arena in memory", 8 << 20, 20_000},
		{"within a spill", 1 << 20, 6_000},
		{"between runs", 512 << 10, 45_000},
	} {
		for _, value := range []string{"same", "other"} {
			t.Run(tc.name+"/"+value, func(t *testing.T) {
				t.Parallel()
				pairs := make([]pair, 50_000)
				for i := range pairs {
					pairs[i] = pair{fmt.Appendf(nil, "t12345678_r%07d", (i*7919)%50_000), []byte("same")}
				}
				pairs[100+tc.at] = pair{pairs[100].key, []byte(value)}
				s := newSorter(t, sortkv.Options{MemoryBudget: tc.budget, PrefixSkip: 11})
				err := addAll(s, pairs, 1)
				if err == nil {
					var r *sortkv.Sorted
					if r, err = s.Finish(context.Background()); err == nil {
						require.Positive(t, r.Spilled())
						err = r.FindDuplicate(context.Background())
						_, iterErr := collect(r, nil, nil)
						require.Error(t, iterErr)
						require.Equal(t, err.Error(), iterErr.Error())
					}
				}
				var dup *sortkv.DuplicateKeyError
				require.ErrorAs(t, err, &dup)
				require.Equal(t, pairs[100].key, dup.Key)
				require.ElementsMatch(t, []string{"same", value}, []string{string(dup.Value1), string(dup.Value2)})
			})
		}
	}
}

func TestManyEqualKeysInOneArena(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 25, 1000} {
		s := newSorter(t, sortkv.Options{MemoryBudget: 8 << 20})
		a, err := s.Arena(context.Background())
		require.NoError(t, err)
		for range n {
			a.Add([]byte("key"), nil)
		}
		var dup *sortkv.DuplicateKeyError
		require.ErrorAs(t, s.Add(context.Background(), a), &dup)
		_, err = s.Arena(context.Background())
		require.ErrorAs(t, err, &dup, "the failure lasts")
	}
}

func TestNothingAdded(t *testing.T) {
	t.Parallel()
	s := newSorter(t, sortkv.Options{MemoryBudget: 1 << 20})
	a, err := s.Arena(context.Background())
	require.NoError(t, err)
	require.NoError(t, s.Add(context.Background(), a))
	r, err := s.Finish(context.Background())
	require.NoError(t, err)
	require.Empty(t, r.Ranges(1, 1))
	got, err := collect(r, nil, nil)
	require.NoError(t, err)
	require.Empty(t, got)
	require.Zero(t, r.Checksum())
}

func TestWrongOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, opts := range []sortkv.Options{
		{Dir: "d"},
		{Dir: "d", MemoryBudget: 1000},
		{MemoryBudget: 1 << 20},
		{Dir: "d", MemoryBudget: 1 << 20, ArenaBytes: 1 << 20},
		{Dir: "d", MemoryBudget: 1 << 20, ArenaBytes: 1},
		{Dir: "d", MemoryBudget: 1 << 20, PrefixSkip: -1},
		{Dir: "d", MemoryBudget: 1 << 20, Compression: sortkv.CompressionZstd + 1},
	} {
		_, err := sortkv.New(opts)
		require.Error(t, err, "%+v", opts)
	}
}

func TestArenaWaitsForMemoryAndHonoursItsContext(t *testing.T) {
	t.Parallel()
	s := newSorter(t, sortkv.Options{MemoryBudget: 1 << 20, ArenaBytes: 64 << 10})
	var held []*kv.Arena
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var waiting sync.WaitGroup
	waiting.Add(1)
	got := make(chan error)
	go func() {
		waiting.Done()
		waiting.Wait()
		for {
			a, err := s.Arena(ctx)
			if err != nil {
				got <- err
				return
			}
			held = append(held, a)
			if len(held) == 7 { // all of the budget: each has its own size set aside for its pages
				cancel()
			}
		}
	}()
	require.ErrorIs(t, <-got, context.Canceled)
	require.Len(t, held, 7)

	// A waiter goes on when an arena comes back.
	go func() {
		_, err := s.Arena(context.Background())
		got <- err
	}()
	s.Discard(held[0])
	require.NoError(t, <-got)

	// And it fails when the sorter is closed.
	go func() {
		_, err := s.Arena(context.Background())
		got <- err
	}()
	require.NoError(t, s.Close())
	require.Error(t, <-got)
}

func TestIteratorHonoursItsContext(t *testing.T) {
	t.Parallel()
	s := newSorter(t, sortkv.Options{MemoryBudget: 64 << 20})
	require.NoError(t, addAll(s, randomPairs(rand.New(rand.NewPCG(5, 5)), 10_000), 2))
	r, err := s.Finish(context.Background())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	it, err := r.Iter(ctx, nil, nil)
	require.NoError(t, err)
	require.True(t, it.Next())
	cancel()
	n := 1
	for it.Next() {
		n++
	}
	require.ErrorIs(t, it.Err(), context.Canceled)
	require.Less(t, n, 10_000)
	require.NoError(t, it.Close())
}

func TestCloseReportsOpenIterators(t *testing.T) {
	t.Parallel()
	s, err := sortkv.New(sortkv.Options{Dir: t.TempDir(), MemoryBudget: 1 << 20})
	require.NoError(t, err)
	require.NoError(t, addAll(s, randomPairs(rand.New(rand.NewPCG(5, 5)), 100), 1))
	r, err := s.Finish(context.Background())
	require.NoError(t, err)
	it, err := r.Iter(context.Background(), nil, nil)
	require.NoError(t, err)
	require.Error(t, s.Close())
	require.NoError(t, it.Close())
}

package sortkv_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// numberedPairs returns n pairs of which many share a key, each with a number
// as suffix. No key is the start of another one.
func numberedPairs(rnd *rand.Rand, n int) []pair {
	pairs := make([]pair, n)
	for i := range pairs {
		var key []byte
		switch rnd.IntN(4) {
		case 0: // hundreds of pages with one key
			key = []byte("a key that many pairs have")
		case 1:
			key = fmt.Appendf(nil, "t%08d", rnd.IntN(n/3+1))
		case 2:
			key = append(bytes.Repeat([]byte{'x'}, rnd.IntN(400)), 0, 0, 0, 0)
		default:
			key = fmt.Appendf(nil, "u%08d", i)
		}
		pairs[i] = pair{
			key:   binary.BigEndian.AppendUint64(key, uint64(i)),
			value: bytes.Repeat([]byte{byte(i)}, rnd.IntN(60)),
		}
	}
	return pairs
}

func TestSuffixesAreCutOffAndOrderPairsOfOneKey(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 9))
			pairs := numberedPairs(rnd, 1+rnd.IntN(20_000))
			budget := []int64{256 << 10, 1 << 20, 64 << 20}[seed%3]
			s := newSorter(t, sortkv.Options{MemoryBudget: budget, ArenaBytes: 8 << 10, SuffixBytes: 8})
			require.NoError(t, addAll(s, pairs, 1+int(seed%4)))
			sorted, err := s.Finish(t.Context())
			require.NoError(t, err)
			require.NoError(t, sorted.FindDuplicate(t.Context()))
			var sum kv.Checksum
			for _, p := range pairs {
				sum.Add(p.key[:len(p.key)-8], p.value)
			}
			require.Equal(t, sum, sorted.Checksum())

			want := sortedCopy(pairs)
			ranges := sorted.Ranges(20_000, 0)
			bounds := [][]byte{nil}
			for _, r := range ranges {
				bounds = append(bounds, r.Start)
			}
			if len(ranges) > 0 {
				bounds = append(bounds, ranges[len(ranges)-1].End)
			}
			for range 20 {
				b := pairs[rnd.IntN(len(pairs))].key
				bounds = append(bounds, b[:len(b)-rnd.IntN(len(b)+1)])
			}
			slices.SortFunc(bounds, bytes.Compare)
			for i, start := range bounds {
				var end []byte
				if i+1 < len(bounds) {
					end = bounds[i+1]
				}
				requireRange(t, sorted, want, start, end)
			}
			got := int64(0)
			for i, r := range ranges {
				got += int64(len(within(want, r.Start, r.End)))
				if i > 0 {
					require.Equal(t, ranges[i-1].End, r.Start)
				}
			}
			require.EqualValues(t, len(pairs), got)
		})
	}
}

// within returns the pairs whose key without suffix lies in [start, end).
func within(pairs []pair, start, end []byte) []pair {
	var out []pair
	for _, p := range pairs {
		key := p.key[:len(p.key)-8]
		if bytes.Compare(key, start) >= 0 && (end == nil || bytes.Compare(key, end) < 0) {
			out = append(out, p)
		}
	}
	return out
}

// requireRange reads a range by Next, and by NextKey with every third value.
func requireRange(t *testing.T, sorted *sortkv.Sorted, all []pair, start, end []byte) {
	t.Helper()
	want := within(all, start, end)
	it, err := sorted.Iter(t.Context(), start, end)
	require.NoError(t, err)
	for i, p := range want {
		if !it.Next() {
			t.Fatalf("pair %d of %d is missing: %v", i, len(want), it.Err())
		}
		requireKey(t, p, it)
		if !bytes.Equal(p.value, it.Value()) {
			t.Fatalf("pair %d: got value %x, want %x", i, it.Value(), p.value)
		}
	}
	require.False(t, it.Next())
	require.NoError(t, it.Err())
	require.NoError(t, it.Close())

	it, err = sorted.Keys(t.Context(), start, end)
	require.NoError(t, err)
	for i, p := range want {
		if !it.NextKey() {
			t.Fatalf("key %d of %d is missing: %v", i, len(want), it.Err())
		}
		requireKey(t, p, it)
		if i%3 == 0 {
			value, err := it.LoadValue()
			require.NoError(t, err)
			require.Equal(t, string(p.value), string(value))
		}
	}
	require.False(t, it.NextKey())
	require.NoError(t, it.Err())
	require.NoError(t, it.Close())
}

func requireKey(t *testing.T, p pair, it *sortkv.Iterator) {
	t.Helper()
	if n := len(p.key) - 8; !bytes.Equal(p.key[:n], it.Key()) || !bytes.Equal(p.key[n:], it.Suffix()) {
		t.Fatalf("got key %x with suffix %x, want %x", it.Key(), it.Suffix(), p.key)
	}
}

// TestEqualSuffixesAreADuplicate: two pairs that are equal with their suffixes
// can't be told apart, so they are an error as without suffixes.
func TestEqualSuffixesAreADuplicate(t *testing.T) {
	t.Parallel()
	s := newSorter(t, sortkv.Options{MemoryBudget: 1 << 20, SuffixBytes: 8})
	same := pair{binary.BigEndian.AppendUint64([]byte("key"), 7), []byte("value")}
	require.NoError(t, addAll(s, []pair{same}, 1))
	require.NoError(t, addAll(s, []pair{same}, 1))
	sorted, err := s.Finish(t.Context())
	require.NoError(t, err)
	_, err = collect(sorted, nil, nil)
	var dup *sortkv.DuplicateKeyError
	require.ErrorAs(t, err, &dup)
}

// TestKeysShorterThanTheSuffix are a mistake of the caller.
func TestKeysShorterThanTheSuffix(t *testing.T) {
	t.Parallel()
	s := newSorter(t, sortkv.Options{MemoryBudget: 1 << 20, SuffixBytes: 8})
	require.ErrorContains(t, addAll(s, []pair{{[]byte("short"), nil}}, 1), "suffix of 8")
}

package conflict_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/conflict"
)

// TestBitsWithTwoPages: a set that is far larger than its memory is still
// exact, while it is filled and for several readers afterwards.
func TestBitsWithTwoPages(t *testing.T) {
	t.Parallel()
	const numbers = 40 << 15
	for name, in := range map[string]func(n int64, rnd *rand.Rand) bool{
		"none":  func(int64, *rand.Rand) bool { return false },
		"all":   func(int64, *rand.Rand) bool { return true },
		"half":  func(_ int64, rnd *rand.Rand) bool { return rnd.IntN(2) == 0 },
		"few":   func(n int64, _ *rand.Rand) bool { return n%100_003 == 0 },
		"pages": func(n int64, _ *rand.Rand) bool { return n>>15%3 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(1, 2))
			want := make([]bool, numbers)
			dir := t.TempDir()
			b := conflict.NewBits(dir, 0)
			count := int64(0)
			for n := range want {
				if want[n] = in(int64(n), rnd); !want[n] {
					continue
				}
				count++
				was, err := b.Add(int64(n))
				require.NoError(t, err)
				require.False(t, was)
			}
			for range 5000 { // out of order, and twice
				n := rnd.Int64N(numbers)
				has, err := b.Has(n)
				require.NoError(t, err)
				require.Equal(t, want[n], has)
				was, err := b.Add(n)
				require.NoError(t, err)
				require.Equal(t, want[n], was)
				if !was {
					want[n] = true
					count++
				}
			}
			require.Equal(t, count, b.Count())
			b.Freeze()
			for range 3 {
				r := b.NewReader()
				for n := range want {
					has, err := r.Has(int64(n))
					if err != nil || has != want[n] {
						t.Fatalf("number %d: %v, %v", n, has, err)
					}
				}
				has, err := r.Has(numbers * 5)
				require.NoError(t, err)
				require.False(t, has)
			}
			require.NoError(t, b.Close())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// TestBitsNoticeDamage: a byte that changes in the file is an error, not another set.
func TestBitsNoticeDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := conflict.NewBits(dir, 0)
	defer func() { require.NoError(t, b.Close()) }()
	for n := int64(0); n < 6<<15; n += 2 {
		_, err := b.Add(n)
		require.NoError(t, err)
	}
	b.Freeze()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	data, err := os.ReadFile(files[0])
	require.NoError(t, err)
	data[10] ^= 4
	require.NoError(t, os.WriteFile(files[0], data, 0o600))
	r := b.NewReader()
	failed := false
	for n := int64(0); n < 6<<15; n++ {
		has, err := r.Has(n)
		if err != nil {
			require.ErrorContains(t, err, "damaged")
			failed = true
			continue
		}
		require.Equal(t, n%2 == 0, has)
	}
	require.True(t, failed)
}

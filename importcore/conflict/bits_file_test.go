package conflict_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/conflict"
)

// someBits is a set with empty, full, thin and dense pages, of which two fit its memory.
func someBits(t testing.TB) (b *conflict.Bits, want map[int64]bool) {
	b, want = conflict.NewBits(t.TempDir(), 0), map[int64]bool{}
	rnd := rand.New(rand.NewPCG(5, 6))
	for page := range int64(12) {
		for n := page << 15; n < (page+1)<<15; n++ {
			if page%4 == 1 || page%4 == 2 && n%1000 == 7 || page%4 == 3 && rnd.IntN(2) == 0 {
				_, err := b.Add(n)
				require.NoError(t, err)
				want[n] = true
			}
		}
	}
	b.Freeze()
	return b, want
}

func TestBitsSurvive(t *testing.T) {
	t.Parallel()
	b, want := someBits(t)
	path := filepath.Join(t.TempDir(), "lost.rows")
	require.NoError(t, b.WriteFile(path))
	require.NoError(t, b.Close())
	again, err := conflict.ReadBits(path, t.TempDir(), 0)
	require.NoError(t, err)
	require.EqualValues(t, len(want), again.Count())
	r := again.NewReader()
	for n := range int64(13 << 15) {
		has, err := r.Has(n)
		require.NoError(t, err)
		require.Equal(t, want[n], has, n)
	}
	require.NoError(t, again.Close())

	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 300 { // cut short, longer, or with a bit changed
		data := append([]byte(nil), whole...)
		switch at := rnd.IntN(len(data)); rnd.IntN(3) {
		case 0:
			data = data[:at]
		case 1:
			data = append(data, data[at])
		default:
			data[at] ^= 1 << rnd.IntN(8)
		}
		require.NoError(t, os.WriteFile(path, data, 0o600))
		_, err := conflict.ReadBits(path, t.TempDir(), 0)
		require.Error(t, err)
	}
}

// FuzzReadBits: no file makes reading panic or go on forever.
func FuzzReadBits(f *testing.F) {
	b, _ := someBits(f)
	path := filepath.Join(f.TempDir(), "lost.rows")
	require.NoError(f, b.WriteFile(path))
	data, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(data[:len(data)/2])
	f.Add([]byte("slcbits1\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "lost.rows")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		if b, err := conflict.ReadBits(path, t.TempDir(), 0); err == nil {
			require.NoError(t, b.Close())
		}
	})
}

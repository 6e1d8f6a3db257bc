package ingest

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

func regionUpTo(endEnc []byte) region.Region {
	return region.Region{Meta: &metapb.Region{Id: 1, EndKey: endEnc}}
}

func TestClipToRegion(t *testing.T) {
	t.Parallel()
	odd := []byte("t\x80\x00\x00\x00") // no enc form of any key
	padded := append(region.Enc([]byte("mm")), 0)
	for _, c := range []struct {
		name     string
		end      string
		border   []byte
		wantEnd  string
		allowed  []string
		excluded []string
	}{
		{"region without end", "z", nil, "z", []string{"a", "y"}, nil},
		{"region ends later", "m", region.Enc([]byte("z")), "m", []string{"a"}, nil},
		{"region ends at the same key", "m", region.Enc([]byte("m")), "m", []string{"a"}, nil},
		{"region ends first", "z", region.Enc([]byte("mm")), "mm", []string{"a"}, nil},
		{"border that is no key", "z", odd, "z", []string{"s", "t\x7f"}, []string{"t\x80\x00\x00\x00\x00\x00\x00\x01", "u"}},
		{"border behind a key", "z", padded, "z", []string{"a", "mm"}, []string{"mm\x00", "n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := clipToRegion([]byte(c.end), regionUpTo(c.border))
			require.Equal(t, c.wantEnd, string(got.end))
			for _, k := range c.allowed {
				require.True(t, got.allows([]byte(k)), "%q", k)
			}
			for _, k := range c.excluded {
				require.False(t, got.allows([]byte(k)), "%q", k)
			}
		})
	}
}

// TestClipProperty: a key below the clip's end that it allows lies before both
// the range's and the region's end, and no key that does is left out.
func TestClipProperty(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(most int) []byte {
		b := make([]byte, rnd.IntN(most))
		for i := range b {
			b[i] = []byte{0, 1, 0x7f, 0xf7, 0xfe, 0xff}[rnd.IntN(6)]
		}
		return b
	}
	for range 20_000 {
		rangeEnd := append(random(12), 1)
		border := region.Enc(random(12))
		if rnd.IntN(3) == 0 {
			border = append(random(20), 1)
		}
		r := regionUpTo(border)
		c := clipToRegion(rangeEnd, r)
		for range 5 {
			key := random(20)
			got := bytes.Compare(key, c.end) < 0 && c.allows(key)
			want := bytes.Compare(key, rangeEnd) < 0 && region.BeforeEnd(region.Enc(key), border)
			require.Equal(t, want, got, "key %x range end %x border %x", key, rangeEnd, border)
		}
	}
}

func TestSuccessor(t *testing.T) {
	t.Parallel()
	key := []byte("ab")
	next := successor(key[:1])
	require.Equal(t, "a\x00", string(next))
	require.Equal(t, "ab", string(key), "the key's memory is left alone")
}

package region

import (
	"bytes"
	"testing"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"
)

// FuzzEncOrder: the enc form keeps the order of raw keys.
func FuzzEncOrder(f *testing.F) {
	f.Add([]byte(""), []byte{0})
	f.Add([]byte("12345678"), []byte("12345678\x00"))
	f.Add([]byte("1234567"), []byte("1234567\x00"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		require.Equal(t, bytes.Compare(a, b), bytes.Compare(Enc(a), Enc(b)))
	})
}

func TestEncForms(t *testing.T) {
	t.Parallel()
	require.Equal(t, "\x00\x00\x00\x00\x00\x00\x00\x00\xf7", string(Enc(nil)))
	require.Equal(t, "a\x00\x00\x00\x00\x00\x00\x00\xf8", string(Enc([]byte("a"))))
	require.Empty(t, EncEnd(nil), "the end of the key space has no other form")
	require.Equal(t, Enc([]byte("a")), EncEnd([]byte("a")))
}

func TestContains(t *testing.T) {
	t.Parallel()
	r := Region{Meta: &metapb.Region{StartKey: []byte("b"), EndKey: []byte("d")}}
	last := Region{Meta: &metapb.Region{StartKey: []byte("d")}}
	for _, c := range []struct {
		r    Region
		key  string
		want bool
	}{{r, "a", false}, {r, "b", true}, {r, "c", true}, {r, "d", false}, {last, "d", true}, {last, "\xff", true}} {
		require.Equal(t, c.want, c.r.Contains([]byte(c.key)), "%q", c.key)
	}
	require.True(t, r.ContainsRange([]byte("b"), []byte("d")))
	require.False(t, r.ContainsRange([]byte("b"), nil))
	require.False(t, r.ContainsRange([]byte("a"), []byte("c")))
	require.True(t, last.ContainsRange([]byte("e"), nil))
}

func TestCompareEnds(t *testing.T) {
	t.Parallel()
	require.Equal(t, 0, CompareEnds(nil, nil))
	require.Equal(t, 1, CompareEnds(nil, []byte("\xff")))
	require.Equal(t, -1, CompareEnds([]byte("\xff"), nil))
	require.Equal(t, -1, CompareEnds([]byte("a"), []byte("b")))
}

func TestNewer(t *testing.T) {
	t.Parallel()
	e := func(v, c uint64) *metapb.RegionEpoch { return &metapb.RegionEpoch{Version: v, ConfVer: c} }
	require.True(t, Newer(e(2, 1), e(1, 9)))
	require.True(t, Newer(e(2, 2), e(2, 1)))
	require.False(t, Newer(e(2, 2), e(2, 2)))
	require.False(t, Newer(nil, e(1, 1)))
}

package sortkv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// writtenRun is a run with n pairs in small pages, whose index has several levels.
func writtenRun(t testing.TB, n int) *run {
	t.Helper()
	fs := vfs.NewMem()
	p := &page{buf: make([]byte, minPageBytes)}
	p.reset()
	w, err := newRunWriter(fs, "r", nil, footer{suffix: 2}, p)
	require.NoError(t, err)
	for i := range n {
		_, err := w.add(0, testKey(i), make([]byte, 1000))
		require.NoError(t, err)
	}
	foot, err := w.finish()
	require.NoError(t, err)
	r, err := openRun(fs, "r")
	require.NoError(t, err)
	require.Equal(t, foot, r.foot)
	require.EqualValues(t, n, foot.pairs)
	t.Cleanup(func() { require.NoError(t, r.close()) })
	return r
}

func testKey(i int) []byte { return fmt.Appendf(nil, "%0100d", i) }

// TestIndexLeadsToEveryPage walks the index from every place, as a model does.
func TestIndexLeadsToEveryPage(t *testing.T) {
	t.Parallel()
	const n = 2000
	r := writtenRun(t, n)
	require.Greater(t, r.foot.depth, uint32(3))
	x := newIndexCursor(r, make([]byte, r.indexBytes()))
	var firsts [][]byte
	pairs := int64(0)
	for err := x.seek(nil); !x.ended; err = x.next() {
		require.NoError(t, err)
		firsts = append(firsts, bytes.Clone(x.following.first))
		require.Equal(t, testKey(int(pairs)), x.following.first)
		pairs += x.following.pairs
	}
	require.EqualValues(t, n, pairs)
	require.EqualValues(t, len(firsts), r.foot.pages)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		start := testKey(rnd.IntN(n))
		if rnd.IntN(2) == 0 {
			start = start[:rnd.IntN(len(start))]
		}
		want := 0
		for i, first := range firsts {
			if bytes.Compare(first, start) <= 0 {
				want = i
			}
		}
		x := newIndexCursor(r, make([]byte, r.indexBytes()))
		require.NoError(t, x.seek(func(first []byte) bool { return bytes.Compare(first, start) <= 0 }))
		for ; want < len(firsts); want++ {
			first := bytes.Clone(x.following.first)
			if err := x.next(); err != nil || !bytes.Equal(firsts[want], first) {
				t.Fatalf("page %d: got %s, want %s, then %v", want, first, firsts[want], err)
			}
		}
		require.True(t, x.ended)
	}
}

// TestSamplesAreThinnedOut: however many pages there are, what samples stand for
// is right up to a small part of all pairs, and their memory is bounded.
func TestSamplesAreThinnedOut(t *testing.T) {
	t.Parallel()
	const limit, pages, size = 64 << 10, 150_000, 1000
	p := sampler{limit: limit, suffix: 8}
	for i := range pages {
		p.add(append(binary.BigEndian.AppendUint64(nil, uint64(i)), "suffixes"...), size+2*8, 2)
		if p.memory > limit {
			t.Fatalf("%d bytes of samples", p.memory)
		}
	}
	require.Greater(t, len(p.samples), 600)
	var bytesSum, keys, memory int64
	for _, s := range p.samples {
		require.Equal(t, int64(binary.BigEndian.Uint64(s.key))*size, bytesSum)
		require.Less(t, s.bytes, int64(pages*size/600))
		bytesSum += s.bytes
		keys += s.keys
		memory += sampleBytes + int64(len(s.key))
	}
	require.EqualValues(t, pages*size, bytesSum)
	require.EqualValues(t, 2*pages, keys)
	require.Equal(t, p.memory, memory)
}

// FuzzDecodeEntry: any bytes give an entry that is stored in as many bytes or fewer, or an error.
func FuzzDecodeEntry(f *testing.F) {
	f.Add(appendEntry(nil, entry{first: []byte("key"), keys: part{1 << 40, 100, 200, 7}, values: part{0, 0, 0, 0}, pairs: 3, bytes: 1 << 33}))
	f.Add(appendEntry([]byte{0}, entry{pairs: 1}))
	f.Fuzz(func(t *testing.T, block []byte) {
		e, rest, err := decodeEntry(block)
		if err != nil {
			require.ErrorIs(t, err, errDamaged)
			return
		}
		again, none, err := decodeEntry(appendEntry(nil, e))
		require.NoError(t, err)
		require.Empty(t, none)
		require.Equal(t, e, again)
		require.Less(t, len(rest), len(block))
	})
}

// FuzzDecodeFooter: any bytes, with the right sum behind them, give the footer that is stored so, or an error.
func FuzzDecodeFooter(f *testing.F) {
	foot := writtenRun(f, 100).foot
	f.Add(foot.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == footerBytes {
			binary.LittleEndian.PutUint32(b[footerBytes-4:], crc32.Checksum(b[:footerBytes-4], castagnoli))
		}
		foot, err := decodeFooter(b)
		if err == nil {
			require.Equal(t, b, foot.encode())
		}
	})
}

// FuzzIndex: an index of any bytes is walked to its end or found to be damaged, without
// more memory than the footer says.
func FuzzIndex(f *testing.F) {
	block := appendEntry(nil, entry{first: []byte("k"), keys: part{0, 20, 20, 5}, pairs: 1})
	f.Add(appendEntry(block, entry{first: []byte("l"), keys: part{20, 20, 20, 5}, values: part{0, 9, 9, 3}, pairs: 2}), uint8(1))
	inner := appendEntry(bytes.Clone(block), entry{first: []byte("k"), keys: part{0, uint32(len(block)), uint32(len(block)),
		crc32.Checksum(block, castagnoli)}, pairs: 1})
	f.Add(inner, uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, depth uint8) {
		fs := vfs.NewMem()
		keys, err := fs.Create("k", vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = keys.Write(data)
		require.NoError(t, err)
		require.NoError(t, keys.Close())
		r := &run{}
		r.keys, err = fs.Open("k")
		require.NoError(t, err)
		defer func() { require.NoError(t, r.close()) }()
		half := len(data) / 2
		r.foot = footer{pageBytes: 100, blockBytes: 1000, depth: uint32(depth%4) + 1}
		r.foot.root = part{int64(half), uint32(len(data) - half), uint32(len(data) - half), crc32.Checksum(data[half:], castagnoli)}
		x := newIndexCursor(r, make([]byte, r.indexBytes()))
		for err = x.seek(nil); err == nil && !x.ended; err = x.next() {
			require.LessOrEqual(t, int64(x.following.keys.size)+int64(x.following.values.size), int64(longHeader+maxKeyBytes))
		}
	})
}

package ingest

import (
	"bytes"
	"testing"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/stretchr/testify/require"
)

// generated encodes the same pairs by the generated types.
func generated(t testing.TB, ts uint64, pairs [][2][]byte) []byte {
	t.Helper()
	batch := &import_sstpb.WriteBatch{CommitTs: ts}
	for _, p := range pairs {
		batch.Pairs = append(batch.Pairs, &import_sstpb.Pair{Key: p[0], Value: p[1]})
	}
	out, err := (&import_sstpb.WriteRequest{Chunk: &import_sstpb.WriteRequest_Batch{Batch: batch}}).Marshal()
	require.NoError(t, err)
	return out
}

func encodeBatch(ts uint64, size int, pairs [][2][]byte) rawMessage {
	e := newBatchEncoder(ts, size)
	for _, p := range pairs {
		e.add(p[0], p[1])
	}
	return e.take()
}

func FuzzBatchEncoder(f *testing.F) {
	f.Add(uint64(1), []byte("key"), []byte("value"), uint16(3))
	f.Add(uint64(449_000_000_000_000_000), []byte{}, []byte{}, uint16(1))
	f.Add(uint64(1)<<63, bytes.Repeat([]byte{0xff}, 200), bytes.Repeat([]byte{0}, 70_000), uint16(2))
	f.Add(uint64(0), []byte("k"), []byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, ts uint64, key, value []byte, n uint16) {
		var pairs [][2][]byte
		for i := range int(n % 20) {
			pairs = append(pairs, [2][]byte{append(bytes.Clone(key), byte(i)), value[:len(value)*i/20]})
		}
		require.Equal(t, generated(t, ts, pairs), []byte(encodeBatch(ts, 64, pairs)))
	})
}

func TestBatchEncoderStartsAnew(t *testing.T) {
	t.Parallel()
	e := newBatchEncoder(7, 32)
	require.True(t, e.empty())
	e.add([]byte("a"), bytes.Repeat([]byte("v"), 40))
	require.True(t, e.full())
	first := e.take()
	want := bytes.Clone(first)
	require.True(t, e.empty())
	require.False(t, e.full())
	e.add([]byte("b"), []byte("w"))
	second := e.take()
	require.Equal(t, want, []byte(first), "a message keeps its bytes while the next one is built")
	require.Equal(t, generated(t, 7, [][2][]byte{{[]byte("b"), []byte("w")}}), []byte(second))
}

func TestRawCodec(t *testing.T) {
	t.Parallel()
	msg := rawMessage("as it is")
	out, err := rawCodec{}.Marshal(msg)
	require.NoError(t, err)
	require.Equal(t, []byte(msg), out)
	_, err = rawCodec{}.Marshal(42)
	require.Error(t, err)
	require.Error(t, rawCodec{}.Unmarshal(nil, 42))
}

func BenchmarkBatchEncoder(b *testing.B) {
	key, value := bytes.Repeat([]byte("k"), 19), bytes.Repeat([]byte("v"), 120)
	e := newBatchEncoder(1, 128<<10)
	b.SetBytes(int64(len(key) + len(value)))
	b.ReportAllocs()
	for b.Loop() {
		e.add(key, value)
		if e.full() {
			e.take()
		}
	}
}

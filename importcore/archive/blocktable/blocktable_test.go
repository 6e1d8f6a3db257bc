package blocktable_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive/blocktable"
	"github.com/sluicedb/sluice/tests/playground/sst"
)

type pair struct{ key, value []byte }

// makePairs returns n pairs in order, some of whose values compress well.
func makePairs(n int, seed uint64) []pair {
	rnd := rand.New(rand.NewPCG(seed, 1))
	pairs := make([]pair, n)
	for i := range pairs {
		value := make([]byte, rnd.IntN(300))
		if rnd.IntN(3) == 0 {
			value = bytes.Repeat([]byte{byte(i)}, rnd.IntN(5000))
		} else {
			for j := range value {
				value[j] = byte(rnd.Uint32())
			}
		}
		pairs[i] = pair{sst.DataKey(fmt.Appendf(nil, "t%08d_r%08d", i/1000, i), 400+uint64(i)), value}
	}
	return pairs
}

func makeTable(t testing.TB, family string, how backuppb.CompressionType, pairs []pair) []byte {
	t.Helper()
	w, err := sst.NewWriter(family, how)
	require.NoError(t, err)
	for _, p := range pairs {
		require.NoError(t, w.Add(p.key, p.value))
	}
	data, err := w.Finish()
	require.NoError(t, err)
	return data
}

func opener(data []byte) blocktable.Opener {
	return func(offset int64) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data[offset:])), nil }
}

// readAll returns a table's pairs up to an error.
func readAll(data []byte) (pairs []pair, err error) {
	table, err := blocktable.Open(int64(len(data)), opener(data))
	if err != nil {
		return nil, err
	}
	it := table.Iter(bytes.NewReader(data))
	for it.Next() {
		pairs = append(pairs, pair{bytes.Clone(it.Key()), bytes.Clone(it.Value())})
	}
	return pairs, it.Err()
}

var compressions = []backuppb.CompressionType{
	backuppb.CompressionType_UNKNOWN, backuppb.CompressionType_LZ4, backuppb.CompressionType_SNAPPY, backuppb.CompressionType_ZSTD,
}

func TestTables(t *testing.T) {
	t.Parallel()
	for _, how := range compressions {
		for _, n := range []int{1, 2, 17, 20_000} {
			pairs := makePairs(n, uint64(n))
			data := makeTable(t, sst.Default, how, pairs)
			got, err := readAll(data)
			require.NoError(t, err, "%v, %d pairs", how, n)
			require.Len(t, got, n)
			for i := range pairs {
				require.Equal(t, pairs[i].key, got[i].key)
				require.True(t, bytes.Equal(pairs[i].value, got[i].value), "%v: value %d", how, i)
			}
			table, err := blocktable.Open(int64(len(data)), opener(data))
			require.NoError(t, err)
			require.Equal(t, int64(n), table.Entries)
		}
	}
}

// TestDamage: whatever byte is wrong, or missing, the pairs read up to the error are the table's first ones, and a table that
// is read without an error is whole.
func TestDamage(t *testing.T) {
	t.Parallel()
	for _, how := range compressions[1:] {
		pairs := makePairs(500, 7)
		data := makeTable(t, sst.Default, how, pairs)
		check := func(damaged []byte, what string) {
			got, err := readAll(damaged)
			for i := range got {
				require.Equal(t, pairs[i].key, got[i].key, what)
				require.True(t, bytes.Equal(pairs[i].value, got[i].value), what)
			}
			require.True(t, err != nil || len(got) == len(pairs), what)
		}
		rnd := rand.New(rand.NewPCG(1, uint64(how)))
		for range 2000 {
			at := rnd.IntN(len(data))
			damaged := bytes.Clone(data)
			damaged[at] ^= byte(1 + rnd.IntN(255))
			check(damaged, fmt.Sprintf("%v: byte %d of %d", how, at, len(data)))
		}
		for range 200 {
			n := rnd.IntN(len(data))
			_, err := readAll(data[:n])
			require.Error(t, err, "%v: %d bytes of %d", how, n, len(data))
		}
	}
}

// TestRefused: what would have to be understood to read the right pairs.
func TestRefused(t *testing.T) {
	t.Parallel()
	data := makeTable(t, sst.Default, backuppb.CompressionType_ZSTD, makePairs(10, 1))
	end := len(data) - blocktable.FooterLen
	for what, tc := range map[string]struct {
		change func(data []byte)
		text   string
	}{
		"magic":    {func(b []byte) { b[len(b)-1] ^= 1 }, "this is no RocksDB table"},
		"version":  {func(b []byte) { binary.LittleEndian.PutUint32(b[len(b)-12:], 6) }, "format version 6 are not supported"},
		"checksum": {func(b []byte) { b[end] = 4 }, "checksums of type 4 are not supported"},
		"place":    {func(b []byte) { copy(b[end+1:], []byte{0xff, 0xff, 0xff, 0xff, 0x7f}) }, "doesn't fit into the table"},
	} {
		damaged := bytes.Clone(data)
		tc.change(damaged)
		_, err := readAll(damaged)
		require.ErrorContains(t, err, tc.text, what)
	}
	_, err := readAll(nil)
	require.ErrorContains(t, err, "this is no RocksDB table")
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	_, err := blocktable.Open(1000, func(int64) (io.ReadCloser, error) { return nil, io.ErrClosedPipe })
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

// FuzzTable: no bytes make the reader panic, loop or take more memory than they may.
func FuzzTable(f *testing.F) {
	for _, how := range compressions {
		f.Add(makeTable(f, sst.Write, how, makePairs(40, 3)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = readAll(data)
	})
}

// FuzzBlock is FuzzTable behind the checksums, which keep nearly all inputs from getting there.
func FuzzBlock(f *testing.F) {
	f.Add([]byte("\x00\x02\x01abx\x00\x00\x00\x00\x01\x00\x00\x00"), byte(0))
	f.Add([]byte("\x05\x50hello"), byte(4))
	f.Add([]byte("\x05\x10hello"), byte(1))
	f.Add([]byte("\x05\x28\xb5\x2f\xfd"), byte(7))
	f.Fuzz(func(t *testing.T, block []byte, how byte) {
		blocktable.ReadBlock(block, how)
	})
}

func BenchmarkRead(b *testing.B) {
	for _, how := range compressions[1:] {
		pairs := makePairs(20_000, 1)
		data := makeTable(b, sst.Default, how, pairs)
		var size int64
		for _, p := range pairs {
			size += int64(len(p.key) + len(p.value))
		}
		b.Run(how.String(), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				table, err := blocktable.Open(int64(len(data)), opener(data))
				require.NoError(b, err)
				it := table.Iter(bytes.NewReader(data))
				for it.Next() {
				}
				require.NoError(b, it.Err())
			}
		})
	}
}

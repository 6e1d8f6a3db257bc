package sst

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"testing"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rows are keys and values of a write file, some of them hard to compress.
func rows(n int) (keys, values [][]byte) {
	rnd := rand.New(rand.NewSource(1))
	for i := range n {
		value := bytes.Repeat([]byte{byte(i)}, i%ShortValueMax)
		if i%3 == 0 {
			rnd.Read(value)
		}
		keys = append(keys, DataKey(fmt.Appendf(nil, "t%08d", i), uint64(1000+i)))
		values = append(values, NewPut(uint64(900+i), value).Append(nil))
	}
	return keys, values
}

func TestFileIsReadAsWritten(t *testing.T) {
	keys, values := rows(20000)
	for _, family := range []string{Default, Write} {
		sizes := make(map[backuppb.CompressionType]int)
		for _, c := range []backuppb.CompressionType{
			backuppb.CompressionType_UNKNOWN, backuppb.CompressionType_LZ4, backuppb.CompressionType_SNAPPY, backuppb.CompressionType_ZSTD,
		} {
			w, err := NewWriter(family, c)
			require.NoError(t, err)
			for i := range keys {
				require.NoError(t, w.Add(keys[i], values[i]))
			}
			require.Equal(t, len(keys), w.Entries())
			data, err := w.Finish()
			require.NoError(t, err)
			require.Less(t, uint64(len(data)), w.Bytes()*9/10, "compressed by %v", c)
			sizes[c] = len(data)
			requireContent(t, data, keys, values)
		}
		require.Equal(t, sizes[backuppb.CompressionType_LZ4], sizes[backuppb.CompressionType_UNKNOWN])
		require.NotEqual(t, sizes[backuppb.CompressionType_LZ4], sizes[backuppb.CompressionType_SNAPPY])
	}
}

func requireContent(t *testing.T, data []byte, keys, values [][]byte) {
	t.Helper()
	r, err := NewReader(data)
	require.NoError(t, err)
	i := 0
	require.NoError(t, r.Each(func(key, value []byte) error {
		if !bytes.Equal(keys[i], key) || !bytes.Equal(values[i], value) {
			return fmt.Errorf("entry %d is %x = %x", i, key, value)
		}
		i++
		return nil
	}))
	require.Equal(t, len(keys), i)
	require.NoError(t, r.Close())
}

func TestTableSaysHowItIsCompressed(t *testing.T) {
	keys, values := rows(5000)
	for c, want := range map[backuppb.CompressionType]blockType{
		backuppb.CompressionType_LZ4: lz4Block, backuppb.CompressionType_SNAPPY: snappyBlock, backuppb.CompressionType_ZSTD: zstdBlock,
	} {
		w, err := NewWriter(Write, c)
		require.NoError(t, err)
		for i := range keys {
			require.NoError(t, w.Add(keys[i], values[i]))
		}
		data, err := w.Finish()
		require.NoError(t, err)
		f, err := parseFooter(data)
		require.NoError(t, err)
		index, err := (&mover{table: data}).entries(f.index)
		require.NoError(t, err)
		types := make(map[blockType]int)
		for _, e := range index {
			h, n := parseHandle(e.value)
			require.NotZero(t, n)
			_, bt, err := rawBlock(data, h)
			require.NoError(t, err)
			types[bt]++
		}
		require.NotZero(t, types[want])
		require.Contains(t, string(data), "rocksdb.compression"+want.name())
		require.NotContains(t, string(data), "NoCompression")
	}
}

// The data of a table with a flipped byte is not read.
func TestDamageIsSeen(t *testing.T) {
	keys, values := rows(300)
	for _, c := range []backuppb.CompressionType{backuppb.CompressionType_LZ4, backuppb.CompressionType_ZSTD} {
		w, err := NewWriter(Default, c)
		require.NoError(t, err)
		for i := range keys {
			require.NoError(t, w.Add(keys[i], values[i]))
		}
		data, err := w.Finish()
		require.NoError(t, err)
		f, err := parseFooter(data)
		require.NoError(t, err)
		for at := 0; at < int(f.index.offset); at += 97 {
			broken := bytes.Clone(data)
			broken[at] ^= 0x10
			r, err := NewReader(broken)
			if err != nil {
				continue
			}
			require.NoError(t, r.Close())
			t.Fatalf("the flipped byte %d of %d is not seen", at, len(data))
		}
	}
}

func TestPropertiesCount(t *testing.T) {
	w, err := NewWriter(Write, backuppb.CompressionType_ZSTD)
	require.NoError(t, err)
	for i := range 25000 {
		key := fmt.Appendf(nil, "t%08d", i)
		if i%2 == 0 { // two versions of the row
			require.NoError(t, w.Add(DataKey(key, 900), Record{Kind: Delete, StartTS: 899}.Append(nil)))
		}
		require.NoError(t, w.Add(DataKey(key, 500), NewPut(499, []byte("v")).Append(nil)))
	}
	data, err := w.Finish()
	require.NoError(t, err)
	r, err := NewReader(data)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	props := r.UserProperties()
	for name, want := range map[string]uint64{
		"tikv.num_rows": 25000, "tikv.num_versions": 37500, "tikv.num_puts": 25000, "tikv.num_deletes": 12500,
		"tikv.max_row_versions": 2, "tikv.min_ts": 500, "tikv.max_ts": 900, "tikv.num_errors": 0, "tikv.newest_stale_version_ts": 900,
		"tikv.oldest_delete_ts": 900,
	} {
		require.Equal(t, want, binary.BigEndian.Uint64([]byte(props[name])), name)
	}
	last := DataKey([]byte("t00024999"), 500)
	require.Contains(t, props["tikv.range_index"], string(last))
	require.Contains(t, props["tikv.rows_index"], string(last[:len(last)-tsLen]))
}

func TestDataKey(t *testing.T) {
	for _, raw := range []string{"", "a", "12345678", "\x00\xff123456789"} {
		key := DataKey([]byte(raw), 42)
		back, ts, err := ParseDataKey(key)
		require.NoError(t, err)
		require.Equal(t, raw, string(back))
		require.EqualValues(t, 42, ts)
		require.Negative(t, bytes.Compare(key, DataKey([]byte(raw), 41)), "newer first")
	}
	for _, bad := range []string{"", "z", "a12345678\xf712345678", "z1234567\xf712345678"} {
		_, _, err := ParseDataKey([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}

func TestRecord(t *testing.T) {
	for _, r := range []Record{
		NewPut(1, []byte("value")), NewPut(1<<60, nil), NewPut(7, make([]byte, ShortValueMax)),
		NewPut(7, make([]byte, ShortValueMax+1)), {Kind: Delete, StartTS: 3}, {Kind: Lock, StartTS: 4}, {Kind: Rollback, StartTS: 5},
	} {
		got, err := ParseRecord(r.Append(nil))
		require.NoError(t, err)
		require.Equal(t, r, got)
	}
	require.True(t, NewPut(7, make([]byte, ShortValueMax+1)).Long())
	require.False(t, NewPut(7, nil).Long())
}

func TestRecordWithEveryField(t *testing.T) {
	b := append(NewPut(5, []byte("abc")).Append(nil), tagOverlappedRollback, tagGCFence)
	b = binary.BigEndian.AppendUint64(b, 77)
	b = append(b, tagLastChange)
	b = binary.BigEndian.AppendUint64(b, 78)
	b = append(binary.AppendUvarint(b, 300), tagTxnSource)
	b = binary.AppendUvarint(b, 1000)
	got, err := ParseRecord(append(bytes.Clone(b), '?', 1, 2))
	require.NoError(t, err)
	require.Equal(t, Record{Kind: Put, StartTS: 5, Short: []byte("abc")}, got)
	whole := 0
	for end := range b {
		if _, err := ParseRecord(b[:end]); err == nil {
			whole++ // cut between two fields
		}
	}
	require.Equal(t, 5, whole)
	_, err = ParseRecord([]byte("X\x01"))
	require.ErrorContains(t, err, "no record begins with")
}

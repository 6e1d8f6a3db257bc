package tikv

import (
	"bytes"
	"fmt"
	"time"

	"github.com/pingcap/badger"
	"github.com/pingcap/badger/y"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/mvcc"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/pingcap/tidb/pkg/util/rowcodec"
)

// unistore's readers know row format v2 only, so a v1 row that is ingested is
// stored in v2, as unistore does with the rows of a transaction. What the
// client sent is kept beside it, because checksums and duplicate detection are
// about the bytes that were sent: the row's user meta gets metaHasOriginal
// behind the two timestamps, and the original value goes under originalKey
// with the same version.
const (
	metaHasOriginal = 1
	userMetaLen     = 16 // start_ts and commit_ts
)

var originalPrefix = []byte{0xff, 'v', '1'}

func originalKey(key []byte) []byte {
	return append(bytes.Clone(originalPrefix), key...)
}

// needsV2 tells whether a value can't be read by unistore as it is.
func needsV2(key, value []byte) bool {
	return len(value) > 0 && rowcodec.IsRowKey(key) && !rowcodec.IsNewFormat(value)
}

// toV2 converts a v1 row: pairs of column id and value, each with its own flag
// byte. A row without columns is one NULL flag.
func toV2(v1 []byte) ([]byte, error) {
	var (
		ids  []int64
		vals []types.Datum
	)
	for rest := v1; len(rest) > 1; {
		var id, val types.Datum
		var err error
		if rest, id, err = codec.DecodeOne(rest); err != nil {
			return nil, fmt.Errorf("column id of a v1 row: %w", err)
		}
		if rest, val, err = codec.DecodeOne(rest); err != nil {
			return nil, fmt.Errorf("column %d of a v1 row: %w", id.GetInt64(), err)
		}
		ids = append(ids, id.GetInt64())
		vals = append(vals, val)
	}
	var enc rowcodec.Encoder
	return enc.Encode(time.UTC, ids, vals, nil, nil)
}

// v1Entries returns what is stored for an ingested row in v1: the row in v2 and
// its original.
func v1Entries(key, value []byte, startTS, ts uint64) (row, original badger.Entry, err error) {
	v2, err := toV2(value)
	if err != nil {
		return row, original, fmt.Errorf("key %x: %w", key, err)
	}
	meta := mvcc.NewDBUserMeta(startTS, ts)
	original = badger.Entry{Key: y.KeyWithTs(originalKey(key), ts), Value: value, UserMeta: meta}
	row = badger.Entry{Key: y.KeyWithTs(key, ts), Value: v2, UserMeta: append(bytes.Clone(meta), metaHasOriginal)}
	return row, original, nil
}

// originalValue returns the value of item as its writer sent it. The slice is
// valid until txn is discarded.
func originalValue(txn *badger.Txn, readTS uint64, item *badger.Item) ([]byte, error) {
	if meta := item.UserMeta(); len(meta) <= userMetaLen || meta[userMetaLen] != metaHasOriginal {
		return item.Value()
	}
	txn.SetReadTS(item.Version())
	defer txn.SetReadTS(readTS)
	orig, err := txn.Get(originalKey(item.Key()))
	if err != nil {
		return nil, fmt.Errorf("original of row %x: %w", item.Key(), err)
	}
	return orig.Value()
}

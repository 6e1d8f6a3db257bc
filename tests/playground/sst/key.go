package sst

import (
	"encoding/binary"
	"fmt"

	"github.com/pingcap/tidb/pkg/util/codec"
)

const (
	dataPrefix = 'z'
	tsLen      = 8
)

// DataKey returns the key that the version ts of a raw key has in TiKV's engine.
func DataKey(raw []byte, ts uint64) []byte {
	return AppendTS(append([]byte{dataPrefix}, codec.EncodeBytes(nil, raw)...), ts)
}

// AppendTS appends a timestamp in the form that sorts newer ones first.
func AppendTS(key []byte, ts uint64) []byte { return binary.BigEndian.AppendUint64(key, ^ts) }

// ParseDataKey undoes DataKey. The raw key is a copy.
func ParseDataKey(key []byte) (raw []byte, ts uint64, err error) {
	enc, ts, err := SplitDataKey(key)
	if err != nil {
		return nil, 0, err
	}
	rest, raw, err := codec.DecodeBytes(enc, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("data key %x: %w", key, err)
	}
	if len(rest) > 0 {
		return nil, 0, fmt.Errorf("data key %x: %d bytes behind the encoded key", key, len(rest))
	}
	return raw, ts, nil
}

// SplitDataKey returns the encoded key inside a data key, which it points into,
// and the timestamp.
func SplitDataKey(key []byte) (enc []byte, ts uint64, err error) {
	if len(key) < 1+tsLen || key[0] != dataPrefix {
		return nil, 0, fmt.Errorf("%x is no data key", key)
	}
	at := len(key) - tsLen
	return key[1:at], ^binary.BigEndian.Uint64(key[at:]), nil
}

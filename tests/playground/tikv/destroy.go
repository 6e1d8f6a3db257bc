package tikv

import (
	"bytes"
	"context"
	"math"
	"sync/atomic"

	"github.com/pingcap/badger"
	"github.com/pingcap/badger/y"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/dbreader"
)

// destroyBatch is how many keys one transaction of destroyRange deletes.
const destroyBatch = 4096

// destroyRange removes all versions of the raw keys in [start, end). unistore's
// own handler only drops whole tables and so leaves keys behind; here the rest
// is deleted one by one. Locks in the range stay, as nothing is left that they
// could protect; an empty end means the end of the key space.
func (e *engine) destroyRange(ctx context.Context, start, end []byte) error {
	if len(end) == 0 {
		end = endOfKeys
	}
	if bytes.Compare(start, end) >= 0 {
		return nil
	}
	// The records of rolled back transactions and the original rows belong to
	// the range as well.
	for _, r := range [][2][]byte{{start, end}, {extraKey(start), extraKey(end)}, {originalKey(start), originalKey(end)}} {
		if len(r[0]) > 0 {
			e.bundle.DB.DeleteFilesInRange(bytes.Clone(r[0]), bytes.Clone(r[1]))
		}
		if err := e.deleteKeys(ctx, r[0], r[1]); err != nil {
			return err
		}
	}
	return nil
}

// extraKey is where unistore keeps the record of a key's rolled back
// transactions: the first byte is one higher.
func extraKey(key []byte) []byte {
	key = bytes.Clone(key)
	if len(key) > 0 && key[0] < math.MaxUint8 {
		key[0]++
	}
	return key
}

// deleteKeys writes a tombstone above the newest version of every key.
func (e *engine) deleteKeys(ctx context.Context, start, end []byte) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		keys := e.newestVersions(start, end, destroyBatch)
		if len(keys) == 0 {
			return nil
		}
		err := e.bundle.DB.Update(func(txn *badger.Txn) error {
			for _, k := range keys {
				entry := &badger.Entry{Key: y.KeyWithTs(k.UserKey, k.Version+1)}
				entry.SetDelete()
				if err := txn.SetEntry(entry); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		start = append(bytes.Clone(keys[len(keys)-1].UserKey), 0)
	}
}

func (e *engine) newestVersions(start, end []byte, limit int) []y.Key {
	txn := e.bundle.DB.NewTransaction(false)
	defer txn.Discard()
	txn.SetReadTS(math.MaxUint64)
	it := dbreader.NewIterator(txn, false, start, end)
	defer it.Close()
	var keys []y.Key
	for it.Seek(start); it.Valid() && len(keys) < limit; it.Next() {
		item := it.Item()
		if bytes.Compare(item.Key(), end) >= 0 {
			break
		}
		keys = append(keys, y.KeyWithTs(item.KeyCopy(nil), item.Version()))
	}
	return keys
}

// forget takes the data of destroyed raw keys out of the size estimates.
func (rs *regions) forget(start, end []byte) {
	if len(end) == 0 {
		end = endOfKeys
	}
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	for _, r := range rs.mu.sorted {
		if bytes.Compare(r.rawStart, start) >= 0 && bytes.Compare(r.rawEnd, end) <= 0 {
			r.size.Store(0)
			r.keys.Store(0)
			atomic.StoreInt64(&r.diff, 0)
		}
	}
}

package tikv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/pingcap/badger"
	"github.com/pingcap/badger/y"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/mvcc"
)

// ingestBatch is how many entries, and ingestBatchBytes how many bytes, go into
// one badger transaction. The bytes stay well under a memtable.
const (
	ingestBatch      = 4096
	ingestBatchBytes = 4 << 20
)

// ingest makes the pairs of a file visible, each at its commit_ts. A failure on
// the way leaves a part of them; writing the same again is harmless.
func (e *engine) ingest(ctx context.Context, f *sstFile) error {
	if err := e.checkVersions(f); err != nil {
		return err
	}
	w := &ingestWriter{ctx: ctx, db: e.bundle.DB, entries: make([]badger.Entry, 0, ingestBatch)}
	if err := f.each(w.add); err != nil {
		return err
	}
	return w.flush()
}

// checkVersions refuses a file with a key that exists in a newer version:
// badger wants the versions of a key written in order and would hide the newer
// one. It looks at single keys only if there are any in the file's range.
func (e *engine) checkVersions(f *sstFile) error {
	if len(e.newestVersions(f.first, append(bytes.Clone(f.last), 0), 1)) == 0 {
		return nil
	}
	txn := e.bundle.DB.NewTransaction(false)
	defer txn.Discard()
	txn.SetReadTS(math.MaxUint64)
	return f.each(func(p sstPair, ts uint64) error {
		item, err := txn.Get(p.key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if item.Version() > ts {
			return fmt.Errorf("the playground's engine can't ingest key %x at %d under its newer version %d", p.key, ts, item.Version())
		}
		return nil
	})
}

// ingestWriter collects entries for one transaction after the other.
type ingestWriter struct {
	ctx     context.Context
	db      *badger.DB
	entries []badger.Entry
	bytes   int
	meta    mvcc.DBUserMeta // of startTS and metaTS; badger copies it
	startTS uint64
	metaTS  uint64
}

func (w *ingestWriter) add(p sstPair, ts uint64) error {
	start := p.startTS
	if start == 0 { // a record of Write has its commit_ts as start_ts, too
		start = ts
	}
	if w.meta == nil || w.metaTS != ts || w.startTS != start {
		w.meta, w.startTS, w.metaTS = mvcc.NewDBUserMeta(start, ts), start, ts
	}
	switch {
	case p.op == import_sstpb.Pair_Delete:
		w.push(badger.Entry{Key: y.KeyWithTs(p.key, ts), UserMeta: w.meta}) // no value: deleted
	case needsV2(p.key, p.value):
		row, original, err := v1Entries(p.key, p.value, start, ts)
		if err != nil {
			return err
		}
		w.push(original)
		w.push(row)
	default:
		w.push(badger.Entry{Key: y.KeyWithTs(p.key, ts), Value: p.value, UserMeta: w.meta})
	}
	if len(w.entries) >= ingestBatch-1 || w.bytes >= ingestBatchBytes {
		return w.flush()
	}
	return nil
}

func (w *ingestWriter) push(e badger.Entry) {
	w.entries = append(w.entries, e)
	w.bytes += e.Key.Len() + len(e.Value)
}

func (w *ingestWriter) flush() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	err := w.db.Update(func(txn *badger.Txn) error {
		for i := range w.entries {
			if err := txn.SetEntry(&w.entries[i]); err != nil {
				return err
			}
		}
		return nil
	})
	w.entries, w.bytes = w.entries[:0], 0
	return err
}

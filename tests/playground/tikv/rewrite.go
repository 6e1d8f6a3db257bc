package tikv

import (
	"bytes"
	"context"
	"fmt"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/sluicedb/sluice/tests/playground/sst"
)

// rewriter turns the entries of a backup's file into those that a store keeps:
// with another prefix and other timestamps, and without what is out of range.
type rewriter struct {
	req  *import_sstpb.DownloadRequest
	rule *import_sstpb.RewriteRule
	// raw says that the rule's prefixes and the range are raw keys, and not parts
	// of encoded ones.
	raw bool
	// start and end bound the encoded keys, with their timestamps, before they are
	// rewritten; empty for no bound.
	start, end []byte

	file              *sstFile // nil before the first entry
	firstKey, lastKey []byte   // encoded, with timestamps
	seen              int
}

func newRewriter(req *import_sstpb.DownloadRequest) (*rewriter, error) {
	rw := &rewriter{req: req, rule: &req.RewriteRule, raw: req.RequestType == import_sstpb.DownloadRequestType_Keyspace}
	var err error
	if rw.start, err = rw.before("SST start range", req.Sst.Range.GetStart(), false); err != nil {
		return nil, err
	}
	rw.end, err = rw.before("SST end range", req.Sst.Range.GetEnd(), req.Sst.EndKeyExclusive)
	return rw, err
}

func wrongPrefix(what string, key, prefix []byte) error {
	return fmt.Errorf("%s has wrong prefix: key %X does not start with %X", what, key, prefix)
}

// before returns a bound of the rewritten keys as one of the file's keys.
func (rw *rewriter) before(what string, bound []byte, exclusive bool) ([]byte, error) {
	if len(bound) == 0 {
		return nil, nil
	}
	from, to := rw.rule.NewKeyPrefix, rw.rule.OldKeyPrefix
	var out []byte
	switch {
	case bytes.HasPrefix(bound, from):
		out = append(bytes.Clone(to), bound[len(from):]...)
	case exclusive && bytes.Equal(bound, successor(from)):
		out = successor(to)
	default:
		return nil, wrongPrefix(what, bound, from)
	}
	if rw.raw {
		return encodeKey(out), nil
	}
	return out, nil
}

// successor returns the first key behind all keys with a prefix; nil when there is none.
func successor(prefix []byte) []byte {
	out := bytes.Clone(prefix)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i]++; out[i] != 0 {
			return out[:i+1]
		}
	}
	return nil
}

// run rewrites a whole file; it returns nil when nothing of it is kept.
func (rw *rewriter) run(ctx context.Context, in *sst.Reader) (*sstFile, error) {
	err := in.Each(func(key, value []byte) error {
		if rw.seen++; rw.seen%checksumCheckEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return rw.entry(key, value)
	})
	if err != nil && rw.file != nil {
		rw.file.table.Discard()
	}
	return rw.file, err
}

// entry looks at one entry of the file.
func (rw *rewriter) entry(key, value []byte) error {
	old, ts, err := sst.SplitDataKey(key)
	if err != nil {
		return err
	}
	if whole := key[1:]; bytes.Compare(whole, rw.start) < 0 || rw.isBehind(whole) {
		return nil
	}
	if after := rw.rule.IgnoreAfterTimestamp; after != 0 && ts > after || ts < rw.rule.IgnoreBeforeTimestamp {
		return nil
	}
	enc, err := rw.key(old)
	if err != nil {
		return err
	}
	if newTS := rw.rule.NewTimestamp; newTS != 0 {
		ts = newTS
		if value, err = rw.record(value); err != nil {
			return err
		}
	}
	return rw.add(enc, ts, value)
}

// isBehind tells whether a key with its timestamp lies behind the range.
func (rw *rewriter) isBehind(key []byte) bool {
	if len(rw.end) == 0 {
		return false
	}
	c := bytes.Compare(key, rw.end)
	return c > 0 || c == 0 && rw.req.Sst.EndKeyExclusive
}

// key rewrites an encoded key.
func (rw *rewriter) key(enc []byte) ([]byte, error) {
	old := enc
	if rw.raw {
		var err error
		if old, err = decodeKey(enc); err != nil {
			return nil, err
		}
	}
	if !bytes.HasPrefix(old, rw.rule.OldKeyPrefix) {
		return nil, wrongPrefix("Key in SST", old, rw.rule.OldKeyPrefix)
	}
	out := append(bytes.Clone(rw.rule.NewKeyPrefix), old[len(rw.rule.OldKeyPrefix):]...)
	if rw.raw {
		return encodeKey(out), nil
	}
	return out, nil
}

// record gives a record of the write family the new timestamp as its start_ts.
func (rw *rewriter) record(value []byte) ([]byte, error) {
	if rw.req.Sst.CfName != cfWrite {
		return value, nil
	}
	rec, err := sst.ParseRecord(value)
	if err != nil {
		return nil, err
	}
	rec.StartTS = rw.rule.NewTimestamp
	return rec.Append(nil), nil
}

// add puts an entry into the new file.
func (rw *rewriter) add(enc []byte, ts uint64, value []byte) error {
	raw, err := decodeKey(enc)
	if err != nil {
		return fmt.Errorf("rewritten key: %w", err)
	}
	if rw.file == nil {
		table, err := sst.NewWriter(rw.req.Sst.CfName, backuppb.CompressionType_SNAPPY)
		if err != nil {
			return err
		}
		rw.file = &sstFile{meta: fileMeta(&rw.req.Sst), family: rw.req.Sst.CfName, table: table, first: raw}
		rw.firstKey = sst.AppendTS(bytes.Clone(enc), ts)
	}
	key := sst.DataKey(raw, ts)
	f := rw.file
	if f.family == cfWrite && f.pairs > 0 && bytes.Equal(raw, f.last) {
		return fmt.Errorf("the playground's engine can't ingest two versions of a key at once, key %x", raw)
	}
	if err := f.table.Add(key, value); err != nil {
		return fmt.Errorf("%w: %w", errKeyOrder, err)
	}
	if f.family == cfWrite {
		rec, err := sst.ParseRecord(value)
		if err != nil {
			return fmt.Errorf("key %x: %w", raw, err)
		}
		if rec.Long() {
			f.long++
		}
	}
	rw.lastKey = sst.AppendTS(enc, ts)
	f.last, f.lastTS = raw, ts
	f.pairs++
	f.bytes += int64(len(raw) + len(value))
	f.digest = digestOf(f.digest, key, value)
	return nil
}

package tikv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc64"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/dbreader"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/kverrors"
	"github.com/pingcap/tipb/go-tipb"
)

// reqTypeChecksum is the coprocessor's request type of a checksum.
const reqTypeChecksum = 105

// checksumCheckEvery is after how many pairs a scan looks whether the client
// has gone.
const checksumCheckEvery = 4096

var crcTable = crc64.MakeTable(crc64.ECMA)

// checksum answers a checksum request as TiKV's coprocessor does: the CRC-64 of
// key and value of every pair visible at the request's timestamp, XOR-ed, with
// the number of pairs and their bytes. A locked pair or a region error is
// answered in its place in the response.
func (s *store) checksum(ctx context.Context, req *coprocessor.Request) *coprocessor.Response {
	r, regErr := s.regions.checkRequest(s.id, req.Context)
	if regErr != nil {
		return &coprocessor.Response{RegionError: regErr}
	}
	var sum tipb.ChecksumRequest
	if err := sum.Unmarshal(req.Data); err != nil {
		return &coprocessor.Response{OtherError: err.Error()}
	}
	if sum.Algorithm != tipb.ChecksumAlgorithm_Crc64_Xor {
		return &coprocessor.Response{OtherError: fmt.Sprintf("unknown checksum algorithm %v", sum.Algorithm)}
	}
	c := &checksummer{engine: s.engine, rule: sum.Rule, ts: req.StartTs}
	if c.ts == 0 {
		c.ts = sum.GetStartTsFallback()
	}
	for _, rg := range req.Ranges {
		start, end := clamp(r, rg.Start, rg.End)
		if bytes.Compare(start, end) >= 0 {
			continue
		}
		if resp := c.add(ctx, req.Context, start, end); resp != nil {
			return resp
		}
	}
	data, err := c.sum.Marshal()
	if err != nil {
		return &coprocessor.Response{OtherError: err.Error()}
	}
	return &coprocessor.Response{Data: data}
}

// clamp cuts a raw range to the region.
func clamp(r *region, start, end []byte) ([]byte, []byte) {
	if bytes.Compare(start, r.rawStart) < 0 {
		start = r.rawStart
	}
	if len(end) == 0 || bytes.Compare(end, r.rawEnd) > 0 {
		end = r.rawEnd
	}
	return start, end
}

type checksummer struct {
	engine *engine
	rule   *tipb.ChecksumRewriteRule // may be nil
	ts     uint64
	sum    tipb.ChecksumResponse
}

// add sums one range; it returns a response only on failure.
func (c *checksummer) add(ctx context.Context, rpc *kvrpcpb.Context, start, end []byte) *coprocessor.Response {
	// Locks first, then the snapshot: a commit writes the value before it
	// removes the lock.
	if rpc.GetIsolationLevel() == kvrpcpb.IsolationLevel_SI {
		if err := c.engine.mvcc.CheckRangeLock(c.ts, start, end, rpc.GetResolvedLocks()); err != nil {
			return lockResponse(err)
		}
	}
	if err := c.scan(ctx, start, end); err != nil {
		return &coprocessor.Response{OtherError: err.Error()}
	}
	return nil
}

func lockResponse(err error) *coprocessor.Response {
	var locked *kverrors.ErrLocked
	if errors.As(err, &locked) {
		return &coprocessor.Response{Locked: locked.Lock.ToLockInfo(locked.Key)}
	}
	return &coprocessor.Response{OtherError: err.Error()}
}

func (c *checksummer) scan(ctx context.Context, start, end []byte) error {
	txn := c.engine.bundle.DB.NewTransaction(false)
	defer txn.Discard()
	txn.SetReadTS(c.ts)
	it := dbreader.NewIterator(txn, false, start, end)
	defer it.Close()
	seen := 0
	for it.Seek(start); it.Valid(); it.Next() {
		item := it.Item()
		if bytes.Compare(item.Key(), end) >= 0 {
			return nil
		}
		if item.IsEmpty() { // deleted
			continue
		}
		value, err := originalValue(txn, c.ts, item)
		if err != nil {
			return err
		}
		if err := c.pair(item.Key(), value); err != nil {
			return err
		}
		if seen++; seen%checksumCheckEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// pair adds one pair, with the key's prefix rewritten by the rule.
func (c *checksummer) pair(key, value []byte) error {
	var crc uint64
	if c.rule != nil {
		if !bytes.HasPrefix(key, c.rule.NewPrefix) {
			return fmt.Errorf("Wrong prefix expect: %x got: %x", c.rule.NewPrefix, key) //nolint:staticcheck // TiKV's text
		}
		key = key[len(c.rule.NewPrefix):]
		crc = crc64.Update(0, crcTable, c.rule.OldPrefix)
		c.sum.TotalBytes += uint64(len(c.rule.OldPrefix))
	}
	crc = crc64.Update(crc, crcTable, key)
	crc = crc64.Update(crc, crcTable, value)
	c.sum.Checksum ^= crc
	c.sum.TotalKvs++
	c.sum.TotalBytes += uint64(len(key) + len(value))
	return nil
}

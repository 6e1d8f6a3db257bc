package tikv

import (
	"bytes"
	"fmt"
	"math"

	"github.com/pingcap/badger"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/dbreader"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// duplicatePairs is how many pairs end a message of DuplicateDetect.
const duplicatePairs = 4096

// DuplicateDetect implements import_sstpb.ImportSSTServer: it reports the
// versions of every key that has more than one live version, the newest of
// them later than min_commit_ts. Of the versions up to min_commit_ts only the
// newest counts.
func (im *importer) DuplicateDetect(req *import_sstpb.DuplicateDetectRequest, stream import_sstpb.ImportSST_DuplicateDetectServer) error {
	regionError := func(e *errorpb.Error) error {
		return stream.Send(&import_sstpb.DuplicateDetectResponse{RegionError: e})
	}
	if kind, ok := streamFault(stream.Context()); ok {
		if e := im.store.regionFault(kind, req.Context); e != nil {
			return regionError(e)
		}
	}
	r, regErr := im.store.regions.checkRequest(im.store.id, req.Context)
	if regErr != nil {
		return regionError(regErr)
	}
	if !r.contains(encodeKey(req.StartKey)) {
		err := im.store.cluster.violate("DuplicateDetect starts at %X, outside region %d [%X, %X): TiKV panics",
			req.StartKey, r.meta.Id, r.rawStart, r.rawEnd)
		return status.Error(codes.Internal, err.Error())
	}
	start, end := clamp(r, req.StartKey, req.EndKey)
	d := &duplicateScan{req: req, send: stream.Send}
	keyErr, err := d.run(im.store.engine, start, end)
	if err != nil {
		return importError("%v", err)
	}
	if keyErr != nil {
		return stream.Send(&import_sstpb.DuplicateDetectResponse{KeyError: keyErr})
	}
	return nil
}

// duplicateScan is one DuplicateDetect under way.
type duplicateScan struct {
	req   *import_sstpb.DuplicateDetectRequest
	send  func(*import_sstpb.DuplicateDetectResponse) error
	pairs []*import_sstpb.KvPair // for the next message
	group []*import_sstpb.KvPair // versions of the current key, newest first
	old   bool                   // group has its version up to min_commit_ts
}

func (d *duplicateScan) run(e *engine, start, end []byte) (*import_sstpb.Error, error) {
	txn := e.bundle.DB.NewTransaction(false)
	defer txn.Discard()
	txn.SetReadTS(math.MaxUint64)
	it := dbreader.NewIterator(txn, false, start, end)
	defer it.Close()
	it.SetAllVersions(true)
	var current []byte
	for it.Seek(start); it.Valid(); it.Next() {
		item := it.Item()
		if bytes.Compare(item.Key(), end) >= 0 {
			break
		}
		if current == nil || !bytes.Equal(item.Key(), current) {
			if err := d.endKey(); err != nil {
				return nil, err
			}
			current = item.KeyCopy(nil)
		}
		keyErr, err := d.version(txn, current, item)
		if keyErr != nil || err != nil {
			return keyErr, err
		}
	}
	if err := d.endKey(); err != nil {
		return nil, err
	}
	return nil, d.flush(1)
}

// version looks at one version of the current key.
func (d *duplicateScan) version(txn *badger.Txn, key []byte, item *badger.Item) (*import_sstpb.Error, error) {
	ts := item.Version()
	if ts <= d.req.MinCommitTs {
		if len(d.group) == 0 || d.old {
			return nil, nil
		}
		d.old = true
		if item.IsEmpty() {
			return nil, nil
		}
	} else if item.IsEmpty() {
		return &import_sstpb.Error{Message: fmt.Sprintf("found a Delete key with commits ts %d, key %X", ts, key)}, nil
	}
	pair := &import_sstpb.KvPair{Key: key, CommitTs: ts}
	if !d.req.KeyOnly {
		v, err := originalValue(txn, math.MaxUint64, item)
		if err != nil {
			return nil, err
		}
		pair.Value = bytes.Clone(v)
	}
	d.group = append(d.group, pair)
	return nil, nil
}

// endKey reports the current key if it has more than one version.
func (d *duplicateScan) endKey() error {
	if len(d.group) > 1 {
		if d.req.KeyOnly {
			d.group = d.group[1:] // the newest is left out, as in TiKV
		}
		d.pairs = append(d.pairs, d.group...)
	}
	d.group, d.old = nil, false
	return d.flush(duplicatePairs)
}

// flush sends what there is if it is at least so many pairs.
func (d *duplicateScan) flush(atLeast int) error {
	if len(d.pairs) < atLeast {
		return nil
	}
	err := d.send(&import_sstpb.DuplicateDetectResponse{Pairs: d.pairs})
	d.pairs = nil
	return err
}

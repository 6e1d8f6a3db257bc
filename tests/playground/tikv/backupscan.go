package tikv

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc64"

	"github.com/pingcap/badger"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/dbreader"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/mvcc"
	"github.com/sluicedb/sluice/tests/playground/sst"
)

// versionAt is one version of a key: what a backup has to write of it.
type versionAt struct {
	key, value        []byte // value is empty for a delete
	startTS, commitTS uint64
}

// backupScan finds what a backup holds of a part: of each key the newest version
// up to the timestamp to; with from not 0 only if it is newer than that, and
// deletes too.
type backupScan struct {
	engine      *engine
	from, to    uint64
	maxBytes    uint64 // of keys and values in one pair of files
	compression backuppb.CompressionType
}

// run calls save for the part, cut so that no pair of files becomes too large.
// The cuts are keys, and each begins where the one before ends.
func (s *backupScan) run(ctx context.Context, part backupPart, save func(*backedUp) error) error {
	txn := s.engine.bundle.DB.NewTransaction(false)
	defer txn.Discard()
	txn.SetReadTS(s.to)
	it := dbreader.NewIterator(txn, false, part.start, part.end)
	defer it.Close()
	now := &backedUp{start: part.start}
	defer func() { now.discard() }()
	seen := 0
	for it.Seek(part.start); it.Valid(); it.Next() {
		item := it.Item()
		if bytes.Compare(item.Key(), part.end) >= 0 {
			break
		}
		if seen++; seen%checksumCheckEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		row, wanted, err := s.version(txn, item)
		if err != nil {
			return err
		}
		if !wanted {
			continue
		}
		if now.bytes >= s.maxBytes {
			now.end = bytes.Clone(row.key)
			if err := save(now); err != nil {
				return err
			}
			now = &backedUp{start: now.end}
		}
		if err := now.add(row, s.compression); err != nil {
			return err
		}
	}
	now.end = part.end
	return save(now)
}

// version returns what the iterator is at, valid until it moves, and whether the
// backup holds it.
func (s *backupScan) version(txn *badger.Txn, item *badger.Item) (versionAt, bool, error) {
	meta := mvcc.DBUserMeta(item.UserMeta())
	row := versionAt{startTS: meta.StartTS(), commitTS: item.Version()}
	if row.commitTS <= s.from || s.from == 0 && item.IsEmpty() {
		return row, false, nil
	}
	row.key = item.Key()
	if item.IsEmpty() {
		return row, true, nil
	}
	var err error
	row.value, err = originalValue(txn, s.to, item)
	return row, true, err
}

// fileSums are what a backup says of a file's rows.
type fileSums struct{ crc, kvs, bytes uint64 }

func (s *fileSums) add(r versionAt) {
	s.crc ^= crc64.Update(crc64.Update(0, crcTable, r.key), crcTable, r.value)
	s.kvs++
	s.bytes += uint64(len(r.key) + len(r.value))
}

// backedUp is what goes into one pair of files: a part of a region and its rows.
// As in TiKV a row counts for the file that has its value, so that the write file
// may count none of its records.
type backedUp struct {
	start, end         []byte
	bytes              uint64
	def, write         *sst.Writer // nil before the first row
	defSums, writeSums fileSums
}

func (p *backedUp) add(r versionAt, compression backuppb.CompressionType) error {
	if p.write == nil {
		if err := p.open(compression); err != nil {
			return err
		}
	}
	p.bytes += uint64(len(r.key) + len(r.value))
	rec := sst.Record{Kind: sst.Delete, StartTS: r.startTS}
	if len(r.value) > 0 {
		rec = sst.NewPut(r.startTS, r.value)
	}
	if rec.Long() {
		if err := p.def.Add(sst.DataKey(r.key, r.startTS), r.value); err != nil {
			return fmt.Errorf("default file: %w", err)
		}
		p.defSums.add(r)
	} else {
		p.writeSums.add(r)
	}
	if err := p.write.Add(sst.DataKey(r.key, r.commitTS), rec.Append(nil)); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}

func (p *backedUp) open(compression backuppb.CompressionType) (err error) {
	if p.def, err = sst.NewWriter(sst.Default, compression); err == nil {
		p.write, err = sst.NewWriter(sst.Write, compression)
	}
	return err
}

// discard gives up files that are not finished.
func (p *backedUp) discard() {
	for _, w := range []*sst.Writer{p.def, p.write} {
		if w != nil {
			w.Discard()
		}
	}
}

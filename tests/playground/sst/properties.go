package sst

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/sstable"
)

// How far apart TiKV's samples of a file are.
const (
	rangeEveryBytes = 4 << 20
	rangeEveryKeys  = 40 << 10
	rowsEvery       = 10000
)

// offset is a place in a file: the bytes and the keys up to a key.
type offset struct{ size, keys uint64 }

// index is a list of keys with their offsets, in TiKV's encoding.
type index []byte

func (x *index) add(key []byte, at offset) {
	b := binary.BigEndian.AppendUint64(*x, uint64(len(key)))
	b = append(b, key...)
	b = binary.BigEndian.AppendUint64(b, at.size)
	*x = binary.BigEndian.AppendUint64(b, at.keys)
}

// rangeProperties is TiKV's sample of keys, from which it knows how large a part
// of a file is.
type rangeProperties struct {
	index     index
	at, noted offset
	last      []byte
}

// Add implements sstable.TablePropertyCollector.
func (p *rangeProperties) Add(key sstable.InternalKey, value []byte) error {
	p.at.size += uint64(len(key.UserKey) + len(value))
	p.at.keys++
	if p.last == nil || p.at.size-p.noted.size >= rangeEveryBytes || p.at.keys-p.noted.keys >= rangeEveryKeys {
		p.note(key.UserKey)
	}
	p.last = append(p.last[:0], key.UserKey...)
	return nil
}

func (p *rangeProperties) note(key []byte) {
	p.index.add(key, p.at)
	p.noted = p.at
}

// Finish implements sstable.TablePropertyCollector.
func (p *rangeProperties) Finish(props map[string]string) error {
	if p.at != p.noted {
		p.note(p.last)
	}
	props["tikv.range_index"] = string(p.index)
	return nil
}

// Name implements sstable.TablePropertyCollector.
func (*rangeProperties) Name() string { return "tikv.range-properties-collector" }

// versionProperties are TiKV's counts of the versions in a file of the write
// family, from which its garbage collection knows whether there is work.
type versionProperties struct {
	rows, puts, deletes, versions, maxRowVersions, errors uint64

	all, stale, deleted span // timestamps of all versions, of those with a newer one, of deletes

	row         []byte // key of the last one, without its timestamp
	rowVersions uint64
	lastTS      uint64

	rowsIndex index
	rowsAt    offset // rows since the last sample, and of all
}

// span is a range of timestamps with both ends in it; the zero value is empty.
type span struct{ from, to uint64 }

func (s *span) add(ts uint64) {
	if s.to == 0 {
		s.from = ts
	}
	s.from, s.to = min(s.from, ts), max(s.to, ts)
}

// Add implements sstable.TablePropertyCollector.
func (p *versionProperties) Add(key sstable.InternalKey, value []byte) error {
	_, ts, err := SplitDataKey(key.UserKey)
	if err != nil {
		p.errors++
		return nil
	}
	p.versions++
	p.all.add(ts)
	if row := key.UserKey[:len(key.UserKey)-tsLen]; !bytes.Equal(row, p.row) {
		p.row = append(p.row[:0], row...)
		p.rowVersions = 0
		p.countRow()
	} else {
		p.stale.add(p.lastTS)
	}
	p.rowVersions++
	p.maxRowVersions = max(p.maxRowVersions, p.rowVersions)
	p.lastTS = ts
	switch r, err := ParseRecord(value); {
	case err != nil:
		p.errors++
	case r.Kind == Put:
		p.puts++
	case r.Kind == Delete:
		p.deletes++
		p.deleted.add(ts)
	}
	return nil
}

// countRow samples the first row and every rowsEvery-th behind it.
func (p *versionProperties) countRow() {
	p.rows++
	p.rowsAt.size++
	p.rowsAt.keys++
	if p.rows == 1 || p.rowsAt.size >= rowsEvery {
		p.sample()
	}
}

func (p *versionProperties) sample() {
	p.rowsIndex.add(p.row, p.rowsAt)
	p.rowsAt.size = 0
}

// Finish implements sstable.TablePropertyCollector.
func (p *versionProperties) Finish(props map[string]string) error {
	if p.rowsAt.size > 0 {
		p.sample()
	}
	props["tikv.rows_index"] = string(p.rowsIndex)
	for name, n := range map[string]uint64{
		"tikv.min_ts":                  p.all.from,
		"tikv.max_ts":                  p.all.to,
		"tikv.num_rows":                p.rows,
		"tikv.num_puts":                p.puts,
		"tikv.num_deletes":             p.deletes,
		"tikv.num_versions":            p.versions,
		"tikv.max_row_versions":        p.maxRowVersions,
		"tikv.num_errors":              p.errors,
		"tikv.oldest_stale_version_ts": p.stale.from,
		"tikv.newest_stale_version_ts": p.stale.to,
		"tikv.oldest_delete_ts":        p.deleted.from,
		"tikv.newest_delete_ts":        p.deleted.to,
	} {
		props[name] = string(binary.BigEndian.AppendUint64(nil, n))
	}
	return nil
}

// Name implements sstable.TablePropertyCollector.
func (*versionProperties) Name() string { return "tikv.mvcc-properties-collector" }

package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pingcap/tidb/pkg/util/codec"

	"github.com/sluicedb/sluice/importcore/kv"
)

// PairIter walks over what a part held at the time of the backup, in key order. It is used by one goroutine.
type PairIter struct {
	part  *Part
	upTo  uint64
	write *tableIter
	long  *tableIter // nil: the part has no long values

	key     []byte // raw
	value   []byte
	ts      uint64
	deleted bool
	sum     kv.Checksum
	seen    bool   // a key was read
	last    []byte // enc form of the key before
	err     error
}

// Pairs returns an iterator over a part's pairs. The caller closes it. At its end the pairs were
// compared with the archive's sums: until then nothing but the checksums of blocks vouches for them.
func (a *Archive) Pairs(ctx context.Context, p *Part) (*PairIter, error) {
	it := &PairIter{part: p, upTo: a.EndTS}
	var err error
	if it.write, err = a.table(ctx, p.Write); err != nil {
		return nil, err
	}
	if p.Default != nil {
		if it.long, err = a.table(ctx, p.Default); err != nil {
			return nil, errors.Join(err, it.write.Close())
		}
	}
	return it, nil
}

// Next moves to the next pair; false at the end or after an error.
func (it *PairIter) Next() bool {
	for it.err == nil && it.write.Next() {
		if it.err = it.take(); it.err == nil {
			return true
		}
		it.err = damaged2(it.part.Write, it.err)
	}
	if it.err == nil {
		it.err = it.finish()
	}
	return false
}

// damaged2 is damaged for an error that may have been told of another file already.
func damaged2(f *DataFile, err error) error {
	if inner := (*toldError)(nil); errors.As(err, &inner) {
		return inner.error
	}
	return damaged(f.Path, err)
}

// toldError is an error that names its file.
type toldError struct{ error }

// take decodes the entry that the write file stands on.
func (it *PairIter) take() error {
	enc, ts, err := splitKey(it.write.Key())
	if err != nil {
		return err
	}
	if it.seen && bytes.Equal(enc, it.last) {
		return fmt.Errorf("key %x has several versions", it.key)
	}
	it.seen, it.last = true, append(it.last[:0], enc...)
	rest, key, err := codec.DecodeBytes(enc, it.key[:0])
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("key %x can't be decoded", enc)
	}
	it.key, it.ts = key, ts
	if bytes.Compare(key, it.part.Start) < 0 || bytes.Compare(key, it.part.End) >= 0 {
		return fmt.Errorf("key %x is outside of the file's range [%x, %x)", key, it.part.Start, it.part.End)
	}
	if ts > it.upTo {
		return fmt.Errorf("key %x was written at %d, after the backup's time %d", key, ts, it.upTo)
	}
	r, err := parseRecord(it.write.Value())
	if err != nil {
		return fmt.Errorf("key %x: %w", key, err)
	}
	it.deleted, it.value = r.kind == kindDelete, nil
	switch {
	case r.kind == kindPut && r.short:
		it.value = r.value
	case r.kind == kindPut:
		if it.value, err = it.longValue(enc, r.startTS); err != nil {
			return err
		}
	case r.kind != kindDelete:
		return fmt.Errorf("key %x: a backup has no records of kind %q", key, r.kind)
	}
	it.sum.Add(key, it.value)
	return nil
}

// longValue returns a value from the default file, which holds just those that are needed, in order.
func (it *PairIter) longValue(enc []byte, startTS uint64) ([]byte, error) {
	if it.long == nil {
		return nil, fmt.Errorf("the value of key %x is in a file that the archive doesn't have", it.key)
	}
	if !it.long.Next() {
		err := it.long.Err()
		if err == nil {
			err = damaged(it.part.Default.Path, fmt.Errorf("it lacks the value of key %x", it.key))
		}
		return nil, &toldError{err}
	}
	of, ts, err := splitKey(it.long.Key())
	if err != nil || !bytes.Equal(of, enc) || ts != startTS {
		return nil, &toldError{damaged(it.part.Default.Path, fmt.Errorf("it has key %x instead of that of %x at %d", it.long.Key(), it.key, startTS))}
	}
	return it.long.Value(), nil
}

// finish makes sure that all was read, and that it is what the backup has counted.
func (it *PairIter) finish() error {
	if err := it.write.Err(); err != nil {
		return err
	}
	if it.long != nil {
		if it.long.Next() {
			return damaged(it.part.Default.Path, fmt.Errorf("it has the key %x, which %s doesn't refer to", it.long.Key(), it.part.Write.Path))
		}
		if err := it.long.Err(); err != nil {
			return err
		}
	}
	if it.sum != it.part.Sum {
		return damaged(it.part.Write.Path, fmt.Errorf("it holds %d pairs of %d bytes (checksum %d) instead of %d of %d (%d)",
			it.sum.Pairs, it.sum.Bytes, it.sum.Sum, it.part.Sum.Pairs, it.part.Sum.Bytes, it.part.Sum.Sum))
	}
	return nil
}

// Key returns the present pair's raw key, Value its value, nil if it is Deleted. Both are valid until the next call of Next.
func (it *PairIter) Key() []byte { return it.key }

// Value returns the present pair's value, see Key.
func (it *PairIter) Value() []byte { return it.value }

// CommitTS returns when the pair was written.
func (it *PairIter) CommitTS() uint64 { return it.ts }

// Deleted tells whether the key was removed at CommitTS, which only Incremental archives say.
func (it *PairIter) Deleted() bool { return it.deleted }

// Err returns what made Next return false, nil at the end of whole files.
func (it *PairIter) Err() error { return it.err }

// Close closes the files.
func (it *PairIter) Close() error {
	err := it.write.Close()
	if it.long != nil {
		err = errors.Join(err, it.long.Close())
	}
	return err
}

// splitKey takes a data key apart into the enc form of the raw key, which is a part of it, and the timestamp.
func splitKey(key []byte) (enc []byte, ts uint64, err error) {
	const tsLen = 8
	if len(key) < 1+tsLen || key[0] != 'z' {
		return nil, 0, fmt.Errorf("key %x is none of TiKV's data", key)
	}
	at := len(key) - tsLen
	return key[1:at], ^binary.BigEndian.Uint64(key[at:]), nil
}

// The kinds of records that a backup has.
const (
	kindPut    = 'P'
	kindDelete = 'D'
)

// record is a value of the write column family.
type record struct {
	kind    byte
	startTS uint64
	short   bool // value is here and not in the default column family
	value   []byte
}

var errRecord = errors.New("its record can't be decoded")

// parseRecord decodes a record as TiKV's WriteRef::parse does. Of its optional fields only the short value matters, which
// is the first if it is there.
func parseRecord(b []byte) (r record, err error) {
	if len(b) == 0 {
		return r, errRecord
	}
	ts, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return r, errRecord
	}
	r.kind, r.startTS = b[0], ts
	if b = b[1+n:]; len(b) == 0 || b[0] != 'v' {
		return r, nil
	}
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return r, errRecord
	}
	r.short, r.value = true, b[2:2+int(b[1])]
	return r, nil
}

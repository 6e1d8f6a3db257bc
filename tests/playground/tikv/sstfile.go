package tikv

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/google/uuid"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/sluicedb/sluice/tests/playground/sst"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	cfDefault = sst.Default
	cfWrite   = sst.Write

	// shortValueMax is the length beyond which values go to the default column family.
	shortValueMax = sst.ShortValueMax
)

// fileName is what TiKV finds a file by: {uuid}_{region}_{conf_ver}_{version}_{cf}.
type fileName string

// nameOf returns the name of the file that meta describes, in one column
// family; the uuid must be 16 bytes.
func nameOf(meta *import_sstpb.SSTMeta, cf string) (fileName, error) {
	id, err := uuid.FromBytes(meta.GetUuid())
	if err != nil {
		return "", err
	}
	e := meta.GetRegionEpoch()
	return fileName(fmt.Sprintf("%s_%d_%d_%d_%s", id, meta.RegionId, e.GetConfVer(), e.GetVersion(), cf)), nil
}

// sstFile is what one Write stream or one Download left on one store. Of a stream
// TiKV makes up to two files; here both names lead to the same sstFile, which holds
// all pairs. It does not change afterwards, but for what ingests note.
//
// The pairs of a stream stay as they came over the wire, so that a file costs no
// more memory than its bytes. What was downloaded is a file on the disk.
type sstFile struct {
	meta     *import_sstpb.SSTMeta // as sent
	batches  []sstBatch            // of a stream
	first    []byte                // raw keys, inside batches
	last     []byte
	lastTS   uint64
	pairs    int
	bytes    int64     // keys and values
	long     int       // pairs with a value in the default column family
	digest   uint32    // of all keys, timestamps and values in order, whatever the batches
	received time.Time // when the stream or the download ended

	// family is the one column family of a downloaded file, path where it is, and
	// table its writer until it is there.
	family string
	path   string
	table  *sst.Writer
	// defaults are the default files that a downloaded write file is ingested with.
	// Set by that ingest, which has the file for itself.
	defaults []*sstFile
	// defaultIngested says that the default file was ingested on its own, as
	// clients without MultiIngest do. Guarded by the importer's mutex.
	defaultIngested bool
}

// sstBatch is one import_sstpb.WriteBatch.
type sstBatch struct {
	commitTS uint64
	raw      []byte // the encoded message
}

// sstPair is one pair of a file. Its slices point into the batch.
type sstPair struct {
	key, value []byte
	op         import_sstpb.Pair_OP
	startTS    uint64 // 0: the commit_ts
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errKeyOrder = errors.New(`Engine(Status(Status { code: InvalidArgument, sub_code: None, sev: NoError, state: "Invalid argument: Keys must be added in strict ascending order." }))`)
)

// add appends one encoded WriteBatch, which the file owns from now on.
func (f *sstFile) add(raw []byte) error {
	b := sstBatch{raw: raw}
	var err error
	if b.commitTS, err = batchCommitTS(raw); err != nil {
		return err
	}
	ts := protowire.AppendFixed64(nil, b.commitTS)
	err = b.each(func(p sstPair) error {
		// Keys ascend; of one key the newer version comes first.
		if c := bytes.Compare(p.key, f.last); f.pairs > 0 && (c < 0 || c == 0 && b.commitTS >= f.lastTS) {
			return errKeyOrder
		}
		if f.pairs > 0 && bytes.Equal(p.key, f.last) {
			return fmt.Errorf("the playground's engine can't ingest two versions of a key at once, key %x", p.key)
		}
		if p.op == import_sstpb.Pair_Put && len(p.value) == 0 {
			return fmt.Errorf("the playground's engine can't keep an empty value, key %x", p.key)
		}
		if f.pairs == 0 {
			f.first = p.key
		}
		f.last, f.lastTS = p.key, b.commitTS
		f.pairs++
		f.bytes += int64(len(p.key) + len(p.value))
		if p.op == import_sstpb.Pair_Put && len(p.value) > shortValueMax {
			f.long++
		}
		f.digest = crc32.Update(f.digest, castagnoli, p.key)
		f.digest = crc32.Update(f.digest, castagnoli, ts)
		f.digest = crc32.Update(f.digest, castagnoli, p.value)
		return nil
	})
	if err != nil {
		return err
	}
	f.batches = append(f.batches, b)
	return nil
}

// each calls fn for every pair of the file in order, with its commit_ts.
func (f *sstFile) each(fn func(p sstPair, commitTS uint64) error) error {
	if f.downloaded() {
		return f.eachRecord(fn)
	}
	for _, b := range f.batches {
		if err := b.each(func(p sstPair) error { return fn(p, b.commitTS) }); err != nil {
			return err
		}
	}
	return nil
}

// metas returns what TiKV answers: a meta per file, default first. Only the
// column family differs from what was sent.
func (f *sstFile) metas() []*import_sstpb.SSTMeta {
	var out []*import_sstpb.SSTMeta
	for _, cf := range f.families() {
		m := proto.Clone(f.meta).(*import_sstpb.SSTMeta)
		m.CfName = cf
		out = append(out, m)
	}
	return out
}

// bytesOf returns the bytes that an ingest of one family brings in. Those of a
// stream all count for its write file.
func (f *sstFile) bytesOf(family string) int64 {
	if family == cfDefault && !f.downloaded() {
		return 0
	}
	return f.bytes
}

func (f *sstFile) downloaded() bool { return f.family != "" }

// families returns the column families that the file has entries in.
func (f *sstFile) families() []string {
	switch {
	case f.downloaded():
		return []string{f.family}
	case f.pairs == 0:
		return nil
	case f.long > 0:
		return []string{cfDefault, cfWrite}
	}
	return []string{cfWrite}
}

// Field numbers of import_sstpb.WriteRequest, WriteBatch and Pair.
const (
	writeRequestMeta   = 1
	writeRequestBatch  = 2
	writeBatchCommitTS = 1
	writeBatchPairs    = 2
	pairKey            = 1
	pairValue          = 2
	pairOp             = 3
)

// errEndFields ends eachField early without an error.
var errEndFields = errors.New("end of fields")

// eachField calls fn for every field of an encoded message; of val and num, the
// one of the wire type is set. Fields of fixed size are skipped, the messages
// of Write have none.
func eachField(raw []byte, fn func(field protowire.Number, val []byte, num uint64) error) error {
	for len(raw) > 0 {
		field, typ, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return protowire.ParseError(n)
		}
		raw = raw[n:]
		var (
			val []byte
			num uint64
		)
		switch typ {
		case protowire.BytesType:
			val, n = protowire.ConsumeBytes(raw)
		case protowire.VarintType:
			num, n = protowire.ConsumeVarint(raw)
		default:
			n = protowire.ConsumeFieldValue(field, typ, raw)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		raw = raw[n:]
		if err := fn(field, val, num); err != nil {
			if errors.Is(err, errEndFields) {
				return nil
			}
			return err
		}
	}
	return nil
}

// splitWriteRequest returns the encoded meta or batch of a WriteRequest; both
// are nil when it has neither.
func splitWriteRequest(raw []byte) (meta, batch []byte, err error) {
	err = eachField(raw, func(field protowire.Number, val []byte, _ uint64) error {
		switch field {
		case writeRequestMeta:
			meta, batch = val, nil
		case writeRequestBatch:
			meta, batch = nil, val
		}
		return nil
	})
	return meta, batch, err
}

// batchCommitTS finds the timestamp, which encoders put before the pairs.
func batchCommitTS(raw []byte) (ts uint64, err error) {
	err = eachField(raw, func(field protowire.Number, _ []byte, num uint64) error {
		if field == writeBatchCommitTS {
			ts = num
			return errEndFields
		}
		return nil
	})
	return ts, err
}

func (b sstBatch) each(fn func(sstPair) error) error {
	return eachField(b.raw, func(field protowire.Number, val []byte, _ uint64) error {
		if field != writeBatchPairs {
			return nil
		}
		var p sstPair
		err := eachField(val, func(field protowire.Number, val []byte, num uint64) error {
			switch field {
			case pairKey:
				p.key = val
			case pairValue:
				p.value = val
			case pairOp:
				p.op = import_sstpb.Pair_OP(num)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return fn(p)
	})
}
